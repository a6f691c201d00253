"""The card on a PN532 that listens, over nfcpy's stock driver: two chips in software face each
other, and the readers are nfcpy on the other chip, libnfc on it, and our own machines in its air.
"""

import os
import subprocess
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing, contextmanager
from typing import Any

import pytest

import fixtures
from bench.rig.air import AirCoupler
from bench.rig.pn532 import VirtualPn532
from bench.roads import in_process
from bench.scenario import fresh_card, play
from emulator.frontends.errors import FrontendError
from emulator.frontends.nfc_target import NfcTarget
from emulator.picc import Picc
from emulator.radio.air import Air
from emulator.radio.clock import Unpaced
from reader.transport.base import CardLost, NoCard
from reader.transport.nfc import Identity, NfcCoupler
from tests.needs import require_tool
from tests.unit.pcd import EchoCard, SizedCard, with_ats

# nfcpy opens a serial port to see whether it is one, and forgets to close it.
pytestmark = [
    pytest.mark.filterwarnings("ignore:unclosed file:ResourceWarning"),
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
]

COMMAND = bytes.fromhex("00B0950000")
ANSWER = COMMAND + b"\x90\x00"
WAIT_S = 10.0

Bench = tuple[Air, NfcTarget, VirtualPn532]


@contextmanager
def facing(card: Picc, **options: Any) -> Iterator[Bench]:
    """The card on a listening chip, and another chip in the same air, not in use yet."""
    with ExitStack() as stack:
        air = Air(clock=Unpaced())
        listens = stack.enter_context(VirtualPn532(air))
        other = stack.enter_context(VirtualPn532(air))
        path = stack.enter_context(listens.as_nfcpy_device())
        front = stack.enter_context(NfcTarget(card, path, **options).running())
        yield air, front, other


@contextmanager
def read_by_nfcpy(chip: VirtualPn532) -> Iterator[NfcCoupler]:
    with chip.as_nfcpy_device() as path, closing(NfcCoupler(path)) as coupler:
        yield coupler


def test_the_whole_job_runs_between_two_stock_pn532_drivers() -> None:
    with facing(fresh_card(1)) as (_, front, other), read_by_nfcpy(other) as coupler:
        card = coupler.wait_card(WAIT_S)
        assert card.identity == Identity(b"\x04\x00", 0x20, bytes.fromhex("08A1B2C3"))
        assert front.changes == ""
        over_air = play(card, 1)
    with in_process(fresh_card(1)) as link:
        assert over_air.transcript() == play(link, 1).transcript()
    assert over_air.is_good


def test_taps_in_a_row_are_fields_of_their_own() -> None:
    card = EchoCard()
    with facing(card) as (_, _, other), read_by_nfcpy(other) as coupler:
        for _ in range(3):
            assert coupler.wait_card(WAIT_S).transmit(COMMAND) == ANSWER
    assert card.power == ["on", "off"] * 3


def test_the_plastic_card_shows_a_uid_that_begins_08() -> None:
    card = fixtures.card("student-plastic")
    with facing(card) as (_, front, other), read_by_nfcpy(other) as coupler:
        seen = coupler.wait_card(WAIT_S).identity
    assert seen == Identity(b"\x04\x00", 0x28, bytes.fromhex("08799D24"))
    assert "UID 08799D24 instead of 66799D24" in front.changes


@pytest.mark.parametrize(("fsdi", "cid"), [(0, 5), (2, None), (8, None)])
def test_frame_size_and_cid_are_overheard_though_the_driver_answers_rats(
    fsdi: int, cid: int | None
) -> None:
    card = SizedCard(with_ats(fsci=2, fwi=10))
    with facing(card) as (air, _, _), closing(AirCoupler(air, fsdi, cid)) as coupler:
        link = coupler.wait_card(WAIT_S)
        assert link.transmit(bytes(100) + b"\x01\x00") == bytes(range(256)) + b"\x90\x00"
        assert link.is_present()


def test_deselect_ends_the_session_and_the_card_can_be_found_again() -> None:
    card = EchoCard(with_ats(fwi=10))
    with facing(card) as (air, _, _):
        for _ in range(2):
            with closing(AirCoupler(air)) as coupler:  # deselects when it closes
                assert coupler.wait_card(WAIT_S).transmit(COMMAND) == ANSWER
    assert card.power == ["on", "off"] * 2


def test_a_phone_shows_another_uid_when_the_field_goes_right_after_s_deselect() -> None:
    phone = fixtures.phone("android-hce", card=EchoCard())
    uids = set()
    with facing(phone, contactless_of=phone.contactless_of) as (air, _, _):
        for _ in range(10):  # the chip listens for 50 ms after S(DESELECT): time enough as a rule
            with closing(AirCoupler(air)) as coupler:  # deselects and switches its field off
                card = coupler.wait_card(WAIT_S)
                assert card.is_present()
                uids.add(card.card.uid)
            if len(uids) == 2:
                return
    pytest.fail("one UID in ten fields")


def test_field_loss_while_the_card_works_powers_it_off_and_the_next_reader_is_served() -> None:
    class Slow(EchoCard):
        started, late = threading.Event(), threading.Event()

        def answer(self, command: bytes) -> bytes:
            if len(self.seen) == 1:
                self.started.set()
                assert self.late.wait(5)
            return command

    card = Slow()
    with facing(card) as (air, _, _):
        link = AirCoupler(air).wait_card(WAIT_S)
        with pytest.raises(CardLost):  # after three tries of 42 ms each
            link.transmit(COMMAND)
        assert card.started.is_set()
        air.field_off()
        card.late.set()
        assert AirCoupler(air).wait_card(WAIT_S).transmit(COMMAND) == ANSWER
    assert card.seen == [COMMAND] * 2
    assert card.power == ["on", "off"] * 2


def test_a_reader_that_dies_leaves_the_card_for_the_next() -> None:
    card = EchoCard()
    with facing(card) as (air, _, other):
        with read_by_nfcpy(other) as coupler:
            coupler.wait_card(WAIT_S).transmit(COMMAND)
            coupler._reader.device.chipset.transport.tty.close()  # its program was killed
        air.field_off()
        assert AirCoupler(air).wait_card(WAIT_S).transmit(COMMAND) == ANSWER
    assert card.power == ["on", "off"] * 2


@pytest.mark.parametrize("in_session", [False, True])
def test_a_board_that_is_pulled_out_is_one_sentence(in_session: bool) -> None:
    card = EchoCard(with_ats(fwi=10))
    air = Air(clock=Unpaced())
    with ExitStack() as stack:
        listens = stack.enter_context(VirtualPn532(air))
        front = NfcTarget(card, stack.enter_context(listens.as_nfcpy_device()))
        with ThreadPoolExecutor() as pool:
            serving = pool.submit(front.serve)
            if in_session:
                assert AirCoupler(air).wait_card(WAIT_S).transmit(COMMAND) == ANSWER
            stack.close()
            error = serving.exception(timeout=WAIT_S)
        front.close()
    assert isinstance(error, FrontendError)
    assert "replug it" in str(error)
    assert card.power == ["on", "off"] * in_session


def test_a_phone_that_is_off_is_not_found() -> None:
    phone = fixtures.phone("nfc-off", card=EchoCard())
    with (
        facing(phone, contactless_of=phone.contactless_of) as (air, _, _),
        pytest.raises(NoCard),
    ):
        AirCoupler(air).wait_card(0.2)


def test_libnfc_finds_the_card_on_the_other_chip() -> None:
    nfc_list = require_tool("nfc-list", "libnfc-bin")
    card = EchoCard()
    with facing(card) as (_, front, other):
        done = subprocess.run(
            [nfc_list, "-t", "1"],
            env={**os.environ, "LIBNFC_DEVICE": other.libnfc_device},
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
    assert "1 ISO14443A passive target(s) found" in done.stdout, done.stdout + done.stderr
    squeezed = " ".join(done.stdout.split())
    assert f"UID (NFCID3): {front.shown.uid.hex(' ')}" in squeezed
    assert "SAK (SEL_RES): 20" in squeezed
    assert f"ATS: {front.shown.ats[1:].hex(' ')}" in squeezed

"""The card over nfcpy's stock RC-S380 driver, which answers RATS itself, on a chip in software."""

import logging
import threading
from collections.abc import Callable
from contextlib import closing

import nfc.clf
import nfc.clf.device
import nfc.clf.rcs380
import pytest

import fixtures
from bench.roads import in_process
from bench.scenario import fresh_card, play
from emulator.frontends.errors import FrontendError
from emulator.frontends.nfc_target import NfcTarget
from tests.interop.port100 import Port100
from tests.unit.pcd import EchoCard, Pcd, SizedCard, with_ats

COMMAND = bytes.fromhex("00B0950000")
ANSWER = COMMAND + b"\x90\x00"


@pytest.fixture
def chip(monkeypatch: pytest.MonkeyPatch) -> Port100:
    chip = Port100()

    def connect(path: str) -> nfc.clf.device.Device:
        device = nfc.clf.rcs380.init(chip)
        device._path = path
        return device

    monkeypatch.setattr(nfc.clf.device, "connect", connect)
    return chip


def test_the_whole_job_runs_through_the_stock_rcs380_driver(chip: Port100) -> None:
    with NfcTarget(fresh_card(1), "usb:054c:06c3").running():
        over_air = play(Pcd(chip.air).activate(), 1)
    with in_process(fresh_card(1)) as link:
        assert over_air.transcript() == play(link, 1).transcript()
    assert over_air.is_good


def test_the_rcs380_shows_what_its_driver_can(chip: Port100) -> None:
    plastic = fixtures.card("student-plastic")
    with NfcTarget(plastic, "usb").running() as front:
        assert front.changes == (
            "This reader cannot show all of the card; seen is UID 08799D24 instead of 66799D24."
        )
        pcd = Pcd(chip.air)
        assert pcd.select() == bytes.fromhex("08799D24")
        assert pcd.rats() == plastic.contactless.ats


def test_the_rcs380_keeps_frame_size_and_cid(chip: Port100) -> None:
    command = bytes(200) + b"\x01\x00"
    with NfcTarget(SizedCard(with_ats(fsci=2)), "usb").running():
        for fsdi, cid in ((0, 14), (2, None), (9, None)):
            pcd = Pcd(chip.air, fsdi=fsdi, cid=cid).activate()
            assert pcd.transmit(command) == bytes(range(256)) + b"\x90\x00"
            chip.field_off()


def test_field_loss_on_the_rcs380_ends_the_session_alone(chip: Port100) -> None:
    card = EchoCard()
    with NfcTarget(card, "usb").running():
        for _ in range(2):
            assert Pcd(chip.air).activate().transmit(COMMAND) == ANSWER
            chip.field_off()
        pcd = Pcd(chip.air).activate()
        assert pcd.transmit(COMMAND) == ANSWER
        assert pcd.deselect()
        assert Pcd(chip.air).activate().transmit(COMMAND) == ANSWER
    assert card.power == ["on", "off"] * 4


def test_a_chip_that_is_out_of_step_once_ends_the_session_alone(chip: Port100) -> None:
    card = EchoCard()
    with NfcTarget(card, "usb").running():
        Pcd(chip.air).activate().transmit(COMMAND)
        chip.hiccups = 3  # within the session, and in the search after it
        chip.to_card.put(b"\xb2")
        assert Pcd(chip.air).activate().transmit(COMMAND) == ANSWER
    assert card.power == ["on", "off"] * 2


def test_a_chip_that_stays_out_of_step_is_given_up(chip: Port100) -> None:
    front = NfcTarget(EchoCard(), "usb")
    chip.hiccups = 1000
    with pytest.raises(FrontendError, match="fails in its driver"):
        front.serve()


def test_an_unplugged_reader_is_one_sentence(chip: Port100) -> None:
    with closing(NfcTarget(EchoCard(), "usb")) as front:
        chip.is_unplugged = True
        with pytest.raises(FrontendError, match="No NFC reader answers on usb: plug it in"):
            front.serve()
        chip.is_unplugged = False


def test_a_reader_unplugged_within_a_session_is_told_at_the_end(chip: Port100) -> None:
    class Told(EchoCard):
        is_off = threading.Event()

        def power_off(self) -> None:
            super().power_off()
            self.is_off.set()

    card = Told()
    front = NfcTarget(card, "usb")

    def session() -> None:
        with front.running():
            Pcd(chip.air).activate().transmit(COMMAND)
            chip.is_unplugged = True
            chip.to_card.put(b"\xb2")
            assert card.is_off.wait(5)

    with pytest.raises(FrontendError, match="No NFC reader answers"):
        session()
    assert card.power == ["on", "off"]


def test_a_driver_that_keeps_failing_is_given_up(
    chip: Port100, caplog: pytest.LogCaptureFixture
) -> None:
    """A chip that stops acknowledging makes the driver stumble over None."""
    caplog.set_level(logging.CRITICAL, logger="nfc.clf.rcs380")
    front = NfcTarget(EchoCard(), "usb")
    answers: Callable[[int, bytes], bytes] = lambda code, data: b""  # noqa: E731
    chip._do = answers  # type: ignore[method-assign]
    with pytest.raises(FrontendError, match="fails in its driver"):
        front.serve()

"""The card on nfcpy readers that listen, shown on nfcpy's udp driver; readers that are no use."""

import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import replace
from typing import Any

import pytest

import fixtures
from apdu.event import Event, Source
from bench.roads import in_process
from bench.scenario import fresh_card, play
from emulator.frontends.nfc_chip import Selected
from emulator.frontends.nfc_target import NfcTarget
from emulator.frontends.udp import UdpFrontend
from emulator.picc import Contactless, Picc
from reader.transport.nfc import NfcCoupler
from tests.unit.pcd import PHONE, EchoCard, Pcd, SizedCard, with_ats

COMMAND = bytes.fromhex("00B0950000")
ANSWER = COMMAND + b"\x90\x00"
WAIT_S = 10.0


def free_port() -> int:
    """A port that no service is named for, which nfcpy would take for the number."""
    with closing(UdpFrontend(EchoCard(), port=0)) as front:
        return front.address[1]


class Reader:
    """A reader that speaks datagrams by hand."""

    def __init__(self, path: str) -> None:
        self.address = ("127.0.0.1", int(path.rsplit(":", 1)[1]))
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)

    def air(self, frame: bytes) -> bytes | None:
        """Between two sessions the driver has no socket: a poll is repeated until it is heard."""
        is_poll = frame == b"\x26"
        for _ in range(100 if is_poll else 1):
            self.send(b"106A " + frame.hex().encode())
            self.socket.settimeout(0.1 if is_poll else 5)
            try:
                return bytes.fromhex(self.socket.recv(9000).decode().split()[1])
            except TimeoutError:
                continue
        return None

    def send(self, datagram: bytes) -> None:
        self.socket.sendto(datagram, self.address)


@contextmanager
def by_hand(path: str) -> Iterator[Reader]:
    reader = Reader(path)
    with closing(reader.socket):
        yield reader


@contextmanager
def listening(card: Picc, **options: Any) -> Iterator[tuple[NfcTarget, str]]:
    """The card on nfcpy's udp driver in listen mode, and the path that reaches it."""
    path = f"udp:127.0.0.1:{free_port()}"
    with NfcTarget(card, path, **options).running() as front, by_hand(path) as reader:
        yield front, path
        front.stop()
        reader.send(b"106A 00")  # the driver would wait for half a second


# nfcpy on both ends


def test_the_whole_job_runs_between_two_stock_nfcpy_frontends() -> None:
    with listening(fresh_card(1)) as (_, path), closing(NfcCoupler(path)) as coupler:
        card = coupler.wait_card(WAIT_S)
        assert card.identity.uid == bytes.fromhex("08A1B2C3")
        over_air = play(card, 1)
    with in_process(fresh_card(1)) as link:
        assert over_air.transcript() == play(link, 1).transcript()
    assert over_air.is_good


def test_two_taps_in_a_row_are_two_fields() -> None:
    card = EchoCard()
    with listening(card) as (_, path), closing(NfcCoupler(path)) as coupler:
        for _ in range(2):
            assert coupler.wait_card(WAIT_S).transmit(COMMAND) == ANSWER
    assert card.power == ["on", "off"] * 2


def test_nfcpy_chains_both_ways_at_the_smallest_frames() -> None:
    card = SizedCard(with_ats(fsci=0))
    command = b"\x00\xd6\x00\x00\xfa" + bytes(248) + b"\x01\x00"
    with listening(card) as (_, path), closing(NfcCoupler(path)) as coupler:
        response = coupler.wait_card(WAIT_S).transmit(command)
    assert card.seen == [command]
    assert response == bytes(range(256)) + b"\x90\x00"


# What happens to a session


def test_field_loss_while_the_card_works_powers_it_off_and_the_next_reader_is_served() -> None:
    class Slow(EchoCard):
        started, late = threading.Event(), threading.Event()

        def answer(self, command: bytes) -> bytes:
            self.started.set()
            assert self.late.wait(5)
            return command

    card = Slow()
    with listening(card) as (_, path):
        with by_hand(path) as reader:
            Pcd(reader.air).activate()
            reader.send(b"106A 02" + COMMAND.hex().encode())
            assert card.started.wait(5)
            reader.send(b"RFOFF")
            card.late.set()
        with by_hand(path) as reader:
            assert Pcd(reader.air).activate().transmit(COMMAND) == ANSWER
    assert card.power == ["on", "off"] * 2


def test_half_a_command_is_forgotten_with_the_field() -> None:
    card = EchoCard()
    with listening(card) as (_, path), by_hand(path) as reader:
        Pcd(reader.air).activate()
        assert reader.air(b"\x12\x00\xb0") == b"\xa2"
        reader.send(b"RFOFF")
        assert Pcd(reader.air).activate().transmit(COMMAND) == ANSWER
    assert card.seen == [COMMAND]
    assert card.power == ["on", "off"] * 2


def test_a_reader_that_vanishes_without_a_word_is_followed_by_the_next() -> None:
    card = EchoCard()
    with listening(card) as (_, path):
        with by_hand(path) as reader:
            Pcd(reader.air).activate()
        with by_hand(path) as reader:
            assert Pcd(reader.air).activate().transmit(COMMAND) == ANSWER
    assert card.power == ["on", "off"] * 2


def test_deselect_is_answered_and_the_card_can_be_found_again() -> None:
    card = EchoCard()
    with listening(card) as (_, path), by_hand(path) as reader:
        for _ in range(2):
            pcd = Pcd(reader.air).activate()
            assert pcd.transmit(COMMAND) == ANSWER
            assert pcd.deselect()
    assert card.power == ["on", "off"] * 2


@pytest.mark.parametrize(("fsdi", "cid"), [(0, 5), (8, None)])
def test_frame_size_and_cid_of_rats_are_kept(fsdi: int, cid: int | None) -> None:
    with listening(SizedCard()) as (_, path), by_hand(path) as reader:
        pcd = Pcd(reader.air, fsdi=fsdi, cid=cid).activate()
        assert pcd.transmit(b"\x01\x00") == bytes(range(256)) + b"\x90\x00"
        assert pcd.is_present()


def test_a_damaged_frame_is_met_with_silence_and_repeated_by_the_reader() -> None:
    card = EchoCard()
    with listening(card) as (_, path), by_hand(path) as reader:
        pcd = Pcd(reader.air).activate()
        reader.send(b"106A")  # the driver raises TransmissionError
        assert pcd.transmit(COMMAND) == ANSWER
    assert card.seen == [COMMAND]


def test_a_session_of_damaged_frames_ends() -> None:
    card = EchoCard()
    with listening(card) as (_, path), by_hand(path) as reader:
        Pcd(reader.air).activate()
        for _ in range(30):
            reader.send(b"106A")
        assert Pcd(reader.air).activate().transmit(COMMAND) == ANSWER
    assert card.power == ["on", "off"] * 2


def test_datagrams_that_are_no_frames_do_not_take_the_card_off_the_air() -> None:
    with listening(EchoCard()) as (_, path), by_hand(path) as reader:
        for datagram in (b"106A xx", b"26", b"106B 050010", b"RFOFF", b"106A 52"):
            reader.send(datagram)
            assert Pcd(reader.air).activate().transmit(COMMAND) == ANSWER


def test_the_observer_sees_each_exchange_before_the_reader() -> None:
    seen: list[tuple[bytes, bytes]] = []
    observer = lambda *exchange: seen.append(exchange)  # noqa: E731
    with listening(EchoCard(), on_exchange=observer) as (_, path), by_hand(path) as reader:
        Pcd(reader.air).activate().transmit(COMMAND)
        assert seen == [(COMMAND, ANSWER)]


@pytest.mark.parametrize("rats", ["e0", "e08000", "e08f", "e00f02"])
def test_a_malformed_rats_is_met_with_silence(rats: str) -> None:
    card = EchoCard()
    with listening(card) as (_, path), by_hand(path) as reader:
        assert Pcd(reader.air).select() is not None
        reader.send(b"106A " + rats.encode())
        assert Pcd(reader.air).activate().transmit(COMMAND) == ANSWER
    assert card.power == ["on", "off"]


def test_a_recording_has_the_field_and_all_that_came_after_select() -> None:
    events: list[Event] = []
    with listening(EchoCard(), observe=events.append) as (_, path), by_hand(path) as reader:
        Pcd(reader.air).activate().transmit(COMMAND)
        reader.send(b"RFOFF")
        Pcd(reader.air).select()  # the field before is over
        told = [(event.source, event.data.hex(), event.has_crc) for event in events]
    assert told == [
        (Source.FIELD, "01", False),
        (Source.PCD, "e080", None),
        (Source.PICC, PHONE.ats.hex(), None),
        (Source.PCD, "02" + COMMAND.hex(), None),
        (Source.PICC, "02" + ANSWER.hex(), None),
        (Source.FIELD, "00", False),
    ]


def test_bugs_of_the_card_are_logged_and_end_nothing(caplog: pytest.LogCaptureFixture) -> None:
    class Buggy(EchoCard):
        def power_on(self) -> bytes:
            super().power_on()
            if self.power == ["on"]:
                raise ZeroDivisionError("a bug in power_on")
            return b""

        def answer(self, command: bytes) -> bytes:
            raise ZeroDivisionError("a bug in process")

    with listening(Buggy()) as (_, path), by_hand(path) as reader:
        assert Pcd(reader.air).select() is not None
        reader.send(b"106A e080")
        assert Pcd(reader.air).activate().transmit(COMMAND) == b"\x6f\x00"
    assert "a bug in power_on" in caplog.text
    assert "a bug in process" in caplog.text


def test_a_slow_card_asks_for_more_time() -> None:
    class TwoMilliseconds:
        def time_ns(self, command: bytes) -> int:
            return 2_000_000

    card = EchoCard(with_ats(fwi=0))  # the reader waits 0.3 ms
    with listening(card, service=TwoMilliseconds()) as (_, path), by_hand(path) as reader:
        pcd = Pcd(reader.air).activate()
        assert pcd.transmit(COMMAND) == ANSWER
        assert any(answer and answer[0] == 0xF2 for _, answer in pcd.frames)
    assert card.seen == [COMMAND]


def test_a_card_is_asked_how_it_shows_itself_before_each_reader() -> None:
    uids = iter([bytes.fromhex("08000001"), None, bytes.fromhex("08000002")])
    last = bytes.fromhex("08000003")

    def contactless_of() -> Contactless | None:
        uid = next(uids, last)
        return None if uid is None else replace(PHONE, uid=uid)

    with listening(EchoCard(), contactless_of=contactless_of) as (_, path), by_hand(path) as reader:
        seen = set()
        while last not in seen:
            seen.add(Pcd(reader.air).select())
            reader.send(b"106A c2")
    assert seen <= {bytes.fromhex(f"0800000{n}") for n in (1, 2, 3)}


def test_a_uid_lasts_as_long_as_the_field() -> None:
    """S(DESELECT) leaves the field on; a phone keeps its random UID until it is off."""
    phone = fixtures.phone("android-hce", card=EchoCard())
    with (
        listening(phone, contactless_of=phone.contactless_of) as (_, path),
        by_hand(path) as reader,
    ):
        pcd = Pcd(reader.air)
        first = pcd.select()
        pcd.rats()
        assert pcd.is_present()
        assert pcd.deselect()
        pcd = Pcd(reader.air)
        assert pcd.select() == first
        pcd.rats()
        assert pcd.is_present()
        reader.send(b"RFOFF")
        assert Pcd(reader.air).select() != first


class Leaving:
    """A card that is shown once, and gone for good after `goes`."""

    def __init__(self) -> None:
        self.card = EchoCard()
        self.is_away = False
        self.asked = threading.Event()
        self.leave: Callable[[], object] = lambda: None

    def shown(self) -> Contactless | None:
        contactless = None if self.is_away else self.card.contactless
        if self.is_away:
            self.asked.set()
        return contactless

    def goes(self) -> None:
        self.is_away = True
        self.leave()


def test_a_card_that_leaves_after_it_was_asked_what_is_shown_is_not_played() -> None:
    class LeavingAtOnce(Leaving):
        def shown(self) -> Contactless | None:
            contactless = super().shown()
            self.goes()  # between the question and the reader that comes
            return contactless

    away = LeavingAtOnce()
    path = f"udp:127.0.0.1:{free_port()}"
    front = NfcTarget(away.card, path, contactless_of=away.shown)
    away.leave = front.leave
    with front.running(), by_hand(path) as reader:
        assert Pcd(reader.air).select() is not None  # the driver does that alone
        reader.send(b"106A e080")
        assert away.asked.wait(5)
    assert away.card.power == []


def test_a_card_that_leaves_in_a_session_is_not_shown_again() -> None:
    away = Leaving()
    path = f"udp:127.0.0.1:{free_port()}"
    front = NfcTarget(away.card, path, contactless_of=away.shown)
    away.leave = front.leave
    listen, listened = front._chip.listen, list[bool]()

    def watched(shown: Contactless, timeout_s: float) -> Selected | None:
        listened.append(away.is_away)
        return listen(shown, timeout_s)

    front._chip.listen = watched  # type: ignore[method-assign]
    with front.running(), by_hand(path) as reader:
        assert Pcd(reader.air).activate().transmit(COMMAND) == ANSWER
        away.goes()
        reader.send(b"106A 03" + COMMAND.hex().encode())
        assert away.asked.wait(5)
    assert True not in listened
    assert away.card.seen == [COMMAND]
    assert away.card.power == ["on", "off"]


def test_a_stop_within_a_session_powers_the_card_off() -> None:
    card = EchoCard()
    with listening(card) as (_, path), by_hand(path) as reader:
        Pcd(reader.air).activate()
    assert card.power == ["on", "off"]


def test_serve_returns_when_stopped_before_it_began() -> None:
    front = NfcTarget(EchoCard(), f"udp:127.0.0.1:{free_port()}")
    with closing(front):
        front.stop()
        front.serve()
    front.close()

"""The card on nfcpy's UDP air, read by unmodified nfcpy and by our coupler over it."""

import errno
import logging
import os
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from typing import Any

import nfc
import nfc.clf
import nfc.tag.tt4
import pytest

from apdu.event import Event
from emulator.frontends.errors import FrontendError
from emulator.frontends.udp import UdpFrontend
from reader.transport.base import CardLost, NoCard, ReaderFault
from reader.transport.nfc import Identity, NfcCoupler, NfcTransport, _why_not
from tests.unit.pcd import PHONE, EchoCard, Pcd, SizedCard, with_ats

COMMAND = bytes.fromhex("00B0950000")
ANSWER = COMMAND + b"\x90\x00"


@contextmanager
def on_air(card: EchoCard, **options: Any) -> Iterator[tuple[UdpFrontend, str]]:
    """The card on a free port, and the device path that finds it."""
    with UdpFrontend(card, port=0, **options).running() as frontend:
        host, port = frontend.address
        yield frontend, f"udp:{host}:{port}"


@contextmanager
def nfcpy(path: str) -> Iterator[nfc.ContactlessFrontend]:
    with closing(nfc.ContactlessFrontend(path)) as reader:
        yield reader


@contextmanager
def coupler(path: str) -> Iterator[NfcCoupler]:
    with closing(NfcCoupler(path)) as reader:
        yield reader


def activate(reader: nfc.ContactlessFrontend) -> nfc.tag.tt4.Type4ATag:
    target = reader.sense(nfc.clf.RemoteTarget("106A"))
    assert target is not None
    tag = nfc.tag.activate(reader, target)
    assert isinstance(tag, nfc.tag.tt4.Type4ATag)
    return tag


class Datagrams:
    """A reader that speaks datagrams by hand."""

    def __init__(self, frontend: UdpFrontend) -> None:
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.settimeout(5)
        self.address = frontend.address

    def send(self, datagram: bytes) -> None:
        self.socket.sendto(datagram, self.address)

    def ask(self, datagram: bytes) -> bytes:
        self.send(datagram)
        return self.socket.recv(9000)

    def air(self, frame: bytes) -> bytes:
        return bytes.fromhex(self.ask(b"106A " + frame.hex().encode()).decode().split()[1])

    def hears_nothing_after(self, *datagrams: bytes) -> bool:
        """Whether the next answer is the one to a later question that always has one."""
        for datagram in datagrams:
            self.send(datagram)
        with closing(socket.socket(socket.AF_INET, socket.SOCK_DGRAM)) as other:
            other.settimeout(5)
            other.sendto(b"106A 26", self.address)
            other.recv(64)
        self.socket.setblocking(False)
        try:
            self.socket.recv(9000)
        except BlockingIOError:
            return True
        finally:
            self.socket.settimeout(5)
        return False


@contextmanager
def by_hand(frontend: UdpFrontend) -> Iterator[Datagrams]:
    reader = Datagrams(frontend)
    with closing(reader.socket):
        yield reader


# Unmodified nfcpy


def test_nfcpy_activates_the_card_and_talks_to_it() -> None:
    card = EchoCard()
    with on_air(card) as (_, path), nfcpy(path) as reader:
        tag = activate(reader)
        assert tag.identifier == PHONE.uid
        assert bytes(tag.transceive(COMMAND)) == ANSWER
        assert tag.send_apdu(0x00, 0xB0, 0x95, 0x00, mrl=256) == COMMAND
    assert card.seen == [COMMAND, COMMAND]
    assert card.power == ["on", "off"]


def test_nfcpy_probes_for_ndef_and_finds_none() -> None:
    class NotFound(EchoCard):
        def process(self, command: bytes) -> bytes:
            super().process(command)
            return b"\x6a\x82"

    card = NotFound()
    with on_air(card) as (_, path), nfcpy(path) as reader:
        tag = activate(reader)
        assert tag.ndef is None
        assert tag.is_present
        assert bytes(tag.transceive(COMMAND)) == b"\x6a\x82"
    assert [bytes(command[:4]).hex() for command in card.seen] == [
        "00a40400",
        "00a40400",
        "00b09500",
    ]


def test_nfcpy_carries_the_longest_short_apdus() -> None:
    card = SizedCard()
    command = b"\x00\xd6\x00\x00\xfa" + bytes(248) + b"\x01\x00"
    with on_air(card) as (_, path), nfcpy(path) as reader:
        response = activate(reader).transceive(command)
    assert len(command) == 255
    assert card.seen == [command]
    assert bytes(response) == bytes(range(256)) + b"\x90\x00"


@pytest.mark.parametrize("fsci", [0, 2, 5])
def test_nfcpy_chains_to_a_card_with_small_frames(fsci: int) -> None:
    card = SizedCard(with_ats(fsci=fsci))
    with on_air(card) as (_, path), nfcpy(path) as reader:
        response = activate(reader).transceive(bytes(200) + b"\x01\x00")
    assert bytes(response) == bytes(range(256)) + b"\x90\x00"


def test_nfcpy_senses_again_with_the_field_off_between() -> None:
    card = EchoCard()
    with on_air(card) as (_, path), nfcpy(path) as reader:
        for _ in range(5):
            assert bytes(activate(reader).transceive(COMMAND)) == ANSWER
    assert card.power == ["on", "off"] * 5


def test_two_sessions_one_after_another() -> None:
    card = EchoCard()
    with on_air(card) as (_, path):
        for _ in range(2):
            with nfcpy(path) as reader:
                assert bytes(activate(reader).transceive(COMMAND)) == ANSWER
    assert card.power == ["on", "off"] * 2


def test_a_second_reader_takes_the_card_over() -> None:
    card = EchoCard()
    with on_air(card) as (_, path), nfcpy(path) as first, nfcpy(path) as second:
        activate(first).transceive(COMMAND)
        tag = activate(second)
        first.close()  # its late RFOFF is not the field of the second
        assert bytes(tag.transceive(COMMAND)) == ANSWER
    assert card.power == ["on", "off"] * 2


def test_nfcpy_finds_the_card_among_all_technologies() -> None:
    with on_air(EchoCard()) as (_, path), nfcpy(path) as reader:
        targets = [nfc.clf.RemoteTarget(brty) for brty in ("106A", "106B", "212F")]
        assert reader.sense(*targets).sdd_res == PHONE.uid


def test_nfcpy_stays_in_step_with_a_card_that_is_late() -> None:
    class Late(EchoCard):
        def answer(self, command: bytes) -> bytes:
            time.sleep(0.02)  # nfcpy asks again after FWT + 3.6 ms = 8.5 ms
            return command

    card = Late(with_ats(fwi=4))
    commands = [COMMAND + bytes([n]) for n in range(4)]
    with on_air(card) as (_, path), nfcpy(path) as reader:
        tag = activate(reader)
        assert [bytes(tag.transceive(command))[:-2] for command in commands] == commands
    assert card.seen == commands


def test_other_technologies_get_no_answer() -> None:
    with on_air(EchoCard()) as (_, path), nfcpy(path) as reader:
        assert reader.sense(nfc.clf.RemoteTarget("106B")) is None  # takes nfcpy 1 s


# The front end by itself


def test_malformed_datagrams_are_ignored_and_logged(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG, logger="emulator.frontends.udp")
    card = EchoCard()
    bad = [b"", b"26", b"106A", b"106A ", b"106A 2", b"106A xx", b"106B 050010", b"\xff\x00 26"]
    with on_air(card) as (frontend, _), by_hand(frontend) as reader:
        assert reader.ask(b"106A 26") == b"106A 0400"
        assert reader.hears_nothing_after(*bad)
    for datagram in bad:
        assert repr(datagram) in caplog.text
    assert not [record for record in caplog.records if record.levelno > logging.DEBUG]


def test_a_poll_from_the_same_address_is_a_new_field() -> None:
    card = EchoCard()
    with on_air(card) as (frontend, _), by_hand(frontend) as reader:
        for _ in range(3):
            Pcd(reader.air).activate().transmit(COMMAND)  # no RFOFF between
        assert card.power == ["on", "off", "on", "off", "on"]


def test_a_halted_card_ignores_reqa_and_wakes_with_wupa() -> None:
    with on_air(EchoCard()) as (frontend, _), by_hand(frontend) as reader:
        assert Pcd(reader.air).activate().deselect()
        reader.send(b"106A 26")
        assert reader.ask(b"106A 52") == b"106A 0400"
        reader.send(b"RFOFF")
        assert reader.ask(b"106A 26") == b"106A 0400"


def test_a_block_from_another_address_is_ignored() -> None:
    card = EchoCard()
    with (
        on_air(card) as (frontend, _),
        by_hand(frontend) as reader,
        by_hand(frontend) as stranger,
    ):
        pcd = Pcd(reader.air).activate()
        stranger.send(b"106A 0200B0950000")
        stranger.send(b"RFOFF")
        assert pcd.transmit(COMMAND) == ANSWER
    assert card.seen == [COMMAND]


def test_the_observer_sees_each_exchange_before_the_reader() -> None:
    seen: list[tuple[bytes, bytes]] = []
    with (
        on_air(EchoCard(), on_exchange=lambda *exchange: seen.append(exchange)) as (_, path),
        nfcpy(path) as reader,
    ):
        tag = activate(reader)
        tag.transceive(COMMAND)
        assert seen == [(COMMAND, ANSWER)]


def test_a_bug_in_the_card_is_logged_and_answered_6f00(caplog: pytest.LogCaptureFixture) -> None:
    class Broken(EchoCard):
        def answer(self, command: bytes) -> bytes:
            raise ZeroDivisionError("a bug")

    with on_air(Broken()) as (_, path), nfcpy(path) as reader:
        tag = activate(reader)
        assert bytes(tag.transceive(COMMAND)) == b"\x6f\x00"
        assert bytes(tag.transceive(COMMAND)) == b"\x6f\x00"
    assert "ZeroDivisionError: a bug" in caplog.text


def test_a_bug_outside_process_does_not_take_the_card_off_the_air(
    caplog: pytest.LogCaptureFixture,
) -> None:
    class Stillborn(EchoCard):
        def power_on(self) -> bytes:
            super().power_on()
            if self.power == ["on"]:
                raise ZeroDivisionError("a bug")
            return b""

    with on_air(Stillborn()) as (frontend, _), by_hand(frontend) as reader:
        assert Pcd(reader.air).select() is not None
        reader.send(b"106A e080")
        assert Pcd(reader.air).activate().transmit(COMMAND) == ANSWER
    assert "ZeroDivisionError: a bug" in caplog.text


def test_a_busy_card_misses_what_is_sent_meanwhile() -> None:
    card = Slow()
    with on_air(card) as (frontend, _), by_hand(frontend) as reader:
        Pcd(reader.air).activate()
        reader.send(b"106A 0200b0950000")
        assert card.started.wait(5)
        reader.send(b"106A b2")
        reader.send(b"106A b2")
        card.late.set()
        assert reader.socket.recv(64) == b"106A 02" + ANSWER.hex().encode()
        assert reader.ask(b"106A 03" + COMMAND.hex().encode()).startswith(b"106A 03")


def test_a_reader_that_asks_again_before_the_card_gets_time_is_answered_once() -> None:
    """nfcpy waits 42 ms and takes a second answer for the one to its next command."""
    held, free = threading.Event(), threading.Event()

    def hold(event: Event) -> None:
        if event.data == b"\xff":  # no block, so the card itself takes no time
            held.set()
            assert free.wait(5)

    card = EchoCard()
    with on_air(card, observe=hold) as (frontend, _), by_hand(frontend) as reader:
        Pcd(reader.air).activate()
        reader.send(b"106A ff")
        assert held.wait(5)
        reader.send(b"106A 02" + COMMAND.hex().encode())
        reader.send(b"106A b2")
        free.set()
        assert reader.socket.recv(64) == b"106A 02" + ANSWER.hex().encode()
        assert reader.ask(b"106A 03" + COMMAND.hex().encode()).startswith(b"106A 03")
    assert card.seen == [COMMAND] * 2


@pytest.mark.parametrize("gone", [b"RFOFF", b"106A 26"])
def test_a_busy_card_notices_the_field(gone: bytes) -> None:
    card = Slow()
    with on_air(card) as (frontend, _), by_hand(frontend) as reader:
        Pcd(reader.air).activate()
        reader.send(b"106A 0200b0950000")
        assert card.started.wait(5)
        reader.send(gone)
        card.late.set()
        if gone == b"RFOFF":
            reader.send(b"106A 26")
        assert reader.socket.recv(64) == b"106A 0400"  # and not the answer to the command
        assert reader.ask(b"106A 9320").startswith(b"106A 0411")


class Slow(EchoCard):
    """Works on its first command until `late` is set, and then past its waiting time."""

    def __init__(self) -> None:
        super().__init__(with_ats(fwi=0))
        self.started, self.late = threading.Event(), threading.Event()

    def answer(self, command: bytes) -> bytes:
        if len(self.seen) == 1:
            self.started.set()
            assert self.late.wait(5)
            time.sleep(0.001)  # FWT is 0.3 ms
        return command


def test_a_taken_port_is_one_sentence() -> None:
    with (
        on_air(EchoCard()) as (frontend, _),
        pytest.raises(FrontendError, match="taken by another program") as caught,
    ):
        UdpFrontend(EchoCard(), port=frontend.address[1])
    assert "\n" not in str(caught.value)


def test_an_address_that_is_not_ours_is_a_front_end_error() -> None:
    with pytest.raises(FrontendError, match=r"Cannot listen on UDP 192\.0\.2\.1"):
        UdpFrontend(EchoCard(), host="192.0.2.1", port=0)
    with pytest.raises(FrontendError, match="Cannot listen"):
        UdpFrontend(EchoCard(), port=70000)


def test_serve_returns_when_stopped_before_it_began() -> None:
    frontend = UdpFrontend(EchoCard(), port=0)
    with closing(frontend):
        frontend.stop()
        frontend.serve()
    frontend.stop()


def test_serve_leaves_the_card_powered_off() -> None:
    card = EchoCard()
    with on_air(card) as (frontend, _), by_hand(frontend) as reader:
        Pcd(reader.air).activate()
    assert card.power == ["on", "off"]


# Our coupler


def test_coupler_waits_for_a_card_and_transmits() -> None:
    with on_air(SizedCard()) as (_, path), coupler(path) as reader:
        card = reader.wait_card(5)
        assert card.identity == Identity(atqa=b"\x04\x00", sak=0x20, uid=PHONE.uid)
        assert card.transmit(b"\x01\x00") == bytes(range(256)) + b"\x90\x00"
        assert card.is_present()
        assert not reader.wait_gone(0)


def test_coupler_gives_a_fresh_card_each_time() -> None:
    card = EchoCard()
    with on_air(card) as (_, path), coupler(path) as reader:
        for _ in range(3):
            assert reader.wait_card(5).transmit(COMMAND) == ANSWER
    assert card.power == ["on", "off"] * 3


def test_coupler_refuses_an_empty_command() -> None:
    with on_air(EchoCard()) as (_, path), coupler(path) as reader:
        card = reader.wait_card(5)
        with pytest.raises(ValueError, match="empty command"):
            card.transmit(b"")
        assert card.transmit(COMMAND) == ANSWER


def test_a_card_that_leaves_is_lost_then_gone_then_not_there() -> None:
    with on_air(EchoCard()) as (frontend, path), coupler(path) as reader:
        card = reader.wait_card(5)
        frontend.stop()
        with pytest.raises(CardLost, match="stopped answering"):
            card.transmit(COMMAND)
        assert reader.wait_gone(5)
        with pytest.raises(NoCard, match=r"No card came to udp:.* within 0 s"):
            reader.wait_card(0)  # takes nfcpy 1 s
        assert reader.wait_gone(0)


def test_a_response_without_status_word_is_a_lost_card() -> None:
    class Mute(EchoCard):
        def process(self, command: bytes) -> bytes:
            return b"\x90"

    with on_air(Mute()) as (_, path), coupler(path) as reader:
        card = reader.wait_card(5)
        with pytest.raises(CardLost, match="without a status word"):
            card.transmit(COMMAND)


def test_a_card_without_iso_dep_is_passed_over() -> None:
    card = EchoCard(type(PHONE)(atqa=PHONE.atqa, sak=0x08, uid=PHONE.uid, ats=PHONE.ats))
    with on_air(card) as (_, path), coupler(path) as reader, pytest.raises(NoCard):
        reader.wait_card(0)


def test_a_card_whose_ats_nfcpy_cannot_read_is_passed_over() -> None:
    card = EchoCard(type(PHONE)(atqa=PHONE.atqa, sak=0x20, uid=PHONE.uid, ats=b"\x02\x08"))
    with on_air(card) as (_, path), coupler(path) as reader, pytest.raises(NoCard):
        reader.wait_card(0)


@pytest.mark.parametrize(
    ("path", "why"),
    [
        ("usb:054c:ffff", "No NFC reader answers on usb:054c:ffff"),
        ("tty:NOSUCHPORT:pn532", "No NFC reader answers on tty:NOSUCHPORT:pn532"),
        ("nonsense", "No NFC reader answers on nonsense"),
        ("udp:127.0.0.1:port", "cannot be used: invalid literal"),
        ("", "No reader is named"),
    ],
)
def test_a_bad_device_path_is_a_reader_fault(path: str, why: str) -> None:
    with pytest.raises(ReaderFault, match=why) as caught:
        NfcCoupler(path)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("code", "advice"),
    [
        (errno.ENODEV, "plug it in"),
        (errno.EACCES, "udev rule"),
        (errno.EBUSY, "used by another program"),
        (errno.EIO, "replug it"),
        (errno.ENXIO, "cannot be used"),
    ],
)
def test_each_reader_fault_says_what_to_do(code: int, advice: str) -> None:
    assert advice in _why_not("usb", OSError(code, os.strerror(code)))


def test_a_closed_reader_is_a_reader_fault() -> None:
    with on_air(EchoCard()) as (_, path):
        reader = NfcCoupler(path)
        card = reader.wait_card(5)
        reader.close()
        reader.close()
        uses: list[Callable[[], object]] = [
            lambda: card.transmit(COMMAND),
            card.is_present,
            lambda: reader.wait_card(0),
        ]
        for use in uses:
            with pytest.raises(ReaderFault, match="No NFC reader answers"):
                use()


@pytest.mark.parametrize(
    ("error", "why"),
    [
        (nfc.tag.tt4.Type4TagCommandError(nfc.tag.TIMEOUT_ERROR), "stopped answering"),
        (nfc.tag.tt4.Type4TagCommandError(nfc.tag.RECEIVE_ERROR), "arrive damaged"),
        (nfc.tag.tt4.Type4TagCommandError(nfc.tag.PROTOCOL_ERROR), "broke the ISO-DEP protocol"),
        (nfc.clf.BrokenLinkError("RFOFF"), "left the field"),
        (IndexError(), "cut block"),
    ],
)
def test_each_error_of_nfcpy_is_a_lost_card(error: Exception, why: str) -> None:
    class Tag:
        def transceive(self, command: bytes) -> bytes:
            raise error

    card = NfcTransport(Tag(), Identity(b"\x04\x00", 0x20, PHONE.uid), "usb")
    with pytest.raises(CardLost, match=why):
        card.transmit(COMMAND)

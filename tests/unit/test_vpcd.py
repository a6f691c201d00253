"""The vpcd client alone, over a socket pair: framing, slot signals, the ATR, and how it ends."""

import logging
import socket
import threading
from contextlib import ExitStack

import pytest

from apdu.event import Event, Source
from emulator.frontends import vpcd
from emulator.frontends.errors import FrontendError
from emulator.frontends.vpcd import VpcdFrontend, contactless_atr, frames
from tests.echo import OK, EchoCard

OFF, ON, RESET, GET_ATR = b"\x00", b"\x01", b"\x02", b"\x04"
SELECT = bytes.fromhex("00a4040000")


def framed(*messages: bytes) -> bytes:
    return b"".join(len(m).to_bytes(2, "big") + m for m in messages)


def said_to(frontend: VpcdFrontend, stream: bytes) -> list[bytes]:
    """What the front end answers to a stream of vpcd's that then ends."""
    ours, theirs = socket.socketpair()
    with theirs:
        theirs.sendall(stream)
        theirs.shutdown(socket.SHUT_WR)
        with pytest.raises(FrontendError, match="closed the connection; start pcscd again"):
            frontend.attend(ours)
        return list(frames(theirs))


@pytest.mark.parametrize(
    ("historical", "atr"),
    [
        ("", "3b80800101"),  # the empty card of PC/SC Part 3
        ("80", "3b8180018080"),  # DESFire, as every PC/SC reader shows it
        ("4543484f", "3b8480014543484f04"),
        ("00" * 15, "3b8f8001" + "00" * 15 + "0e"),
    ],
)
def test_atr_is_the_contactless_form_of_part_3(historical, atr):
    assert contactless_atr(bytes.fromhex(historical)).hex() == atr


def test_atr_check_byte_makes_everything_after_ts_cancel():
    atr = contactless_atr(b"tapbench")
    total = 0
    for byte in atr[1:]:
        total ^= byte
    assert total == 0


def test_atr_with_more_history_than_t0_can_count_is_refused():
    with pytest.raises(ValueError, match="at most 15 historical bytes, not 16"):
        contactless_atr(bytes(16))


def test_get_atr_is_answered_with_the_history_of_the_ats():
    assert said_to(VpcdFrontend(EchoCard()), framed(GET_ATR)) == [contactless_atr(b"ECHO")]


def test_power_signals_reach_the_card_and_are_not_answered():
    card = EchoCard()
    assert said_to(VpcdFrontend(card), framed(ON, RESET, OFF)) == []
    assert card.powers == ["off", "on", "off", "on", "off", "off"]


def test_card_loses_power_when_the_connection_ends():
    card = EchoCard()
    said_to(VpcdFrontend(card), framed(ON))
    assert card.powers[-1] == "off"


@pytest.mark.parametrize(
    ("signals", "field"),
    [
        ((ON, OFF), [1, 0]),
        ((ON, RESET, OFF, OFF), [1, 0, 1, 0]),
        ((OFF, GET_ATR), []),
        ((ON,), [1, 0]),
    ],
)
def test_an_observer_sees_the_field_go_on_and_off(signals, field):
    """Off once at the end, whatever ended it."""
    seen: list[Event] = []
    said_to(VpcdFrontend(EchoCard(), observe=seen.append), framed(*signals))
    assert [event.data[0] for event in seen] == field
    assert {event.source for event in seen} <= {Source.FIELD}


def test_messages_that_arrive_together_are_answered_in_order():
    answers = said_to(VpcdFrontend(EchoCard()), framed(ON, GET_ATR, SELECT, SELECT[:4]))
    assert answers == [contactless_atr(b"ECHO"), SELECT + OK, SELECT[:4] + OK]


@pytest.mark.parametrize("size", [0, 4, 255, 261, 5000, 65535])
def test_frames_of_every_size_come_whole(size):
    message = bytes(i & 0xFF for i in range(size))
    ours, theirs = socket.socketpair()
    with ours, theirs:
        sender = threading.Thread(target=_send_and_end, args=(theirs, framed(message, b"end")))
        sender.start()
        assert list(frames(ours)) == [message, b"end"]
        sender.join()


def _send_and_end(link: socket.socket, data: bytes) -> None:
    link.sendall(data)
    link.shutdown(socket.SHUT_WR)


def test_frames_are_put_together_from_single_bytes():
    class OneByteAtATime:
        family = socket.AF_UNIX

        def __init__(self, stream):
            self.rest = iter(stream)

        def recv(self, _size):
            return bytes(byte for byte in [next(self.rest, None)] if byte is not None)

    assert list(frames(OneByteAtATime(framed(ON, b"", SELECT)))) == [ON, b"", SELECT]


def test_a_message_cut_off_by_the_end_is_dropped():
    card = EchoCard()
    assert said_to(VpcdFrontend(card), framed(SELECT) + framed(SELECT)[:-1]) == [SELECT + OK]
    assert card.commands == [SELECT]


@pytest.mark.parametrize("answer", [b"", b"\x90", bytes(65536)], ids=["none", "one", "too many"])
def test_an_answer_that_is_no_response_becomes_6f00(answer, caplog):
    assert said_to(VpcdFrontend(EchoCard(lambda _: answer)), framed(SELECT)) == [b"\x6f\x00"]
    assert "a response has 2 to 65535 bytes" in caplog.text


def test_a_bug_in_the_card_is_logged_without_data_and_answered_6f00(caplog):
    def fail(command: bytes) -> bytes:
        raise ZeroDivisionError("the bug")

    stream = framed(SELECT + b"secret", GET_ATR)
    answers = said_to(VpcdFrontend(EchoCard(fail)), stream)
    assert answers == [b"\x6f\x00", contactless_atr(b"ECHO")]
    [record] = caplog.records
    assert record.levelno == logging.ERROR
    assert record.getMessage() == "the card failed on 00 a4 04 00 and answered 6F00"
    assert "ZeroDivisionError: the bug" in caplog.text


def test_observer_sees_exchanges_and_no_signals():
    seen = []
    frontend = VpcdFrontend(EchoCard(), on_exchange=lambda c, r: seen.append((c, r)))
    said_to(frontend, framed(ON, GET_ATR, SELECT, OFF))
    assert seen == [(SELECT, SELECT + OK)]


def test_the_card_can_be_taken_away_between_a_command_and_its_answer():
    card = EchoCard()
    frontend = VpcdFrontend(card)

    def leave(command: bytes) -> bytes:
        frontend.stop()
        return OK

    card.answer = leave
    ours, theirs = socket.socketpair()
    with theirs:
        theirs.sendall(framed(SELECT))
        frontend.attend(ours)
        assert list(frames(theirs)) == []
    assert card.powers == ["off"]


def test_a_front_end_stopped_before_it_serves_does_not_serve():
    card = EchoCard()
    frontend = VpcdFrontend(card)
    frontend.stop()
    frontend.stop()
    ours, theirs = socket.socketpair()
    with theirs:
        frontend.attend(ours)
        assert list(frames(theirs)) == []
    assert card.powers == []


def serving_threads() -> list[threading.Thread]:
    return [thread for thread in threading.enumerate() if thread.name == "vpcd card"]


def test_running_serves_in_a_thread_and_takes_the_card_away(listening):
    running = VpcdFrontend(EchoCard(), port=listening.getsockname()[1]).running()
    with ExitStack() as vpcd_side:
        with running:
            theirs = vpcd_side.enter_context(listening.accept()[0])
            theirs.sendall(framed(SELECT))
            answers = frames(theirs)
            assert next(answers) == SELECT + OK
        assert list(answers) == []
    assert serving_threads() == []


def test_running_hands_on_the_loss_of_vpcd(listening):
    frontend = VpcdFrontend(EchoCard(), port=listening.getsockname()[1])
    with pytest.raises(FrontendError, match="closed the connection"), frontend.running():  # noqa: PT012
        [serving] = serving_threads()
        listening.accept()[0].close()
        serving.join()


def test_no_vpcd_is_one_sentence_with_advice():
    with socket.socket() as bound:  # and not listening, so that nobody else can
        bound.bind(("127.0.0.1", 0))
        port = bound.getsockname()[1]
        with pytest.raises(FrontendError) as failure:
            VpcdFrontend(EchoCard(), port=port).serve()
    assert str(failure.value) == (
        f"no vpcd answers at 127.0.0.1:{port}; install pcscd and vsmartcard-vpcd and start pcscd "
        "(running pcsc_scan once does)."
    )


def test_a_slot_that_never_speaks_is_taken_by_another_card(listening, monkeypatch):
    monkeypatch.setattr(vpcd, "_FIRST_MESSAGE_S", 0.05)
    frontend = VpcdFrontend(EchoCard(), port=listening.getsockname()[1])
    with pytest.raises(FrontendError, match="another card is in that slot"):
        frontend.serve()


@pytest.fixture
def listening():
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield server


class _Tcp:
    """A socket that notes in which order it is used."""

    family = socket.AF_INET

    def __init__(self, *chunks: bytes) -> None:
        self.chunks = list(chunks)
        self.calls: list[str] = []

    def setsockopt(self, level: int, option: int, value: int) -> None:
        assert (level, option, value) == (socket.IPPROTO_TCP, socket.TCP_QUICKACK, 1)
        self.calls.append("quickack")

    def recv(self, size: int) -> bytes:
        self.calls.append("recv")
        return self.chunks.pop(0) if self.chunks else b""


def test_quick_acknowledgement_is_armed_again_before_every_receive():
    """The kernel clears it now and then; a delayed one costs Debian's vpcd 44 ms an APDU."""
    link = _Tcp(b"\0", b"\x01\x04", b"\0\x01\x01")
    assert list(frames(link)) == [b"\x04", b"\x01"]
    assert link.calls == ["quickack", "recv"] * 4

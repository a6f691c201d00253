"""Stations for tests, brought to each of their states frame by frame."""

from apdu.frame import REQA, SHORT_BITS, WUPA, Frame
from emulator.radio.activation import State
from emulator.radio.station import Station
from tests.unit.pcd import PHONE, EchoCard
from tests.unit.talk import x

UID = PHONE.uid + bytes([PHONE.uid[0] ^ PHONE.uid[1] ^ PHONE.uid[2] ^ PHONE.uid[3]])
POLL = Frame(REQA, SHORT_BITS)
WAKE = Frame(WUPA, SHORT_BITS)
ANTICOLLISION = Frame(x("9320"))
SELECT = Frame.whole(x("9370") + UID)
RATS = Frame.whole(x("E080"))


class Takes:
    """Every command takes as long; ns may be changed."""

    def __init__(self, took_ns: int) -> None:
        self.took_ns = took_ns

    def time_ns(self, command: bytes) -> int:
        return self.took_ns


def ask(station: Station, frame: Frame | str) -> str | None:
    """One frame, or one body with its checksum. Returns the answer's bytes, or None."""
    frame = Frame.whole(x(frame)) if isinstance(frame, str) else frame
    reply = station.receive(frame, 0)
    return None if reply is None else reply.frame.data.hex().upper()


def timed(station: Station, body: str) -> tuple[str, int] | None:
    """One body. Returns the answer's body and its delay."""
    reply = station.receive(Frame.whole(x(body)), 0)
    if reply is None:
        return None
    answer = reply.frame.body()
    assert answer is not None
    return answer.hex().upper(), reply.after_ns


def in_field(card: EchoCard | None = None, took_ns: int | None = None) -> Station:
    station = Station(
        EchoCard() if card is None else card, None if took_ns is None else Takes(took_ns)
    )
    station.field_on()
    return station


def active(card: EchoCard | None = None, took_ns: int | None = None) -> Station:
    station = in_field(card, took_ns)
    for frame in (POLL, ANTICOLLISION, SELECT):
        assert station.receive(frame, 0) is not None
    return station


def opened(card: EchoCard | None = None, took_ns: int | None = None, rats: str = "E080") -> Station:
    station = active(card, took_ns)
    assert ask(station, rats) is not None
    return station


def state(station: Station) -> State:
    return station.link.activation.state

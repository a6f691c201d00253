"""A reader's machine fed by hand: what it must send, and what it then hears."""

from collections.abc import Iterator
from typing import TypeVar

from emulator.radio.medium import Ask, Heard, Radio, Trouble
from emulator.radio.pcd import PcdIsoDep

T = TypeVar("T")

SILENCE = Heard(b"", Trouble.TIMEOUT)
SPOILT = tuple(Heard(b"", trouble) for trouble in (Trouble.CRC, Trouble.PARITY, Trouble.FRAMING))

Answer = str | Heard
Turn = tuple[str, Answer]


def x(text: str) -> bytes:
    return bytes.fromhex(text)


def said(answer: Answer) -> Heard:
    return answer if isinstance(answer, Heard) else Heard(x(answer))


def play(radio: Radio[T], *turns: Turn) -> T:
    """Carry a conversation through these turns to its end; it must send just what they say."""
    asks = played(radio, *turns)
    while True:
        try:
            next(asks)
        except StopIteration as end:
            result: T = end.value
            return result


def played(radio: Radio[T], *turns: Turn) -> Iterator[Ask]:
    """The same, each `Ask` seen on the way."""
    ask = next(radio)
    for n, (sent, answer) in enumerate(turns, 1):
        assert ask.data.hex().upper() == sent.replace(" ", "").upper(), f"turn {n}"
        yield ask
        try:
            ask = radio.send(said(answer))
        except StopIteration as end:
            assert n == len(turns), f"it ends after turn {n}"
            return end.value
    raise AssertionError(f"it goes on with {ask.data.hex().upper()}")


def opened(
    ats: str = "0578807002", fsdi: int = 8, cid: int | None = None, tries: int = 3
) -> PcdIsoDep:
    """A reader that has got this ATS."""
    pcd = PcdIsoDep(fsdi, cid, tries)
    assert play(pcd.activate(), (f"E0{fsdi:X}{cid or 0:X}", ats)) == x(ats)
    return pcd

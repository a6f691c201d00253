"""What passes between a reader's machine, a field and the cards in it.

A reader's machine is a generator (`emulator.radio.pcd`): it yields an `Ask` and gets a `Heard`.
A `Field` carries asks to the cards in it: the simulated air, or the air of a chip. A `Guest` is
whatever answers in a field: a card of ours, a phone, a chip that plays a card.
"""

from collections.abc import Generator
from enum import StrEnum
from typing import Protocol, TypeVar, runtime_checkable

from apdu.frame import Frame
from apdu.value import value

T = TypeVar("T")

RATS_TIMEOUT_NS = 4_833_038
"""RATS and S(DESELECT) are answered within 65536/fc (ISO/IEC 14443-4, 7.2)."""
POLL_TIMEOUT_NS = 1_000_000
"""Frames of ISO/IEC 14443-3 are answered after one frame delay time or never; this is to spare."""


class Trouble(StrEnum):
    """Why a reader heard nothing it can use."""

    NONE = ""
    TIMEOUT = "timeout"
    COLLISION = "collision"
    PARITY = "parity"
    CRC = "crc"
    FRAMING = "framing"  # not whole bytes where whole bytes are due


@value
class Ask:
    """What a reader sends, and how it listens.

    data:       without checksum.
    timeout_ns: from the end of the frame to the start of the answer.
    tail:       bits of the last byte to send, 7 for REQA and WUPA, less in split anticollision.
    adds_crc:   whether a checksum is sent behind the data.
    wants_crc:  whether the answer must end with a right one, which is then taken off.
    rates:      bit rates to the card and back, as in `Frame.rate`.
    rest_ns:    least silence since the last answer, beyond the frame delay time (SFGT).
    """

    data: bytes
    timeout_ns: int
    tail: int = 8
    adds_crc: bool = True
    wants_crc: bool = True
    rates: tuple[int, int] = (0, 0)
    rest_ns: int = 0


@value
class Heard:
    """What a reader heard.

    data:      without checksum if one was wanted; b"" if there is `trouble`, but for a collision,
               where it holds the bits before it.
    collision: how many bits of the answer came before the two cards differed; None without one.
    """

    data: bytes
    trouble: Trouble = Trouble.NONE
    collision: int | None = None


@value
class Reply:
    """What a guest answers, and how long after the end of the reader's frame, in nanoseconds."""

    frame: Frame
    after_ns: int = 0


Radio = Generator[Ask, Heard, T]
"""A reader's conversation that ends with a value of type T."""


class Guest(Protocol):
    """Something in a field."""

    def field_on(self) -> None:
        """The field comes up. May come when it is up already."""
        ...

    def field_off(self) -> None:
        """The field is gone, or the guest has been taken out of it."""
        ...

    def receive(self, frame: Frame, timeout_ns: int) -> Reply | None:
        """Take one frame; answer, or stay silent. timeout_ns: how long the reader listens."""
        ...


@runtime_checkable
class Tearable(Protocol):
    """A guest that wants to know beforehand that it will be taken away while it works."""

    def leaves_after(self, ns: int | None) -> None:
        """How long after the end of the next frame it stays in the field; None: for longer."""
        ...


class Field(Protocol):
    """A reader's antenna."""

    def field_on(self) -> None:
        """Switch the field on. Nothing happens in a field that is on."""
        ...

    def field_off(self) -> None:
        """Switch the field off: every card in it is powered off."""
        ...

    def exchange(self, ask: Ask) -> Heard:
        """Send a frame and listen. The field is on."""
        ...


def drive(conversation: Radio[T], field: Field) -> T:
    """Carry a reader's conversation through a field to its end."""
    try:
        ask = next(conversation)
        while True:
            ask = conversation.send(field.exchange(ask))
    except StopIteration as end:
        result: T = end.value
        return result

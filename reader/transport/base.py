"""What every way to reach a card looks like, and how it fails.

A transport is a card in the field; a coupler (PCD) is what finds one. Both are synchronous:
the protocol is half duplex and every real driver blocks.
"""

from contextlib import AbstractContextManager, nullcontext
from typing import Protocol


class TransportError(Exception):
    """The link broke; the card's answer is unknown. The message is one sentence for people."""


class CardLost(TransportError):
    """The card left the field while an answer was due. A debit may or may not have happened."""


class NoCard(TransportError):
    """No card came into the field in the time given."""


class ReaderFault(TransportError):
    """The reader itself is missing, busy or broken; the message says what to do."""


class Transport(Protocol):
    """A card in the field. Short C-APDU in, whole R-APDU out, one at a time."""

    def transmit(self, command: bytes) -> bytes:
        """Send one command. Returns data and status word. Raises TransportError."""
        ...


def exclusively(link: Transport) -> AbstractContextManager[object]:
    """Keep other programs from the card for a block, where the road has other programs (PC/SC)."""
    hold = getattr(link, "exclusive", None)
    return nullcontext() if hold is None else hold()


class Coupler(Protocol):
    """A reader that can wait for cards."""

    def wait_card(self, timeout_s: float) -> Transport:
        """Wait until a card is in the field and activated. Raises NoCard, ReaderFault."""
        ...

    def wait_gone(self, timeout_s: float) -> bool:
        """Wait until the card has left the field. Returns whether it has."""
        ...

    def close(self) -> None:
        """Switch the field off and give the reader back."""
        ...

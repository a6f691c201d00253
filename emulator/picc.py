"""What every front end knows of a card: the first of the project's seams."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol, runtime_checkable


@dataclass(frozen=True, slots=True)
class Contactless:
    """How a card answers before the first APDU (protocol reference 1.1).

    atqa: 2 bytes as they go on air, low byte first.   sak: 1 byte value.
    uid:  4 or 7 bytes.                                ats: TL, T0, TA, TB, TC, historical; no CRC.
    """

    atqa: bytes
    sak: int
    uid: bytes
    ats: bytes

    @property
    def historical(self) -> bytes:
        """The historical bytes of the ATS, what is left after the interface bytes."""
        if len(self.ats) < 2:
            return b""
        return self.ats[2 + (self.ats[1] & 0x70).bit_count() :]


ContactlessOf = Callable[[], Contactless | None]
"""How a card answers in the field that comes up now; None: it ignores that field."""


class CardGone(Exception):
    """The card left the field over a command: nobody hears an answer, until a field comes anew."""


class Picc(Protocol):
    """A card in somebody's field. Total: any bytes in, at least two bytes out."""

    contactless: Contactless

    def power_on(self) -> bytes:
        """The field comes up: volatile state is fresh. Returns the historical bytes of the ATS."""
        ...

    def power_off(self) -> None:
        """The field is gone, or S(DESELECT) came: challenge and pending transaction are lost."""
        ...

    def process(self, command: bytes) -> bytes:
        """Answer a C-APDU with an R-APDU; never raises on input.

        Raises CardGone only where a card is made to leave, as a bench does.
        """
        ...


@runtime_checkable
class ContactCard(Protocol):
    """A card with contacts in somebody's slot, such as a PSAM. Total, as a Picc is."""

    @property
    def atr(self) -> bytes:
        """The answer to reset."""
        ...

    def power_on(self) -> bytes:
        """The slot is powered: volatile state is fresh. Returns the ATR."""
        ...

    def power_off(self) -> None:
        """The slot is unpowered."""
        ...

    def process(self, command: bytes) -> bytes:
        """Answer a C-APDU with an R-APDU; never raises on input."""
        ...

"""The guard in front of the hardware tests: only test cards are written to."""

from apdu.codec import WireError
from apdu.commands import (
    AID_PURSE,
    GET_BALANCE,
    GET_PROVE,
    READ_BINARY,
    READ_RECORD,
    SELECT,
)
from apdu.files import PublicInfo
from apdu.tlv import value_of
from apdu.trace import explain_command
from reader.session import ProtocolError, StatusError, run
from reader.transactions import Blocked, select_purse
from reader.transport.base import Transport

TEST_ISSUER = bytes.fromhex("09981001")
"""The laboratory's issuer code, on cards that no gate in service accepts (Q2)."""

_SELECT = bytes((SELECT.cla, SELECT.ins))

READING = frozenset(
    bytes((spec.cla, spec.ins))
    for spec in (SELECT, READ_BINARY, READ_RECORD, GET_BALANCE, GET_PROVE)
)
"""Class and instruction of what changes nothing on a card. All else counts as writing."""


class Refused(Exception):
    """The card on the reader is not for us to read or to write. One sentence."""


class Guard:
    """A transport to a card with the purse; commands that write pass to test cards alone.

    may_write: whether whoever started the tests has said that they may write.
    What counts is the application that is selected: a card may have a purse of another issuer, too.
    Raises Refused for a card without the purse, before anything but SELECT is sent.
    """

    def __init__(self, link: Transport, may_write: bool) -> None:
        self._link = link
        self._may_write = may_write
        try:
            self.info: PublicInfo = run(select_purse(directory=False), {"card": link})
        except (StatusError, ProtocolError, Blocked) as error:
            raise Refused(
                f"The card on the reader has no purse {AID_PURSE.hex().upper()} that can be used"
                f" ({error}); put a T-Union card of the test issuer there."
            ) from error
        self._selected: PublicInfo | None = self.info

    def transmit(self, command: bytes) -> bytes:
        """See Transport. Raises Refused for a command that must not reach this card."""
        if command[:2] not in READING:
            self.demand_writable(explain_command(command).title)
        response = self._link.transmit(command)
        if command[:2] == _SELECT:
            self._selected = _purse(response)
        return response

    def demand_writable(self, what: str = "The test") -> None:
        """Raise Refused unless the card is a test card and writing is allowed."""
        if self._selected is None:
            raise Refused(f"{what} would write to the card, and no purse is selected on it.")
        issuer = self._selected.issuer[: len(TEST_ISSUER)]
        if issuer != TEST_ISSUER:
            raise Refused(
                f"{what} would write to a card of issuer {issuer.hex()}: only cards of the test"
                f" issuer {TEST_ISSUER.hex()} are written to."
            )
        if not self._may_write:
            raise Refused(f"{what} would write to the card: give --dangerous-write to allow it.")


def _purse(selected: bytes) -> PublicInfo | None:
    """Whose purse an answer to SELECT shows; None if it shows none."""
    try:
        data = value_of(selected[:-2], 0x9F0C) if selected[-2:] == b"\x90\x00" else None
        return None if data is None else PublicInfo.from_wire(data)
    except WireError:
        return None

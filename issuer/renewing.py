"""The card's part of a renewal: a new last day in EF15 under secure messaging (6.6)."""

from datetime import date

from apdu.bcd import pack_date
from apdu.file_commands import UPDATE_BINARY_MAC
from apdu.files import EF15, PublicInfo
from apdu.records import Protected
from apdu.sw import SW
from apdu.value import value
from issuer.card_access import (
    CardBlocked,
    CardUnfit,
    MacHost,
    find_card,
    mac_for,
    read_public_info,
    select_purse,
    tries_left,
)
from issuer.rules_table import holds
from reader.session import ProtocolError, StatusError, Txn, ask

_END_DATE = 0x18
"""Offset of the last valid day in EF15 (3.2)."""


class MacRefused(CardUnfit):
    """The card says the MAC is wrong. Nothing was written, and nobody should try again soon.

    tries_left: None if the card does not say.
    """

    def __init__(self, info: PublicInfo, sw: int) -> None:
        super().__init__(
            f"card {info.serial.hex()} refuses the MAC ({sw:04X}); check that the key is this"
            " card's before trying again: the third wrong MAC in a row blocks the card for good"
        )
        self.tries_left = tries_left(sw)


@value
class Renewed:
    """A card with its new last day. before: EF15 as it was found. is_written: by this run."""

    before: PublicInfo
    info: PublicInfo
    is_written: bool


@holds("R28")
def renew_card(serial: bytes, new_end: date, host: MacHost) -> Txn[Renewed]:
    """Write a card's last valid day, and read it back from EF15 and from tag 9F0C.

    Cut anywhere, it is run again: a card that has the day already is not written. Which day is the
    caller's to say. host: owns DAMK.
    Raises CardBlocked (for good: replace the card), MacRefused, WrongCard, StatusError,
    ProtocolError.
    """
    before = yield from find_card(serial)
    end = pack_date(new_end)
    held = before.build()
    wanted = PublicInfo.from_wire(held[:_END_DATE] + end + held[_END_DATE + len(end) :])
    if before != wanted:
        yield from _write(before, end, host)
    yield from _read_back(wanted)
    return Renewed(before, wanted, is_written=before != wanted)


def _write(info: PublicInfo, end: bytes, host: MacHost) -> Txn[None]:
    p1 = 0x80 | EF15.sfi
    mac = yield from mac_for(UPDATE_BINARY_MAC, info, host, p1, _END_DATE, end)
    try:
        yield from ask("card", UPDATE_BINARY_MAC, Protected(end + mac), p1, _END_DATE)
    except StatusError as refused:
        if refused.sw == SW.PERMANENTLY_BLOCKED:
            raise CardBlocked(info, is_permanent=True) from refused
        if refused.sw == SW.MAC_WRONG or tries_left(refused.sw) is not None:
            raise MacRefused(info, refused.sw) from refused
        raise


def _read_back(wanted: PublicInfo) -> Txn[None]:
    read = yield from read_public_info()
    if read != wanted:
        raise ProtocolError(
            f"EF15 ends on {read.end_date.hex()} after the renewal to {wanted.end_date.hex()}"
        )
    shown = yield from select_purse()
    if shown != wanted:
        said = "not shown" if shown is None else shown.end_date.hex()
        raise ProtocolError(
            f"the FCI's last day is {said} after the renewal to {wanted.end_date.hex()}"
        )

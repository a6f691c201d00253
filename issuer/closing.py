"""The card's part of a return: unload everything, then block the purse for good (6.5)."""

from apdu.bcd import Moment
from apdu.commands import GET_BALANCE, READ_RECORD
from apdu.files import EF1A, PublicInfo
from apdu.key_commands import APPLICATION_BLOCK
from apdu.records import OnlyMac
from apdu.sw import SW
from apdu.value import value
from issuer.card_access import CardBlocked, CardUnfit, MacHost, WrongCard, find_card, mac_for
from issuer.rules_table import holds
from issuer.unloading import (
    UnloadHost,
    UnloadReceipt,
    UnresolvedUnload,
    recover_unload,
    unload,
)
from reader.session import StatusError, Txn, ask

_USED, _ACTUAL = 0x02, 0x03
"""P1 of GET BALANCE: overdraft in use, actual balance (4.12)."""

_RAIL, _BUS = 0x01, 0x02
_STATE = 14
"""Records of EF1A, and where each says whether the trip is open (3.8, 3.9)."""

_OPEN = 0x01
_PERMANENT = 0x01


class OpenTrip(CardUnfit):
    """The passenger is inside a station or on a bus; nothing was written."""

    def __init__(self) -> None:
        super().__init__("the card has an open trip; end it at a gate or have staff correct it")


class CardOwes(CardUnfit):
    """An overdraft is in use; nothing was written. amount: fen."""

    def __init__(self, amount: int) -> None:
        yuan, fen = divmod(amount, 100)
        super().__init__(f"the card owes {yuan}.{fen:02d} yuan; top it up by that first")
        self.amount = amount


@value
class ClosingHosts:
    """Who owns the keys of a return. unload: UMK. block: BMK."""

    unload: UnloadHost
    block: MacHost


@value
class Desk:
    """Where and when a return is made. terminal: 6 bytes. at: Asia/Shanghai."""

    terminal: bytes
    at: Moment


@value
class Closed:
    """A card at its end. unloads: what this run took off it or found taken off.

    was_closed: it was blocked for good before this run. Whether by a return or by three wrong MACs
    the card does not say, nor what it still holds: that is in the books.
    """

    info: PublicInfo
    unloads: tuple[UnloadReceipt, ...]
    was_closed: bool


@holds("R33")
def close_card(
    serial: bytes,
    hosts: ClosingHosts,
    desk: Desk,
    lost: UnresolvedUnload | None = None,
    *,
    may_be_inside: bool = False,
) -> Txn[Closed]:
    """Take a card back: unload all of it, then block it for good.

    Cut anywhere, it is run again; after UnloadInterrupted with what that carries.
    lost: an unload of which it is not known whether the card made it; it is asked first.
    may_be_inside: take the card back though its trip is open.
    Raises UnloadInterrupted, OpenTrip, CardOwes, CardBlocked (for a time: unblock it first; for
    good, if an unload is not known), WrongCard, StatusError, ProtocolError.
    """
    try:
        info = yield from find_card(serial)
    except CardBlocked as blocked:
        return _already_closed(blocked, serial, lost)
    unloads: list[UnloadReceipt] = []
    if lost is not None:
        found = yield from recover_unload(lost, hosts.unload)
        unloads += [] if found is None else [found]
    if not may_be_inside:
        yield from _demand_no_trip()
    owed = yield from ask("card", GET_BALANCE, None, _USED, 0x02)
    if owed.amount:
        raise CardOwes(owed.amount)
    held = yield from ask("card", GET_BALANCE, None, _ACTUAL, 0x02)
    if held.amount:
        unloads.append((yield from unload(info, held.amount, hosts.unload, desk.terminal, desk.at)))
    yield from block_for_good(info, hosts.block)
    return Closed(info, tuple(unloads), was_closed=False)


def _already_closed(blocked: CardBlocked, serial: bytes, lost: UnresolvedUnload | None) -> Closed:
    """What a blocked card means to a return: done, if it is this card and nothing is unknown."""
    info = blocked.info
    if info is not None and info.serial != serial:
        raise WrongCard(info.serial, serial) from blocked
    if info is None or not blocked.is_permanent or lost is not None:
        raise blocked
    return Closed(info, (), was_closed=True)


def block_for_good(info: PublicInfo, host: MacHost) -> Txn[None]:
    """APPLICATION BLOCK, permanent, of the selected purse (4.19). Raises StatusError."""
    mac = yield from mac_for(APPLICATION_BLOCK, info, host, 0x00, _PERMANENT)
    yield from ask("card", APPLICATION_BLOCK, OnlyMac(mac), 0x00, _PERMANENT)


def _demand_no_trip() -> Txn[None]:
    for number in (_RAIL, _BUS):
        try:
            record = yield from ask("card", READ_RECORD, None, number, EF1A.sfi << 3 | 4)
        except StatusError as refused:
            if refused.sw != SW.RECORD_NOT_FOUND:
                raise
            continue
        if record[_STATE : _STATE + 1] == bytes((_OPEN,)):
            raise OpenTrip

"""The card's part of opening: a card of the maker's stock becomes the card ordered.

Opening is cut anywhere and begun again with the same result. What makes that safe is the order of
things (`apdu.personal`): the maker's transport key gives way to the card's own key in one command,
from then on only the holder of that key can erase the card, and EF15 comes last. A card without
EF15 is nobody's and is erased and filled anew; a card with EF15 is never written to again here.
"""

from collections.abc import Mapping
from typing import Protocol

from apdu.commands import GET_BALANCE, INIT_LOAD
from apdu.crypto import Key, compare_digest
from apdu.file_commands import SELECT_FILE
from apdu.files import EF15, EF17, PublicInfo
from apdu.fmcos import KEY_INDEX
from apdu.order import CardOrder, Secrets, card_secrets, interop, public_info
from apdu.personal import (
    MF,
    PersonalisationError,
    bare_script,
    change_master,
    present_master,
    stock_script,
)
from apdu.purse import LOAD, card_key, online_mac1, online_session
from apdu.records import InitializeData, InitLoadReply, SelectId
from apdu.sw import SW
from issuer.card_access import (
    CardUnfit,
    parse_public_info,
    play,
    read_file,
    select_purse,
    tries_left,
)
from reader.session import ProtocolError, StatusError, Txn, ask

_SPARE_TRIES = 3
"""A card's own key has 15 tries. If a wrong transport key leaves fewer than these, the key on the
card is somebody else's, and is not tried again."""

_NO_KEY = (SW.FILE_NOT_FOUND, SW.REFERENCE_NOT_FOUND)


class CardInUse(CardUnfit):
    """The card is somebody's already; nothing was written. info: its EF15."""

    def __init__(self, info: PublicInfo) -> None:
        super().__init__(
            f"card {info.serial.hex()} is in use already; take a new one from the stock"
        )
        self.info = info


class NotFromStock(CardUnfit):
    """The card is neither new nor begun for this order; nothing was written."""


class OpeningHost(Protocol):
    """The party that owns the root keys and the transport key of the stock."""

    def transport(self) -> Key:
        """The key on cards of the stock, 16 bytes."""
        ...

    def secrets(self, order: CardOrder) -> Secrets:
        """The keys this card gets."""
        ...

    def begin(self, order: CardOrder) -> None:
        """A card nobody has written to is about to be written to for this order.

        What it raises leaves the card as it is: so no order is begun on a second card, and no two
        cards get one serial.
        """
        ...

    def check(self, info: PublicInfo, asked: InitializeData, offer: InitLoadReply) -> None:
        """Check MAC1 of a load that nobody will make. Raises ProtocolError if it is wrong."""
        ...


class SoftOpeningHost:
    """An opening host with its keys in memory. roots: by the names of `apdu.order.ROOTS`."""

    def __init__(self, roots: Mapping[str, Key], transport: Key) -> None:
        self._roots = roots
        self._transport = transport

    def transport(self) -> Key:
        """See OpeningHost."""
        return self._transport

    def secrets(self, order: CardOrder) -> Secrets:
        """See OpeningHost."""
        return card_secrets(order.issuer, order.serial, self._roots, sm4=order.sm4)

    def begin(self, order: CardOrder) -> None:
        """See OpeningHost. Any card will do."""

    def check(self, info: PublicInfo, asked: InitializeData, offer: InitLoadReply) -> None:
        """See OpeningHost."""
        dlk = card_key(self._roots["LMK"], info.issuer, info.serial)
        session = online_session(dlk, offer.random, offer.online_seq)
        mac1 = online_mac1(session, offer.balance, asked.amount, LOAD, asked.terminal)
        if not compare_digest(mac1, offer.mac1):
            raise ProtocolError("INITIALIZE FOR LOAD: MAC1 is not this card's")


def personalise_card(order: CardOrder, host: OpeningHost) -> Txn[bool]:
    """Make the card ordered of the one presented: a new one, or one that this order has begun.

    Cut anywhere, it is run again with the same order and ends in the same card. A card whose master
    file is empty and has no key is filled too, but once cut it cannot be finished.
    Returns whether anything was written: False on the card that this order has made already.
    Raises CardInUse, CardBlocked, NotFromStock, StatusError, ProtocolError, and what the host's
    `begin` raises.
    """
    is_begun, held = yield from _found()
    if held is not None:
        if held == public_info(order):
            return False
        raise CardInUse(held)
    secrets = host.secrets(order)
    try:
        if (yield from _unlock(order, secrets.dack, host, is_begun)):
            yield from play(stock_script(order, secrets, secrets.dack))
        else:
            yield from play(bare_script(order, secrets))
    except PersonalisationError as error:
        raise ProtocolError(f"opening stopped: {error}; present the card again") from error
    return True


def _found() -> Txn[tuple[bool, PublicInfo | None]]:
    """Whether the card has a purse, and that purse's EF15 if it was ever written."""
    try:
        yield from select_purse()
    except StatusError as refused:
        if refused.sw == SW.FILE_NOT_FOUND:
            return False, None
        raise
    try:
        data = yield from read_file(EF15.sfi)
    except StatusError as refused:
        if refused.sw in (SW.DATA_MAY_BE_BAD, SW.FILE_NOT_FOUND):
            return True, None
        raise
    if not any(data):
        return True, None  # some cards answer 9000 and zeros for a file never written (annex 9)
    return True, parse_public_info(data)


def _unlock(order: CardOrder, own: Key, host: OpeningHost, is_begun: bool) -> Txn[bool]:
    """Present the master file's key, which is the card's own from now on.

    Returns False on a card without any key. Raises NotFromStock.
    """
    yield from ask("card", SELECT_FILE, SelectId(MF))
    if not is_begun:
        sw = yield from play(present_master(host.transport()))
        if sw in _NO_KEY:
            host.begin(order)
            return False
        if sw == SW.OK:
            host.begin(order)
            yield from play(change_master(host.transport(), own))
        elif (tries_left(sw) or 0) < _SPARE_TRIES:
            raise NotFromStock(
                f"the card does not take the transport key ({sw:04X}); take one from the stock"
            )
    sw = yield from play(present_master(own))
    if sw != SW.OK:
        raise NotFromStock(
            f"the card was begun for another order, or in another way ({sw:04X}); take a new one"
        )
    return True


def verify_opened(order: CardOrder, host: OpeningHost, terminal: bytes) -> Txn[None]:
    """Read a card back that was just made: EF15, EF17, FCI, an empty purse and its load key.

    terminal: 6 bytes, for a load that is begun and dropped. Nothing is written.
    Raises ProtocolError if the card is not what was ordered, CardBlocked, StatusError.
    """
    info = public_info(order)
    shown = yield from select_purse()
    _demand("the FCI's 9F0C", None if shown is None else shown.build(), info.build())
    for spec, wanted in ((EF15, info), (EF17, interop(order))):
        data = yield from read_file(spec.sfi)
        _demand(f"EF{spec.sfi:02X}", data, wanted.build())
    held = yield from ask("card", GET_BALANCE, None)
    asked = InitializeData(KEY_INDEX, 1, terminal)
    offer = yield from ask("card", INIT_LOAD, asked)
    if held.amount or offer.online_seq:
        raise ProtocolError(
            f"the new card holds {held.amount} fen after {offer.online_seq} transactions"
        )
    host.check(info, asked, offer)
    yield from select_purse()  # any other command drops the load (4.2)


def _demand(what: str, found: bytes | None, wanted: bytes) -> None:
    if found != wanted:
        said = "nothing" if found is None else found.hex().upper()
        raise ProtocolError(f"{what} of the new card is {said}, ordered {wanted.hex().upper()}")

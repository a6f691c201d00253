"""What a terminal does with a card: select it, read it, debit it, and recover a lost debit.

Theory of operation. Each transaction is a generator (`reader.session`): it yields commands for the
card or the PSAM and returns a value. The order of commands is that of the printed ladders
(protocol reference 6). What a ride writes with its debit is in `reader.rides`.

The central case is the card that leaves between DEBIT and its answer. The terminal must not assume
failure: it raises `Interrupted` with what it needs to ask GET TRANSACTION PROVE later (`recover`).
"""

from collections.abc import Callable
from functools import lru_cache
from typing import Any, Protocol

from apdu.bcd import Moment
from apdu.codec import Record, WireError
from apdu.commands import (
    AID_PPSE,
    AID_PURSE,
    DEBIT,
    EP,
    GET_BALANCE,
    INIT_CAPP,
    INIT_PURCHASE,
    READ_BINARY,
    READ_RECORD,
    SAM_CREDIT_PURCHASE,
    SAM_INIT_PURCHASE,
    SELECT,
    UPDATE_CACHE,
)
from apdu.files import (
    EF1A,
    EF1E,
    EF15,
    EF17,
    BusTrip,
    Interop,
    PublicInfo,
    RailTrip,
    TripLog,
)
from apdu.purse import CAPP, PURCHASE
from apdu.records import (
    CacheData,
    DebitData,
    InitializeData,
    InitPurchaseReply,
    SamCreditData,
    SamPurchaseData,
    SamPurchaseReply,
    SelectName,
)
from apdu.spec import CommandSpec
from apdu.sw import SW, is_blocked
from apdu.tlv import Tlv, value_of
from apdu.value import value
from reader.session import ProtocolError, StatusError, Txn, ask, exchange
from reader.transport.base import TransportError

KEY_INDEX = 1
"""The key index named in INITIALIZE where no PSAM says another (5.7)."""

_PPSE = SELECT.command(SelectName(AID_PPSE))
_PURSE = SELECT.command(SelectName(AID_PURSE))
_EF15 = READ_BINARY.command(None, 0x80 | EF15.sfi, 0)
_EF17 = READ_BINARY.command(None, 0x80 | EF17.sfi, 0)
_EF1A = READ_RECORD.command(None, 0x01, EF1A.sfi << 3 | 4)
_EF1A_BUS = READ_RECORD.command(None, 0x02, EF1A.sfi << 3 | 4)
_EF1E = READ_RECORD.command(None, 0x01, EF1E.sfi << 3 | 4)
_BALANCE = GET_BALANCE.command(None)
_ACTUAL = GET_BALANCE.command(None, 0x03, EP)

_PLAIN_FCI = bytes.fromhex("6F31 8408 A000000632010105 A525 9F080102 9F0C1E")
_PLAIN_SIZE = len(_PLAIN_FCI) + PublicInfo.size()
"""Most cards' FCI begins like this and ends with EF15 (2.4): no need to walk it."""


class Blocked(Exception):
    """SELECT says the purse is blocked. sw: its word (2.5)."""

    def __init__(self, sw: int) -> None:
        super().__init__(f"the purse is blocked, SELECT answered {sw:04X}")
        self.sw = sw


@value
class CardView:
    """What a gate reads before it decides."""

    info: PublicInfo
    interop: Interop
    trip: RailTrip


@value
class BusView:
    """What a validator on a bus reads before it decides.

    latest: the newest EF1E record, None if there is none or it was not read.
    """

    info: PublicInfo
    interop: Interop
    trip: BusTrip
    latest: TripLog | None = None


AnyView = CardView | BusView


@value
class Receipt:
    """A transaction the card has committed: what the clearing house gets."""

    serial: bytes
    issuer: bytes
    seq: int
    amount: int
    balance: int
    kind: int
    terminal: bytes
    terminal_seq: int
    when: Moment
    tac: bytes
    recovered: bool = False


@value
class Unresolved:
    """A debit whose answer was lost.

    seq: the number INITIALIZE answered, before the increment.
    """

    info: PublicInfo
    seq: int
    amount: int
    balance_after: int
    kind: int
    terminal: bytes
    terminal_seq: int
    when: Moment


class Interrupted(TransportError):
    """The card left between DEBIT and its answer: `unresolved` says what to ask it next time."""

    def __init__(self, unresolved: Unresolved) -> None:
        super().__init__("the card left before it answered DEBIT; please tap again")
        self.unresolved = unresolved


def select_purse(directory: bool = True) -> Txn[PublicInfo]:
    """Select the purse, through the PPSE unless told not to (2.1).

    The PPSE's entry of lowest priority number that is a purse of ours is taken; a card without
    PPSE, or whose PPSE does not name the purse, is asked for the purse itself, as many readers do.
    Returns EF15 as the FCI shows it. Raises Blocked, StatusError, ProtocolError.
    """
    command = _PURSE
    if directory:
        try:
            command = _listed((yield from exchange("card", SELECT, _PPSE)))
        except StatusError as refused:
            if is_blocked(refused.sw):
                raise Blocked(refused.sw) from refused
    try:
        fci = yield from exchange("card", SELECT, command)
    except StatusError as refused:
        if is_blocked(refused.sw):
            raise Blocked(refused.sw) from refused
        raise
    return _issuer_data(fci)


def _issuer_data(fci: bytes) -> PublicInfo:
    if fci.startswith(_PLAIN_FCI) and len(fci) == _PLAIN_SIZE:
        return PublicInfo.from_wire(fci[len(_PLAIN_FCI) :])
    try:
        data = value_of(fci, 0x9F0C)
        if data is None:
            raise ProtocolError("SELECT: the FCI has no issuer data 9F0C")
        return PublicInfo.from_wire(data)
    except WireError as error:
        raise ProtocolError(f"SELECT: the FCI does not fit: {error}") from error


@lru_cache(maxsize=64)
def _listed(ppse: bytes) -> bytes:
    """The SELECT for the purse a PPSE lists. Remembered: gates see the same few PPSEs all day."""
    best: tuple[int, bytes] | None = None
    try:
        directory = Tlv(ppse).first(0xBF0C)
        for entry in directory.children() if directory else []:
            aid = entry.get(0x4F) if entry.tag == 0x61 else None
            if aid is not None and aid.startswith(AID_PURSE) and len(aid) in SelectName.SIZES:
                rank = int.from_bytes(entry.get(0x87) or b"\xff", "big") & 0x0F
                best = min(best, (rank, aid)) if best else (rank, aid)
    except WireError:
        return _PURSE  # a malformed directory is no reason to turn a passenger away
    return _PURSE if best is None else SELECT.command(SelectName(best[1]))


def read_card() -> Txn[CardView]:
    """EF15, EF17 and the rail trip record of the selected purse."""
    info = yield from read_layout(READ_BINARY, _EF15, PublicInfo)
    interop = yield from read_layout(READ_BINARY, _EF17, Interop)
    trip = yield from read_layout(READ_RECORD, _EF1A, RailTrip)
    return CardView(info, interop, trip)


def read_layout(spec: CommandSpec[None, bytes], command: bytes, layout: type[Record]) -> Txn[Any]:
    """Read a file or record and take it apart. Raises StatusError, ProtocolError."""
    data = yield from exchange("card", spec, command)
    try:
        return layout.parse(data)
    except WireError as error:
        raise ProtocolError(f"{spec.name}: {error}") from error


def read_bus_card(with_log: bool = False) -> Txn[BusView]:
    """EF15, EF17 and the bus trip record of the selected purse.

    with_log: the newest EF1E record too, as validators for a flat fare do (6.3).
    """
    info = yield from read_layout(READ_BINARY, _EF15, PublicInfo)
    interop = yield from read_layout(READ_BINARY, _EF17, Interop)
    # A card that never rode a bus need not have the one, a new one has not the other.
    trip = yield from _read_if_there(_EF1A_BUS, BusTrip)
    latest = (yield from _read_if_there(_EF1E, TripLog)) if with_log else None
    if trip is None or trip.record_id != NO_BUS_TRIP.record_id:
        trip = NO_BUS_TRIP  # some other record is where ours has the bus (3.8)
    return BusView(info, interop, trip, latest)


def _read_if_there(command: bytes, layout: type[Record]) -> Txn[Any]:
    try:
        return (yield from read_layout(READ_RECORD, command, layout))
    except StatusError as refused:
        if refused.sw != SW.RECORD_NOT_FOUND:
            raise
        return None


NO_BUS_TRIP = BusTrip.parse(b"\x27\x02" + bytes((BusTrip.size() - 3, 0x01, 0x01)) + bytes(123))
"""The record of a card that never rode a bus."""


def balance() -> Txn[int]:
    """The available balance, fen: with the overdraft limit, as far as it is not used (4.12)."""
    reply = yield from exchange("card", GET_BALANCE, _BALANCE)
    return reply.amount


def own_money(available: int, most: int) -> Txn[int]:
    """What is in the purse itself, fen, if a card may have more available than `most`.

    The card is asked for it only then: without overdraft limit both are the same.
    """
    if available <= most:
        return available
    reply = yield from exchange("card", GET_BALANCE, _ACTUAL)
    return reply.amount


Write = tuple[int, int, bytes]
"""A record to cache: SFI, P1, content."""

Writes = Callable[[InitPurchaseReply, SamPurchaseReply], list[Write]]
"""Makes the records to cache once balance and transaction number are known."""


Accept = Callable[[InitPurchaseReply], None]
"""Looks at the card's offer before anything is promised; raises to decline."""

Promise = Callable[[Unresolved], None]
"""Keeps a debit that is about to be sent where it outlives the terminal; raises to stop it."""


@value
class Watch:
    """Who looks on at a purchase: before the PSAM is asked, and before DEBIT."""

    accept: Accept | None = None
    promise: Promise | None = None


class Till(Protocol):
    """What INITIALIZE must say of the PSAM (5.7)."""

    @property
    def terminal(self) -> bytes:
        """Its terminal number, 6 bytes, because MAC1 holds it."""
        ...

    @property
    def key_index(self) -> int:
        """Which key the card is to take."""
        ...


_NOBODY = Watch()


def purchase(
    info: PublicInfo,
    amount: int,
    till: Till,
    at: Moment,
    kind: int = PURCHASE,
    writes: Writes | None = None,
    watch: Watch = _NOBODY,
) -> Txn[Receipt]:
    """Debit the purse, with trip records if it is a CAPP purchase (6.1 to 6.3).

    till: the PSAM that answers as "psam".
    Raises Interrupted if after DEBIT it is not certain that nothing was taken: the card lost, its
    answer spoilt, its MAC2 wrong, the PSAM silent (6.9).
    """
    init = INIT_CAPP if kind == CAPP else INIT_PURCHASE
    terminal = till.terminal
    offer = yield from ask("card", init, InitializeData(till.key_index, amount, terminal))
    if watch.accept is not None:
        watch.accept(offer)
    proof = yield from ask("psam", SAM_INIT_PURCHASE, _sam_data(info, offer, amount, kind, at))
    seq, left = proof.terminal_seq, left_of(offer, amount)
    made = Unresolved(info, offer.offline_seq, amount, left, kind, terminal, seq, at)
    if watch.promise is not None:
        watch.promise(made)
    for sfi, p1, content in writes(offer, proof) if writes else []:
        yield from ask("card", UPDATE_CACHE, CacheData(content), p1, sfi << 3)
    debit = DebitData(proof.terminal_seq, at.date, at.time, proof.mac1)
    try:
        paid = yield from ask("card", DEBIT, debit)
        yield from ask("psam", SAM_CREDIT_PURCHASE, SamCreditData(paid.mac2))
    except (TransportError, ProtocolError, StatusError) as lost:
        if _is_refusal(lost):
            raise
        raise Interrupted(made) from lost
    return Receipt(
        info.serial,
        info.issuer,
        offer.offline_seq + 1,
        amount,
        left,
        kind,
        terminal,
        seq,
        at,
        paid.tac,
    )


def _is_refusal(lost: Exception) -> bool:
    """Whether a card says for certain that it has not paid: a word alone, nothing before it."""
    if not isinstance(lost, StatusError) or lost.to != "card":
        return False
    return lost.sw in REFUSALS and not lost.data


REFUSALS = frozenset(
    {
        *DEBIT.errors,
        SW.WRONG_STATE,
        SW.CONDITIONS_OF_USE,
        SW.BALANCE_TOO_LOW,
        SW.WRONG_LENGTH,
        SW.WRONG_P1P2,
        SW.BLOCKED,
        SW.PERMANENTLY_BLOCKED,
        SW.INS_UNKNOWN,
        SW.CLA_UNKNOWN,
        SW.MEMORY_FAILURE,
    }
)
"""Words of a card that has not paid (4.16)."""


def left_of(offer: InitPurchaseReply, amount: int) -> int:
    """Balance after a purchase, fen: the offer includes the overdraft limit (4.14)."""
    return offer.balance - offer.overdraft_limit - amount


def _sam_data(
    info: PublicInfo, offer: InitPurchaseReply, amount: int, kind: int, at: Moment
) -> SamPurchaseData:
    return SamPurchaseData(
        offer.random,
        offer.offline_seq,
        amount,
        kind,
        at.date,
        at.time,
        offer.key_version,
        offer.algorithm,
        info.serial[-8:],
        info.issuer,
    )

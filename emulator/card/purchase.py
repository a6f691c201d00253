"""Spending: purchase, CAPP purchase with its cached records, cash withdraw (4.14 to 4.16)."""

from apdu.commands import DEBIT, EP, INIT_CAPP, INIT_CASH, INIT_PURCHASE, UPDATE_CACHE
from apdu.crypto import compare_digest
from apdu.files import EF1A
from apdu.purse import (
    CAPP,
    CASH_WITHDRAW,
    ED_PURCHASE,
    PURCHASE,
    purchase_session,
    spend_mac1,
    spend_mac2,
    spend_tac,
)
from apdu.records import CacheData, DebitData, DebitReply, InitializeData, InitPurchaseReply
from apdu.spec import Call, Refuse
from apdu.sw import SW
from emulator.card.filesystem import file_of
from emulator.card.handlers import handles
from emulator.card.ledger import (
    begun,
    committed,
    demand_seq,
    log_entry,
    named_key,
    pending_of,
    pending_purse,
    purse_key,
    purse_of,
    tac_key,
)
from emulator.card.state import (
    Cached,
    CardState,
    Chip,
    File,
    KeyKind,
    Kind,
    Pending,
    Proof,
    Purse,
    at_rest,
)

CACHE_LIMIT = 8
"""Records one CAPP transaction may cache; the protocol reference asks for 4 at least (4.15)."""

TRIP_FILE = EF1A.sfi
_LOCK = 5
"""Where the lock byte of a trip record is (3.8)."""


def _init_spend(
    card: CardState, call: Call[InitializeData], chip: Chip, kind: int
) -> tuple[CardState, InitPurchaseReply]:
    q, purse = call.data, purse_of(card, call.p2)
    key = named_key(card, KeyKind.PURCHASE, q.key_index)
    demand_seq(purse.offline_seq)
    available = purse.available
    if q.amount > available:
        raise Refuse(SW.BALANCE_TOO_LOW)
    random = chip.env.random(4)
    reply = InitPurchaseReply(
        available, purse.offline_seq, purse.limit, key.version, key.algorithm, random
    )
    pending = Pending(kind, call.p2, q.amount, q.terminal, random, purse_key(key, chip), None)
    return begun(card, call, pending), reply


@handles(INIT_PURCHASE)
def init_purchase(
    card: CardState, call: Call[InitializeData], chip: Chip
) -> tuple[CardState, InitPurchaseReply]:
    """Offer balance and number for a plain purchase; an amount of 0 is allowed (4.14, Q27)."""
    return _init_spend(card, call, chip, PURCHASE if call.p2 == EP else ED_PURCHASE)


@handles(INIT_CAPP)
def init_capp(
    card: CardState, call: Call[InitializeData], chip: Chip
) -> tuple[CardState, InitPurchaseReply]:
    """Offer balance and number for a purchase that also writes trip records (4.14)."""
    return _init_spend(card, call, chip, CAPP)


@handles(INIT_CASH)
def init_cash(
    card: CardState, call: Call[InitializeData], chip: Chip
) -> tuple[CardState, InitPurchaseReply]:
    """Offer balance and number for cash from the ED (annex 7)."""
    return _init_spend(card, call, chip, CASH_WITHDRAW)


@handles(UPDATE_CACHE)
def update_cache(card: CardState, call: Call[CacheData], chip: Chip) -> tuple[CardState, bytes]:
    """Hold one record until the debit; nothing is written now (4.15)."""
    file = file_of(card, call.p2 >> 3)
    head = file.head
    directory = card.image.directories[card.at]
    if head.kind is not Kind.LINEAR and head.kind is not Kind.CYCLIC:
        raise Refuse(SW.WRONG_FILE_STRUCTURE)
    for purse in directory.purses.values():
        if purse.log == head.fid:
            raise Refuse(SW.WRONG_FILE_STRUCTURE)
    content = call.data.content
    if len(content) != head.size:
        raise Refuse(SW.NO_SPACE if len(content) > head.size else SW.WRONG_LENGTH)
    slot = _slot(file, call.p1, call.p2 & 7, content, chip.dialect.cache_address)
    # The same record twice: the later one wins (4.15).
    others = card.cache and tuple(c for c in card.cache if (c.fid, c.slot) != (head.fid, slot))
    if len(others) == CACHE_LIMIT:
        raise Refuse(SW.NO_SPACE)
    after = CardState(
        card.image,
        card.at,
        card.current_ef,
        call.spec.then,
        card.pending,
        (*others, Cached(head.fid, slot, content)),
        None,
        card.standing,
    )
    return after, b""


def _slot(file: File, p1: int, mode: int, content: bytes, address: str) -> int:
    """Where a cached record goes: EF1A by the id in its first two bytes (Q10), EF1E on top.

    address: the dialect's way of naming an EF1A record. Other fixed files go by number (4.15).
    """
    head, records = file.head, file.content
    assert isinstance(records, tuple)
    if head.kind is Kind.CYCLIC:
        if p1 or (address != "any" and (mode == 4) != (address == "number")):
            raise Refuse(SW.WRONG_P1P2)
        return 0
    if head.fid != TRIP_FILE:
        if mode != 4 or not 1 <= p1 <= len(records):
            raise Refuse(SW.RECORD_NOT_FOUND)
        return p1
    return _trip_slot(records, p1, mode, content, address)


def _trip_slot(records: tuple[bytes, ...], p1: int, mode: int, content: bytes, address: str) -> int:
    number = content[1] if len(content) > _LOCK else 0  # a shorter record is no trip
    if content[0] != 0x27 or not 1 <= number <= len(records):
        raise Refuse(SW.RECORD_NOT_FOUND)
    if p1 not in (0, number):
        raise Refuse(SW.WRONG_DATA)
    if address != "any" and address != _address(p1, mode):
        raise Refuse(SW.WRONG_P1P2)
    if records[number - 1][_LOCK]:
        raise Refuse(SW.RECORD_LOCKED)  # the stored record's lock byte (3.8)
    return number


def _address(p1: int, mode: int) -> str:
    """Which dialect's way this is; P1 00 in mode 4 is nobody's."""
    if mode == 4:
        return "number" if p1 else ""
    return "id" if p1 else "zero"


@handles(DEBIT)
def debit(card: CardState, call: Call[DebitData], chip: Chip) -> tuple[CardState, DebitReply]:
    """Pay if MAC1 is a terminal's, and write every cached record with it (4.16)."""
    q, pending, purse = call.data, pending_of(card), pending_purse(card)
    kind, amount, terminal = pending.kind, pending.amount, pending.terminal
    when = q.date + q.time
    session = purchase_session(pending.key, pending.random, purse.offline_seq, q.terminal_seq)
    if not compare_digest(spend_mac1(session, amount, kind, terminal, when), q.mac1):
        raise Refuse(SW.MAC_INVALID)
    from_actual = min(purse.actual, amount)
    paid = Purse(
        purse.ceiling,
        purse.actual - from_actual,
        purse.limit,
        purse.used + amount - from_actual,
        purse.online_seq,
        purse.offline_seq + 1,
        purse.usage,
        purse.log,
    )
    mac2 = spend_mac2(session, amount)
    tac = spend_tac(tac_key(card, chip), amount, kind, terminal, q.terminal_seq, when)
    entry = log_entry(paid.offline_seq, paid, pending, q.date, q.time)
    image = committed(card, paid, entry, Proof(paid.offline_seq, mac2, tac))
    return at_rest(card, image), DebitReply(tac, mac2)

"""The purse: balance, load, purchase, CAPP purchase and their proof (protocol reference 4.12-4.20).

Order of checks in a handler: key 9403, then counter 9402, then business (4.1). The pipeline has
checked class, instruction, parameters, lengths and state before. INITIALIZE writes nothing, so
any number of them leaves the transaction numbers alone; the final command commits everything.
"""

from apdu.commands import (
    CREDIT_LOAD,
    DEBIT,
    GET_ALL_BALANCES,
    GET_BALANCE,
    GET_PROVE,
    INIT_CAPP,
    INIT_LOAD,
    INIT_PURCHASE,
    UPDATE_CACHE,
)
from apdu.crypto import compare_digest
from apdu.files import EF18, FileSpec, LogRecord, Structure
from apdu.purse import (
    CAPP,
    LOAD,
    PURCHASE,
    load_tac,
    online_mac1,
    online_mac2,
    online_session,
    purchase_session,
    spend_mac1,
    spend_mac2,
    spend_tac,
)
from apdu.records import (
    AllBalances,
    Balance,
    CacheData,
    CreditLoadData,
    DebitData,
    DebitReply,
    InitializeData,
    InitLoadReply,
    InitPurchaseReply,
    ProveData,
    ProveReply,
    TacReply,
)
from apdu.spec import Call, Refuse
from apdu.sw import SW
from emulator.card.filesystem import file_of, locked
from emulator.card.handlers import handles
from emulator.card.state import (
    Cached,
    CardState,
    Chip,
    Content,
    Image,
    Pending,
    Proof,
    Purse,
    at_rest,
)

LAST_SEQ = 0xFFFF
"""A transaction number that has reached this answers 9402."""

CACHE_LIMIT = 8
"""Records one CAPP transaction may cache; the protocol reference asks for 4 at least (4.15)."""

_BALANCES = (
    lambda p: p.available,
    lambda p: p.limit,
    lambda p: p.used,
    lambda p: p.actual,
    lambda p: p.ceiling,
)


def _purse(card: CardState) -> Purse:
    if not card.selected.has_purse:
        raise Refuse(SW.FILE_NOT_FOUND)
    return card.image.purse


@handles(GET_BALANCE)
def get_balance(card: CardState, call: Call[None], chip: Chip) -> tuple[CardState, Balance]:
    """One word of the purse object, chosen by P1 (4.12)."""
    return card, Balance(_BALANCES[call.p1](_purse(card)))


@handles(GET_ALL_BALANCES)
def get_all_balances(
    card: CardState, call: Call[None], chip: Chip
) -> tuple[CardState, AllBalances]:
    """The whole purse object in the order of the one capture known (4.12, Q18)."""
    purse = _purse(card)
    return card, AllBalances(purse.actual, purse.ceiling, purse.used, purse.limit)


def _initialize(card: CardState, call: Call[InitializeData], chip: Chip, seq: int) -> CardState:
    """The checks all INITIALIZE commands share. seq: the number the transaction will use."""
    if call.data.key_index != chip.key_index:
        raise Refuse(SW.KEY_INDEX)
    if seq >= LAST_SEQ:
        raise Refuse(SW.COUNTER_AT_MAXIMUM)
    return card


def _begin(card: CardState, call: Call[InitializeData], pending: Pending) -> CardState:
    return CardState(card.image, card.selected, card.current_ef, call.spec.then, pending, (), None)


@handles(INIT_LOAD)
def init_load(
    card: CardState, call: Call[InitializeData], chip: Chip
) -> tuple[CardState, InitLoadReply]:
    """Offer balance, number and MAC1 to the load host (4.13)."""
    q, purse = call.data, _purse(card)
    _initialize(card, call, chip, purse.online_seq)
    if q.amount == 0 or purse.actual + q.amount - purse.used > purse.ceiling:
        raise Refuse(SW.CONDITIONS_OF_USE)
    random = chip.env.random(4)
    session = online_session(chip.keys.dlk, random, purse.online_seq)
    mac1 = online_mac1(session, purse.available, q.amount, LOAD, q.terminal)
    reply = InitLoadReply(
        purse.available, purse.online_seq, chip.key_version, chip.algorithm, random, mac1
    )
    return _begin(card, call, Pending(LOAD, q.amount, q.terminal, random, session)), reply


@handles(CREDIT_LOAD)
def credit_load(
    card: CardState, call: Call[CreditLoadData], chip: Chip
) -> tuple[CardState, TacReply]:
    """Take the money, repaying the overdraft first, and prove it with a TAC (4.13)."""
    q, pending, purse = call.data, card.pending, card.image.purse
    assert pending is not None
    assert pending.session is not None
    amount, terminal, when = pending.amount, pending.terminal, q.date + q.time
    mac2 = online_mac2(pending.session, amount, LOAD, terminal, when)
    if not compare_digest(mac2, q.mac2):
        raise Refuse(SW.MAC_INVALID)
    repaid = min(purse.used, amount)
    loaded = Purse(
        purse.ceiling,
        purse.actual + amount - repaid,
        purse.limit,
        purse.used - repaid,
        purse.online_seq + 1,
        purse.offline_seq,
    )
    tac = load_tac(chip.keys.dtk, loaded.available, purse.online_seq, amount, terminal, when)
    entry = LogRecord(loaded.online_seq, loaded.limit, amount, LOAD, terminal, q.date, q.time)
    image = _committed(card, loaded, entry, Proof(loaded.online_seq, q.mac2, tac))
    return at_rest(card, image), TacReply(tac)


def _committed(card: CardState, purse: Purse, entry: LogRecord, proof: Proof) -> Image:
    """The image after a transaction: purse, cached records, log and proof together (6.9)."""
    image = card.image
    files = dict(image.files)
    for cached in card.cache:
        files[cached.sfi] = _written(card.selected.files[cached.sfi], files[cached.sfi], cached)
    log = card.selected.files.get(EF18.sfi)
    if log is not None:
        files[EF18.sfi] = _newest(log, files[EF18.sfi], entry.build())
    return Image(files, purse, {**image.proofs, entry.kind: proof}, image.blocked)


def _written(spec: FileSpec, content: Content, cached: Cached) -> Content:
    if cached.slot == 0:
        return _newest(spec, content, cached.content)
    assert isinstance(content, tuple)
    return (*content[: cached.slot - 1], cached.content, *content[cached.slot :])


def _newest(spec: FileSpec, content: Content, record: bytes) -> tuple[bytes, ...]:
    assert isinstance(content, tuple)
    return (record, *content[: spec.count - 1])


def _init_purchase(
    card: CardState, call: Call[InitializeData], chip: Chip, kind: int
) -> tuple[CardState, InitPurchaseReply]:
    q, purse = call.data, _purse(card)
    _initialize(card, call, chip, purse.offline_seq)
    available = purse.available
    if q.amount > available:
        raise Refuse(SW.BALANCE_TOO_LOW)
    random = chip.env.random(4)
    reply = InitPurchaseReply(
        available, purse.offline_seq, purse.limit, chip.key_version, chip.algorithm, random
    )
    return _begin(card, call, Pending(kind, q.amount, q.terminal, random, None)), reply


@handles(INIT_PURCHASE)
def init_purchase(
    card: CardState, call: Call[InitializeData], chip: Chip
) -> tuple[CardState, InitPurchaseReply]:
    """Offer balance and number for a plain purchase; an amount of 0 is allowed (4.14, Q27)."""
    return _init_purchase(card, call, chip, PURCHASE)


@handles(INIT_CAPP)
def init_capp(
    card: CardState, call: Call[InitializeData], chip: Chip
) -> tuple[CardState, InitPurchaseReply]:
    """Offer balance and number for a purchase that also writes trip records (4.14)."""
    return _init_purchase(card, call, chip, CAPP)


@handles(UPDATE_CACHE)
def update_cache(card: CardState, call: Call[CacheData], chip: Chip) -> tuple[CardState, bytes]:
    """Hold one record until the debit; nothing is written now (4.15)."""
    spec = file_of(card, call.p2 >> 3)
    if not spec.caches:
        raise Refuse(SW.WRONG_FILE_STRUCTURE)
    content = call.data.content
    if len(content) != spec.size:
        raise Refuse(SW.NO_SPACE if len(content) > spec.size else SW.WRONG_LENGTH)
    slot = _slot(card, spec, call.p1, content)
    # The same record twice: the later one wins (4.15).
    others = tuple(c for c in card.cache if (c.sfi, c.slot) != (spec.sfi, slot))
    if len(others) == CACHE_LIMIT:
        raise Refuse(SW.NO_SPACE)
    after = CardState(
        card.image,
        card.selected,
        card.current_ef,
        call.spec.then,
        card.pending,
        (*others, Cached(spec.sfi, slot, content)),
        None,
    )
    return after, b""


def _slot(card: CardState, spec: FileSpec, p1: int, content: bytes) -> int:
    """Where a cached record goes: EF1A by the id in its first two bytes (Q10), EF1E on top."""
    if spec.structure is Structure.CYCLIC:
        return 0
    number = content[1]
    records = card.image.files[spec.sfi]
    if content[0] != 0x27 or not 1 <= number <= len(records):
        raise Refuse(SW.RECORD_NOT_FOUND)
    if p1 not in (0, number):
        raise Refuse(SW.WRONG_DATA)
    stored = records[number - 1]
    assert isinstance(stored, bytes)
    if locked(stored, spec):
        raise Refuse(SW.RECORD_LOCKED)
    return number


@handles(DEBIT)
def debit(card: CardState, call: Call[DebitData], chip: Chip) -> tuple[CardState, DebitReply]:
    """Pay if MAC1 is a terminal's, and write every cached record with it (4.16)."""
    q, pending, purse = call.data, card.pending, card.image.purse
    assert pending is not None
    kind, amount, terminal = pending.kind, pending.amount, pending.terminal
    when = q.date + q.time
    session = purchase_session(chip.keys.dpk, pending.random, purse.offline_seq, q.terminal_seq)
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
    )
    mac2 = spend_mac2(session, amount)
    tac = spend_tac(chip.keys.dtk, amount, kind, terminal, q.terminal_seq, when)
    entry = LogRecord(paid.offline_seq, paid.limit, amount, kind, terminal, q.date, q.time)
    image = _committed(card, paid, entry, Proof(paid.offline_seq, mac2, tac))
    return at_rest(card, image), DebitReply(tac, mac2)


@handles(GET_PROVE)
def get_prove(card: CardState, call: Call[ProveData], chip: Chip) -> tuple[CardState, ProveReply]:
    """What the card answered to the last transaction of a type, for a lost answer (4.20)."""
    _purse(card)
    proof = card.image.proofs.get(call.p2)
    if proof is None or proof.seq != call.data.seq:
        raise Refuse(SW.PROOF_NOT_AVAILABLE)
    return card, ProveReply(proof.mac2, proof.tac)

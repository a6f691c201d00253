"""The purse: balance, load, unload, overdraft limit and proof (4.12, 4.13, 4.17, 4.18, 4.20).

One application may hold two purses, the electronic purse EP (P2 02) and the electronic deposit ED
(P2 01). Order of checks in a handler: key 9403, then security 6982, then counter 9402, then
business (4.1). The pipeline has checked class, instruction, parameters, lengths and state before.
INITIALIZE writes nothing, so any number of them leaves the transaction numbers alone; the final
command commits everything. Spending is in `emulator.card.purchase`.
"""

from dataclasses import replace

from apdu.commands import (
    CREDIT_LOAD,
    DEBIT_UNLOAD,
    ED,
    EP,
    GET_ALL_BALANCES,
    GET_BALANCE,
    GET_PROVE,
    INIT_LIMIT,
    INIT_LOAD,
    INIT_UNLOAD,
    UPDATE_LIMIT,
)
from apdu.crypto import compare_digest
from apdu.purse import (
    ED_LOAD,
    LIMIT,
    LOAD,
    UNLOAD,
    limit_mac1,
    limit_mac2,
    limit_tac,
    load_tac,
    online_mac1,
    online_mac2,
    online_session,
    unload_mac3,
)
from apdu.records import (
    AllBalances,
    Balance,
    CreditLoadData,
    InitializeData,
    InitLimitData,
    InitLimitReply,
    InitLoadReply,
    Mac3Reply,
    ProveData,
    ProveReply,
    TacReply,
    UpdateLimitData,
)
from apdu.spec import Call, Refuse
from apdu.sw import SW
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
from emulator.card.state import CardState, Chip, KeyEntry, KeyKind, Pending, Proof, at_rest

MOST = 0xFFFFFF
"""Ceiling and overdraft limit together (3.1)."""


@handles(GET_BALANCE)
def get_balance(card: CardState, call: Call[None], chip: Chip) -> tuple[CardState, Balance]:
    """One word of the purse object, chosen by P1 (4.12)."""
    purse = purse_of(card, call.p2)
    if call.p1 == 0:
        return card, Balance(purse.available)
    words = (purse.available, purse.limit, purse.used, purse.actual, purse.ceiling)
    return card, Balance(words[call.p1])


@handles(GET_ALL_BALANCES)
def get_all_balances(
    card: CardState, call: Call[None], chip: Chip
) -> tuple[CardState, AllBalances]:
    """The whole purse object in the order of the one capture known (4.12, Q18)."""
    purse = purse_of(card, call.p2)
    return card, AllBalances(purse.actual, purse.ceiling, purse.used, purse.limit)


def _demand_pin(card: CardState, call: Call[InitializeData], chip: Chip) -> None:
    """FMCOS wants a PIN before a load where the application has one (Q13, annex 7)."""
    if not chip.dialect.pin_for_load or card.standing.pin_ok:
        return
    if any(kind is KeyKind.PIN for kind, _ in card.directory.keys):
        raise Refuse(SW.SECURITY_STATUS)


@handles(INIT_LOAD)
def init_load(
    card: CardState, call: Call[InitializeData], chip: Chip
) -> tuple[CardState, InitLoadReply]:
    """Offer balance, number and MAC1 to the load host (4.13)."""
    q, purse = call.data, purse_of(card, call.p2)
    key = named_key(card, KeyKind.LOAD, q.key_index)
    _demand_pin(card, call, chip)
    demand_seq(purse.online_seq)
    if q.amount == 0 or purse.actual + q.amount - purse.used > purse.ceiling:
        raise Refuse(SW.CONDITIONS_OF_USE)
    return _online(card, call, chip, key, LOAD if call.p2 == EP else ED_LOAD)


@handles(INIT_UNLOAD)
def init_unload(
    card: CardState, call: Call[InitializeData], chip: Chip
) -> tuple[CardState, InitLoadReply]:
    """Offer balance, number and MAC1 for taking money off; the overdraft is not used (4.17)."""
    q, purse = call.data, purse_of(card, call.p2)
    key = named_key(card, KeyKind.UNLOAD, q.key_index)
    demand_seq(purse.online_seq)
    if q.amount == 0:
        raise Refuse(SW.CONDITIONS_OF_USE)
    if q.amount > purse.actual:
        raise Refuse(SW.BALANCE_TOO_LOW)
    return _online(card, call, chip, key, UNLOAD)


def _online(
    card: CardState, call: Call[InitializeData], chip: Chip, key: KeyEntry, kind: int
) -> tuple[CardState, InitLoadReply]:
    q, purse = call.data, card.directory.purses[call.p2]
    random, secret = chip.env.random(4), purse_key(key, chip)
    session = online_session(secret, random, purse.online_seq)
    mac1 = online_mac1(session, purse.available, q.amount, kind, q.terminal)
    reply = InitLoadReply(
        purse.available, purse.online_seq, key.version, key.algorithm, random, mac1
    )
    pending = Pending(kind, call.p2, q.amount, q.terminal, random, secret, session)
    return begun(card, call, pending), reply


@handles(CREDIT_LOAD)
def credit_load(
    card: CardState, call: Call[CreditLoadData], chip: Chip
) -> tuple[CardState, TacReply]:
    """Take the money, repaying the overdraft first, and prove it with a TAC (4.13)."""
    q, pending, purse = call.data, pending_of(card), pending_purse(card)
    amount, terminal, when = pending.amount, pending.terminal, q.date + q.time
    assert pending.session is not None
    mac2 = online_mac2(pending.session, amount, pending.kind, terminal, when)
    if not compare_digest(mac2, q.mac2):
        raise Refuse(SW.MAC_INVALID)
    repaid = min(purse.used, amount)
    loaded = replace(
        purse,
        actual=purse.actual + amount - repaid,
        used=purse.used - repaid,
        online_seq=purse.online_seq + 1,
    )
    tac = load_tac(
        tac_key(card, chip),
        loaded.available,
        purse.online_seq,
        amount,
        terminal,
        when,
        pending.kind,
    )
    entry = log_entry(loaded.online_seq, loaded, pending, q.date, q.time)
    image = committed(card, loaded, entry, Proof(loaded.online_seq, q.mac2, tac))
    return at_rest(card, image), TacReply(tac)


@handles(DEBIT_UNLOAD)
def debit_unload(
    card: CardState, call: Call[CreditLoadData], chip: Chip
) -> tuple[CardState, Mac3Reply]:
    """Give money back under the host's MAC2, and prove it with MAC3 (4.17)."""
    q, pending, purse = call.data, pending_of(card), pending_purse(card)
    amount, terminal, when = pending.amount, pending.terminal, q.date + q.time
    assert pending.session is not None
    mac2 = online_mac2(pending.session, amount, UNLOAD, terminal, when)
    if not compare_digest(mac2, q.mac2):
        raise Refuse(SW.MAC_INVALID)
    left = replace(purse, actual=purse.actual - amount, online_seq=purse.online_seq + 1)
    mac3 = unload_mac3(pending.session, left.available, purse.online_seq, amount, terminal, when)
    entry = log_entry(left.online_seq, left, pending, q.date, q.time)
    # 4.20, Q8: the proof of an unload is MAC3 and a TAC of zeros.
    image = committed(card, left, entry, Proof(left.online_seq, mac3, bytes(4)))
    return at_rest(card, image), Mac3Reply(mac3)


@handles(INIT_LIMIT)
def init_limit(
    card: CardState, call: Call[InitLimitData], chip: Chip
) -> tuple[CardState, InitLimitReply]:
    """Offer the old overdraft limit under MAC1 (4.18). P2 01 is the EP where there is no ED."""
    which = EP if call.p2 == ED and ED not in card.directory.purses else call.p2
    q, purse = call.data, purse_of(card, which)
    key = named_key(card, KeyKind.LIMIT, q.key_index)
    demand_seq(purse.online_seq)
    random, secret = chip.env.random(4), purse_key(key, chip)
    session = online_session(secret, random, purse.online_seq)
    mac1 = limit_mac1(session, purse.available, purse.limit, q.terminal)
    reply = InitLimitReply(
        purse.available,
        purse.online_seq,
        purse.limit,
        key.version,
        key.algorithm,
        random,
        mac1,
    )
    pending = Pending(LIMIT, which, 0, q.terminal, random, secret, session)
    return begun(card, call, pending), reply


@handles(UPDATE_LIMIT)
def update_limit(
    card: CardState, call: Call[UpdateLimitData], chip: Chip
) -> tuple[CardState, TacReply]:
    """Take a new overdraft limit under the host's MAC2 (4.18)."""
    q, pending, purse = call.data, pending_of(card), pending_purse(card)
    limit, terminal, when = q.overdraft_limit, pending.terminal, q.date + q.time
    assert pending.session is not None
    if not compare_digest(limit_mac2(pending.session, limit, terminal, when), q.mac2):
        raise Refuse(SW.MAC_INVALID)
    if limit < purse.used:
        raise Refuse(SW.BALANCE_TOO_LOW)
    if purse.ceiling + limit > MOST:
        raise Refuse(SW.CONDITIONS_OF_USE)
    after = replace(purse, limit=limit, online_seq=purse.online_seq + 1)
    tac = limit_tac(tac_key(card, chip), after.available, purse.online_seq, limit, terminal, when)
    entry = log_entry(after.online_seq, after, pending, q.date, q.time)
    image = committed(card, after, entry, Proof(after.online_seq, q.mac2, tac))
    return at_rest(card, image), TacReply(tac)


@handles(GET_PROVE)
def get_prove(card: CardState, call: Call[ProveData], chip: Chip) -> tuple[CardState, ProveReply]:
    """What the card answered to the last transaction of a type, for a lost answer (4.20)."""
    directory = card.image.directories[card.at]
    if not directory.purses:
        raise Refuse(SW.FILE_NOT_FOUND)
    proof = directory.proofs.get(call.p2)
    if proof is None or proof.seq != call.data.seq:
        raise Refuse(SW.PROOF_NOT_AVAILABLE)
    return card, ProveReply(proof.mac2, proof.tac)

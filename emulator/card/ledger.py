"""What the purse's commands share: finding purse and keys, and committing a transaction whole."""

from typing import Any

from apdu.crypto import Key
from apdu.files import LogRecord
from apdu.sm4 import BLOCK, Sm4Key
from apdu.spec import Call, Refuse
from apdu.sw import SW
from emulator.card.security import ALWAYS, demand, secret_of
from emulator.card.state import (
    Cached,
    CardState,
    Chip,
    Content,
    Directory,
    File,
    Image,
    KeyEntry,
    KeyKind,
    Kind,
    Pending,
    Proof,
    Purse,
    with_directory,
)

LOG_SIZE = LogRecord.size()

_TAC = (KeyKind.TAC, 0)

LAST_SEQ = 0xFFFF
"""A transaction number that has reached this answers 9402."""


def purse_of(card: CardState, which: int) -> Purse:
    """The purse P2 names. Raises Refuse: 6A82 without any purse, 6A86 without that one."""
    purses = card.image.directories[card.at].purses
    purse = purses.get(which)
    if purse is None:
        raise Refuse(SW.WRONG_P1P2 if purses else SW.FILE_NOT_FOUND)
    if purse.usage != ALWAYS:
        demand(card, purse.usage)
    return purse


def named_key(card: CardState, kind: KeyKind, index: int) -> KeyEntry:
    """The key INITIALIZE names: the index is the id it was written with (annex 7)."""
    entry = card.image.directories[card.at].keys.get((kind, index))
    if entry is None:
        raise Refuse(SW.KEY_INDEX)
    return entry


def begun(card: CardState, call: Call[Any], pending: Pending) -> CardState:
    """The state after a successful INITIALIZE: nothing durable changes."""
    return CardState(
        card.image,
        card.at,
        card.current_ef,
        call.spec.then,
        pending,
        (),
        None,
        card.standing,
    )


def demand_seq(seq: int) -> None:
    """Raise Refuse(9402) if the transaction number has reached its maximum."""
    if seq >= LAST_SEQ:
        raise Refuse(SW.COUNTER_AT_MAXIMUM)


def pending_of(card: CardState) -> Pending:
    """The transaction under way; the state machine says that there is one."""
    assert card.pending is not None
    return card.pending


def pending_purse(card: CardState) -> Purse:
    """The purse of the transaction under way."""
    return card.image.directories[card.at].purses[pending_of(card).purse]


def purse_key(entry: KeyEntry, chip: Chip) -> Key:
    """A key of the purse as its cipher: triple DES, or SM4 by dialect (5.9; 16-byte keys)."""
    key = secret_of(entry)
    if chip.dialect.sm4 and len(key.expose()) == BLOCK:
        return Sm4Key(key.expose())
    return key


def tac_key(card: CardState, chip: Chip) -> Key:
    """DTK, key 34 id 00. Raises Refuse(9403)."""
    entry = card.image.directories[card.at].keys.get(_TAC)
    if entry is None:
        raise Refuse(SW.KEY_INDEX)
    return purse_key(entry, chip)


def log_entry(seq: int, purse: Purse, pending: Pending, date: bytes, time: bytes) -> LogRecord:
    """The EF18 record of the transaction under way. seq: its number, after it."""
    return LogRecord(seq, purse.limit, pending.amount, pending.kind, pending.terminal, date, time)


def committed(card: CardState, purse: Purse, entry: LogRecord, proof: Proof) -> Image:
    """The image after a transaction: purse, cached records, log and proof together (6.9)."""
    here = card.image.directories[card.at]
    files = dict(here.files)
    for cached in card.cache:
        file = files[cached.fid]
        files[cached.fid] = File(file.head, _written(file, cached), True)
    log = files.get(purse.log)
    # A purse without its log file, or with one that is none, works and logs nothing (annex 7).
    if log is not None and log.head.kind is Kind.CYCLIC and log.head.size == LOG_SIZE:
        files[purse.log] = File(log.head, _newest(log, entry.build()), True)
    after = Directory(
        here.head,
        files,
        here.keys,
        {**here.purses, pending_of(card).purse: purse},
        {**here.proofs, entry.kind: proof},
        here.blocked,
        here.has_key_file,
        here.key_space,
        here.add_right,
        here.strikes,
        here.unblock_strikes,
    )
    return with_directory(card.image, card.at, after)


def _written(file: File, cached: Cached) -> Content:
    if cached.slot == 0:
        return _newest(file, cached.content)
    records = file.content
    assert isinstance(records, tuple)
    return (*records[: cached.slot - 1], cached.content, *records[cached.slot :])


def _newest(file: File, record: bytes) -> tuple[bytes, ...]:
    records = file.content
    assert isinstance(records, tuple)
    return (record, *records[: file.head.count - 1])

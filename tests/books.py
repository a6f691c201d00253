"""Days of taps for clearing, and the frauds and faults planted into them."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import cache
from random import Random

import fixtures
from apdu.bcd import Moment
from apdu.crypto import Key
from apdu.purse import card_key, spend_tac
from bench.honest import UPLOADED, Day
from issuer.clearing import Clearing
from issuer.database import open_database
from issuer.faults import Fault
from reader.batch import build_batch, parse_batch
from reader.taprecord import TapRecord

Batches = list[tuple[bytes, list[TapRecord]]]
TMK: Key = fixtures.load_roots()["TMK"]


@cache
def honest_day(cards: int = 12) -> Day:
    """An honest day of so many cards."""
    day = Day(cards)
    day.play()
    return day


def batches_of(day: Day) -> Batches:
    return [(gate, list(records)) for gate, records in day.batches(40)]


def messages(batches: Batches) -> list[bytes]:
    """As a station sends them; a batch is numbered from its first record on."""
    return [build_batch(gate, renumbered(records)) for gate, records in batches if records]


def renumbered(records: list[TapRecord]) -> list[TapRecord]:
    first = records[0].sequence
    return [replace(record, sequence=first + n) for n, record in enumerate(records)]


def clearing_at(where: str, day: Day | None = None) -> Clearing:
    made = Clearing(open_database(where), TMK)
    if day is not None:
        made.register(day.terminals.items())
    return made


def signed(record: TapRecord) -> TapRecord:
    """The record with the TAC its card would have made over it: what a real tap gives."""
    dtk = card_key(TMK, record.issuer, record.serial)
    tac = spend_tac(
        dtk, record.amount, record.kind, record.terminal, record.terminal_seq, record.when
    )
    return replace(record, tac=tac)


@dataclass(frozen=True)
class Plant:
    """A fraud or fault: what it does to a day, and what clearing must say of which tap."""

    name: str
    fault: Fault
    change: Callable[[Batches, Random], TapRecord | None]
    after: Callable[[list[bytes]], list[bytes]] = list


def _spots(batches: Batches) -> Iterator[tuple[list[TapRecord], int]]:
    """Exits with money, neither first nor last of their batch, and not a card's first trip."""
    for _, records in batches:
        for at in range(1, len(records) - 1):
            if records[at].trip == 4 and 2 < records[at].counter < 9:
                yield records, at


def _spot(batches: Batches, source: Random) -> tuple[list[TapRecord], int]:
    return source.choice(list(_spots(batches)))


def _changed(batches: Batches, source: Random, is_signed: bool = False, **values) -> TapRecord:
    records, at = _spot(batches, source)
    made = replace(records[at], **values)
    records[at] = made = signed(made) if is_signed else made
    return made


def _replayed(batches: Batches, source: Random) -> TapRecord:
    records, at = _spot(batches, source)
    source.choice([part for _, part in batches if part is not records]).append(records[at])
    return records[at]


def _altered_amount(batches: Batches, source: Random) -> TapRecord:
    records, at = _spot(batches, source)
    old = records[at]
    records[at] = replace(old, amount=old.amount + 100, before=old.before + 100)
    return records[at]


def _altered_tac(batches: Batches, source: Random) -> TapRecord:
    records, at = _spot(batches, source)
    records[at] = replace(records[at], tac=bytes(b ^ 1 for b in records[at].tac))
    return records[at]


def _cloned(batches: Batches, source: Random) -> TapRecord:
    """A copy of the card rode elsewhere with the same counter; both TACs are right."""
    records, at = _spot(batches, source)
    others = [p for _, p in batches if p is not records and p[-1].trip == 4]
    other = source.choice(others)
    twin = replace(
        records[at],
        terminal=other[-1].terminal,
        terminal_seq=other[-1].terminal_seq + 1,
        gate=other[-1].gate,
        when=other[-1].when,
    )
    other.append(signed(twin))
    return records[at]


def _missing(batches: Batches, source: Random) -> TapRecord:
    records, at = _spot(batches, source)
    del records[at]
    return records[at]  # the next number of that terminal


def _wrong_terminal(batches: Batches, source: Random) -> TapRecord:
    return _changed(batches, source, is_signed=True, terminal=bytes.fromhex("300099999999"))


def _back_dated(batches: Batches, source: Random) -> TapRecord:
    records, at = _spot(batches, source)
    early = Moment(records[at].when[:4], bytes.fromhex("040000"))
    records[at] = signed(replace(records[at], when=early.both))
    return records[at]


def _two_gates(batches: Batches, source: Random) -> TapRecord:
    """A PSAM was copied into a second gate, which begins to count at the same number."""
    records, at = _spot(batches, source)
    [(_, other)] = source.sample(
        [b for b in batches if b[1] is not records and b[1][-1].trip == 4], 1
    )
    twin = signed(
        replace(other[-1], terminal=records[at].terminal, terminal_seq=records[at].terminal_seq)
    )
    other[-1] = twin
    return twin


def _negative(batches: Batches, source: Random) -> TapRecord:
    records, at = _spot(batches, source)
    old = records[at]
    records[at] = replace(old, before=old.amount - 500, after=-500)
    return records[at]


def _nothing(batches: Batches, source: Random) -> None:
    return None


def _again(sent: list[bytes]) -> list[bytes]:
    """A batch's records once more, under a number and id of their own."""
    batch = parse_batch(sent[3])
    moved = [replace(r, sequence=r.sequence + 5000) for r in batch.records]
    return [*sent, build_batch(batch.gate, moved)]


def _cut(sent: list[bytes]) -> list[bytes]:
    return [*sent[:5], sent[5][:-200], *sent[6:]]


def _lost(batches: Batches, source: Random) -> TapRecord:
    records, at = _spot(batches, source)
    return records[at]


PLANTS = (
    Plant("a replayed record", Fault.DUPLICATE_RECORD, _replayed),
    Plant("an altered amount", Fault.BAD_TAC, _altered_amount),
    Plant("an altered TAC", Fault.BAD_TAC, _altered_tac),
    Plant("a cloned card with equal counters", Fault.CLONED_CARD, _cloned),
    Plant("a missing record", Fault.TERMINAL_GAP, _missing),
    Plant("a wrong terminal number", Fault.WRONG_TERMINAL, _wrong_terminal),
    Plant("a record after a loss report", Fault.BLACKLISTED, _lost),
    Plant("a back-dated time", Fault.BACK_DATED, _back_dated),
    Plant("two gates with one PSAM number", Fault.TERMINAL_TWICE, _two_gates),
    Plant("a negative balance chain", Fault.NEGATIVE_BALANCE, _negative),
    Plant("a duplicated batch", Fault.DUPLICATED_BATCH, _nothing, _again),
    Plant("a truncated batch", Fault.TRUNCATED_BATCH, _nothing, _cut),
)

RECEIVED = UPLOADED

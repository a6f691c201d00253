"""Clearing of a shard's day: every batch taken, every TAC checked, every rule applied."""

from collections import Counter
from collections.abc import Callable, Sequence
from datetime import datetime
from functools import lru_cache

from sqlalchemy import Engine, case, delete, func, insert, select

import fixtures
from bench.city.lanes import Lane
from bench.city.result import Tally
from issuer.clearing import Clearing
from issuer.database import open_database, reading, writing
from issuer.schema import BatchRow, Finding, KnownGate, LostCard, RefusedRow, TapRow
from reader.batch import Refusal, build_batch, parse_answer
from reader.taprecord import Mark, TapRecord

Carry = Callable[[Sequence[TapRecord]], Sequence[TapRecord]]
"""What becomes of a gate's records on their way to clearing."""

MOST_RECORDS = 5000
"""Of a batch."""


def untouched(records: Sequence[TapRecord]) -> Sequence[TapRecord]:
    """An honest way."""
    return records


class Office:
    """Clearing of one shard after another, in memory. Taking a shard forgets the one before."""

    def __init__(self) -> None:
        self._engine: Engine = open_database(":memory:")
        self._clearing = self._cleared()

    def _cleared(self) -> Clearing:
        """Clearing with nothing in it, the keys of no card either."""
        with writing(self._engine) as session:
            for table in (Finding, TapRow, BatchRow, RefusedRow, KnownGate, LostCard):
                session.execute(delete(table))
        return Clearing(self._engine, fixtures.load_roots()["TMK"])

    def open(self, lanes: Sequence[Lane]) -> None:
        """A new day, with the lanes whose records will come."""
        self._clearing = self._cleared()
        gates = [{"gate": one.name.hex(), "terminal": one.terminal.hex()} for one in lanes]
        with writing(self._engine) as session:  # as `Clearing.register`, all at once
            session.execute(insert(KnownGate), gates)

    def receive(self, messages: Sequence[bytes], at: datetime) -> list[str]:
        """Take batches. Returns of each that was refused why."""
        answers = [parse_answer(one.build()) for one in self._clearing.receive_all(messages, at)]
        return [one.refusal.words for one in answers if one and one.refusal is not Refusal.NONE]

    def close(self, tally: Tally) -> None:
        """Apply all rules, and tell what clearing has: records, TACs, money, findings."""
        found = self._clearing.examine()
        tally.findings = Counter({fault.code: count for fault, count in found.items()})
        tally.problems += [
            f"clearing found {count} x {fault.code}: {fault.en}" for fault, count in found.items()
        ]
        good = case((TapRow.tac_is_right.is_(True), 1), else_=0)
        query = select(
            func.count(),
            func.coalesce(func.sum(good), 0),
            func.coalesce(func.sum(TapRow.amount), 0),
        ).where(TapRow.mark == int(Mark.TAKEN))
        with reading(self._engine) as session:
            records, tacs, amount = session.execute(query).one()
        tally.records, tally.tacs, tally.money.cleared = int(records), int(tacs), int(amount)


@lru_cache(maxsize=1)
def office() -> Office:
    """The clearing of this process: making its tables takes longer than a shard should wait."""
    return Office()


def batches_of(lane: Lane, carry: Carry) -> list[bytes]:
    """The messages of a lane's journal."""
    records = carry(lane.journal.records)
    return [
        build_batch(lane.name, records[start : start + MOST_RECORDS])
        for start in range(0, len(records), MOST_RECORDS)
    ]

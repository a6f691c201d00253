"""The books of the soak: what goes to clearing, and whether everything agrees in the end."""

from collections import Counter
from pathlib import Path

from sqlalchemy import func, select
from sqlalchemy.orm import Session

import fixtures
from issuer.clearing import Clearing
from issuer.database import open_database
from issuer.faults import Fault
from issuer.schema import TapRow
from reader.batch import build_batch
from reader.journal import read_records
from reader.months import MonthBook
from reader.outbox import Outbox
from reader.taprecord import Mark, TapRecord
from reader.upload import Todo, Uplink
from tests.property.soak_gate import NAME, NETWORK, POLICY, TERMINAL, Fate
from tests.property.soak_riders import Elsewhere, look_at_log
from tests.property.soak_taps import Taps

LOST, CUT_OFF, ANSWER_LOST = 0.10, 0.05, 0.15
"""How often the line to clearing loses a batch, cuts it off, or loses the answer."""

_AT_ONCE = 1000
"""Records in a batch: what is in memory at once."""


class Books:
    """The station's outbox, and clearing over a database in a file."""

    def __init__(self, folder: Path, taps: Taps, elsewhere: Elsewhere) -> None:
        self._taps = taps
        self._elsewhere = elsewhere
        tac_root = fixtures.load_roots()["TMK"]
        self._clearing = Clearing(open_database(str(folder / "clearing.db")), tac_root)
        self._clearing.register([(NAME, TERMINAL), *elsewhere.terminals.items()])
        self._outbox = Outbox(folder / "outbox")
        self._months = MonthBook(NETWORK, POLICY)

    def close(self) -> None:
        self._clearing.engine.dispose()

    def ship(self) -> None:
        """Send everything to clearing, over a line that is as it is."""
        for name, journal in self._elsewhere.journals.items():
            for start in range(0, len(journal.records), _AT_ONCE):
                part = journal.records[start : start + _AT_ONCE]
                self._receive(build_batch(name, part))
                self._months.note_all(part)
            journal.records.clear()
        self._outbox.cut(self._taps.device.journal.path, NAME, _AT_ONCE)
        clock = 0.0
        while not self._connected(Uplink(self._outbox), clock):
            clock += 60.0

    def _receive(self, message: bytes) -> bytes:
        return self._clearing.receive(message, self._taps.clock()).build()

    def _connected(self, line: Uplink, clock: float) -> bool:
        """One connection. Returns whether everything was delivered."""
        while True:
            step = line.next(clock)
            if step.todo is Todo.WAIT:
                clock = step.until
            elif step.todo is Todo.SEND:
                self._sent(line, step.message)
            else:
                assert not line.refused
                return step.todo is Todo.DONE

    def _sent(self, line: Uplink, message: bytes) -> None:
        how, where = self._taps.rng.random(), self._taps.rng.randrange(len(message))
        counts = self._taps.result.line
        counts["sends"] += 1
        if how < LOST:
            counts["lost"] += 1
        elif how < LOST + CUT_OFF:
            counts["cut off"] += 1
            self._receive(message[:where])
        else:
            answer = self._receive(message)
            if how < LOST + CUT_OFF + ANSWER_LOST:
                counts["answers lost"] += 1
            else:
                line.answered(answer)

    def check(self) -> None:
        """Cards, journal, PSAM and clearing agree. Raises AssertionError."""
        result, watched = self._taps.result, self._taps.device.journal
        left: Counter[bytes] = Counter()
        owed: Counter[bytes] = Counter()
        for seq, record in watched.open.items():
            self._ask(record, self._taps.truth[seq])
            left[record.serial] += self._taps.truth[seq]
            owed[record.serial] += record.amount * self._taps.truth[seq]
        result.open_taken = sum(self._taps.truth.values())
        result.open_fen = owed.total()
        result.open_not_taken = len(self._taps.truth) - result.open_taken
        for rider in self._taps.by_serial.values():
            spent = rider.paid + owed[rider.serial]
            assert rider.opening + rider.loaded - spent == rider.balance
            assert rider.records + left[rider.serial] == rider.seq - rider.first_seq
            assert rider.counters.bit_count() == rider.records
            if rider.last is not None and rider.last.counter == rider.seq:
                look_at_log(rider, rider.last)
        self._check_journal()
        result.fates = self._taps.numbers.counts()
        given = self._taps.device.slot.next_seq - 1
        assert result.fates.total() == given
        assert result.fates[Fate.PROMISED] == len(watched.open)
        assert result.fates[Fate.GIVEN] == 0
        assert result.fates[Fate.BURNT] == result.burnt.total()
        result.cards = len(self._taps.by_serial)

    def _ask(self, record: TapRecord, is_taken: bool) -> None:
        """The card says of an open debit what is true, if it still can."""
        rider = self._taps.by_serial[record.serial]
        tac = self._taps.proof(rider, record)
        if rider.seq <= record.counter and not rider.is_blocked:
            assert (tac is not None) == is_taken
        else:
            assert is_taken or tac is None

    def _check_journal(self) -> None:
        """The file holds what went through, each number and each debit once."""
        taken = paid = 0
        for record in read_records(self._taps.device.journal.path):
            fate = self._taps.numbers.fate(record.terminal_seq)
            assert fate is Fate[Mark(record.mark).name]
            if record.mark == Mark.TAKEN:
                assert self._taps.tacs.is_right(record)
                assert self._taps.by_serial[record.serial].counters >> record.counter & 1
                taken, paid = taken + 1, paid + record.amount
                self._months.note(record)
        counts = self._taps.numbers.counts()
        self._taps.result.records = taken
        assert taken == counts[Fate.TAKEN]
        assert paid == self._taps.result.paid_here
        assert self._taps.device.journal.journal.sequence == taken + counts[Fate.VOID]
        for serial in self._taps.by_serial:
            assert self._months.total(serial) == self._taps.device.months.total(serial)

    def _check_money(self) -> None:
        """Clearing holds each debit once."""
        spent = select(func.sum(TapRow.amount)).where(
            TapRow.mark == int(Mark.TAKEN), TapRow.is_online.is_(False), TapRow.is_copy.is_(False)
        )
        result = self._taps.result
        with Session(self._clearing.engine) as session:
            cleared = session.execute(spent).scalar_one()
        assert cleared == result.paid_here + result.paid_elsewhere

    def clear(self) -> None:
        """Clearing finds the gaps of open and burnt numbers, and nothing else."""
        found, gaps = self._clearing.examine(), 0
        self._check_money()
        open_taken = {
            (r.serial, r.counter)
            for s, r in self._taps.device.journal.open.items()
            if self._taps.truth[s]
        }
        for one in self._clearing.exceptions(notes=False):
            if one.fault is Fault.TERMINAL_GAP:
                assert one.record is not None
                assert one.record.terminal == TERMINAL
                fates = [self._taps.numbers.fate(n) for n in range(one.wanted or 0, one.found or 0)]
                assert set(fates) <= {Fate.BURNT, Fate.PROMISED}
                gaps += len(fates)
            elif one.fault in (Fault.CARD_COUNTER_GAP, Fault.BROKEN_CHAIN):
                assert one.record is not None
                serial, counter = one.record.serial, one.record.counter
                assert (serial, counter - 1) in open_taken, one
            else:
                assert one.fault in (Fault.TRUNCATED_BATCH, Fault.SPOILT_BATCH), one
        most = self._taps.result.fates[Fate.BURNT] + self._taps.result.fates[Fate.PROMISED]
        assert most - 3 <= gaps <= most
        self._taps.result.findings = Counter({fault.name: n for fault, n in found.items()})

"""What a gate's journal costs: one record made durable, against a bare write and fsync of as much.

The two alternate, so that both see the same disk at the same time.
"""

import os
from dataclasses import replace
from functools import partial
from tempfile import TemporaryDirectory
from time import perf_counter_ns

from apdu.bcd import Moment
from bench.honest import Day
from bench.throughput.beside import Beside, beside
from reader.journal import FRAME, Journal
from reader.taprecord import Mark, TapRecord
from reader.transactions import Receipt

_WARM_UP = 10
"""Records, of five taps."""


def measure(where: str, count: int, runs: int) -> Beside:
    """Time records in a directory. count: taps a run, two records each. Raises OSError.

    Some taps more come first in each run and do not count.
    """
    day = Day(1)
    day.play()
    [tap, *_] = [r for j in day.journals.values() for r in j.records if r.terminal_seq]
    writes, bares = [], []
    for _ in range(runs):
        with TemporaryDirectory(dir=where) as folder:
            write, bare = _one_run(folder, tap, count + _WARM_UP // 2)
        writes.append(write[_WARM_UP:])
        bares.append(bare[_WARM_UP:])
    return beside(writes, bares)


def _one_run(folder: str, tap: TapRecord, count: int) -> tuple[list[int], list[int]]:
    """Nanoseconds of each record, and of each bare write and fsync."""
    writes, bares, frame = [], [], os.urandom(FRAME)
    flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND
    bare = os.open(os.path.join(folder, "bare"), flags, 0o600)
    try:
        with Journal(os.path.join(folder, "journal"), tap.gate, tap.terminal) as journal:
            for number in range(1, count + 1):
                promised = replace(tap, mark=Mark.PROMISED, sequence=0, terminal_seq=number)
                receipt = _receipt(promised, tap.tac)
                for act in (partial(journal.promise, promised), partial(journal.taken, receipt)):
                    start = perf_counter_ns()
                    act()
                    between = perf_counter_ns()
                    os.write(bare, frame)
                    os.fsync(bare)
                    bares.append(perf_counter_ns() - between)
                    writes.append(between - start)
    finally:
        os.close(bare)
    return writes, bares


def _receipt(r: TapRecord, tac: bytes) -> Receipt:
    """What the card answered to a promised debit."""
    when = Moment(r.when[:4], r.when[4:])
    counted = (r.counter, r.amount, r.after, r.kind)
    return Receipt(r.serial, r.issuer, *counted, r.terminal, r.terminal_seq, when, tac)

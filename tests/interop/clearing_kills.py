"""`kill -9` on clearing, again and again; also by hand, many times:

python -m tests.interop.clearing_kills --count 300 --seed 1
"""

import os
import random
import signal
import tempfile
from contextlib import suppress
from dataclasses import dataclass
from multiprocessing import get_context
from multiprocessing.connection import Connection
from pathlib import Path
from time import monotonic

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from issuer.balance import balance_of
from issuer.clearing import Clearing
from issuer.faults import Fault
from issuer.schema import BatchRow, TapRow
from tests.books import RECEIVED, batches_of, clearing_at, honest_day, messages
from tests.campaigns import Say, run_campaign
from tests.doomed import clear

LONGEST_S = 0.6
"""Clearing is killed at most this long after it began to work."""


@dataclass
class Tally:
    """What happened. idle: killed before anything new was stored; whole: days finished."""

    kills: int = 0
    idle: int = 0
    whole: int = 0


def campaign(count: int, seed: int, say: Say) -> Tally:
    """Kill `count` clearings. Raises AssertionError where a record is lost or there twice."""
    source, tally = random.Random(seed), Tally()
    parts = messages(batches_of(honest_day()))
    context = get_context("forkserver")
    context.set_forkserver_preload(["tests.doomed"])
    with tempfile.TemporaryDirectory() as folder:
        where = Path(folder) / "0.db"
        for number in range(count):
            before = stored(where)
            ours, theirs = context.Pipe()
            process = context.Process(target=clear, args=(str(where), parts, theirs), daemon=True)
            process.start()
            theirs.close()
            answered = killed(process.pid, ours, source.uniform(0.0, LONGEST_S))
            process.join()
            assert process.exitcode == -signal.SIGKILL, f"it ended with {process.exitcode}"
            after = stored(where)
            assert after >= max(before, answered), "an acknowledged batch is lost"
            tally.kills += 1
            tally.idle += after == before
            if after == len(parts) or number == count - 1:
                finish(where, parts)
                tally.whole += 1
                where = Path(folder) / f"{number + 1}.db"
            if number % 50 == 49:
                say(str(tally))
    return tally


def killed(pid: int | None, line: Connection, wait_s: float) -> int:
    """Kill at a moment after it began. Returns how many batches it has acknowledged."""
    assert pid is not None
    heard = [line.recv_bytes()]
    end = monotonic() + wait_s
    while (left := end - monotonic()) > 0:
        if line.poll(left):
            heard.append(line.recv_bytes())
    os.kill(pid, signal.SIGKILL)
    with suppress(EOFError, OSError):
        while line.poll(5.0):
            heard.append(line.recv_bytes())
    line.close()
    return sum(word.isdigit() for word in heard)


def stored(where: Path) -> int:
    """How many batches are there; each of them whole."""
    if not where.exists():
        return 0
    clearing = clearing_at(str(where))
    with Session(clearing.engine) as session:
        batches = session.scalars(select(BatchRow)).all()
        taps = session.scalar(select(func.count()).select_from(TapRow))
        assert taps == sum(batch.last - batch.first + 1 for batch in batches), "half a batch"
    clearing.engine.dispose()
    return len(batches)


def finish(where: Path, parts: list[bytes]) -> None:
    """Run it again to the end: everything is there once, and the day balances."""
    clearing: Clearing = clearing_at(str(where))
    for part in parts:
        assert clearing.receive(part, RECEIVED).is_kept
    assert set(clearing.examine()) <= {Fault.BATCH_AGAIN}
    balance = balance_of(clearing.engine, 20250908)
    assert balance.is_balanced
    assert balance.taps == honest_day().size - honest_day().cards
    clearing.engine.dispose()
    assert stored(where) == len(parts)


if __name__ == "__main__":
    run_campaign(__doc__ or "", 300, campaign, str)

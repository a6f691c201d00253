"""`kill -9` on a real process with a real PSAM file, again and again; also by hand, many times:

python -m tests.interop.psam_kills --count 1000 --seed 1
"""

import argparse
import os
import random
import signal
import tempfile
import time
from dataclasses import dataclass, field
from multiprocessing import get_context
from multiprocessing.connection import Connection
from pathlib import Path

from reader.psam_store import PsamFile
from tests.psam_user import TERMINAL, use_for_ever

LONGEST_S = 0.03
"""A process is killed at most this long after it was started, or after its first answer."""

PATIENCE_S = 30.0
"""How long a first answer may take on a busy machine."""


@dataclass
class Tally:
    """What happened to one PSAM. given: numbers that left it. lost: numbers that never did."""

    kills: int = 0
    given: int = 0
    lost: int = 0
    torn: int = 0
    fruitless: int = 0
    open_ones: set[int] = field(default_factory=set, repr=False)


def campaign(folder: Path, count: int, seed: int) -> Tally:
    """Kill `count` processes. Raises AssertionError where a number or a transaction is lost."""
    source, tally = random.Random(seed), Tally()
    path = folder / "psam"
    PsamFile(path, TERMINAL).close()
    last = 0
    context = get_context("forkserver")
    context.set_forkserver_preload(["tests.psam_user"])
    for number in range(count):
        answers, theirs = context.Pipe(duplex=False)
        process = context.Process(
            target=use_for_ever, args=(str(path), source.getrandbits(32), theirs), daemon=True
        )
        process.start()
        theirs.close()
        if number % 4:
            answers.poll(PATIENCE_S)
        told = killed(process.pid, answers, source.uniform(0.0, LONGEST_S))
        process.join()
        assert process.exitcode == -signal.SIGKILL, f"it ended by itself with {process.exitcode}"
        last = look(path, told, last, tally)
    return tally


def killed(pid: int | None, answers: Connection, wait_s: float) -> list[bytes]:
    """Kill the process at a moment. Returns all it told."""
    assert pid is not None
    told, end = [], time.monotonic() + wait_s
    while (left := end - time.monotonic()) > 0:
        if answers.poll(left):
            told.append(answers.recv_bytes())
    os.kill(pid, signal.SIGKILL)
    try:
        while answers.poll(1.0):
            told.append(answers.recv_bytes())
    except (EOFError, OSError):
        pass  # a message may be cut off, too
    answers.close()
    return told


def look(path: Path, told: list[bytes], last: int, tally: Tally) -> int:
    """Open the file as at the next start. Returns the last number that may have been given."""
    given = [int(one.split()[1]) for one in told if one.startswith(b"given")]
    credited = {int(one.split()[1]) for one in told if one.startswith(b"credited")}
    for number in given:
        assert number > last, f"{number} was given twice, or after {last}"
        last = number
    tally.torn += not path.read_bytes().endswith(b"\n")
    with PsamFile(path) as store:
        assert store.next_seq > last, f"{store.next_seq} would be given after {last}"
        tally.open_ones = (tally.open_ones | set(given)) - credited
        kept = set(store.unresolved)
        # The last one may have been credited without telling, or given without telling.
        missing = tally.open_ones - kept
        assert missing <= set(given[-1:]), f"{sorted(missing)} were forgotten"
        assert min(kept - tally.open_ones, default=last + 1) > last, "a credited one came back"
        tally.open_ones = kept
        tally.lost += store.next_seq - 1 - last
        last = store.next_seq - 1
    tally.kills += 1
    tally.given += len(given)
    tally.fruitless += not given
    (path.parent / "psam.writing").unlink(missing_ok=True)
    assert [one.name for one in path.parent.iterdir()] == ["psam"]
    return last


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--count", type=int, default=1000)
    parser.add_argument("--seed", type=int, default=1)
    chosen = parser.parse_args()
    start = time.monotonic()
    with tempfile.TemporaryDirectory() as folder:
        tally = campaign(Path(folder), chosen.count, chosen.seed)
    print(f"{tally} in {time.monotonic() - start:.0f} s")  # noqa: T201 - a command line prints


if __name__ == "__main__":
    main()

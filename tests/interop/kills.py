"""`kill -9` on a real process with a real card file, again and again; also by hand, many times:

python -m tests.interop.kills --count 2000 --seed 1
"""

import argparse
import os
import random
import signal
import tempfile
import time
from dataclasses import dataclass
from multiprocessing import get_context
from multiprocessing.connection import Connection
from pathlib import Path

from emulator.card.filestore import FileStore, create_card, read_card
from tests.cards import purse_in, with_purse
from tests.saved import card_file, demand_agreement, inserted
from tests.tapper import START, tap_for_ever, wanted

LONGEST_S = 0.06
"""A process is killed at most this long after it was started, or after its first tap."""

PATIENCE_S = 30.0
"""How long a first tap may take on a busy machine."""


@dataclass
class Tally:
    """What happened to one card. taps: transactions that were kept."""

    kills: int = 0
    taps: int = 0
    fruitless: int = 0
    torn: int = 0
    writing: int = 0


def campaign(folder: Path, count: int, seed: int) -> Tally:
    """Kill `count` processes. Raises AssertionError where money or an answer is lost."""
    source, tally = random.Random(seed), Tally()
    path = folder / "card.json"
    image = with_purse(actual=START)(card_file().image)
    create_card(path, card_file(image))
    context = get_context("forkserver")
    context.set_forkserver_preload(["tests.tapper"])
    for number in range(count):
        before = sum(numbers(path))
        answers, theirs = context.Pipe(duplex=False)
        process = context.Process(
            target=tap_for_ever, args=(str(path), source.getrandbits(32), theirs), daemon=True
        )
        process.start()
        theirs.close()
        if number % 2:
            answers.poll(PATIENCE_S)
        answered = killed(process.pid, answers, source.uniform(0.0, LONGEST_S))
        process.join()
        assert process.exitcode == -signal.SIGKILL, f"it ended by itself with {process.exitcode}"
        tally.kills += 1
        look(path, folder, tally)
        after = numbers(path)
        assert all(a >= b for a, b in zip(after, answered, strict=True)), (number, after, answered)
        tally.taps += sum(after) - before
        tally.fruitless += sum(after) == before
    return tally


def killed(pid: int | None, answers: Connection, wait_s: float) -> tuple[int, int]:
    """Kill the process at a moment. Returns the last numbers it told."""
    assert pid is not None
    told, end = b"0 0", time.monotonic() + wait_s
    while (left := end - time.monotonic()) > 0:
        if answers.poll(left):
            told = answers.recv_bytes()
    os.kill(pid, signal.SIGKILL)
    try:
        while answers.poll(1.0):
            told = answers.recv_bytes()
    except (EOFError, OSError):
        pass  # a message may be cut off, too
    answers.close()
    online, offline = told.split()
    return int(online), int(offline)


def numbers(path: Path) -> tuple[int, int]:
    purse = purse_in(read_card(path).image)
    return purse.online_seq, purse.offline_seq


def look(path: Path, folder: Path, tally: Tally) -> None:
    """Open the card as at the next start: no fen is missing, and everything on it agrees."""
    journal = folder / "card.json.journal"
    if journal.exists():
        data = journal.read_bytes()
        tally.torn += bool(data) and not data.endswith(b"\n")
    tally.writing += (folder / "card.json.writing").exists()
    seen = read_card(path).image
    with FileStore(path) as store:
        image = store.load()
        assert image == seen
        assert purse_in(image).actual == wanted(image)
        demand_agreement(image, inserted(store))
    (folder / "card.json.writing").unlink(missing_ok=True)
    assert [p.name for p in folder.iterdir()] == ["card.json"]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--count", type=int, default=2000)
    parser.add_argument("--seed", type=int, default=1)
    chosen = parser.parse_args()
    start = time.monotonic()
    with tempfile.TemporaryDirectory() as folder:
        tally = campaign(Path(folder), chosen.count, chosen.seed)
    print(f"{tally} in {time.monotonic() - start:.0f} s")  # noqa: T201 - a command line prints


if __name__ == "__main__":
    main()

"""What a commit to a card file costs against a bare write and fsync of the same bytes.

Both write in one directory, turn about, so that the disk's mood is the same for both. The commits
are those of entry and exit taps: purse, EF18, EF1A and EF1E.
"""

import os
from dataclasses import dataclass
from datetime import datetime
from itertools import pairwise
from tempfile import TemporaryDirectory
from time import perf_counter_ns

import fixtures
from bench.clock import SHANGHAI
from bench.scenario import (
    ENTRY_STATION,
    ENTRY_TERMINAL,
    EXIT_STATION,
    EXIT_TERMINAL,
    make_gate,
)
from bench.throughput.beside import Beside, beside
from emulator.card.cardfile import CardFile
from emulator.card.env import SeededEnv
from emulator.card.filestore import FileStore, create_card
from emulator.card.journal import line
from emulator.card.personalise import personalise
from emulator.card.profile import Profile
from emulator.card.state import Image
from reader.gate import Direction, Verdict
from reader.session import run
from reader.transport.inprocess import InProcess

_ENTERED = datetime(2025, 9, 8, 7, 30, 15, tzinfo=SHANGHAI)
_LEFT = datetime(2025, 9, 8, 8, 1, 42, tzinfo=SHANGHAI)
_BALANCE = 100_000
"""Fen, the student card's ceiling: enough for `MOST` taps."""

MOST = 400
"""Commits a run at most."""

_WARM_UP = 10


@dataclass(frozen=True, slots=True)
class StoreFigures:
    """A commit beside a bare write and fsync. size: bytes of a commit, on average."""

    times: Beside
    size: float


def measure(where: str, count: int, runs: int) -> StoreFigures:
    """Time commits in a directory. count: commits a run. Raises OSError, CardFileError."""
    profile = fixtures.load_profile("student").with_balance(_BALANCE)
    images = tapped(profile, count + _WARM_UP)
    lines = [line(bytes(8), i, *pair) for i, pair in enumerate(pairwise(images), 1)]
    commits, bares = [], []
    for _ in range(runs):
        with TemporaryDirectory(dir=where) as folder:
            commit, bare = _one_run(folder, profile, images, lines)
        commits.append(commit[_WARM_UP:])
        bares.append(bare[_WARM_UP:])
    return StoreFigures(beside(commits, bares), sum(map(len, lines)) / len(lines))


def tapped(profile: Profile, count: int) -> list[Image]:
    """The images of a card at rest and after each of so many taps, entry and exit in turn."""
    roots = fixtures.load_roots()
    card = personalise(profile, roots, SeededEnv("bench"))
    gates = (
        make_gate(Direction.ENTRY, ENTRY_STATION, ENTRY_TERMINAL, _ENTERED, 1),
        make_gate(Direction.EXIT, EXIT_STATION, EXIT_TERMINAL, _LEFT, 1),
    )
    images = [card.image]
    for i in range(count):
        gate = gates[i % 2]
        outcome = run(gate.tap(), {"card": InProcess(card), "psam": gate.psam})
        if outcome.verdict is not Verdict.PASS:
            raise AssertionError(f"the gate did not open: {outcome.reason} {outcome.detail}")
        gate.walked()
        card.power_off()
        images.append(card.image)
    return images


def _one_run(
    folder: str, profile: Profile, images: list[Image], lines: list[bytes]
) -> tuple[list[int], list[int]]:
    """Nanoseconds of each commit, and of each bare write and fsync."""
    path = os.path.join(folder, "card.json")
    card = CardFile(profile.name, profile.title, profile.contactless, profile.dialect, images[0])
    create_card(path, card)
    commits, bares = [], []
    bare = os.open(os.path.join(folder, "bare"), os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    try:
        # No checkpoint in between: it is not a commit, and most runs have none anyway.
        with FileStore(path, journal_limit=1 << 40) as store:
            for image, text in zip(images[1:], lines, strict=True):
                start = perf_counter_ns()
                store.commit(image)
                between = perf_counter_ns()
                os.write(bare, text)
                os.fsync(bare)
                bares.append(perf_counter_ns() - between)
                commits.append(between - start)
    finally:
        os.close(bare)
    return commits, bares

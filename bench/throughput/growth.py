"""Whether a tap costs more among many cards: 100, 10,000, and a million if asked for.

Cards of one profile are opened in one process, as a city keeps them, and each that is tapped is
tapped for the first time. Populations are built and thrown away in turn, so that the machine's
moods meet both.
"""

import gc
import random
from collections.abc import Callable
from statistics import median

import fixtures
from bench.scenario import ENTERED_AT, ENTRY_STATION, ENTRY_TERMINAL, make_gate
from bench.throughput.histogram import Measure, Spread
from bench.throughput.repeat import timed
from emulator.card.card import Card
from emulator.card.env import SeededEnv
from emulator.card.personalise import new_image, personalise
from emulator.card.store import MemoryStore
from reader.gate import Direction, Gate, Verdict
from reader.session import run
from reader.transport.inprocess import InProcess

SIZES = (100, 10_000)
MILLION = 1_000_000
"""Takes about three gigabytes, and a minute each run."""

TAPPED = 100
"""Cards tapped in each population: all of the smallest."""

_WARM_UP = 100
"""Taps of other cards before that: a big population has warmed the machine while it was built."""


def growth_measures(
    runs: int, sizes: tuple[int, ...] = SIZES, tick: Callable[[], None] = lambda: None
) -> dict[str, Measure]:
    """Microseconds of a first tap by population, and each against the smallest."""
    spreads = {size: Spread() for size in sizes}
    medians: dict[int, list[float]] = {size: [] for size in sizes}
    for number in range(runs):
        for size in sizes:
            took = _first_taps(size, number)
            spreads[size].add_run(took)
            medians[size].append(median(took))
            tick()
    made = {f"tap among {size:,} cards": spread.measure() for size, spread in spreads.items()}
    for size in sizes[1:]:
        ratios = tuple(a / b for a, b in zip(medians[size], medians[sizes[0]], strict=True))
        made[ratio_name(size, sizes[0])] = Measure("ratio", ratios)
    return made


def ratio_name(size: int, smallest: int = SIZES[0]) -> str:
    """The measure that says how much more a tap costs among so many."""
    return f"tap among {size:,} / {smallest:,} cards"


def _first_taps(size: int, seed: int) -> list[int]:
    """Nanoseconds of the first taps of some cards out of many."""
    profile, roots = fixtures.load_profile("student").with_balance(5000), fixtures.load_roots()
    image, env = new_image(profile, roots), SeededEnv(seed)
    gc.collect()
    cards = [personalise(profile, roots, env, MemoryStore(image)) for _ in range(size)]
    chosen = random.Random(seed).sample(cards, TAPPED)  # noqa: S311 - repeatable on purpose
    gate = make_gate(Direction.ENTRY, ENTRY_STATION, ENTRY_TERMINAL, ENTERED_AT, 1)
    for _ in range(_WARM_UP):
        _tap(gate, personalise(profile, roots, env, MemoryStore(image)))
        gate.walked()
    return [timed(lambda: _tap(gate, card), 1, gate.walked)[0] for card in chosen]  # noqa: B023


def _tap(gate: Gate, card: Card) -> None:
    outcome = run(gate.tap(), {"card": InProcess(card), "psam": gate.psam})
    if outcome.verdict is not Verdict.PASS:
        raise AssertionError(f"the gate did not open: {outcome.reason} {outcome.detail}")

"""What one APDU and one whole entry tap cost on each road, command by command and part by part.

A tap is the entry of protocol reference 6.1: 10 card APDUs and 2 of the PSAM, both ends, all
checks, outcome and receipt. Before each tap the card's memory is put back as it was, outside the
measured time.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from time import perf_counter_ns

import fixtures
from apdu.commands import GET_BALANCE
from bench.roads import ROADS
from bench.scenario import ENTERED_AT, ENTRY_STATION, ENTRY_TERMINAL, make_gate
from bench.throughput.histogram import Measure, Spread
from bench.throughput.repeat import timed, turns
from bench.tracing.words import exchange_name
from emulator.card.env import SeededEnv
from emulator.card.personalise import new_image, personalise
from emulator.card.store import MemoryStore
from emulator.picc import Picc
from reader.gate import Direction, Gate, Verdict
from reader.session import run
from reader.transport.base import Transport
from reader.transport.decorators import Exchange, Recording

WARM_UP = 20
"""Taps before the first that counts, unless told otherwise."""


_TURN = 50
"""Taps that are looked into before what was seen is counted."""


@dataclass(frozen=True, slots=True)
class Plan:
    """How much is measured. count: taps a run. warm_up: taps before them that do not count."""

    count: int = 300
    runs: int = 5
    warm_up: int = WARM_UP


class Bench:
    """A card that can be put back, and its gate. seed: of the card's random numbers."""

    def __init__(self, seed: int = 1) -> None:
        self._profile = fixtures.load_profile("student").with_balance(5000)
        self._image = new_image(self._profile, fixtures.load_roots())
        self._store = MemoryStore(self._image)
        env = SeededEnv(f"bench {seed}")
        self.card = personalise(self._profile, fixtures.load_roots(), env, self._store)
        self.gate: Gate = make_gate(Direction.ENTRY, ENTRY_STATION, ENTRY_TERMINAL, ENTERED_AT, 1)

    def put_back(self) -> None:
        """The card as issued, outside of any transaction."""
        self._store.commit(self._image)
        self.card.power_off()
        self.gate.walked()  # or the same card passes again without a transaction

    def tap(self, link: Transport, psam: Transport | None = None) -> None:
        """One entry. Raises AssertionError if the gate does not open: the figure would be false.

        psam: something around the gate's own.
        """
        outcome = run(self.gate.tap(), {"card": link, "psam": psam or self.gate.psam})
        if outcome.verdict is not Verdict.PASS or outcome.receipt is None:
            raise AssertionError(f"the gate did not open: {outcome.reason} {outcome.detail}")


class Inside:
    """A card that adds up the time it takes itself, without the way to it (`Picc`)."""

    def __init__(self, picc: Picc) -> None:
        self.contactless = picc.contactless
        self.power_on, self.power_off = picc.power_on, picc.power_off
        self._process = picc.process
        self.took_ns = 0

    def process(self, command: bytes) -> bytes:
        """See Picc."""
        start = perf_counter_ns()
        response = self._process(command)
        self.took_ns += perf_counter_ns() - start
        return response


PARTS = ("card", "transport", "PSAM", "reader code")
WHOLE = "all of it"
"""Where the time of a tap goes. transport: everything between the reader's call and the card.
A card that is not ours cannot be looked into: there `card` is in `transport`."""


class Taken:
    """Times of taps by command and by part, filled tap by tap and run by run."""

    def __init__(self) -> None:
        self._commands: dict[str, Spread] = {}
        self._parts: dict[str, Spread] = {}
        self._run: dict[tuple[str, str], list[int]] = {}

    def add_tap(self, whole_ns: int, exchanges: Iterable[Exchange], card_ns: int | None) -> None:
        """One tap. card_ns: what the card took of it, None if nobody knows."""
        spent = {"card": 0, "psam": 0}
        seen: dict[str, int] = {}
        for exchange in exchanges:
            took = exchange.end_ns - exchange.start_ns
            spent[exchange.to] += took
            name = f"{exchange.to} {exchange_name(exchange.command)}"
            seen[name] = seen.get(name, 0) + 1
            self._note("command", name if seen[name] == 1 else f"{name} ({seen[name]})", took)
        if card_ns is not None:
            self._note("part", "card", card_ns)
        self._note("part", "transport", max(0, spent["card"] - (card_ns or 0)))
        self._note("part", "PSAM", spent["psam"])
        self._note("part", "reader code", whole_ns - spent["card"] - spent["psam"])
        self._note("part", WHOLE, whole_ns)

    def end_run(self) -> None:
        """Count what was added since the last run ended."""
        for (what, name), took in self._run.items():
            kept = self._commands if what == "command" else self._parts
            kept.setdefault(name, Spread()).add_run(took)
        self._run = {}

    @property
    def commands(self) -> dict[str, Measure]:
        """By command, in the tap's order."""
        return {name: spread.measure() for name, spread in self._commands.items()}

    @property
    def parts(self) -> dict[str, Measure]:
        """By part, see `PARTS`, and the tap they are parts of."""
        names = (*PARTS, WHOLE)
        return {name: self._parts[name].measure() for name in names if name in self._parts}

    def _note(self, what: str, name: str, took_ns: int) -> None:
        self._run.setdefault((what, name), []).append(took_ns)


@dataclass(frozen=True, slots=True)
class RoadFigures:
    """One road: a small APDU (GET BALANCE), a whole entry tap, its commands and its parts."""

    apdu: Measure
    tap: Measure
    commands: Mapping[str, Measure]
    parts: Mapping[str, Measure]

    def measures(self, road: str) -> dict[str, Measure]:
        """All of them, by names that begin with the road's."""
        rates = tuple(1e6 / run for run in self.tap.runs)
        return {
            f"{road} APDU": self.apdu,
            f"{road} tap": self.tap,
            f"{road} taps a second": Measure("1/s", rates, "more", count=self.tap.count),
            **{f"{road} part {name}": one for name, one in self.parts.items()},
            **{f"{road} command {name}": one for name, one in self.commands.items()},
        }


def measure(
    name: str, plan: Plan, tick: Callable[[], None] = lambda: None, seed: int = 1
) -> RoadFigures:
    """Time a road. tick: called after each run, for a progress bar.

    Whole taps are measured without a probe; commands and parts in taps of their own after them.
    """
    apdus, taps = time_road(name, plan, tick, seed)
    taken = _look_inside(name, plan, tick, seed)
    return RoadFigures(apdus, taps, taken.commands, taken.parts)


def time_road(
    name: str, plan: Plan, tick: Callable[[], None] = lambda: None, seed: int = 1
) -> tuple[Measure, Measure]:
    """Time GET BALANCE and whole taps on a road, without a probe."""
    apdus, taps = Spread(), Spread()
    bench = Bench(seed)
    with ROADS[name](bench.card) as link:
        _warm_up(bench, link, plan.warm_up)
        command = GET_BALANCE.command(None)
        for _ in range(plan.runs):
            apdus.add_run(timed(lambda: link.transmit(command), plan.count))
            taps.add_run(timed(lambda: bench.tap(link), plan.count, bench.put_back))
            tick()
    return apdus.measure(), taps.measure()


def _warm_up(bench: Bench, link: Transport, count: int) -> None:
    for _ in range(max(1, count)):
        bench.put_back()
        bench.tap(link)


def _look_inside(name: str, plan: Plan, tick: Callable[[], None], seed: int) -> Taken:
    bench, taken = Bench(seed), Taken()
    inside = Inside(bench.card)
    with ROADS[name](inside) as link:
        _warm_up(bench, link, plan.warm_up)
        for _ in range(plan.runs):
            for size in turns(plan.count, _TURN):
                taps = [_probed(bench, link, inside) for _ in range(size)]
                for tap in taps:  # not between taps, whose caches it would empty
                    taken.add_tap(*tap)
            taken.end_run()
            tick()
    return taken


def _probed(bench: Bench, link: Transport, inside: Inside) -> tuple[int, list[Exchange], int]:
    """A tap as `Taken.add_tap` wants it."""
    bench.put_back()
    seen: list[Exchange] = []
    card = Recording(link, perf_counter_ns, "card", seen)
    psam = Recording(bench.gate.psam, perf_counter_ns, "psam", seen)
    inside.took_ns = 0
    start = perf_counter_ns()
    bench.tap(card, psam)
    return perf_counter_ns() - start, seen, inside.took_ns

"""How many people one gate passes, with live taps or with a model of them."""

import time
from collections.abc import Callable, Generator
from dataclasses import dataclass, field
from typing import Any

import simpy

from bench.problem import Problem
from bench.throughput.crowd.aisle import ELSEWHERE, Aisle
from bench.throughput.crowd.arrivals import Poisson, Saturated, Traced
from bench.throughput.crowd.deck import Deck
from bench.throughput.crowd.model import SAMPLES, ModelReader, gather
from bench.throughput.crowd.numbers import SECOND_NS, in_range
from bench.throughput.crowd.people import Habits, Pace, People
from bench.throughput.crowd.tally import Tally
from bench.throughput.crowd.taps import Gear, LiveReader, Reader
from bench.throughput.crowd.terminals import Post
from bench.throughput.crowd.virtual import Virtual
from reader.journal import TapJournal
from reader.modes import Mode

Arrivals = Saturated | Poisson | Traced


@dataclass(frozen=True, slots=True)
class GateRun:
    """What is to be simulated. until_s: when it ends; None: when everybody has gone."""

    post: Post
    gear: Gear
    arrivals: Arrivals
    habits: Habits = field(default_factory=Habits)
    pace: Pace = field(default_factory=Pace)
    until_s: float | None = None
    is_model: bool = False
    samples: int = SAMPLES
    modes: frozenset[Mode] = frozenset()

    def __post_init__(self) -> None:
        closed = [mode.value for mode in self.modes if mode.rule.stops in ELSEWHERE]
        if closed:
            raise Problem(f"a gate in mode {closed[0]} passes nobody; choose another --mode")
        in_range("the number of samples", self.samples, 1, 10_000)


@dataclass(frozen=True, slots=True)
class GateResult:
    """What came of it. took_ns: simulated. cpu_s: processor time, without gathering a model.

    busy_ns: while somebody had the reader, from their turn until the next one may come.

    still: people who are still here. is_whole: nobody stopped it.
    """

    run: GateRun
    tally: Tally
    still: int
    took_ns: int
    cpu_s: float
    busy_ns: int
    is_whole: bool = True

    @property
    def is_saturated(self) -> bool:
        """Whether somebody always waits."""
        return isinstance(self.run.arrivals, Saturated)

    @property
    def busy(self) -> float:
        """The share of the time in which somebody had the reader."""
        return self.busy_ns / self.took_ns if self.took_ns else 0.0

    @property
    def capacity(self) -> float:
        """Persons a minute that the gate passes while somebody waits."""
        return self.tally.passed * 60e9 / self.busy_ns if self.busy_ns else 0.0

    @property
    def per_minute(self) -> float:
        """Persons through the gate: its capacity, or as many of those who come as it can.

        Where somebody always waits, the last one's walk behind an open barrier is no part of it.
        """
        if self.is_saturated:
            return self.capacity
        return self.tally.passed * 60e9 / self.took_ns if self.took_ns else 0.0

    @property
    def ratio(self) -> float:
        """Simulated time over processor time."""
        return self.took_ns / 1e9 / self.cpu_s if self.cpu_s else 0.0

    @property
    def field_ratio(self) -> float:
        """Simulated time with a card in the field over processor time."""
        return sum(self.tally.field_ns) / 1e9 / self.cpu_s if self.cpu_s else 0.0


def simulate(
    run: GateRun,
    tick: Callable[[Tally], None] = lambda tally: None,
    journal: TapJournal | None = None,
) -> GateResult:
    """Simulate one gate. tick: called whenever somebody has gone. Ctrl-C ends it early."""
    env, tally = Virtual(), Tally()
    reader = _reader(run, journal)
    begin_s = time.process_time()
    aisle = Aisle(env, {run.post.direction: reader}, run.gear.policy, run.pace, (tally,))
    everybody = _Everybody(env, aisle, tally)

    def on_end() -> None:
        tick(tally)
        everybody.check()

    tally.on_end = on_end
    env.process(everybody.come(run))
    if run.modes:
        aisle.set_modes(run.modes)
    is_whole = True
    try:
        env.run(until=everybody.over if run.until_s is None else round(run.until_s * SECOND_NS))
    except KeyboardInterrupt:
        is_whole = False
    aisle.finish()
    cpu_s = time.process_time() - begin_s
    still = aisle.people + aisle.walking
    return GateResult(run, tally, still, env.now_ns, cpu_s, aisle.busy_ns, is_whole)


class _Everybody:
    """Those who come, and the event that all have gone."""

    def __init__(self, env: Virtual, aisle: Aisle, tally: Tally) -> None:
        self.over = env.event()
        self._env, self._aisle, self._tally = env, aisle, tally
        self._has_all = False

    def come(self, run: GateRun) -> Generator[simpy.Event, Any, None]:
        """Send the passengers."""
        people = People(run.habits, run.pace, run.gear.seed)
        for at_ns, said in run.arrivals:
            if at_ns > self._env.now_ns:
                yield self._env.timeout(at_ns - self._env.now_ns)
            self._tally.arrives(self._env.now_ns)
            self._aisle.join(people.next(run.post.direction, self._env.now_ns, said))
        self._has_all = True
        self.check()

    def check(self) -> None:
        """Whether it is over."""
        if self._has_all and not self._tally.present() and not self.over.triggered:
            self.over.succeed()


def _reader(run: GateRun, journal: TapJournal | None) -> Reader:
    if not run.is_model:
        return LiveReader(run.post, run.gear, Deck(run.gear.seed), journal)
    habits = run.habits
    if isinstance(run.arrivals, Traced):
        habits = run.arrivals.habits(habits)
    samples = gather(run.post, run.gear, habits, run.pace.tries, run.samples)
    return ModelReader(run.post, run.gear, samples)

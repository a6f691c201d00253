"""Crowds several times over, with a seed for each run: how far chance moves the figures."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from statistics import median
from typing import Generic, Protocol, Self, TypeVar

from bench.throughput.crowd.arrivals import Poisson
from bench.throughput.crowd.gate import GateResult, GateRun, simulate
from bench.throughput.crowd.numbers import in_range
from bench.throughput.crowd.station import StationResult, StationRun, simulate_station
from bench.throughput.crowd.tally import Tally, merged
from reader.journal import TapJournal

MOST_RUNS = 1000


class Result(Protocol):
    """What came of one run."""

    @property
    def tally(self) -> Tally:
        """What everybody did."""

    @property
    def per_minute(self) -> float:
        """Persons who pass."""

    @property
    def still(self) -> int:
        """People who were still there at the end."""

    @property
    def took_ns(self) -> int:
        """Simulated."""

    @property
    def cpu_s(self) -> float:
        """Processor time."""

    @property
    def is_whole(self) -> bool:
        """Nobody stopped it."""


R = TypeVar("R", bound=Result)


@dataclass(frozen=True, slots=True)
class Results(Generic[R]):
    """What came of every run. each: there is at least one. tally: of all of them together."""

    each: tuple[R, ...]
    tally: Tally

    @classmethod
    def of(cls, each: Sequence[R]) -> Self:
        """Of the runs, in order."""
        return cls(tuple(each), merged([one.tally for one in each]))

    @property
    def per_minute(self) -> float:
        """Persons who pass, the median of the runs."""
        return median(one.per_minute for one in self.each)

    @property
    def still(self) -> int:
        """People who were still there at the ends."""
        return sum(one.still for one in self.each)

    @property
    def took_ns(self) -> int:
        """Simulated in all."""
        return sum(one.took_ns for one in self.each)

    @property
    def cpu_s(self) -> float:
        """Processor time in all, without gathering models."""
        return sum(one.cpu_s for one in self.each)

    @property
    def is_whole(self) -> bool:
        """Nobody stopped any."""
        return all(one.is_whole for one in self.each)


class GateResults(Results[GateResult]):
    """One gate's."""

    __slots__ = ()

    @property
    def run(self) -> GateRun:
        """The first one."""
        return self.each[0].run

    @property
    def field_ratio(self) -> float:
        """Simulated time with a card in the field over processor time."""
        return sum(self.tally.field_ns) / 1e9 / self.cpu_s if self.cpu_s else 0.0


class StationResults(Results[StationResult]):
    """A station's."""

    __slots__ = ()

    @property
    def run(self) -> StationRun:
        """The first one."""
        return self.each[0].run


def seeded(run: GateRun, seed: int) -> GateRun:
    """The same gate with other people, cards and noise; a trace's arrivals stay."""
    arrivals = run.arrivals
    if isinstance(arrivals, Poisson):
        arrivals = replace(arrivals, seed=seed)
    return replace(run, gear=replace(run.gear, seed=seed), arrivals=arrivals)


def simulate_runs(
    run: GateRun,
    seeds: Sequence[int],
    tick: Callable[[Tally], None] = lambda tally: None,
    journal: TapJournal | None = None,
) -> GateResults:
    """Simulate a gate once with each seed. Ctrl-C ends it early. Raises Problem.

    tick: called whenever somebody has gone. journal: of a single run, as a PSAM counts but once.
    """
    return GateResults.of(_each(seeds, lambda seed: simulate(seeded(run, seed), tick, journal)))


def simulate_stations(
    run: StationRun, seeds: Sequence[int], tick: Callable[[], None] = lambda: None
) -> StationResults:
    """Simulate a station once with each seed. Ctrl-C ends it early. Raises Problem.

    tick: called whenever somebody has gone.
    """

    def one(seed: int) -> StationResult:
        return simulate_station(replace(run, gear=replace(run.gear, seed=seed)), tick)

    return StationResults.of(_each(seeds, one))


def _each(seeds: Sequence[int], simulated: Callable[[int], R]) -> list[R]:
    """What came of each seed, up to the first that was stopped. Raises Problem."""
    in_range("the number of runs", len(seeds), 1, MOST_RUNS)
    found: list[R] = []
    for seed in seeds:
        found.append(simulated(seed))
        if not found[-1].is_whole:
            break
    return found

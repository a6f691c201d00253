"""A city's day from its shards: given out, taken back, kept and added up."""

from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass, field
from time import monotonic

from bench.city.crew import Crew
from bench.city.folder import CityFolder
from bench.city.plan import CityPlan
from bench.city.result import PARTS, TAP_PARTS, ShardResult, Tally, digest_of
from bench.problem import Problem

_POINTS = 2000

Tell = Callable[["City", ShardResult], None]
"""Told of every shard that was played, and of the city so far."""


@dataclass(slots=True)
class Worker:
    """One process's work in this run. peak_mib: most memory it ever had."""

    shards: int = 0
    trips: int = 0
    cpu_s: float = 0.0
    wall_s: float = 0.0
    peak_mib: float = 0.0

    @property
    def per_second(self) -> float:
        """Trips a second of a processor's work."""
        return self.trips / self.cpu_s if self.cpu_s else 0.0


@dataclass(slots=True)
class City:
    """A day, as far as it is played.

    digests: of shards, by number. played: trips in this run, without those that were kept from an
    earlier one. start_s: seconds until all workers were ready. wall_s: seconds of this run after
    that. repeated: shards played again because a worker died.
    parts: cpu seconds by `PARTS`. tap_us: a tap in microseconds by `TAP_PARTS`.
    points: shard, its worker, trips a cpu second, the worker's peak in MiB.
    incomplete: why it ended early.
    """

    plan: CityPlan
    tally: Tally = field(default_factory=Tally)
    digests: dict[int, str] = field(default_factory=dict)
    played: int = 0
    start_s: float = 0.0
    wall_s: float = 0.0
    repeated: int | None = 0
    card_b: float = 0.0
    parts: dict[str, float] = field(default_factory=lambda: dict.fromkeys(PARTS, 0.0))
    tap_us: dict[str, float] = field(default_factory=lambda: dict.fromkeys(TAP_PARTS, 0.0))
    workers: dict[int, Worker] = field(default_factory=dict)
    points: list[tuple[int, int, float, float]] = field(default_factory=list)
    incomplete: str = ""

    @property
    def is_whole(self) -> bool:
        """Whether every shard is there."""
        return len(self.digests) == self.plan.shards

    @property
    def is_good(self) -> bool:
        """Whether it is whole, and nothing is wrong with it."""
        return self.is_whole and not self.tally.problems

    @property
    def digest(self) -> str:
        """Over all shards in their order; of those that are there, if it is not whole."""
        return digest_of(self.digests[number] for number in sorted(self.digests))

    @property
    def cpu_s(self) -> float:
        """Of all workers."""
        return sum(one.cpu_s for one in self.workers.values())

    @property
    def per_second(self) -> float:
        """Trips a second by the clock."""
        return self.played / self.wall_s if self.wall_s else 0.0

    @property
    def per_core(self) -> float:
        """Trips a second of one processor's work."""
        return self.played / self.cpu_s if self.cpu_s else 0.0

    @property
    def peak_mib(self) -> float:
        """The most that a worker ever had."""
        return max((one.peak_mib for one in self.workers.values()), default=0.0)

    def count(self, result: ShardResult) -> bool:
        """Take a shard in. Returns False if it was counted before."""
        known = self.digests.get(result.number)
        if known is not None:
            if known != result.digest:
                raise AssertionError(f"shard {result.number} came to something else a second time")
            return False
        self.digests[result.number] = result.digest
        self.tally.add(result.tally)
        share = result.tally.cards / max(self.tally.cards, 1)
        self.card_b += (result.cost.card_b - self.card_b) * share
        return True

    def account(self, result: ShardResult) -> None:
        """What a shard of this run has cost."""
        cost, trips = result.cost, result.tally.trips
        self.played += trips
        worker = self.workers.setdefault(cost.worker, Worker())
        worker.shards, worker.trips = worker.shards + 1, worker.trips + trips
        worker.cpu_s, worker.wall_s = worker.cpu_s + cost.cpu_s, worker.wall_s + cost.wall_s
        worker.peak_mib = max(worker.peak_mib, cost.peak_mib)
        for part in PARTS:
            self.parts[part] += cost.parts.get(part, 0.0)
        for part in TAP_PARTS:
            self.tap_us[part] += (cost.tap_us[part] - self.tap_us[part]) * trips / self.played
        self.points.append((result.number, cost.worker, trips / cost.cpu_s, cost.peak_mib))
        if len(self.points) > _POINTS:
            del self.points[::2]


def run_city(
    plan: CityPlan,
    crew: Crew,
    folder: CityFolder | None = None,
    tell: Tell = lambda city, result: None,
) -> City:
    """Play what is missing of a day. A problem, or Ctrl-C, leaves the city incomplete and says why.

    folder: where results are kept and found again. tell: called for each shard.
    """
    city, began = City(plan), monotonic()
    try:
        with closing(crew):
            for result in folder.kept() if folder else ():
                city.count(result)
            if city.is_whole:
                return city
            missing = (number for number in range(plan.shards) if number not in city.digests)
            crew.ready()
            began, city.start_s = monotonic(), monotonic() - began
            for result in crew.play(plan, missing):
                if folder is not None:
                    folder.keep(result)
                if city.count(result):
                    city.account(result)
                city.wall_s = monotonic() - began
                city.repeated = crew.repeated
                tell(city, result)
    except Problem as problem:
        city.incomplete = str(problem)
    except KeyboardInterrupt:
        city.incomplete = INTERRUPTED
    city.wall_s = monotonic() - began
    return city


INTERRUPTED = "the run was interrupted; the same command goes on with it if it has --out"

"""How a city's day grows: measured at several sizes, fitted, and projected to a real city's day."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from math import log10, nan, sqrt
from statistics import linear_regression, mean, median
from typing import Any

from bench.city.crew import Crew
from bench.city.plan import CityPlan
from bench.city.run import City, run_city
from bench.problem import Problem
from bench.throughput.charts import COLOURS, chart
from bench.throughput.document import Document
from bench.throughput.histogram import Measure
from bench.throughput.page import Grid, Picture
from bench.throughput.targets import bound_of

PARTS = (30, 10, 3, 1)
"""Sizes measured: so many parts of the whole."""

PROJECTED = 10_000_000
PAIRS = 3
_T95 = {1: 12.706, 2: 4.303}
"""Student's t for 95 %, both sides, by degrees of freedom."""
TARGET_MINUTES = bound_of("T12", "10 million trips, projected").limit
TARGET_SPEEDUP = bound_of("T12", "speedup of two workers").limit


@dataclass(frozen=True, slots=True)
class Point:
    """A size that was measured. wall_s: from the first shard given out to the last taken back."""

    trips: int
    wall_s: float
    per_core: float
    peak_mib: float
    card_b: float


@dataclass(frozen=True, slots=True)
class Fit:
    """A straight line by least squares. base: where `by` is zero. slope: for one of it.

    points: that it was fitted to: sizes and values. by: of the size, what the line goes along.
    """

    base: float
    slope: float
    points: tuple[tuple[int, float], ...] = ()
    by: Callable[[float], float] = float

    def at(self, trips: int) -> float:
        """The line's value."""
        return self.base + self.slope * self.by(trips)

    def margin(self, trips: int) -> float:
        """How far from `at` a new measurement is, at most, in 95 of 100 cases.

        As if the points strayed evenly about a line; nan if there are too few or too many.
        """
        free, along = len(self.points) - 2, [self.by(x) for x, _ in self.points]
        if free not in _T95:
            return nan
        middle = mean(along)
        error = sqrt(sum((y - self.at(x)) ** 2 for x, y in self.points) / free)
        apart = (self.by(trips) - middle) ** 2 / sum((x - middle) ** 2 for x in along)
        return _T95[free] * error * sqrt(1 + 1 / len(along) + apart)

    @classmethod
    def of(cls, points: Sequence[tuple[int, float]], by: Callable[[float], float] = float) -> "Fit":
        """Through two points of different size at least."""
        slope, base = linear_regression([by(x) for x, _ in points], [y for _, y in points])
        return cls(base, slope, tuple(points), by)


@dataclass(frozen=True, slots=True)
class Study:
    """The measurements. speedups: one worker's seconds over two workers', run after run."""

    plan: CityPlan
    workers: int
    points: tuple[Point, ...]
    speedups: tuple[float, ...]

    @property
    def time(self) -> Fit:
        """Seconds by trips."""
        return Fit.of([(one.trips, one.wall_s) for one in self.points])

    @property
    def memory(self) -> Fit:
        """MiB of a worker, along the logarithm of the trips.

        A worker keeps nothing of a shard, so its peak is the greatest of many alike, which grows
        with the logarithm of their number at most.
        """
        return Fit.of([(one.trips, one.peak_mib) for one in self.points], log10)

    @property
    def minutes(self) -> float:
        """Of the projected day."""
        return self.time.at(PROJECTED) / 60


def sizes_of(trips: int) -> tuple[int, ...]:
    """The sizes measured. Raises Problem if they would be one."""
    made = tuple(sorted({max(trips // part, 1) for part in PARTS}))
    if len(made) < len(PARTS):
        raise Problem(f"a study of {trips} trips has nothing to compare; give --trips 30 or more")
    return made


def study(
    plan: CityPlan, workers: int, crew: Callable[[int], Crew], tell: Callable[[City, object], None]
) -> Study:
    """Measure. crew: makes one of so many workers. Raises Problem if a day is not good."""
    points, least = [], sizes_of(plan.trips)[0]
    if replace(plan, trips=least).shards < max(workers, 2):
        raise Problem(
            f"the smallest size, {least} trips, is too few shards of {plan.shard_trips} for "
            f"{max(workers, 2)} workers; give more --trips or a smaller --shard"
        )
    for trips in sizes_of(plan.trips):
        city = _played(replace(plan, trips=trips), crew(workers), tell)
        points.append(Point(trips, city.wall_s, city.per_core, city.peak_mib, city.card_b))
    middle = replace(plan, trips=sizes_of(plan.trips)[1])
    speedups = []
    for _ in range(PAIRS):  # in turn, so that both have the same machine
        one, two = (_played(middle, crew(number), tell).wall_s for number in (1, 2))
        speedups.append(one / two)
    return Study(plan, workers, tuple(points), tuple(speedups))


def _played(plan: CityPlan, crew: Crew, tell: Callable[[City, object], None]) -> City:
    city = run_city(plan, crew, None, tell)
    if not city.is_good:
        raise Problem(city.incomplete or city.tally.problems[0])
    return city


def document_of(made: Study) -> Document:
    """The document."""
    plan, time, memory = made.plan, made.time, made.memory
    measures = {
        "speedup of 2 workers": Measure("ratio", made.speedups, "more"),
        "projected day": Measure("s", (time.at(PROJECTED),)),
        "projected worker memory": Measure("MiB", (memory.at(PROJECTED),)),
    }
    for one in made.points:
        measures[f"{one.trips} trips"] = Measure("s", (one.wall_s,))
        measures[f"{one.trips} trips per core"] = Measure("1/s", (one.per_core,), "more")
        measures[f"{one.trips} trips, worker memory"] = Measure("MiB", (one.peak_mib,))
    detail = {
        "projected_trips": PROJECTED,
        "time_fit": {
            "base_s": time.base,
            "us_a_trip": time.slope * 1e6,
            "projected_margin_s": time.margin(PROJECTED),
        },
        "memory_fit": {
            "base_mib": memory.base,
            "mib_for_ten_times_the_trips": memory.slope,
            "projected_margin_mib": memory.margin(PROJECTED),
        },
    }
    options = {
        "trips": plan.trips,
        "day": plan.day.isoformat(),
        "shard": plan.shard_trips,
        "workers": made.workers,
        "scale_study": True,
    }
    return Document("city study", options, measures, detail, plan.seed)


def summary(made: Study) -> list[str]:
    """The study in sentences."""
    time, memory = made.time, made.memory
    margin, most = time.margin(PROJECTED) / 60, memory.at(PROJECTED)
    return [
        f"Time fits {time.base:.1f} s + {time.slope * 1e6:.0f} us a trip with {made.workers} "
        f"workers: {PROJECTED:,} trips would take {made.minutes:.1f} minutes "
        f"({max(made.minutes - margin, 0):.1f} to {made.minutes + margin:.1f} with 95 % confidence "
        f"if it stays a line; target {TARGET_MINUTES:g} on two processors).",
        f"A worker's memory, the most of any of its shards, fits {memory.slope:.1f} MiB more for "
        f"ten times the trips: {most:.0f} MiB at {PROJECTED:,}, give or take "
        f"{memory.margin(PROJECTED):.0f} with 95 % confidence.",
        f"Two workers are {median(made.speedups):.2f} times as fast as one "
        f"({min(made.speedups):.2f} to {max(made.speedups):.2f} in {len(made.speedups)} pairs; "
        f"target {TARGET_SPEEDUP}).",
    ]


def rows(made: Study) -> list[tuple[str, ...]]:
    """The sizes as a table: trips, seconds, by the fit, trips a core second, MiB."""
    return [
        (
            f"{one.trips:,}",
            f"{one.wall_s:.1f}",
            f"{made.time.at(one.trips):.1f}",
            f"{one.per_core:,.0f}",
            f"{one.peak_mib:.0f}",
            f"{made.memory.at(one.trips):.0f}",
        )
        for one in made.points
    ]


HEADS = ("trips", "s", "by the fit", "trips a processor second", "peak MiB", "by the fit")


def title_of(made: Study) -> str:
    """What the page is called."""
    return f"How a city's day grows, {made.workers} workers, seed {made.plan.seed}"


def parts_of(made: Study) -> list[Picture | Grid | str]:
    """What is shown, in order."""
    last = (f"{PROJECTED:,}", "-", f"{made.time.at(PROJECTED):,.0f}", "-", "-")
    table = [*rows(made), (*last, f"{made.memory.at(PROJECTED):.0f}")]
    return [
        *summary(made),
        Grid("Measured and fitted", HEADS, table),
        _line(made.points, "wall_s", made.time, "Time by trips", "seconds"),
        _line(made.points, "peak_mib", made.memory, "Memory by trips", "peak MiB"),
    ]


def _line(points: Sequence[Point], name: str, fit: Fit, title: str, unit: str) -> Picture:
    def draw(axes: Any) -> None:  # noqa: ANN401 - matplotlib's
        least, most = points[0].trips, points[-1].trips
        along = [least + (most - least) * step // 50 for step in range(51)]
        axes.plot(along, [fit.at(one) for one in along], color=COLOURS[1], label="fit")
        measured = [getattr(one, name) for one in points]
        axes.plot([one.trips for one in points], measured, "o", label="measured")
        axes.set_ylim(0, 1.1 * axes.get_ylim()[1])

    svg = partial(chart, draw, title, "trips", unit)
    return Picture(svg, f"{PROJECTED:,} trips by the fit: {fit.at(PROJECTED):,.0f} {unit}.")

"""`tapbench bench city`: a city's day, or how such days grow."""

import os
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, contextmanager, suppress
from dataclasses import dataclass
from datetime import date
from pathlib import Path

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

from bench.city.crew import Crew, Processes
from bench.city.folder import CityFolder
from bench.city.plan import FIRST_DAY, LAST_DAY, MOST_SHARDS, CityPlan
from bench.city.run import INTERRUPTED, City, run_city
from bench.cli.bench_show import Output
from bench.problem import Problem

_GOOD, _WRONG, _NOT_DONE, _CTRL_C = 0, 1, 2, 130


@dataclass(frozen=True, slots=True)
class CityOptions:
    """What was asked for. See `bench.cli.bench_city_app`."""

    trips: int
    day: date
    workers: int | None
    shard: int
    seed: int
    out: Path | None
    ray: str | None
    scale_study: bool
    output: Output

    @property
    def plan(self) -> CityPlan:
        """The day. Raises Problem."""
        if not FIRST_DAY <= self.day <= LAST_DAY:
            raise Problem(
                f"--day is {self.day}; cards have dates from {FIRST_DAY.year} to {LAST_DAY.year}"
            )
        made = CityPlan(self.trips, self.day, self.seed, self.shard)
        if made.shards > MOST_SHARDS:
            raise Problem(
                f"{self.trips} trips in shards of {self.shard} are {made.shards} shards, and "
                f"{MOST_SHARDS} are the most; give a larger --shard"
            )
        return made

    @property
    def processes(self) -> int:
        """How many workers of this machine."""
        return self.workers or _processors()


def _processors() -> int:
    """That this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def bench_city(asked: CityOptions) -> int:
    """Play, print and write. Returns 1 if the day is wrong, 2 or 130 if it is not whole.

    Raises Problem.
    """
    plan = asked.plan
    asked.output.demand()
    if asked.scale_study:
        return _study(asked, plan)
    with ExitStack() as stack:
        folder = None
        if asked.out is not None:
            folder = stack.enter_context(CityFolder(asked.out, plan))
        return _day(asked, plan, folder)


def _day(asked: CityOptions, plan: CityPlan, folder: CityFolder | None) -> int:
    from bench.city.report import document_of, parts_of, title_of

    crew = _crew(asked)
    options = {"workers": crew.workers, "ray": asked.ray or ""}
    with closing(crew), _progress(plan) as tell:
        if folder is not None:
            started = City(plan, incomplete="the run has not ended")
            folder.tell(document_of(started, options).text())
        city = run_city(plan, crew, folder, tell)
    document = document_of(city, options)
    if folder is not None:
        with suppress(Problem):  # a full disk was told of already, and the old one says incomplete
            folder.tell(document.text())
    asked.output.give(title_of(city), document, parts_of(city))
    return _ended(city)


def _crew(asked: CityOptions) -> Crew:
    shards = asked.plan.shards  # more workers than these would have nothing to do
    if asked.ray is None:
        return Processes(min(asked.processes, shards))
    from bench.city.ray_crew import LOCAL, RayCrew

    workers = asked.processes if asked.ray == LOCAL else asked.workers
    return RayCrew(asked.ray, workers and min(workers, shards))


def _ended(city: City) -> int:
    """The exit code, after a sentence on standard error if the day is not good."""
    if city.incomplete:
        there = f"{len(city.digests)} of {city.plan.shards} shards are done"
        print(f"tapbench: {city.incomplete}; {there}", file=sys.stderr)
        return _CTRL_C if city.incomplete == INTERRUPTED else _NOT_DONE
    for problem in city.tally.problems:
        print(f"tapbench: {problem}", file=sys.stderr)
    return _GOOD if city.is_good else _WRONG


def _study(asked: CityOptions, plan: CityPlan) -> int:
    from bench.city.study import document_of, parts_of, study, title_of

    if asked.out is not None or asked.ray is not None:
        raise Problem("a scale study runs processes and keeps no shards; leave --out and --ray out")
    try:
        with _progress(plan) as tell:
            made = study(plan, asked.processes, Processes, tell)
    except Problem as problem:
        if str(problem) != INTERRUPTED:
            raise
        print("tapbench: the study was stopped; nothing of it is kept", file=sys.stderr)
        return _CTRL_C
    document = document_of(made)
    asked.output.give(title_of(made), document, parts_of(made))
    return _GOOD


@contextmanager
def _progress(plan: CityPlan) -> Iterator[Callable[[City, object], None]]:
    """A bar of trips on standard error."""
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        TextColumn("{task.completed:,.0f} of {task.total:,.0f} trips"),
        TimeRemainingColumn(),
    )
    console = Console(stderr=True)
    # Into a file a bar is nothing but an empty line before what is wrong.
    is_hidden = not console.is_terminal
    with Progress(*columns, console=console, transient=True, disable=is_hidden) as progress:
        task = progress.add_task("city", total=plan.trips)

        def tell(city: City, result: object) -> None:
            said = f"{city.per_core:,.0f}/s a core" if city.played else "city"
            progress.update(
                task, completed=city.tally.trips, total=city.plan.trips, description=said
            )

        yield tell

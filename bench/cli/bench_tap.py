"""`tapbench bench tap`: one APDU and one entry tap on each road, or on a reader with a card."""

import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from rich.console import Console
from rich.progress import Progress

from bench.cli.bench_show import (
    Output,
    demand_extra,
    figure,
    figure_grid,
    spread_grid,
)
from bench.rig.errors import RigError
from bench.roads import choose
from bench.throughput.document import Document
from bench.throughput.histogram import Measure
from bench.throughput.page import Grid, Picture
from bench.throughput.repeat import one_processor
from emulator.frontends.errors import FrontendError
from reader.transport.base import ReaderFault

if TYPE_CHECKING:
    from bench.throughput.tap import Plan

READERS = ("pcsc:", "nfc:")
_SHOWN_RATES = (0, 2)
"""Bit rates of the radio that a tap is told with: 106 and 424 kbit/s."""

Parts = list[Grid | Picture | str]


@dataclass(frozen=True, slots=True)
class TapBench:
    """What the command line says. may_write: whether a foreign card may be tapped."""

    via: str
    count: int
    runs: int
    warm_up: int
    pin: bool = True
    seed: int = 1
    may_write: bool = False

    @property
    def plan(self) -> "Plan":
        """How much is measured."""
        from bench.throughput.tap import Plan

        return Plan(self.count, self.runs, self.warm_up)

    def document(
        self, measures: Mapping[str, Measure], processor: int | None, incomplete: str = ""
    ) -> Document:
        """The result as a document."""
        options = {
            name: getattr(self, name) for name in ("via", "count", "runs", "warm_up", "pin")
        } | {"write": self.may_write}
        return Document("tap", options, measures, {}, self.seed, processor, incomplete)


def bench_tap(options: TapBench, output: Output) -> None:
    """Measure and print. Raises Problem, and what a road that was asked for by name says."""
    is_reader = options.via.startswith(READERS)
    names = [options.via] if is_reader else choose(options.via)
    output.demand()
    demand_extra("hdrh")
    with one_processor(options.pin) as processor, progressing(len(names)) as tick:
        if is_reader:
            document = _reader(options, processor, tick)
        else:
            document = _roads(options, names, processor, tick)
    air = _on_air()
    document = replace(document, measures={**document.measures, **air})
    parts: Parts = [
        spread_grid("Single repetitions", _of(document.measures), "road"),
        figure_grid("Rates and ratios", _without_spread(document.measures)),
        *_inside(names, document.measures),
        *_pictures(output, names, document.measures),
    ]
    parts.append(_air_words(is_reader, air))
    output.give(f"Taps: {options.runs} runs of {options.count}", document, parts)


@contextmanager
def progressing(total: int) -> Iterator[Callable[[], None]]:
    """A bar on standard error. Yields what moves it on."""
    console = Console(stderr=True)
    with Progress(console=console, transient=True, disable=not console.is_terminal) as progress:
        task = progress.add_task("measuring", total=total)
        yield lambda: progress.advance(task)


def _reader(options: TapBench, processor: int | None, tick: Callable[[], None]) -> Document:
    from bench.conformance.reader_stand import Leave
    from bench.throughput.reader_tap import measure_reader

    found = measure_reader(options.via, options.plan, Leave(may_write=options.may_write))
    tick()
    return options.document(found.measures, processor, found.incomplete)


def _roads(
    options: TapBench, names: list[str], processor: int | None, tick: Callable[[], None]
) -> Document:
    """A road this machine lacks is named and left out, unless it was asked for."""
    from bench.throughput.costs import FLOORED, recording_cost, road_cost, shares
    from bench.throughput.tap import measure
    from bench.throughput.yardstick import Yardstick

    measures: dict[str, Measure] = {}
    yardstick = Yardstick()
    for name in names:
        try:
            found = measure(name, options.plan, yardstick.hold, options.seed)
            measures |= found.measures(name)
            if name in FLOORED:
                cost = road_cost(name, options.plan)
                measures |= cost.measures(f"{name} APDU, in turn", FLOORED[name])
        except (RigError, FrontendError, ReaderFault) as error:
            if options.via != "all":
                raise
            print(f"{name}: left out, {error}", file=sys.stderr)
        tick()
    recorded = recording_cost(options.plan)
    measures |= recorded.measures("tap in process, recorded", "not recorded")
    for part, one in shares(options.plan).items():
        measures[f"of a tap in process: {part}"] = one
    yardstick.hold()
    measures |= yardstick.measures()
    return options.document(measures, processor)


def _of(measures: Mapping[str, Measure]) -> dict[str, Measure]:
    """Those with a spread that are neither a part nor a command."""
    return {
        name: one
        for name, one in measures.items()
        if one.spread and " part " not in name and " command " not in name
    }


def _without_spread(measures: Mapping[str, Measure]) -> dict[str, Measure]:
    return {name: one for name, one in measures.items() if not one.spread}


def _group(measures: Mapping[str, Measure], road: str, what: str) -> dict[str, Measure]:
    begins = f"{road} {what} "
    return {n.removeprefix(begins): one for n, one in measures.items() if n.startswith(begins)}


def _inside(names: list[str], measures: Mapping[str, Measure]) -> Iterator[Grid]:
    for road in names:
        parts, commands = _group(measures, road, "part"), _group(measures, road, "command")
        if parts:
            yield spread_grid(f"{road}: where the time of a tap goes", parts, "part")
            yield spread_grid(f"{road}: command by command", commands, "command")


def _pictures(
    output: Output, names: list[str], measures: Mapping[str, Measure]
) -> Iterator[Picture]:
    if output.html is None:
        return
    from bench.throughput.tap_charts import commands_chart, parts_chart

    parts = {road: found for road in names if (found := _group(measures, road, "part"))}
    yield Picture(
        parts_chart(parts),
        "Medians of single taps. Transport is all between the reader's call and the card.",
    )
    for road in parts:
        yield Picture(
            commands_chart(road, _group(measures, road, "command")),
            "Each bar is the median, its line ends at the 90th percentile.",
        )


def _on_air() -> dict[str, Measure]:
    """What a tap takes on a radio by itself, from the simulated air, by bit rate."""
    from bench.throughput.air import air_tap

    taps = (air_tap(rate) for rate in _SHOWN_RATES)
    return {f"air at {tap.kbit} kbit/s": Measure("ms", (tap.whole / 1e6,)) for tap in taps}


def _air_words(is_reader: bool, measures: Mapping[str, Measure]) -> str:
    """What a radio adds to a tap."""
    where = "of an entry's transport the radio takes" if is_reader else "a radio adds to each tap"
    times = ", ".join(
        f"{figure(one.typical)} ms {name.removeprefix('air ')}" for name, one in measures.items()
    )
    return f"At least, {where}: {times} (tapbench bench air)."

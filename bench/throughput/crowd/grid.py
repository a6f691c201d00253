"""Persons a minute by bit rate, carrier and barrier: the table of `docs/throughput.md`."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import product
from statistics import median
from typing import Any

from bench.throughput.charts import chart
from bench.throughput.crowd.arrivals import Saturated
from bench.throughput.crowd.gate import GateRun
from bench.throughput.crowd.people import PLASTIC
from bench.throughput.crowd.runs import GateResults, simulate_runs
from emulator.radio.timing import RATES_KBIT
from reader.barrier import NORMALLY_CLOSED, NORMALLY_OPEN

KBITS = (106, 424)
CARRIERS = (PLASTIC, "huawei-ese", "android-hce")
BARRIERS = (NORMALLY_OPEN, NORMALLY_CLOSED)

_COLUMNS, _BAR = 3, 0.38


@dataclass(frozen=True, slots=True)
class Cell:
    """One gate of the table."""

    timing: str
    kbit: int
    carrier: str
    barrier: str
    result: GateResults

    @property
    def name(self) -> str:
        """Of its measure."""
        return f"{self.timing} {self.kbit} kbit/s {self.carrier} {self.barrier}"

    @property
    def field_ms(self) -> float:
        """The median time in the field."""
        return median(self.result.tally.field_ns) / 1e6 if self.result.tally.field_ns else 0.0


def grid(
    base: GateRun, persons: int, seeds: Sequence[int], tick: Callable[[], None] = lambda: None
) -> Iterator[Cell]:
    """The cells, one after another; each runs with every seed. tick: a passenger has gone."""
    timing = base.gear.timing
    for kbit, carrier, barrier in product(KBITS, CARRIERS, BARRIERS):
        policy = replace(base.gear.policy, barrier=barrier)
        run = replace(
            base,
            gear=replace(base.gear, rate=RATES_KBIT.index(kbit), policy=policy),
            habits=replace(base.habits, carriers={carrier: 1.0}),
            arrivals=Saturated(persons),
            until_s=None,
        )
        result = simulate_runs(run, seeds, lambda _: tick())
        yield Cell(timing.name if timing else "none", kbit, carrier, barrier, result)
        if not result.is_whole:
            return


HEADS = ("kbit/s", "carrier", "time in field, ms", *(word.replace("_", " ") for word in BARRIERS))


def rows(cells: list[Cell]) -> list[tuple[str, ...]]:
    """The table: a row for each bit rate and carrier, a column for each barrier."""
    found: dict[tuple[int, str], dict[str, Cell]] = {}
    for cell in cells:
        if cell.result.is_whole:
            found.setdefault((cell.kbit, cell.carrier), {})[cell.barrier] = cell
    return [
        (
            str(kbit),
            carrier,
            f"{next(iter(by.values())).field_ms:.0f}",
            *(f"{by[word].result.per_minute:.1f}" if word in by else "" for word in BARRIERS),
        )
        for (kbit, carrier), by in found.items()
    ]


def grid_chart(cells: list[Cell], title: str) -> str:
    """The table as bars, as SVG: a pair for each bit rate and carrier."""
    told = rows(cells)
    names = [f"{carrier}\n{kbit} kbit/s" for kbit, carrier, *_ in told]

    def draw(axes: Any) -> None:  # noqa: ANN401 - matplotlib's
        for at, word in enumerate(BARRIERS):
            heights = [float(row[_COLUMNS + at] or 0) for row in told]
            places = [n + (at - 0.5) * _BAR for n in range(len(told))]
            bars = axes.bar(places, heights, _BAR, label=word.replace("_", " "))
            axes.bar_label(bars, fmt="%.0f", fontsize=8)
        axes.set_xticks(range(len(names)), names, fontsize=8)
        axes.grid(visible=False, axis="x")
        axes.margins(y=0.25)

    return chart(draw, title, "carrier and bit rate", "persons a minute")

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

_BAR = 0.38
_ABOVE = 3
"""Points between a bar and its number, for the ends of what several runs had."""


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
    def range(self) -> tuple[float, float]:
        """Persons a minute of the run with the fewest and of that with the most."""
        rates = [one.per_minute for one in self.result.each]
        return min(rates), max(rates)

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
            *(_told(by[word]) if word in by else "" for word in BARRIERS),
        )
        for (kbit, carrier), by in found.items()
    ]


def _told(cell: Cell) -> str:
    """Persons a minute, and of several runs the least and the greatest."""
    least, most = cell.range
    spread = f" ({least:.1f} to {most:.1f})" if len(cell.result.each) > 1 else ""
    return f"{cell.result.per_minute:.1f}{spread}"


def grid_chart(cells: list[Cell], title: str) -> str:
    """The table as bars, as SVG: a pair for each bit rate and carrier."""
    whole = [cell for cell in cells if cell.result.is_whole]
    names = list(dict.fromkeys(f"{cell.carrier}\n{cell.kbit} kbit/s" for cell in whole))

    def draw(axes: Any) -> None:  # noqa: ANN401 - matplotlib's
        for at, word in enumerate(BARRIERS):
            bars = [cell for cell in whole if cell.barrier == word]
            places = [n + (at - 0.5) * _BAR for n in range(len(bars))]
            heights = [cell.result.per_minute for cell in bars]
            drawn = axes.bar(places, heights, _BAR, label=word.replace("_", " "))
            axes.bar_label(drawn, fmt="%.0f", fontsize=8, padding=_ABOVE)
            for place, height, cell in zip(places, heights, bars, strict=True):
                least, most = cell.range
                if least < most:
                    off = [[height - least], [most - height]]
                    axes.errorbar(place, height, off, color="#333333", linewidth=1, capsize=2)
        axes.set_xticks(range(len(names)), names, fontsize=8)
        axes.grid(visible=False, axis="x")
        axes.margins(y=0.25)

    return chart(draw, title, "carrier and bit rate", "persons a minute")

"""What every benchmark's command does with its result: tables on a terminal, JSON, a page."""

import sys
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

from bench.files import demand_place, write_whole
from bench.problem import Problem

if TYPE_CHECKING:
    from bench.throughput.document import Document
    from bench.throughput.histogram import Measure
    from bench.throughput.page import Grid, Picture

_WIDTH = 140
SPREAD_HEADS = ("min", "p50", "p90", "p99", "p99.9", "max")


def demand_extra(module: str, extra: str = "bench") -> None:
    """See that a package of an extra is there, before the work. Raises Problem."""
    if find_spec(module) is None:
        raise Problem(f"{module} is missing; install it with pip install 'tapbench[{extra}]'")


@dataclass(frozen=True, slots=True)
class Output:
    """Where a result goes. html: a page besides. force: whether it may replace a file."""

    as_json: bool = False
    html: Path | None = None
    force: bool = False

    def demand(self, *, charts: bool = True) -> None:
        """See that the page can be written, before the work. Raises Problem."""
        if self.html is None:
            return
        if charts:
            demand_extra("matplotlib")
        demand_place(self.html, self.force)

    def give(
        self, title: str, document: "Document", parts: "Iterable[Grid | Picture | str]"
    ) -> None:
        """Print and write. parts: in order; pictures are the page's alone. Raises Problem."""
        from bench.throughput.page import page_html

        parts = list(parts)
        if self.html is not None:
            write_whole(self.html, page_html(title, document, parts).encode(), self.force)
        if self.as_json:
            sys.stdout.write(document.text())
        else:
            _print(parts, document.incomplete)
            print(_machine_line(document))
        if self.html is not None:
            print(f"{self.html} written", file=sys.stderr)

    def show(self, parts: "Iterable[Grid | Picture | str]") -> None:
        """Tables and sentences, to standard output."""
        _print(parts, "")


def _print(parts: "Iterable[Grid | Picture | str]", incomplete: str) -> None:
    from rich.console import Console
    from rich.table import Table

    from bench.throughput.page import Grid

    console = Console()
    if not console.is_terminal:
        console.width = _WIDTH
    if incomplete:
        console.print(f"Incomplete: {incomplete}", markup=False)
    for part in parts:
        if isinstance(part, str):
            console.print(part, markup=False, highlight=False)
        elif isinstance(part, Grid) and part.rows:
            table = Table(title=part.title)
            for at, head in enumerate(part.heads):
                table.add_column(head, justify="right" if at else "left")
            for row in part.rows:
                table.add_row(*row)
            console.print(table)


def spread_grid(title: str, measures: "Mapping[str, Measure]", first: str = "") -> "Grid":
    """Single repetitions of each measure that has them, and the range of its runs' medians."""
    from bench.throughput.page import Grid

    heads = [first, "unit", *SPREAD_HEADS, "runs"]
    rows = [
        [name, one.unit, *(figure(one.spread[head]) for head in SPREAD_HEADS), ranged(one)]
        for name, one in measures.items()
        if one.spread
    ]
    return Grid(title, heads, rows)


def figure_grid(title: str, measures: "Mapping[str, Measure]", first: str = "") -> "Grid":
    """The typical figure of each measure, and the range of its runs."""
    from bench.throughput.page import Grid

    rows = [[name, figure(one.typical), one.unit, ranged(one)] for name, one in measures.items()]
    return Grid(title, [first, "median", "unit", "runs"], rows)


def figure(value: float) -> str:
    """Three digits or so, with thousands apart."""
    if value >= 1000:
        return f"{value:,.0f}"
    if value >= 0.1 or value <= 0:
        return f"{value:.1f}" if value >= 100 else f"{value:.2f}"
    return f"{value:.2g}"


def ranged(measure: "Measure") -> str:
    """Least and greatest run."""
    least, greatest = measure.range
    return f"{figure(least)} - {figure(greatest)}"


def _machine_line(document: "Document") -> str:
    told = (f"{name} {said}" for name, said in document.machine.items())
    return f"Measured on: {', '.join(told)}"

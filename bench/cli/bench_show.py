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
    from rich.console import Console

    from bench.throughput.document import Document
    from bench.throughput.histogram import Measure
    from bench.throughput.page import Grid, Picture

_WIDTH = 140
"""Columns where nobody looks: in a file or a pipe."""
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


def tell_missed(number: str, name: str) -> int:
    """Say on standard error that a target is missed. Returns the exit code."""
    print(f"missed: {number}, {name}", file=sys.stderr)
    return 1


def print_grid(grid: "Grid", console: "Console | None" = None) -> None:
    """A table, or a paragraph for each row where the terminal is too narrow: no digit is cut."""
    from rich.cells import cell_len
    from rich.table import Table
    from rich.text import Text

    console = console or _console()
    columns = zip(grid.heads, *grid.rows, strict=True)
    widths = [max(cell_len(cell) for cell in column) for column in columns]
    if sum(min(width, _UNCUT) + 3 for width in widths) + 1 > console.width:
        _print_rows(grid, console)
        return
    table = Table(title=grid.title)
    for at, (head, width) in enumerate(zip(grid.heads, widths, strict=True)):
        table.add_column(head, justify="right" if at else "left", no_wrap=width <= _UNCUT)
    for row in grid.rows:
        table.add_row(*(Text(cell) for cell in row))
    console.print(table)


_UNCUT = 16
"""Columns of a cell that is shown in one line; longer ones are words, and may be wrapped."""


def _print_rows(grid: "Grid", console: "Console") -> None:
    console.print(grid.title, style="italic", markup=False, highlight=False)
    for row in grid.rows:
        told = (
            f"{head} {cell}".strip() for head, cell in zip(grid.heads, row, strict=True) if cell
        )
        console.print("; ".join(told), markup=False, highlight=False)


def _console() -> "Console":
    from rich.console import Console

    console = Console()
    if not console.is_terminal:
        console.width = _WIDTH
    return console


def _print(parts: "Iterable[Grid | Picture | str]", incomplete: str) -> None:
    from bench.throughput.page import Grid

    console = _console()
    if incomplete:
        console.print(f"Incomplete: {incomplete}", markup=False)
    for part in parts:
        if isinstance(part, str):
            console.print(part, markup=False, highlight=False)
        elif isinstance(part, Grid) and part.rows:
            print_grid(part, console)


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

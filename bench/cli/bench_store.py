"""`tapbench bench store`: a commit to a card file against a bare fsync."""

import json
from dataclasses import asdict

from rich.console import Console
from rich.table import Table

from bench.cli.bench_tap import machine
from bench.problem import Problem
from bench.throughput.store import StoreFigures, measure

TARGET = 1.5
"""Most a commit may cost, in bare fsyncs of the same bytes (performance target T10)."""


def bench_store(where: str, count: int, runs: int, as_json: bool) -> int:
    """Measure and print. Returns 1 if the target is missed."""
    try:
        figures = measure(where, count, runs)
    except OSError as error:
        raise Problem(f"no file can be written in {where}: {error.strerror}") from error
    if as_json:
        shown = asdict(figures) | {"ratio": figures.ratio, "target": TARGET, "unit": "us"}
        print(json.dumps(shown | {"machine": machine(None)}, indent=2))
    else:
        _print(figures, where, count, runs)
    return 0 if figures.ratio <= TARGET else 1


def _print(figures: StoreFigures, where: str, count: int, runs: int) -> None:
    table = Table(title=f"{runs} runs of {count} in {where}; microseconds")
    table.add_column("")
    for head in ("p50", "p90", "medians"):
        table.add_column(head, justify="right")
    for name, f in (("commit", figures.commit), ("bare write and fsync", figures.bare)):
        table.add_row(name, f"{f.p50:.1f}", f"{f.p90:.1f}", f"{f.spread[0]:.1f}-{f.spread[1]:.1f}")
    console = Console()
    console.print(table)
    console.print(
        f"{figures.size:.0f} bytes a commit; {figures.ratio:.2f} bare fsyncs, "
        f"target {TARGET} at most."
    )

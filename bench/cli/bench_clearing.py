"""`tapbench bench clearing`: records a second."""

import json
from contextlib import ExitStack
from dataclasses import asdict
from pathlib import Path
from tempfile import TemporaryDirectory

from bench.cli.bench_tap import machine
from bench.throughput.clearing import measure
from bench.throughput.tap import one_processor

TARGET = 20_000
"""Records a second of one processor's work at least, with SQLite (performance target T11)."""


def bench_clearing(cards: int, db: str, as_json: bool) -> int:
    """Measure and print. Returns 1 if the target is missed or an honest record was suspected."""
    with ExitStack() as stack:
        chosen = stack.enter_context(one_processor())
        folder = stack.enter_context(TemporaryDirectory())
        figures = measure(cards, db or str(Path(folder) / "clearing.db"))
    is_good = figures.found == 0 and (figures.per_cpu_second >= TARGET or bool(db))
    if as_json:
        shown = asdict(figures) | {"per_second": figures.per_second, "target": TARGET}
        shown["per_cpu_second"] = figures.per_cpu_second
        print(json.dumps(shown | {"machine": machine(chosen)}, indent=2))
        return 0 if is_good else 1
    print(
        f"{figures.records:,} records of {figures.cards:,} cards: "
        f"{figures.records / figures.store_s:,.0f} a second checked and stored, "
        f"{figures.records / figures.rules_s:,.0f} a second through all rules, "
        f"{figures.per_second:,.0f} a second in all; {figures.per_cpu_second:,.0f} a second of "
        f"one processor's work (target {TARGET:,} with SQLite).\n"
        f"{figures.found} findings in honest records. Memory at each quarter and after the rules: "
        + ", ".join(f"{mib:.0f}" for mib in figures.memory)
        + " MiB."
    )
    return 0 if is_good else 1

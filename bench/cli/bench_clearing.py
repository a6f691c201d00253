"""`tapbench bench clearing`: records a second."""

import sys
from contextlib import ExitStack
from pathlib import Path
from tempfile import TemporaryDirectory

from bench.cli.bench_show import Output, figure_grid, tell_missed
from bench.throughput.clearing import ClearingFigures, measure
from bench.throughput.document import Document
from bench.throughput.histogram import Measure
from bench.throughput.repeat import one_processor
from bench.throughput.targets import bound_of


def bench_clearing(cards: int, db: str, output: Output) -> int:
    """Measure and print. Returns 1 if the target is missed or an honest record was suspected."""
    output.demand(charts=False)
    with ExitStack() as stack:
        processor = stack.enter_context(one_processor())
        folder = stack.enter_context(TemporaryDirectory())
        figures = measure(cards, db or str(Path(folder) / "clearing.db"))
    bound = bound_of("T11", "records")
    measures = _measures(figures)
    memory = [round(mib, 1) for mib in figures.memory]
    options = {"cards": cards, "db": bool(db)}
    detail = {"records": figures.records, "found": figures.found, "memory_mib": memory}
    document = Document("clearing", options, measures, detail, processor=processor)
    output.give(
        "Clearing",
        document,
        [
            figure_grid(f"{figures.records:,} records of {figures.cards:,} cards", measures),
            f"Target T11, of one processor's work with SQLite: {bound.words}. {figures.found} "
            "findings in honest records. Memory at each quarter and after the rules: "
            + ", ".join(f"{mib:.0f}" for mib in figures.memory)
            + " MiB.",
        ],
    )
    if figures.found:
        print(f"clearing suspected {figures.found} honest records", file=sys.stderr)
        return 1
    return 0 if db or bound.is_met(figures.per_cpu_second) else tell_missed("T11", bound.name)


def _measures(figures: ClearingFigures) -> dict[str, Measure]:
    rates = {
        "checked and stored": figures.records / figures.store_s,
        "through all rules": figures.records / figures.rules_s,
        "in all": figures.per_second,
        "of one processor's work": figures.per_cpu_second,
    }
    return {name: Measure("1/s", (rate,), "more") for name, rate in rates.items()}

"""`tapbench bench journal`: a gate's record against a bare fsync."""

import json
from dataclasses import asdict

from bench.cli.bench_tap import machine
from bench.problem import Problem
from bench.throughput.journal import measure

TARGET = 1.5
"""Most a record may cost, in bare fsyncs of as many bytes, as a card's commit (target T10)."""


def bench_journal(where: str, count: int, runs: int, as_json: bool) -> int:
    """Measure and print. Returns 1 if the target is missed."""
    try:
        figures = measure(where, count, runs)
    except OSError as error:
        raise Problem(f"no file can be written in {where}: {error.strerror}") from error
    if as_json:
        shown = asdict(figures) | {"ratio": figures.ratio, "target": TARGET, "unit": "us"}
        print(json.dumps(shown | {"machine": machine(None)}, indent=2))
    else:
        for name, f in (("record", figures.write), ("bare write and fsync", figures.bare)):
            print(
                f"{name}: {f.p50:.1f} us, p90 {f.p90:.1f}, "
                f"medians {f.spread[0]:.1f}-{f.spread[1]:.1f}"
            )
        print(f"{figures.ratio:.2f} bare fsyncs a record, target {TARGET} at most; two a tap.")
    return 0 if figures.ratio <= TARGET else 1

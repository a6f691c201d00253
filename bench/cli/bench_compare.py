"""`tapbench bench compare`: one result against another."""

import json
import sys
from pathlib import Path

from bench.cli.bench_show import Output, figure
from bench.throughput.compare import Change, Comparison, compare, parse_regression
from bench.throughput.document import read_document
from bench.throughput.page import Grid


def bench_compare(before: Path, after: Path, max_regression: str, as_json: bool) -> int:
    """Compare and print. Returns 1 if something got worse by more than allowed."""
    bound = parse_regression(max_regression)
    comparison = compare(read_document(before), read_document(after))
    for note in comparison.notes:
        print(f"NOTICE: {note}", file=sys.stderr)
    past = comparison.past(bound)
    if as_json:
        print(json.dumps(_as_json(comparison, bound), indent=2, ensure_ascii=False))
    else:
        _print(comparison, bound)
        print(_verdict(past, bound))
    return 1 if past else 0


def _verdict(past: list[Change], bound: float) -> str:
    allowed = f"{(bound - 1) * 100:.6g}%"
    if not past:
        return f"Nothing got worse by more than {allowed}, beyond chance."
    return f"Worse by more than {allowed}: {', '.join(one.name for one in past)}."


def _print(comparison: Comparison, bound: float) -> None:
    rows = [
        [
            one.name,
            f"{figure(one.before.typical)} {one.before.unit}",
            f"{figure(one.after.typical)} {one.after.unit}",
            f"{one.ratio:.3f}",
            f"{one.low:.3f} - {one.high:.3f}",
            f"{one.confidence:.0%}" if one.confidence else "one run",
            _word(one, bound),
        ]
        for one in comparison.changes
    ]
    heads = ["measure", "before", "after", "ratio", "interval", "holds with", ""]
    Output().show([Grid("After against before", heads, rows)])


def _word(change: Change, bound: float) -> str:
    if change.is_past(bound):
        return "WORSE"
    if not change.is_certain:
        return "same"
    return "worse" if change.slowdown > 1 else "better"


def _as_json(comparison: Comparison, bound: float) -> dict[str, object]:
    return {
        "max_regression": bound,
        "notes": list(comparison.notes),
        "measures": {
            one.name: {
                "before": one.before.typical,
                "after": one.after.typical,
                "unit": one.after.unit,
                "ratio": one.ratio,
                "low": one.low,
                "high": one.high,
                "confidence": one.confidence,
                "is_past": one.is_past(bound),
            }
            for one in comparison.changes
        },
    }

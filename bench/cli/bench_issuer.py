"""`tapbench bench issuer`: openings and top-ups a second, and whether the roster's size matters."""

import json
from dataclasses import asdict

from bench.throughput.document import machine
from bench.throughput.issuer import Speed, load_average, measure

MOST_GROWTH = 1.5
"""How many times longer it may take with many students (D): reading a table whole takes thousands
of times longer, and another program on the machine half as long again."""


def bench_issuer(students: int, cards: int, runs: int, db: str, as_json: bool) -> int:
    """Measure and print. Returns 1 if an operation takes longer as the data grows."""
    figures = measure(students, cards, runs, db or None)
    is_flat = max(figures.growth) <= MOST_GROWTH
    if as_json:
        shown = asdict(figures) | {"growth": figures.growth, "load": load_average(), "unit": "ms"}
        print(json.dumps(shown | {"machine": machine(None)}, indent=2))
        return 0 if is_flat else 1
    for speed in (figures.few, figures.many):
        print(f"{figures.database}, {speed.students:,} students: {_said(speed)}")
    openings, topups = figures.growth
    print(
        f"With many an opening takes {openings:.2f} times as long, a top-up {topups:.2f} times "
        f"(at most {MOST_GROWTH}). Load of the machine {load_average():.1f}."
    )
    return 0 if is_flat else 1


def _said(speed: Speed) -> str:
    opening = _rate(speed.opening_ms, speed.opening_spread)
    return f"{opening} openings a second, {_rate(speed.top_up_ms, speed.top_up_spread)} top-ups."


def _rate(each: float, spread: tuple[float, float]) -> str:
    return f"{1000 / each:.1f} ({1000 / spread[1]:.1f}-{1000 / spread[0]:.1f})"

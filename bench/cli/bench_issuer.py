"""`tapbench bench issuer`: what openings and top-ups take, and whether more students matter."""

from bench.cli.bench_show import Output, demand_extra, figure_grid, spread_grid
from bench.throughput.document import Document
from bench.throughput.page import Grid, Picture

MOST_GROWTH = 1.5
"""How many times longer it may take with many students (D): reading a table whole takes thousands
of times longer, and another program on the machine half as long again."""


def bench_issuer(students: int, cards: int, runs: int, db: str, output: Output) -> int:
    """Measure and print. Returns 1 if an operation takes longer as the data grows.

    Raises Problem, DatabaseError.
    """
    output.demand(charts=False)
    demand_extra("hdrh")
    from bench.throughput.issuer import measure

    figures = measure(students, cards, runs, db or None)
    few, many = figures.few.students, figures.many.students
    options = {"students": students, "cards": cards, "runs": runs, "db": bool(db)}
    detail = {"database": figures.database, "few": few, "many": many, "most_growth": MOST_GROWTH}
    measures = figures.measures
    single = {name: one for name, one in measures.items() if not one.spread}
    parts: list[Grid | Picture | str] = [
        spread_grid(f"{figures.database}: {few:,} students, then {many:,}", measures, "what"),
        figure_grid("Rates and growth", single, "what"),
        f"With many students either may take {MOST_GROWTH} times as long at most.",
    ]
    output.give("Openings and top-ups", Document("issuer", options, measures, detail), parts)
    return 0 if max(figures.growth) <= MOST_GROWTH else 1

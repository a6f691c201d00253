"""`tapbench bench service`: how long callers of the served office wait."""

from bench.cli.bench_show import Output, demand_extra, spread_grid
from bench.problem import Problem
from bench.throughput.document import Document
from bench.throughput.page import Grid, Picture


def bench_service(clients: int, count: int, db: str, output: Output) -> None:
    """Measure and print. Raises Problem, DatabaseError, ServiceError."""
    output.demand(charts=False)
    demand_extra("hdrh")
    try:
        from bench.throughput.service import measure
    except ModuleNotFoundError as error:
        raise Problem(
            f"{error.name} is missing; install it with pip install 'tapbench[issuer]'"
        ) from error
    figures = measure(clients, count, db or None)
    options = {"clients": clients, "count": count, "db": bool(db)}
    detail = {
        "database": figures.database,
        "requests": figures.requests,
        "seconds": figures.seconds,
    }
    measures = figures.measures
    rate = measures["requests a second"]
    parts: list[Grid | Picture | str] = [
        spread_grid(f"{figures.database}, {clients} clients at once", figures.waits, "what"),
        f"{figures.requests:,} requests in {figures.seconds:.1f} s: {rate.typical:,.0f} a second."
        " A top-up is the whole, with its card.",
    ]
    output.give("Waits at the office", Document("service", options, measures, detail), parts)

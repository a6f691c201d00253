"""`tapbench bench service`: how long callers of the served office wait."""

import json
from dataclasses import asdict

from rich.console import Console
from rich.table import Table

from bench.problem import Problem
from bench.throughput.document import machine
from bench.throughput.issuer import load_average


def bench_service(clients: int, count: int, db: str, as_json: bool) -> None:
    """Measure and print. Raises Problem."""
    try:
        from bench.throughput.service import measure
    except ModuleNotFoundError as error:
        raise Problem(
            f"{error.name} is missing; install it with pip install 'tapbench[issuer]'"
        ) from error
    figures = measure(clients, count, db or None)
    if as_json:
        shown = asdict(figures) | {"per_second": figures.per_second, "load": load_average()}
        print(json.dumps(shown | {"unit": "ms", "machine": machine(None)}, indent=2))
        return
    table = Table(title=f"{figures.database}, {clients} clients at once; milliseconds")
    for header in ("what", "times", "p50", "p90", "p99"):
        table.add_column(header, justify="left" if header == "what" else "right")
    for kind, waits in figures.waits.items():
        times = (f"{one:.1f}" for one in (waits.p50, waits.p90, waits.p99))
        table.add_row(kind, str(waits.count), *times)
    Console().print(table)
    print(
        f"{figures.requests} requests in {figures.seconds:.1f} s: {figures.per_second:.0f} a "
        f"second. A top-up is the whole, with its card. Load of the machine {load_average():.1f}."
    )

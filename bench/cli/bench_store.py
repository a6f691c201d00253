"""`tapbench bench store`: a commit to a card file against a bare fsync."""

from bench.cli.bench_show import (
    Output,
    demand_extra,
    figure_grid,
    spread_grid,
    tell_missed,
)
from bench.problem import Problem
from bench.throughput.document import Document
from bench.throughput.page import Grid, Picture
from bench.throughput.targets import bound_of


def bench_store(where: str, count: int, runs: int, output: Output) -> int:
    """Measure and print. Returns 1 if target T10 is missed. Raises Problem."""
    output.demand(charts=False)
    demand_extra("hdrh")
    from bench.throughput.store import measure

    bound = bound_of("T10", "commit")
    try:
        figures = measure(where, count, runs)
    except OSError as error:
        raise Problem(f"no file can be written in {where}: {error.strerror}") from error
    options = {"in": where, "count": count, "runs": runs}
    measures = figures.times.measures("commit", "bare write and fsync")
    document = Document("store", options, measures, {"bytes": figures.size})
    ratio = figures.times.ratio
    parts: list[Grid | Picture | str] = [
        spread_grid(f"{runs} runs of {count} in {where}", measures),
        figure_grid("Against the floor", {"commit / bare write and fsync": ratio}),
        f"{figures.size:.0f} bytes a commit; target T10: {bound.words}.",
    ]
    output.give("Commits to a card file", document, parts)
    return 0 if bound.is_met(ratio.typical) else tell_missed("T10", bound.name)

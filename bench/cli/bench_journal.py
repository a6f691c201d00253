"""`tapbench bench journal`: a gate's record against a bare fsync."""

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


def bench_journal(where: str, count: int, runs: int, output: Output) -> int:
    """Measure and print. Returns 1 if a record costs more than a card's commit may (T10)."""
    output.demand(charts=False)
    demand_extra("hdrh")
    from bench.throughput.journal import measure

    bound = bound_of("T10", "commit")
    try:
        times = measure(where, count, runs)
    except OSError as error:
        raise Problem(f"no file can be written in {where}: {error.strerror}") from error
    options = {"in": where, "count": count, "runs": runs}
    measures = times.measures("record", "bare write and fsync")
    document = Document("journal", options, measures)
    parts: list[Grid | Picture | str] = [
        spread_grid(f"{runs} runs of {2 * count} records in {where}", measures),
        figure_grid("Against the floor", {"record / bare write and fsync": times.ratio}),
        f"Two records a tap; as a card's commit, target T10: {bound.words}.",
    ]
    output.give("Records of a gate's journal", document, parts)
    return 0 if bound.is_met(times.ratio.typical) else tell_missed("T10", bound.name)

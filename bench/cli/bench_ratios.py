"""`tapbench bench ratios`: the continuous check."""

import sys
from pathlib import Path

from bench.cli.bench_show import Output, demand_extra, figure
from bench.cli.bench_tap import progressing
from bench.files import demand_place, write_whole
from bench.throughput.page import Grid
from bench.throughput.repeat import one_processor


def bench_ratios(out: Path | None, force: bool, baseline: Path | None, every: bool = False) -> int:
    """Measure, print, keep. Returns 1 if a ratio grew past the bound. Raises Problem.

    out: where the result is kept. baseline: an earlier result. every: 1 too if one is left out.
    """
    demand_extra("hdrh")
    from bench.throughput.ratios import FACTOR, RATIOS, check, document_of, read_baseline

    if out is not None:
        demand_place(out, force)
    known = {} if baseline is None else read_baseline(baseline)
    with one_processor() as processor, progressing(len(RATIOS)) as tick:
        found = check(known, tick=tick)
    if out is not None:
        write_whole(out, document_of(found, processor).text().encode(), force, 0o644)
    rows = [
        [
            one.name,
            figure(one.measure.typical),
            "-" if one.baseline is None else figure(one.baseline),
            "-" if one.baseline is None else f"{one.factor:.2f}",
        ]
        for one in found.ratios
    ]
    Output().show([Grid("Ratios", ["ratio", "now", "baseline", "times as much"], rows)])
    for name, why in found.left_out.items():
        print(f"{name}: left out, {why}", file=sys.stderr)
    for one in found.past:
        print(
            f"{one.name} grew to {one.factor:.1f} times the baseline; at most {FACTOR:g} is"
            " allowed. Profile what changed, or measure a new baseline and say why.",
            file=sys.stderr,
        )
    return 1 if found.past or (every and found.left_out) else 0

"""`tapbench bench targets`: every performance target in one run."""

import sys
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path

from bench.cli.bench_show import Output, demand_extra, figure, ranged, tell_missed
from bench.cli.bench_tap import progressing
from bench.problem import Problem
from bench.throughput.document import Document
from bench.throughput.page import Grid, Picture
from bench.throughput.repeat import one_processor
from bench.throughput.targets import TARGETS, Effort, Result, Target, judge

_NOT_PINNED = frozenset({"T12"})
"""Targets whose work is spread over processors."""


def bench_targets(only: str, effort: Effort, pin: bool, output: Output) -> int:
    """Measure and print. Returns 1 if a target is missed, 130 after Ctrl-C. Raises Problem."""
    wanted = chosen(only)
    output.demand()
    demand_extra("hdrh")
    _demand_folder(effort.where)
    results: list[Result] = []
    incomplete = ""
    with progressing(len(wanted)) as tick:
        try:
            for target in wanted:
                with one_processor(pin and target.number not in _NOT_PINNED):
                    results += judge(target, effort)
                tick()
        except KeyboardInterrupt:
            done = len({one.target.number for one in results})
            incomplete = f"stopped after {done} of {len(wanted)} targets"
    measures = {
        f"{one.target.number} {one.bound.name}": one.measure for one in results if one.measure
    }
    options = {"only": only, **asdict(effort), "pin": pin}
    document = Document("targets", options, measures, _detail(results), incomplete=incomplete)
    parts: list[Grid | Picture | str] = [_grid(results), _commands(wanted)]
    parts += _pictures(output, results)
    output.give("Performance targets", document, parts)
    for one in results:
        if one.measure is None:
            print(
                f"not measured: {one.target.number}, {one.bound.name}: {one.why}", file=sys.stderr
            )
    missed = [one for one in results if one.verdict == "missed"]
    for one in missed:
        tell_missed(one.target.number, one.bound.name)
    if incomplete:
        print(f"tapbench: {incomplete}", file=sys.stderr)
        return 130
    return 1 if missed else 0


def _demand_folder(where: str) -> None:
    if not Path(where).is_dir():
        raise Problem(f"--in {where} is no directory; give one on the disk to measure")


def chosen(only: str) -> list[Target]:
    """The targets that --only means, in the table's order; all if empty. Raises Problem."""
    names = {name.strip().upper() for name in only.split(",") if name.strip()}
    known = [target.number for target in TARGETS]
    unknown = sorted(names - set(known))
    if unknown:
        raise Problem(f"there is no target {unknown[0]}; choose of: {', '.join(known)}")
    return [target for target in TARGETS if not names or target.number in names]


def _grid(results: list[Result]) -> Grid:
    rows = [
        [
            f"{one.target.number} {one.bound.name}",
            one.bound.words,
            figure(one.measure.typical) if one.measure else "-",
            ranged(one.measure) if one.measure else "-",
            one.verdict if one.measure else one.why,
        ]
        for one in results
    ]
    return Grid("Targets", ["target", "wanted", "measured", "runs", ""], rows)


def _commands(targets: list[Target]) -> Grid:
    rows = [[f"{one.number} {one.text}", one.command] for one in targets]
    return Grid("What each is, and what measures it alone", ["target", "command"], rows)


def _detail(results: list[Result]) -> Mapping[str, object]:
    return {
        "targets": [
            {
                "target": one.target.number,
                "name": one.bound.name,
                "limit": one.bound.limit,
                "stretch": one.bound.stretch,
                "better": one.bound.better,
                "unit": one.bound.unit,
                "measured": one.measure.typical if one.measure else None,
                "verdict": one.verdict,
                "why": one.why,
            }
            for one in results
        ]
    }


def _pictures(output: Output, results: list[Result]) -> list[Picture]:
    if output.html is None or not any(one.measure for one in results):
        return []
    from bench.throughput.target_chart import target_chart

    return [Picture(target_chart(results), "Left of the line is kept, right of it is missed.")]

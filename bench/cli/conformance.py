"""`tapbench conformance card` and `gate`: a suite at each place, told and written down."""

import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TypeVar

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from bench.cli.conformance_show import print_report
from bench.cli.operator import announce, operator, say_result
from bench.cli.stopping import put_off
from bench.clock import now
from bench.conformance.case import Case, Verdict
from bench.conformance.gate.playing import GatePlace, gate_places, judge_gates
from bench.conformance.keys_file import load_keys
from bench.conformance.places import Place, places
from bench.conformance.playing import STOPPED, AnyPlace, Told, left_out, play
from bench.conformance.reader_stand import Leave
from bench.conformance.report import Report, Run, environment
from bench.conformance.report_html import report_html
from bench.conformance.report_json import report_json
from bench.conformance.report_junit import report_junit
from bench.conformance.runner import Result
from bench.conformance.suite import card_cases, gate_cases
from bench.conformance.wanted import wanted_cases
from bench.files import demand_place, write_whole
from bench.problem import Problem
from bench.rig.errors import RigError
from emulator.frontends.errors import FrontendError
from reader.transport.base import TransportError

PAGE, DATA, JUNIT = "conformance.html", "conformance.json", "conformance.xml"
"""What is written into the folder of --report. What is there of these names is replaced."""


@dataclass(frozen=True, slots=True)
class SuiteOptions:
    """What the command line says of any suite."""

    via: str
    only: str
    level: str
    report: Path | None
    junit: Path | None
    seed: int
    as_json: bool


@dataclass(frozen=True, slots=True)
class CardOptions:
    """What the command line says of a card."""

    suite: SuiteOptions
    profile: str | None
    keys: str | None
    write: bool
    shrink: bool


@dataclass(frozen=True, slots=True)
class GateOptions:
    """What the command line says of a gate. can: what the operator says it can be set up for."""

    suite: SuiteOptions
    profile: str
    can: str


def card(options: CardOptions) -> int:
    """Judge, print and write. Returns the exit code. Raises Problem and what a road says."""
    suite = options.suite
    cases = wanted_cases(card_cases(), suite.only, suite.level)
    ring = None if options.keys is None else load_keys(options.keys)
    for notice in ring.notices if ring else ():
        print(notice, file=sys.stderr)
    leave = Leave(options.profile, ring, options.write)

    def judge(place: Place, told: Told) -> Run:
        return play(cases, place, is_short=options.shrink, told=told)

    return _judged("card", suite, cases, places(suite.via, leave, suite.seed), judge)


def gate(options: GateOptions) -> int:
    """Judge, print and write. Returns the exit code. Raises Problem and what a road says."""
    suite = options.suite
    cases = wanted_cases(gate_cases(), suite.only, suite.level)
    found = gate_places(suite.via, operator(options.can), suite.seed, options.profile)
    if not all(place.is_ours for place in found) and not sys.stdin.isatty():
        raise Problem("a gate that is not ours needs an operator; run this on a terminal")

    def judge(place: GatePlace, told: Told) -> Run:
        if place.is_ours:
            return judge_gates(cases, place, told=told)
        return judge_gates(cases, place, told=say_result, begun=announce)

    return _judged("gate", suite, cases, found, judge)


P = TypeVar("P", bound=AnyPlace)


def _judged(
    name: str,
    options: SuiteOptions,
    cases: Mapping[str, Case],
    found: list[P],
    judge: Callable[[P, Told], Run],
) -> int:
    """Play a suite at each place, print and write. Returns the exit code."""
    _demand_places(options)
    started = now()
    runs = tuple(_runs(found, cases, judge))
    report = Report(started, options.seed, options.level, options.only, runs, environment(), name)
    data = cache(lambda: report_json(report))
    try:
        _write(report, options, data)  # first: whoever reads the summary may stop reading
    finally:
        if options.as_json:
            whole = data()
            with put_off():  # megabytes, in many pieces
                sys.stdout.write(whole)
                sys.stdout.flush()
        else:
            print_report(report)
    return int(report.ending)


def _runs(
    found: list[P], cases: Mapping[str, Case], judge: Callable[[P, Told], Run]
) -> Iterator[Run]:
    """A run of each place. One that cannot be opened is told at once if it is the only one."""
    is_stopped = False
    for place in found:
        if is_stopped:
            yield left_out(place, cases, InterruptedError(STOPPED))
            continue
        try:
            with _progress(place, len(cases)) as told:
                run = judge(place, told)
        except KeyboardInterrupt:
            run = left_out(place, cases, InterruptedError(STOPPED))
        except (TransportError, RigError, FrontendError) as error:
            if len(found) == 1:
                raise
            run = left_out(place, cases, error)
        is_stopped = STOPPED in run.incomplete
        yield run


@contextmanager
def _progress(place: AnyPlace, total: int) -> Iterator[Told]:
    """A bar on a terminal, nothing elsewhere, nor where an operator is asked."""
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("{task.fields[failed]} failed"),
        TimeElapsedColumn(),
    )
    console = Console(stderr=True)
    is_asking = isinstance(place, GatePlace) and not place.is_ours
    is_off = is_asking or not console.is_terminal
    with Progress(*columns, console=console, transient=True, disable=is_off) as bar:
        name = place.name
        task = bar.add_task(name, total=total, failed=0)
        failed = 0

        def told(number: str, result: Result) -> None:
            nonlocal failed
            failed += result.verdict is Verdict.FAILED
            bar.update(task, advance=1, failed=failed, description=f"{name} {number}")

        yield told


def _demand_places(options: SuiteOptions) -> None:
    """See that the files can be written, before cases are played. Raises Problem."""
    if options.report is not None:
        try:
            options.report.mkdir(parents=True, exist_ok=True)
        except (OSError, ValueError) as error:
            reason = error.strerror if isinstance(error, OSError) else str(error)
            raise Problem(f"no folder can be made at {options.report}: {reason}") from error
        for name in (PAGE, DATA, JUNIT):
            demand_place(options.report / name, True)
    if options.junit is not None:
        demand_place(options.junit, True)


def _write(report: Report, options: SuiteOptions, data: Callable[[], str]) -> None:
    """Write what was asked for, and say so. Raises Problem once all that can be written is."""
    junit = cache(lambda: report_junit(report))  # seconds each, for who has pressed Ctrl-C too
    parts: dict[Path, Callable[[], bytes]] = {}
    if options.report is not None:
        parts[options.report / PAGE] = lambda: report_html(report).encode()
        parts[options.report / DATA] = lambda: data().encode()
        parts[options.report / JUNIT] = junit
    if options.junit is not None:
        parts[options.junit] = junit
    problems = []
    for path, made in parts.items():
        try:
            write_whole(path, made(), force=True)
            print(f"{path} written", file=sys.stderr)
        except Problem as problem:  # the others may be smaller, or elsewhere
            problems.append(problem)
    if problems:
        raise Problem("; ".join(map(str, problems)))

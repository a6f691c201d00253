"""`tapbench conformance mutants`: how many broken cards or gates the suite catches."""

import json
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from bench.conformance.mutants.declared import KINDS
from bench.conformance.mutants.page import score_html
from bench.conformance.mutants.run import OnJudged, Plan, run_mutants
from bench.conformance.mutants.score import CATCHES, Judged, Score, lines
from bench.files import demand_place, write_whole
from bench.problem import Problem

PAGE, DATA = "mutants.html", "mutants.json"
"""What is written into the folder of --report. What is there of these names is replaced."""


@dataclass(frozen=True, slots=True)
class MutantOptions:
    """What the command line says. least: percent that must be caught."""

    kind: str
    only: str
    plan: Plan
    least: float
    report: Path | None
    as_json: bool


def mutants(options: MutantOptions) -> int:
    """Run them, tell and write.

    Returns 0, 1 if too few are caught, or 3 if it was stopped. Raises Problem.
    """
    if options.kind not in KINDS:
        raise Problem(f"there are no broken {options.kind}s; choose one of: {', '.join(KINDS)}")
    if options.report is not None:
        _demand_folder(options.report)
    with _progress(options.kind) as on_judged:
        score = run_mutants(options.kind, options.only, options.plan, on_judged)
    text = json.dumps(score.to_json(), ensure_ascii=False, indent=1) + "\n"
    if options.as_json:
        sys.stdout.write(text)
    else:
        print("\n".join(lines(score)))
    if options.report is not None:
        _write(options.report, score, text)
    if not score.is_complete:
        return 3
    return 0 if score.is_enough(options.least) else 1


def _demand_folder(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else str(error)
        raise Problem(f"no folder can be made at {folder}: {reason}") from error
    for name in (PAGE, DATA):
        demand_place(folder / name, True)


def _write(folder: Path, score: Score, text: str) -> None:
    for name, said in ((PAGE, score_html(score)), (DATA, text)):
        write_whole(folder / name, said.encode(), force=True, mode=0o644)
        print(f"{folder / name} written", file=sys.stderr)


@contextmanager
def _progress(kind: str) -> Iterator[OnJudged]:
    """A bar on a terminal, a line each elsewhere."""
    console = Console(stderr=True)
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("{task.fields[slipped]} not caught"),
        TimeElapsedColumn(),
    )
    is_bar = console.is_terminal
    with Progress(*columns, console=console, transient=True, disable=not is_bar) as bar:
        task = bar.add_task(f"broken {kind}s", total=None, slipped=0)
        slipped = 0

        def judged(one: Judged, done: int, total: int) -> None:
            nonlocal slipped
            slipped += one.outcome not in CATCHES
            bar.update(task, completed=done, total=total, slipped=slipped)
            if not is_bar:
                by = f" by {', '.join(one.by)}" if one.by else ""
                print(f"[{done}/{total}] {one.mutant.id} {one.outcome.value}{by}", file=sys.stderr)

        yield judged

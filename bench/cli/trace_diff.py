"""`tapbench trace diff`: what differs between two recordings."""

import json
from dataclasses import asdict
from pathlib import Path

from rich.console import Console
from rich.text import Text

from bench.problem import Problem
from bench.trace_formats import load
from bench.tracing.compare import Comparison, Difference, compare
from bench.tracing.words import counted

_STYLES = {"only_a": "cyan", "only_b": "magenta", "status": "bold red", "decision": "bold red"}


def diff(a: Path, b: Path, fresh: bool, as_json: bool, read_as: str | None = None) -> int:
    """Compare and print. Returns 0 if nothing differs, else 1. Raises Problem, TraceError.

    read_as: the format of both, told by their content if left out.
    """
    found = compare(load(a, read_as), load(b, read_as), fresh)
    for path, steps in zip((a, b), found.steps, strict=True):
        if not steps:
            raise Problem(f"{path} has no exchanges to compare")
    if as_json:
        print(json.dumps(_as_json(a, b, found), ensure_ascii=False, indent=2))
    else:
        _print(a, b, found, fresh)
    return 1 if found.differences else 0


def _print(a: Path, b: Path, found: Comparison, fresh: bool) -> None:
    console = Console(highlight=False, soft_wrap=True)
    for name, path, steps in zip("AB", (a, b), found.steps, strict=True):
        console.print(Text(f"{name}: {path}, {counted(steps, 'step')}", "dim"))
    for note in found.notes:
        console.print(Text(note, "yellow"))
    for difference in found.differences:
        console.print(Text(difference.text, _STYLES.get(difference.kind, "")))
    ignored = "" if fresh else "; random numbers, MACs and times are not compared, --all does"
    count = counted(len(found.differences), "difference")
    console.print(Text(f"{count}{ignored}", "bold"))


def _as_json(a: Path, b: Path, found: Comparison) -> dict[str, object]:
    return {
        "a": {"file": str(a), "steps": found.steps[0]},
        "b": {"file": str(b), "steps": found.steps[1]},
        "equal": not found.differences,
        "notes": found.notes,
        "differences": [_difference_json(d) for d in found.differences],
    }


def _difference_json(difference: Difference) -> dict[str, str]:
    return asdict(difference) | {"text": difference.text}

"""One mutant in a process of its own: `python -m bench.conformance.mutants.child`, see `trial`."""

import json
import logging
import os
import sys
from collections.abc import Callable
from importlib import import_module
from typing import Any

from bench.conformance.mutants import patch
from bench.conformance.mutants.declared import Mutant
from bench.conformance.mutants.trial import CannotJudge, Task

JUDGES = {
    "card": "bench.conformance.mutants.card",
    "gate": "bench.conformance.mutants.gate",
}
"""Who knows the cases of a kind: a module with `trials(task) -> Iterator[Trial]`."""

Tell = Callable[[dict[str, Any]], None]


def judge(task: Task, tell: Tell) -> None:
    """Break the module, then play the cases. Everything is told, nothing is raised."""
    try:
        if task.mutant:
            _break(Mutant(**task.mutant))
        trials = import_module(JUDGES[task.kind]).trials(task)
        first = next(trials, None)
    except Exception as error:  # noqa: BLE001 - any failure before the first case is the mutant's
        tell({"broken": _said(error)})
        return
    played = 0
    while first is not None:
        number, play = first
        tell({"case": number})
        played += 1
        if _play(number, play, tell) and not task.go_on:
            break
        first = next(trials, None)
    tell({"end": played})


def _break(mutant: Mutant) -> None:
    patcher = patch.install(mutant)
    import_module(mutant.module)
    if not patcher.made:
        raise patch.PatchError(f"{mutant.id}: {mutant.module} was imported without the change")


def _play(number: str, play: Callable[[], str], tell: Tell) -> bool:
    """Whether the case caught it."""
    try:
        why = play()
    except Exception as error:  # noqa: BLE001 - a case that breaks down must not end the run
        tell({"crashed": number, "why": f"{type(error).__name__}: {error}"})
        return False
    if why:
        tell({"caught": number, "why": why})
    return bool(why)


def _said(error: Exception) -> str:
    if isinstance(error, patch.PatchError | CannotJudge):
        return str(error)
    return f"it cannot be set up: {type(error).__name__}: {error}"


def main() -> None:
    """Read a task, tell what became of it."""
    out = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # whatever else prints, prints beside the telling
    logging.disable()  # a card that breaks down logs each time

    def tell(what: dict[str, Any]) -> None:
        out.write(json.dumps(what) + "\n")
        out.flush()

    judge(Task(**json.load(sys.stdin)), tell)


if __name__ == "__main__":
    main()

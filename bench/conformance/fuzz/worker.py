"""One process's part of a run. The card may be broken first, so the rest is imported late."""

import logging
from collections.abc import Callable
from importlib import import_module
from typing import TYPE_CHECKING, Any

from bench.children import stay_deaf
from bench.conformance.fuzz.task import Task
from bench.conformance.mutants import patch
from bench.conformance.mutants.declared import Mutant
from bench.problem import Problem

if TYPE_CHECKING:
    from bench.conformance.fuzz.tally import Tally


def hunt(task: Task, tell: Callable[[int], object] = lambda done: None) -> "Tally":
    """Hunt. tell: takes the APDUs so far. Raises Problem and what a road says."""
    from bench.conformance.fuzz.place import bed_at

    with bed_at(task) as bed:
        from bench.conformance.fuzz.hunt import Hunt, Plan

        seed = f"{task.seed}/{task.worker}"
        plan = Plan(task.share, seed, every=task.every, branches=task.branches)
        return Hunt(bed, plan, tell).run()


def part(task: Task, queue: Any) -> None:  # noqa: ANN401 - a queue of multiprocessing
    """A process of its own: tells (worker, APDUs so far), and at the end its tally or a Problem."""
    stay_deaf()
    try:
        if task.mutant is not None:
            break_card(task.mutant)
        tally = hunt(task, lambda done: queue.put((task.worker, done)))
    except Problem as problem:
        queue.put((task.worker, problem))
        return
    queue.put((task.worker, tally))


def break_card(mutant: Mutant) -> None:
    """Plant a declared lie in our card. To be called before it is imported. Raises Problem."""
    logging.disable()  # a card that breaks down logs each time
    try:
        patcher = patch.install(mutant)
    except patch.PatchError as error:
        raise Problem(str(error)) from None
    import_module(mutant.module)
    if not patcher.made:
        raise Problem(f"{mutant.id}: {mutant.module} was imported without the change")

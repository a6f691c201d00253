"""Several processes at once, and what they found for people."""

import multiprocessing
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from queue import Empty
from typing import Any

from apdu.sw import describe
from bench.children import born_deaf
from bench.conformance.fuzz.tally import Found, Tally
from bench.conformance.fuzz.task import Task
from bench.conformance.fuzz.worker import hunt, part
from bench.conformance.shown import command_hex
from bench.problem import Problem

MOST_WORKERS = 64
Tell = Callable[[str], object]
"""Takes a line of progress."""


@dataclass(frozen=True)
class Outcome:
    """What a run saw. took_s: by the clock."""

    task: Task
    tally: Tally
    took_s: float

    def to_json(self) -> dict[str, Any]:
        """For programs."""
        task = self.task
        asked = {"count": task.count, "seed": task.seed, "workers": task.workers, "via": task.via}
        if task.mutant is not None:
            asked["mutant"] = task.mutant.id
        return asked | self.tally.to_json() | {"seconds": round(self.took_s, 1)}


def fuzz(task: Task, tell: Tell) -> Outcome:
    """Run a task in as many processes as it says. Raises Problem and what a road says."""
    check(task)
    start = time.monotonic()
    say = _Progress(task, tell, start)
    tally = (
        _several(task, say)
        if task.workers > 1 or task.mutant is not None
        else hunt(task, lambda n: say(0, n))
    )
    return Outcome(task, tally, time.monotonic() - start)


def check(task: Task) -> None:
    """Raise Problem for what cannot be run."""
    if task.count < 1:
        raise Problem(f"--count is {task.count}; expected at least 1")
    if not 1 <= task.workers <= MOST_WORKERS:
        raise Problem(f"--workers is {task.workers}; expected 1 to {MOST_WORKERS}")
    if task.every < 1 or task.branches < 0:
        raise Problem("--every is at least 1, and --branches at least 0")
    if task.via != "inproc":
        if task.mutant is not None:
            raise Problem("--mutant breaks our card in process; leave --via out")
        if task.workers > 1:
            raise Problem("several workers need a card each; only --via inproc has them")
        if task.branches:
            raise Problem("--branches looks into our own card; only --via inproc can")


class _Progress:
    def __init__(self, task: Task, tell: Tell, start: float) -> None:
        self._task, self._tell, self._start = task, tell, start
        self._done: dict[int, int] = {}
        self._next = 0

    def __call__(self, worker: int, done: int) -> None:
        self._done[worker] = done
        total = sum(self._done.values())
        if total >= self._next:
            self._next = total + max(1, self._task.count // 20)
            took = time.monotonic() - self._start
            self._tell(f"{total:>10} of {self._task.count} APDUs, {took:6.0f} s")


def _several(task: Task, say: _Progress) -> Tally:
    context = multiprocessing.get_context("spawn")
    queue: Any = context.Queue()
    parts = [replace(task, worker=n) for n in range(task.workers)]
    processes = [context.Process(target=part, args=(one, queue), daemon=True) for one in parts]
    with born_deaf():
        for process in processes:
            process.start()
    tally, left = Tally(), set(range(task.workers))
    try:
        while left:
            worker, what = _next(queue, processes)
            if isinstance(what, int):
                say(worker, what)
                continue
            if isinstance(what, Problem):
                raise what
            left.discard(worker)
            tally.add(what)
    finally:
        for process in processes:
            process.terminate()
            process.join()
    return tally


def _next(queue: Any, processes: list[Any]) -> tuple[int, Any]:  # noqa: ANN401 - a queue
    """The next word of a process. Raises Problem if one has died without any."""
    while True:
        try:
            found: tuple[int, Any] = queue.get(timeout=1)
        except Empty:
            if any(process.exitcode not in (None, 0) for process in processes):
                raise Problem("a process of the fuzzer ended early; run it with --workers 1") from (
                    None
                )
            continue
        return found


def lines(outcome: Outcome) -> list[str]:
    """A run for people."""
    tally, task = outcome.tally, outcome.task
    shown = [f"{n:>10}  {sw:04X}  {describe(sw)}" for sw, n in tally.words.most_common()]
    rate = tally.commands / max(outcome.took_s, 0.001)
    shown.append(
        f"{tally.commands} APDUs, {tally.cards} cards, {tally.commits} transactions,"
        f" {len(tally.words)} status words, {len(tally.seen)} different (state, command, word),"
        f" {tally.corpus} episodes kept"
        + (f", {tally.branches} branches" if tally.branches else "")
        + f"; {outcome.took_s:.1f} s, {rate:.0f} APDUs a second; seed {task.seed}"
    )
    is_ours = ":" not in task.via
    for found in tally.found:
        shown += ["", *script(found, is_ours=is_ours)]
    shown.append("no violation" if not tally.found else f"{len(tally.found)} different violations")
    return shown


def script(found: Found, *, is_ours: bool = True) -> list[str]:
    """A violation as a script that `tapbench trace replay --as reader` plays."""
    shown = [
        f"# {found.rule.words.en}",
        f"# expected {found.expected}",
        f"# came {found.came}",
        "# card {}, seed {}, process {}".format(found.kind, *found.seed.split("/"))
        + ("" if found.is_short else "; not cut down: it does not repeat on a new card"),
    ]
    tap = 1
    for command, response in found.said:
        if not command:
            tap += 1
            shown.append(f"# tap {tap}")
            continue
        shown.append(f"> {command_hex(command, is_ours)}")
        if response:
            shown.append(f"< {response.hex().upper()}")
    return shown

"""Judging many mutants, a process each, several at a time."""

import asyncio
import fnmatch
import json
import os
import sys
from asyncio.subprocess import PIPE, Process
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from signal import SIGINT, SIGTERM, getsignal, signal
from threading import current_thread, main_thread
from typing import Any

import bench
from bench.conformance.mutants.declared import Mutant, load
from bench.conformance.mutants.score import Judged, Outcome, Score
from bench.conformance.mutants.trial import Task
from bench.problem import Problem

LIMIT_S = 60.0
"""How long one case may take. On our own card the slowest takes less than a second."""

START_S = 120.0
"""How long a process may take until its first case, on a machine with much else to do."""

OnJudged = Callable[[Judged, int, int], None]
"""Progress: what became of one mutant, how many are done, how many there are."""

_COMMAND = ("-P", "-m", "bench.conformance.mutants.child")


@dataclass(frozen=True, slots=True)
class Plan:
    """How mutants are judged.

    cases: which cases may catch them, as `suite.chosen` takes it; empty for all.
    go_on: find all cases that catch a mutant, not the first alone.
    limit_s: seconds one case may take. workers: processes at a time; 0 for one a processor.
    """

    cases: str = ""
    go_on: bool = False
    limit_s: float = LIMIT_S
    workers: int = 0


@dataclass(slots=True)
class _Told:
    """What a child said. silent: in which case it stopped saying anything. case: its latest."""

    caught: dict[str, str] = field(default_factory=dict)
    crashed: dict[str, str] = field(default_factory=dict)
    broken: str = ""
    played: int | None = None
    silent: str = ""
    case: str = ""

    @property
    def has_died(self) -> bool:
        """Whether its process ended without a word of why: killed, or out of memory."""
        is_told = self.caught or self.broken or self.silent
        return self.played is None and not is_told

    @property
    def where(self) -> str:
        """Where its process ended, for people."""
        return f"at {self.case}" if self.case else "before its first case"


def run_mutants(
    kind: str, only: str = "", plan: Plan | None = None, on_judged: OnJudged | None = None
) -> Score:
    """Judge the declared mutants of a kind. only: a shell pattern for ids, or several with commas.

    Raises Problem if none fits, or if the suite fails on the unbroken one.
    """
    return judge_all(kind, picked(load(kind), only), plan or Plan(), on_judged)


def picked(mutants: Mapping[str, Mutant], only: str) -> list[Mutant]:
    """Those whose id, module or clause fits. Raises Problem if none does."""
    patterns = only.split(",") if only else ["*"]
    found = [
        one
        for one in mutants.values()
        if any(
            fnmatch.fnmatchcase(name, pattern)
            for pattern in patterns
            for name in (one.id, one.module, one.clause)
        )
    ]
    if not found:
        raise Problem(f"no mutant fits '{only}'; their ids look like {next(iter(mutants), '-')}")
    return found


def judge_all(
    kind: str, mutants: list[Mutant], plan: Plan, on_judged: OnJudged | None = None
) -> Score:
    """Judge these mutants, after the unbroken one has passed. Raises Problem.

    Stopped by Ctrl-C or a signal, it gives what was judged until then, and says so.
    """
    judged: dict[int, Judged] = {}

    def note(at: int, one: Judged) -> None:
        judged[at] = one
        if on_judged is not None:
            on_judged(one, len(judged), len(mutants))

    stopped = False
    try:
        asyncio.run(_judge_all(kind, mutants, plan, note))
    except (KeyboardInterrupt, asyncio.CancelledError):
        stopped = True
    except ExceptionGroup as group:
        raise group.exceptions[0] from None
    done = tuple(judged[at] for at in sorted(judged))
    return Score(kind, done, len(mutants) if stopped else 0)


async def _judge_all(
    kind: str, mutants: list[Mutant], plan: Plan, note: Callable[[int, Judged], None]
) -> None:
    gate = asyncio.Semaphore(plan.workers or os.cpu_count() or 1)

    async def sound(task: Task) -> None:
        async with gate:
            await _demand_sound(task, plan)

    async def one(at: int, mutant: Mutant) -> None:
        async with gate:
            note(at, await _judge(kind, mutant, plan))

    # A group ends when every process has: a gathering would leave some behind when it is stopped.
    with _ended_by_signal():
        async with asyncio.TaskGroup() as group:
            for task in _grounds(kind, mutants, plan):
                group.create_task(sound(task))
        async with asyncio.TaskGroup() as group:
            for at, mutant in enumerate(mutants):
                group.create_task(one(at, mutant))


@contextmanager
def _ended_by_signal() -> Iterator[None]:
    """Ctrl-C and SIGTERM end the task: an error from a handler breaks into anything."""
    task = asyncio.current_task()
    if task is None or current_thread() is not main_thread():
        yield
        return
    loop, before = asyncio.get_running_loop(), {one: getsignal(one) for one in (SIGINT, SIGTERM)}
    for number in before:
        loop.add_signal_handler(number, task.cancel)
    try:
        yield
    finally:
        for number, handler in before.items():
            loop.remove_signal_handler(number)
            signal(number, handler)


def _grounds(kind: str, mutants: list[Mutant], plan: Plan) -> list[Task]:
    """Everything that is judged, unbroken, each once."""
    found: list[Task] = []
    for one in mutants:
        task = Task(kind, {}, one.needs, one.profile, one.setup, plan.cases)
        if task not in found:
            found.append(task)
    return found


async def _demand_sound(task: Task, plan: Plan) -> None:
    """A case that fails on the unbroken one would catch everything."""
    told, kind = await _run(task, plan), task.kind
    if told.broken:
        raise Problem(f"the unbroken {kind} cannot be judged: {told.broken}")
    for found in (told.caught, told.crashed):
        for number, why in found.items():
            raise Problem(f"{number} fails on the unbroken {kind}: {why}; mend that first")
    if told.silent:
        raise Problem(f"{told.silent} takes more than {plan.limit_s:g} s on the unbroken {kind}")
    if told.played is None:
        raise Problem(f"the process of the unbroken {kind} ended {told.where}; run it again")
    if not told.played and plan.cases and not task.needs:
        raise Problem(f"no case for a {kind} fits '{plan.cases}'; see tapbench conformance list")


async def _judge(kind: str, mutant: Mutant, plan: Plan) -> Judged:
    task = Task(
        kind,
        mutant.to_json(),
        mutant.needs,
        mutant.profile,
        mutant.setup,
        plan.cases,
        plan.go_on,
    )
    told = await _run(task, plan)
    if told.has_died:  # once may be the machine's doing
        told = await _run(task, plan)
    return _outcome(mutant, told, plan)


def _outcome(mutant: Mutant, told: _Told, plan: Plan) -> Judged:
    crashed = tuple(told.crashed.items())
    if told.broken:
        return Judged(mutant, Outcome.BROKEN, why=told.broken)
    if told.caught:
        by = tuple(told.caught)
        return Judged(mutant, Outcome.CAUGHT, by, told.caught[by[0]], crashed)
    if told.silent:
        why = f"no answer in {plan.limit_s:g} s"
        return Judged(mutant, Outcome.TIMEOUT, (told.silent,), why, crashed)
    if told.played is None:
        return Judged(mutant, Outcome.BROKEN, why=f"its process ended twice, {told.where}")
    if told.played == 0:
        return Judged(mutant, Outcome.LEFT_OUT, why=f"it needs cases for {mutant.needs or 'it'}")
    judged = Judged(mutant, Outcome.SURVIVED, crashed=crashed)
    if mutant.equivalent:
        return replace(judged, outcome=Outcome.EQUIVALENT, why=mutant.equivalent)
    return judged


async def _run(task: Task, plan: Plan) -> _Told:
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        *_COMMAND,
        stdin=PIPE,
        stdout=PIPE,
        env=_environment(),
        process_group=0,  # what ends the whole group is ours to hear: a child's end says nothing
    )
    try:
        return await _listen(process, task, plan)
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()


def _environment() -> dict[str, str]:
    """The child runs the bench its parent runs, wherever that is, and nothing of the folder."""
    ours = str(Path(str(bench.__file__)).resolve().parents[1])
    path = os.environ.get("PYTHONPATH")
    return os.environ | {"PYTHONPATH": ours if not path else ours + os.pathsep + path}


async def _listen(process: Process, task: Task, plan: Plan) -> _Told:
    assert process.stdin is not None
    process.stdin.write(json.dumps(_told_task(task)).encode())
    process.stdin.close()
    told, wait_s = _Told(), max(START_S, plan.limit_s)
    try:
        while said := await asyncio.wait_for(_said(process), wait_s):
            if "case" in said:
                told.case, wait_s = said["case"], plan.limit_s
            _note(told, said)
    except TimeoutError:
        told.silent = told.case
        if not told.case:
            told.broken = f"it did not come to its first case in {wait_s:g} s"
    return told


def _told_task(task: Task) -> dict[str, Any]:
    return {name: getattr(task, name) for name in Task.__slots__}


async def _said(process: Process) -> dict[str, Any]:
    """The next thing the child says; nothing at its end, and where it ended within a line."""
    assert process.stdout is not None
    line = await process.stdout.readline()
    said: dict[str, Any] = json.loads(line) if line.endswith(b"\n") else {}
    return said


def _note(told: _Told, said: dict[str, Any]) -> None:
    if "caught" in said:
        told.caught[said["caught"]] = said["why"]
    elif "crashed" in said:
        told.crashed[said["crashed"]] = said["why"]
    elif "broken" in said:
        told.broken = said["broken"]
    elif "end" in said:
        told.played = said["end"]

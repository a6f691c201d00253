"""Repeating an action and taking the time, one repetition or many at once."""

import os
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from time import perf_counter_ns, sleep
from timeit import Timer
from typing import Any

_LOOK_S = 0.15


@contextmanager
def one_processor(wanted: bool = True) -> Iterator[int | None]:
    """Keep this thread, and the threads and services it starts, on one processor.

    Yields its number, or None where that is not wanted or not possible. On two processors most of
    a road's time is the waking of the other one, and the figures say more about the scheduler than
    about the road. The one is chosen that has been the idlest for a moment.
    """
    if not wanted or not hasattr(os, "sched_setaffinity"):
        yield None
        return
    before = os.sched_getaffinity(0)
    chosen = _idlest(before)
    os.sched_setaffinity(0, {chosen})
    try:
        yield chosen
    finally:
        os.sched_setaffinity(0, before)


def _idlest(processors: Collection[int]) -> int:
    """The processor that others leave alone, as far as the kernel tells."""
    before = _idle()
    sleep(_LOOK_S)
    after = _idle()
    return max(processors, key=lambda one: (after.get(one, 0) - before.get(one, 0), one))


def _idle() -> dict[int, int]:
    """By processor, how long it has been idle, in the kernel's ticks; empty where it says nothing.

    A line of /proc/stat is cpuN user nice system idle ...
    """
    try:
        lines = Path("/proc/stat").read_text().splitlines()
    except OSError:
        return {}
    told = [line.split() for line in lines if line.startswith("cpu")]
    return {int(one[0][3:]): int(one[4]) for one in told if one[0][3:].isdigit()}


def timed(
    action: Callable[[], object], count: int, before: Callable[[], None] | None = None
) -> list[int]:
    """Nanoseconds of each repetition. before: done first each time, and not measured."""
    took = []
    for _ in range(count):
        if before is not None:
            before()
        start = perf_counter_ns()
        action()
        took.append(perf_counter_ns() - start)
    return took


def turns(count: int, size: int) -> Iterator[int]:
    """Cut repetitions into turns of at most a size, as many as there are.

    >>> list(turns(25, 10))
    [10, 10, 5]
    """
    for done in range(0, count, size):
        yield min(size, count - done)


def inlined(statement: str, names: Mapping[str, Any], count: int) -> float:
    """Nanoseconds of one execution of a statement, the mean of many.

    For what takes no longer than the call of a function: the statement stands in the loop itself,
    and the garbage collector rests, as `timeit` does it.
    """
    return Timer(statement, globals=dict(names)).timeit(count) / count * 1e9

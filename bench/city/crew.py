"""Who plays the shards: processes of this machine. A worker that dies costs its shards' time only.

A shard that was under way when a worker died is played again. Its result counts when it comes, and
it comes once.
"""

import ctypes
import multiprocessing
import os
import signal
import sys
import threading
import time
from collections import Counter, deque
from collections.abc import Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from typing import Protocol

from bench.children import born_deaf, stay_deaf
from bench.city.plan import CityPlan
from bench.city.result import ShardResult
from bench.city.shard import play_shard, warm
from bench.problem import Problem

MOST_TRIES = 5
"""How often a shard is tried while workers die."""

_AHEAD = 1
"""Shards given out for each worker beyond the one it plays."""

SLOWEST_TRIP_S = 0.05
"""A worker that takes longer hangs: half a millisecond is usual, some on a busy machine."""

LEAST_PATIENCE_S = 60.0

_MOMENT_S = 0.05
_PR_SET_PDEATHSIG = 1


class Crew(Protocol):
    """Plays shards. workers: how many at once.

    repeated: how many had to be played again because a worker died; None if nobody can say.
    """

    workers: int
    repeated: int | None

    def ready(self) -> None:
        """Wait until all workers are there and have loaded what they need."""
        ...

    def play(self, plan: CityPlan, shards: Iterable[int]) -> Iterator[ShardResult]:
        """The results, in the order in which they come. Raises Problem."""
        ...

    def close(self) -> None:
        """Let all workers go, whatever they are doing."""
        ...


class Alone:
    """This process itself: for tests, and to look closely at the work."""

    workers = 1
    repeated: int | None = 0

    def ready(self) -> None:
        """See Crew."""
        warm()

    def play(self, plan: CityPlan, shards: Iterable[int]) -> Iterator[ShardResult]:
        """See Crew."""
        return (play_shard(plan, number) for number in shards)

    def close(self) -> None:
        """See Crew."""


class Processes:
    """Worker processes of this machine."""

    def __init__(self, workers: int) -> None:
        self.repeated: int | None = 0
        self.workers = workers
        self._others = set(multiprocessing.active_children())
        self._pool = self._made()

    def ready(self) -> None:
        """See Crew."""
        there: set[int] = set()
        deadline_s = time.monotonic() + LEAST_PATIENCE_S * self.workers
        try:
            while len(there) < self.workers:
                left_s = deadline_s - time.monotonic()
                with _starting():
                    asked = self._pool.map(_here, range(self.workers), timeout=left_s)
                there.update(asked)
        except BrokenProcessPool:
            pass  # `play` mends that
        except TimeoutError:  # one of them hangs
            self._kill()

    def play(self, plan: CityPlan, shards: Iterable[int]) -> Iterator[ShardResult]:
        """See Crew."""
        fresh, again = iter(shards), deque[int]()
        tries: Counter[int] = Counter()
        under_way: dict[Future[ShardResult], int] = {}
        while True:
            is_broken = not self._give_out(plan, fresh, again, under_way)
            if not under_way and not is_broken:
                return
            for future in self._done(under_way, _patience_s(plan)):
                number = under_way.pop(future)
                try:
                    yield _result(future, number)
                except BrokenProcessPool:
                    again.append(number)
                    is_broken = True
            if is_broken:
                again.extend(under_way.values())
                under_way.clear()
                self._mend(again, tries)

    def close(self) -> None:
        """See Crew."""
        self._pool.shutdown(wait=False, cancel_futures=True)
        self._kill()

    def _kill(self) -> None:
        for process in set(multiprocessing.active_children()) - self._others:
            process.kill()
            process.join()

    def _done(
        self, under_way: Iterable[Future[ShardResult]], patience_s: float
    ) -> set[Future[ShardResult]]:
        """What is done next. Workers that all do nothing for so long are killed.

        An interpreter without memory may try for ever to get some, deaf to everything else.
        """
        given = set(under_way)
        if not given:
            return given
        done = wait(given, patience_s, FIRST_COMPLETED).done
        if not done:
            self._kill()
            done = wait(given, return_when=FIRST_COMPLETED).done
        return done

    def _give_out(
        self,
        plan: CityPlan,
        fresh: Iterator[int],
        again: deque[int],
        under_way: dict[Future[ShardResult], int],
    ) -> bool:
        """Keep all workers busy. Returns False if they are dead."""
        while len(under_way) < self.workers * (1 + _AHEAD):
            number = again.popleft() if again else next(fresh, None)
            if number is None:
                return True
            try:
                with _starting():
                    under_way[self._pool.submit(play_shard, plan, number)] = number
            except BrokenProcessPool:
                again.append(number)
                return False
        return True

    def _mend(self, again: Iterable[int], tries: Counter[int]) -> None:
        """New workers for those that died, as one does not work without the others."""
        tries.update(again)
        number, most = tries.most_common(1)[0]
        if most >= MOST_TRIES:
            raise Problem(
                f"workers died {most} times with shard {number} under way; look for what kills "
                "or stops them, such as too little memory, and go on with the same command"
            )
        assert self.repeated is not None
        self.repeated += len(list(again))
        self._kill()  # the pool asks them to end and waits, and who is stopped does not hear it
        self._pool.shutdown()
        self._pool = self._made()

    def _made(self) -> ProcessPoolExecutor:
        context = multiprocessing.get_context("spawn")
        with _starting():
            return ProcessPoolExecutor(self.workers, context, initializer=_begin)


@contextmanager
def _starting() -> Iterator[None]:
    """While processes may be started. Raises Problem."""
    try:
        with born_deaf():
            yield
    except OSError as error:
        raise Problem(
            f"no more processes can be started ({error.strerror}); give fewer --workers"
        ) from error


def _patience_s(plan: CityPlan) -> float:
    """How long to wait for the next shard, while others are under way."""
    return max(LEAST_PATIENCE_S, plan.shard_trips * SLOWEST_TRIP_S * (1 + _AHEAD))


def _result(future: "Future[ShardResult]", number: int) -> ShardResult:
    try:
        return future.result()
    except MemoryError:
        raise out_of_memory(number) from None


def out_of_memory(number: int) -> Problem:
    """What to say when a worker could not get memory."""
    return Problem(
        f"a worker ran out of memory in shard {number}; give it more, or use fewer --workers"
    )


def _here(number: int) -> int:
    """This process, after a moment in which the others take the other numbers."""
    process = warm()
    time.sleep(_MOMENT_S)
    return process


def _begin() -> None:
    """A worker leaves Ctrl-C to who started it, and does not outlive that."""
    stay_deaf()
    if sys.platform == "linux":  # a worker that hangs without memory cannot run its thread
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    parent = multiprocessing.parent_process()
    if parent is not None:
        threading.Thread(target=_follow, args=(parent,), daemon=True).start()


def _follow(parent: "multiprocessing.process.BaseProcess") -> None:
    parent.join()
    os._exit(1)

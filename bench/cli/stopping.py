"""Ctrl-C and SIGTERM: what they do to a program, and where they do something else."""

import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from signal import SIG_IGN, SIGINT, SIGTERM, Handlers, getsignal, raise_signal, signal
from threading import Timer
from time import monotonic
from typing import Any, Final

SAME_S: Final = 1.0
"""A signal so soon after another is the same wish: of two hands, a supervisor or a bouncing key."""

AGAIN_S: Final = 0.02
"""After which a signal that got lost is sent again."""


def heed_stops() -> None:
    """From now on Ctrl-C and SIGTERM raise KeyboardInterrupt, both as one if both come.

    The first is obeyed with files, cards and child processes put right, and the next must not
    break into that. Who has waited for longer may break in: it may be that which hangs.
    """
    stops = _Stops()
    for number in (SIGINT, SIGTERM):
        if getsignal(number) is not SIG_IGN:  # as a shell starts what runs behind it
            signal(number, stops.stop)
    sys.unraisablehook = stops.lost


class _Stops:
    """What signals do. What they raise in a finalizer Python drops, so it is raised once more."""

    def __init__(self) -> None:
        self._at_s = float("-inf")
        self._told = sys.unraisablehook

    def stop(self, number: int, frame: object) -> None:
        before_s, self._at_s = self._at_s, monotonic()
        if self._at_s - before_s > SAME_S:
            raise KeyboardInterrupt

    def lost(self, what: Any) -> None:  # noqa: ANN401 - a type of sys that has no name
        if what.exc_type is not KeyboardInterrupt:
            self._told(what)
            return
        self._at_s = float("-inf")
        again = Timer(AGAIN_S, os.kill, (os.getpid(), SIGINT))
        again.daemon = True
        again.start()


def heed_no_stops() -> None:
    """From now on Ctrl-C and SIGTERM do nothing: all is done but to leave."""
    for number in (SIGINT, SIGTERM):
        signal(number, SIG_IGN)


def stopped() -> int:
    """Tell that the work was broken off. Returns the exit code."""
    print("tapbench: stopped before it was done", file=sys.stderr)
    return 130


@contextmanager
def on_stop(act: Callable[[int, Any], None] | Handlers) -> Iterator[None]:
    """For the length of a block, Ctrl-C and SIGTERM do something else.

    act: a signal's handler; SIG_IGN where the first signal has been obeyed already.
    """
    before = {number: signal(number, act) for number in (SIGINT, SIGTERM)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal(number, handler)


@contextmanager
def put_off() -> Iterator[None]:
    """For what must not be broken into: Ctrl-C and SIGTERM come after it.

    Who sends another after a while breaks in: a reader of what is written may not read.
    """
    came: list[tuple[int, float]] = []

    def note(number: int, frame: object) -> None:
        if came and monotonic() - came[0][1] > SAME_S:
            raise KeyboardInterrupt
        came.append((number, monotonic()))

    with on_stop(note):
        yield
    for number, _ in came[:1]:
        raise_signal(number)

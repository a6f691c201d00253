"""Ctrl-C and SIGTERM, where raising KeyboardInterrupt would be wrong."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from signal import SIGINT, SIGTERM, Handlers, signal
from typing import Any


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

"""Single keys from a terminal, while this program is in its foreground."""

import os
import sys
import termios
import tty
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from select import select
from threading import Event, Thread

_POLL_S = 0.2


def is_at_keyboard() -> bool:
    """Whether somebody can press keys: a terminal, and this program is in its foreground."""
    try:
        return sys.stdin.isatty() and os.tcgetpgrp(sys.stdin.fileno()) == os.getpgrp()
    except (OSError, ValueError):  # closed, or a terminal of another session
        return False


@contextmanager
def listening(on_key: Callable[[str], None]) -> Iterator[None]:
    """Hear keys on the terminal in a thread of its own, without Enter, until the end."""
    handle = sys.stdin.fileno()
    before = termios.tcgetattr(handle)
    ended = Event()

    def work() -> None:
        while not ended.is_set():
            if not is_at_keyboard():  # the terminal stops a program that reads from behind
                ended.wait(_POLL_S)
            elif select([handle], [], [], _POLL_S)[0]:
                on_key(os.read(handle, 1).decode("ascii", "replace"))

    tty.setcbreak(handle)
    thread = Thread(target=work, name="keys", daemon=True)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()
        if is_at_keyboard():
            termios.tcsetattr(handle, termios.TCSADRAIN, before)

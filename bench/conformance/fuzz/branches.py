"""Branches of our own card, by the interpreter's trace hook: slow, so only on some cards."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from types import CodeType, FrameType
from typing import Any

import emulator.card

_HOME = tuple(emulator.card.__path__)

Branch = tuple[CodeType, int, int]
"""A step from one line to another."""


class Branches:
    """Steps from line to line within the card's code. seen: all so far."""

    def __init__(self) -> None:
        self.seen: set[Branch] = set()
        self._last: dict[FrameType, int] = {}

    @contextmanager
    def watched(self, is_on: bool) -> Iterator[None]:
        """While it is open, steps are collected, if it is on."""
        if not is_on:
            yield
            return
        before = sys.gettrace()
        sys.settrace(self._call)
        try:
            yield
        finally:
            sys.settrace(before)
            self._last.clear()

    def _call(self, frame: FrameType, event: str, arg: object) -> Any:  # noqa: ANN401 - its protocol
        if not frame.f_code.co_filename.startswith(_HOME):
            return None
        self._last[frame] = frame.f_code.co_firstlineno
        return self._line

    def _line(self, frame: FrameType, event: str, arg: object) -> Any:  # noqa: ANN401 - its protocol
        if event == "line":
            line = frame.f_lineno
            self.seen.add((frame.f_code, self._last.get(frame, 0), line))
            self._last[frame] = line
        elif event == "return":
            self._last.pop(frame, None)
        return self._line

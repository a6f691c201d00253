"""What is played against a mutant, and what a child and its parent tell each other.

Imports nothing that can be patched. The child reads one `Task` as JSON and writes one JSON object
a line: {"case": id} before each case, {"caught": id, "why": ...} and {"crashed": id, "why": ...}
after some, {"broken": why} if the mutant cannot be judged, and {"end": count} at the end.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

Play = Callable[[], str]
"""Plays one case. Returns what gave the broken one away; nothing if the case passed or was left
out. Raises if the case itself breaks down, which is no catch."""

Trial = tuple[str, Play]
"""A case's id, and how it is played."""


@dataclass(frozen=True, slots=True)
class Task:
    """One process's work.

    kind:    what is broken, one of `declared.KINDS`.
    mutant:  as in its file; empty for the unbroken one.
    needs, profile, setup: what it is judged on, see `declared.Mutant`.
    cases:   which to play, as `bench.conformance.suite.chosen` takes it; empty for all.
    go_on:   play on after the first that catches it.
    """

    kind: str
    mutant: dict[str, Any]
    needs: str = ""
    profile: str = ""
    setup: dict[str, Any] = field(default_factory=dict)
    cases: str = ""
    go_on: bool = False

    @property
    def clause(self) -> str:
        """The clause that is broken: cases about it are played first."""
        return str(self.mutant.get("clause", ""))


class CannotJudge(Exception):
    """There is nothing to play: the broken one cannot even be set up. One sentence."""

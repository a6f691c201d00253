"""What a suite found, with everything a report says of where and how it was played."""

import platform
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, fields
from datetime import datetime
from enum import IntEnum

from bench.conformance.case import Case, Verdict
from bench.conformance.runner import Result
from bench.versions import installed
from emulator.card.dialect import Dialect
from emulator.card.profile import Profile


class Ending(IntEnum):
    """How it ended, as the exit code of the command."""

    PASSED = 0
    FAILED = 1
    INCOMPLETE = 3


@dataclass(frozen=True, slots=True)
class Run:
    """The suite at one place.

    profile:    what was declared of the card; None if none was found there.
    planned:    how many cases were to be played.
    results:    by id, in the order they were played.
    incomplete: why it ended early, one sentence; empty if it did not.
    is_ours:    the cards are the bench's own, so that nothing on them is a secret.
    scripts:    of failed cases by id: the commands that show it, as text.
    """

    place: str
    profile: Profile | None
    planned: int
    results: Mapping[str, Result] = field(default_factory=dict)
    incomplete: str = ""
    is_ours: bool = True
    took_ns: int = 0
    scripts: Mapping[str, str] = field(default_factory=dict)

    def count(self, verdict: Verdict) -> int:
        """How many cases ended that way."""
        return sum(result.verdict is verdict for result in self.results.values())

    def by_group(self) -> dict[str, Counter[Verdict]]:
        """The same for each group, in the order of the suite."""
        groups: dict[str, Counter[Verdict]] = {}
        for result in self.results.values():
            groups.setdefault(result.case.group, Counter())[result.verdict] += 1
        return groups

    @property
    def failed(self) -> dict[str, Result]:
        """The failed cases by id."""
        return {n: r for n, r in self.results.items() if r.verdict is Verdict.FAILED}


@dataclass(frozen=True, slots=True)
class Report:
    """All places of one call. suite: card or gate."""

    started: datetime
    seed: int
    level: str
    only: str
    runs: tuple[Run, ...]
    environment: Mapping[str, str]
    suite: str = "card"

    @property
    def ending(self) -> Ending:
        """Incomplete if any run is; else failed if any case is."""
        if any(run.incomplete for run in self.runs):
            return Ending.INCOMPLETE
        return Ending.FAILED if any(run.failed for run in self.runs) else Ending.PASSED


def judging(results: Iterable[Result]) -> list[Case]:
    """The cases that said something of what they were played on: those that were not skipped."""
    return [result.case for result in results if result.verdict is not Verdict.SKIPPED]


def environment() -> dict[str, str]:
    """The machine and the programs that may matter to a road."""
    shown = {
        "python": platform.python_version(),
        "system": f"{platform.system()} {platform.release()} {platform.machine()}",
    }
    found = {name: installed(name) for name in ("nfcpy", "pyscard")}
    return shown | {name: number for name, number in found.items() if number}


def dialect_changes(profile: Profile) -> dict[str, str]:
    """The switches of a profile that are not at their default."""
    plain = Dialect()
    return {
        switch.name: str(getattr(profile.dialect, switch.name))
        for switch in fields(Dialect)
        if getattr(profile.dialect, switch.name) != getattr(plain, switch.name)
    }

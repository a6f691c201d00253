"""What became of the mutants."""

from collections.abc import Iterable
from dataclasses import dataclass
from enum import Enum
from typing import Any

from bench.conformance.mutants.declared import Mutant


class Outcome(Enum):
    """What became of one mutant."""

    CAUGHT = "caught"
    TIMEOUT = "timeout"
    SURVIVED = "survived"
    EQUIVALENT = "equivalent"
    LEFT_OUT = "left out"
    BROKEN = "broken"


CATCHES = frozenset({Outcome.CAUGHT, Outcome.TIMEOUT})


@dataclass(frozen=True, slots=True)
class Judged:
    """One mutant's outcome.

    by:      ids of the cases that caught it: the first, or all that do.
    why:     what gave it away; of a survivor declared equivalent its reason; of a broken one the
             error in one sentence.
    crashed: cases that broke down on it, with the error: no catch.
    """

    mutant: Mutant
    outcome: Outcome
    by: tuple[str, ...] = ()
    why: str = ""
    crashed: tuple[tuple[str, str], ...] = ()

    @property
    def is_misdeclared(self) -> bool:
        """Declared equivalent, and caught all the same."""
        return bool(self.mutant.equivalent) and self.outcome in CATCHES

    def to_json(self) -> dict[str, Any]:
        """For programs."""
        mutant = self.mutant
        return {
            "id": mutant.id,
            "title": mutant.title,
            "title_zh": mutant.title_zh,
            "clause": mutant.clause,
            "module": mutant.module,
            "outcome": self.outcome.value,
            "by": list(self.by),
            "why": self.why,
            "crashed": [list(one) for one in self.crashed],
        }


@dataclass(frozen=True, slots=True)
class Score:
    """All outcomes in the order of the declaration.

    planned: how many there would have been, of a run that was stopped; 0 if it was not.
    """

    kind: str
    judged: tuple[Judged, ...]
    planned: int = 0

    @property
    def is_complete(self) -> bool:
        """Whether nothing stopped the run."""
        return not self.planned

    def of(self, *outcomes: Outcome) -> list[Judged]:
        """Those with one of these outcomes."""
        return [one for one in self.judged if one.outcome in outcomes]

    @property
    def caught(self) -> int:
        """How many were caught, by a case or by the time limit."""
        return len(self.of(*CATCHES))

    @property
    def total(self) -> int:
        """How many were judged: an equivalent one counts, one left out does not."""
        return len(self.judged) - len(self.of(Outcome.LEFT_OUT))

    @property
    def percent(self) -> float:
        """Caught of all judged; 0 if none was."""
        return 100 * self.caught / self.total if self.total else 0.0

    def is_enough(self, least: float) -> bool:
        """Whether the suite is good enough, and every declaration right."""
        is_wrong = any(one.is_misdeclared or one.outcome is Outcome.BROKEN for one in self.judged)
        return self.percent >= least and not is_wrong

    def to_json(self) -> dict[str, Any]:
        """For programs and reports. The same run gives the same bytes."""
        return {
            "kind": self.kind,
            "caught": self.caught,
            "total": self.total,
            "percent": round(self.percent, 1),
            "complete": self.is_complete,
            "mutants": [one.to_json() for one in self.judged],
        }

    @property
    def words(self) -> tuple[str, str]:
        """The score as a sentence, in English and Chinese."""
        counted = f"{self.caught} of {self.total} broken {self.kind}s are caught"
        zh = {"card": "卡片", "gate": "闸机"}.get(self.kind, self.kind)
        counted_zh = f"有缺陷的{zh}：发现 {self.caught} / {self.total}，{self.percent:.1f} %。"
        if self.is_complete:
            return f"{counted}: {self.percent:.1f} %.", counted_zh
        stop = f"Incomplete, stopped at {len(self.judged)} of {self.planned}: "
        return (
            f"{stop}{counted}.",
            f"未完成，已判定 {len(self.judged)} / {self.planned}。{counted_zh}",
        )


_PARTS = (
    (Outcome.SURVIVED, "Survived: no case notices"),
    (Outcome.EQUIVALENT, "Survived, and declared as invisible"),
    (Outcome.TIMEOUT, "Caught by the time limit alone"),
    (Outcome.LEFT_OUT, "Left out: no case of the kind they need"),
    (Outcome.BROKEN, "Broken declarations"),
)


def lines(score: Score) -> Iterable[str]:
    """The score for people."""
    yield score.words[0]
    for outcome, title in _PARTS:
        found = score.of(outcome)
        if found:
            yield f"{title} ({len(found)}):"
            for one in found:
                yield from _shown(one)
    for one in score.judged:
        if one.is_misdeclared:
            yield f"{one.mutant.id} is declared invisible, but {one.by[0]} sees it: {one.why}"


def _shown(one: Judged) -> Iterable[str]:
    mutant = one.mutant
    why = f" - {one.why}" if one.why else ""
    yield f"  {mutant.id} [{mutant.clause}] {mutant.title}{why}"
    for number, error in one.crashed:
        yield f"    {number} broke down: {error}"

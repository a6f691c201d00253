"""One result of a benchmark against another: ratios, and how far chance explains them.

The interval is a bootstrap over the runs: both sides' runs are drawn again with replacement, and
the middle 95 % of the ratios of their medians are kept. With few runs it is wide, which is true.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from random import Random
from statistics import median

from bench.problem import Problem
from bench.throughput.document import Document
from bench.throughput.histogram import Measure

RESAMPLES = 2000
_LOW, _HIGH = 0.025, 0.975
_SAME_MACHINE = ("processor", "machine", "python", "processors")
_PERCENT = re.compile(r"(\d{1,6}(?:\.\d+)?)\s*%?")


@dataclass(frozen=True, slots=True)
class Change:
    """One measure in both documents.

    ratio:     after by before.   low, high: where it lies with 95 % confidence.
    slowdown:  the ratio, upside down where more is better: above 1 is worse.
    """

    name: str
    before: Measure
    after: Measure
    ratio: float
    low: float
    high: float

    @property
    def slowdown(self) -> float:
        """See above."""
        return self.ratio if self.after.better == "less" else 1 / self.ratio

    @property
    def is_certain(self) -> bool:
        """Whether no change at all lies outside the interval."""
        return not self.low <= 1 <= self.high or self.low == self.high != 1

    def is_past(self, bound: float) -> bool:
        """Whether it is worse by more than a bound, 1.1 for 10 %, and not by chance."""
        return self.slowdown > bound and self.is_certain


@dataclass(frozen=True, slots=True)
class Comparison:
    """All common measures. notes: what makes the comparison doubtful, one sentence each."""

    changes: tuple[Change, ...]
    notes: tuple[str, ...]

    def past(self, bound: float) -> list[Change]:
        """What got worse by more than the bound."""
        return [one for one in self.changes if one.is_past(bound)]


def parse_regression(text: str) -> float:
    """`10%` as the factor 1.1. Raises Problem."""
    found = _PERCENT.fullmatch(text.strip())
    if found is None:
        raise Problem(f"'{text}' is no percentage; expected such as 10%")
    return 1 + float(found[1]) / 100


def compare(before: Document, after: Document, seed: int = 1) -> Comparison:
    """Compare two documents of one kind. seed: of the bootstrap. Raises Problem."""
    if before.kind != after.kind:
        raise Problem(
            f"a result of bench {before.kind} cannot be compared with one of bench {after.kind};"
            " give two of one kind"
        )
    drawn = Random(seed)  # noqa: S311 - repeatable on purpose
    changes = tuple(
        _change(name, one, after.measures[name], drawn)
        for name, one in before.measures.items()
        if name in after.measures and _can_be_compared(one, after.measures[name])
    )
    if not changes:
        raise Problem(
            "the two results have no measure in common; measure both with the same options"
        )
    return Comparison(changes, tuple(_notes(before, after)))


def _can_be_compared(before: Measure, after: Measure) -> bool:
    return before.unit == after.unit and before.typical > 0 and after.typical > 0


def _change(name: str, before: Measure, after: Measure, drawn: Random) -> Change:
    ratio = after.typical / before.typical
    if len(before.runs) == len(after.runs) == 1:
        return Change(name, before, after, ratio, ratio, ratio)
    ratios = sorted(
        _drawn_median(after.runs, drawn) / _drawn_median(before.runs, drawn)
        for _ in range(RESAMPLES)
        if min(before.runs) > 0
    ) or [ratio]
    low, high = (ratios[int(share * (len(ratios) - 1))] for share in (_LOW, _HIGH))
    return Change(name, before, after, ratio, low, high)


def _drawn_median(runs: Sequence[float], drawn: Random) -> float:
    return median(drawn.choices(runs, k=len(runs)))


def _notes(before: Document, after: Document) -> Iterator[str]:
    for name in _SAME_MACHINE:
        was, is_now = before.machine.get(name), after.machine.get(name)
        if was != is_now:
            yield f"measured on different machines ({name}: {was}; {is_now})"
    if before.options != after.options:
        yield f"measured with different options ({before.options}; {after.options})"
    for document, which in ((before, "first"), (after, "second")):
        if document.incomplete:
            yield f"the {which} result is incomplete: {document.incomplete}"
    only = sorted(before.measures.keys() ^ after.measures.keys())
    if only:
        yield f"in one of the two alone: {', '.join(only)}"
    if any(len(one.runs) == 1 for one in before.measures.values()):
        yield "one run alone says nothing of noise; measure with --runs 5 or more"

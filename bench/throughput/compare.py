"""One result of a benchmark against another: ratios, and how far chance explains them.

Runs are the unit, not repetitions, and there are few. The ratio is the median of the ratios of
each run of one to each run of the other, and its interval is that of Hodges and Lehmann: from the
k-th least of those ratios to the k-th greatest, with k from the exact distribution of the rank sum.
That holds for runs of any distribution and for different numbers of them, and one odd run moves it
little. Four runs against four are the fewest that reach 95 %.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from itertools import product
from math import comb, sqrt
from statistics import NormalDist, median
from typing import Any

from bench.problem import Problem
from bench.throughput.document import Document
from bench.throughput.histogram import Measure
from bench.throughput.yardstick import YARDSTICK

CONFIDENCE = 0.95
_EXACT = 400
"""Pairs of runs up to which the distribution is counted out; a normal one is as good beyond."""

_LEAST = 1e-100
"""What is less is nothing, or less than nothing: no ratio can be told of it."""

_MOOD = 1.05
"""A machine that is slower, or faster, by less is in the same mood."""

_MACHINE = ("processor", "machine", "system", "python", "processors")
_VERSIONS = ("cryptography", "construct", "nfcpy", "pyscard", "simpy", "pyarrow", "ray")
_PERCENT = re.compile(r"([0-9]{1,6}(?:\.[0-9]+)?)\s*%?")


@dataclass(frozen=True, slots=True)
class Change:
    """One measure in both documents.

    ratio:       after by before.
    low, high:   where it lies.
    confidence:  how often such an interval is right, 0 .. 1: less than `CONFIDENCE` where there
                 are too few runs, 0 where each has one.
    """

    name: str
    before: Measure
    after: Measure
    ratio: float
    low: float
    high: float
    confidence: float

    @property
    def slowdown(self) -> float:
        """The ratio, upside down where more is better: above 1 is worse."""
        return self.ratio if self.after.better == "less" else 1 / self.ratio

    @property
    def is_certain(self) -> bool:
        """Whether no change at all lies outside the interval."""
        return not self.low <= 1 <= self.high

    def is_past(self, bound: float) -> bool:
        """Whether it is worse by more than a bound, 1.1 for 10 %, and not by chance."""
        return self.slowdown > bound and self.is_certain


@dataclass(frozen=True, slots=True)
class Comparison:
    """All common measures. notes: what makes the comparison doubtful, one sentence each."""

    changes: tuple[Change, ...]
    notes: tuple[str, ...]

    def past(self, bound: float) -> list[Change]:
        """What got worse by more than the bound, the machine itself left out."""
        return [one for one in self.changes if one.name != YARDSTICK and one.is_past(bound)]


def parse_regression(text: str) -> float:
    """`10%` as the factor 1.1. Raises Problem."""
    found = _PERCENT.fullmatch(text.strip())
    if found is None:
        raise Problem(f"'{text}' is no percentage; expected such as 10%")
    return 1 + float(found[1]) / 100


def compare(before: Document, after: Document) -> Comparison:
    """Compare two documents of one kind. Raises Problem."""
    if before.kind != after.kind:
        raise Problem(
            f"a result of bench {before.kind} cannot be compared with one of bench {after.kind};"
            " give two of one kind"
        )
    changes = tuple(
        _change(name, one, after.measures[name])
        for name, one in before.measures.items()
        if name in after.measures and not _hindrance(one, after.measures[name])
    )
    if not changes:
        raise Problem(
            "the two results have no measure in common; measure both with the same options"
        )
    notes = (*_doubts(before, after), *_notes_of_mood(changes), *_notes_of_runs(changes))
    return Comparison(changes, notes)


def _hindrance(before: Measure, after: Measure) -> str:
    """Why two measures have no ratio; empty if they have one."""
    if (before.unit, before.better) != (after.unit, after.better):
        return f"is in {before.unit}, and {after.unit} in the second"
    if min(*before.runs, *after.runs) < _LEAST:
        return f"was {before.typical:g} and is {after.typical:g}, which has no ratio"
    return ""


def _change(name: str, before: Measure, after: Measure) -> Change:
    ratios = sorted(b / a for a, b in product(before.runs, after.runs))
    outside, confidence = cut_off(len(before.runs), len(after.runs))
    low, high = ratios[outside], ratios[-1 - outside]
    return Change(name, before, after, median(ratios), low, high, confidence)


@lru_cache
def cut_off(first: int, second: int) -> tuple[int, float]:
    """How many ratios at each end are outside the interval, and how often it is right then.

    first, second: how many runs there are. As many as leave `CONFIDENCE`; none if none do.
    """
    if first * second > _EXACT:
        pairs = first * second
        deviation = sqrt(pairs * (first + second + 1) / 12)
        beyond = NormalDist().inv_cdf((1 + CONFIDENCE) / 2) * deviation
        return max(0, int(pairs / 2 - beyond)), CONFIDENCE
    ways, everything, below, outside = _ways(first, second), comb(first + second, first), 0, -1
    for count in ways:
        if 2 * (below + count) > (1 - CONFIDENCE) * everything:
            break
        below, outside = below + count, outside + 1
    outside = max(0, outside)
    return outside, 1 - 2 * sum(ways[: outside + 1]) / everything


def _ways(first: int, second: int) -> list[int]:
    """In how many orders of all runs so many pairs are turned round, by that number.

    The coefficients of Gauss's binomial: the product of (1 - q^(second + i)) / (1 - q^i).
    """
    ways = [1] + [0] * (first * second)
    for i in range(1, first + 1):
        for at in range(len(ways) - 1, second + i - 1, -1):
            ways[at] -= ways[at - second - i]
        for at in range(i, len(ways)):
            ways[at] += ways[at - i]
    return ways


def _doubts(before: Document, after: Document) -> Iterator[str]:
    """What else is different, one sentence each."""
    yield from _other_machine(before.machine, after.machine)
    if (before.options, before.seed) != (after.options, after.seed):
        yield f"measured with different options ({_asked(before)}; {_asked(after)})"
    for document, which in ((before, "first"), (after, "second")):
        if document.incomplete:
            yield f"the {which} result is incomplete: {document.incomplete}"
    only = sorted(before.measures.keys() ^ after.measures.keys())
    if only:
        yield f"in one of the two alone: {', '.join(only)}"
    for name, one in before.measures.items():
        why = _hindrance(one, after.measures[name]) if name in after.measures else ""
        if why:
            yield f"left out: {name} {why}"


def _other_machine(before: Mapping[str, Any], after: Mapping[str, Any]) -> Iterator[str]:
    for what, names in (
        ("on different machines", _MACHINE),
        ("with different versions", _VERSIONS),
    ):
        for name in names:
            was, is_now = _fact(before, name), _fact(after, name)
            if was != is_now:
                yield f"measured {what} ({name}: {was}; {is_now})"


def _fact(machine: Mapping[str, Any], name: str) -> object:
    """Which processor was the idlest does not make it another machine."""
    said = machine.get(name)
    return "pinned" if str(said).startswith("pinned to") else said


def _asked(document: Document) -> str:
    options = {**document.options, "seed": document.seed}
    return ", ".join(f"{name} {said}" for name, said in options.items() if said is not None)


def _notes_of_mood(changes: tuple[Change, ...]) -> Iterator[str]:
    for one in changes:
        if one.name == YARDSTICK and one.is_certain and not 1 / _MOOD < one.ratio < _MOOD:
            yield (
                f"the machine itself took {one.ratio:.2f} times as long in the second: times and"
                " rates follow it, trust ratios alone or measure both again in turn"
            )


def _notes_of_runs(changes: tuple[Change, ...]) -> Iterator[str]:
    """Where there are too few runs. What was simulated needs no more, and nobody knows here."""
    alone = [one.name for one in changes if one.confidence == 0]
    if alone:
        yield f"one run each, so chance is not told from change: {_some(alone)}"
    few = [one for one in changes if 0 < one.confidence < CONFIDENCE]
    if few:
        least = min(one.confidence for one in few)
        yield (
            f"too few runs for {CONFIDENCE:.0%}, the interval holds with {least:.0%} or more;"
            f" measure with --runs 5: {_some([one.name for one in few])}"
        )


_NAMED = 3


def _some(names: list[str]) -> str:
    more = f" and {len(names) - _NAMED} more" if len(names) > _NAMED else ""
    return ", ".join(names[:_NAMED]) + more

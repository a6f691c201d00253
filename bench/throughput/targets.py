"""The performance targets T1 to T16: each number once.

A target is measured by a function that is named and not imported: it gives one `Measure` for each
of the target's bounds, by the bound's name. To add a target, add it to `TARGETS` and write that
function; everything that knows targets reads this table.

    def measure(effort: Effort) -> Mapping[str, Measure]
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from importlib import import_module
from typing import Literal

from bench.throughput.histogram import Better, Measure

__all__ = ["TARGETS", "Bound", "Effort", "NotMeasured", "Result", "Target", "bound_of", "judge"]


@dataclass(frozen=True, slots=True)
class Effort:
    """How much a target's function may do. scale: 1 for the usual counts. runs: of each.

    where: directory whose disk is measured.
    """

    scale: float = 1.0
    runs: int = 5
    where: str = "."
    million: bool = False

    def count(self, usual: int) -> int:
        """Repetitions, where `usual` is what a whole measurement takes; ten at least."""
        return max(10, int(usual * self.scale))


class NotMeasured(Exception):
    """A bound, or a target, cannot be measured here: what is missing, in one sentence."""


@dataclass(frozen=True, slots=True)
class Bound:
    """One figure of a target.

    limit:   at most this, or at least, where more is better.
    stretch: the same, for the days when the limit is reached.
    """

    name: str
    limit: float
    unit: str
    better: Better = "less"
    stretch: float | None = None

    def is_met(self, value: float, limit: float | None = None) -> bool:
        """Whether a figure keeps to the limit, or to another one."""
        wanted = self.limit if limit is None else limit
        return value <= wanted if self.better == "less" else value >= wanted

    @property
    def words(self) -> str:
        """`<= 1.25 ratio`, with the stretch."""
        sign = "<=" if self.better == "less" else ">="
        stretch = "" if self.stretch is None else f", stretch {self.stretch:,g}"
        return f"{sign} {self.limit:,g} {self.unit}{stretch}"


@dataclass(frozen=True, slots=True)
class Target:
    """One line of the table.

    command: what measures it alone, as one types it.
    measure: "module:function", see the module's text. A module that is not there is not measured.
    """

    number: str
    text: str
    bounds: tuple[Bound, ...]
    command: str
    measure: str

    def function(self) -> Callable[[Effort], Mapping[str, Measure]]:
        """What measures it. Raises NotMeasured."""
        module, _, name = self.measure.partition(":")
        try:
            found = getattr(import_module(module), name, None)
        except ModuleNotFoundError as error:
            if error.name == module:
                raise NotMeasured(f"there is no {self.command} yet") from error
            raise NotMeasured(f"{error.name} is missing") from error
        if found is None:
            raise NotMeasured(f"{module} has no {name}")
        made: Callable[[Effort], Mapping[str, Measure]] = found
        return made


_RUNS = "bench.throughput.target_runs:"
_CARD = "tapbench bench card"
_TAP = "tapbench bench tap --via"
_RATIO: Literal["ratio"] = "ratio"

TARGETS: tuple[Target, ...] = (
    Target(
        "T1",
        "cryptograms of one purchase, card side, against the cached floor",
        (Bound("against the floor", 1.25, _RATIO),),
        _CARD,
        _RUNS + "cryptograms",
    ),
    Target(
        "T2",
        "typed command parse and reply build from the declarations, fixed records",
        (Bound("one command", 0.8, "us"), Bound("against struct by hand", 2.5, _RATIO)),
        _CARD,
        _RUNS + "codec",
    ),
    Target(
        "T3",
        "READ BINARY and GET BALANCE through the card, trace off",
        (
            Bound("READ BINARY", 1.5, "us"),
            Bound("GET BALANCE", 1.5, "us"),
            Bound("times as fast as vicc", 15, _RATIO, "more"),
        ),
        _CARD,
        _RUNS + "reads",
    ),
    Target(
        "T4",
        "INITIALIZE and DEBIT, card only",
        (Bound("one purchase", 20, "us", stretch=16),),
        _CARD,
        _RUNS + "purchase",
    ),
    Target(
        "T5",
        "tap of seven APDUs",
        (Bound("card only", 40, "us"), Bound("with reader cryptograms", 60, "us")),
        _CARD,
        _RUNS + "seven_apdus",
    ),
    Target(
        "T6",
        "whole entry tap in process, gate and PSAM included",
        (Bound("taps", 8_000, "1/s", "more", stretch=15_000),),
        f"{_TAP} inproc",
        _RUNS + "whole_tap",
    ),
    Target(
        "T7",
        "PC/SC road, pyscard, against an echo card on the same rig; tap of seven APDUs",
        (Bound("APDU against an echo card", 1.5, _RATIO), Bound("7-APDU tap", 0.7, "ms")),
        f"{_TAP} pcsc",
        _RUNS + "pcsc_road",
    ),
    Target(
        "T8",
        "UDP road against an echo responder behind the same nfcpy",
        (Bound("APDU against an echo responder", 1.45, _RATIO),),
        f"{_TAP} udp",
        _RUNS + "udp_road",
    ),
    Target(
        "T9",
        "virtual PN532, nfcpy's stock driver",
        (Bound("APDU", 400, "us"),),
        f"{_TAP} pn532",
        _RUNS + "pn532_road",
    ),
    Target(
        "T10",
        "durable store: a commit against a bare fsync of the same bytes",
        (Bound("commit", 1.5, _RATIO),),
        "tapbench bench store",
        _RUNS + "store",
    ),
    Target(
        "T11",
        "clearing, TAC check and all rules, one core, SQLite; memory",
        (
            Bound("records", 20_000, "1/s", "more"),
            Bound("memory at the end against the first quarter", 1.25, _RATIO),
        ),
        "tapbench bench clearing",
        _RUNS + "clearing",
    ),
    Target(
        "T12",
        "a city's day: real cryptograms, journals and clearing",
        (
            Bound("trips a second, per core", 3_000, "1/s", "more"),
            Bound("10 million trips, projected", 30, "min", stretch=15),
            Bound("speedup of two workers", 1.8, _RATIO, "more"),
            Bound("a card at rest", 200, "B"),
        ),
        "tapbench bench city",
        "bench.throughput.city_target:measure",
    ),
    Target(
        "T13",
        "a gate at 106 kbit/s: simulated time over processor time",
        (Bound("simulated over processor time", 250, _RATIO, "more"),),
        "tapbench bench gate",
        "bench.throughput.gate_target:measure",
    ),
    Target(
        "T14",
        "trace: decoding, and what recording adds to a tap in process",
        (
            Bound("SELECT with its FCI", 40, "us"),
            Bound("a fixed command", 4, "us"),
            Bound("tap recorded against not recorded", 1.15, _RATIO),
        ),
        f"{_TAP} inproc",
        _RUNS + "trace",
    ),
    Target(
        "T15",
        "cold start",
        (Bound("tapbench --help", 0.15, "s"), Bound("tapbench tap", 0.4, "s")),
        "tapbench bench targets --only T15",
        _RUNS + "cold_start",
    ),
    Target(
        "T16",
        "cost of a tap among many cards, and with full logs",
        (
            Bound("among 10,000 against 100 cards", 1.1, _RATIO),
            Bound("among 1,000,000 against 100 cards", 1.1, _RATIO),
            Bound("logs full against new", 1.1, _RATIO),
        ),
        f"{_CARD} --million",
        _RUNS + "growth",
    ),
)


def bound_of(number: str, name: str) -> Bound:
    """One bound of the table. Raises KeyError."""
    for target in TARGETS:
        for bound in target.bounds:
            if (target.number, bound.name) == (number, name):
                return bound
    raise KeyError(number, name)


Verdict = Literal["ok", "stretch", "missed", "not measured"]


@dataclass(frozen=True, slots=True)
class Result:
    """A bound and what was found. why: nothing was found."""

    target: Target
    bound: Bound
    measure: Measure | None
    why: str = ""

    @property
    def verdict(self) -> Verdict:
        """How it stands."""
        if self.measure is None:
            return "not measured"
        found = self.measure.typical
        if not self.bound.is_met(found):
            return "missed"
        stretch = self.bound.stretch
        return "stretch" if stretch is not None and self.bound.is_met(found, stretch) else "ok"


def judge(target: Target, effort: Effort) -> list[Result]:
    """Measure a target. A bound that cannot be measured here says why."""
    try:
        found = target.function()(effort)
    except NotMeasured as error:
        return [Result(target, bound, None, str(error)) for bound in target.bounds]
    return [
        Result(
            target,
            bound,
            replace(found[bound.name], better=bound.better) if bound.name in found else None,
            "" if bound.name in found else _missing(bound),
        )
        for bound in target.bounds
    ]


_HOW = {
    "times as fast as vicc": "module virtualsmartcard is not there",
    "among 1,000,000 against 100 cards": "give --million",
}


def _missing(bound: Bound) -> str:
    return _HOW.get(bound.name, "not measured here")

"""The few ratios that every change is checked with, quick and on a busy machine.

Each is something of ours against its floor in the same run and in turn. A ratio that is past the
bound is measured again before anybody is told: a machine that was busy once is no regression.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from bench.problem import Problem
from bench.rig.errors import RigError
from bench.throughput import card as alone
from bench.throughput.card import card_measures
from bench.throughput.codec import codec_measures
from bench.throughput.costs import FLOORED, road_cost
from bench.throughput.document import Document, read_document
from bench.throughput.histogram import Measure
from bench.throughput.tap import Plan
from emulator.frontends.errors import FrontendError
from reader.transport.base import ReaderFault

KIND = "ratios"
FACTOR = 2.0
"""How many times the baseline a ratio may be: wide, because machines differ."""

TRIES = 3
RUNS = 5


def _crypto() -> Measure:
    names = frozenset((alone.CARD_CRYPTO, alone.FLOOR))
    return card_measures(1000, RUNS, names=names)[alone.CRYPTO_RATIO]


def _purchase() -> Measure:
    names = frozenset((alone.PURCHASE, alone.FLOOR))
    made = card_measures(500, RUNS, names=names)
    pairs = zip(made[alone.PURCHASE].runs, made[alone.FLOOR].runs, strict=True)
    return Measure("ratio", tuple(ours / floor for ours, floor in pairs))


def _codec() -> Measure:
    return codec_measures(RUNS)["codec by the table / by hand"]


def _road(name: str) -> Callable[[], Measure]:
    return lambda: road_cost(name, Plan(200, RUNS)).ratio


RATIOS: Mapping[str, Callable[[], Measure]] = {
    "card's cryptograms / floor": _crypto,
    "card's purchase / floor of its cryptograms": _purchase,
    "codec / struct by hand": _codec,
    **{f"{road} APDU / {floor}": _road(road) for road, floor in FLOORED.items()},
}


@dataclass(frozen=True, slots=True)
class Checked:
    """A ratio, and what it was when the baseline was made. baseline: None if it had none."""

    name: str
    measure: Measure
    baseline: float | None

    @property
    def factor(self) -> float:
        """By how much it grew."""
        return 1.0 if self.baseline is None else self.measure.typical / self.baseline

    @property
    def is_past(self) -> bool:
        """Whether it grew past the bound."""
        return self.factor > FACTOR


@dataclass(frozen=True, slots=True)
class Check:
    """All ratios. left_out: what this machine cannot measure, with the reason."""

    ratios: tuple[Checked, ...]
    left_out: Mapping[str, str]

    @property
    def past(self) -> list[Checked]:
        """What grew past the bound."""
        return [one for one in self.ratios if one.is_past]


def read_baseline(path: str | Path) -> dict[str, float]:
    """The ratios of a document of this kind. Raises Problem."""
    document = read_document(path)
    if document.kind != KIND:
        raise Problem(f"{path} is of bench {document.kind}; give a result of bench {KIND}")
    known = {name: one.typical for name, one in document.measures.items()}
    for name, ratio in known.items():
        if ratio <= 0:
            raise Problem(f"{path} says {name} is {ratio:g}, expected above 0; measure it again")
    return known


def check(
    baseline: Mapping[str, float],
    ratios: Mapping[str, Callable[[], Measure]] = RATIOS,
    tick: Callable[[], None] = lambda: None,
) -> Check:
    """Measure every ratio, one that is past the bound up to `TRIES` times: the least counts."""
    made, left_out = [], {}
    for name, measure in ratios.items():
        try:
            made.append(_best(name, measure, baseline.get(name)))
        except (RigError, FrontendError, ReaderFault) as error:
            left_out[name] = str(error)
        tick()
    return Check(tuple(made), left_out)


def _best(name: str, measure: Callable[[], Measure], baseline: float | None) -> Checked:
    best = Checked(name, measure(), baseline)
    for _ in range(TRIES - 1):
        if not best.is_past:
            break
        again = Checked(name, measure(), baseline)
        best = min(best, again, key=lambda one: one.factor)
    return best


def document_of(found: Check, processor: int | None) -> Document:
    """What a check found, as `make bench` keeps it."""
    measures = {one.name: one.measure for one in found.ratios}
    return Document(KIND, {}, measures, {"left_out": dict(found.left_out)}, processor=processor)

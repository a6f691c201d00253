"""Times of many repetitions without keeping each: an HDR histogram, three digits exact.

Repeated runs are kept apart by their medians, so that noise can be told from change.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from statistics import median
from typing import Any, Literal

LONGEST_NS = 60_000_000_000
"""What lasts longer is counted as this long."""

PERCENTILES = {"p50": 50.0, "p90": 90.0, "p99": 99.0, "p99.9": 99.9}
_DIGITS = 3

_MOST = 1e100
"""No figure of anything is greater; NaN and infinity are no figures."""

Better = Literal["less", "more"]


@dataclass(frozen=True, slots=True)
class Measure:
    """One quantity, measured in several runs.

    unit:    "us", "ms", "1/s", "ratio" and the like.       better: which way is better.
    runs:    one figure of each run: the median where `spread` tells of single repetitions.
    spread:  min, p50, p90, p99, p99.9 and max of single repetitions, empty if there are none.
    count:   repetitions in all runs.
    """

    unit: str
    runs: tuple[float, ...]
    better: Better = "less"
    spread: Mapping[str, float] | None = None
    count: int = 0

    @property
    def typical(self) -> float:
        """The median of the runs."""
        return median(self.runs)

    @property
    def range(self) -> tuple[float, float]:
        """The least and the greatest run, to judge the noise."""
        return min(self.runs), max(self.runs)

    def as_json(self) -> dict[str, Any]:
        """See `from_json`."""
        return {
            "unit": self.unit,
            "better": self.better,
            "typical": self.typical,
            "runs": list(self.runs),
            "count": self.count,
            "spread": dict(self.spread or {}),
        }

    @classmethod
    def from_json(cls, said: Mapping[str, Any]) -> "Measure":
        """What `as_json` made. Raises KeyError, TypeError, ArithmeticError, ValueError."""
        better: Better = "more" if said["better"] == "more" else "less"
        if said["better"] not in ("less", "more"):
            raise ValueError("less is better, or more")
        runs = tuple(float(one) for one in said["runs"])
        spread = {str(name): float(value) for name, value in said.get("spread", {}).items()}
        if not runs or not all(abs(one) <= _MOST for one in (*runs, *spread.values())):
            raise ValueError("a measure has at least one run, and every figure is a number")
        return cls(str(said["unit"]), runs, better, spread or None, int(said.get("count", 0)))


class Spread:
    """Nanoseconds of single repetitions, run by run.

    >>> spread = Spread()
    >>> spread.add_run([1000, 2000, 3000])
    >>> spread.add_run([2000, 4000, 6000])
    >>> measure = spread.measure()
    >>> measure.unit, measure.runs, measure.typical, measure.count
    ('us', (2.0, 4.0), 3.0, 6)
    """

    def __init__(self) -> None:
        from hdrh.histogram import HdrHistogram  # of an extra; a `Measure` does without

        self._all = HdrHistogram(1, LONGEST_NS, _DIGITS)
        self._medians: list[float] = []

    def add_run(self, took_ns: Iterable[int]) -> None:
        """Count the repetitions of one run, of which there is at least one."""
        kept = list(took_ns)
        for one in kept:
            self._all.record_value(min(max(one, 1), LONGEST_NS))
        self._medians.append(median(kept))

    def measure(self, unit: Literal["us", "ms"] = "us") -> Measure:
        """What was counted. unit: of the figures."""
        scale = 1_000 if unit == "us" else 1_000_000
        seen: dict[str, float] = {"min": self._all.get_min_value() / scale}
        for name, percent in PERCENTILES.items():
            seen[name] = self._all.get_value_at_percentile(percent) / scale
        seen["max"] = self._all.get_max_value() / scale
        runs = tuple(one / scale for one in self._medians)
        return Measure(unit, runs, "less", seen, self._all.get_total_count())

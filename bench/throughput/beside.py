"""Something beside its floor, measured in turn: both, and the ratio run by run."""

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median

from bench.throughput.histogram import Measure, Spread


@dataclass(frozen=True, slots=True)
class Beside:
    """ratio: of the medians of each run; that of a quiet and of a noisy run is much the same."""

    ours: Measure
    floor: Measure
    ratio: Measure

    def measures(self, ours: str, floor: str) -> dict[str, Measure]:
        """All three, by the names of the first two."""
        return {ours: self.ours, floor: self.floor, f"{ours} / {floor}": self.ratio}


def beside(ours: Sequence[Sequence[int]], floor: Sequence[Sequence[int]]) -> Beside:
    """From nanoseconds of each repetition, run by run."""
    spreads = (Spread(), Spread())
    for spread, runs in zip(spreads, (ours, floor), strict=True):
        for run in runs:
            spread.add_run(run)
    ratios = tuple(median(a) / median(b) for a, b in zip(ours, floor, strict=True))
    ours_seen, floor_seen = (spread.measure() for spread in spreads)
    return Beside(ours_seen, floor_seen, Measure("ratio", ratios, count=ours_seen.count))

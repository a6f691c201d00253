"""A table of fares by distance, and the two tables of Beijing."""

from dataclasses import dataclass
from itertools import pairwise


@dataclass(frozen=True, slots=True)
class Tariff:
    """Full single fares by distance.

    steps:     pairs of a distance in metres, which belongs to its step, and a fare in fen; rising.
    further_m, further_fare: beyond the last step every `further_m` begun cost `further_fare` more;
               with 0 the last fare holds for any longer way, so a flat fare is one step.
    in_month:  whether rides count in the month's accumulation and have its discount.
    grade, source: how well the table is known, and from where.
    Raises ValueError if the steps do not rise, or a number is negative.

    >>> Tariff("flat", ((0, 2_500),)).fare(28_000)
    2500
    """

    name: str
    steps: tuple[tuple[int, int], ...]
    further_m: int = 0
    further_fare: int = 0
    in_month: bool = False
    grade: str = "D"
    source: str = ""

    def __post_init__(self) -> None:
        if not self.steps:
            raise ValueError(f"Tariff {self.name} has no step.")
        if min(self.steps[0] + (self.further_m, self.further_fare)) < 0:
            raise ValueError(f"Tariff {self.name} has a negative number.")
        for (near_m, low), (far_m, high) in pairwise(self.steps):
            if far_m <= near_m or high < low:
                raise ValueError(
                    f"Tariff {self.name}: {far_m} m for {high} fen"
                    f" does not follow {near_m} m for {low} fen."
                )

    def fare(self, distance_m: int) -> int:
        """Full fare for a distance in metres, fen. Raises ValueError if it is negative."""
        if distance_m < 0:
            raise ValueError(f"A distance is 0 m or more, not {distance_m} m.")
        for upper_m, fare in self.steps:
            if distance_m <= upper_m:
                return fare
        last_m, last_fare = self.steps[-1]
        if not self.further_m:
            return last_fare
        begun = -((last_m - distance_m) // self.further_m)
        return last_fare + self.further_fare * begun

    @property
    def lowest(self) -> int:
        """The cheapest ride, fen."""
        return self.steps[0][1]

    @property
    def is_flat(self) -> bool:
        """Whether distance does not matter."""
        return len(self.steps) == 1 and not self.further_m


RAIL = Tariff(
    "rail",
    ((6_000, 300), (12_000, 400), (22_000, 500), (32_000, 600)),
    further_m=20_000,
    further_fare=100,
    in_month=True,
    grade="V-B",
    source="domain facts 3.2",
)
"""The subway but for the airport lines: the same for every kind of card, students too (3.2)."""

BUS = Tariff(
    "bus",
    ((10_000, 200),),
    further_m=5_000,
    further_fare=100,
    grade="V-B",
    source="domain facts 3.1",
)
"""City buses by distance, before any concession."""


def share(fare: int, percent: int) -> int:
    """What is left to pay of a fare, fen.

    percent: to be paid, 0 to 100. Fares of Beijing are whole yuan, of which 80, 50 and 25 % are
    whole fen; of any other fare a broken fen is dropped, for the rider (D).
    Raises ValueError if the fare is negative or the percentage not 0 to 100.

    >>> share(500, 80), share(300, 50), share(300, 25), share(333, 50)
    (400, 150, 75, 166)
    """
    if fare < 0 or not 0 <= percent <= 100:
        raise ValueError(f"Expected a fare from 0 fen and 0 to 100 %, got {fare} and {percent}.")
    return fare * percent // 100

"""Who rides where and when on a city's day, by seed alone.

The day is cut into shards of so many trips. What happens in a shard follows from the plan and the
shard's number, so that it can be played anywhere, at any time, and twice with the same outcome. Its
size is the plan's and never depends on who plays it.
"""

from bisect import bisect
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date
from functools import cache
from itertools import accumulate
from random import Random

from apdu.value import value
from fixtures.network import load_network
from reader.fare import Network, Station
from reader.fares.tariff import RAIL

SHARD_TRIPS = 5000
"""Trips of a shard unless told otherwise: a few seconds of work. Opening a shard's gates and taking
their batches costs some tenth of a second, so smaller ones are slower."""

MOST_SHARDS = 10_000_000
"""A lane's terminal number has seven digits for its shard."""

FIRST_DAY, LAST_DAY = date(2000, 1, 1), date(2099, 12, 31)
"""Days that a card's dates can surround."""

_NETWORK = "beijing-sample"
_MADE_UP_LINE = 0xF0
"""Its stations lie at the edges of fares, and nobody commutes there."""

_HOUR = 3600
_OPENS, _LAST_ENTRY, _LAST_EXIT = int(5.2 * _HOUR), int(22.6 * _HOUR), int(23.6 * _HOUR)
_METRES_A_S = 9.5
_WAITS = (240, 720)
_STAYS = 600
_COMMUTERS, _VISITORS = 0.72, 0.9
_EVENING_OUT = 0.15
_OPENING = (4_000, 20_000)
"""Fen on a card in the morning: enough for any day."""


@dataclass(frozen=True, slots=True)
class CityPlan:
    """A day. trips: in all. shard_trips: of each shard but the last."""

    trips: int
    day: date
    seed: int
    shard_trips: int = SHARD_TRIPS

    @property
    def shards(self) -> int:
        """How many shards there are."""
        return -(-self.trips // self.shard_trips)

    def trips_of(self, shard: int) -> int:
        """Trips of a shard."""
        return min(self.shard_trips, self.trips - shard * self.shard_trips)

    def chance(self, shard: int) -> Random:
        """A shard's own source of chance."""
        return Random(f"city {self.seed} {shard}")  # noqa: S311 - repeatable on purpose


@value
class Trip:
    """One trip. card: its number in the shard. origin, target: numbers in `stations`.

    entered, left: seconds of the day.
    """

    card: int
    origin: int
    target: int
    entered: int
    left: int


@value
class ShardPlan:
    """What happens in a shard. opening: fen on each of its cards in the morning."""

    trips: list[Trip]
    opening: list[int]


def network() -> Network:
    """The network that is ridden on."""
    return load_network(_NETWORK)


@cache
def stations() -> tuple[Station, ...]:
    """The stations ridden between: all of the distance fare that exist."""
    rails = network()
    return tuple(
        one for one in rails.stations if rails.tariff_at(one) == RAIL and one.line != _MADE_UP_LINE
    )


def plan_shard(plan: CityPlan, shard: int) -> ShardPlan:
    """All trips of a shard: each card's in the order of the day, one card after the other."""
    chance, wanted = plan.chance(shard), plan.trips_of(shard)
    homes, works = _crowds(plan.seed)
    trips: list[Trip] = []
    opening: list[int] = []
    while len(trips) < wanted:
        made = list(_ridden(len(opening), chance, homes, works))
        if made:
            opening.append(chance.randrange(*_OPENING, 10))
            trips += made[: wanted - len(trips)]
    return ShardPlan(trips, opening)


class _Crowd:
    """Stations, some more popular than others."""

    def __init__(self, source: Random) -> None:
        self._ends = list(accumulate(source.lognormvariate(0, 0.9) for _ in stations()))

    def draw(self, chance: Random) -> int:
        return bisect(self._ends, chance.random() * self._ends[-1], hi=len(self._ends) - 1)


@cache
def _crowds(seed: int) -> tuple[_Crowd, _Crowd]:
    """Where people live and where they work, the same for all shards of a seed."""
    source = Random(f"city {seed} stations")  # noqa: S311 - repeatable on purpose
    return _Crowd(source), _Crowd(source)


def _ridden(card: int, chance: Random, homes: _Crowd, works: _Crowd) -> Iterator[Trip]:
    """A card's trips of the day."""
    is_free = 0
    for start, origin, target in _wishes(chance, homes, works):
        entered = max(start, is_free)
        left = entered + _ride_s(origin, target) + chance.randint(*_WAITS)
        if origin == target or entered > _LAST_ENTRY or left > _LAST_EXIT:
            return
        yield Trip(card, origin, target, entered, left)
        is_free = left + _STAYS


def _wishes(chance: Random, homes: _Crowd, works: _Crowd) -> Iterator[tuple[int, int, int]]:
    """When one would like to ride from where to where."""
    kind, home = chance.random(), homes.draw(chance)
    if kind < _COMMUTERS:
        work = works.draw(chance)
        yield _around(chance, 7.9, 0.7, 11), home, work
        evening, here = _around(chance, 18.1, 1.0, 22), work
        if chance.random() < _EVENING_OUT:
            there = works.draw(chance)
            yield evening, here, there
            evening, here = evening + chance.randint(_HOUR, 3 * _HOUR), there
        yield evening, here, home
        return
    start, here = _around(chance, 12.5, 2.8, 21), home
    for _ in range(chance.randint(2, 4) if kind < _VISITORS else 1):
        there = works.draw(chance)
        yield start, here, there
        start, here = start + chance.randint(_HOUR, 4 * _HOUR), there


def _around(chance: Random, hour: float, spread: float, latest: float) -> int:
    """A second of the day around an hour, not before the first train."""
    at = int(chance.gauss(hour, spread) * _HOUR)
    return min(max(at, _OPENS + at % 900), int(latest * _HOUR))


@cache
def _ride_s(origin: int, target: int) -> int:
    """Seconds on the train and between trains."""
    places = stations()
    return int(network().distance_m(places[origin], places[target]) / _METRES_A_S)

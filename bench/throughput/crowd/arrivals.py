"""When people come: all at once, at a rate, or as a file says."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from math import isfinite
from pathlib import Path
from random import Random

from bench.problem import Problem
from bench.throughput.crowd.numbers import SECOND_NS, in_range
from bench.throughput.crowd.people import Habits, Said, check_carrier, read_card
from emulator.card.profile import ProfileError
from emulator.phone import PhoneError

MOST_RATE = 1000.0
"""Persons a minute that may come to one place; more walk through no door."""

MOST_SECONDS = 86_400.0
MOST_PERSONS = 1_000_000
MOST_WAITING = 100_000
"""Persons who may all wait from the beginning."""

Arrival = tuple[int, Said | None]
"""When, ns, and what is known of who comes."""


@dataclass(frozen=True, slots=True)
class Saturated:
    """Everybody is there from the beginning: what a gate passes when somebody always waits."""

    persons: int

    def __post_init__(self) -> None:
        in_range("the number of persons", self.persons, 1, MOST_WAITING)

    def __iter__(self) -> Iterator[Arrival]:
        return iter([(0, None)] * self.persons)


@dataclass(frozen=True, slots=True)
class Poisson:
    """Independent arrivals: `rate` persons a minute, for `minutes`, from a seed."""

    rate: float
    minutes: float
    seed: int | str

    def __post_init__(self) -> None:
        in_range("the rate of arrivals, persons a minute,", self.rate, 0.01, MOST_RATE)
        in_range("the number of minutes", self.minutes, 0.1, MOST_SECONDS / 60)

    def __iter__(self) -> Iterator[Arrival]:
        chance = Random(f"arrivals {self.seed}")  # noqa: S311 - repeatable on purpose
        at_s = chance.expovariate(self.rate / 60)
        while at_s < self.minutes * 60:
            yield round(at_s * SECOND_NS), None
            at_s += chance.expovariate(self.rate / 60)


@dataclass(frozen=True, slots=True)
class Traced:
    """Arrivals of a file, in order."""

    arrivals: tuple[Arrival, ...]

    def __iter__(self) -> Iterator[Arrival]:
        return iter(self.arrivals)

    def habits(self, habits: Habits) -> Habits:
        """The same habits, with every card and carrier that the file names."""
        said = [one for _, one in self.arrivals if one is not None]
        cards = {one.card: 1.0 for one in said if one.card is not None}
        carriers = {one.carrier: 1.0 for one in said if one.carrier is not None}
        return replace(habits, cards=habits.cards | cards, carriers=habits.carriers | carriers)


def read_trace(path: Path) -> Traced:
    """Arrivals from a CSV file: seconds from the beginning, then a card and a carrier if wanted.

    Lines that begin with # and empty ones do not matter. Raises Problem.
    """
    try:
        text = path.read_text("utf-8-sig")  # spreadsheets begin a file with a mark
    except OSError as error:
        raise Problem(f"{path} cannot be read: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise Problem(f"{path} is no trace of arrivals: it is not UTF-8 text") from error
    found: list[Arrival] = []
    for number, line in enumerate(text.splitlines(), 1):
        if line.strip() and not line.startswith("#"):
            found.append(_arrival(line, f"{path}, line {number}"))
            if len(found) > 1 and found[-1][0] < found[-2][0]:
                raise Problem(f"{path}, line {number}: it is before the line above; sort the file")
    if not found:
        raise Problem(f"{path} has no arrivals; expected lines of SECONDS[,CARD[,CARRIER]]")
    if len(found) > MOST_PERSONS:
        raise Problem(f"{path} has {len(found)} arrivals; expected {MOST_PERSONS} at most")
    return Traced(tuple(found))


def _arrival(line: str, where: str) -> Arrival:
    cells = [cell.strip() for cell in line.split(",")]
    try:
        at_s = float(cells[0])
    except ValueError:
        at_s = -1.0
    if not isfinite(at_s) or not 0 <= at_s <= MOST_SECONDS or len(cells) > 3:
        raise Problem(
            f"{where}: '{line[:60]}' is no arrival; expected SECONDS[,CARD[,CARRIER]] with seconds"
            f" from 0 to {MOST_SECONDS:g}"
        )
    card, carrier = [*cells, "", ""][1:3]
    try:
        said = Said(read_card(card) if card else None, check_carrier(carrier) if carrier else None)
    except (Problem, ProfileError, PhoneError) as error:
        raise Problem(f"{where}: {error}") from None
    return round(at_s * SECOND_NS), said

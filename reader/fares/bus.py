"""Bus lines and what a ride on one costs (domain facts 3.1 and 3.3).

On a line by distance one taps on boarding, which marks the most the ride can cost, and again on
alighting, which charges; on a flat line once.
"""

from dataclasses import dataclass
from enum import Enum
from itertools import pairwise

from reader.fares.tariff import BUS, Tariff, share
from reader.policy import Policy

NORMAL = 0x01
"""EF17[10] of a card without any concession but the common one."""


class LineKind(Enum):
    """What sort of service a line is; which have concessions is policy (3.1)."""

    CITY = "city"
    SUBURBAN = "suburban"  # beyond the administrative area, where local rules continue
    SIGHTSEEING = "sightseeing"
    EXPRESS = "express"  # express direct
    CUSTOMISED = "customised"


class Heading(Enum):
    """Which way a bus goes along its list of stops."""

    UP = "up"  # towards the last stop
    DOWN = "down"  # towards the first


class UnknownStop(ValueError):
    """The line has no such stop. The message is one sentence."""


@dataclass(frozen=True, slots=True)
class Stop:
    """A stop of one line. index: 2 bytes in EF1E. at_m: metres from the line's first stop."""

    index: int
    name_zh: str
    name_en: str
    at_m: int


@dataclass(frozen=True, slots=True)
class BusLine:
    """A line and its stops, in order.

    number: 2 bytes in EF1E, a plain number (protocol reference 3.6).
    Raises ValueError if a number does not fit, or the stops are not two or more, ever further on.
    """

    number: int
    name_zh: str
    name_en: str
    kind: LineKind
    stops: tuple[Stop, ...]
    tariff: Tariff = BUS

    def __post_init__(self) -> None:
        for what, found in (("line", self.number), *(("stop", stop.index) for stop in self.stops)):
            if not 0 <= found <= 0xFFFF:
                raise ValueError(f"The number of a {what} is two bytes, not {found}.")
        if len(self.stops) < 2:
            raise ValueError(f"Line {self.name_en} has fewer than two stops.")
        if self.stops[0].at_m != 0:
            raise ValueError(f"The first stop of line {self.name_en} is not at 0 m.")
        for here, there in pairwise(self.stops):
            if there.at_m <= here.at_m:
                raise ValueError(f"{there.name_en} is not further on than {here.name_en}.")
        if len({stop.index for stop in self.stops}) < len(self.stops):
            raise ValueError(f"Two stops of line {self.name_en} have one number.")

    @property
    def is_flat(self) -> bool:
        """Whether one tap pays the ride."""
        return self.tariff.is_flat

    def stop(self, index: int) -> Stop:
        """The stop of this number. Raises UnknownStop."""
        for stop in self.stops:
            if stop.index == index:
                return stop
        known = f"{self.stops[0].index} to {self.stops[-1].index}"
        raise UnknownStop(f"Line {self.name_en} has no stop {index}; it has {known}.")


class UnknownLine(ValueError):
    """There is no such line. The message is one sentence."""


@dataclass(frozen=True, slots=True)
class BusNetwork:
    """One operator's lines. city, operator: 2 bytes, institution: 8 bytes, as in EF1A 2702 (3.9).

    Raises ValueError if two lines have one number.
    """

    name: str
    city: bytes
    institution: bytes
    operator: bytes
    lines: tuple[BusLine, ...]

    def __post_init__(self) -> None:
        numbers = [line.number for line in self.lines]
        if len(set(numbers)) < len(numbers):
            twice = next(n for n in numbers if numbers.count(n) > 1)
            raise ValueError(f"Two lines have the number {twice:04X}.")

    def line(self, number: int) -> BusLine:
        """The line of this number, as a trip record has it. Raises UnknownLine."""
        for line in self.lines:
            if line.number == number:
                return line
        known = ", ".join(f"0x{line.number:04X} {line.name_en}" for line in self.lines)
        raise UnknownLine(f"{self.name} has no line 0x{number:04X}; there is {known}.")


def stops_at(*metres: int) -> tuple[Stop, ...]:
    """Stops without names at these distances, numbered from 1."""
    return tuple(Stop(n, f"{at_m} m", f"{at_m} m", at_m) for n, at_m in enumerate(metres, 1))


def bus_fare(line: BusLine, boarded: Stop, alighted: Stop) -> int:
    """Full fare between two stops, fen: up to 10 km 200, then 100 for every 5 km begun.

    Source: domain facts 3.1, V-B. The two stops in either order; the same stop is the lowest fare.

    >>> far = BusLine(9, "", "Nine", LineKind.CITY, stops_at(0, 10_000, 20_001))
    >>> bus_fare(far, far.stops[0], far.stops[1]), bus_fare(far, far.stops[2], far.stops[0])
    (200, 500)
    """
    return line.tariff.fare(abs(alighted.at_m - boarded.at_m))


def bus_percent(line: BusLine, card_kind: int, is_local: bool, policy: Policy) -> int:
    """How much of the full fare a card pays on a line, per cent.

    card_kind: EF17[10]. is_local: whether the card is of the line's city; elsewhere a validator
    takes every kind for normal (protocol reference 3.4). An unknown kind has no concession (D).
    Source: domain facts 3.1, V-B for normal and student.

    >>> city, tour = (
    ...     BusLine(9, "", "Nine", kind, stops_at(0, 900))
    ...     for kind in (LineKind.CITY, LineKind.SIGHTSEEING)
    ... )
    >>> bus_percent(city, 0x02, True, Policy()), bus_percent(city, 0x02, False, Policy())
    (25, 50)
    >>> bus_percent(tour, 0x02, True, Policy())
    100
    """
    if line.kind.value not in policy.bus_lines_with_concessions:
        return 100
    if not is_local and policy.foreign_card_kind == "normal":
        card_kind = NORMAL
    return policy.bus_percent(card_kind)


@dataclass(frozen=True, slots=True)
class Rider:
    """Whose card it is, to a bus. card_kind: EF17[10]. is_local: of the line's own city."""

    card_kind: int
    is_local: bool = True


def bus_charge(line: BusLine, boarded: Stop, alighted: Stop, rider: Rider, policy: Policy) -> int:
    """What a ride costs with both taps, fen; on a flat line the stops do not matter.

    Source: domain facts 3.1, V-B.

    >>> line = BusLine(9, "", "Nine", LineKind.CITY, stops_at(0, 10_001))
    >>> bus_charge(line, *line.stops, Rider(0x02), Policy())
    75
    """
    percent = bus_percent(line, rider.card_kind, rider.is_local, policy)
    return share(bus_fare(line, boarded, alighted), percent)


def missed_charge(line: BusLine, boarded: Stop) -> int:
    """What is due for a ride that was never tapped off, fen; the next tap collects it.

    The full fare from the stop of boarding to the farther end of the line, without concession.
    On a flat line nothing can be missed: 0. Source: domain facts 3.1, V-A.

    >>> line = BusLine(9, "", "Nine", LineKind.CITY, stops_at(0, 30_000, 40_000))
    >>> missed_charge(line, line.stops[1])
    600
    """
    if line.is_flat:
        return 0
    return max(bus_fare(line, boarded, end) for end in (line.stops[0], line.stops[-1]))


def boarding_balance(
    line: BusLine, boarded: Stop, heading: Heading, rider: Rider, policy: Policy
) -> int:
    """What a card must hold to board, fen.

    The rider's own fare to the farthest stop still ahead: a card of the national scheme cannot be
    overdrawn (domain facts 3.3, V-B). With `overdraft` or `min_entry_bus` set otherwise, the
    rider's lowest fare on the line will do. At its last stop a bus has nothing ahead but that fare.

    >>> line = BusLine(9, "", "Nine", LineKind.CITY, stops_at(0, 30_000, 40_000))
    >>> boarding_balance(line, line.stops[0], Heading.UP, Rider(0x02), Policy())
    200
    """
    percent = bus_percent(line, rider.card_kind, rider.is_local, policy)
    if policy.overdraft == "bus" or policy.min_entry_bus == "lowest":
        return share(line.tariff.lowest, percent)
    end = line.stops[-1] if heading is Heading.UP else line.stops[0]
    return share(bus_fare(line, boarded, end), percent)


def marked_amount(line: BusLine, boarded: Stop) -> int:
    """The most a ride from here can cost, fen: what boarding marks in EF1A 2702.

    It is what a missed tap collects, or a flat line's fare. Source: domain facts 3.1, and D.

    >>> line = BusLine(9, "", "Nine", LineKind.CITY, stops_at(0, 30_000, 40_000))
    >>> marked_amount(line, line.stops[0])
    800
    """
    return missed_charge(line, boarded) or line.tariff.lowest

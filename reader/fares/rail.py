"""What a rail ride is charged: full fare, month's discount, and a stay that was too long.

There is no card kind here: rail has no concession for students or anybody (domain facts 3.2, V-B).
"""

from dataclasses import dataclass
from datetime import datetime

from reader.fares.month import MonthTotal, fare_month, month_percent, paid_in, with_ride
from reader.fares.tariff import RAIL, Tariff, share
from reader.policy import Policy


def rail_fare(distance_m: int) -> int:
    """Single fare for a distance.

    distance_m: metres, 0 or more; the upper bound of every step belongs to the step.
    Returns fen: 300 to 6 km, 400 to 12, 500 to 22, 600 to 32, then 100 for every 20 km begun.
    Raises ValueError if the distance is negative.
    Source: domain facts 3.2, V-B.

    >>> rail_fare(6_000), rail_fare(6_001), rail_fare(52_000), rail_fare(52_001)
    (300, 400, 700, 800)
    """
    return RAIL.fare(distance_m)


def entry_balance(tariff: Tariff, policy: Policy) -> int:
    """What a card must hold to enter a line, fen: the cheapest single fare.

    Source: domain facts 3.2 and 3.3, V-C; that a dearer line asks for its own cheapest fare is ours
    (D). A card of the national scheme cannot be overdrawn at the exit.

    >>> entry_balance(RAIL, Policy()), entry_balance(Tariff("flat", ((0, 2_500),)), Policy())
    (300, 2500)
    """
    return max(policy.min_entry_rail, tariff.lowest)


@dataclass(frozen=True, slots=True)
class Ride:
    """A ride at its exit gate. Times are local, both with a zone or both without.

    distance_m: metres. is_same_station: in and out at one station, of whatever line.
    """

    tariff: Tariff
    distance_m: int
    is_same_station: bool
    entered_at: datetime
    exited_at: datetime


@dataclass(frozen=True, slots=True)
class RailCharge:
    """What a ride costs and why. Amounts are fen.

    full: before the discount. percent: of it to be paid. fare: after the discount.
    overtime: charged on top. month: the card's total after the ride.
    refundable: what staff may give back at once, of a ride in and out at one station.
    """

    full: int
    percent: int
    fare: int
    overtime: int
    month: MonthTotal
    refundable: int

    @property
    def amount(self) -> int:
        """What is taken off the card, fen."""
        return self.fare + self.overtime


def stay_s(entered_at: datetime, exited_at: datetime) -> int:
    """How long a ride lasted, in whole seconds; 0 if the exit gate's clock is behind.

    >>> stay_s(datetime(2025, 9, 30, 23, 50), datetime(2025, 10, 1, 0, 20))
    1800
    >>> stay_s(datetime(2025, 9, 30, 12, 0), datetime(2025, 9, 30, 11, 59))
    0
    """
    stayed = exited_at - entered_at
    return max(0, stayed.days * 86_400 + stayed.seconds)


def overtime_charge(entered_at: datetime, exited_at: datetime, policy: Policy) -> int:
    """What a stay beyond the limit costs on top of the fare, fen.

    At the limit itself, 4 hours to the second, nothing is due. It is charged once, however long the
    stay, in full, and by default does not count in the month's total (D).
    Source: domain facts 3.2, V-B.

    >>> noon = datetime(2025, 9, 8, 12)
    >>> overtime_charge(noon, noon.replace(hour=16), Policy())
    0
    >>> overtime_charge(noon, noon.replace(hour=16, second=1), Policy())
    300
    """
    is_over = stay_s(entered_at, exited_at) > policy.overtime_after_s
    return policy.overtime_fare if is_over else 0


def staff_refund(ride: Ride, fare: int, policy: Policy) -> int:
    """What staff may give back of a fare paid in and out at one station, fen.

    Within `same_station_within_s`, that second included. 0 for any other ride, and where the policy
    knows no refund. The month's total keeps what was paid (D). Source: domain facts 3.2, V-B.

    >>> noon = datetime(2025, 9, 8, 12)
    >>> back = Ride(RAIL, 0, True, noon, noon.replace(minute=10))
    >>> staff_refund(back, 300, Policy()), staff_refund(back, 300, Policy(same_station="charge"))
    (300, 0)
    """
    is_refunded = policy.same_station == "refund" and _is_turned_back(ride, policy)
    return fare if is_refunded else 0


def _is_turned_back(ride: Ride, policy: Policy) -> bool:
    stayed = stay_s(ride.entered_at, ride.exited_at)
    return ride.is_same_station and stayed <= policy.same_station_within_s


def rail_charge(ride: Ride, total: MonthTotal, policy: Policy) -> RailCharge:
    """Everything a rail ride costs, and the month's total after it.

    total: the card's, before the ride. It has no effect on a tariff outside the accumulation, as of
    the airport lines, nor such a ride on it. A discount that the ride itself earns holds from the
    next one. Source: domain facts 3.2, V-B; same station 9.

    >>> noon = datetime(2025, 9, 8, 12)
    >>> ride = Ride(RAIL, 20_000, False, noon, noon.replace(minute=40))
    >>> charge = rail_charge(ride, MonthTotal(202509, 10_000), Policy())
    >>> charge.full, charge.percent, charge.amount, charge.month
    (500, 80, 400, MonthTotal(month=202509, paid=10400))
    """
    is_free = policy.same_station == "free" and _is_turned_back(ride, policy)
    full = 0 if is_free else ride.tariff.fare(ride.distance_m)
    overtime = overtime_charge(ride.entered_at, ride.exited_at, policy)
    if not ride.tariff.in_month:
        return RailCharge(full, 100, full, overtime, total, staff_refund(ride, full, policy))
    month = fare_month(ride.exited_at, policy)
    percent = month_percent(paid_in(total, month), policy)
    fare = share(full, percent)
    counted = fare + (overtime if policy.overtime_in_month else 0)
    after = with_ride(total, month, counted)
    return RailCharge(full, percent, fare, overtime, after, staff_refund(ride, fare, policy))

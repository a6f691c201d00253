"""The calendar month's accumulation on rail (domain facts 3.2, grade V-B).

What one card has paid since the month began decides what its next ride costs. Where the total is
kept is not known (protocol reference Q11): it is a value here, handed in and handed back, so that
gate or back office can hold it. A new card starts at nothing (3.2, ASSUMED).
"""

from dataclasses import dataclass
from datetime import datetime, timedelta

from reader.policy import Policy


@dataclass(frozen=True, slots=True)
class MonthTotal:
    """What a card has paid for rides that count. month: YYYYMM, 0 before the first. paid: fen."""

    month: int = 0
    paid: int = 0


def fare_month(exited_at: datetime, policy: Policy) -> int:
    """The month a ride belongs to, YYYYMM.

    exited_at: local time. By `accumulate_at` that of the exit, or of the operating day, which
    begins at `operating_day_begins_min`: a ride before that belongs to the day before.
    Source: domain facts 3.2 and 9; the hour of the cut is ours (D).

    >>> fare_month(datetime(2025, 10, 1, 0, 20), Policy())
    202510
    >>> fare_month(datetime(2025, 10, 1, 0, 20), Policy(accumulate_at="operating_day"))
    202509
    """
    if policy.accumulate_at == "operating_day":
        exited_at -= timedelta(minutes=policy.operating_day_begins_min)
    return exited_at.year * 100 + exited_at.month


def paid_in(total: MonthTotal, month: int) -> int:
    """What counts for a ride in a month, fen: nothing if the total is of another month.

    >>> paid_in(MonthTotal(202509, 15_200), 202509), paid_in(MonthTotal(202509, 15_200), 202510)
    (15200, 0)
    """
    return total.paid if total.month == month else 0


def month_percent(paid: int, policy: Policy) -> int:
    """How much of the next ride's fare is to be paid, per cent.

    paid: fen, in this month before the ride. A step begins when its amount is reached, and holds
    from the next ride (domain facts 3.2, V-B; an older wording is "the part above 100").

    >>> [month_percent(paid, Policy()) for paid in (9_999, 10_000, 15_000, 40_000)]
    [100, 80, 50, 100]
    """
    percent = 100
    for reached, then in policy.month_steps:
        if paid >= reached:
            percent = then
    return percent


def with_ride(total: MonthTotal, month: int, paid: int) -> MonthTotal:
    """The total after a ride of this month.

    A later month clears the total first. A ride of an earlier month, from a clock that runs behind
    or a record that comes late, leaves it alone: that month is cleared already (D).

    >>> with_ride(MonthTotal(202509, 40_200), 202510, 500)
    MonthTotal(month=202510, paid=500)
    >>> with_ride(MonthTotal(202510, 500), 202509, 250)
    MonthTotal(month=202510, paid=500)
    """
    if month < total.month:
        return total
    return MonthTotal(month, paid_in(total, month) + paid)

"""Time of the office: moments come with their zone, and rows keep local seconds.

Rows count seconds since 1970 of local time, as if there were no zones, as clearing's do.
"""

from collections.abc import Callable
from datetime import date, datetime, timedelta, timezone

SHANGHAI = timezone(timedelta(hours=8), "CST")
"""Asia/Shanghai, which has had no daylight saving since 1991."""

Now = Callable[[], datetime]
"""Where the time comes from: always aware."""

_START = datetime(1970, 1, 1, tzinfo=SHANGHAI)


def seconds_of(at: datetime) -> int:
    """Local seconds since 1970 of an aware moment. Raises ValueError if it has no zone.

    >>> seconds_of(datetime(1970, 1, 1, 8, 0, 1, tzinfo=SHANGHAI))
    28801
    """
    if at.tzinfo is None:
        raise ValueError("expected a time with its zone, such as 2026-09-30T23:59:50+08:00")
    return (at - _START) // timedelta(seconds=1)


def moment_of(seconds: int) -> datetime:
    """The moment of a row's seconds."""
    return _START + timedelta(seconds=seconds)


def day_of(at: datetime) -> date:
    """The day in Shanghai, whatever zone the moment is told in."""
    return moment_of(seconds_of(at)).date()

"""Local time of the gates: Asia/Shanghai, which has had no daylight saving since 1991."""

from datetime import datetime, timedelta, timezone

SHANGHAI = timezone(timedelta(hours=8), "CST")


def now() -> datetime:
    """The wall clock in Asia/Shanghai."""
    return datetime.now(SHANGHAI)

"""Files that stamp everything with the wall clock, against recordings that count from their start.

A stamp within a year of 1970 is no wall clock: that is how a recording without one is written.
"""

from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from typing import Final

from apdu.event import Trace
from bench.clock import SHANGHAI
from bench.trace_formats.format import TraceError

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND: Final = timedelta(microseconds=1)
_KNOWN_NS: Final = range(365 * 86400 * 10**9, 250_000_000_000 * 10**9)


def begin_ns(trace: Trace) -> int:
    """Nanoseconds from 1970 to t_ns 0 of a recording; 0 if nobody knows. Raises TraceError."""
    if trace.started is None:
        return 0
    if trace.started.tzinfo is None:
        raise TraceError("the time it started has no zone")
    return (trace.started - _EPOCH) // _MICROSECOND * 1000


def rebased(stamps_ns: Iterable[int]) -> tuple[datetime | None, int]:
    """Where a recording begins: its wall clock if known, and what to take off each stamp.

    It begins with the earliest stamp, to the microsecond, which is as fine as a clock time is.
    """
    first_ns = min(stamps_ns, default=0)
    base_ns = first_ns - first_ns % 1000
    if base_ns in _KNOWN_NS:
        return (_EPOCH + base_ns // 1000 * _MICROSECOND).astimezone(SHANGHAI), base_ns
    return None, 0 if 0 <= first_ns < _KNOWN_NS.start else base_ns

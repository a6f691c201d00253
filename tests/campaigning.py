"""Campaigns walk the same code thousands of times: it is measured where the other tests walk it.

Being measured more than doubles a campaign's time on Python 3.11.
"""

import sys
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def unmeasured() -> Iterator[None]:
    """Stop measuring coverage for a while, if anybody measures."""
    coverage = sys.modules.get("coverage")
    measuring = coverage and coverage.Coverage.current()
    if measuring is None:
        yield
        return
    measuring.stop()
    try:
        yield
    finally:
        measuring.start()

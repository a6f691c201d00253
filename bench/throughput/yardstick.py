"""How fast the machine itself is, beside what is measured: a piece of work that is nobody's.

A machine's speed changes from one minute to the next, and all runs of one result share its mood.
Two results whose yardsticks differ tell of the machine, and only their ratios tell of the program.
"""

import hashlib

from bench.throughput.histogram import Measure, Spread
from bench.throughput.repeat import timed

YARDSTICK = "yardstick, the machine itself"
_TIMES = 50
_DATA = bytes(256)


def nobodys_work() -> None:
    """What any Python program does: loops, objects, a dictionary, bytes, a call into C."""
    made: dict[int, bytes] = {}
    for number in range(100):
        made[number] = number.to_bytes(4, "big") + b"\x00"
    hashlib.sha256(_DATA).digest()


class Yardstick:
    """Held to the machine between the runs of a benchmark."""

    def __init__(self) -> None:
        self._spread = Spread()

    def hold(self) -> None:
        """One run, about a millisecond."""
        self._spread.add_run(timed(nobodys_work, _TIMES))

    def measures(self) -> dict[str, Measure]:
        """What was held so far, at least once."""
        return {YARDSTICK: self._spread.measure()}

"""Clocks of an air: virtual, wall, or none at all."""

import time
from typing import Protocol


class Clock(Protocol):
    """Time on the air, in nanoseconds from its beginning."""

    is_timed: bool
    """Whether frames take time here. If not, everything follows at once and only stamps differ."""

    def now_ns(self) -> int:
        """What time it is."""
        ...

    def wait_until(self, instant_ns: int) -> None:
        """Let time pass up to an instant; at once if it is over."""
        ...


class VirtualClock:
    """Time that passes by being waited for: a tap of 300 ms takes no longer than its computing."""

    is_timed = True

    def __init__(self) -> None:
        self._now_ns = 0

    def now_ns(self) -> int:
        """See Clock."""
        return self._now_ns

    def wait_until(self, instant_ns: int) -> None:
        """See Clock."""
        self._now_ns = max(self._now_ns, instant_ns)


class WallClock:
    """Real time, waited for: the air is as slow as a real one."""

    is_timed = True

    def __init__(self) -> None:
        self._zero_ns = time.monotonic_ns()

    def now_ns(self) -> int:
        """See Clock."""
        return time.monotonic_ns() - self._zero_ns

    def wait_until(self, instant_ns: int) -> None:
        """See Clock."""
        left_ns = instant_ns - self.now_ns()
        if left_ns > 0:
            time.sleep(left_ns / 1e9)


class Unpaced(WallClock):
    """Real time that is read and never waited for: as fast as the machine goes."""

    is_timed = False

    def wait_until(self, instant_ns: int) -> None:
        """See Clock."""

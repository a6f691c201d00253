"""SimPy's time in whole nanoseconds, so that the same seed gives the same instants everywhere."""

import simpy

from bench.throughput.crowd.numbers import SECOND_NS


class Virtual(simpy.Environment):
    """A simulation's events and its time."""

    @property
    def now_ns(self) -> int:
        """What time it is."""
        return int(self.now)

    def after_ns(self, ns: int) -> simpy.Timeout:
        """Wait so long."""
        return self.timeout(ns)

    def after(self, seconds: float) -> simpy.Timeout:
        """Wait so many seconds."""
        return self.timeout(round(seconds * SECOND_NS))

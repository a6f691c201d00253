"""What every route has at hand, and how much of it one caller may have."""

import threading
import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated

from fastapi import Depends, Request

from issuer.clearing import Clearing
from issuer.office import Office
from issuer.relay import Relay
from issuer.status import Names
from issuer.tokens import Bearer

CALLERS_KEPT = 10_000
"""Callers of whom it is remembered how much they asked for."""


@dataclass(frozen=True, slots=True)
class Limits:
    """per_second: requests of one caller in the long run. burst: how many at once.

    longest: bytes of a request's body.
    """

    per_second: float = 50.0
    burst: int = 200
    longest: int = 4 << 20


class RateLimit:
    """A bucket of requests for each caller, which fills again. clock: seconds, only forward."""

    def __init__(self, limits: Limits, clock: Callable[[], float]) -> None:
        self._limits = limits
        self._clock = clock
        self._held: OrderedDict[str, tuple[float, float]] = OrderedDict()
        self._lock = threading.Lock()

    def wait_s(self, caller: str) -> float:
        """Take a request out of a caller's bucket: 0, or how long to wait if it is empty."""
        now, limits = self._clock(), self._limits
        with self._lock:
            left, since = self._held.pop(caller, (float(limits.burst), now))
            left = min(limits.burst, left + (now - since) * limits.per_second)
            is_empty = left < 1
            self._held[caller] = (left if is_empty else left - 1, now)
            if len(self._held) > CALLERS_KEPT:
                self._held.popitem(last=False)
        return (1 - left) / limits.per_second if is_empty else 0.0


class House:
    """The back office and what the service adds to it. names: of stations, for the card's page."""

    def __init__(
        self,
        office: Office,
        limits: Limits,
        relay: Relay | None = None,
        names: Names | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.office = office
        self.limits = limits
        self.names = names
        self.relay = Relay() if relay is None else relay
        self.clearing = Clearing(office.engine, office.roots["TMK"])
        self.rate = RateLimit(limits, clock)


def _house(request: Request) -> House:
    house: House = request.app.state.house
    return house


def _bearer(request: Request) -> Bearer:
    bearer: Bearer = request.state.bearer
    return bearer


TheHouse = Annotated[House, Depends(_house)]
Caller = Annotated[Bearer, Depends(_bearer)]

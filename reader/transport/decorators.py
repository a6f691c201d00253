"""Transports around transports: recording, and cutting the link at a chosen point."""

from collections.abc import Callable
from dataclasses import dataclass, field
from enum import Enum

from reader.transport.base import CardLost, Transport


@dataclass(frozen=True, slots=True)
class Exchange:
    """One command and its answer. response: None if it was lost. Times: monotonic ns."""

    to: str
    command: bytes
    response: bytes | None
    start_ns: int
    end_ns: int


@dataclass
class Recording:
    """Keeps every exchange. Several may share one list, which then shows a tap in order.

    now_ns: a monotonic clock.
    """

    link: Transport
    now_ns: Callable[[], int]
    to: str = "card"
    seen: list[Exchange] = field(default_factory=list)

    def transmit(self, command: bytes) -> bytes:
        """See Transport."""
        start = self.now_ns()
        response = None
        try:
            response = self.link.transmit(command)
        finally:
            self.seen.append(Exchange(self.to, command, response, start, self.now_ns()))
        return response


class CutPoint(Enum):
    """Where the card leaves the field."""

    BEFORE = "before the card gets the command"
    AFTER = "after the card has acted, before its answer arrives"


@dataclass
class Cutting:
    """Loses the card at the n-th command (from 1), once. leave: what the card notices, if given."""

    link: Transport
    at: int
    point: CutPoint
    leave: Callable[[], None] | None = None
    count: int = 0

    def transmit(self, command: bytes) -> bytes:
        """See Transport. Raises CardLost at the chosen point."""
        self.count += 1
        if self.count != self.at:
            return self.link.transmit(command)
        if self.point is CutPoint.AFTER:
            self.link.transmit(command)
        if self.leave is not None:
            self.leave()
        raise CardLost(f"the card left the field {self.point.value}")

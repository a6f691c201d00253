"""Transports around transports: recording, and cutting the link at a chosen point."""

from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum
from typing import NamedTuple

from reader.transport.base import CardLost, Transport


class Exchange(NamedTuple):
    """One command and its answer. response: None if it was lost. Times: monotonic ns."""

    to: str
    command: bytes
    response: bytes | None
    start_ns: int
    end_ns: int


class Recording:
    """Keeps every exchange in `seen`. Several may share one list, which shows a tap in order.

    now_ns: a monotonic clock.
    """

    def __init__(
        self,
        link: Transport,
        now_ns: Callable[[], int],
        to: str = "card",
        seen: list[Exchange] | None = None,
    ) -> None:
        self.seen: list[Exchange] = [] if seen is None else seen
        self.transmit = _recorded(link, now_ns, to, self.seen)
        """See Transport."""


def _recorded(
    link: Transport, now_ns: Callable[[], int], to: str, seen: list[Exchange]
) -> Callable[[bytes], bytes]:
    # A closure, and a tuple for each exchange: a gate that records may not be slower for it.
    send, keep = link.transmit, seen.append

    def transmit(command: bytes) -> bytes:
        start = now_ns()
        try:
            response = send(command)
        except BaseException:
            keep(Exchange(to, command, None, start, now_ns()))
            raise
        keep(Exchange(to, command, response, start, now_ns()))
        return response

    return transmit


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

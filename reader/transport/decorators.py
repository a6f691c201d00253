"""Transports around transports: recording, and cutting the link at a chosen point."""

from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum
from typing import Any, NamedTuple

from reader.transport.base import CardLost, Transport


class Exchange(NamedTuple):
    """One command and its answer. response: None if it was lost. Times: monotonic ns."""

    to: str
    command: bytes
    response: bytes | None
    start_ns: int
    end_ns: int


class Recording:
    """Keeps every exchange in `seen`, when it is over.

    now_ns: a monotonic clock.
    seen:   several may share one list, which then shows a tap in order; it may hold other things.
    """

    def __init__(
        self,
        link: Transport,
        now_ns: Callable[[], int],
        to: str = "card",
        seen: list[Any] | None = None,
    ) -> None:
        self.seen: list[Any] = [] if seen is None else seen
        self.transmit = _recorded(link.transmit, now_ns, to, self.seen.append)
        """See Transport."""


def _recorded(
    send: Callable[[bytes], bytes],
    now_ns: Callable[[], int],
    to: str,
    keep: Callable[[Exchange], object],
) -> Callable[[bytes], bytes]:
    # A closure, and no detour through Exchange's own __new__: recording may not slow a gate.
    new = tuple.__new__

    def transmit(command: bytes) -> bytes:
        start = now_ns()
        try:
            response = send(command)
        except BaseException:
            keep(Exchange(to, command, None, start, now_ns()))
            raise
        keep(new(Exchange, (to, command, response, start, now_ns())))
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

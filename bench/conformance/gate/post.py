"""Where a gate under test stands, and what it has been told."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from bench.clock import SHANGHAI
from reader.gate import Emergency

ENTRY, EXIT = "080013", "080019"
"""The two stations of the ladders (protocol reference 6.1, 6.2)."""


@dataclass(frozen=True, slots=True)
class Post:
    """A terminal's place. Two taps at equal posts are at one terminal, with one memory.

    direction: entry or exit at a station; board, alight or single on a bus.
    station:   code in the sample network, for entry and exit. line, stop: on a bus.
    policy:    knobs of `reader.policy.Policy`. modes: in force, by name.
    listed:    serials on its blacklist.
    emergencies: releases it has been told of.
    """

    direction: str
    station: str = ""
    line: int = 0
    stop: int = 0
    heading: str = "up"
    vehicle: str = "BUS00001"
    policy: Mapping[str, Any] = field(default_factory=dict, hash=False)
    modes: tuple[str, ...] = ()
    listed: frozenset[bytes] = frozenset()
    emergencies: tuple[Emergency, ...] = ()

    @property
    def words(self) -> str:
        """For an operator who has to set a gate up."""
        where = f"station {self.station}" if self.station else f"line {self.line}, stop {self.stop}"
        said = [f"{self.direction} at {where}"]
        if self.modes:
            said.append(f"modes {', '.join(self.modes)}")
        if self.listed:
            serials = ", ".join(serial.hex()[1:] for serial in sorted(self.listed))
            said.append(f"blacklist with {serials}")
        said += [f"emergency from {one.began} to {one.ended}" for one in self.emergencies]
        said += [f"{knob} = {value}" for knob, value in self.policy.items()]
        return "; ".join(said)


def entry(**over: Any) -> Post:  # noqa: ANN401 - fields of Post
    """The entry gate of the ladders."""
    return Post(**({"direction": "entry", "station": ENTRY} | over))


def exit_(**over: Any) -> Post:  # noqa: ANN401 - fields of Post
    """The exit gate of the ladders."""
    return Post(**({"direction": "exit", "station": EXIT} | over))


LINE, FLAT = 300, 5
"""Bus lines of the sample: one by distance, 40 km long, and one with a price of 2.00 yuan."""
STOPS = (0, 5000, 10_000, 10_001, 15_000, 20_000, 25_000, 30_000, 35_000, 40_000)
"""Metres from the first stop of the line by distance to each; stops are numbered from 1."""


def board(stop: int, **over: Any) -> Post:  # noqa: ANN401 - fields of Post
    """The front door of a bus by distance, at a stop."""
    where: dict[str, Any] = {"direction": "board", "line": LINE, "stop": stop}
    return Post(**(where | over))


def alight(stop: int, **over: Any) -> Post:  # noqa: ANN401 - fields of Post
    """The back door of the same bus."""
    where: dict[str, Any] = {"direction": "alight", "line": LINE, "stop": stop}
    return Post(**(where | over))


def single(**over: Any) -> Post:  # noqa: ANN401 - fields of Post
    """The one door of a bus with one price."""
    where: dict[str, Any] = {"direction": "single", "line": FLAT, "stop": 1}
    return Post(**(where | over))


MORNING = datetime(2025, 9, 8, 7, 30, 15, tzinfo=SHANGHAI)
"""When a case begins unless it says otherwise: the ladders' entry."""

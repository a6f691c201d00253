"""Where a gate under test stands, and what it has been told."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from bench.clock import SHANGHAI

ENTRY, EXIT = "080013", "080019"
"""The two stations of the ladders (protocol reference 6.1, 6.2)."""


@dataclass(frozen=True, slots=True)
class Post:
    """A terminal's place. Two taps at equal posts are at one terminal, with one memory.

    direction: entry or exit at a station; board, alight or single on a bus.
    station:   code in the sample network, for entry and exit. line, stop: on a bus.
    policy:    knobs of `reader.policy.Policy`. modes: in force, by name.
    listed:    serials on its blacklist.
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
        said += [f"{knob} = {value}" for knob, value in self.policy.items()]
        return "; ".join(said)


def entry(**over: Any) -> Post:  # noqa: ANN401 - fields of Post
    """The entry gate of the ladders."""
    return Post(**({"direction": "entry", "station": ENTRY} | over))


def exit_(**over: Any) -> Post:  # noqa: ANN401 - fields of Post
    """The exit gate of the ladders."""
    return Post(**({"direction": "exit", "station": EXIT} | over))


MORNING = datetime(2025, 9, 8, 7, 30, 15, tzinfo=SHANGHAI)
"""When a case begins unless it says otherwise: the ladders' entry."""

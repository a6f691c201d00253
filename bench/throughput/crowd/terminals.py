"""The terminals that people pass, and how a card comes to be inside before it is to leave."""

from collections.abc import Callable, Container
from dataclasses import dataclass, replace
from datetime import datetime, time, timedelta

import fixtures
from bench.clock import SHANGHAI
from bench.problem import Problem
from bench.scenario import EXIT_STATION, LAB_WHITE_LIST, sam_keys
from fixtures.network import load_network
from fixtures.network.buses import load_buses
from reader.fare import Network, Station
from reader.gate import Direction, Gate, GateConfig
from reader.journal import TapJournal
from reader.modes import Mode
from reader.policy import Policy
from reader.psam import Psam
from reader.terminal import Terminal
from reader.validator import BusConfig, Door, Validator

ENTRY, EXIT = Direction.ENTRY.value, Direction.EXIT.value
RAIL = (ENTRY, EXIT)
DIRECTIONS = (*RAIL, *(door.value for door in Door))

RIDE = timedelta(minutes=20)
"""How long before it leaves a card came in."""

FLAT_LINE, LONG_LINE = 0x0005, 0x0443
"""Lines of the sample: one tap pays the first, the second has a door in and one out."""

_LENIENT = frozenset({Mode.FARE_FREE, Mode.DATE_FREE})
"""Who is inside came in when there still was money and time: the way out finds that they lack."""

_FIRST_TERMINAL = 0x300089000500

Clock = Callable[[], datetime]


@dataclass(frozen=True, slots=True)
class Post:
    """What a terminal is. number: of this terminal, from 0. station: name or code, for rail."""

    direction: str
    station: str = EXIT_STATION
    number: int = 0

    def __post_init__(self) -> None:
        if self.direction not in DIRECTIONS:
            raise Problem(
                f"there is no direction '{self.direction}'; choose one of: {', '.join(DIRECTIONS)}"
            )

    @property
    def is_rail(self) -> bool:
        """Whether it is a gate of a station, not a reader in a bus."""
        return self.direction in RAIL

    @property
    def device(self) -> bytes:
        """Its PSAM's terminal number, 6 bytes."""
        return bytes.fromhex(f"{_FIRST_TERMINAL + self.number:012X}")


def start_of_day(hour: int = 7, minute: int = 30) -> datetime:
    """A time of the profiles' day."""
    return datetime.combine(fixtures.STANDING_DAY, time(hour, minute), SHANGHAI)


def make_terminal(
    post: Post,
    clock: Clock,
    policy: Policy,
    blacklist: Container[bytes] = frozenset(),
    journal: TapJournal | None = None,
) -> Terminal:
    """A gate or a validator with its PSAM. Raises UnknownStation."""
    psam = Psam(post.device, sam_keys(), 1)
    if post.is_rail:
        network = load_network()
        station, direction = network.station(post.station), Direction(post.direction)
        config = GateConfig(network, station, direction, LAB_WHITE_LIST, blacklist, policy)
        return Gate(config, psam, clock, journal)
    buses, door = load_buses(), Door(post.direction)
    line = buses.line(FLAT_LINE if door is Door.SINGLE else LONG_LINE)
    bus = BusConfig(buses, line, door, LAB_WHITE_LIST, blacklist=blacklist, policy=policy)
    validator = Validator(bus, psam, clock, journal)
    if door is Door.ALIGHT:
        validator.at_stop(line.stops[-1], validator.heading)
    return validator


def way_in(post: Post, clock: Clock, policy: Policy) -> Terminal | None:
    """Where a card that is to leave at `post` has come in; None where nobody leaves."""
    if post.direction == EXIT:
        network = load_network()
        origin = neighbour(network, network.station(post.station))
        before = replace(post, direction=ENTRY, station=origin.key)
        gate = make_terminal(before, clock, policy)
        gate.modes = _LENIENT
        return gate
    if post.direction == Door.ALIGHT.value:
        return make_terminal(replace(post, direction=Door.BOARD.value), clock, policy)
    return None


def neighbour(network: Network, station: Station) -> Station:
    """A station of the same line to come from: the first of the line that is another one."""
    return next(
        other for other in network.stations if other.line == station.line and other != station
    )

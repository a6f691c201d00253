"""What a terminal decides about a card of the library, asked of the real terminals.

Every case of `docs/decisions.md`: a gate's two sides and a bus's doors on the standing day, with
the policy `beijing`, the laboratory's white list and a PSAM that holds every key.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from functools import cache

import fixtures
from apdu.bcd import Moment
from apdu.show import money
from bench.scenario import (
    ENTERED_AT,
    ENTRY_STATION,
    EXIT_STATION,
    EXIT_TERMINAL,
    LAB_WHITE_LIST,
    LEFT_AT,
    sam_keys,
)
from emulator.card.card import Card
from emulator.card.env import SeededEnv
from emulator.card.personalise import new_image, personalise
from emulator.card.profile import Profile
from emulator.card.state import Image
from emulator.card.store import MemoryStore
from fixtures.network import load_network
from fixtures.network.buses import load_buses
from fixtures.policy import load_policy
from reader.fares.bus import Heading
from reader.gate import Direction, Gate, GateConfig
from reader.modes import Mode
from reader.outcome import Outcome, Verdict
from reader.psam import Psam
from reader.terminal import Terminal
from reader.transport.inprocess import InProcess
from reader.trips import boarded
from reader.validator import BusConfig, Door, Validator

DISTANCE_LINE, FLAT_LINE = 300, 5
"""Bus lines of the sample: 40 km by distance, and one tap for 2.00 yuan."""

BOARDED_AT, ALIGHTED_AT = 1, 4
"""Stops of the line by distance, 10 001 m apart."""


@dataclass(frozen=True, slots=True)
class Case:
    """A terminal that cards are shown to.

    terminal: makes it. trip: the EF1A record put into every card; None leaves the card as it is.
    """

    name: str
    title: str
    terminal: Callable[[], Terminal]
    trip: bytes | None = None


def _gate(direction: Direction) -> Terminal:
    network = load_network()
    station = ENTRY_STATION if direction is Direction.ENTRY else EXIT_STATION
    config = GateConfig(
        network,
        network.station(station),
        direction,
        LAB_WHITE_LIST,
        fixtures.BLACKLIST,
        load_policy(),
    )
    return Gate(config, Psam(EXIT_TERMINAL, sam_keys()), lambda: LEFT_AT)


def _bus(door: Door) -> BusConfig:
    buses = load_buses()
    line = buses.line(FLAT_LINE if door is Door.SINGLE else DISTANCE_LINE)
    return BusConfig(
        buses,
        line,
        door,
        LAB_WHITE_LIST,
        blacklist=fixtures.BLACKLIST,
        policy=load_policy(),
    )


def _validator(door: Door) -> Terminal:
    config = _bus(door)
    made = Validator(config, Psam(EXIT_TERMINAL, sam_keys()), lambda: LEFT_AT)
    if door is Door.ALIGHT:
        made.at_stop(config.line.stop(ALIGHTED_AT), Heading.UP)
    return made


def _open_trip() -> bytes:
    trip = fixtures.load_profile("student-open-trip").trip_record
    assert trip is not None
    return trip


def _open_ride() -> bytes:
    config = _bus(Door.BOARD)
    place = config.place_at(config.line.stop(BOARDED_AT), Heading.UP)
    return boarded(place, 0x101, EXIT_TERMINAL, Moment.of(ENTERED_AT)).build()


CASES = (
    Case("entry", "Entry", lambda: _gate(Direction.ENTRY)),
    Case("exit", "Exit, the card as it is", lambda: _gate(Direction.EXIT)),
    Case(
        "exit-open",
        "Exit, a trip open since 07:30:15",
        lambda: _gate(Direction.EXIT),
        _open_trip(),
    ),
    Case("board", "Bus, boarding", lambda: _validator(Door.BOARD)),
    Case(
        "board-open",
        "Bus, boarding, a ride open since 07:30:15",
        lambda: _validator(Door.BOARD),
        _open_ride(),
    ),
    Case("alight", "Bus, alighting, the card as it is", lambda: _validator(Door.ALIGHT)),
    Case(
        "alight-open",
        "Bus, alighting, this bus boarded at 07:30:15",
        lambda: _validator(Door.ALIGHT),
        _open_ride(),
    ),
    Case("single", "Bus with one tap for a flat fare", lambda: _validator(Door.SINGLE)),
)
"""Every case there is, by terminal."""


@cache
def _image(name: str, trip: bytes | None) -> tuple[Profile, Image]:
    profile = fixtures.load_profile(name)
    if trip is not None:
        profile = replace(profile, trip_record=trip)
    return profile, new_image(profile, fixtures.load_roots())


def card_for(name: str, case: Case) -> Card:
    """A new card of a profile, as the case wants it. Raises ProfileError."""
    profile, image = _image(name, case.trip)
    return personalise(profile, fixtures.load_roots(), SeededEnv(name), MemoryStore(image))


def decide(name: str, case: Case, modes: Iterable[Mode] = ()) -> Outcome:
    """What becomes of the first tap of a profile's card."""
    terminal = case.terminal()
    terminal.modes = frozenset(modes)
    return terminal.pass_(InProcess(card_for(name, case)))


def in_short(outcome: Outcome) -> str:
    """An outcome for a cell: the fare of who passes, or a refusal's name and code.

    What was collected for a ride before stands behind a plus sign. Amounts are yuan.
    """
    if outcome.reason is not None:
        text = f"{outcome.reason.name} {outcome.reason.code}"
    elif outcome.released:
        text = "open"
    else:
        text = money(outcome.fare) if outcome.verdict is Verdict.PASS else outcome.verdict.value
    return f"{text} + {money(outcome.missed.amount)}" if outcome.missed else text

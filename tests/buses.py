"""A bus, its validators and a card in the making: what the validator's tests share."""

from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any

import fixtures
from apdu.bcd import Moment
from apdu.files import EF1A, EF1E, BusTrip, TripLog
from emulator.card.card import Card
from emulator.card.state import Blocked
from fixtures.network.buses import load_buses
from reader.fares.bus import BusLine, Heading
from reader.gate import Outcome
from reader.journal import TapJournal
from reader.psam import Psam
from reader.psam_link import SecureModule
from reader.transport.inprocess import InProcess
from reader.trips import BusPlace, boarded
from reader.validator import BusConfig, Door, Validator
from tests.cards import both, content_of, new_card, with_blocked, with_trip
from tests.gates import NO_PASSBACK, SERIAL, WHITE_LIST

__all__ = ["SERIAL", "WHITE_LIST"]

BUSES = load_buses()
LINE, FLAT = BUSES.line(300), BUSES.line(5)
EXPRESS, SIGHTSEEING, SUBURBAN = (BUSES.line(number) for number in (9001, 9002, 9003))
VEHICLE, OTHER_VEHICLE = b"BUS00300", b"BUS00777"
TERMINAL, OTHER_TERMINAL = bytes.fromhex("300002000777"), bytes.fromhex("300002000778")
BOARDED_AT = datetime(2025, 9, 8, 7, 30, 15)
NOW = datetime(2025, 9, 8, 8, 1, 42)
LATER = NOW + timedelta(hours=1)
"""Too late for a second tap to be the same boarding."""

NO_RIDE = BusTrip.parse(b"\x27\x02\x7d\x01\x01" + bytes(123))
"""What an issuer writes."""


def psam(terminal: bytes = TERMINAL, seq: int = 1) -> Psam:
    return Psam(terminal, {1: fixtures.load_roots()["PMK"]}, seq)


def stop_at(line: BusLine, at_m: int) -> Any:
    return next(stop for stop in line.stops if stop.at_m == at_m)


def ride_from(line: BusLine, at_m: int, vehicle: bytes = VEHICLE, **fields: Any) -> BusTrip:
    """An open ride. fields: of the record, to be replaced."""
    place = place_at(line, at_m, vehicle)
    made = boarded(place, 257, OTHER_TERMINAL, Moment.of(BOARDED_AT))
    return replace(made, **fields)


def place_at(line: BusLine, at_m: int, vehicle: bytes = VEHICLE) -> BusPlace:
    door = Door.SINGLE if line.is_flat else Door.BOARD
    config = BusConfig(BUSES, line, door, WHITE_LIST, vehicle)
    return config.place_at(stop_at(line, at_m), Heading.UP)


@dataclass
class Case:
    """A card and a validator in the making. knobs: of the policy."""

    door: Door
    line: BusLine = LINE
    at_m: int = 0
    heading: Heading = Heading.UP
    trip: BusTrip = field(default_factory=lambda: NO_RIDE)
    at: datetime = NOW
    blocked: Blocked = Blocked.NO
    profile: dict[str, Any] = field(default_factory=dict)
    config: dict[str, Any] = field(default_factory=dict)
    knobs: dict[str, Any] = field(default_factory=dict)

    def card(self) -> Card:
        return new_card(self._change, **self.profile)

    def _change(self, image: Any) -> Any:
        return both(with_trip(self.trip.build(), 2), with_blocked(self.blocked))(image)

    def validator(
        self, journal: TapJournal | None = None, sam: SecureModule | None = None
    ) -> Validator:
        settings = {"white_list": WHITE_LIST, "vehicle": VEHICLE} | self.config
        settings["policy"] = replace(NO_PASSBACK, **self.knobs)
        config = BusConfig(BUSES, self.line, self.door, **settings)
        made = Validator(config, sam or psam(), lambda: self.at, journal)
        made.at_stop(stop_at(self.line, self.at_m), self.heading)
        return made


def case(door: Door) -> Case:
    """Boarding at the first stop, alighting after 10 001 m, or the one tap of a flat line."""
    if door is Door.ALIGHT:
        return Case(door, at_m=10_001, trip=ride_from(LINE, 0))
    return Case(door, FLAT if door is Door.SINGLE else LINE)


def missed_case() -> Case:
    """Boarding with a ride on the card that was not tapped off: 6.00 are due for it."""
    return Case(Door.BOARD, trip=ride_from(LINE, 30_000, OTHER_VEHICLE))


MISSED = 600
FARES = {Door.BOARD: 0, Door.ALIGHT: 75, Door.SINGLE: 50}
"""What each `case` costs a student, fen."""


def tapped(validator: Validator, card: Card) -> Outcome:
    outcome = validator.pass_(InProcess(card))
    card.power_off()
    return outcome


def trip_of(image: Any) -> BusTrip:
    return BusTrip.parse(content_of(image, EF1A.sfi)[1])


def logs_of(image: Any) -> list[TripLog]:
    """EF1E, the newest first."""
    return [TripLog.parse(record) for record in content_of(image, EF1E.sfi)]

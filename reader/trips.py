"""Trip records as gates and buses write them: EF1A records 2701 and 2702, and EF1E.

Protocol reference 3.6, 3.8 and 3.9.
"""

from dataclasses import dataclass, field
from typing import Protocol

from apdu.bcd import Moment, pack
from apdu.files import BusTrip, RailTrip, TripLog
from apdu.value import changed

METRO, BUS = 0x01, 0x02
ENTERED, EXITED, ENTRY_CORRECTED, EXIT_CORRECTED = 0x01, 0x02, 0x03, 0x04
BOARDED, ALIGHTED = 0x01, 0x02
EP_ENTRY, EP_EXIT, EP_SINGLE, EP_ADJUST = 0x03, 0x04, 0x06, 0x08
UP, DOWN = 0xAB, 0xBA
"""EF1A 2702 byte 57: which way the bus goes (3.9)."""


class Spot(Protocol):
    """Where a trip record is made, in the bytes of EF1E (3.6)."""

    @property
    def industry(self) -> int:
        """What is ridden: METRO or BUS."""
        ...

    @property
    def city(self) -> bytes:
        """The acquirer's city, 2 bytes."""
        ...

    @property
    def institution(self) -> bytes:
        """The acquirer, 8 bytes."""
        ...

    @property
    def operator(self) -> bytes:
        """Who runs the ride, 2 bytes."""
        ...

    @property
    def line_bytes(self) -> bytes:
        """The line, 2 bytes."""
        ...

    @property
    def station_bytes(self) -> bytes:
        """Station or stop, 2 bytes."""
        ...


@dataclass(frozen=True, slots=True)
class Place:
    """Where a gate stands. The station and device fields of EF1A are opaque on real cards; ours
    follow the pattern of one capture and are private to tapbench (Q12).

    city, operator: 2 bytes.  institution: 8 bytes.  line, station: codes of one byte.
    max_fare: fen, the highest fare from here, marked in the trip record.
    """

    city: bytes
    institution: bytes
    operator: bytes
    line: int
    station: int
    max_fare: int

    industry: int = field(default=METRO, init=False)
    station_field: bytes = field(init=False)
    device_field: bytes = field(init=False)
    line_bytes: bytes = field(init=False)
    station_bytes: bytes = field(init=False)

    def __post_init__(self) -> None:
        """Make the fields of the records once: a gate writes the same ones all day."""
        station = self.city + bytes((0x75, self.station, 0x09, 0x00, self.line, 0x19))
        device = self.city + bytes((0x75, self.station, 0x1F, self.line, 0x19, 0x09))
        object.__setattr__(self, "station_field", station)
        object.__setattr__(self, "device_field", device)
        object.__setattr__(self, "line_bytes", bytes((self.line, 0)))
        object.__setattr__(self, "station_bytes", bytes((self.station, 0)))


@dataclass(frozen=True, slots=True)
class BusPlace:
    """Where a validator on a bus is now.

    city, operator: 2 bytes.  institution: 8 bytes.  line: a plain number of two bytes (3.6).
    stop: its number; EF1A 2702 has one byte for it.  is_up: towards the last stop.
    vehicle: 8 ASCII characters.  marked: fen, the most a ride from here can cost.
    Raises ValueError if a number does not fit.
    """

    city: bytes
    institution: bytes
    operator: bytes
    line: int
    stop: int
    is_up: bool
    vehicle: bytes
    marked: int = 0
    industry: int = field(default=BUS, init=False)

    def __post_init__(self) -> None:
        if not 0 <= self.stop <= 0xFF:
            raise ValueError(f"A trip record has one byte for a stop, not {self.stop}.")
        if not 0 <= self.line <= 0xFFFF:
            raise ValueError(f"A trip record has two bytes for a bus line, not {self.line}.")
        if len(self.vehicle) != 8 or not self.vehicle.isascii():
            raise ValueError("A vehicle is 8 ASCII characters.")

    @property
    def line_bytes(self) -> bytes:
        """The line field of EF1E and EF1A 2702."""
        return self.line.to_bytes(2, "big")

    @property
    def station_bytes(self) -> bytes:
        """The station field of EF1E."""
        return self.stop.to_bytes(2, "big")


_NO_2, _NO_6, _NO_7, _NO_8 = bytes(2), bytes(6), bytes(7), bytes(8)
_CITY_DEFINED = b"\x01" + bytes(28)
"""Byte 99 of EF1A is 01 in the one capture of Beijing (Q11)."""


def entered(place: Place, terminal_seq: int, balance: int, at: Moment) -> RailTrip:
    """The trip record after entry. The trip serial is the PSAM's transaction number in digits.

    balance: fen, before the trip.
    """
    return RailTrip(
        record_id=b"\x27\x01",
        length=RailTrip.size() - 3,
        valid=0x01,
        mode=0x01,
        lock=0x00,
        trip_serial=pack(str(terminal_seq), 8),
        state=ENTERED,
        entry_city=place.city,
        exit_city=_NO_2,
        entry_institution=place.institution,
        exit_institution=_NO_8,
        entry_station=place.station_field,
        exit_station=_NO_8,
        entry_device=place.device_field,
        exit_device=_NO_8,
        entry_time=at.both,
        exit_time=_NO_7,
        max_fare=place.max_fare,
        entry_line=place.line,
        exit_line=0,
        entry_amount=0,
        entry_balance=max(balance, 0),
        exit_amount=0,
        reserved=_CITY_DEFINED,
    )


def exited(trip: RailTrip, place: Place, fare: int, at: Moment) -> RailTrip:
    """The trip record after exit. fare: fen."""
    return changed(
        trip,
        state=EXITED,
        exit_city=place.city,
        exit_institution=place.institution,
        exit_station=place.station_field,
        exit_device=place.device_field,
        exit_time=at.both,
        exit_line=place.line,
        exit_amount=fare,
    )


def corrected(trip: RailTrip, place: Place, charge: int, at: Moment) -> RailTrip:
    """The trip record after staff closed it. charge: fen."""
    return changed(exited(trip, place, charge, at), state=EXIT_CORRECTED)


def is_inside(trip: RailTrip) -> bool:
    """Whether the trip is open: entered, or entered by a correction of staff."""
    return trip.state in (ENTERED, ENTRY_CORRECTED)


def entry_platform(trip: RailTrip) -> tuple[int, int]:
    """Line and station code where an open trip began: the inverse of `Place.station_field`."""
    return trip.entry_line, trip.entry_station[3]


def trip_log(
    kind: int, place: Spot, terminal: bytes, amount: int, left: int, at: Moment
) -> TripLog:
    """An EF1E record. left: balance after, fen; below zero is written as zero."""
    return TripLog(
        trip_kind=kind,
        terminal=_NO_2 + terminal,
        industry=place.industry,
        line=place.line_bytes,
        station=place.station_bytes,
        operator=place.operator,
        rfu1=0,
        amount=amount,
        balance=max(left, 0),
        time=at.both,
        city=place.city,
        institution=place.institution,
        rfu2=_NO_6,
    )


_UNUSED = bytes(26)
_METRES_A_UNIT = 100
"""Mileage is written in units of 100 m: two bytes of metres would end at 65 km (D)."""


def boarded(place: BusPlace, terminal_seq: int, terminal: bytes, at: Moment) -> BusTrip:
    """The trip record after boarding (3.9). The trip serial is the PSAM's number in digits."""
    return BusTrip(
        record_id=b"\x27\x02",
        length=BusTrip.size() - 3,
        valid=0x01,
        mode=0x01,
        lock=0x00,
        trip_serial=pack(str(terminal_seq), 8),
        state=BOARDED,
        board_city=place.city,
        board_institution=place.institution,
        board_operator=place.operator,
        board_line=place.line_bytes,
        board_station=place.stop,
        board_vehicle=place.vehicle,
        board_terminal=_NO_2 + terminal,
        board_time=at.both,
        max_fare=place.marked,
        direction=UP if place.is_up else DOWN,
        alight_city=_NO_2,
        alight_institution=_NO_8,
        alight_operator=_NO_2,
        alight_line=_NO_2,
        alight_station=0,
        alight_vehicle=_NO_8,
        alight_terminal=_NO_8,
        alight_time=_NO_7,
        amount=0,
        mileage=0,
        reserved=_UNUSED,
    )


def alighted(
    trip: BusTrip, place: BusPlace, terminal: bytes, fare: int, distance_m: int, at: Moment
) -> BusTrip:
    """The trip record after alighting. fare: fen. distance_m: what was ridden, 0 if unknown."""
    return changed(
        trip,
        state=ALIGHTED,
        alight_city=place.city,
        alight_institution=place.institution,
        alight_operator=place.operator,
        alight_line=place.line_bytes,
        alight_station=place.stop,
        alight_vehicle=place.vehicle,
        alight_terminal=_NO_2 + terminal,
        alight_time=at.both,
        amount=fare,
        mileage=min(distance_m // _METRES_A_UNIT, 0xFFFF),
    )


def ridden(trip: BusTrip, here: BusPlace) -> BusPlace:
    """The line and stop where a ride began, for the record of its fare. here: who collects it."""
    return changed(
        here,
        city=trip.board_city,
        institution=trip.board_institution,
        operator=trip.board_operator,
        line=int.from_bytes(trip.board_line),
        stop=trip.board_station,
    )


def is_aboard(trip: BusTrip) -> bool:
    """Whether the bus ride is open."""
    return trip.state == BOARDED

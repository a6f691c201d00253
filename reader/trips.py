"""Trip records as a metro gate writes them: EF1A record 2701 and EF1E.

Protocol reference 3.6 and 3.8.
"""

from dataclasses import dataclass, field, replace

from apdu.bcd import Moment, pack
from apdu.files import RailTrip, TripLog

METRO = 0x01
ENTERED, EXITED, ENTRY_CORRECTED = 0x01, 0x02, 0x03
EP_ENTRY, EP_EXIT = 0x03, 0x04


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
    return replace(
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


def is_inside(trip: RailTrip) -> bool:
    """Whether the trip is open: entered, or entered by a correction of staff."""
    return trip.state in (ENTERED, ENTRY_CORRECTED)


def entry_platform(trip: RailTrip) -> tuple[int, int]:
    """Line and station code where an open trip began: the inverse of `Place.station_field`."""
    return trip.entry_line, trip.entry_station[3]


def trip_log(
    kind: int, place: Place, terminal: bytes, amount: int, left: int, at: Moment
) -> TripLog:
    """An EF1E record of a metro gate. left: balance after, fen; below zero is written as zero."""
    return TripLog(
        trip_kind=kind,
        terminal=_NO_2 + terminal,
        industry=METRO,
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

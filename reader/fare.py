"""A rail network: lines, stations, distances, and the full fare between two stations.

Pure values and arithmetic: no file, no clock, no card. Money is fen, distance is metres, both
whole numbers. The month's discount and the charge for staying too long come on top of this fare
(`reader.fares.rail`). Rail has no student discount (domain facts 3.2), so the card kind does not
appear.
"""

import difflib
import heapq
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from datetime import datetime

from reader.fares.rail import Ride, rail_fare
from reader.fares.tariff import RAIL, Tariff

__all__ = [
    "BASE_FARE",
    "Line",
    "Network",
    "Station",
    "Tariff",
    "Track",
    "UnknownStation",
    "rail_fare",
]


BASE_FARE = RAIL.lowest
"""Fen; up to 6 km, and in and out at the same station."""


class UnknownStation(ValueError):
    """No station has this name or code. The message is one sentence and lists close names."""


@dataclass(frozen=True, slots=True)
class Station:
    """A platform of one line. An interchange is one station per line, joined by a transfer.

    line, code: one byte each, as in EF1E bytes 10 and 12 (protocol reference 3.6).
    """

    line: int
    code: int
    name_zh: str
    name_en: str

    def __post_init__(self) -> None:
        for what, value in (("line", self.line), ("station code", self.code)):
            if not 0 <= value <= 0xFF:
                raise ValueError(f"A {what} is one byte, not {value}.")

    @property
    def key(self) -> str:
        """Six hex digits as in public station tables: two bytes of line, one of station."""
        return f"{self.line:02X}00{self.code:02X}"

    @property
    def line_bytes(self) -> bytes:
        """The line field of EF1E, 2 bytes."""
        return bytes((self.line, 0))

    @property
    def station_bytes(self) -> bytes:
        """The station field of EF1E, 2 bytes."""
        return bytes((self.code, 0))


@dataclass(frozen=True, slots=True)
class Track:
    """Two neighbouring stations and the way between them, the same in both directions."""

    a: Station
    b: Station
    distance_m: int


@dataclass(frozen=True, slots=True)
class Line:
    """A line of the network. code: one byte, as in EF1E byte 10 (protocol reference 3.6)."""

    code: int
    name_zh: str
    name_en: str
    tariff: Tariff = RAIL

    def __post_init__(self) -> None:
        if not 0 <= self.code <= 0xFF:
            raise ValueError(f"A line is one byte, not {self.code}.")


@dataclass(frozen=True, slots=True)
class Network:
    """One operator's stations and how far apart they are.

    city: 2 bytes, institution: 8 bytes, operator: 2 bytes, as trip records carry them
    (protocol reference 3.6). transfers: pairs of stations a rider walks between, 0 m.
    lines: names and tariffs; a line that is not listed has the common tariff. Lines of another
    tariff are a paid area of their own: one leaves it and pays, and enters the next (domain facts
    3.2 has the airport lines outside the distance fare; that no gate lets pass through is ASSUMED).
    Raises ValueError if a key is used twice, a track or transfer leaves the network or joins two
    tariffs, a track is not longer than 0 m, or a station cannot be reached from others of its
    tariff: then a fare would not be defined.
    """

    name: str
    city: bytes
    institution: bytes
    operator: bytes
    stations: tuple[Station, ...]
    tracks: tuple[Track, ...]
    transfers: tuple[tuple[Station, Station], ...] = ()
    lines: tuple[Line, ...] = ()
    _by_key: dict[str, Station] = field(init=False, repr=False, compare=False)
    _by_codes: dict[tuple[int, int], Station] = field(init=False, repr=False, compare=False)
    _lines: dict[int, Line] = field(init=False, repr=False, compare=False)
    _neighbours: dict[Station, list[tuple[Station, int]]] = field(
        init=False, repr=False, compare=False
    )
    _known: dict[Station, dict[Station, int]] = field(
        init=False, repr=False, compare=False, default_factory=dict
    )

    def __post_init__(self) -> None:
        for what, value, size in (
            ("city", self.city, 2),
            ("institution", self.institution, 8),
            ("operator", self.operator, 2),
        ):
            if len(value) != size:
                raise ValueError(f"The {what} of a network is {size} bytes, not {len(value)}.")
        object.__setattr__(self, "_by_key", _keyed(self.stations))
        by_codes = {(station.line, station.code): station for station in self.stations}
        object.__setattr__(self, "_by_codes", by_codes)
        object.__setattr__(self, "_lines", _coded(self.lines))
        object.__setattr__(self, "_neighbours", _joined(self.stations, self._links()))
        self._check_ways()

    def _check_ways(self) -> None:
        first: dict[Tariff, Station] = {}
        for station in self.stations:
            origin = first.setdefault(self.tariff_at(station), station)
            if station not in self._distances(origin):
                raise ValueError(f"No way leads from {origin.key} to {station.key}.")

    def _links(self) -> Iterator[Track]:
        for track in self.tracks:
            if track.distance_m <= 0:
                raise ValueError(f"{track.a.key} to {track.b.key} is {track.distance_m} m.")
        for link in (*self.tracks, *(Track(a, b, 0) for a, b in self.transfers)):
            if self.tariff_at(link.a) != self.tariff_at(link.b):
                raise ValueError(f"{link.a.key} and {link.b.key} have different tariffs.")
            yield link

    def tariff_at(self, station: Station) -> Tariff:
        """The tariff of a station's line."""
        line = self._lines.get(station.line)
        return RAIL if line is None else line.tariff

    def _distances(self, origin: Station) -> dict[Station, int]:
        """Shortest distance to every station, by Dijkstra's algorithm; kept for the next rider."""
        if origin in self._known:
            return self._known[origin]
        if origin not in self._neighbours:
            raise UnknownStation(f"Station {origin.key} {origin.name_en} is not on {self.name}.")
        done: dict[Station, int] = {}
        # The key breaks ties, since stations have no order.
        open_ends = [(0, origin.key)]
        while open_ends:
            so_far, key = heapq.heappop(open_ends)
            here = self._by_key[key]
            if here in done:
                continue
            done[here] = so_far
            for there, way in self._neighbours[here]:
                heapq.heappush(open_ends, (so_far + way, there.key))
        self._known[origin] = done
        return done

    def distance_m(self, entry: Station, exit: Station) -> int:
        """Shortest way along the tracks, metres. Transfers cost nothing.

        Raises UnknownStation if a station is not on the network, or on a line of another tariff.
        """
        distances = self._distances(entry)
        if exit in distances:
            return distances[exit]
        if exit in self._neighbours:
            raise UnknownStation(
                f"No paid way leads from {entry.key} {entry.name_en} to {exit.key} {exit.name_en}:"
                f" their tariffs are {self.tariff_at(entry).name} and {self.tariff_at(exit).name}."
            )
        raise UnknownStation(f"Station {exit.key} {exit.name_en} is not on {self.name}.")

    def is_same_place(self, entry: Station, exit: Station) -> bool:
        """Whether a ride led nowhere: one station, or two platforms of an interchange."""
        return self.distance_m(entry, exit) == 0

    def fare(self, entry: Station, exit: Station) -> int:
        """Full single fare from entry to exit, fen. The same station costs the lowest fare."""
        return self.tariff_at(entry).fare(self.distance_m(entry, exit))

    def ride(
        self, entry: Station, exit: Station, entered_at: datetime, exited_at: datetime
    ) -> Ride:
        """What `reader.fares.rail.rail_charge` needs to know. Raises UnknownStation."""
        distance_m = self.distance_m(entry, exit)
        return Ride(self.tariff_at(entry), distance_m, distance_m == 0, entered_at, exited_at)

    @property
    def min_fare(self) -> int:
        """The cheapest ride of the common tariff, fen."""
        return BASE_FARE

    def min_fare_from(self, entry: Station) -> int:
        """The cheapest ride from here, fen."""
        return self.tariff_at(entry).lowest

    def max_fare_from(self, entry: Station) -> int:
        """The dearest ride from here, fen: the marked amount of a trip record."""
        return self.tariff_at(entry).fare(max(self._distances(entry).values()))

    def at(self, line: int, code: int) -> Station:
        """The station with these codes, as a trip record has them. Raises UnknownStation."""
        station = self._by_codes.get((line, code))
        return self.station(f"{line:02X}00{code:02X}") if station is None else station

    def station(self, name: str) -> Station:
        """The station with this Chinese or English name, or hex code.

        name: case and spaces do not matter. A code is line and station, `080019` or `0819`.
        Of an interchange the line listed first is meant; fares are the same from each.
        Raises UnknownStation, naming stations that are spelled alike.
        """
        wanted = _folded(name)
        code = wanted.upper()
        if len(code) == 4:
            code = f"{code[:2]}00{code[2:]}"
        if code in self._by_key:
            return self._by_key[code]
        for station in self.stations:
            if wanted in (_folded(station.name_zh), _folded(station.name_en)):
                return station
        raise UnknownStation(f"{self.name} has no station {name!r}{self._close_to(wanted)}.")

    def _close_to(self, wanted: str) -> str:
        names = {
            _folded(name): name
            for station in self.stations
            for name in (station.name_en, station.name_zh, station.key)
        }
        close = [names[folded] for folded in difflib.get_close_matches(wanted, names, cutoff=0.5)]
        return f"; close: {', '.join(close)}" if close else ""


def _folded(name: str) -> str:
    return "".join(name.split()).casefold()


def _keyed(stations: Iterable[Station]) -> dict[str, Station]:
    by_key: dict[str, Station] = {}
    for station in stations:
        if station.key in by_key:
            raise ValueError(f"Two stations have the code {station.key}.")
        by_key[station.key] = station
    if not by_key:
        raise ValueError("A network has at least one station.")
    return by_key


def _coded(lines: Iterable[Line]) -> dict[int, Line]:
    by_code: dict[int, Line] = {}
    for line in lines:
        if line.code in by_code:
            raise ValueError(f"Two lines have the code {line.code:02X}.")
        by_code[line.code] = line
    return by_code


def _joined(
    stations: Iterable[Station], links: Iterable[Track]
) -> dict[Station, list[tuple[Station, int]]]:
    neighbours: dict[Station, list[tuple[Station, int]]] = {station: [] for station in stations}
    for link in links:
        for here, there in ((link.a, link.b), (link.b, link.a)):
            if here not in neighbours:
                raise ValueError(f"Station {here.key} {here.name_en} is not in the list.")
            neighbours[here].append((there, link.distance_m))
    return neighbours

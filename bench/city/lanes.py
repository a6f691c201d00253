"""A shard's own gates: one lane of each direction at each station, with PSAM and journal.

Clearing demands of each terminal number that none is missing and none is used twice. A lane belongs
to one shard alone, so that shards need nothing of each other and terminals still count without
gaps. In a real city many cards of many shards pass one lane.
"""

from collections.abc import Iterator
from datetime import date, datetime, time, timedelta
from struct import Struct

from apdu.bcd import Moment
from apdu.crypto import Key
from apdu.purse import CAPP
from bench.city.plan import network, stations
from bench.clock import SHANGHAI
from bench.scenario import LAB_WHITE_LIST
from reader.gate import Direction, Gate, GateConfig
from reader.journal import MemoryJournal
from reader.months import MonthBook
from reader.policy import Policy
from reader.psam import Psam
from reader.trips import EP_ENTRY, EP_EXIT, Place, trip_log

_NAME = Struct(">cHBL")
_WAYS = (Direction.ENTRY, Direction.EXIT)


_BCD = bytes(int(f"{n:02d}", 16) for n in range(60))
_NO_MOMENT = Moment(bytes(4), bytes(3))
_TRIP_OWN = slice(17, 32)
"""Amount, balance and time in a record of EF1E."""


class Clock:
    """The time of the tap under way. second: of the day."""

    def __init__(self, day: date) -> None:
        self.midnight = datetime.combine(day, time(), SHANGHAI)
        self.second = 0

    def __call__(self) -> datetime:
        """The time."""
        return self.midnight + timedelta(seconds=self.second)


class Lane:
    """One gate. number: two for each station, the way in first.

    logged, trip_head, trip_tail: what is the same in all records it writes to EF18 and EF1E.
    """

    __slots__ = (
        "gate",
        "is_exit",
        "journal",
        "logged",
        "name",
        "place",
        "psam",
        "terminal",
        "trip_head",
        "trip_tail",
    )

    def __init__(self, number: int, gate: Gate, psam: Psam, journal: MemoryJournal) -> None:
        self.is_exit = bool(number % 2)
        self.gate = gate
        self.psam = psam
        self.journal = journal
        self.name = journal.gate
        self.terminal = psam.terminal
        self.place: Place = gate.place
        kind = EP_EXIT if self.is_exit else EP_ENTRY
        trip = trip_log(kind, self.place, self.terminal, 0, 0, _NO_MOMENT).build()
        self.trip_head, self.trip_tail = trip[: _TRIP_OWN.start], trip[_TRIP_OWN.stop :]
        self.logged = bytes((CAPP,)) + self.terminal


class Lanes:
    """The lanes of a shard, each made when somebody first comes to it. root: PMK."""

    def __init__(self, shard: int, clock: Clock, root: Key) -> None:
        self._shard, self._clock, self._root = shard, clock, root
        self._policy = Policy()
        self._months = MonthBook(network(), self._policy)
        self._lanes: dict[int, Lane] = {}
        self._numbers: dict[bytes, int] = {}
        self._date = Moment.of(clock.midnight).date

    def __getitem__(self, number: int) -> Lane:
        lane = self._lanes.get(number)
        return self._make(number) if lane is None else lane

    def __iter__(self) -> Iterator[Lane]:
        """Those that were used, by number."""
        return iter(self._lanes[number] for number in sorted(self._lanes))

    def number_of(self, terminal: bytes) -> int:
        """Which lane has this terminal number. Raises KeyError if none of this shard does."""
        return self._numbers[terminal]

    def moment(self, second: int) -> Moment:
        """A second of the day as cards keep it."""
        minutes, seconds = divmod(second, 60)
        hours, minutes = divmod(minutes, 60)
        return Moment(self._date, bytes((_BCD[hours], _BCD[minutes], _BCD[seconds])))

    def _make(self, number: int) -> Lane:
        station, way = divmod(number, 2)
        terminal = bytes.fromhex(f"3{station:03d}{way}{self._shard:07d}")
        journal = MemoryJournal(_NAME.pack(b"L", station, way, self._shard))
        psam = Psam(terminal, {1: self._root})
        config = GateConfig(
            network(), stations()[station], _WAYS[way], LAB_WHITE_LIST, policy=self._policy
        )
        gate = Gate(config, psam, self._clock, journal, self._months)
        self._numbers[terminal] = number
        made = self._lanes[number] = Lane(number, gate, psam, journal)
        return made

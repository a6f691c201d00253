"""The town of a semester: its clock, gates, buses and staff, their journals, and clearing.

Gates share a book of the month's totals and one copy of the blacklist. What they record waits in
their journals and is sent in batches; a batch whose answer is lost is sent again.
"""

from collections import Counter
from dataclasses import dataclass, field
from datetime import date, datetime, time, timedelta
from pathlib import Path
from random import Random

from bench.clock import SHANGHAI
from bench.scenario import LAB_WHITE_LIST, sam_keys
from bench.semester.people import FIRST_DAY
from fixtures.network import load_network
from fixtures.network.buses import load_buses
from issuer import blacklist_book
from issuer.clearing import Clearing
from issuer.database import reading
from issuer.office import Office
from reader.batch import build_batch
from reader.blacklist_file import BlacklistFile
from reader.fare import Station
from reader.gate import Direction, Gate, GateConfig
from reader.journal import MemoryJournal
from reader.months import MonthBook
from reader.psam import Psam
from reader.staff import Desk
from reader.taprecord import Mark, TapRecord
from reader.trips import BUS, EP_EXIT, EP_SINGLE
from reader.validator import BusConfig, Door, Validator

OUTLET = b"OUTLET01"
"""The name under which the office's top-ups are recorded."""

_LINES, _STEP = (0x02, 0x08), 5
_STREET, _FLAT, _VEHICLE = 300, 5, b"BUS00300"
_RIDES = (EP_EXIT, EP_SINGLE)
_BUS_NIGHTS, _MOST = 3, 5000
_LOST_ANSWER = 0.004


@dataclass
class Clock:
    """The time of the town, which only goes forward."""

    now: datetime = field(default_factory=lambda: datetime.combine(FIRST_DAY, time(), SHANGHAI))

    def __call__(self) -> datetime:
        """The time."""
        return self.now

    def set(self, day: date, second: int) -> None:
        """It is this second of a day now, unless it is later already."""
        at = datetime.combine(day, time(), SHANGHAI) + timedelta(seconds=second)
        self.now = max(self.now, at)

    def tick(self, seconds: int) -> None:
        """Time goes by."""
        self.now += timedelta(seconds=seconds)


@dataclass
class Told:
    """What the records say that clearing was sent. rides: by week. fares: fen, by industry."""

    records: int = 0
    batches: int = 0
    again: int = 0
    rides: Counter[int] = field(default_factory=Counter)
    fares: Counter[str] = field(default_factory=Counter)


class Town:
    """Everything between the students and the office. folder: for the gates' blacklist."""

    def __init__(self, office: Office, clock: Clock, folder: Path, chance: Random) -> None:
        self.clock, self.chance, self.told = clock, chance, Told()
        self.clearing = Clearing(office.engine, office.roots["TMK"])
        self._office = office
        self._blacklist = BlacklistFile(folder / "blacklist")
        self._network, self._buses = load_network(), load_buses()
        self._months = MonthBook(self._network, office.gate_policy)
        self._journals: dict[bytes, MemoryJournal] = {}
        self._sent: Counter[bytes] = Counter()
        on_lines = [one for one in self._network.stations if one.line in _LINES]
        self.stations: list[Station] = on_lines[::_STEP]
        pairs = [(station, way) for station in self.stations for way in Direction]
        self._gates = {pair: self._gate(*pair, number) for number, pair in enumerate(pairs)}
        self._doors = {door: self._validator(door, n) for n, door in enumerate(Door)}
        self._staff = self._desk()
        self._journals[OUTLET] = MemoryJournal(OUTLET)
        self.clearing.register([(OUTLET, office.terminal)])

    @property
    def operator(self) -> bytes:
        """The rail operator's number."""
        return self._network.operator

    def gate(self, station: Station, way: Direction) -> Gate:
        """The gate of a station that lets through this way."""
        return self._gates[station, way]

    def door(self, door: Door) -> Validator:
        """A reader of the bus: of the street line, or of the flat one for `SINGLE`."""
        return self._doors[door]

    @property
    def staff(self) -> Desk:
        """The staff desk of the first station."""
        return self._staff

    def loaded(self, record: TapRecord) -> None:
        """A top-up is on a card."""
        self._journals[OUTLET].add(record)

    def fetch(self) -> int:
        """Bring the gates' blacklist up to date. Returns how many updates there were."""
        held = self._blacklist.blacklist.version
        with reading(self._office.engine) as session:
            texts = blacklist_book.texts_since(session, held)
        for text in texts:
            self._blacklist.take(text)
        return len(texts)

    def upload(self, night: int, is_last: bool = False) -> None:
        """Send what waits: gates and outlets each night, buses every third."""
        for name, journal in self._journals.items():
            if name.startswith(b"DOOR") and night % _BUS_NIGHTS and not is_last:
                continue
            waiting = journal.records[self._sent[name] :]
            for start in range(0, len(waiting), _MOST):
                self._send(name, waiting[start : start + _MOST])
            self._sent[name] += len(waiting)

    def open_debits(self) -> int:
        """Debits of which no terminal knows whether they were taken."""
        return sum(len(one.pending()) for one in self._journals.values())

    def _send(self, name: bytes, records: list[TapRecord]) -> None:
        message = build_batch(name, records)
        self.clearing.receive(message, self.clock())
        if self.chance.random() < _LOST_ANSWER:
            self.told.again += 1
            self.clearing.receive(message, self.clock())
        self.told.batches += 1
        for record in records:
            self._count(record)

    def _count(self, record: TapRecord) -> None:
        self.told.records += 1
        if record.mark != Mark.TAKEN or not record.terminal_seq:
            return
        self.told.fares["bus" if record.industry == BUS else "rail"] += record.amount
        if record.trip in _RIDES:
            when = record.when[:4].hex()
            day = date(int(when[:4]), int(when[4:6]), int(when[6:]))
            self.told.rides[(day - FIRST_DAY).days // 7] += 1

    def _gate(self, station: Station, way: Direction, number: int) -> Gate:
        sam, journal = self._device(b"GATE%04d" % number, f"300{number:09d}")
        config = GateConfig(
            self._network, station, way, LAB_WHITE_LIST, self._blacklist, self._office.gate_policy
        )
        return Gate(config, sam, self.clock, journal, self._months)

    def _validator(self, door: Door, number: int) -> Validator:
        sam, journal = self._device(b"DOOR%04d" % number, f"400{number:09d}")
        line = self._buses.line(_FLAT if door is Door.SINGLE else _STREET)
        policy = self._office.gate_policy
        config = BusConfig(
            self._buses, line, door, LAB_WHITE_LIST, _VEHICLE, self._blacklist, policy
        )
        return Validator(config, sam, self.clock, journal)

    def _desk(self) -> Desk:
        sam, journal = self._device(b"STAFF001", "500000000001")
        config = GateConfig(self._network, self.stations[0], Direction.EXIT, LAB_WHITE_LIST)
        return Desk(config, sam, self.clock, journal)

    def _device(self, name: bytes, number: str) -> tuple[Psam, MemoryJournal]:
        terminal = bytes.fromhex(number)
        self._journals[name] = journal = MemoryJournal(name)
        self.clearing.register([(name, terminal)])
        return Psam(terminal, sam_keys()), journal

"""The riders of the soak, their cards, and the other ends of their trips."""

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import date, datetime
from random import Random

import fixtures
from apdu.bcd import Moment
from apdu.files import EF1A, EF1E, EF18, LogRecord, RailTrip, TripLog
from apdu.purse import LOAD
from bench.clock import SHANGHAI
from bench.scenario import LAB_WHITE_LIST
from emulator.card.card import Card
from emulator.card.env import SeededEnv
from emulator.card.personalise import personalise
from emulator.card.state import Blocked
from issuer.loads import SoftLoadHost
from reader.fare import Station
from reader.fares.rail import rail_charge
from reader.gate import Direction, Gate, GateConfig, Outcome
from reader.journal import MemoryJournal
from reader.loading import load
from reader.months import MonthBook
from reader.psam import Psam
from reader.session import Txn, run
from reader.staff import Desk
from reader.taprecord import TapRecord, load_record
from reader.transactions import Receipt, select_purse
from reader.transport.inprocess import InProcess
from reader.trips import EP_ENTRY, EP_EXIT, is_inside
from tests.cards import app_of, content_of
from tests.property.soak_gate import NETWORK, POLICY, STATION, sam_keys

ELSEWHERE = tuple(
    station for station in NETWORK.stations if station.line in (2, 8) and station != STATION
)[::6]
"""Where the other ends of trips are: stations of two lines with the distance fare."""

LONG_AGO = datetime(2025, 1, 1, tzinfo=SHANGHAI)
DESK, DESK_TERMINAL = b"DESK0001", bytes.fromhex("100000000001")

KINDS: dict[str, tuple[str, int]] = {
    "student": ("student", 45),
    "ordinary": ("ordinary", 37),
    "low": ("student-low-balance", 5),
    "blacklisted": ("student", 3),
    "blocked": ("student-blocked", 2),
    "blocked for good": ("student-blocked-permanent", 1),
    "expired": ("student-expired", 3),
    "not yet valid": ("student", 1),
    "penniless": ("student-zero-balance", 3),
}
"""Profile, and how many of a hundred riders have such a card."""


@dataclass
class Rider:
    """A card, and what clearing must come to for it.

    loaded, paid: fen. records: how many debits were taken. counters: one bit for each.
    entered: where and when the open trip began. last: the last debit that was taken.
    errands: taps to be made elsewhere first. passed: the last debit that opened a barrier.
    """

    card: Card
    serial: bytes
    kind: str
    opening: int
    first_seq: int
    loaded: int = 0
    paid: int = 0
    records: int = 0
    counters: int = 0
    entered: tuple[Station, datetime] | None = None
    last: TapRecord | None = None
    is_waiting: bool = False
    errands: int = 0
    away_until: int = 0
    passed: int = -1
    moved_at: datetime = LONG_AGO
    passed_at: dict[bool, datetime] = field(default_factory=dict)

    @property
    def balance(self) -> int:
        return self.card.purse.actual

    @property
    def seq(self) -> int:
        return self.card.purse.offline_seq

    @property
    def is_inside(self) -> bool:
        return is_inside(RailTrip.parse(content_of(self.card.image, EF1A.sfi)[0]))

    @property
    def is_blocked(self) -> bool:
        return app_of(self.card.image).blocked is not Blocked.NO

    def fare(self, station: Station, now: datetime, months: MonthBook) -> int:
        """What a passage must cost, from what the rider knows; 0 at entry."""
        if not self.is_inside:
            return 0
        assert self.entered is not None
        origin, entered_at = self.entered
        ride = NETWORK.ride(
            origin, station, entered_at.replace(tzinfo=None), now.replace(tzinfo=None)
        )
        return rail_charge(ride, months.total(self.serial), POLICY).amount

    def moved(self, record: TapRecord, was_inside: bool, here: tuple[Station, datetime]) -> None:
        """A debit was taken: the card is in now, or out, and was not before."""
        assert record.trip == (EP_EXIT if was_inside else EP_ENTRY)
        assert self.is_inside is not was_inside, "a ride is charged twice, or not at all"
        self.entered = None if was_inside else here

    def note(self, record: TapRecord) -> None:
        """A debit that was taken has its record. Raises AssertionError if it is the second."""
        bit = 1 << record.counter
        assert not self.counters & bit, f"two records of counter {record.counter}"
        assert record.amount == record.before - record.after
        self.counters |= bit
        self.records += 1
        self.paid += record.amount
        if self.last is None or record.counter > self.last.counter:
            self.last = record


def look_at_log(rider: Rider, record: TapRecord) -> None:
    """The newest purchase in EF18, and the newest of EF1E, are this record."""
    logs = [LogRecord.parse(entry) for entry in content_of(rider.card.image, EF18.sfi)]
    log = next(entry for entry in logs if entry.kind != LOAD)
    found = (log.seq, log.amount, log.kind, log.terminal, log.date + log.time)
    assert found == (record.counter, record.amount, record.kind, record.terminal, record.when)
    trip = TripLog.parse(content_of(rider.card.image, EF1E.sfi)[0])
    told = (trip.trip_kind, trip.terminal[2:], trip.amount, trip.balance, trip.time)
    assert told == (record.trip, record.terminal, record.amount, record.after, record.when)
    assert (trip.line, trip.station) == (record.line, record.station)


def some_rider(number: int, rng: Random) -> Rider:
    """The kinds come in turn, so that each has its share however few there are."""
    kinds = [kind for kind, (_, share) in KINDS.items() for _ in range(share)]
    return new_rider(number, kinds[number * 37 % len(kinds)], rng)


def new_rider(number: int, kind: str, rng: Random) -> Rider:
    serial = bytes.fromhex(f"031052280077{number:08d}")
    profile = replace(fixtures.load_profile(KINDS[kind][0]), serial=serial)
    if kind in ("student", "ordinary", "blacklisted", "not yet valid"):
        profile = profile.with_balance(rng.randrange(2_000, 20_000))
    if kind == "not yet valid":
        profile = replace(profile, start_date=date(2026, 9, 1))
    if kind == "ordinary":
        profile = replace(profile, card_kind=1)
    made = personalise(profile, fixtures.load_roots(), SeededEnv(serial.hex()))
    return Rider(made, serial, kind, made.purse.actual, made.purse.offline_seq)


class Elsewhere:
    """The gates of other stations, staff desks, and the desk that tops up. All of them work."""

    def __init__(self, clock: Callable[[], datetime], months: MonthBook) -> None:
        self._clock = clock
        self._roots = fixtures.load_roots()
        self._months = months
        self.journals: dict[bytes, MemoryJournal] = {DESK: MemoryJournal(DESK)}
        self.terminals = {DESK: DESK_TERMINAL}
        self.gates = {
            (station, direction): self._gate(station, direction, number)
            for number, (station, direction) in enumerate(
                (station, direction) for station in ELSEWHERE for direction in Direction
            )
        }
        # The staff of our own station have a desk too.
        self.desks = {
            station: self._desk(station, number)
            for number, station in enumerate((*ELSEWHERE, STATION))
        }

    def _device(self, name: bytes, terminal: bytes) -> tuple[Psam, MemoryJournal]:
        self.journals[name] = journal = MemoryJournal(name)
        self.terminals[name] = terminal
        return Psam(terminal, sam_keys()), journal

    def _gate(self, station: Station, direction: Direction, number: int) -> Gate:
        psam, journal = self._device(b"ELSE%04d" % number, bytes.fromhex(f"3000{number:08d}"))
        config = GateConfig(NETWORK, station, direction, LAB_WHITE_LIST, policy=POLICY)
        return Gate(config, psam, self._clock, journal, self._months)

    def _desk(self, station: Station, number: int) -> Desk:
        psam, journal = self._device(b"STAF%04d" % number, bytes.fromhex(f"3001{number:08d}"))
        config = GateConfig(NETWORK, station, Direction.EXIT, LAB_WHITE_LIST, policy=POLICY)
        return Desk(config, psam, self._clock, journal)

    def pass_(self, rider: Rider, station: Station) -> tuple[Outcome, TapRecord | None]:
        """A tap at the gate that the card needs. Returns the record too, if there is one."""
        direction = Direction.EXIT if rider.is_inside else Direction.ENTRY
        gate = self.gates[station, direction]
        return self._served(rider, gate.debits.name, lambda: gate.pass_(InProcess(rider.card)))

    def over_time(self, rider: Rider, station: Station) -> tuple[Outcome, TapRecord | None]:
        """Staff take what a too long stay costs."""
        desk = self.desks[station]
        work = desk.over_time()
        return self._served(
            rider, desk.debits.name, lambda: desk.serve_card(work, InProcess(rider.card))
        )

    def _served(
        self, rider: Rider, name: bytes, serve: Callable[[], Outcome]
    ) -> tuple[Outcome, TapRecord | None]:
        journal, seq = self.journals[name], rider.seq
        outcome = serve()
        rider.card.power_off()
        if rider.seq == seq:
            return outcome, None
        record = journal.records[-1]
        assert (record.serial, record.counter) == (rider.serial, rider.seq)
        rider.note(record)
        look_at_log(rider, record)
        return outcome, record

    def top_up(self, rider: Rider, amount: int) -> None:
        """A load at the issuer's desk (6.4)."""
        host = SoftLoadHost(self._roots["LMK"], self._roots["TMK"])

        def loading() -> Txn[TapRecord]:
            info = yield from select_purse()
            at = Moment.of(self._clock())
            receipt: Receipt = yield from load(info, amount, host, DESK_TERMINAL, at)
            return load_record(info, receipt, DESK, NETWORK.operator)

        self.journals[DESK].add(run(loading(), {"card": InProcess(rider.card)}))
        rider.card.power_off()
        rider.loaded += amount

"""Honest days of a small network: real taps of real cards at real terminals, and their journals.

Cards are opened, topped up, and do everything in waves: all enter, then all leave. First come rides
by metro; then one is begun in which all take buses, once without tapping off, so that it lasts too
long and the staff desk takes what is due; and what else a desk puts right. One clock ticks through
the day, so every terminal's records are in order. The same seed gives the same records.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from functools import partial
from random import Random

import fixtures
from apdu.bcd import Moment
from apdu.files import PublicInfo
from bench.clock import SHANGHAI
from bench.scenario import LAB_WHITE_LIST
from emulator.card.card import Card
from emulator.card.env import SeededEnv
from emulator.card.personalise import personalise
from fixtures.network import load_network
from fixtures.network.buses import load_buses
from issuer.loads import SoftLoadHost
from reader.fare import Station
from reader.fares.bus import Heading
from reader.gate import Direction, Gate, GateConfig, Outcome, Verdict
from reader.journal import MemoryJournal
from reader.loading import load
from reader.psam import Psam
from reader.session import Txn, run
from reader.staff import Desk
from reader.taprecord import TapRecord, load_record
from reader.transactions import Receipt, select_purse
from reader.transport.inprocess import InProcess
from reader.validator import BusConfig, Door, Validator

FIRST_TAP = datetime(2025, 9, 8, 5, 30, 0, tzinfo=SHANGHAI)
UPLOADED = datetime(2025, 9, 8, 23, 50, 0, tzinfo=SHANGHAI)
_OPEN_S = 17 * 3600
_DESK, _DESK_TERMINAL = b"DESK0001", bytes.fromhex("100000000001")
LINES, STEP = (0x02, 0x08), 5
"""Where people ride: every fifth station of two lines with the distance fare."""
TOP_UP, TRIPS = 10_000, 5
"""Fen each card is loaded with, and how often it goes by metro before it does all the rest."""
_RAIL, _BUS, _STAFF = 2 * TRIPS + 4, 6, 3
_COLLECTED = 1
DEBITS = _RAIL + _BUS + _STAFF + _COLLECTED
"""Records of each card beside that of its load: taps at gates, on buses and at the desk, and the
fare of the bus ride that was not tapped off."""

_VEHICLES = (b"BUS00300", b"BUS00301")
_STREET, _FLAT = 300, 5
"""The lines buses go on: by distance, and with one fare."""


@dataclass
class Day:
    """A day in the making. journals: of every terminal and of the top-up desk, by name."""

    cards: int
    seed: int = 1
    journals: dict[bytes, MemoryJournal] = field(default_factory=dict)
    terminals: dict[bytes, bytes] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self._network = load_network()
        on_lines = [s for s in self._network.stations if s.line in LINES]
        self._stations = on_lines[::STEP]
        self._roots = fixtures.load_roots()
        self._source = Random(self.seed)  # noqa: S311 - where people ride to
        self._env = SeededEnv(f"honest {self.seed}")
        self._ticks = 0
        self._gates = {
            (station, direction): self._gate(station, direction, number)
            for number, (station, direction) in enumerate(
                (s, d) for s in self._stations for d in Direction
            )
        }
        self._buses = load_buses()
        self._doors = {
            (vehicle, door): self._validator(vehicle, door, number)
            for number, (vehicle, door) in enumerate(
                (v, d) for v in _VEHICLES for d in (Door.BOARD, Door.ALIGHT, Door.SINGLE)
            )
        }
        self._staff = self._staff_desk()
        self.journals[_DESK] = MemoryJournal(_DESK)
        self.terminals[_DESK] = _DESK_TERMINAL

    @property
    def size(self) -> int:
        """How many records the day has."""
        return self.cards * (1 + DEBITS)

    def now(self) -> datetime:
        """The time of the tap under way."""
        return FIRST_TAP + timedelta(seconds=self._ticks * _OPEN_S // self.size)

    def play(self) -> None:
        """The whole day. Raises AssertionError if a terminal refuses."""
        cards = [self._card(number) for number in range(self.cards)]
        for card in cards:
            self._top_up(card)
        for _ in range(TRIPS):
            for direction in Direction:
                for card in cards:
                    self._tap(card, direction)
        for act in self._acts():
            for card in cards:
                act(card)
                card.power_off()
                self._ticks += 1

    def _acts(self) -> Iterator[Callable[[Card], None]]:
        """What all cards do, one after the other, when they have been by metro."""
        first, second = _VEHICLES
        yield self._entering
        yield partial(self._by_bus, first, Door.BOARD)
        yield partial(self._by_bus, first, Door.ALIGHT)
        yield partial(self._by_bus, first, Door.BOARD)  # and not tapped off
        yield partial(self._by_bus, second, Door.BOARD)
        yield partial(self._by_bus, second, Door.ALIGHT)
        yield partial(self._by_bus, second, Door.SINGLE)
        yield lambda card: self._at_desk(card, self._staff.over_time())
        yield self._leaving
        yield self._entering
        yield lambda card: self._at_desk(card, self._staff.missing_exit())
        yield lambda card: self._at_desk(card, self._staff.missing_entry(self._stations[0]))
        yield self._leaving

    def batches(self, most: int = 1000) -> Iterator[tuple[bytes, list[TapRecord]]]:
        """Every terminal's records, in parts."""
        for gate, journal in self.journals.items():
            for start in range(0, len(journal.records), most):
                yield gate, journal.records[start : start + most]

    def _card(self, number: int) -> Card:
        profile = fixtures.load_profile("student")
        serial = bytes.fromhex(f"031052280099{number:08d}")
        return personalise(replace(profile, serial=serial), self._roots, self._env)

    def _gate(self, station: Station, direction: Direction, number: int) -> Gate:
        sam, journal = self._device(b"GATE%04d" % number, f"300{station.line:02d}{number:07d}")
        config = GateConfig(self._network, station, direction, LAB_WHITE_LIST)
        return Gate(config, sam, self.now, journal)

    def _validator(self, vehicle: bytes, door: Door, number: int) -> Validator:
        sam, journal = self._device(b"DOOR%04d" % number, f"400{number:09d}")
        line = self._buses.line(_FLAT if door is Door.SINGLE else _STREET)
        config = BusConfig(self._buses, line, door, LAB_WHITE_LIST, vehicle)
        return Validator(config, sam, self.now, journal)

    def _staff_desk(self) -> Desk:
        sam, journal = self._device(b"STAFF001", "500000000001")
        config = GateConfig(self._network, self._stations[0], Direction.EXIT, LAB_WHITE_LIST)
        return Desk(config, sam, self.now, journal)

    def _device(self, name: bytes, number: str) -> tuple[Psam, MemoryJournal]:
        """A terminal's PSAM and journal. number: 12 digits."""
        terminal = bytes.fromhex(number)
        self.journals[name] = journal = MemoryJournal(name)
        self.terminals[name] = terminal
        return Psam(terminal, {1: self._roots["PMK"]}), journal

    def _tap(self, card: Card, direction: Direction) -> None:
        self._at_gate(card, direction)
        card.power_off()
        self._ticks += 1

    def _entering(self, card: Card) -> None:
        self._at_gate(card, Direction.ENTRY)

    def _leaving(self, card: Card) -> None:
        self._at_gate(card, Direction.EXIT)

    def _at_gate(self, card: Card, direction: Direction) -> None:
        station = self._source.choice(self._stations)
        _passed(self._gates[station, direction].pass_(InProcess(card)))

    def _by_bus(self, vehicle: bytes, door: Door, card: Card) -> None:
        validator = self._doors[vehicle, door]
        stop = self._source.choice(validator.config.line.stops)
        validator.at_stop(stop, Heading.UP)
        _passed(validator.pass_(InProcess(card)))

    def _at_desk(self, card: Card, operation: Txn[Outcome]) -> None:
        _passed(self._staff.serve_card(operation, InProcess(card)))

    def _top_up(self, card: Card) -> None:
        host = SoftLoadHost(self._roots["LMK"], self._roots["TMK"])

        def loading() -> Txn[tuple[PublicInfo, Receipt]]:
            info = yield from select_purse()
            at = Moment.of(self.now())
            return info, (yield from load(info, TOP_UP, host, _DESK_TERMINAL, at))

        info, receipt = run(loading(), {"card": InProcess(card)})
        self.journals[_DESK].add(load_record(info, receipt, _DESK, self._network.operator))
        card.power_off()
        self._ticks += 1


def _passed(outcome: Outcome) -> None:
    if outcome.verdict is not Verdict.PASS:
        raise AssertionError(f"a terminal refused: {outcome.reason} {outcome.detail}")

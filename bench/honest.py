"""Honest days of a small network: real taps of real cards at real gates, kept by their journals.

Cards are opened, topped up, and ride in waves: all enter, then all leave. One clock ticks through
the day, so every gate's records are in order. The same seed gives the same records.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
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
from issuer.loads import SoftLoadHost
from reader.fare import Station
from reader.gate import Direction, Gate, GateConfig, Verdict
from reader.journal import MemoryJournal
from reader.loading import load
from reader.psam import Psam
from reader.session import Txn, run
from reader.taprecord import TapRecord, load_record
from reader.transactions import Receipt, select_purse
from reader.transport.inprocess import InProcess

FIRST_TAP = datetime(2025, 9, 8, 5, 30, 0, tzinfo=SHANGHAI)
UPLOADED = datetime(2025, 9, 8, 23, 50, 0, tzinfo=SHANGHAI)
_OPEN_S = 17 * 3600
_DESK, _DESK_TERMINAL = b"DESK0001", bytes.fromhex("100000000001")
LINES, STEP = (0x02, 0x08), 5
"""Where people ride: every fifth station of two lines with the distance fare."""
TOP_UP, TRIPS = 10_000, 5
"""Fen each card is loaded with, and how often it rides: a load and ten taps a card."""


@dataclass
class Day:
    """A day in the making. journals: of every gate and of the desk, by name."""

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
        self.journals[_DESK] = MemoryJournal(_DESK)
        self.terminals[_DESK] = _DESK_TERMINAL

    @property
    def size(self) -> int:
        """How many records the day has."""
        return self.cards * (1 + 2 * TRIPS)

    def now(self) -> datetime:
        """The time of the tap under way."""
        return FIRST_TAP + timedelta(seconds=self._ticks * _OPEN_S // self.size)

    def play(self) -> None:
        """The whole day. Raises AssertionError if a gate does not open."""
        cards = [self._card(number) for number in range(self.cards)]
        for card in cards:
            self._top_up(card)
        for _ in range(TRIPS):
            for direction in (Direction.ENTRY, Direction.EXIT):
                for card in cards:
                    self._tap(card, direction)

    def batches(self, most: int = 1000) -> Iterator[tuple[bytes, list[TapRecord]]]:
        """Every gate's records, in parts."""
        for gate, journal in self.journals.items():
            for start in range(0, len(journal.records), most):
                yield gate, journal.records[start : start + most]

    def _card(self, number: int) -> Card:
        profile = fixtures.load_profile("student")
        serial = bytes.fromhex(f"031052280099{number:08d}")
        return personalise(replace(profile, serial=serial), self._roots, self._env)

    def _gate(self, station: Station, direction: Direction, number: int) -> Gate:
        name = b"GATE%04d" % number
        terminal = bytes.fromhex(f"300{station.line:02d}{number:07d}")
        self.journals[name] = journal = MemoryJournal(name)
        self.terminals[name] = terminal
        config = GateConfig(self._network, station, direction, LAB_WHITE_LIST)
        return Gate(config, Psam(terminal, {1: self._roots["PMK"]}), self.now, journal)

    def _tap(self, card: Card, direction: Direction) -> None:
        station = self._source.choice(self._stations)
        outcome = self._gates[station, direction].pass_(InProcess(card))
        if outcome.verdict is not Verdict.PASS:
            raise AssertionError(f"the gate did not open: {outcome.reason} {outcome.detail}")
        card.power_off()
        self._ticks += 1

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

"""People who ride anyhow and lose their cards anywhere: card, journals and clearing agree.

Whoever is told to tap again does so at the same terminal, as the screen says.
"""

from collections.abc import Callable
from datetime import datetime, timedelta
from random import Random

import pytest

import fixtures
from emulator.card.card import Card
from issuer.balance import balance_of, days
from issuer.faults import Fault
from issuer.tac import TacCheck
from reader.batch import build_batch
from reader.gate import Direction, Gate, GateConfig, Outcome, Reject, Verdict
from reader.journal import MemoryJournal
from reader.psam import Psam
from reader.session import Txn, run
from reader.staff import Desk
from reader.taprecord import Mark
from reader.terminal import Terminal
from reader.transport.base import CardLost
from reader.transport.decorators import CutPoint, Cutting
from reader.transport.inprocess import InProcess
from reader.trips import EP_ADJUST
from reader.validator import BusConfig, Door, Validator
from tests.books import clearing_at
from tests.buses import BUSES, FLAT, LINE, OTHER_VEHICLE, SUBURBAN, VEHICLE, logs_of
from tests.cards import new_card
from tests.gates import AWAY, HOME, NETWORK, WHITE_LIST

HELD, TAPS = 90_000, 60
"""Fen on the card, and what it is presented for: much of it is refused."""
FIRST = datetime(2025, 9, 8, 6, 0, 0)


class City:
    """Every terminal there is, with a journal and a PSAM each, and one clock."""

    def __init__(self, seed: int) -> None:
        self.source = Random(seed)
        self.at = FIRST
        self.journals: dict[bytes, MemoryJournal] = {}
        self.terminals: dict[bytes, bytes] = {}
        self.acts: list[tuple[Terminal, Callable[[], Txn[Outcome]]]] = []
        for station in (HOME, AWAY):
            for direction in Direction:
                config = GateConfig(NETWORK, station, direction, WHITE_LIST)
                self._add(Gate(config, *self._device()))
        for line, vehicle in ((LINE, VEHICLE), (LINE, OTHER_VEHICLE), (SUBURBAN, VEHICLE)):
            for door in (Door.BOARD, Door.ALIGHT):
                self._add(self._validator(line, door, vehicle))
        self._add(self._validator(FLAT, Door.SINGLE, OTHER_VEHICLE))
        desk = Desk(GateConfig(NETWORK, AWAY, Direction.EXIT, WHITE_LIST), *self._device())
        self.acts += [
            (desk, lambda: desk.missing_entry(HOME)),
            (desk, desk.missing_exit),
            (desk, desk.over_time),
        ]

    def _validator(self, line, door, vehicle) -> Validator:
        return Validator(BusConfig(BUSES, line, door, WHITE_LIST, vehicle), *self._device())

    def _add(self, terminal: Terminal) -> None:
        self.acts.append((terminal, terminal.tap))

    def _device(self) -> tuple[Psam, Callable[[], datetime], MemoryJournal]:
        name = b"CITY%04d" % len(self.journals)
        number = bytes.fromhex(f"6000{len(self.journals):08d}")
        self.journals[name] = journal = MemoryJournal(name)
        self.terminals[name] = number
        return Psam(number, {1: fixtures.load_roots()["PMK"]}), lambda: self.at, journal

    @property
    def records(self):
        return [record for journal in self.journals.values() for record in journal.records]

    def ride(self, card: Card) -> None:
        """Something anybody might do next, until the card was not lost at it."""
        self.at += timedelta(seconds=self.source.choice((1, 30, 700, 3_000, 15_000)))
        terminal, act = self.source.choice(self.acts)
        if isinstance(terminal, Validator):
            stops = terminal.config.line.stops
            terminal.at_stop(self.source.choice(stops), terminal.heading)
        while self._is_lost(terminal, act, card):
            self.at += timedelta(seconds=self.source.randint(1, 8))

    def _is_lost(self, terminal: Terminal, act: Callable[[], Txn[Outcome]], card: Card) -> bool:
        link = InProcess(card)
        if self.source.random() < 0.4:
            at, point = self.source.randint(1, 16), self.source.choice(list(CutPoint))
            link = Cutting(link, at, point, card.power_off)
        try:
            outcome = run(act(), {"card": link, "psam": terminal.psam})
        except CardLost:
            return True
        finally:
            card.power_off()
        return outcome.verdict is Verdict.TAP_AGAIN


@pytest.mark.parametrize("seed", range(40))
def test_card_journals_and_clearing_agree_whatever_people_do(seed):
    city, card = City(seed), new_card(balance=HELD)
    for _ in range(TAPS):
        city.ride(card)
        taken = [record for record in city.records if record.mark == Mark.TAKEN]
        assert len(taken) == card.purse.offline_seq
        assert sum(record.amount for record in taken) == HELD - card.purse.actual
    assert len(taken) > TAPS // 4
    assert [j.pending() for j in city.journals.values()] == [[]] * len(city.journals)
    assert all(map(TacCheck(fixtures.load_roots()["TMK"]).is_right, taken))
    newest = sorted(taken, key=lambda record: -record.counter)
    logged = [(log.trip_kind, log.amount, log.balance) for log in logs_of(card.image)]
    assert logged == [(r.trip, r.amount, r.after) for r in newest][: len(logged)]
    assert_cleared(city)
    assert_missed_once(newest[::-1])


def assert_cleared(city: City) -> None:
    clearing = clearing_at(":memory:")
    clearing.register(city.terminals.items())
    for name, journal in city.journals.items():
        if journal.records:
            assert clearing.receive(build_batch(name, journal.records), city.at).is_kept
    assert {f: n for f, n in clearing.examine().items() if not f.is_note} == {}
    for day in days(clearing.engine):
        assert balance_of(clearing.engine, day).is_balanced
    clearing.engine.dispose()


def assert_missed_once(records) -> None:
    """A bus fare is collected for a boarding that was not tapped off, once, and for no other."""
    boarded = None
    for record in records:
        if record.industry != 2 or record.trip == 6:
            continue
        if record.trip == 3:
            assert boarded is None, "a missed ride was forgotten"
            boarded = record
            continue
        assert boarded is not None, "a ride was charged twice"
        assert (record.origin_when, record.origin_line) == (boarded.when, boarded.line)
        if record.trip == EP_ADJUST:
            assert (record.operator, record.line) == (boarded.operator, boarded.line)
        boarded = None


def test_a_fare_whose_proof_another_bus_has_overwritten_is_found_by_clearing():
    """Nobody taps again, and the card keeps one proof of each kind: the books show the gap."""
    city, card = City(1), new_card(balance=HELD)
    doors = {
        (t.config.line, t.config.vehicle, t.config.door): t
        for t, _ in city.acts
        if isinstance(t, Validator)
    }
    board, alight = (doors[LINE, VEHICLE, door] for door in (Door.BOARD, Door.ALIGHT))
    other = doors[LINE, OTHER_VEHICLE, Door.BOARD]

    def tap(terminal: Validator) -> Outcome:
        city.at += timedelta(minutes=20)
        outcome = terminal.pass_(InProcess(card))
        card.power_off()
        return outcome

    tap(board)
    lost = Cutting(InProcess(card), 9, CutPoint.AFTER, card.power_off)
    assert alight.pass_(lost).verdict is Verdict.TAP_AGAIN
    assert (tap(other).missed, card.purse.actual) == (None, HELD - 50)
    assert tap(alight).reason is Reject.NOT_BOARDED  # asked for its proof: the card has none
    clearing = clearing_at(":memory:")
    for name, journal in city.journals.items():
        if journal.records:
            clearing.receive(build_batch(name, journal.records), city.at)
    found = clearing.examine()
    assert set(found) == {Fault.CARD_COUNTER_GAP}
    [day] = days(clearing.engine)
    assert not balance_of(clearing.engine, day).is_balanced
    clearing.engine.dispose()

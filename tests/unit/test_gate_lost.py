"""The card leaves the field: exactly one passage and one fare however often it is lost."""

from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import pytest

import fixtures
from apdu.commands import DEBIT
from apdu.files import EF1A, EF1E, RailTrip
from emulator.card.card import Card
from issuer.tac import tac_is_right
from reader import debits
from reader.gate import Direction, Gate, Outcome, Reject, Verdict
from reader.journal import MemoryJournal
from reader.psam import Psam
from reader.session import ProtocolError, StatusError
from reader.taprecord import Mark
from reader.transport.base import CardLost, ReaderFault, TransportError
from reader.transport.decorators import CutPoint, Cutting, Recording
from reader.transport.inprocess import InProcess
from reader.trips import ENTERED, EP_ENTRY, EP_EXIT, EXITED
from tests.cards import content_of, purse_in
from tests.gates import FARE, NOW, SERIAL, TERMINAL, case, passed, psam

POINTS = list(CutPoint)
OTHER_TERMINAL = bytes.fromhex("300089000341")


def commands(direction: Direction) -> list[bytes]:
    """What a whole tap sends to the card."""
    made = case(direction)
    link = Recording(InProcess(made.card()), lambda: 0)
    assert made.gate().pass_(link).verdict is Verdict.PASS
    return [e.command for e in link.seen]


COMMANDS = {direction: commands(direction) for direction in Direction}
CUTS = [(d, n, p) for d in Direction for n in range(1, len(COMMANDS[d]) + 1) for p in POINTS]
each_cut = pytest.mark.parametrize(
    ("direction", "at", "point"), CUTS, ids=[f"{d.value}-{n}-{p.name}" for d, n, p in CUTS]
)


def lose(gate: Gate, card: Card, at: int, point: CutPoint) -> Outcome | None:
    """One tap cut at a command. None if the gate learnt only that the card is gone."""

    def leave() -> None:
        card.power_off()
        card.power_on()

    try:
        return gate.pass_(Cutting(InProcess(card), at, point, leave))
    except CardLost:
        return None


def assert_passed_once(direction: Direction, card: Card, start: Any) -> None:
    """The trip record is right, one number is used, one trip is logged, one fare is paid."""
    purse, before = card.purse, purse_in(start)
    assert purse.offline_seq == before.offline_seq + 1
    assert len(content_of(card.image, EF1E.sfi)) == len(content_of(start, EF1E.sfi)) + 1
    trip = RailTrip.parse(content_of(card.image, EF1A.sfi)[0])
    if direction is Direction.ENTRY:
        assert (purse.actual, trip.state) == (before.actual, ENTERED)
    else:
        assert (purse.actual, trip.state) == (before.actual - FARE, EXITED)


def test_every_tap_ends_with_the_debit():
    for sent in COMMANDS.values():
        assert [c[1] == DEBIT.ins for c in sent] == [False] * (len(sent) - 1) + [True]


@each_cut
def test_after_the_next_tap_the_passenger_has_passed_exactly_once(direction, at, point):
    made = case(direction)
    gate, card = made.gate(), made.card()
    start = card.image
    first = lose(gate, card, at, point)
    is_debit = at == len(COMMANDS[direction])
    assert (first is not None) == is_debit
    if first is not None:
        assert first.verdict is Verdict.TAP_AGAIN
        assert list(gate.unresolved) == [SERIAL]
    assert (card.image is not start) == (is_debit and point is CutPoint.AFTER)
    second = passed(gate, card)
    assert second.verdict is Verdict.PASS
    assert second.receipt.recovered == (is_debit and point is CutPoint.AFTER)
    assert tac_is_right(second.receipt, fixtures.load_roots()["TMK"])
    assert second.receipt.balance == card.purse.actual
    assert gate.unresolved == {}
    assert_passed_once(direction, card, start)


@each_cut
def test_a_third_tap_charges_nothing_and_opens_nothing(direction, at, point):
    made = case(direction)
    gate, card = made.gate(), made.card()
    lose(gate, card, at, point)
    assert passed(gate, card).verdict is Verdict.PASS
    after = card.image
    third = passed(gate, card)
    expected = Reject.ALREADY_ENTERED if direction is Direction.ENTRY else Reject.NOT_ENTERED
    assert third.reason is expected
    assert card.image is after


@each_cut
def test_losing_the_card_twice_in_a_row_changes_nothing_of_that(direction, at, point):
    for second_at in range(1, len(COMMANDS[direction]) + 3):
        for second_point in POINTS:
            made = case(direction)
            gate, card = made.gate(), made.card()
            start = card.image
            lose(gate, card, at, point)
            second = lose(gate, card, second_at, second_point)
            if second is None or second.verdict is not Verdict.PASS:
                assert passed(gate, card).verdict is Verdict.PASS
            assert_passed_once(direction, card, start)
            assert gate.unresolved == {}


@each_cut
def test_another_gate_does_not_charge_again(direction, at, point):
    made = case(direction)
    gate, other, card = made.gate(), made.gate(), made.card()
    start = card.image
    lose(gate, card, at, point)
    paid = card.image is not start
    outcome = passed(other, card)
    assert (outcome.verdict is Verdict.PASS) != paid
    assert_passed_once(direction, card, start)


@pytest.mark.parametrize("direction", Direction, ids=lambda d: d.name)
def test_a_lost_debit_that_another_gate_has_overtaken_is_forgotten(direction):
    """The first gate's DEBIT never reached the card, so the other gate's got its number.

    The first gate then finds a proof under that number, which is not its own: nothing of its own
    was taken.
    """
    made = case(direction)
    gate, other, card = made.gate(), made.gate(), made.card()
    other.psam = other.debits.psam = Psam(OTHER_TERMINAL, {1: fixtures.load_roots()["PMK"]})
    start = card.image
    lose(gate, card, len(COMMANDS[direction]), CutPoint.BEFORE)
    assert passed(other, card).verdict is Verdict.PASS
    assert passed(gate, card).verdict is Verdict.REJECT
    assert gate.unresolved == {}
    assert_passed_once(direction, card, start)


def elsewhere(direction: Direction) -> Gate:
    """A gate with another PSAM."""
    gate = case(direction).gate()
    gate.psam = gate.debits.psam = Psam(OTHER_TERMINAL, {1: fixtures.load_roots()["PMK"]})
    return gate


def with_journal(direction: Direction, journal: MemoryJournal, sam: Psam) -> Gate:
    return Gate(case(direction).gate().config, sam, lambda: NOW, journal)


ROUNDS = [
    (Direction.EXIT, (Direction.ENTRY,)),
    (Direction.EXIT, (Direction.ENTRY, Direction.EXIT)),
    (Direction.ENTRY, (Direction.EXIT,)),
    (Direction.ENTRY, (Direction.EXIT, Direction.ENTRY, Direction.EXIT)),
    (Direction.EXIT, (Direction.ENTRY, Direction.EXIT) * 5),
]


@pytest.mark.parametrize(("direction", "others"), ROUNDS)
def test_a_debit_that_was_taken_is_never_void_though_its_proof_is_gone(direction, others):
    """A card proves its last transaction alone: after others it answers 9406 for ours too."""
    journal, sam, card = MemoryJournal(b"GATE0001"), psam(), case(direction).card()
    gate = with_journal(direction, journal, sam)
    lose(gate, card, len(COMMANDS[direction]), CutPoint.AFTER)
    for other in others:
        assert passed(elsewhere(other), card).verdict is Verdict.PASS
    outcome = passed(gate, card)
    is_over = others[-1] is not direction
    assert outcome.verdict is (Verdict.PASS if is_over else Verdict.REJECT)
    assert gate.unresolved == {}
    assert [record.amount for record in journal.pending()] == [
        0 if direction is Direction.ENTRY else FARE
    ]
    assert all(record.mark == Mark.TAKEN for record in journal.records)


def test_a_debit_that_was_not_taken_is_void_however_many_others_were():
    journal, sam, card = MemoryJournal(b"GATE0001"), psam(), case(Direction.ENTRY).card()
    gate = with_journal(Direction.ENTRY, journal, sam)
    lose(gate, card, len(COMMANDS[Direction.ENTRY]), CutPoint.BEFORE)
    for other in (Direction.ENTRY, Direction.EXIT):
        assert passed(elsewhere(other), card).verdict is Verdict.PASS
    assert passed(gate, card).verdict is Verdict.PASS
    assert [record.mark for record in journal.records] == [Mark.VOID, Mark.TAKEN]
    assert journal.pending() == []


@pytest.mark.parametrize("direction", Direction, ids=lambda d: d.name)
def test_a_spoilt_proof_leaves_the_debit_to_the_next_tap(direction):
    made = case(direction)
    gate, card = made.gate(), made.card()
    lose(gate, card, len(COMMANDS[direction]), CutPoint.AFTER)
    with pytest.raises(ProtocolError, match="MAC2 is not that of the debit"):
        gate.pass_(Broken(card, 3, lambda r: bytes((r[0] ^ 1, *r[1:]))))
    card.power_off()
    assert passed(gate, card).receipt.recovered


@pytest.mark.parametrize("direction", Direction, ids=lambda d: d.name)
def test_a_psam_that_was_powered_off_still_checks_its_last_debit(direction):
    made = case(direction)
    gate, card = made.gate(), made.card()
    lose(gate, card, len(COMMANDS[direction]), CutPoint.AFTER)
    gate.psam.power_on()
    outcome = passed(gate, card)
    assert outcome.verdict is Verdict.PASS, outcome.detail
    assert outcome.receipt.recovered


def test_a_gate_that_was_reversed_lets_nobody_out_on_the_debit_of_an_entry():
    journal, sam, card = MemoryJournal(b"GATE0001"), psam(), case(Direction.ENTRY).card()
    way_in = with_journal(Direction.ENTRY, journal, sam)
    lose(way_in, card, len(COMMANDS[Direction.ENTRY]), CutPoint.AFTER)
    way_out = with_journal(Direction.EXIT, journal, sam)
    outcome = passed(way_out, card)
    assert (outcome.verdict, outcome.receipt.recovered) == (Verdict.PASS, False)
    assert [record.trip for record in journal.records] == [EP_ENTRY, EP_EXIT]
    assert outcome.fare == journal.records[1].amount > 0


def test_a_gate_that_was_reversed_lets_nobody_in_on_the_debit_of_an_exit():
    journal, sam, card = MemoryJournal(b"GATE0001"), psam(), case(Direction.EXIT).card()
    way_out = with_journal(Direction.EXIT, journal, sam)
    lose(way_out, card, len(COMMANDS[Direction.EXIT]), CutPoint.AFTER)
    way_in = with_journal(Direction.ENTRY, journal, sam)
    outcome = passed(way_in, card)
    assert (outcome.verdict, outcome.receipt.recovered) == (Verdict.PASS, False)
    assert [record.trip for record in journal.records] == [EP_EXIT, EP_ENTRY]
    assert way_in.months.total(SERIAL).paid == FARE, "the exit counts in the month"


@pytest.mark.parametrize("direction", Direction, ids=lambda d: d.name)
def test_a_debt_of_one_card_is_not_asked_of_another(direction):
    made = case(direction)
    gate, lost = made.gate(), made.card()
    lose(gate, lost, len(COMMANDS[direction]), CutPoint.AFTER)
    made.profile["serial"] = bytes.fromhex("03105228009900000018")
    other = made.card()
    outcome = passed(gate, other)
    assert outcome.verdict is Verdict.PASS
    assert not outcome.receipt.recovered
    assert list(gate.unresolved) == [SERIAL]
    assert passed(gate, lost).receipt.recovered


def test_the_oldest_lost_debit_is_forgotten_first(monkeypatch):
    monkeypatch.setattr(debits, "MOST_UNRESOLVED", 2)
    made = case(Direction.ENTRY)
    gate = made.gate()
    serials = [SERIAL[:-1] + bytes((n,)) for n in (1, 2, 3)]
    for serial in serials:
        made.profile["serial"] = serial
        lose(gate, made.card(), len(COMMANDS[Direction.ENTRY]), CutPoint.AFTER)
    assert list(gate.unresolved) == serials[1:]


@pytest.mark.parametrize("many", [1, 15, 16, 40])
def test_a_lost_debit_is_resolved_however_many_cards_came_and_went_since(many):
    made = case(Direction.EXIT)
    gate, card = made.gate(), made.card()
    last = len(COMMANDS[Direction.EXIT])
    lose(gate, card, last, CutPoint.AFTER)
    for n in range(many):
        made.profile["serial"] = SERIAL[:-1] + bytes.fromhex(f"{30 + n}")
        lose(gate, made.card(), last - 1, CutPoint.BEFORE)
    assert passed(gate, card).receipt.recovered


@dataclass
class Broken:
    """Breaks the n-th answer in a way of its own; the card has acted."""

    card: Card
    at: int
    how: Callable[[bytes], bytes]
    count: int = 0

    def transmit(self, command: bytes) -> bytes:
        self.count += 1
        response = self.card.process(command)
        return self.how(response) if self.count == self.at else response


def fault(response: bytes) -> bytes:
    raise ReaderFault("the reader was pulled out")


@pytest.mark.parametrize(
    "how",
    [
        lambda r: r[:5] + r[-2:],
        lambda r: b"",
        fault,
        lambda r: r[:4] + b"\x61\x90",
        lambda r: b"\x61\x08",
        lambda r: r[:4] + b"\x69\x85",
    ],
    ids=["cut short", "empty", "fault", "like 61", "61 alone", "like a refusal"],
)
def test_a_debit_whose_answer_is_spoilt_is_recovered_too(how):
    made = case(Direction.EXIT)
    gate, card = made.gate(), made.card()
    with suppress(ProtocolError, TransportError):
        gate.pass_(Broken(card, len(COMMANDS[Direction.EXIT]), how))
    card.power_off()
    outcome = passed(gate, card)
    assert outcome.verdict is Verdict.PASS, outcome.reason
    assert outcome.receipt.recovered


@each_cut
def test_a_spoilt_answer_never_costs_two_fares(direction, at, point):
    made = case(direction)
    gate, card = made.gate(), made.card()
    start = card.image
    with suppress(ProtocolError, StatusError):
        gate.pass_(Broken(card, at, lambda r: r[:1]))
    card.power_off()
    passed(gate, card)
    assert_passed_once(direction, card, start)


def test_a_card_with_a_foreign_key_is_refused_and_not_passed():
    made = case(Direction.ENTRY)
    gate = made.gate()
    gate.psam = Psam(TERMINAL, {1: fixtures.load_roots()["LMK"]})
    outcome = passed(gate, made.card())
    assert (outcome.verdict, outcome.reason) == (Verdict.REJECT, Reject.CARD_REFUSED)
    assert "9302" in outcome.detail

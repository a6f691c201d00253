"""Cards lost at a bus or a desk: one ride, one charge, a missed fare once (protocol reference 6.8).

Each act is cut at every command and point, once and twice, with and without a restart between.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import pytest

import fixtures
from apdu.commands import DEBIT
from emulator.card.card import Card
from issuer.tac import TacCheck
from reader.gate import Direction, Gate, GateConfig, Outcome, Verdict
from reader.journal import Journal, TapJournal, read_records
from reader.psam import Psam
from reader.taprecord import Mark
from reader.terminal import Terminal
from reader.transport.base import CardLost, Transport
from reader.transport.decorators import CutPoint, Cutting, Recording
from reader.transport.inprocess import InProcess
from reader.trips import ALIGHTED, BOARDED, ENTERED
from reader.validator import Door
from tests import buses, gates
from tests.buses import FARES, MISSED, NO_RIDE, OTHER_TERMINAL, case, logs_of, missed_case, trip_of
from tests.cards import purse_in
from tests.staff_desk import CHARGES, STATES, Operation, need, rail_trip_of, served_over

POINTS = list(CutPoint)
NAME = b"LOST0001"


@dataclass(frozen=True)
class Act:
    """One thing done with a card at a terminal.

    debits: how many it makes. spent: fen, all of them together.
    is_done: whether a card's image shows it as done.
    """

    name: str
    card: Callable[[], Card]
    terminal: Callable[[TapJournal | None, Psam], Terminal]
    serve: Callable[[Terminal, Transport], Outcome]
    spent: int
    is_done: Callable[[Any], bool]
    debits: int = 1

    def sam(self, number: bytes = gates.TERMINAL) -> Psam:
        return buses.psam(number)


def of_bus(name: str, made: Any, spent: int, state: int, debits: int = 1) -> Act:
    return Act(
        name,
        made.card,
        made.validator,
        lambda terminal, link: terminal.pass_(link),
        spent,
        lambda image: trip_of(image).state == state,
        debits,
    )


def of_desk(operation: Operation) -> Act:
    made = need(operation)
    return Act(
        operation.value,
        made.card,
        made.desk,
        lambda terminal, link: served_over(terminal, operation, link),  # type: ignore[arg-type]
        CHARGES[operation],
        lambda image: rail_trip_of(image).state == STATES[operation],
    )


def of_gate() -> Act:
    """An entry at a gate that charges for the exit that is missing."""
    made = gates.case(Direction.ENTRY)
    made.trip = gates.INSIDE
    policy = replace(gates.NO_PASSBACK, missing_exit_rail="charge")

    def terminal(journal: TapJournal | None, sam: Psam) -> Gate:
        config = GateConfig(gates.NETWORK, gates.HOME, Direction.ENTRY, gates.WHITE_LIST)
        return Gate(replace(config, policy=policy), sam, lambda: gates.NOW, journal)

    return Act(
        "charge",
        made.card,
        terminal,
        lambda terminal, link: terminal.pass_(link),
        policy.missing_exit_fare,
        lambda image: rail_trip_of(image).state == ENTERED,
        debits=2,
    )


MISSED_ACT = of_bus("missed", missed_case(), MISSED, BOARDED, debits=2)
SINGLE_ACT = of_bus("single", case(Door.SINGLE), FARES[Door.SINGLE], NO_RIDE.state)
ACTS = [
    of_bus("board", case(Door.BOARD), 0, BOARDED),
    of_bus("alight", case(Door.ALIGHT), FARES[Door.ALIGHT], ALIGHTED),
    SINGLE_ACT,
    MISSED_ACT,
    *map(of_desk, Operation),
    of_gate(),
]


def commands(act: Act) -> list[bytes]:
    """What the whole act sends to the card."""
    link = Recording(InProcess(act.card()), lambda: 0)
    assert act.serve(act.terminal(None, act.sam()), link).verdict is Verdict.PASS
    return [e.command for e in link.seen]


COMMANDS = {act.name: commands(act) for act in ACTS}
CUTS = [(act, n, p) for act in ACTS for n in range(1, len(COMMANDS[act.name]) + 1) for p in POINTS]
each_cut = pytest.mark.parametrize(
    ("act", "at", "point"), CUTS, ids=[f"{a.name}-{n}-{p.name}" for a, n, p in CUTS]
)


TOLD = [cut for cut in CUTS if cut[0].name != "charge"]
"""Where the card tells that it is done. At such a gate it does not: a second entry there is another
one, which charges."""
each_told_cut = pytest.mark.parametrize(
    ("act", "at", "point"), TOLD, ids=[f"{a.name}-{n}-{p.name}" for a, n, p in TOLD]
)


def lose(act: Act, terminal: Terminal, card: Card, at: int, point: CutPoint) -> Outcome | None:
    """The act, cut at a command. None if the terminal learnt only that the card is gone."""

    def leave() -> None:
        card.power_off()
        card.power_on()

    try:
        return act.serve(terminal, Cutting(InProcess(card), at, point, leave))
    except CardLost:
        return None


def again(act: Act, terminal: Terminal, card: Card) -> Outcome:
    outcome = act.serve(terminal, InProcess(card))
    card.power_off()
    return outcome


def assert_once(act: Act, card: Card, start: Any) -> None:
    """As many numbers, trip records and fen are gone as the act has, and it is done."""
    purse, before = card.purse, purse_in(start)
    assert purse.offline_seq == before.offline_seq + act.debits
    assert len(logs_of(card.image)) == len(logs_of(start)) + act.debits
    assert purse.actual == before.actual - act.spent
    assert act.is_done(card.image)


def test_every_act_has_its_debits():
    for act in ACTS:
        sent = COMMANDS[act.name]
        assert sum(command[1] == DEBIT.ins for command in sent) == act.debits
        assert sent[-1][1] == DEBIT.ins


@each_cut
def test_after_the_next_tap_it_is_done_exactly_once(act, at, point):
    terminal, card = act.terminal(None, act.sam()), act.card()
    start = card.image
    lose(act, terminal, card, at, point)
    second = again(act, terminal, card)
    assert second.verdict is Verdict.PASS
    assert terminal.unresolved == {}
    assert_once(act, card, start)


@each_cut
def test_what_the_outcomes_say_was_charged_is_what_the_card_lost(act, at, point):
    """But for what a card proves later: its receipt says how much, and a journal has it."""
    terminal, card = act.terminal(None, act.sam()), act.card()
    first = lose(act, terminal, card, at, point)
    lost = 5000 - card.purse.actual
    said = first.charged if first is not None else 0
    is_unknown = bool(terminal.unresolved)
    assert said == lost or (is_unknown and point is CutPoint.AFTER)


@each_told_cut
def test_a_third_tap_charges_nothing(act, at, point):
    terminal, card = act.terminal(None, act.sam()), act.card()
    lose(act, terminal, card, at, point)
    again(act, terminal, card)
    after = card.image
    third = again(act, terminal, card)
    assert third.repeated or third.verdict is Verdict.REJECT
    assert card.image is after


@each_cut
def test_losing_the_card_twice_in_a_row_changes_nothing_of_that(act, at, point):
    for second_at in range(1, len(COMMANDS[act.name]) + 3):
        for second_point in POINTS:
            terminal, card = act.terminal(None, act.sam()), act.card()
            start = card.image
            lose(act, terminal, card, at, point)
            second = lose(act, terminal, card, second_at, second_point)
            if second is None or second.verdict is not Verdict.PASS:
                assert again(act, terminal, card).verdict is Verdict.PASS
            assert_once(act, card, start)
            assert terminal.unresolved == {}


@each_cut
def test_a_terminal_that_was_started_anew_finishes_it_and_its_journal_is_whole(
    act, at, point, tmp_path: Path
):
    path, sam, card = tmp_path / "journal", act.sam(), act.card()
    start = card.image
    with Journal(path, NAME, gates.TERMINAL) as journal:
        lose(act, act.terminal(journal, sam), card, at, point)
    with Journal(path, NAME, gates.TERMINAL) as journal:
        terminal = act.terminal(journal, sam)
        assert again(act, terminal, card).verdict is Verdict.PASS
        assert (journal.pending(), terminal.unresolved) == ([], {})
    assert_once(act, card, start)
    records = list(read_records(path))
    taken = [record for record in records if record.mark == Mark.TAKEN]
    assert [r.terminal_seq for r in records] == sorted(r.terminal_seq for r in records)
    assert len(taken) == act.debits
    assert sum(record.amount for record in taken) == act.spent
    assert all(map(TacCheck(fixtures.load_roots()["TMK"]).is_right, taken))


@each_told_cut
def test_a_terminal_that_forgot_everything_does_not_charge_again(act, at, point):
    """Its journal was kept and it died before the barrier opened: the card proves the rest."""
    sam, card = act.sam(), act.card()
    start = card.image
    lose(act, act.terminal(None, sam), card, at, point)
    again(act, act.terminal(None, sam), card)
    assert_once(act, card, start)


@pytest.mark.parametrize(
    ("act", "at", "point"),
    [cut for cut in TOLD if cut[0] is not SINGLE_ACT],
    ids=[f"{a.name}-{n}-{p.name}" for a, n, p in TOLD if a is not SINGLE_ACT],
)
def test_another_terminal_in_between_does_not_charge_again(act, at, point):
    """The other door's validator, or the desk's second window; then the first one once more."""
    terminal, card = act.terminal(None, act.sam()), act.card()
    other = act.terminal(None, act.sam(OTHER_TERMINAL))
    start = card.image
    lose(act, terminal, card, at, point)
    again(act, other, card)
    assert_once(act, card, start)
    again(act, terminal, card)
    assert_once(act, card, start)
    assert terminal.unresolved == {}


def test_a_flat_fare_lost_at_one_validator_is_taken_by_another_and_both_are_told():
    """EF1E names no vehicle: another validator cannot know that it is the same bus."""
    act = SINGLE_ACT
    terminal, card = act.terminal(None, act.sam()), act.card()
    lose(act, terminal, card, len(COMMANDS[act.name]), CutPoint.AFTER)
    assert again(act, act.terminal(None, act.sam(OTHER_TERMINAL)), card).fare == act.spent
    assert card.purse.actual == 5000 - 2 * act.spent


@pytest.mark.parametrize("point", POINTS)
def test_a_collection_that_is_recovered_goes_on_with_the_boarding_in_one_tap(point):
    act = MISSED_ACT
    terminal, card = act.terminal(None, act.sam()), act.card()
    first_debit = next(n for n, c in enumerate(COMMANDS[act.name], 1) if c[1] == DEBIT.ins)
    first = lose(act, terminal, card, first_debit, point)
    assert first is not None
    assert (first.verdict, first.charged) == (Verdict.TAP_AGAIN, 0)
    second = again(act, terminal, card)
    assert (second.verdict, second.receipt.amount) == (Verdict.PASS, 0)
    assert trip_of(card.image).board_vehicle == buses.VEHICLE
    assert (second.missed is None) == (point is CutPoint.AFTER)


def test_a_debt_of_one_card_is_not_asked_of_another():
    made = case(Door.ALIGHT)
    validator, lost = made.validator(), made.card()
    act = replace(ACTS[1], terminal=partial(lambda *_: validator))
    lose(act, validator, lost, len(COMMANDS["alight"]), CutPoint.AFTER)
    made.profile["serial"] = bytes.fromhex("03105228009900000018")
    outcome = again(act, validator, made.card())
    assert (outcome.verdict, outcome.receipt.recovered) == (Verdict.PASS, False)
    assert again(act, validator, lost).receipt.recovered

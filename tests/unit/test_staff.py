"""The staff desk: what gates refuse and people put right, each as one debit."""

from collections.abc import Callable
from dataclasses import replace
from datetime import date, datetime, timedelta
from itertools import combinations
from typing import Any

import pytest

import fixtures
from apdu.bcd import Moment
from emulator.card.state import Blocked
from issuer.tac import TacCheck, tac_is_right
from reader.checks import MONEY
from reader.gate import Direction, Reject, Verdict
from reader.journal import MemoryJournal
from reader.modes import Mode
from reader.policy import Policy
from reader.psam import Psam
from reader.staff import DESK_CHECKS
from reader.taprecord import Mark
from reader.transport.decorators import CutPoint, Cutting
from reader.transport.inprocess import InProcess
from tests.buses import logs_of
from tests.cards import new_card
from tests.gates import (
    AWAY,
    FARE,
    HOME,
    NETWORK,
    NO_PASSBACK,
    NOW,
    OUTSIDE,
    SERIAL,
    TERMINAL,
    gate_at,
    passed,
    psam,
)
from tests.staff_desk import (
    CHARGES,
    LONG_INSIDE,
    RUN,
    STATES,
    Need,
    Operation,
    desk,
    need,
    rail_trip_of,
    served,
)
from tests.vectors.ladders import sam_keys

DESK = b"STAFF001"
each_operation = pytest.mark.parametrize("operation", Operation, ids=lambda o: o.name)


# What it does


@each_operation
def test_an_operation_is_one_debit_with_its_record_and_a_right_tac(operation):
    made, journal = need(operation), MemoryJournal(DESK)
    card = made.card()
    outcome = served(made.desk(journal), operation, card)
    assert (outcome.verdict, outcome.charged) == (Verdict.PASS, CHARGES[operation])
    assert tac_is_right(outcome.receipt, fixtures.load_roots()["TMK"])
    assert card.purse.actual == 5000 - CHARGES[operation] == outcome.receipt.balance
    trip, [log] = rail_trip_of(card.image), logs_of(card.image)
    assert trip.state == STATES[operation]
    assert (log.trip_kind, log.industry, log.amount) == (8, 1, CHARGES[operation])
    assert (log.terminal[2:], log.station) == (TERMINAL, bytes((AWAY.code, 0)))
    [record] = journal.records
    assert (record.mark, record.trip, record.amount) == (Mark.TAKEN, 8, CHARGES[operation])
    assert (record.gate, record.operator) == (DESK, NETWORK.operator)
    assert TacCheck(fixtures.load_roots()["TMK"]).is_right(record)


def test_with_the_entry_it_lacked_a_card_leaves_for_the_fare_of_its_ride():
    card = need(Operation.MISSING_ENTRY).card()
    way_out = gate_at(Direction.EXIT)
    assert passed(way_out, card).reason is Reject.NOT_ENTERED
    card.power_off()
    assert served(desk(), Operation.MISSING_ENTRY, card).verdict is Verdict.PASS
    trip = rail_trip_of(card.image)
    assert (trip.entry_line, trip.entry_time) == (HOME.line, Moment.of(NOW).both)
    assert trip.max_fare == NETWORK.max_fare_from(HOME)
    outcome = passed(way_out, card)
    assert (outcome.verdict, outcome.fare) == (Verdict.PASS, FARE)


@pytest.mark.parametrize(
    ("entered_at", "written"),
    [
        (datetime(2025, 9, 8, 7, 0), datetime(2025, 9, 8, 7, 0)),
        (NOW + timedelta(hours=3), NOW),
        (None, NOW),
    ],
)
def test_the_entry_is_of_the_time_the_passenger_says_but_never_of_one_to_come(entered_at, written):
    card, at = new_card(), desk()
    at.serve_card(at.missing_entry(HOME, entered_at), InProcess(card))
    assert rail_trip_of(card.image).entry_time == Moment.of(written).both


def test_a_missing_entry_may_cost_what_the_policy_says():
    card = new_card()
    outcome = served(desk(policy=Policy(missing_entry_fare=200)), Operation.MISSING_ENTRY, card)
    assert (outcome.fare, card.purse.actual) == (200, 4800)


def test_with_the_exit_it_lacked_a_card_may_enter_again():
    card = need(Operation.MISSING_EXIT).card()
    way_in = gate_at(Direction.ENTRY)
    assert passed(way_in, card).reason is Reject.ALREADY_ENTERED
    card.power_off()
    assert served(desk(), Operation.MISSING_EXIT, card).verdict is Verdict.PASS
    trip = rail_trip_of(card.image)
    assert (trip.exit_amount, trip.exit_line, trip.entry_line) == (300, AWAY.line, HOME.line)
    assert passed(way_in, card).verdict is Verdict.PASS
    assert card.purse.actual == 4700


def test_after_the_over_time_is_paid_the_stay_begins_anew_and_the_exit_takes_the_fare():
    card = need(Operation.OVER_TIME).card()
    way_out = gate_at(Direction.EXIT)
    assert passed(way_out, card).reason is Reject.OVER_TIME
    card.power_off()
    assert served(desk(), Operation.OVER_TIME, card).charged == 300
    trip = rail_trip_of(card.image)
    assert trip.entry_time == Moment.of(NOW).both
    assert trip == replace(
        LONG_INSIDE, state=3, entry_time=trip.entry_time, trip_serial=trip.trip_serial
    )
    assert served(desk(sam=psam(9)), Operation.OVER_TIME, card).reason is Reject.NOT_OVER_TIME
    assert passed(way_out, card).fare == FARE
    assert card.purse.actual == 5000 - 300 - FARE


@pytest.mark.parametrize(("seconds", "is_due"), [(0, False), (1, True)])
def test_four_hours_are_not_too_long_and_a_second_more_is(seconds, is_due):
    entered_at = NOW - timedelta(hours=4, seconds=seconds)
    made = need(Operation.OVER_TIME)
    made.trip = replace(LONG_INSIDE, entry_time=Moment.of(entered_at).both)
    card = made.card()
    before = card.image
    outcome = served(made.desk(), Operation.OVER_TIME, card)
    assert (outcome.reason is Reject.NOT_OVER_TIME) == (not is_due)
    assert (card.image is before) == (not is_due)


# What it refuses

Fault = Callable[[Need], None]


def of_profile(**fields: Any) -> Fault:
    return lambda made: made.profile.update(fields)


def of_config(**fields: Any) -> Fault:
    return lambda made: made.config.update(fields)


def of_trip(**fields: Any) -> Fault:
    return lambda made: setattr(made, "trip", replace(made.trip, **fields))


COMMON: dict[Reject, Fault] = {
    Reject.BLOCKED: lambda made: setattr(made, "blocked", Blocked.TEMPORARY),
    Reject.ISSUER_UNKNOWN: of_config(white_list=frozenset({("01011000", "31052280")})),
    Reject.IIN_MISMATCH: of_config(white_list=frozenset({("09981001", "31051700")})),
    Reject.NOT_ENABLED: of_profile(enabled=0),
    Reject.BLACKLISTED: of_config(blacklist=frozenset({SERIAL})),
    Reject.NOT_INTEROPERABLE: of_profile(city=bytes.fromhex("2900"), interop=False),
    Reject.KIND_NOT_ACCEPTED: of_config(policy=Policy(kinds_accepted=("normal",))),
    Reject.TRIP_LOCKED: of_trip(lock=1),
    Reject.BALANCE_IMPLAUSIBLE: of_profile(balance=100_001, ceiling=200_000),
    Reject.CARD_REFUSED: of_profile(offline_seq=0xFFFF),
}
PAID = COMMON | {
    Reject.NOT_ENTERED: of_trip(state=2),
    Reject.ZERO_BALANCE: of_profile(balance=0),
    Reject.BALANCE_TOO_LOW: of_profile(balance=299),
}
FAULTS: dict[Operation, dict[Reject, Fault]] = {
    Operation.MISSING_ENTRY: COMMON | {Reject.ALREADY_ENTERED: of_trip(state=1)},
    Operation.MISSING_EXIT: PAID,
    Operation.OVER_TIME: PAID
    | {
        Reject.STATION_UNKNOWN: of_trip(entry_city=b"\x11\x21"),
        Reject.NOT_OVER_TIME: of_trip(entry_time=Moment.of(NOW).both),
    },
}
ALIKE = [{Reject.ISSUER_UNKNOWN, Reject.IIN_MISMATCH}, set(MONEY)]
SINGLE = [(o, r) for o in Operation for r in Reject if r in FAULTS[o]]
PAIRS = [
    (operation, first, second)
    for operation in Operation
    for first, second in combinations([r for r in Reject if r in FAULTS[operation]], 2)
    if not any({first, second} <= group for group in ALIKE)
]


def test_every_reason_that_a_desk_declares_is_tried():
    asked = {reason for check in DESK_CHECKS for reason in check.refuses}
    for operation in Operation:
        assert asked < set(FAULTS[operation])


@pytest.mark.parametrize(
    ("operation", "reason"), SINGLE, ids=[f"{o.name}-{r.name}" for o, r in SINGLE]
)
def test_a_card_built_for_a_reason_is_refused_for_it_and_keeps_everything(operation, reason):
    made = need(operation)
    FAULTS[operation][reason](made)
    card = made.card()
    before = card.image
    outcome = served(made.desk(), operation, card)
    assert (outcome.verdict, outcome.reason) == (Verdict.REJECT, reason)
    assert (outcome.charged, outcome.receipt) == (0, None)
    assert card.image is before


@pytest.mark.parametrize(
    ("operation", "first", "second"),
    PAIRS,
    ids=[f"{o.name}-{a.name}-{b.name}" for o, a, b in PAIRS],
)
def test_of_two_reasons_the_one_declared_first_is_given(operation, first, second):
    made = need(operation)
    FAULTS[operation][second](made)
    FAULTS[operation][first](made)
    assert served(made.desk(), operation, made.card()).reason is first


@each_operation
def test_where_nothing_is_due_an_empty_card_is_served(operation):
    made = need(operation)
    made.profile = {"balance": 0}
    made.config = {"policy": Policy(missing_exit_fare=0)}
    outcome = served(made.desk(), operation, made.card())
    is_charged = operation is Operation.OVER_TIME
    assert outcome.reason is (Reject.ZERO_BALANCE if is_charged else None)


@pytest.mark.parametrize(
    "dates",
    [{"end_date": date(2025, 9, 7)}, {"start_date": date(2025, 9, 9)}],
    ids=["late", "early"],
)
@each_operation
def test_a_card_outside_its_dates_is_served_so_that_people_get_out(operation, dates):
    made = need(operation)
    made.profile = dates
    assert served(made.desk(), operation, made.card()).verdict is Verdict.PASS


@pytest.mark.parametrize("mode", Mode, ids=lambda m: m.value)
@each_operation
def test_the_modes_of_gates_do_not_hold_at_a_desk(operation, mode):
    made = need(operation)
    made.config = {"policy": Policy(modes=(mode.value,))}
    assert served(made.desk(), operation, made.card()).charged == CHARGES[operation]


def test_a_listed_card_is_blocked_with_the_key_for_it():
    made = need(Operation.MISSING_EXIT)
    made.config = {"blacklist": frozenset({SERIAL})}
    card, at = made.card(), made.desk(sam=Psam(TERMINAL, sam_keys()))
    outcome = served(at, Operation.MISSING_EXIT, card)
    assert (outcome.reason, outcome.detail) == (Reject.BLACKLISTED, "the card is blocked")
    assert served(at, Operation.MISSING_EXIT, card).reason is Reject.BLOCKED
    assert card.purse.actual == 5000


# The card leaves


def lose(operation: Operation, at: Any, card: Any, nth: int, point: CutPoint) -> Any:
    def leave() -> None:
        card.power_off()
        card.power_on()

    return at.serve_card(RUN[operation](at), Cutting(InProcess(card), nth, point, leave))


LAST = 10
"""The DEBIT of every operation."""


@each_operation
def test_a_lost_operation_is_proved_when_it_is_asked_for_again(operation):
    made, journal = need(operation), MemoryJournal(DESK)
    at, card = made.desk(journal), made.card()
    assert lose(operation, at, card, LAST, CutPoint.AFTER).verdict is Verdict.TAP_AGAIN
    second = served(at, operation, card)
    assert (second.verdict, second.receipt.recovered) == (Verdict.PASS, True)
    assert second.receipt.amount == CHARGES[operation]
    assert [r.mark for r in journal.records] == [Mark.TAKEN]
    assert card.purse.actual == 5000 - CHARGES[operation]


def test_one_operation_lost_does_not_stand_for_another():
    """Staff took the over-time, did not see it done, and then close the trip instead."""
    made = need(Operation.OVER_TIME)
    at, card = made.desk(), made.card()
    lose(Operation.OVER_TIME, at, card, LAST, CutPoint.AFTER)
    second = served(at, Operation.MISSING_EXIT, card)
    assert (second.verdict, second.receipt.recovered) == (Verdict.PASS, False)
    assert rail_trip_of(card.image).state == STATES[Operation.MISSING_EXIT]
    assert card.purse.actual == 5000 - 600


def test_two_operations_for_one_card_follow_each_other_at_once():
    card = new_card()
    at = desk(policy=replace(NO_PASSBACK, passback_s=60))
    assert served(at, Operation.MISSING_ENTRY, card).verdict is Verdict.PASS
    assert served(at, Operation.MISSING_EXIT, card).verdict is Verdict.PASS
    assert rail_trip_of(card.image).state == STATES[Operation.MISSING_EXIT]


def test_a_desk_without_its_key_refuses_and_takes_nothing():
    card = Need(Operation.MISSING_ENTRY, OUTSIDE).card()
    before = card.image
    wrong = Psam(TERMINAL, {1: fixtures.load_roots()["LMK"]})
    outcome = served(desk(sam=wrong), Operation.MISSING_ENTRY, card)
    assert outcome.reason is Reject.CARD_REFUSED
    assert card.image is before

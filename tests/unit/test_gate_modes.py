"""Modes by hand: what each waives and what it does not, and that an emergency touches no card."""

from dataclasses import replace
from datetime import date, datetime, timedelta

import pytest

import fixtures
from apdu.bcd import Moment
from apdu.commands import SAM_TABLE, TABLE
from apdu.files import EF1A, EF1E, RailTrip, TripLog
from apdu.spec import CommandSpec
from bench.decisions import CASES, card_for
from bench.recording import Recorder
from fixtures.network import load_network
from issuer.tac import tac_is_right
from reader.gate import Direction, Emergency, Gate, GateConfig, Reject, Verdict
from reader.modes import Mode
from reader.outcome import Lamp
from reader.policy import Policy
from reader.transport.base import CardLost
from reader.transport.decorators import CutPoint, Cutting, Recording
from reader.transport.inprocess import InProcess
from reader.trips import ENTERED, EP_EXIT, EP_SINGLE, EXITED, Place, entered
from tests.cards import both, content_of, new_card, purse_in, with_trip
from tests.gates import (
    AWAY,
    FARE,
    HOME,
    INSIDE,
    NETWORK,
    NO_PASSBACK,
    NOW,
    OUTSIDE,
    PLACE,
    WHITE_LIST,
    Case,
    case,
    gate_at,
    passed,
    psam,
)
from tests.unit.test_gate import FAULTS

NAMES = fixtures.profile_names()
LOWEST = 300
FREE = [Mode.FARE_FREE, Mode.TRAIN_FAULT]
SHUT = {
    Mode.CLOSED: Reject.CLOSED,
    Mode.FAULT: Reject.FAULT,
    Mode.MAINTENANCE: Reject.MAINTENANCE,
}

each_terminal = pytest.mark.parametrize("at", CASES, ids=lambda at: at.name)


def in_modes(made: Case, *modes: Mode) -> Gate:
    gate = made.gate()
    gate.modes = modes
    return gate


def rail_record(card) -> RailTrip:
    return RailTrip.parse(content_of(card.image, EF1A.sfi)[0])


def newest_log(card) -> TripLog:
    return TripLog.parse(content_of(card.image, EF1E.sfi)[0])


# What a mode waives, and that it waives nothing else

LETS = {
    Direction.ENTRY: {
        Mode.OFFLINE: set(),
        Mode.TRAIN_FAULT: set(),
        Mode.ORDER_FREE: {Reject.ALREADY_ENTERED},
        Mode.TIME_FREE: set(),
        Mode.DATE_FREE: {Reject.NOT_YET_VALID, Reject.EXPIRED},
        Mode.FARE_FREE: {Reject.ZERO_BALANCE, Reject.BALANCE_TOO_LOW},
    },
    Direction.EXIT: {
        Mode.OFFLINE: set(),
        # Nothing is to be paid, so nothing is too little.
        Mode.TRAIN_FAULT: {Reject.OVER_TIME, Reject.BALANCE_TOO_LOW},
        Mode.ORDER_FREE: {Reject.NOT_ENTERED, Reject.STATION_UNKNOWN},
        Mode.TIME_FREE: {Reject.OVER_TIME},
        Mode.DATE_FREE: {Reject.NOT_YET_VALID, Reject.EXPIRED},
        Mode.FARE_FREE: {Reject.BALANCE_TOO_LOW},
    },
}
ASKED = [
    (direction, mode, reason)
    for direction, modes in LETS.items()
    for mode in modes
    for reason in FAULTS[direction]
]


@pytest.mark.parametrize(
    ("direction", "mode", "reason"),
    ASKED,
    ids=[f"{d.value}-{m.value}-{r.name}" for d, m, r in ASKED],
)
def test_a_mode_lets_pass_whom_it_says_and_nobody_else(direction, mode, reason):
    made = case(direction)
    FAULTS[direction][reason](made)
    outcome = passed(in_modes(made, mode), made.card())
    assert outcome.reason is (None if reason in LETS[direction][mode] else reason)


def test_every_mode_that_serves_is_tried():
    serving = {mode for mode in Mode if mode.rule.stops is None}
    assert set(LETS[Direction.ENTRY]) == set(LETS[Direction.EXIT]) == serving


@pytest.mark.parametrize(
    ("modes", "reason"),
    [
        ({Mode.DATE_FREE}, Reject.NOT_ENTERED),
        ({Mode.ORDER_FREE}, Reject.EXPIRED),
        ({Mode.DATE_FREE, Mode.ORDER_FREE}, None),
    ],
)
def test_two_modes_together_waive_both(modes, reason):
    made = Case(Direction.EXIT, OUTSIDE, profile={"end_date": date(2025, 9, 7)})
    assert passed(in_modes(made, *modes), made.card()).reason is reason


# Fares


@pytest.mark.parametrize("mode", FREE, ids=lambda mode: mode.value)
def test_a_free_exit_takes_nothing_and_writes_everything(mode):
    made = case(Direction.EXIT)
    card = made.card()
    before = purse_in(card.image)
    outcome = passed(in_modes(made, mode), card)
    after = purse_in(card.image)
    assert (outcome.verdict, outcome.fare, outcome.receipt.amount) == (Verdict.PASS, 0, 0)
    assert (after.actual, after.offline_seq) == (before.actual, before.offline_seq + 1)
    trip, log = rail_record(card), newest_log(card)
    assert (trip.state, trip.exit_amount, trip.exit_line) == (EXITED, 0, AWAY.line)
    assert (log.trip_kind, log.amount, log.balance) == (EP_EXIT, 0, before.actual)
    assert tac_is_right(outcome.receipt, fixtures.load_roots()["TMK"])


@pytest.mark.parametrize("mode", FREE, ids=lambda mode: mode.value)
@pytest.mark.parametrize(("name", "kind"), [("alight-open", EP_EXIT), ("single", EP_SINGLE)])
def test_a_free_bus_takes_nothing_and_writes_the_record(mode, name, kind):
    at = next(at for at in CASES if at.name == name)
    card, validator = card_for("ordinary", at), at.terminal()
    validator.modes = {mode}
    outcome = validator.pass_(InProcess(card))
    assert (outcome.verdict, outcome.charged) == (Verdict.PASS, 0)
    assert (newest_log(card).trip_kind, newest_log(card).amount) == (kind, 0)
    assert purse_in(card.image).actual == 5000


@pytest.mark.parametrize("mode", [*FREE, Mode.ORDER_FREE], ids=lambda mode: mode.value)
def test_what_a_ride_before_still_costs_is_not_collected_where_it_is_waived(mode):
    at = next(at for at in CASES if at.name == "board-open")
    validator = at.terminal()
    validator.modes = {mode}
    outcome = validator.pass_(InProcess(card_for("ordinary", at)))
    assert (outcome.verdict, outcome.charged) == (Verdict.PASS, 0)


def test_order_free_without_an_entry_costs_the_lowest_fare():
    made = Case(Direction.EXIT, OUTSIDE)
    card = made.card()
    outcome = passed(in_modes(made, Mode.ORDER_FREE), card)
    assert (outcome.verdict, outcome.fare) == (Verdict.PASS, LOWEST)
    assert (rail_record(card).state, newest_log(card).amount) == (EXITED, LOWEST)


def test_order_free_at_an_airport_costs_that_line_s_lowest_fare():
    network = load_network()
    config = GateConfig(network, network.station("62001B"), Direction.EXIT, WHITE_LIST)
    gate = Gate(config, psam(), lambda: NOW)
    gate.modes = {Mode.ORDER_FREE}
    assert passed(gate, new_card()).fare == 2500


def test_order_free_with_an_entry_costs_the_ride():
    made = case(Direction.EXIT)
    assert passed(in_modes(made, Mode.ORDER_FREE), made.card()).fare == FARE


def test_order_free_lets_in_again_and_begins_a_new_trip():
    made = Case(Direction.ENTRY, INSIDE)
    card = made.card()
    assert passed(in_modes(made, Mode.ORDER_FREE), card).charged == 0
    assert rail_record(card).entry_time == Moment.of(NOW).both


FIVE_HOURS = replace(INSIDE, entry_time=Moment.of(NOW - timedelta(hours=5)).both)


@pytest.mark.parametrize("at", ["desk", "gate"])
@pytest.mark.parametrize(
    ("mode", "fare"),
    [(Mode.TRAIN_FAULT, 0), (Mode.FARE_FREE, 0), (Mode.TIME_FREE, FARE)],
    ids=lambda value: getattr(value, "value", value),
)
def test_after_five_hours_a_mode_says_what_is_paid(mode, fare, at):
    policy = replace(NO_PASSBACK, overtime_at=at)
    made = Case(Direction.EXIT, FIVE_HOURS, config={"policy": policy})
    outcome = passed(in_modes(made, mode), made.card())
    if mode is Mode.FARE_FREE and at == "desk":
        assert outcome.reason is Reject.OVER_TIME  # free, and still too long
    else:
        assert (outcome.verdict, outcome.fare) == (Verdict.PASS, fare)


# Shut


@each_terminal
@pytest.mark.parametrize("mode", SHUT, ids=lambda mode: mode.value)
def test_a_shut_terminal_sends_no_command(at, mode):
    recorder, terminal = Recorder(), at.terminal()
    terminal.modes = {mode}
    outcome = recorder.pass_(terminal, InProcess(card_for("ordinary", at)))
    assert (outcome.verdict, outcome.reason) == (Verdict.REJECT, SHUT[mode])
    assert outcome.verdict.lamp is Lamp.RED
    assert not outcome.released
    assert recorder.exchanges == []


@pytest.mark.parametrize("mode", SHUT, ids=lambda mode: mode.value)
def test_an_emergency_opens_what_is_shut(mode):
    made = case(Direction.EXIT)
    assert passed(in_modes(made, mode, Mode.EMERGENCY), made.card()).released


# Emergency (domain facts 4.2)

READS = {
    "SELECT",
    "SELECT FILE",
    "READ BINARY",
    "READ RECORD",
    "GET BALANCE",
    "GET BALANCE (all)",
    "GET TRANSACTION PROVE",
    "SAM SELECT",
    "SAM SELECT FILE",
    "SAM READ BINARY",
}
"""Commands after which card and PSAM are as before. Every other one counts as writing."""


def writes(to: str, command: bytes) -> bool:
    """Whether a command may change the card or the PSAM: all that is not known only to read."""
    spec = (TABLE if to == "card" else SAM_TABLE).route(command[:4])
    return not isinstance(spec, CommandSpec) or spec.name not in READS


def test_the_reading_commands_are_of_the_tables():
    names = {spec.name for spec in (*TABLE, *SAM_TABLE)}
    assert names >= READS


def tapped(at, name: str, *modes: Mode):
    """One recorded tap of a profile's card: the outcome, the exchanges, the card, what it was."""
    recorder, terminal, card = Recorder(), at.terminal(), card_for(name, at)
    terminal.modes = modes
    before, seq = card.image, terminal.psam.terminal_seq
    outcome = recorder.pass_(terminal, InProcess(card))
    is_same = card.image is before and terminal.psam.terminal_seq == seq
    return outcome, recorder.exchanges, is_same


@each_terminal
def test_in_an_emergency_no_command_leaves_for_any_card(at):
    is_way_in = at.terminal().is_way_in
    for name in NAMES:
        outcome, exchanges, is_same = tapped(at, name, Mode.EMERGENCY)
        assert exchanges == [], name
        assert is_same, name
        assert outcome.released
        wanted = (Verdict.REJECT, Reject.EMERGENCY) if is_way_in else (Verdict.PASS, None)
        assert (outcome.verdict, outcome.reason) == wanted


@each_terminal
def test_in_an_emergency_with_any_other_mode_nothing_that_writes_leaves(at):
    for mode in Mode:
        _, exchanges, is_same = tapped(at, "ordinary", Mode.EMERGENCY, mode)
        assert [x.command.hex() for x in exchanges if writes(x.to, x.command)] == []
        assert is_same


@pytest.mark.parametrize(
    "at", [at for at in CASES if at.name not in ("exit", "alight")], ids=lambda at: at.name
)
def test_without_an_emergency_the_same_tap_does_write(at):
    outcome, exchanges, is_same = tapped(at, "ordinary")
    assert outcome.verdict is Verdict.PASS
    assert {x.to for x in exchanges if writes(x.to, x.command)} == {"card", "psam"}
    assert not is_same


def test_who_comes_in_reads_not_to_and_who_goes_out_to_leave():
    texts = {}
    for direction in Direction:
        made = case(direction)
        texts[direction] = passed(in_modes(made, Mode.EMERGENCY), made.card()).text
    assert texts[Direction.ENTRY] == (Reject.EMERGENCY.zh, Reject.EMERGENCY.en)
    assert texts[Direction.EXIT] == ("紧急放行，请尽快离开", "emergency release, please leave")


def test_a_lost_debit_waits_until_the_emergency_is_over():
    made = case(Direction.EXIT)
    card, gate = made.card(), made.gate()
    debit = 9  # PPSE, purse, EF15, EF17, EF1A, INITIALIZE, two records, DEBIT
    link = Cutting(InProcess(card), debit, CutPoint.AFTER, card.power_off)
    assert gate.pass_(link).verdict is Verdict.TAP_AGAIN
    gate.modes = {Mode.EMERGENCY}
    watched = Recording(InProcess(card), lambda: 0)
    assert gate.pass_(watched).released
    assert watched.seen == []
    assert len(gate.unresolved) == 1
    gate.modes = ()
    outcome = passed(gate, card)
    assert (outcome.verdict, outcome.fare, outcome.receipt.recovered) == (Verdict.PASS, 0, True)
    assert purse_in(card.image).actual == 5000 - FARE


# The trips an emergency leaves open

BEGAN, ENDED = date(2025, 9, 8), date(2025, 9, 9)
RELEASE = Emergency(BEGAN, ENDED)
ANYWHERE = NETWORK.station("010001")


def entry_at(now: datetime, station=ANYWHERE, emergencies=(RELEASE,), **knobs) -> Gate:
    config = GateConfig(
        NETWORK,
        station,
        Direction.ENTRY,
        WHITE_LIST,
        policy=Policy(**knobs),
        emergencies=emergencies,
    )
    return Gate(config, psam(), lambda: now)


def inside_since(at: datetime, place: Place = PLACE):
    trip = entered(place, 0x101, 5000, Moment.of(at))
    return new_card(with_trip(trip.build()))


@pytest.mark.parametrize("station", [ANYWHERE, HOME, AWAY], ids=lambda s: s.name_en)
@pytest.mark.parametrize(
    ("entered_at", "now", "is_accepted"),
    [
        (datetime(2025, 9, 8, 0, 0, 0), datetime(2025, 9, 8, 23, 59, 59), True),
        (datetime(2025, 9, 9, 23, 59, 59), datetime(2025, 9, 10, 6, 0), True),
        (datetime(2025, 9, 8, 8, 0), datetime(2025, 9, 16, 23, 59, 59), True),  # the 7th day
        (datetime(2025, 9, 8, 8, 0), datetime(2025, 9, 17, 0, 0, 0), False),  # the 8th
        (datetime(2025, 9, 9, 8, 0), datetime(2025, 9, 17, 0, 0, 0), False),
        (
            datetime(2025, 9, 7, 23, 59, 59),
            datetime(2025, 9, 10, 6, 0),
            True,
        ),  # may be inside still
        (datetime(2025, 9, 7, 12, 0), datetime(2025, 9, 10, 6, 0), False),  # before it began
        (datetime(2025, 9, 10, 0, 0, 0), datetime(2025, 9, 10, 6, 0), False),  # after its end
    ],
)
def test_a_trip_of_an_emergency_is_accepted_for_seven_days(station, entered_at, now, is_accepted):
    outcome = passed(entry_at(now, station), inside_since(entered_at))
    assert outcome.reason is (None if is_accepted else Reject.ALREADY_ENTERED)


def test_another_emergency_does_not_excuse_a_trip_of_none():
    other = Emergency(date(2025, 9, 20), date(2025, 9, 20))
    at, now = datetime(2025, 9, 8, 8, 0), datetime(2025, 9, 21, 8, 0)
    assert passed(entry_at(now, emergencies=(other,)), inside_since(at)).reason is (
        Reject.ALREADY_ENTERED
    )
    both_of = (other, Emergency(BEGAN, date(2025, 9, 14)))
    assert passed(entry_at(now, emergencies=both_of), inside_since(at)).reason is None


@pytest.mark.parametrize(
    ("entered_at", "is_excused"),
    [(datetime(2025, 9, 7, 20, 0), True), (datetime(2025, 9, 7, 19, 59, 59), False)],
)
def test_who_entered_before_midnight_may_have_been_inside_when_it_began(
    entered_at: datetime, is_excused: bool
):
    gate = entry_at(datetime(2025, 9, 10, 8, 0), emergencies=(RELEASE,))
    reason = passed(gate, inside_since(entered_at)).reason
    assert (reason is None) == is_excused


def test_how_many_days_is_policy():
    card = inside_since(datetime(2025, 9, 9, 8, 0))
    next_day = datetime(2025, 9, 10, 8, 0)
    gate = entry_at(next_day, emergency_trip_days=0)
    assert passed(gate, card).reason is Reject.ALREADY_ENTERED
    assert passed(entry_at(next_day, emergency_trip_days=1), card).reason is None


def test_an_accepted_trip_is_not_charged_where_gates_charge_missing_exits():
    gate = entry_at(datetime(2025, 9, 10, 8, 0), missing_exit_rail="charge")
    outcome = passed(gate, inside_since(datetime(2025, 9, 8, 8, 0)))
    assert (outcome.verdict, outcome.charged) == (Verdict.PASS, 0)


def test_an_emergency_from_beginning_to_end():
    card, way_in, way_out = new_card(), gate_at(Direction.ENTRY), gate_at(Direction.EXIT)
    assert passed(way_in, card).verdict is Verdict.PASS
    for gate in (way_in, way_out):
        gate.modes = {Mode.EMERGENCY}
    inside = card.image
    assert passed(way_out, card).verdict is Verdict.PASS
    assert passed(way_in, card).reason is Reject.EMERGENCY
    assert card.image is inside
    for gate in (way_in, way_out):
        gate.modes = ()
    assert passed(way_in, card).reason is Reject.ALREADY_ENTERED
    day_after = datetime(2025, 9, 9, 8, 0)
    again = entry_at(day_after, emergencies=(Emergency(NOW.date(), NOW.date()),))
    assert passed(again, card).verdict is Verdict.PASS
    assert (rail_record(card).state, rail_record(card).entry_time) == (
        ENTERED,
        Moment.of(day_after).both,
    )
    assert purse_in(card.image).actual == 5000


def test_an_emergency_does_not_end_before_it_began():
    with pytest.raises(ValueError, match="did not end"):
        Emergency(ENDED, BEGAN)


# Switching


def test_modes_are_switched_while_a_gate_runs():
    made = Case(Direction.EXIT, OUTSIDE)
    gate, card = made.gate(), made.card()
    seen = []
    for modes in [(), {Mode.CLOSED}, {Mode.ORDER_FREE}, (), {Mode.ORDER_FREE, Mode.FARE_FREE}]:
        gate.modes = modes
        outcome = passed(gate, card)
        seen.append(outcome.reason or outcome.fare)
    assert seen == [Reject.NOT_ENTERED, Reject.CLOSED, LOWEST, Reject.NOT_ENTERED, 0]


def test_the_modes_of_a_policy_are_in_force_from_the_start():
    gate = gate_at(Direction.ENTRY, policy=Policy(modes=("fare_free", "date_free")))
    assert gate.modes == {Mode.FARE_FREE, Mode.DATE_FREE}
    assert passed(gate, new_card(balance=0, end_date=date(2025, 9, 1))).reason is None


def test_a_mode_waives_nothing_of_a_card_that_is_lost():
    made = case(Direction.EXIT)
    gate = in_modes(made, Mode.FARE_FREE, Mode.ORDER_FREE)
    with pytest.raises(CardLost):
        gate.pass_(Cutting(InProcess(made.card()), 3, CutPoint.BEFORE))
    assert gate.unresolved == {}


def test_a_locked_record_is_refused_also_where_its_trip_does_not_matter():
    locked = both(with_trip(replace(INSIDE, lock=1).build()))
    for direction in Direction:
        gate = gate_at(direction)
        gate.modes = {Mode.ORDER_FREE, Mode.FARE_FREE, Mode.DATE_FREE, Mode.TIME_FREE}
        assert passed(gate, new_card(locked)).reason is Reject.TRIP_LOCKED

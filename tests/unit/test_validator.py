"""The validator of a bus: fares, records to the byte, every refusal in its order, missed rides."""

from collections.abc import Callable
from dataclasses import replace
from datetime import date, datetime, timedelta, timezone
from itertools import combinations
from typing import Any

import pytest

import fixtures
from apdu.bcd import Moment
from apdu.commands import DEBIT, UPDATE_CACHE
from apdu.files import EF1A, EF1E
from emulator.card.state import Blocked
from issuer.tac import TacCheck, tac_is_right
from reader.checks import ALIGHT_CHECKS, BOARD_CHECKS, MONEY
from reader.fares.bus import BusLine, Heading, LineKind, Stop, missed_charge, stops_at
from reader.gate import Reject, Verdict
from reader.journal import MemoryJournal
from reader.modes import Mode
from reader.taprecord import Mark
from reader.transport.base import CardLost
from reader.transport.decorators import CutPoint, Cutting, Recording
from reader.transport.inprocess import InProcess
from reader.trips import ALIGHTED, BOARDED
from reader.validator import BusConfig, Door
from tests.buses import (
    BOARDED_AT,
    BUSES,
    EXPRESS,
    FARES,
    FLAT,
    LATER,
    LINE,
    MISSED,
    NO_RIDE,
    NOW,
    OTHER_TERMINAL,
    OTHER_VEHICLE,
    SERIAL,
    SIGHTSEEING,
    SUBURBAN,
    VEHICLE,
    WHITE_LIST,
    Case,
    case,
    logs_of,
    missed_case,
    psam,
    ride_from,
    stop_at,
    tapped,
    trip_of,
)
from tests.cards import content_of, new_card

STUDENT, NORMAL, SENIOR = {"card_kind": 2}, {"card_kind": 1}, {"card_kind": 3}
FOREIGN = {"card_kind": 2, "city": bytes.fromhex("2900"), "interop": True}
DOORS = list(Door)

each_door = pytest.mark.parametrize("door", DOORS, ids=lambda d: d.name)


# What a ride costs


@pytest.mark.parametrize(
    ("line", "from_m", "to_m", "profile", "fare"),
    [
        # Domain facts 3.1, to the fen.
        (LINE, 0, 10_000, STUDENT, 50),
        (LINE, 0, 10_000, NORMAL, 100),
        (LINE, 0, 10_000, SENIOR, 200),
        (LINE, 0, 10_001, STUDENT, 75),
        (LINE, 0, 10_001, NORMAL, 150),
        (LINE, 0, 10_001, SENIOR, 300),
        (LINE, 0, 20_000, STUDENT, 100),
        (LINE, 0, 20_000, NORMAL, 200),
        (LINE, 0, 20_000, SENIOR, 400),
        (LINE, 0, 40_000, STUDENT, 200),
        (LINE, 0, 40_000, NORMAL, 400),
        (LINE, 0, 40_000, SENIOR, 800),
        (LINE, 40_000, 0, STUDENT, 200),
        (LINE, 20_000, 20_000, STUDENT, 50),
        (LINE, 0, 10_000, FOREIGN, 100),  # as any card, protocol reference 3.4
        (EXPRESS, 0, 26_000, STUDENT, 800),
        (SIGHTSEEING, 0, 4_200, STUDENT, 200),
        (SUBURBAN, 0, 8_000, STUDENT, 200),
        (SUBURBAN, 0, 17_000, NORMAL, 400),
        (FLAT, 0, 0, STUDENT, 50),
        (FLAT, 0, 0, NORMAL, 100),
        (FLAT, 0, 0, FOREIGN, 100),
    ],
)
def test_a_ride_costs_what_domain_facts_3_1_say(line, from_m, to_m, profile, fare):
    card = new_card(**profile)
    heading = Heading.UP if to_m >= from_m else Heading.DOWN
    doors = [Door.SINGLE] if line.is_flat else [Door.BOARD, Door.ALIGHT]
    for door, at_m in zip(doors, (from_m, to_m), strict=False):
        outcome = tapped(Case(door, line, at_m, heading).validator(), card)
        assert outcome.verdict is Verdict.PASS, outcome
    assert (outcome.fare, outcome.charged) == (fare, fare)
    assert card.purse.actual == 5000 - fare == outcome.receipt.balance
    assert card.purse.offline_seq == len(doors)


def test_boarding_takes_nothing_and_marks_the_most_it_can_cost():
    card = case(Door.BOARD).card()
    outcome = tapped(case(Door.BOARD).validator(), card)
    assert (outcome.verdict, outcome.fare, card.purse.actual) == (Verdict.PASS, 0, 5000)
    assert (trip_of(card.image).state, trip_of(card.image).max_fare) == (BOARDED, 800)


@each_door
def test_the_receipt_s_tac_is_the_card_s(door):
    made = case(door)
    receipt = tapped(made.validator(), made.card()).receipt
    assert tac_is_right(receipt, fixtures.load_roots()["TMK"])
    assert not receipt.recovered


# What is written


def written(made: Case) -> tuple[Any, Any, bytes, bytes]:
    card = made.card()
    assert tapped(made.validator(sam=psam(seq=0x1234)), card).verdict is Verdict.PASS
    raw = content_of(card.image, EF1A.sfi)[1], content_of(card.image, EF1E.sfi)[0]
    return trip_of(card.image), logs_of(card.image)[0], *raw


BOARD_2702 = (
    "2702 7D 01 01 00 0000000000004660 01"  # to the state, offset 14
    "1000 01011000FFFFFFFF 1000 012C 01 4255533030333030"  # to the vehicle, 30
    "0000300002000777 20250908080142 00000320 AB"  # to the direction, 57
    "0000 0000000000000000 0000 0000 00 0000000000000000"  # to the vehicle, 73
    "0000000000000000 00000000000000 00000000 0000" + "00" * 26
)
ALIGHT_2702 = (
    "2702 7D 01 01 00 0000000000000257 02"
    "1000 01011000FFFFFFFF 1000 012C 01 4255533030333030"
    "0000300002000778 20250908073015 00000320 AB"
    "1000 01011000FFFFFFFF 1000 012C 04 4255533030333030"
    "0000300002000777 20250908080142 0000004B 0064" + "00" * 26
)


def test_a_boarding_is_written_byte_by_byte_as_protocol_reference_3_9_has_it():
    trip, log, raw, raw_log = written(case(Door.BOARD))
    assert raw == bytes.fromhex(BOARD_2702)
    assert raw_log.hex().upper() == (
        "03" "0000300002000777" "02" "012C" "0001" "1000" "00" "00000000" "00001388"
        "20250908080142" "1000" "01011000FFFFFFFF" "000000000000"
    )  # fmt: skip
    assert (trip.board_line, trip.board_station, trip.board_vehicle) == (b"\x01\x2c", 1, VEHICLE)
    assert (log.trip_kind, log.industry, log.amount, log.balance) == (3, 2, 0, 5000)


def test_an_alighting_is_written_byte_by_byte_as_protocol_reference_3_9_has_it():
    trip, log, raw, raw_log = written(case(Door.ALIGHT))
    assert raw == bytes.fromhex(ALIGHT_2702)
    assert raw_log.hex().upper() == (
        "04" "0000300002000777" "02" "012C" "0004" "1000" "00" "0000004B" "0000133D"
        "20250908080142" "1000" "01011000FFFFFFFF" "000000000000"
    )  # fmt: skip
    assert (trip.amount, trip.mileage, trip.alight_station) == (75, 100, 4)
    assert (log.trip_kind, log.amount, log.balance) == (4, 75, 4925)


def test_a_flat_fare_is_one_ef1e_record_and_leaves_ef1a_alone():
    trip, log, raw, raw_log = written(case(Door.SINGLE))
    assert raw == NO_RIDE.build() == trip.build()
    assert raw_log.hex().upper() == (
        "06" "0000300002000777" "02" "0005" "0001" "1000" "00" "00000032" "00001356"
        "20250908080142" "1000" "01011000FFFFFFFF" "000000000000"
    )  # fmt: skip
    assert (log.trip_kind, log.industry) == (6, 2)


def test_a_bus_that_goes_down_says_so():
    made = replace(case(Door.BOARD), at_m=40_000, heading=Heading.DOWN)
    assert written(made)[0].direction == 0xBA


# Reasons

Fault = Callable[[Case], None]


def of_profile(**fields: Any) -> Fault:
    return lambda made: made.profile.update(fields)


def of_config(**fields: Any) -> Fault:
    return lambda made: made.config.update(fields)


def of_knobs(**fields: Any) -> Fault:
    return lambda made: made.knobs.update(fields)


def of_trip(**fields: Any) -> Fault:
    return lambda made: setattr(made, "trip", replace(made.trip, **fields))


def not_alighted(made: Case) -> None:
    of_trip(state=BOARDED, board_vehicle=OTHER_VEHICLE, max_fare=MISSED)(made)
    of_knobs(missing_tapoff_bus="refuse")(made)


COMMON: dict[Reject, Fault] = {
    Reject.BLOCKED: lambda made: setattr(made, "blocked", Blocked.TEMPORARY),
    Reject.ISSUER_UNKNOWN: of_config(white_list=frozenset({("01011000", "31052280")})),
    Reject.IIN_MISMATCH: of_config(white_list=frozenset({("09981001", "31051700")})),
    Reject.NOT_ENABLED: of_profile(enabled=0),
    Reject.NOT_YET_VALID: of_profile(start_date=date(2025, 9, 9)),
    Reject.EXPIRED: of_profile(end_date=date(2025, 9, 7)),
    Reject.BLACKLISTED: of_config(blacklist=frozenset({SERIAL})),
    Reject.NOT_INTEROPERABLE: of_profile(city=bytes.fromhex("2900"), interop=False),
    Reject.KIND_NOT_ACCEPTED: of_knobs(kinds_accepted=("normal",)),
    Reject.TRIP_LOCKED: of_trip(lock=1),
    Reject.BALANCE_IMPLAUSIBLE: of_profile(balance=100_001, ceiling=200_000),
    Reject.CARD_REFUSED: of_profile(offline_seq=0xFFFF),
}
WAY_IN = COMMON | {Reject.NOT_ALIGHTED: not_alighted, Reject.ZERO_BALANCE: of_profile(balance=0)}
FAULTS: dict[Door, dict[Reject, Fault]] = {
    Door.BOARD: WAY_IN | {Reject.BALANCE_TOO_LOW: of_profile(balance=199)},
    Door.SINGLE: WAY_IN | {Reject.BALANCE_TOO_LOW: of_profile(balance=49)},
    Door.ALIGHT: COMMON
    | {
        Reject.NOT_BOARDED: of_trip(state=ALIGHTED),
        Reject.STATION_UNKNOWN: of_trip(board_station=0xEE),
        Reject.BALANCE_TOO_LOW: of_profile(balance=74),
    },
}
CHECKS = {Door.BOARD: BOARD_CHECKS, Door.SINGLE: BOARD_CHECKS, Door.ALIGHT: ALIGHT_CHECKS}


def declared(door: Door) -> list[Reject]:
    """Every reason a door has, in the declared order."""
    of_card = [reason for check in CHECKS[door] for reason in check.refuses]
    every = [Reject.BLOCKED, *of_card, *MONEY, Reject.CARD_REFUSED]
    if door is Door.ALIGHT:  # the card judges the money there, and it has enough or not
        every.remove(Reject.ZERO_BALANCE)
    return every


REASONS = [(door, reason) for door in Door for reason in declared(door)]
NOT_TOGETHER = [{Reject.ISSUER_UNKNOWN, Reject.IIN_MISMATCH}, set(MONEY)]
"""Faults of one value, which a card cannot have together."""
PAIRS = [
    (door, first, second)
    for door in Door
    for first, second in combinations(declared(door), 2)
    if not any({first, second} <= group for group in NOT_TOGETHER)
    # On alighting the balance is known from INITIALIZE, after the card has judged its counter.
    and not (door is Door.ALIGHT and first in MONEY)
]


def test_every_reason_of_a_door_is_tried():
    for door in Door:
        assert set(declared(door)) == set(FAULTS[door])


@pytest.mark.parametrize(
    ("door", "reason"), REASONS, ids=[f"{d.value}-{r.name}" for d, r in REASONS]
)
def test_a_card_built_for_a_reason_is_refused_for_it_and_keeps_everything(door, reason):
    made = case(door)
    FAULTS[door][reason](made)
    card = made.card()
    before = card.image
    outcome = tapped(made.validator(), card)
    assert (outcome.verdict, outcome.reason) == (Verdict.REJECT, reason)
    assert (outcome.charged, outcome.receipt, outcome.missed) == (0, None, None)
    assert card.image is before


@pytest.mark.parametrize(
    ("door", "first", "second"), PAIRS, ids=[f"{d.value}-{a.name}-{b.name}" for d, a, b in PAIRS]
)
def test_of_two_reasons_the_one_declared_first_is_given(door, first, second):
    made = case(door)
    FAULTS[door][second](made)
    FAULTS[door][first](made)
    assert tapped(made.validator(), made.card()).reason is first


@pytest.mark.parametrize(
    "fields",
    [
        {"board_vehicle": OTHER_VEHICLE},
        {"board_line": b"\x00\x05"},
        {"board_city": b"\x11\x21"},
        {"state": 0},
    ],
    ids=["another bus", "another line", "another city", "never"],
)
def test_only_who_boarded_this_bus_may_alight_from_it(fields):
    made = case(Door.ALIGHT)
    of_trip(**fields)(made)
    card = made.card()
    before = card.image
    assert tapped(made.validator(), card).reason is Reject.NOT_BOARDED
    assert card.image is before


# Money to board


@pytest.mark.parametrize("profile", [STUDENT, NORMAL], ids=["student", "normal"])
@pytest.mark.parametrize("heading", Heading, ids=lambda h: h.name)
@pytest.mark.parametrize("stop", LINE.stops, ids=lambda s: s.name_en)
def test_one_boards_with_the_fare_to_the_farthest_stop_ahead_and_not_a_fen_less(
    stop, heading, profile
):
    ahead_m = 40_000 - stop.at_m if heading is Heading.UP else stop.at_m
    full = 200 if ahead_m <= 10_000 else 200 + 100 * -(-(ahead_m - 10_000) // 5_000)
    least = full // 4 if profile is STUDENT else full // 2
    made = Case(Door.BOARD, at_m=stop.at_m, heading=heading, profile={"balance": least, **profile})
    assert tapped(made.validator(), made.card()).verdict is Verdict.PASS
    made.profile["balance"] = least - 1
    assert tapped(made.validator(), made.card()).reason is Reject.BALANCE_TOO_LOW


# Rides that were not tapped off


def test_a_missed_tap_off_is_collected_undiscounted_and_then_the_new_ride_begins():
    made, journal = missed_case(), MemoryJournal(b"BUS00001")
    card, validator = made.card(), made.validator(journal)
    outcome = tapped(validator, card)
    assert outcome.verdict is Verdict.PASS
    assert (outcome.fare, outcome.charged, outcome.missed.amount) == (0, MISSED, MISSED)
    assert (outcome.missed.kind, outcome.receipt.kind) == (9, 9)
    assert card.purse.actual == 5000 - MISSED
    trip = trip_of(card.image)
    assert (trip.state, trip.board_vehicle, trip.max_fare) == (BOARDED, VEHICLE, 800)
    kinds = [(log.trip_kind, log.amount, log.balance) for log in logs_of(card.image)]
    assert kinds == [(3, 0, 4400), (8, MISSED, 4400)]
    assert [(r.mark, r.trip, r.amount) for r in journal.records] == [
        (Mark.TAKEN, 8, MISSED),
        (Mark.TAKEN, 3, 0),
    ]
    assert all(TacCheck(fixtures.load_roots()["TMK"]).is_right(r) for r in journal.records)
    tapped(Case(Door.ALIGHT, at_m=10_000, at=LATER).validator(), card)
    assert card.purse.actual == 5000 - MISSED - 50


@pytest.mark.parametrize(
    ("at_m", "due"), [(0, 800), (20_000, 400), (30_000, 600), (40_000, 800), (10_001, 600)]
)
def test_what_is_collected_is_the_fare_to_the_farther_end(at_m, due):
    card = new_card()
    tapped(Case(Door.BOARD, at_m=at_m).validator(), card)
    again = Case(Door.BOARD, at=LATER).validator()
    assert tapped(again, card).missed.amount == due
    assert card.purse.actual == 5000 - due


@pytest.mark.parametrize(("late_s", "is_this_ride"), [(0, True), (1, False), (40 * 86_400, False)])
def test_a_ride_longer_than_any_was_not_tapped_off_though_the_same_bus_comes_again(
    late_s: int, is_this_ride: bool
):
    made = case(Door.ALIGHT)
    made.at = BOARDED_AT + timedelta(hours=6, seconds=late_s)
    card = made.card()
    outcome = tapped(made.validator(), card)
    assert outcome.reason is (None if is_this_ride else Reject.NOT_BOARDED)
    if is_this_ride:
        return
    card.power_off()
    boarding = case(Door.BOARD)
    boarding.at = made.at
    again = tapped(boarding.validator(), card)
    assert again.verdict is Verdict.PASS
    assert again.missed.amount == missed_charge(LINE, stop_at(LINE, 0)) == 800


def test_the_money_of_a_missed_ride_is_of_the_line_and_operator_it_was_ridden_on():
    made, journal = missed_case(), MemoryJournal(b"BUS00001")
    made.line = SUBURBAN
    of_trip(board_operator=b"\x20\x02", board_city=b"\x11\x21", board_line=b"\x0f\xff")(made)
    tapped(made.validator(journal), made.card())
    missed, ride = journal.records
    assert (missed.operator.hex(), missed.line.hex(), missed.city.hex()) == ("2002", "0fff", "1121")
    assert (missed.origin_line.hex(), missed.origin_station.hex()) == ("0fff", "0008")
    assert missed.station == missed.origin_station
    assert (ride.operator, ride.line.hex(), ride.city) == (BUSES.operator, "232b", BUSES.city)


def test_a_flat_bus_collects_a_missed_ride_too():
    made = Case(Door.SINGLE, FLAT, trip=ride_from(LINE, 30_000))
    card = made.card()
    outcome = tapped(made.validator(), card)
    assert (outcome.fare, outcome.missed.amount, outcome.charged) == (50, MISSED, 650)
    assert trip_of(card.image).state == ALIGHTED
    assert [log.trip_kind for log in logs_of(card.image)] == [6, 8]


@pytest.mark.parametrize(("balance", "is_enough"), [(MISSED + 199, False), (MISSED + 200, True)])
def test_money_must_do_for_the_missed_ride_and_the_new_one_or_nothing_is_taken(balance, is_enough):
    made = missed_case()
    made.profile = {"balance": balance}
    card = made.card()
    before = card.image
    outcome = tapped(made.validator(), card)
    assert (outcome.verdict is Verdict.PASS) == is_enough
    assert (card.image is before) == (not is_enough)


@pytest.mark.parametrize("mark", [100_001, 0xFFFFFFFF])
def test_a_mark_above_what_a_purse_may_hold_is_for_staff_and_nothing_is_taken(mark):
    made = missed_case()
    of_trip(max_fare=mark)(made)
    card = made.card()
    before = card.image
    assert tapped(made.validator(), card).reason is Reject.NOT_ALIGHTED
    assert card.image is before


def test_a_mark_of_nothing_is_not_collected():
    made = missed_case()
    of_trip(max_fare=0)(made)
    outcome = tapped(made.validator(), made.card())
    assert (outcome.verdict, outcome.missed) == (Verdict.PASS, None)


class Saying:
    """Says something else to the n-th command of a kind, without asking the card."""

    def __init__(self, card, spec, nth: int, answer: bytes) -> None:
        self.card, self.ins, self.nth, self.answer = card, (spec.cla, spec.ins), nth, answer

    def transmit(self, command: bytes) -> bytes:
        if tuple(command[:2]) == self.ins:
            self.nth -= 1
            if self.nth == 0:
                return self.answer
        return self.card.process(command)


@pytest.mark.parametrize(
    ("spec", "nth", "sw", "reason"),
    [
        (DEBIT, 2, "9401", Reject.BALANCE_TOO_LOW),
        (DEBIT, 2, "6581", Reject.CARD_REFUSED),
        (UPDATE_CACHE, 3, "9407", Reject.CARD_REFUSED),
        (UPDATE_CACHE, 4, "6A83", Reject.CARD_REFUSED),
    ],
)
def test_a_boarding_refused_after_the_collection_keeps_the_money_and_says_so(spec, nth, sw, reason):
    made, journal = missed_case(), MemoryJournal(b"BUS00001")
    card, sam = made.card(), psam()
    validator = made.validator(journal, sam)
    outcome = validator.pass_(Saying(card, spec, nth, bytes.fromhex(sw)))
    card.power_off()
    assert (outcome.verdict, outcome.reason) == (Verdict.REJECT, reason)
    assert outcome.missed.amount == outcome.charged == MISSED
    assert trip_of(card.image).state == ALIGHTED
    assert [(r.mark, r.trip) for r in journal.records] == [(Mark.TAKEN, 8), (Mark.VOID, 3)]
    again = tapped(validator, card)
    assert (again.verdict, again.missed) == (Verdict.PASS, None)
    assert card.purse.actual == 5000 - MISSED


@pytest.mark.parametrize(
    ("nth", "sw"), [(1, "9407"), (2, "6A84")], ids=["trip record locked", "no room"]
)
def test_a_collection_that_the_card_refuses_takes_nothing(nth, sw):
    made, journal = missed_case(), MemoryJournal(b"BUS00001")
    card = made.card()
    before = card.image
    link = Saying(card, UPDATE_CACHE, nth, bytes.fromhex(sw))
    outcome = made.validator(journal).pass_(link)
    assert (outcome.reason, outcome.missed) == (Reject.CARD_REFUSED, None)
    assert card.image is before
    assert [r.mark for r in journal.records] == [Mark.VOID]


def test_who_leaves_between_collection_and_boarding_is_told_to_tap_again():
    made = missed_case()
    validator, card = made.validator(), made.card()
    outcome = validator.pass_(Cutting(InProcess(card), 11, CutPoint.BEFORE))
    assert (outcome.verdict, outcome.missed.amount) == (Verdict.TAP_AGAIN, MISSED)
    card.power_off()
    assert tapped(validator, card).charged == 0
    assert card.purse.actual == 5000 - MISSED


def test_a_card_without_a_bus_record_is_refused_by_a_distance_bus_and_rides_a_flat_one():
    def without(door: Door):
        made = case(door)
        card = made.card()

        class Without:
            def transmit(self, command: bytes) -> bytes:
                is_read = command[:4] == bytes.fromhex("00B202D4")
                is_write = command[:2] == b"\x80\xdc" and command[5:7] == b"\x27\x02"
                return b"\x6a\x83" if is_read or is_write else card.process(command)

        return made.validator().pass_(Without()), card

    outcome, card = without(Door.BOARD)
    assert (outcome.reason, card.purse.offline_seq) == (Reject.CARD_REFUSED, 0)
    outcome, card = without(Door.SINGLE)
    assert (outcome.verdict, outcome.fare) == (Verdict.PASS, 50)
    outcome, _ = without(Door.ALIGHT)
    assert outcome.reason is Reject.NOT_BOARDED


@pytest.mark.parametrize("door", [Door.BOARD, Door.ALIGHT], ids=lambda d: d.name)
@pytest.mark.parametrize("record_id", ["2703", "0000", "FFFF"])
def test_what_is_no_bus_record_is_not_taken_for_an_open_ride(door, record_id):
    made = replace(case(door), trip=ride_from(LINE, 0))
    of_trip(record_id=bytes.fromhex(record_id))(made)
    card = made.card()
    outcome = tapped(made.validator(), card)
    # Boarding has nothing to collect; what is written names 2702.
    passes = (None, None) if door is Door.BOARD else (Reject.NOT_BOARDED, None)
    assert (outcome.reason, outcome.missed) == passes
    assert card.purse.actual == 5000


# The same card again


@pytest.mark.parametrize("seconds", [-600, -1, 0, 6, 600])
@pytest.mark.parametrize("tapoff", ["collect", "refuse"])
def test_a_second_boarding_on_one_bus_soon_is_the_same_one(seconds, tapoff):
    card = new_card()
    first = Case(Door.BOARD, knobs={"missing_tapoff_bus": tapoff})
    assert tapped(first.validator(), card).verdict is Verdict.PASS
    after = card.image
    # The other door's validator, whose clock is its own, at another stop.
    again = replace(first, at=NOW + timedelta(seconds=seconds), at_m=5_000)
    outcome = tapped(again.validator(sam=psam(OTHER_TERMINAL)), card)
    assert (outcome.verdict, outcome.repeated, outcome.charged) == (Verdict.PASS, True, 0)
    assert card.image is after


@pytest.mark.parametrize("seconds", [-601, 601])
def test_later_the_ride_before_was_not_tapped_off(seconds):
    card = new_card()
    tapped(Case(Door.BOARD).validator(), card)
    again = Case(Door.BOARD, at=NOW + timedelta(seconds=seconds))
    assert tapped(again.validator(), card).missed.amount == 800


@pytest.mark.parametrize("seconds", [0, 600])
def test_a_second_tap_for_a_flat_fare_at_one_validator_soon_is_the_same_one(seconds):
    """The card proves it, so a validator that was started anew does not charge twice."""
    card = new_card()
    first = Case(Door.SINGLE, FLAT)
    tapped(first.validator(), card)
    after = card.image
    again = replace(first, at=NOW + timedelta(seconds=seconds))
    outcome = tapped(again.validator(sam=psam(seq=9)), card)
    assert (outcome.verdict, outcome.repeated) == (Verdict.PASS, True)
    assert card.image is after


def test_a_flat_fare_is_paid_anew_later_or_on_another_bus():
    card = new_card()
    first = Case(Door.SINGLE, FLAT)
    tapped(first.validator(), card)
    assert tapped(first.validator(sam=psam(OTHER_TERMINAL)), card).fare == 50
    assert tapped(replace(first, at=LATER).validator(), card).fare == 50
    assert card.purse.actual == 5000 - 150


def test_within_the_pass_back_time_the_card_is_not_even_read():
    made = case(Door.ALIGHT)
    made.knobs = {"passback_s": 5}
    validator, card = made.validator(), made.card()
    tapped(validator, card)
    link = Recording(InProcess(card), lambda: 0)
    assert validator.pass_(link).repeated
    assert len(link.seen) == 2


def test_alighting_twice_is_refused():
    made = case(Door.ALIGHT)
    validator, card = made.validator(), made.card()
    tapped(validator, card)
    assert tapped(validator, card).reason is Reject.NOT_BOARDED


# Modes


@pytest.mark.parametrize("mode", Mode, ids=lambda m: m.value)
@each_door
def test_a_mode_waives_its_refusals_and_gives_its_own(door, mode):
    rule = mode.rule
    for reason in declared(door):
        made = case(door)
        made.knobs = {"modes": (mode.value,)}
        FAULTS[door][reason](made)
        outcome = tapped(made.validator(), made.card())
        if mode is Mode.EMERGENCY and door is Door.ALIGHT:
            assert (outcome.verdict, outcome.released) == (Verdict.PASS, True)
        elif rule.stops is not None:
            assert outcome.reason is rule.stops
        elif reason in rule.waives:
            assert outcome.verdict is Verdict.PASS, (reason, outcome)
        elif reason is Reject.BALANCE_TOO_LOW and rule.is_free and door is Door.ALIGHT:
            assert (outcome.verdict, outcome.charged) == (Verdict.PASS, 0)
        else:
            assert outcome.reason is reason


@pytest.mark.parametrize("mode", [m for m in Mode if m.rule.stops], ids=lambda m: m.value)
@each_door
def test_a_mode_that_stops_touches_no_card(door, mode):
    made = case(door)
    made.knobs = {"modes": (mode.value,)}
    card = made.card()
    before = card.image
    link = Recording(InProcess(card), lambda: 0)
    made.validator().pass_(link)
    assert link.seen == []
    assert card.image is before


@each_door
def test_where_rides_are_free_records_are_written_and_nothing_is_taken(door):
    made = case(door)
    made.knobs = {"modes": ("fare_free",)}
    card = made.card()
    outcome = tapped(made.validator(), card)
    assert (outcome.verdict, outcome.charged, card.purse.actual) == (Verdict.PASS, 0, 5000)
    assert len(logs_of(card.image)) == 1


def test_a_free_ride_that_is_not_tapped_off_is_not_collected_later():
    made = case(Door.BOARD)
    made.knobs = {"modes": ("fare_free",)}
    card = made.card()
    tapped(made.validator(), card)
    outcome = tapped(Case(Door.BOARD, at=LATER).validator(), card)
    assert (outcome.verdict, outcome.charged) == (Verdict.PASS, 0)
    assert trip_of(card.image).max_fare == 800


def test_where_rides_are_free_a_missed_one_is_not_collected():
    made = missed_case()
    made.knobs = {"modes": ("fare_free",)}
    outcome = tapped(made.validator(), made.card())
    assert (outcome.verdict, outcome.charged) == (Verdict.PASS, 0)


def test_without_order_a_missed_ride_is_not_looked_at_and_an_unknown_one_costs_the_least():
    made = missed_case()
    made.knobs = {"modes": ("order_free",)}
    assert tapped(made.validator(), made.card()).charged == 0
    made = Case(Door.ALIGHT, at_m=40_000, knobs={"modes": ("order_free",)})
    card = made.card()
    assert tapped(made.validator(), card).fare == 50
    assert (trip_of(card.image).state, trip_of(card.image).mileage) == (ALIGHTED, 0)


# Dates


@each_door
def test_an_expired_card_that_is_let_on_pays_as_any_other(door):
    made = case(door)
    made.knobs = {"expired_card_at_gate": "adult_fare"}
    made.profile = {"end_date": date(2025, 9, 7)}
    outcome = tapped(made.validator(), made.card())
    assert (outcome.verdict, outcome.fare) == (Verdict.PASS, 2 * FARES[door])


def test_a_card_that_expires_during_the_ride_gets_off_for_its_own_fare():
    made = case(Door.ALIGHT)
    of_trip(board_time=bytes.fromhex("20250908235000"))(made)
    made.profile, made.at = {"end_date": date(2025, 9, 8)}, datetime(2025, 9, 9, 0, 10)
    assert tapped(made.validator(), made.card()).fare == 75
    made.knobs = {"validity_test_at_exit": "exit_time"}
    assert tapped(made.validator(), made.card()).reason is Reject.EXPIRED


@pytest.mark.parametrize("when", [bytes(7), b"\xff" * 7, bytes.fromhex("20251308073015")])
def test_a_boarding_time_that_is_none_prolongs_no_card_and_spoils_no_record(when):
    made = case(Door.ALIGHT)
    of_trip(board_time=when)(made)
    journal = MemoryJournal(b"BUS00001")
    assert tapped(made.validator(journal), made.card()).fare == 75
    assert journal.records[0].origin_when == bytes(7)
    made.at = datetime(2030, 1, 1)
    assert tapped(made.validator(), made.card()).reason is Reject.EXPIRED


@each_door
def test_a_clock_that_knows_its_zone_is_read_as_local_time(door):
    made = case(door)
    made.at = NOW.replace(tzinfo=timezone(timedelta(hours=8)))
    card = made.card()
    assert tapped(made.validator(), card).verdict is Verdict.PASS
    assert logs_of(card.image)[0].time == Moment.of(NOW).both


# Buses that do not fit


@each_door
def test_a_validator_fits_its_line(door):
    line = LINE if door is Door.SINGLE else FLAT
    with pytest.raises(ValueError, match="needs a validator for"):
        BusConfig(BUSES, line, door, WHITE_LIST)


def test_a_line_with_a_stop_beyond_one_byte_is_refused_before_the_bus_leaves():
    stops = (Stop(1, "", "A", 0), Stop(0x100, "", "B", 900))
    line = BusLine(7, "", "Seven", LineKind.CITY, stops)
    with pytest.raises(ValueError, match="one byte for a stop, not 256"):
        BusConfig(BUSES, line, Door.BOARD, WHITE_LIST)


@pytest.mark.parametrize("vehicle", [b"BUS1", b"BUS000001", "BUS\xe9\xe90000".encode("latin-1")])
def test_a_vehicle_is_eight_ascii_characters(vehicle):
    with pytest.raises(ValueError, match="8 ASCII characters"):
        BusConfig(BUSES, LINE, Door.BOARD, WHITE_LIST, vehicle)


def test_a_line_longer_than_two_bytes_of_metres_has_its_mileage():
    long = BusLine(7, "", "Seven", LineKind.CITY, stops_at(0, 120_000))
    made = Case(Door.ALIGHT, long, 120_000, trip=ride_from(long, 0))
    card = made.card()
    assert tapped(made.validator(), card).fare == 600
    assert trip_of(card.image).mileage == 1200


# The link


@each_door
def test_a_card_that_leaves_before_debit_raises_and_keeps_everything(door):
    made = case(door)
    card = made.card()
    before = card.image
    with pytest.raises(CardLost):
        made.validator().pass_(Cutting(InProcess(card), 7, CutPoint.BEFORE))
    assert card.image is before

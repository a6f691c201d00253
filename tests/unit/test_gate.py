"""The gate: who passes, and every reason in its order."""

from collections.abc import Callable
from dataclasses import replace
from datetime import date, datetime
from itertools import combinations
from typing import Any

import pytest

import fixtures
from apdu.files import EF1E, TripLog
from emulator.card.state import Blocked
from issuer.tac import tac_is_right
from reader.gate import Direction, Reject, Verdict
from reader.modes import Mode
from reader.transport.decorators import Recording
from reader.transport.inprocess import InProcess
from reader.trips import ENTERED, ENTRY_CORRECTED, EXITED
from reader.white_list import parse_white_list
from tests.cards import content_of, new_card, with_content
from tests.gates import FARE, INSIDE, NETWORK, NO_PASSBACK, SERIAL, Case, case, gate_at, passed

# Passing


def test_a_good_card_enters_and_leaves_for_the_fare():
    card, way_in, way_out = (
        new_card(),
        gate_at(Direction.ENTRY),
        gate_at(Direction.EXIT),
    )
    assert passed(way_in, card).verdict is Verdict.PASS
    assert card.purse.actual == 5000
    outcome = passed(way_out, card)
    assert (outcome.verdict, outcome.fare) == (Verdict.PASS, FARE)
    assert card.purse.actual == 5000 - FARE == outcome.receipt.balance
    kinds = [TripLog.parse(r).trip_kind for r in content_of(card.image, EF1E.sfi)]
    assert kinds == [4, 3]


@pytest.mark.parametrize("direction", Direction, ids=lambda d: d.name)
def test_the_receipt_s_tac_is_the_card_s(direction):
    made = case(direction)
    receipt = passed(made.gate(), made.card()).receipt
    assert tac_is_right(receipt, fixtures.load_roots()["TMK"])
    assert not receipt.recovered


def test_staff_may_open_a_trip():
    made = case(Direction.EXIT)
    made.trip = replace(INSIDE, state=ENTRY_CORRECTED)
    assert passed(made.gate(), made.card()).verdict is Verdict.PASS


# Reasons

Fault = Callable[[Case], None]


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
    Reject.NOT_YET_VALID: of_profile(start_date=date(2025, 9, 9)),
    Reject.EXPIRED: of_profile(end_date=date(2025, 9, 7)),
    Reject.BLACKLISTED: of_config(blacklist=frozenset({SERIAL})),
    Reject.NOT_INTEROPERABLE: of_profile(city=bytes.fromhex("2900"), interop=False),
    Reject.KIND_NOT_ACCEPTED: of_config(policy=replace(NO_PASSBACK, kinds_accepted=("normal",))),
    Reject.TRIP_LOCKED: of_trip(lock=1),
    Reject.CARD_REFUSED: of_profile(offline_seq=0xFFFF),
}
ENTRY = COMMON | {
    Reject.ALREADY_ENTERED: of_trip(state=ENTERED),
    Reject.BALANCE_IMPLAUSIBLE: of_profile(balance=100_001, ceiling=200_000),
    Reject.ZERO_BALANCE: of_profile(balance=0),
    Reject.BALANCE_TOO_LOW: of_profile(balance=NETWORK.min_fare - 1),
}
EXIT = COMMON | {
    Reject.NOT_ENTERED: of_trip(state=EXITED),
    Reject.STATION_UNKNOWN: of_trip(entry_line=0xEE),
    Reject.OVER_TIME: of_trip(entry_time=bytes.fromhex("20250908040141")),
    Reject.BALANCE_TOO_LOW: of_profile(balance=FARE - 1),
}
FAULTS = {Direction.ENTRY: ENTRY, Direction.EXIT: EXIT}
SINGLE = [(d, r) for d in Direction for r in Reject if r in FAULTS[d]]
ALIKE = [
    {Reject.ISSUER_UNKNOWN, Reject.IIN_MISMATCH},
    {Reject.BALANCE_IMPLAUSIBLE, Reject.ZERO_BALANCE, Reject.BALANCE_TOO_LOW},
]
"""Faults of one value, which a card cannot have together."""
PAIRS = [
    (direction, first, second)
    for direction in Direction
    for first, second in combinations([r for r in Reject if r in FAULTS[direction]], 2)
    if not any({first, second} <= group for group in ALIKE)
    # At exit the card itself judges both, its counter before its money (4.1).
    and (direction, first) != (Direction.EXIT, Reject.BALANCE_TOO_LOW)
]


def test_every_reason_is_tried():
    # The others need a card that is none of ours, or a PSAM that forgets: test_gate_attacks.py.
    elsewhere = {Reject.NOT_OUR_CARD, Reject.UNPROVEN}
    # Modes: test_gate_modes.py. Buses: test_validator.py. The desk: test_staff.py. Two cards:
    # test_lane.py.
    modes = {mode.rule.stops for mode in Mode if mode.rule.stops}
    others = {Reject.NOT_ALIGHTED, Reject.NOT_BOARDED, Reject.NOT_OVER_TIME, Reject.TOO_MANY_CARDS}
    assert set(ENTRY) | set(EXIT) | elsewhere | modes | others == set(Reject)


@pytest.mark.parametrize("reason", Reject, ids=lambda r: r.name)
def test_every_reason_says_what_to_do_in_both_languages(reason):
    assert reason.zh
    assert reason.en.isascii()
    assert reason.lab in (None, 2449, 5469, 2731)


def test_the_codes_of_the_screen_are_two_digits_rise_and_end_as_beijing_s_do():
    codes = [reason.code for reason in Reject]
    assert codes == sorted(set(codes))
    assert 10 <= codes[0] <= codes[-1] <= 99
    # Domain facts 4.2: 4 over-time, 5 over-distance, 8 faulty; no other reason borrows 4 and 8.
    assert [reason for reason in Reject if reason.code % 10 == 4] == [Reject.OVER_TIME]
    assert Reject.BALANCE_TOO_LOW.code % 10 == 5
    assert {reason for reason in Reject if reason.code % 10 == 8} == {
        Reject.NOT_OUR_CARD,
        Reject.CARD_REFUSED,
    }


@pytest.mark.parametrize(
    ("direction", "reason"), SINGLE, ids=[f"{d.value}-{r.name}" for d, r in SINGLE]
)
def test_a_card_built_for_a_reason_is_refused_for_it_and_keeps_everything(direction, reason):
    made = case(direction)
    FAULTS[direction][reason](made)
    card = made.card()
    before = card.image
    outcome = passed(made.gate(), card)
    assert (outcome.verdict, outcome.reason) == (Verdict.REJECT, reason)
    assert (outcome.fare, outcome.receipt) == (0, None)
    assert card.image is before


@pytest.mark.parametrize(
    ("direction", "first", "second"),
    PAIRS,
    ids=[f"{d.value}-{a.name}-{b.name}" for d, a, b in PAIRS],
)
def test_of_two_reasons_the_one_declared_first_is_given(direction, first, second):
    made = case(direction)
    FAULTS[direction][first](made)
    FAULTS[direction][second](made)
    assert passed(made.gate(), made.card()).reason is first


@pytest.mark.parametrize("how", [Blocked.TEMPORARY, Blocked.PERMANENT])
def test_a_blocked_card_is_refused_before_anything_is_read(how):
    made = case(Direction.ENTRY)
    made.blocked = how
    link = Recording(InProcess(made.card()), lambda: 0)
    assert made.gate().pass_(link).reason is Reject.BLOCKED
    assert len(link.seen) == 2


@pytest.mark.parametrize(
    ("start", "end", "reason"),
    [
        (date(2025, 9, 8), date(2025, 9, 8), None),
        (date(2025, 9, 9), date(2026, 9, 30), Reject.NOT_YET_VALID),
        (date(2025, 9, 1), date(2025, 9, 7), Reject.EXPIRED),
    ],
)
def test_both_ends_of_the_validity_belong_to_it(start, end, reason):
    made = case(Direction.ENTRY)
    made.profile = {"start_date": start, "end_date": end}
    assert passed(made.gate(), made.card()).reason is reason


def test_a_card_that_expires_during_the_trip_gets_out():
    made = case(Direction.EXIT)
    made.profile = {"end_date": date(2025, 9, 8)}
    made.trip = replace(INSIDE, entry_time=bytes.fromhex("20250908234500"))
    gate, card = made.gate(), made.card()
    gate._clock = lambda: datetime(2025, 9, 9, 0, 10)
    assert passed(gate, card).verdict is Verdict.PASS


@pytest.mark.parametrize(
    ("offset", "raw", "reason"),
    [
        (20, "FFFFFFFF", Reject.NOT_YET_VALID),
        (20, "2025090A", Reject.NOT_YET_VALID),
        (24, "FFFFFFFF", Reject.EXPIRED),
        (24, "2026093A", Reject.EXPIRED),
        (24, "00000000", Reject.EXPIRED),
    ],
)
def test_a_date_that_is_no_digits_lets_nobody_in(offset, raw, reason):
    def change(image):
        ef15 = content_of(image, 0x15)
        broken = ef15[:offset] + bytes.fromhex(raw) + ef15[offset + 4 :]
        return with_content(0x15, broken)(image)

    assert passed(gate_at(Direction.ENTRY), new_card(change)).reason is reason


def test_a_foreign_card_with_interoperation_gets_in():
    made = case(Direction.ENTRY)
    made.profile = {"city": bytes.fromhex("2900"), "interop": True}
    assert passed(made.gate(), made.card()).verdict is Verdict.PASS


def test_the_least_balance_to_enter_is_the_lowest_fare():
    made = case(Direction.ENTRY)
    made.profile = {"balance": NETWORK.min_fare}
    assert passed(made.gate(), made.card()).verdict is Verdict.PASS


# White list


def test_a_white_list_is_read_line_by_line():
    text = ["issuer    IIN", "01011000    31051700", "", "09981001 31052280"]
    assert parse_white_list(text) == {("01011000", "31051700"), ("09981001", "31052280")}


@pytest.mark.parametrize("line", ["01011000", "01011000 3105170", "0101100A 31051700", "a b c"])
def test_a_wrong_line_of_a_white_list_is_named(line):
    with pytest.raises(ValueError, match="line 2"):
        parse_white_list(["header", line])

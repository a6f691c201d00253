"""The fares of domain facts 3.1 and 3.3, to the fen."""

from itertools import product

import pytest
from hypothesis import given
from hypothesis import strategies as st

from apdu.files import CARD_KINDS
from reader.fares.bus import (
    BusLine,
    Heading,
    LineKind,
    Rider,
    Stop,
    UnknownStop,
    boarding_balance,
    bus_charge,
    bus_fare,
    bus_percent,
    marked_amount,
    missed_charge,
    stops_at,
)
from reader.fares.tariff import BUS, Tariff
from reader.policy import LINE_KINDS, Policy

BEIJING = Policy()
NORMAL, STUDENT, SENIOR = Rider(0x01), Rider(0x02), Rider(0x03)
FLAT = Tariff("flat", ((0, 200),))


def line_of(*metres, kind=LineKind.CITY, tariff=BUS) -> BusLine:
    return BusLine(300, "三百路", "300", kind, stops_at(*metres), tariff)


LONG = line_of(0, 10_000, 10_001, 20_000, 30_000, 40_000)
EDGES_M = tuple(range(10_000, 120_001, 5_000))
lines = st.lists(st.integers(1, 60_000), min_size=1, max_size=12, unique=True).map(
    lambda metres: line_of(0, *sorted(metres))
)


def yuan_counted_out(distance_m: int) -> int:
    """Full fare in yuan, found by walking."""
    yuan, reached_m = 2, 10_000
    while reached_m < distance_m:
        yuan, reached_m = yuan + 1, reached_m + 5_000
    return yuan


def test_fares_equal_an_independent_count_over_every_distance_to_120_km():
    near_edges = {e + d for e in EDGES_M for d in range(-50, 51)}
    for distance_m in sorted(near_edges | set(range(0, 120_001, 100))):
        assert BUS.fare(distance_m) == 100 * yuan_counted_out(distance_m), distance_m


@pytest.mark.parametrize(
    ("distance_m", "full", "ordinary", "student"),
    [
        (10_000, 200, 100, 50),
        (10_001, 300, 150, 75),
        (20_000, 400, 200, 100),
        (40_000, 800, 400, 200),
    ],
)
def test_the_printed_examples(distance_m, full, ordinary, student):
    there = next(stop for stop in LONG.stops if stop.at_m == distance_m)
    assert bus_fare(LONG, LONG.stops[0], there) == full
    assert bus_charge(LONG, LONG.stops[0], there, NORMAL, BEIJING) == ordinary
    assert bus_charge(LONG, there, LONG.stops[0], STUDENT, BEIJING) == student


def test_students_pay_a_quarter_others_half_and_the_rest_in_full():
    paid = {name: bus_percent(LONG, kind, True, BEIJING) for kind, name in CARD_KINDS.items()}
    assert paid == {"normal": 50, "student": 25, "senior": 100, "test": 100, "military": 100}


def test_every_card_kind_has_its_knob():
    changed = {f"bus_percent_{name}": n for n, name in enumerate(CARD_KINDS.values())}
    policy = Policy(**changed)
    assert [policy.bus_percent(kind) for kind in CARD_KINDS] == list(range(len(CARD_KINDS)))


def test_an_unknown_kind_of_card_has_no_concession():
    assert bus_percent(LONG, 0xCA, True, BEIJING) == 100


def test_a_student_of_another_city_is_a_normal_passenger():
    assert bus_percent(LONG, 0x02, False, BEIJING) == 50
    assert bus_percent(LONG, 0x02, False, Policy(foreign_card_kind="as_written")) == 25


@pytest.mark.parametrize("kind", [kind for kind in LineKind if kind is not LineKind.CITY])
def test_other_lines_than_the_citys_have_no_concessions(kind):
    line = line_of(0, 10_000, kind=kind)
    for rider in (NORMAL, STUDENT, SENIOR):
        assert bus_charge(line, *line.stops, rider, BEIJING) == 200


def test_line_kinds_are_those_the_policy_knows():
    assert tuple(kind.value for kind in LineKind) == LINE_KINDS
    everywhere = Policy(bus_lines_with_concessions=LINE_KINDS)
    tour = line_of(0, 10_000, kind=LineKind.SIGHTSEEING)
    assert bus_charge(tour, *tour.stops, STUDENT, everywhere) == 50


# No alighting tap


def test_a_missed_tap_costs_the_full_fare_to_the_farther_end():
    boarded = next(stop for stop in LONG.stops if stop.at_m == 30_000)
    assert missed_charge(LONG, boarded) == 600


@given(lines, st.data())
def test_no_ride_from_a_stop_costs_more_than_what_a_missed_tap_collects(line, data):
    boarded = data.draw(st.sampled_from(line.stops))
    missed = missed_charge(line, boarded)
    ends = (line.stops[0], line.stops[-1])
    assert missed in {bus_fare(line, boarded, end) for end in ends}
    for there, rider in product(line.stops, (NORMAL, STUDENT, SENIOR)):
        assert 0 < bus_charge(line, boarded, there, rider, BEIJING) <= missed
    assert marked_amount(line, boarded) == missed


def test_a_flat_line_has_one_price_and_nothing_to_miss():
    line = line_of(0, 5_000, 45_000, tariff=FLAT)
    assert line.is_flat
    assert not LONG.is_flat
    assert bus_charge(line, line.stops[0], line.stops[2], NORMAL, BEIJING) == 100
    assert bus_charge(line, line.stops[0], line.stops[0], STUDENT, BEIJING) == 50
    assert missed_charge(line, line.stops[0]) == 0
    assert marked_amount(line, line.stops[0]) == 200
    assert boarding_balance(line, line.stops[0], Heading.UP, STUDENT, BEIJING) == 50


# Boarding


@pytest.mark.parametrize(
    ("at_m", "heading", "student", "normal"),
    [
        (0, Heading.UP, 200, 400),
        (0, Heading.DOWN, 50, 100),
        (30_000, Heading.UP, 50, 100),
        (30_000, Heading.DOWN, 150, 300),
        (40_000, Heading.UP, 50, 100),
        (40_000, Heading.DOWN, 200, 400),
    ],
)
def test_one_boards_with_the_own_fare_to_the_farthest_stop_ahead(at_m, heading, student, normal):
    boarded = next(stop for stop in LONG.stops if stop.at_m == at_m)
    assert boarding_balance(LONG, boarded, heading, STUDENT, BEIJING) == student
    assert boarding_balance(LONG, boarded, heading, NORMAL, BEIJING) == normal


@pytest.mark.parametrize("knobs", [{"overdraft": "bus"}, {"min_entry_bus": "lowest"}])
def test_other_policies_let_board_with_the_lowest_fare(knobs):
    policy = Policy(**knobs)
    assert boarding_balance(LONG, LONG.stops[0], Heading.UP, NORMAL, policy) == 100
    assert boarding_balance(LONG, LONG.stops[0], Heading.UP, STUDENT, policy) == 50


@given(lines, st.data())
def test_who_may_board_can_pay_every_stop_ahead(line, data):
    at = data.draw(st.integers(0, len(line.stops) - 1))
    boarded = line.stops[at]
    for heading, ahead in ((Heading.UP, line.stops[at:]), (Heading.DOWN, line.stops[: at + 1])):
        for rider in (NORMAL, STUDENT, SENIOR):
            held = boarding_balance(line, boarded, heading, rider, BEIJING)
            paid = [bus_charge(line, boarded, there, rider, BEIJING) for there in ahead]
            assert max(paid) == held


# Lines that do not fit


def test_a_stop_is_found_by_its_number():
    assert LONG.stop(3).at_m == 10_001
    with pytest.raises(UnknownStop, match="Line 300 has no stop 99; it has 1 to "):
        LONG.stop(99)


@pytest.mark.parametrize(
    ("number", "stops", "why"),
    [
        (0x10000, stops_at(0, 1), "number of a line is two bytes, not 65536"),
        (1, (Stop(0, "", "A", 0), Stop(-1, "", "B", 1)), "number of a stop is two bytes, not -1"),
        (1, stops_at(0), "fewer than two stops"),
        (1, stops_at(5, 9), "first stop of line X is not at 0 m"),
        (1, stops_at(0, 9, 9), "9 m is not further on than 9 m"),
        (1, (Stop(1, "", "A", 0), Stop(1, "", "B", 1)), "Two stops of line X have one number"),
    ],
)
def test_a_line_that_does_not_fit_is_refused(number, stops, why):
    with pytest.raises(ValueError, match=why):
        BusLine(number, "", "X", LineKind.CITY, stops)

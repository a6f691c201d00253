"""The fares of domain facts 3.2, to the fen."""

import ast
import doctest
import inspect
from datetime import datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

import reader.fares.bus
import reader.fares.month
import reader.fares.rail
import reader.fares.tariff
import reader.knobs
import reader.policy
from reader.fares.month import MonthTotal, fare_month, month_percent, paid_in
from reader.fares.rail import (
    Ride,
    entry_balance,
    overtime_charge,
    rail_charge,
    rail_fare,
    staff_refund,
    stay_s,
)
from reader.fares.tariff import BUS, RAIL, Tariff, share
from reader.policy import Policy

BEIJING = Policy()
FLAT = Tariff("airport", ((0, 2_500),))
NOON = datetime(2025, 9, 8, 12)
EDGES_M = (0, 6_000, 12_000, 22_000, 32_000, 52_000, 72_000, 92_000, 112_000)
FRESH = MonthTotal()


def ride(distance_m=20_000, *, tariff=RAIL, same=False, at=NOON, minutes=30, seconds=0) -> Ride:
    return Ride(tariff, distance_m, same, at, at + timedelta(minutes=minutes, seconds=seconds))


MODULES = (reader.fares.bus, reader.fares.month, reader.fares.rail, reader.fares.tariff)


@pytest.mark.parametrize(
    "module", [*MODULES, reader.knobs, reader.policy], ids=lambda module: module.__name__
)
def test_the_examples_in_the_text_are_right(module):
    done = doctest.testmod(module)
    assert done.attempted
    assert not done.failed


@pytest.mark.parametrize("module", MODULES, ids=lambda module: module.__name__)
def test_money_is_computed_in_whole_numbers(module):
    for node in ast.walk(ast.parse(inspect.getsource(module))):
        assert not isinstance(node, ast.Div)
        assert not (isinstance(node, ast.Constant) and isinstance(node.value, float))
        assert not (isinstance(node, ast.Name) and node.id in {"float", "round"})


# Distance


def yuan_counted_out(distance_m: int) -> int:
    """Full fare in yuan, found by walking: another way to the same table."""
    yuan, left = 3, distance_m
    for stretch_m in (6_000, 6_000, 10_000, 10_000):
        if left <= stretch_m:
            return yuan
        left -= stretch_m
        yuan += 1
    while left > 20_000:
        left -= 20_000
        yuan += 1
    return yuan


def test_fares_equal_an_independent_count_over_every_distance_to_120_km():
    near_edges = {e + d for e in EDGES_M for d in range(-50, 51) if e + d >= 0}
    for distance_m in sorted(near_edges | set(range(0, 120_001, 100))):
        assert rail_fare(distance_m) == 100 * yuan_counted_out(distance_m), distance_m


@pytest.mark.parametrize("edge_m", EDGES_M[1:])
def test_the_upper_bound_belongs_to_its_step(edge_m):
    assert rail_fare(edge_m) == rail_fare(edge_m - 1)
    assert rail_fare(edge_m + 1) == rail_fare(edge_m) + 100


def test_exactly_52_km_are_seven_yuan():
    # One public calculator divides with floor and says eight (domain facts 3.2).
    assert (rail_fare(52_000), rail_fare(52_001)) == (700, 800)


@pytest.mark.parametrize(
    "steps", [(), ((6_000, 300), (6_000, 400)), ((6_000, 300), (9_000, 200)), ((-1, 300),)]
)
def test_tariffs_that_do_not_rise_are_refused(steps):
    with pytest.raises(ValueError, match="Tariff odd"):
        Tariff("odd", steps)


def test_neighbouring_steps_may_cost_the_same():
    assert Tariff("even", ((5, 300), (9, 300))).fare(9) == 300


@given(st.integers(0, 10**7), st.integers(0, 10**7))
def test_no_tariff_charges_less_for_a_longer_way(a, b):
    shorter, longer = sorted((a, b))
    for tariff in (RAIL, BUS, FLAT, Tariff("stages", ((10, 1_000), (20, 3_500)))):
        assert tariff.lowest <= tariff.fare(shorter) <= tariff.fare(longer)


# Discounts are whole fen


@pytest.mark.parametrize("percent", [80, 50, 25])
def test_discounts_of_beijings_fares_are_whole_fen(percent):
    for distance_m in range(0, 120_001, 500):
        for fare in (rail_fare(distance_m), BUS.fare(distance_m)):
            assert fare * percent % 100 == 0
            assert share(fare, percent) * 100 == fare * percent


@given(st.integers(0, 10**6), st.integers(0, 100))
def test_a_discount_is_never_more_than_the_fare_nor_off_by_a_fen(fare, percent):
    paid = share(fare, percent)
    assert 0 <= paid <= fare
    assert 0 <= fare * percent - paid * 100 < 100


@pytest.mark.parametrize(("fare", "percent"), [(-1, 50), (100, -1), (100, 101)])
def test_a_share_outside_its_bounds_is_refused(fare, percent):
    with pytest.raises(ValueError, match="Expected a fare"):
        share(fare, percent)


# The month


def ridden(count, distance_m=20_000, policy=BEIJING):
    """What each of some rides costs in one month, and the totals after them."""
    total, charged, totals = FRESH, [], []
    for number in range(count):
        charge = rail_charge(ride(distance_m, at=NOON + timedelta(hours=number)), total, policy)
        total = charge.month
        charged.append(charge.amount)
        totals.append(total.paid)
    return charged, totals


def test_the_month_of_five_yuan_rides_is_the_printed_one():
    charged, totals = ridden(134)
    assert charged[:20] == [500] * 20
    assert charged[20:33] == [400] * 13
    assert charged[33:133] == [250] * 100
    assert charged[133] == 500
    assert (totals[19], totals[32], totals[132], totals[133]) == (10_000, 15_200, 40_200, 40_700)


@pytest.mark.parametrize(
    ("paid", "percent"),
    [(0, 100), (9_999, 100), (10_000, 80), (14_999, 80), (15_000, 50), (39_999, 50), (40_000, 100)],
)
def test_a_step_begins_when_its_amount_is_reached(paid, percent):
    assert month_percent(paid, BEIJING) == percent


def test_the_ride_that_reaches_a_step_is_not_discounted_itself():
    charge = rail_charge(ride(), MonthTotal(202509, 9_900), BEIJING)
    assert (charge.percent, charge.amount, charge.month.paid) == (100, 500, 10_400)


def test_a_new_month_begins_at_nothing():
    charge = rail_charge(ride(at=datetime(2025, 10, 1, 8)), MonthTotal(202509, 39_000), BEIJING)
    assert (charge.amount, charge.month) == (500, MonthTotal(202510, 500))


@pytest.mark.parametrize(
    ("exited_at", "by_exit", "by_day"),
    [
        (datetime(2025, 9, 30, 23, 59, 59), 202509, 202509),
        (datetime(2025, 10, 1, 0, 0), 202510, 202509),
        (datetime(2025, 10, 1, 3, 59, 59), 202510, 202509),
        (datetime(2025, 10, 1, 4, 0), 202510, 202510),
        (datetime(2026, 1, 1, 0, 30), 202601, 202512),
    ],
)
def test_a_ride_belongs_to_the_month_of_its_exit_or_of_its_operating_day(
    exited_at, by_exit, by_day
):
    assert fare_month(exited_at, BEIJING) == by_exit
    assert fare_month(exited_at, Policy(accumulate_at="operating_day")) == by_day


def test_a_ride_over_midnight_of_the_month_follows_the_knob():
    over = ride(at=datetime(2025, 9, 30, 23, 50))
    rich = MonthTotal(202509, 20_000)
    assert rail_charge(over, rich, BEIJING).amount == 500
    by_day = rail_charge(over, rich, Policy(accumulate_at="operating_day"))
    assert (by_day.amount, by_day.month) == (250, MonthTotal(202509, 20_250))


def test_a_ride_of_a_month_that_is_cleared_pays_in_full_and_changes_nothing():
    now = MonthTotal(202510, 12_000)
    charge = rail_charge(ride(), now, BEIJING)
    assert (charge.amount, charge.month) == (500, now)


def test_a_new_card_begins_at_nothing():
    assert MonthTotal() == MonthTotal(month=0, paid=0)


def test_the_month_can_be_switched_off():
    charged, _ = ridden(140, policy=Policy(month_steps=()))
    assert set(charged) == {500}


@given(st.sampled_from([0, 10_000, 20_000, 40_000]), st.data())
def test_within_a_step_the_order_of_rides_does_not_matter(paid, data):
    # Five rides of at most 11 yuan stay within each of these steps.
    distances = data.draw(st.lists(st.integers(0, 120_000), min_size=1, max_size=5))
    totals = set()
    for order in (distances, data.draw(st.permutations(distances))):
        total = MonthTotal(202509, paid)
        for distance_m in order:
            total = rail_charge(ride(distance_m), total, BEIJING).month
        totals.add(total)
    assert len(totals) == 1


@given(st.lists(st.integers(0, 120_000), max_size=60))
def test_the_total_is_what_was_paid_and_never_more_than_the_full_fares(distances):
    total, full, paid = FRESH, 0, 0
    for distance_m in distances:
        charge = rail_charge(ride(distance_m), total, BEIJING)
        assert 0 < charge.fare <= charge.full == rail_fare(distance_m)
        full, paid, total = full + charge.full, paid + charge.amount, charge.month
    assert paid_in(total, 202509) == paid <= full


# Airport lines


@pytest.mark.parametrize("total", [FRESH, MonthTotal(202509, 10_000), MonthTotal(202509, 20_000)])
def test_an_airport_ride_has_no_discount_and_does_not_count(total):
    charge = rail_charge(ride(28_000, tariff=FLAT), total, BEIJING)
    assert (charge.percent, charge.amount, charge.month) == (100, 2_500, total)


# The stay


@pytest.mark.parametrize(
    ("seconds", "charged"), [(0, 0), (14_399, 0), (14_400, 0), (14_401, 300), (100_000, 300)]
)
def test_four_hours_are_fine_and_a_second_more_is_not(seconds, charged):
    assert overtime_charge(NOON, NOON + timedelta(seconds=seconds), BEIJING) == charged


def test_a_stay_over_midnight_is_measured_through():
    entered = datetime(2025, 9, 30, 22, 0)
    assert stay_s(entered, datetime(2025, 10, 1, 2, 0)) == 14_400
    assert overtime_charge(entered, datetime(2025, 10, 1, 2, 0, 1), BEIJING) == 300


def test_a_stay_of_days_is_measured_to_the_second():
    assert stay_s(NOON, NOON + timedelta(days=2, seconds=5)) == 172_805


def test_a_clock_that_runs_backwards_makes_no_stay():
    assert stay_s(NOON, NOON - timedelta(days=3)) == 0
    assert overtime_charge(NOON, NOON - timedelta(seconds=1), BEIJING) == 0


def test_a_stay_too_long_is_charged_in_full_beside_the_discounted_fare():
    long = ride(minutes=241)
    charge = rail_charge(long, MonthTotal(202509, 15_000), BEIJING)
    assert (charge.fare, charge.overtime, charge.amount) == (250, 300, 550)
    assert charge.month.paid == 15_250
    counted = rail_charge(long, MonthTotal(202509, 15_000), Policy(overtime_in_month=True))
    assert counted.month.paid == 15_550


# In and out at one station


@pytest.mark.parametrize(
    ("knob", "minutes", "amount", "refundable"),
    [
        ("refund", 10, 300, 300),
        ("refund", 11, 300, 0),
        ("charge", 10, 300, 0),
        ("free", 10, 0, 0),
        ("free", 11, 300, 0),
    ],
)
def test_same_station_follows_the_knob(knob, minutes, amount, refundable):
    back = ride(0, same=True, minutes=minutes)
    charge = rail_charge(back, FRESH, Policy(same_station=knob))
    assert (charge.amount, charge.refundable) == (amount, refundable)
    assert charge.month.paid == amount


def test_ten_minutes_are_within_and_a_second_more_is_not():
    assert staff_refund(ride(0, same=True, minutes=10), 300, BEIJING) == 300
    assert staff_refund(ride(0, same=True, minutes=10, seconds=1), 300, BEIJING) == 0


def test_a_ride_to_elsewhere_is_never_refunded():
    assert rail_charge(ride(1, minutes=3), FRESH, BEIJING).refundable == 0


# Entry


def test_three_yuan_let_in_and_a_dearer_line_asks_for_its_own_fare():
    assert entry_balance(RAIL, BEIJING) == 300
    assert entry_balance(FLAT, BEIJING) == 2_500
    assert entry_balance(RAIL, Policy(min_entry_rail=1_000)) == 1_000

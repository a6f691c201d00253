"""Who rides where on a city's day: by seed and shard alone."""

from datetime import date
from itertools import pairwise

import pytest

from bench.city.plan import CityPlan, network, plan_shard, stations

DAY = date(2026, 9, 1)


def told(plan, shard):
    made = plan_shard(plan, shard)
    return [(t.card, t.origin, t.target, t.entered, t.left) for t in made.trips], made.opening


def test_a_shard_follows_from_the_seed_and_its_number_whatever_was_planned_before():
    plan = CityPlan(300, DAY, 7, 100)
    backwards = {shard: told(plan, shard) for shard in (2, 1, 0)}
    assert backwards == {shard: told(plan, shard) for shard in range(3)}
    assert backwards[0] != backwards[1]
    assert told(CityPlan(300, DAY, 8, 100), 0) != backwards[0]


def test_a_longer_day_has_the_same_first_shards():
    assert told(CityPlan(300, DAY, 7, 100), 1) == told(CityPlan(90_000, DAY, 7, 100), 1)


@pytest.mark.parametrize("trips", [1, 99, 100, 101, 250])
def test_the_shards_have_all_trips_and_no_more(trips):
    plan = CityPlan(trips, DAY, 1, 100)
    sizes = [len(plan_shard(plan, shard).trips) for shard in range(plan.shards)]
    assert sum(sizes) == trips
    assert sizes == [plan.trips_of(shard) for shard in range(plan.shards)]
    assert set(sizes[:-1]) <= {100}


def test_a_card_leaves_before_it_enters_again_and_within_the_day():
    made = plan_shard(CityPlan(2000, DAY, 3, 2000), 0)
    assert {trip.card for trip in made.trips} == set(range(len(made.opening)))
    for trip in made.trips:
        assert 5 * 3600 < trip.entered < trip.left < 24 * 3600
        assert trip.left - trip.entered < 4 * 3600  # nobody pays for staying too long
        assert trip.origin != trip.target
    for first, second in pairwise(made.trips):
        assert first.card != second.card or first.left < second.entered


def test_most_cards_make_two_or_three_trips_and_most_in_the_rush_hours():
    made = plan_shard(CityPlan(4000, DAY, 5, 4000), 0)
    assert 2 <= len(made.trips) / len(made.opening) <= 3
    rush = [trip for trip in made.trips if trip.entered // 3600 in (7, 8, 17, 18)]
    assert len(rush) > len(made.trips) / 2


def test_everybody_can_pay_whatever_the_day_brings():
    made = plan_shard(CityPlan(3000, DAY, 2, 3000), 0)
    left = list(made.opening)
    rails, places = network(), stations()
    for trip in made.trips:
        assert left[trip.card] >= 300
        left[trip.card] -= rails.fare(places[trip.origin], places[trip.target])
    assert min(left) >= 0

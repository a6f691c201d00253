"""Cards at rest: a flyweight is the whole card, whatever the day has done to it."""

from dataclasses import replace
from datetime import date
from random import Random

import pytest

import fixtures
from bench.city.cards import Issue, holding, issue_of, profile_on, serial_of
from bench.city.lanes import Clock, Lanes
from bench.city.plan import CityPlan, stations
from bench.city.shard import Street
from emulator.card.personalise import new_image, purse_index
from reader.gate import Verdict

DAY = date(2026, 9, 1)
TARGET_B = 200


@pytest.fixture(scope="module")
def issue() -> Issue:
    return issue_of(DAY)


@pytest.mark.parametrize("number", [0, 1, 4711, 9_999_999_999])
def test_a_card_at_rest_is_the_card_that_was_personalised(issue, number):
    lanes = Lanes(0, Clock(DAY), fixtures.load_roots()["PMK"])
    profile = replace(profile_on(DAY), serial=serial_of(number)).with_balance(12_340)
    made = issue.unpack(number, issue.fresh(12_340), lanes)
    assert made == new_image(profile, fixtures.load_roots())


def ridden(trips: int, seed: int) -> Street:
    """A street with one card that goes up and down the city all day."""
    street = Street(CityPlan(1, DAY, seed, 1), 0)
    street.cards = [street.issue.fresh(100_000)]
    chance = Random(seed)
    for tap in range(2 * trips):
        street.clock.second = 20_000 + 700 * tap
        way = tap % 2
        lane = street.lanes[2 * chance.randrange(len(stations())) + way]
        passed, image = street.tap(0, lane)
        assert passed.verdict is Verdict.PASS
        assert street.issue.unpack(street.first_card, street.cards[0], street.lanes) == image
    return street


def test_after_each_of_80_taps_the_flyweight_is_the_card_with_full_logs():
    street = ridden(40, seed=1)
    image = street.issue.unpack(street.first_card, street.cards[0], street.lanes)
    files = image.directories[purse_index(image)].files
    assert (len(files[0x18].content), len(files[0x1E].content)) == (10, 30)


def test_a_card_at_rest_is_small():
    street = ridden(4, seed=2)
    assert street.card_b <= TARGET_B


def test_a_flyweight_tells_balance_number_and_last_tac(issue):
    street = ridden(3, seed=3)
    image = street.issue.unpack(street.first_card, street.cards[0], street.lanes)
    purse = image.directories[purse_index(image)]
    balance, counter, tac = holding(street.cards[0])
    assert (balance, counter) == (purse.purses[2].actual, 6)
    assert tac == purse.proofs[9].tac
    assert holding(issue.fresh(500)) == (500, 0, bytes(4))


def test_an_image_that_is_not_one_debit_further_is_not_packed():
    street = ridden(1, seed=4)
    kept = street.cards[0]
    image = street.issue.unpack(street.first_card, kept, street.lanes)
    with pytest.raises(ValueError, match="from 2 to 2"):
        street.issue.pack(kept, image, street.lanes)

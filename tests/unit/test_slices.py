"""A slice of a sweep has every kind of case, and is the same each time."""

from collections import Counter
from itertools import product

from tests.slices import ONE_IN, Some, is_drawn, slice_of

PAIRS = list(product(range(10), "abc"))


def test_a_slice_has_every_kind_and_no_more_cases_than_it_needs():
    drawn = slice_of(PAIRS, 12, kinds=lambda pair: pair)
    assert {kind for pair in drawn for kind in pair} == {*range(10), *"abc"}
    assert len(drawn) == 12
    assert drawn == sorted(drawn)
    assert len(set(drawn)) == 12


def test_kinds_go_before_the_size_asked_for():
    assert slice_of(range(20), 3, kinds=lambda n: (n,)) == list(range(20))
    assert len(slice_of(range(20), 3)) == 3
    assert slice_of(range(2), 3) == [0, 1]
    assert slice_of([], 3) == []


def test_a_slice_is_the_same_each_time_and_another_with_another_seed():
    assert slice_of(PAIRS, 5) == slice_of(PAIRS, 5)
    assert slice_of(PAIRS, 5) != slice_of(PAIRS, 5, seed=2)


def test_the_whole_has_every_case():
    assert Some(is_whole=True)(PAIRS, 5) == PAIRS
    assert Some(is_whole=False)(PAIRS, 5) == slice_of(PAIRS, 5)


def test_one_name_in_four_is_drawn():
    drawn = Counter(is_drawn(f"test {n}") for n in range(1000))
    assert 0.8 < drawn[True] * ONE_IN / 1000 < 1.2

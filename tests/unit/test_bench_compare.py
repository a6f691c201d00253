"""One result against another: what is a change, and what is chance."""

from dataclasses import replace
from itertools import combinations
from math import isfinite
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.problem import Problem
from bench.throughput.compare import CONFIDENCE, compare, cut_off, parse_regression
from bench.throughput.document import Document, machine
from bench.throughput.histogram import Measure
from bench.throughput.yardstick import YARDSTICK

NAME = "inproc tap"


HERE = machine()


def result(*runs: float, better="less", kind="tap", taken_on=HERE, **rest) -> Document:
    measures = {NAME: Measure("us", runs, better)}
    return Document(kind, {"count": 10}, measures, taken_on=taken_on, **rest)


QUIET = (100.0, 101.0, 99.0, 100.5, 99.5)


def scaled(runs, by: float) -> tuple[float, ...]:
    return tuple(by * one for one in runs)


def test_a_result_against_itself_is_one_and_nothing_is_worse():
    [change] = compare(result(*QUIET), result(*QUIET)).changes
    assert change.ratio == 1
    assert change.low <= 1 <= change.high
    assert not change.is_past(1.0)


@pytest.mark.parametrize(("better", "by"), [("less", 1.2), ("more", 1 / 1.2)])
def test_a_fifth_worse_is_past_ten_percent_and_not_past_thirty(better: str, by: float):
    before, after = result(*QUIET, better=better), result(*scaled(QUIET, by), better=better)
    comparison = compare(before, after)
    assert [one.name for one in comparison.past(1.1)] == [NAME]
    assert comparison.past(1.3) == []
    [change] = comparison.changes
    assert change.slowdown == pytest.approx(1.2)
    assert change.low <= change.ratio <= change.high


@pytest.mark.parametrize(("better", "by"), [("less", 0.5), ("more", 2.0)])
def test_what_got_better_is_never_past(better: str, by: float):
    before, after = result(*QUIET, better=better), result(*scaled(QUIET, by), better=better)
    assert compare(before, after).past(1.0) == []


def test_what_noise_explains_is_not_past():
    noisy = result(60.0, 100.0, 180.0, 90.0, 150.0)
    [change] = compare(noisy, result(140.0, 75.0, 190.0, 125.0, 110.0)).changes
    assert change.slowdown > 1.1
    assert not change.is_past(1.1)


def test_one_run_each_has_no_interval_and_is_taken_at_its_word():
    comparison = compare(result(100.0), result(120.0))
    [change] = comparison.changes
    assert (change.low, change.high) == (1.2, 1.2)
    assert change.is_past(1.1)
    assert change.confidence == 0
    assert any("one run each" in note for note in comparison.notes)


@pytest.mark.parametrize(
    ("runs", "again"), [((100.0,), QUIET), (QUIET, (100.0,)), (QUIET[:3], QUIET[:3])]
)
def test_too_few_runs_are_said_whichever_result_has_them(runs, again):
    comparison = compare(result(*runs), result(*again))
    assert comparison.changes[0].confidence < CONFIDENCE
    assert any("too few runs for 95%" in note for note in comparison.notes)


def test_runs_that_say_nothing_of_one_side_do_not_make_the_other_certain():
    [change] = compare(result(100.0), result(80.0, 95.0, 104.0, 118.0, 130.0)).changes
    assert (change.low, change.high) == (0.8, 1.3)
    assert not change.is_certain


@pytest.mark.parametrize(
    ("first", "second", "outside"),
    [(4, 4, 0), (4, 5, 1), (5, 5, 2), (6, 6, 5), (8, 10, 17), (20, 20, 127), (1, 39, 0)],
)
def test_what_is_outside_is_as_in_the_tables_of_the_rank_sum(first, second, outside):
    assert cut_off(first, second)[0] == cut_off(second, first)[0] == outside
    assert cut_off(first, second)[1] >= CONFIDENCE


@given(st.integers(1, 6), st.integers(1, 6))
def test_the_confidence_is_counted_over_every_order_of_the_runs(first, second):
    """Each order of distinct runs is as likely as the others if nothing changed."""
    outside, confidence = cut_off(first, second)
    right = total = 0
    for places in combinations(range(first + second), first):
        others = [at for at in range(first + second) if at not in places]
        above = sum(b > a for a in places for b in others)
        right += outside < above < first * second - outside
        total += 1
    assert confidence == pytest.approx(right / total)


def test_chance_alone_is_certain_no_more_often_than_it_says():
    drawn, alarms, many = Random(1), 0, 400
    for _ in range(many):
        before, after = ([drawn.lognormvariate(0, 0.2) for _ in range(5)] for _ in range(2))
        alarms += compare(result(*before), result(*after)).changes[0].is_certain
    assert alarms / many < 0.06


RUNS = st.lists(st.floats(0.001, 1e6), min_size=1, max_size=8)


@given(RUNS, RUNS)
def test_the_interval_lies_within_the_runs_and_repeats(before, after):
    first, second = (compare(result(*before), result(*after)).changes for _ in range(2))
    assert first == second
    assert min(after) / max(before) <= first[0].low * (1 + 1e-12)
    assert first[0].high <= max(after) / min(before) * (1 + 1e-12)
    assert first[0].low <= first[0].high


def test_results_of_different_kinds_are_refused():
    with pytest.raises(Problem, match="bench tap cannot be compared with one of bench card"):
        compare(result(1.0), result(1.0, kind="card"))


@pytest.mark.parametrize(
    "other",
    [
        Document("tap", {}, {"udp tap": Measure("us", (1.0,))}),
        Document("tap", {}, {NAME: Measure("ms", (1.0,))}),
        Document("tap", {}, {NAME: Measure("us", (0.0,))}),
        Document("tap", {}, {NAME: Measure("us", (1.0, -1.0, 1.0))}),
        Document("tap", {}, {NAME: Measure("us", (1.0,), "more")}),
        Document("tap", {}, {}),
    ],
)
def test_results_without_a_common_measure_are_refused(other: Document):
    with pytest.raises(Problem, match="no measure in common"):
        compare(result(1.0), other)


def test_what_makes_a_comparison_doubtful_is_said():
    before = result(*QUIET)
    after = replace(
        result(*QUIET, incomplete="the disk was full"),
        options={"count": 20},
        taken_on={**HERE, "processor": "a slide rule"},
        measures={**before.measures, "udp tap": Measure("us", (1.0,))},
    )
    notes = " ".join(compare(before, after).notes)
    for word in ("slide rule", "different options", "the disk was full", "udp tap"):
        assert word in notes
    assert compare(before, before).notes == ()


def test_a_measure_without_a_ratio_is_named():
    before = replace(
        result(*QUIET), measures={NAME: Measure("us", QUIET), "b": Measure("us", (0.0,))}
    )
    after = replace(before, measures={**before.measures, "b": Measure("us", (3.0,))})
    [note] = compare(before, after).notes
    assert note == "left out: b was 0 and is 3, which has no ratio"


def test_other_versions_and_another_seed_are_said_and_another_processor_of_the_same_is_not():
    before = result(*QUIET, taken_on={**HERE, "processors": "pinned to 0"}, seed=1)
    other = {**HERE, "processors": "pinned to 1"}
    assert compare(before, result(*QUIET, taken_on=other, seed=1)).notes == ()
    notes = compare(before, result(*QUIET, taken_on={**other, "construct": "1"}, seed=2)).notes
    assert [note.split(" (")[0] for note in notes] == [
        "measured with different versions",
        "measured with different options",
    ]


def test_a_machine_in_another_mood_is_said_and_is_no_regression():
    def held(by: float) -> Document:
        measures = {NAME: Measure("us", QUIET), YARDSTICK: Measure("us", scaled(QUIET, by))}
        return Document("tap", {}, measures, taken_on=HERE)

    comparison = compare(held(1), held(1.6))
    assert comparison.past(1.1) == []
    [note] = comparison.notes
    assert note.startswith("the machine itself took 1.60 times as long in the second")
    assert compare(held(1), held(1.01)).notes == ()


def test_huge_and_tiny_figures_have_a_ratio_that_is_a_number():
    [change] = compare(result(1e-99, 1e-99), result(1e99, 1e99)).changes
    assert change.is_past(2.0)
    assert isfinite(change.ratio)
    assert isfinite(change.slowdown)


@pytest.mark.parametrize(
    ("said", "factor"), [("10%", 1.1), ("10", 1.1), ("0%", 1.0), ("2.5 %", 1.025), ("100%", 2.0)]
)
def test_a_percentage_is_a_factor(said: str, factor: float):
    assert parse_regression(said) == pytest.approx(factor)


@pytest.mark.parametrize("said", ["", "%", "-10%", "ten", "10%%", "nan", "1e3%", "inf"])
def test_what_is_no_percentage_is_said(said: str):
    with pytest.raises(Problem, match="is no percentage"):
        parse_regression(said)

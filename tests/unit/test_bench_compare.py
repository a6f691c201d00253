"""One result against another: what is a change, and what is chance."""

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bench.problem import Problem
from bench.throughput.compare import compare, parse_regression
from bench.throughput.document import Document, machine
from bench.throughput.histogram import Measure

NAME = "inproc tap"


def result(*runs: float, better="less", kind="tap", **rest) -> Document:
    return Document(kind, {"count": 10}, {NAME: Measure("us", runs, better)}, **rest)


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
    [change] = compare(noisy, result(120.0, 65.0, 170.0, 118.0, 95.0)).changes
    assert change.slowdown > 1.1
    assert not change.is_past(1.1)


def test_one_run_each_has_no_interval_and_is_taken_at_its_word():
    comparison = compare(result(100.0), result(120.0))
    [change] = comparison.changes
    assert (change.low, change.high) == (1.2, 1.2)
    assert change.is_past(1.1)
    assert any("one run" in note for note in comparison.notes)


RUNS = st.lists(st.floats(0.001, 1e6), min_size=1, max_size=8)


@given(RUNS, RUNS)
@settings(max_examples=15)
def test_the_interval_is_that_of_medians_of_the_runs_and_repeats(before, after):
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
        taken_on={**machine(), "processor": "a slide rule"},
        measures={**before.measures, "udp tap": Measure("us", (1.0,))},
    )
    notes = " ".join(compare(before, after).notes)
    for word in ("slide rule", "different options", "the disk was full", "udp tap"):
        assert word in notes
    assert compare(before, before).notes == ()


@pytest.mark.parametrize(
    ("said", "factor"), [("10%", 1.1), ("10", 1.1), ("0%", 1.0), ("2.5 %", 1.025), ("100%", 2.0)]
)
def test_a_percentage_is_a_factor(said: str, factor: float):
    assert parse_regression(said) == pytest.approx(factor)


@pytest.mark.parametrize("said", ["", "%", "-10%", "ten", "10%%", "nan", "1e3%", "inf"])
def test_what_is_no_percentage_is_said(said: str):
    with pytest.raises(Problem, match="is no percentage"):
        parse_regression(said)

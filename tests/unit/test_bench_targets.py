"""The table of targets, and the continuous check: how figures are judged."""

from pathlib import Path

import pytest

from bench.cli.bench_targets import chosen
from bench.problem import Problem
from bench.rig.errors import RigError
from bench.throughput.document import Document
from bench.throughput.histogram import Measure
from bench.throughput.ratios import (
    FACTOR,
    RATIOS,
    TRIES,
    check,
    document_of,
    read_baseline,
)
from bench.throughput.target_chart import target_chart
from bench.throughput.targets import (
    TARGETS,
    Bound,
    Effort,
    NotMeasured,
    Result,
    Target,
    bound_of,
    judge,
)

ROOT = Path(__file__).parents[2]
BASELINE = ROOT / "fixtures" / "bench" / "baseline.json"
SMALL = Effort(scale=0.02, runs=1)
SLOW = {"T15"}  # starts processes
OWN = [
    target
    for target in TARGETS
    if target.measure.startswith("bench.throughput.target_runs") and target.number not in SLOW
]
CONDITIONAL = {"times as fast as vicc", "among 1,000,000 against 100 cards"}


def test_the_targets_are_t1_to_t16_each_once():
    assert [target.number for target in TARGETS] == [f"T{n}" for n in range(1, 17)]
    for target in TARGETS:
        names = [bound.name for bound in target.bounds]
        assert len(set(names)) == len(names) > 0


@pytest.mark.parametrize("target", OWN, ids=lambda target: target.number)
def test_each_bound_is_measured_or_says_why_not(target: Target, tmp_path: Path):
    effort = Effort(SMALL.scale, SMALL.runs, str(tmp_path))
    for one in judge(target, effort):
        if one.measure is None:
            assert one.why
            assert one.bound.name in CONDITIONAL or "not installed" in one.why
        else:
            assert one.measure.typical > 0
            assert one.measure.unit == one.bound.unit


def test_a_disk_that_cannot_be_written_is_not_measured():
    [result] = judge(chosen("T10")[0], Effort(where="/nowhere/at/all"))
    assert (result.verdict, result.measure) == ("not measured", None)
    assert "no file can be written" in result.why


LESS = Bound("time", 10, "us", stretch=5)
MORE = Bound("rate", 10, "1/s", "more", stretch=20)


@pytest.mark.parametrize(
    ("bound", "value", "verdict"),
    [
        (LESS, 4, "stretch"),
        (LESS, 5, "stretch"),
        (LESS, 10, "ok"),
        (LESS, 10.1, "missed"),
        (MORE, 20, "stretch"),
        (MORE, 10, "ok"),
        (MORE, 9.9, "missed"),
    ],
)
def test_a_figure_is_judged_by_its_bound(bound: Bound, value: float, verdict: str):
    target = Target("T0", "", (bound,), "", "")
    assert Result(target, bound, Measure(bound.unit, (value,), bound.better)).verdict == verdict


def test_a_bound_in_words_has_its_sign_unit_and_stretch():
    assert LESS.words == "<= 10 us, stretch 5"
    assert MORE.words == ">= 10 1/s, stretch 20"
    assert bound_of("T6", "taps").words == ">= 8,000 1/s, stretch 15,000"


def test_a_bound_that_is_not_there_is_no_bound():
    with pytest.raises(KeyError):
        bound_of("T6", "naps")


@pytest.mark.parametrize(
    ("measure", "why"),
    [
        ("bench.throughput.nowhere:measure", "there is no tapbench bench thing yet"),
        ("bench.throughput.targets:nothing", "has no nothing"),
    ],
)
def test_a_target_whose_part_is_not_there_is_not_measured(measure: str, why: str):
    target = Target("T0", "", (LESS, MORE), "tapbench bench thing", measure)
    results = judge(target, SMALL)
    assert [one.verdict for one in results] == ["not measured"] * 2
    assert all(why in one.why for one in results)
    with pytest.raises(NotMeasured):
        target.function()


def test_only_names_targets_in_any_case_and_order():
    assert [one.number for one in chosen(" t3,T1,")] == ["T1", "T3"]
    assert len(chosen("")) == len(TARGETS)


@pytest.mark.parametrize("said", ["T17", "T1,nonsense", "1"])
def test_an_unknown_target_names_those_there_are(said: str):
    with pytest.raises(Problem, match=r"there is no target .*; choose of: T1, T2"):
        chosen(said)


def test_the_chart_has_a_bar_for_each_bound_that_was_measured():
    target = Target("T0", "", (LESS, MORE), "", "")
    results = [Result(target, LESS, Measure("us", (20.0,))), Result(target, MORE, None, "why")]
    svg = target_chart(results)
    assert "T0 time" in svg
    assert "T0 rate" not in svg


# The continuous check


def ratio(*values: float):
    """A measurement that gives these one after the other, and the last for ever."""
    left = list(values)
    return lambda: Measure("ratio", (left.pop(0) if len(left) > 1 else left[0],))


def test_a_ratio_within_the_bound_is_measured_once():
    found = check({"a": 1.0}, {"a": ratio(FACTOR, 99.0)})
    assert [one.measure.typical for one in found.ratios] == [FACTOR]
    assert found.past == []


def test_a_busy_moment_is_measured_again_and_forgotten():
    found = check({"a": 1.0}, {"a": ratio(9.0, 1.5)})
    assert found.past == []
    assert found.ratios[0].factor == 1.5


def test_what_stays_past_the_bound_is_told_with_its_least_figure():
    values = [5.0 - n / 10 for n in range(TRIES)]
    found = check({"a": 1.0, "b": 1.0}, {"a": ratio(*values, 1.0), "b": ratio(1.0)})
    assert [one.name for one in found.past] == ["a"]
    assert found.past[0].factor == min(values)


def test_a_ratio_without_a_baseline_is_told_and_fails_nothing():
    found = check({}, {"a": ratio(50.0)})
    assert (found.ratios[0].baseline, found.past) == (None, [])


def test_a_road_that_is_not_there_is_left_out_with_its_reason():
    def gone() -> Measure:
        raise RigError("pcscd is not installed")

    found = check({"a": 1.0}, {"a": gone, "b": ratio(1.0)})
    assert [one.name for one in found.ratios] == ["b"]
    assert found.left_out == {"a": "pcscd is not installed"}
    assert document_of(found, None).detail["left_out"] == found.left_out


def test_the_committed_baseline_has_every_ratio():
    assert set(read_baseline(BASELINE)) == set(RATIOS)


@pytest.mark.parametrize("ratio", [0.0, -1.0])
def test_a_baseline_that_nothing_can_be_past_is_refused(tmp_path: Path, ratio: float):
    path = tmp_path / "a.json"
    path.write_text(Document("ratios", {}, {"a": Measure("ratio", (ratio,))}).text())
    with pytest.raises(Problem, match=r"says a is .*, expected above 0"):
        read_baseline(path)


def test_a_baseline_of_another_kind_is_refused(tmp_path: Path):
    path = tmp_path / "a.json"
    path.write_text(Document("tap", {}, {"a": Measure("us", (1.0,))}).text())
    with pytest.raises(Problem, match="is of bench tap; give a result of bench ratios"):
        read_baseline(path)

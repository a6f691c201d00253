"""What is told of a city's day, and of how such days grow."""

import re
import sys
from datetime import date

import pytest

from bench.city.crew import Alone
from bench.city.plan import CityPlan
from bench.city.report import document_of, parts_of, title_of
from bench.city.result import PARTS, TAP_PARTS
from bench.city.run import City, run_city
from bench.city.study import PROJECTED, Fit, Point, Study, sizes_of, study, summary
from bench.city.study import document_of as study_document
from bench.city.study import parts_of as study_parts
from bench.cli.app import run_app
from bench.problem import Problem
from bench.throughput.document import read_document
from bench.throughput.page import page_html
from bench.throughput.targets import TARGETS, Effort

PLAN = CityPlan(60, date(2026, 9, 1), 1, 30)


@pytest.fixture(scope="module")
def city():
    return run_city(PLAN, Alone())


def test_the_document_can_be_read_again_and_compared(city, tmp_path):
    made = document_of(city, {"workers": 1})
    path = tmp_path / "city.json"
    path.write_text(made.text())
    read = read_document(path)
    assert (read.kind, read.seed, read.incomplete) == ("city", 1, "")
    assert read.options == {"trips": 60, "day": "2026-09-01", "shard": 30, "workers": 1}
    assert read.detail["digest"] == city.digest
    assert read.detail["tally"] == city.tally.as_json()
    wanted = {"trips", "trips per core", "worker memory", "card at rest"}
    wanted |= {f"trip {part}" for part in PARTS} | {f"tap {part}" for part in TAP_PARTS}
    assert set(read.measures) == wanted
    assert 0 < read.measures["card at rest"].typical <= 200


def test_the_page_shows_the_day_without_network_or_script(city):
    page = page_html(title_of(city), document_of(city, {}), parts_of(city))
    for words in ("Taps by hour", "Busiest stations", "Trips by fare", "Speed", "Memory"):
        assert words in page
    assert "60 trips of" in page
    assert f"Digest {city.digest}" in page
    assert page.count("<svg") == 5
    assert not re.findall(r"<script|src=|<link", page)


def test_a_city_that_is_not_whole_says_so():
    made = City(PLAN, incomplete="the disk is full")
    document = document_of(made, {})
    assert document.incomplete == "the disk is full"
    assert document.detail["digest"] == ""
    assert document.measures == {}
    assert "Incomplete: the disk is full" in page_html(title_of(made), document, parts_of(made))


def test_a_study_measures_four_sizes_and_the_gain_of_a_second_worker():
    asked = []

    def crew(workers):
        asked.append(workers)
        return Alone()

    made = study(CityPlan(60, date(2026, 9, 1), 1, 1), 2, crew, lambda city, result: None)
    assert [one.trips for one in made.points] == [2, 6, 20, 60]
    assert asked == [2, 2, 2, 2, 1, 2, 1, 2, 1, 2]
    document = study_document(made)
    assert {"projected day", "speedup of 2 workers", "60 trips"} <= set(document.measures)
    assert document.measures["speedup of 2 workers"].better == "more"
    page = page_html("study", document, study_parts(made))
    assert page.count("<svg") == 2
    assert f"{PROJECTED:,}" in page


def test_a_study_of_too_few_trips_is_refused():
    with pytest.raises(Problem, match="--trips 30 or more"):
        sizes_of(10)


def test_a_study_whose_smallest_size_has_no_shard_for_each_worker_is_refused():
    plan = CityPlan(300, date(2026, 9, 1), 1, 10)
    with pytest.raises(Problem, match=r"10 trips, is too few shards of 10 for 2 workers"):
        study(plan, 1, lambda workers: Alone(), lambda city, result: None)


def test_a_projection_says_how_sure_it_is():
    """By hand: residuals 1, -2, 1 of the line 1 + x, so s = sqrt(6), mean 1, Sxx 2, t = 12.706."""
    fit = Fit.of([(0, 2.0), (1, 0.0), (2, 4.0)])
    assert (fit.base, fit.slope) == (pytest.approx(1.0), pytest.approx(1.0))
    assert fit.margin(5) == pytest.approx(12.706 * 6**0.5 * (1 + 1 / 3 + 16 / 2) ** 0.5)
    assert Fit.of([(0, 3.0), (100, 5.0), (200, 7.0)]).margin(10**7) == pytest.approx(0, abs=1e-6)


def test_a_fit_goes_through_points_on_a_line():
    fit = Fit.of([(0, 3.0), (100, 5.0), (200, 7.0)])
    assert (fit.base, fit.slope) == (pytest.approx(3.0), pytest.approx(0.02))
    points = tuple(Point(n, 2 + n / 1000, 0.0, 80.0, 90.0) for n in (10_000, 30_000, 300_000))
    made = Study(PLAN, 2, points, (1.8, 1.9))
    assert made.minutes == pytest.approx((2 + PROJECTED / 1000) / 60)
    assert made.memory.at(PROJECTED) == pytest.approx(80.0)
    grown = tuple(Point(10**n, 1.0, 0.0, 100.0 + 4 * n, 90.0) for n in (3, 4, 5, 6))
    memory = Study(PLAN, 2, grown, (1.9,)).memory
    assert memory.at(PROJECTED) == pytest.approx(128.0)
    assert memory.margin(PROJECTED) == pytest.approx(0, abs=1e-6)
    assert "166.7 minutes" in summary(made)[0]


def test_the_target_is_measured_for_each_of_its_bounds():
    [target] = [one for one in TARGETS if one.number == "T12"]
    found = target.function()(Effort(scale=0.001, runs=1))
    assert {(bound.name, bound.unit) for bound in target.bounds} == {
        (name, one.unit) for name, one in found.items()
    }
    assert found["a card at rest"].typical < 200


def test_nothing_is_drawn_for_a_terminal(monkeypatch, capsys):
    """Charts take time, and a package that only a page needs."""
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    assert run_app(["bench", "city", "--trips", "40", "--workers", "1"]) == 0
    said = capsys.readouterr()
    assert "40 trips" in said.out
    assert "<svg" not in said.out

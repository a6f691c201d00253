"""What benchmarks have in common: measures, documents, charts and pages."""

import json
import re
from dataclasses import replace
from pathlib import Path
from statistics import median
from xml.etree import ElementTree

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.problem import Problem
from bench.throughput.charts import chart
from bench.throughput.document import FORMAT, Document, machine, read_document
from bench.throughput.histogram import LONGEST_NS, PERCENTILES, Measure, Spread
from bench.throughput.page import Grid, Picture, page_html

NANOSECONDS = st.integers(min_value=1, max_value=LONGEST_NS)
TOLERANCE = 0.002
"""Three digits exact, and half a step more where values share a bucket."""


@given(st.lists(st.lists(NANOSECONDS, min_size=1, max_size=40), min_size=1, max_size=5))
def test_a_spread_agrees_with_sorting_every_repetition(runs: list[list[int]]):
    spread = Spread()
    for run in runs:
        spread.add_run(run)
    measure = spread.measure()
    everything = sorted(ns for run in runs for ns in run)
    assert measure.count == len(everything)
    assert measure.runs == tuple(median(run) / 1000 for run in runs)
    told = measure.spread or {}
    assert told["min"] == pytest.approx(everything[0] / 1000, rel=TOLERANCE, abs=0.001)
    assert told["max"] == pytest.approx(everything[-1] / 1000, rel=TOLERANCE, abs=0.001)
    assert list(told.values()) == sorted(told.values())
    assert list(told) == ["min", *PERCENTILES, "max"]


@pytest.mark.parametrize(("unit", "scale"), [("us", 1e3), ("ms", 1e6)])
def test_a_spread_speaks_the_unit_it_is_asked_for(unit, scale):
    spread = Spread()
    spread.add_run([5_000_000])
    measure = spread.measure(unit)
    assert measure.unit == unit
    assert measure.typical == 5_000_000 / scale


@pytest.mark.parametrize("odd", [0, -5, LONGEST_NS * 10])
def test_a_clock_that_stands_still_or_a_machine_that_sleeps_breaks_no_histogram(odd: int):
    spread = Spread()
    spread.add_run([odd])
    assert spread.measure().count == 1


def test_a_run_of_nothing_is_no_run():
    with pytest.raises(ValueError, match="no median"):
        Spread().add_run([])


MEASURES = st.builds(
    Measure,
    unit=st.sampled_from(["us", "1/s", "ratio"]),
    runs=st.lists(st.floats(0, 1e9), min_size=1, max_size=9).map(tuple),
    better=st.sampled_from(["less", "more"]),
    spread=st.none() | st.just({"min": 1.0, "p50": 2.0, "max": 4.0}),
    count=st.integers(0, 10**9),
)


@given(MEASURES)
def test_a_measure_survives_json(measure: Measure):
    assert Measure.from_json(json.loads(json.dumps(measure.as_json()))) == measure


@given(MEASURES)
def test_the_typical_run_lies_within_the_range(measure: Measure):
    least, greatest = measure.range
    assert least <= measure.typical <= greatest


def document() -> Document:
    return Document(
        "tap",
        {"via": "inproc", "count": 10},
        {"inproc tap": Measure("us", (100.0, 110.0), spread={"p50": 105.0}, count=20)},
        {"note": "汉字"},
        seed=7,
    )


def test_a_document_read_back_says_the_same(tmp_path: Path):
    path = tmp_path / "a.json"
    made = replace(document(), incomplete="the disk was full")
    path.write_text(made.text())
    read = read_document(path)
    assert read.machine["python"] == machine()["python"]
    assert replace(read, taken_on={}) == made


def test_a_document_names_machine_versions_seed_and_time():
    said = document().as_json()
    assert said["seed"] == 7
    assert {"python", "processor", "system", "load", "cryptography"} <= set(said["machine"])
    assert re.match(r"\d{4}-\d\d-\d\dT", said["at"])
    assert "pinned to 1" in machine(1)["processors"]


@pytest.mark.parametrize(
    "text",
    [
        "",
        "no json",
        "[]",
        "3",
        "null",
        "{}",
        '{"format": 1}',
        '{"format": 1, "kind": "", "options": {}, "measures": {"a": {"unit": "us", "runs": []}}}',
        '{"format": 1, "kind": "tap", "options": {}, "measures": [], "detail": {}, "seed": 1}',
        "[" * 100_000,
    ],
)
def test_what_is_no_document_is_said_in_one_sentence(tmp_path: Path, text: str):
    path = tmp_path / "a.json"
    path.write_text(text)
    with pytest.raises(Problem, match="is no result of a benchmark"):
        read_document(path)


@pytest.mark.parametrize(
    "runs", ["[]", "[NaN]", "[1, Infinity]", '["x"]', "3", "[1e101]", f"[1{'0' * 400}]"]
)
def test_a_measure_without_figures_is_no_measure(tmp_path: Path, runs: str):
    path = tmp_path / "a.json"
    path.write_text(re.sub(r'"runs": \[[^]]*\]', f'"runs": {runs}', document().text()))
    with pytest.raises(Problem, match="is no result of a benchmark"):
        read_document(path)


@pytest.mark.parametrize(
    ("said", "instead"),
    [
        ('"count": 20', '"count": Infinity'),
        ('"p50": 105.0', '"p50": NaN'),
        ('"better": "less"', '"better": "maybe"'),
    ],
)
def test_a_measure_with_a_false_part_is_no_measure(tmp_path: Path, said: str, instead: str):
    path = tmp_path / "a.json"
    assert said in document().text()
    path.write_text(document().text().replace(said, instead))
    with pytest.raises(Problem, match="is no result of a benchmark"):
        read_document(path)


def test_a_file_that_is_no_text_is_said_in_one_sentence(tmp_path: Path):
    path = tmp_path / "a.json"
    path.write_bytes(b"\xff\xfe\x00")
    with pytest.raises(Problem, match="is no result of a benchmark"):
        read_document(path)


def test_a_file_that_is_not_there_is_said_in_one_sentence(tmp_path: Path):
    with pytest.raises(Problem, match="cannot be read: No such file"):
        read_document(tmp_path / "nowhere.json")


def test_another_format_asks_to_measure_again(tmp_path: Path):
    path = tmp_path / "a.json"
    path.write_text(json.dumps(document().as_json() | {"format": FORMAT + 1}))
    with pytest.raises(Problem, match=f"format {FORMAT + 1}, this tapbench reads {FORMAT}"):
        read_document(path)


def line(axes) -> None:
    axes.plot([1, 2, 3], [4, 5, 6], label="of gates")


def test_a_chart_is_svg_with_its_words_and_units_as_text():
    svg = chart(line, "Queue", "time, min", "people")
    root = ElementTree.fromstring(svg)
    words = " ".join("".join(one.itertext()) for one in root.iter() if one.tag.endswith("text"))
    for word in ("Queue", "time, min", "people", "of gates"):
        assert word in words
    assert "http" not in re.sub(r'(xmlns|DTD)[^"]*"[^"]*"', "", svg)


def test_the_same_data_gives_the_same_chart():
    assert chart(line, "a", "b", "c") == chart(line, "a", "b", "c")


def test_a_page_holds_its_parts_its_machine_and_no_link():
    parts = [
        "A <sentence> & more",
        Grid("A table", ["road", "us"], [["udp", "30.1"], ["<b>", "1"]]),
        Picture("<svg/>", "what it shows"),
    ]
    page = page_html("Title <1>", document(), parts)
    for word in ("A &lt;sentence&gt; &amp; more", "30.1", "&lt;b&gt;", "<svg/>", "what it shows"):
        assert word in page
    assert "Title &lt;1&gt;" in page
    assert "via inproc, count 10" in page
    assert "CPython" in page
    assert "src=" not in page
    assert "href=" not in page
    assert "Incomplete" not in page


def test_a_page_of_unfinished_work_says_why():
    assert "Incomplete: no space" in page_html("t", replace(document(), incomplete="no space"), [])

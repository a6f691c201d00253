"""The reports of a suite: whole, true to what was found, and safe to open."""

import json
import re
import xml.etree.ElementTree as ET
from dataclasses import replace
from html.parser import HTMLParser

import pytest

from bench.conformance.case import Broken, Need, Verdict
from bench.conformance.lab import Lab
from bench.conformance.page_cases import NEEDS
from bench.conformance.report import Ending, Report, Run
from bench.conformance.report_html import clause_order, report_html
from bench.conformance.report_json import report_json
from bench.conformance.report_junit import report_junit
from bench.conformance.stand import own_stand
from bench.conformance.words import Words
from tests.judged import cases, report, run

COUNTS = {"passed": 1, "failed": 3, "skipped": 2}


@pytest.fixture(scope="module")
def whole() -> Report:
    return report(run(), run("udp", incomplete="the card left"))


# How it ended


def test_the_ending_is_the_worst_of_all_runs():
    good = Run("a", None, 1)
    assert report(good).ending is Ending.PASSED
    assert report(good, run()).ending is Ending.FAILED
    assert report(run(), Run("b", None, 1, incomplete="it left")).ending is Ending.INCOMPLETE
    assert [int(ending) for ending in Ending] == [0, 1, 3]


def test_every_need_has_a_word_for_the_page():
    assert set(NEEDS) == set(Need)


# JSON


def test_json_has_the_documented_keys(whole: Report):
    found = json.loads(report_json(whole))
    assert list(found) == [
        "schema", "tool", "suite", "started", "seed", "level", "only", "environment", "ending",
        "runs",
    ]  # fmt: skip
    assert (found["schema"], found["ending"], found["seed"]) == (1, "incomplete", 7)
    inproc, udp = found["runs"]
    assert inproc["counts"] == COUNTS
    assert (inproc["incomplete"], udp["incomplete"]) == (None, "the card left")
    assert inproc["groups"]["TWO"] == {"passed": 0, "failed": 1, "skipped": 2}
    assert [case["id"] for case in inproc["cases"]] == list(cases())


def test_json_points_at_the_bytes_that_broke_the_rule(whole: Report):
    found = {case["id"]: case for case in json.loads(report_json(whole))["runs"][0]["cases"]}
    status = found["CARD-ONE-002"]
    assert status["violation"]["clause"] == "2.5"
    answer = status["exchanges"][status["violation"]["exchange"]]["response"]
    first, behind = status["violation"]["bytes"]
    assert answer[2 * first : 2 * behind] == "9000"
    assert found["CARD-ONE-003"]["violation"]["bytes"] == [4, 12]
    assert found["CARD-TWO-001"]["violation"]["exchange"] is None
    assert found["CARD-TWO-002"]["reason"]["zh"] == "此卡没有"
    assert "frames" in found["CARD-TWO-003"]["reason"]["en"]
    assert found["CARD-ONE-002"]["script"].count("> ") == 1


# JUnit XML, against what the common Jenkins schema allows

ALLOWED = {
    "testsuites": ({"name", "time", "tests", "failures", "errors"}, {"testsuite"}),
    "testsuite": (
        {"name", "tests", "failures", "errors", "group", "time", "skipped", "timestamp",
         "hostname", "id", "package", "file", "log", "url"},
        {"testsuite", "properties", "testcase", "system-out", "system-err"},
    ),
    "properties": (set(), {"property"}),
    "property": ({"name", "value"}, set()),
    "testcase": (
        {"name", "time", "classname", "group"},
        {"skipped", "error", "failure", "system-out", "system-err"},
    ),
    "failure": ({"type", "message"}, set()),
    "error": ({"type", "message"}, set()),
    "skipped": ({"type", "message"}, set()),
}  # fmt: skip
"""Attributes and children of each element."""
NEEDED = {
    "testsuite": {"name", "tests", "failures", "errors"},
    "property": {"name", "value"},
    "testcase": {"name"},
}
TIME = re.compile(r"(([0-9]{0,3},)*[0-9]{3}|[0-9]{0,3})*(\.[0-9]*)?")


def test_junit_is_what_ci_servers_read(whole: Report):
    root = ET.fromstring(report_junit(whole))
    assert root.tag == "testsuites"
    for element in root.iter():
        attributes, children = ALLOWED[element.tag]
        assert set(element.attrib) <= attributes, element.tag
        assert NEEDED.get(element.tag, set()) <= set(element.attrib), element.tag
        assert {child.tag for child in element} <= children, element.tag
        assert TIME.fullmatch(element.get("time", "0"))


def test_junit_counts_what_it_holds(whole: Report):
    root = ET.fromstring(report_junit(whole))
    for suite in root.iter("testsuite"):
        assert int(suite.get("tests", "")) == len(suite.findall("testcase"))
        for kind, attribute in (("failure", "failures"), ("error", "errors"), ("skipped",) * 2):
            assert int(suite.get(attribute, "")) == len(suite.findall(f"testcase/{kind}"))
    assert root.get("tests") == str(6 + 7), "the run that ended early has one error"
    assert root.get("failures") == "6"
    error = root.find(".//error")
    assert error is not None
    assert error.get("message") == "6 of 6 cases: the card left"


# The page


class Outline(HTMLParser):
    """Every element with its attributes, and how deep the tags are nested at the end."""

    VOID = ("meta", "input", "link")

    def __init__(self, text: str) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, str | None]]] = []
        self.open: list[str] = []
        self.feed(text)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, dict(attrs)))
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


@pytest.fixture(scope="module")
def page(whole: Report) -> str:
    return report_html(whole)


@pytest.fixture(scope="module")
def outline(page: str) -> Outline:
    return Outline(page)


def test_the_page_is_well_formed_and_asks_for_nothing(page: str, outline: Outline):
    assert not outline.open
    for tag, attributes in outline.found:
        assert not attributes.get("src"), tag
        assert attributes.get("href", "#").startswith(("#", "data:")), tag
    assert "http://" not in page
    assert "https://" not in page
    assert "url(" not in page


def test_what_a_card_or_a_case_says_stays_text(outline: Outline):
    tags = [tag for tag, _ in outline.found]
    assert tags.count("script") == 1
    assert len(cases()) == sum(
        "case" in (attributes.get("class") or "").split() for _, attributes in outline.found
    )


def test_the_page_marks_the_bytes_that_broke_the_rule(page: str):
    marked = re.findall(r"([0-9A-F]*)<mark>(.*?)</mark>([0-9A-F]*)", page)
    assert ("9000", "") in [(wrong, behind) for _, wrong, behind in marked]
    assert any(len(before) == 8 and wrong == "A000000632010105" for before, wrong, _ in marked)


def test_the_page_has_every_case_every_clause_and_the_banner(page: str, outline: Outline):
    by_id = {attributes["id"]: attributes for _, attributes in outline.found if "id" in attributes}
    for number, case in cases().items():
        assert by_id[number]["data-group"] == case.group
        assert (by_id[number]["data-clause"] or "").split(";") == list(case.clauses)
        squares = sum(a.get("href") == f"#{number}" for _, a in outline.found)
        assert squares == len(case.clauses)
    assert page.count('class="banner"') == 1
    assert "Incomplete: via udp, 6 / 6 cases were played." in page
    assert "the card left" in page
    assert "期望" in page


def test_what_was_left_out_judges_no_section(whole: Report, page: str):
    """Those played rest on 4.9, 6.4, 4.10, 4.1 and 2.4; what was skipped says nothing."""
    skipped = Run("udp", None, 6, {n: r for n, r in run().results.items() if r.why is not None})
    assert "; 0 of " in report_html(report(skipped))
    assert "Incomplete: 12 cases, 2 passed, 6 failed, 4 skipped; 5 of " in page
    assert "不完整：12 个用例，通过 2，失败 6，跳过 4；" in page


@pytest.mark.parametrize(
    ("suite", "heading"), [("card", "卡片一致性测试"), ("gate", "闸机一致性测试")]
)
def test_the_page_says_what_was_judged(suite: str, heading: str):
    assert f">{heading}<" in report_html(replace(report(), suite=suite))


def test_what_is_expected_says_no_more_than_it_means():
    """No data is expected: a dash behind it would look like a byte."""
    with own_stand() as stand, pytest.raises(Broken) as told:
        Lab(stand, lambda: 0).must_be(b"\1", b"", Words("the status word alone", "仅有状态字"))
    assert str(told.value) == "expected the status word alone, came 01"


def test_a_clause_is_named(page: str):
    for said in ("4.10 EXTERNAL, INTERNAL AUTHENTICATE", "4.10 外部、内部认证", "附录 8"):
        assert said in page


def test_clauses_are_in_their_order():
    mixed = ["4.10", "4.9", "ISO 7816-4", "4", "6.4"]
    assert sorted(mixed, key=clause_order) == ["4", "4.9", "4.10", "6.4", "ISO 7816-4"]


def test_all_reports_say_the_same(whole: Report, page: str):
    found = json.loads(report_json(whole))["runs"][0]["cases"]
    suite = ET.fromstring(report_junit(whole)).find("testsuite")
    assert suite is not None
    for case, element in zip(found, suite.findall("testcase"), strict=True):
        child = {"passed": None, "failed": "failure", "skipped": "skipped"}[case["outcome"]]
        assert [one.tag for one in element] == ([child] if child else [])
        assert f'data-outcome="{case["outcome"]}"' in page
    assert {Verdict(case["outcome"]) for case in found} == set(Verdict)


def test_a_run_without_a_single_result_is_a_report_too():
    empty = report(Run("pcsc", None, 9, incomplete="no service, so no case was played"))
    assert "0 / 9" in report_html(empty)
    assert json.loads(report_json(empty))["runs"][0]["profile"] is None
    assert ET.fromstring(report_junit(empty)).get("errors") == "1"

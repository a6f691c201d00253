"""Each rule of the seed: declared, held by a function that exists, proved by a test that exists."""

import ast
import importlib
import re
from functools import cache
from pathlib import Path

import pytest

from bench.rule_tests import proofs
from bench.rules_docs import rules_page
from fixtures.devices import load_seed_table
from issuer.rules_table import ELSEWHERE, RULES, By, holders, holds, seed_rule

MODULES = [
    *("applicant", "devices", "eligibility", "finding", "phones", "policy", "refunds", "refusal"),
    *("rules_table", "validity", "versions"),
]
HELD_IN = {
    "R6": "issuer.openings",
    "R20": "issuer.status",
    "R24": "issuer.openings",
    "R25": "issuer.topups",
    "R27": "issuer.renewals",
    "R28": "issuer.renewals",
    "R29": "issuer.losses",
    "R30": "issuer.status",
    "R31": "issuer.paying_out",
    "R32": "issuer.paying_out",
    "R33": "issuer.returns",
}
"""The module that does what a student asks for under a rule."""


@cache
def page_of_rules() -> str:
    return rules_page()


TESTS = proofs(Path(__file__).parent.parent)


def test_the_table_has_r1_to_r33_in_order():
    assert [rule.name for rule in RULES] == [f"R{number}" for number in range(1, 34)]


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.name)
def test_every_rule_says_where_who_and_what(rule):
    assert all(1 <= first <= last <= 425 for first, last in rule.lines)
    assert rule.checked_by
    assert set(rule.checked_by) <= set(By)
    assert re.search("[\u4e00-\u9fff]", rule.zh)
    assert re.search("[a-z]", rule.en)
    assert not rule.zh.endswith("。")
    assert not rule.en.endswith(".")


def test_the_lines_of_the_tables_are_those_of_the_list():
    lines = [line for line, text in load_seed_table() if text.startswith("·")]
    assert lines == [57, 317, 394]
    assert [seed_rule(name).line for name in ("R21", "R22", "R23")] == lines


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.name)
def test_every_rule_has_a_function_that_holds_it_and_a_test_that_proves_it(rule):
    assert holders()[rule.name], f"no function holds {rule.name}"
    assert TESTS.get(rule.name), f"no test proves {rule.name}"


@pytest.mark.parametrize(("name", "module"), HELD_IN.items())
def test_what_a_student_does_is_held_where_the_office_does_it(name, module):
    assert any(place.startswith(f"{module}.") for place in holders()[name])


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.name)
def test_the_page_shows_every_rule_with_its_functions_and_tests(rule):
    page = page_of_rules()
    row = next(line for line in page.splitlines() if line.startswith(f"| {rule.name} |"))
    assert all(f"`{place}`" in row for place in holders()[rule.name])
    assert row.endswith(f"| {len(TESTS[rule.name])} |")
    section = page.partition(f"## {rule.name}: ")[2].partition("\n## ")[0]
    assert section.count("\n- ") == len(TESTS[rule.name])


@pytest.mark.parametrize(
    "place", sorted({place for places in holders().values() for place in places})
)
def test_a_holder_is_a_function_that_exists(place):
    for cut in range(1, place.count(".") + 1):
        module, *names = place.rsplit(".", cut)
        try:
            found = importlib.import_module(module)
        except ModuleNotFoundError:
            continue
        for name in names:
            found = getattr(found, name)
        assert callable(found)
        return
    pytest.fail(f"{place} is in no module")


def test_holders_elsewhere_are_among_the_holders():
    assert all(place in holders()[name] for name, places in ELSEWHERE.items() for place in places)


def test_a_mark_names_a_rule_of_the_table():
    assert set(TESTS) <= {rule.name for rule in RULES}


def test_holding_leaves_the_function_as_it_is_and_refuses_unknown_rules():
    def nothing() -> None:
        """Hold nothing."""

    with pytest.raises(KeyError):
        holds("R34")
    assert holds()(nothing) is nothing


def test_marks_are_read_from_functions_and_from_whole_modules(tmp_path):
    (tmp_path / "unit").mkdir()
    (tmp_path / "unit" / "test_one.py").write_text(
        "import pytest\n"
        'pytestmark = pytest.mark.rule("R1")\n'
        '@pytest.mark.rule("R2", "R3")\n'
        "def test_a(): ...\n"
        "def test_b(): ...\n"
        "def helper(): ...\n"
    )
    assert proofs(tmp_path) == {
        "R1": ("unit/test_one.py::test_a", "unit/test_one.py::test_b"),
        "R2": ("unit/test_one.py::test_a",),
        "R3": ("unit/test_one.py::test_a",),
    }


@pytest.mark.parametrize("module", MODULES)
def test_the_rules_read_no_clock_and_no_file(module):
    source = (Path(__file__).parents[2] / "issuer" / f"{module}.py").read_text("utf-8")
    calls = {ast.unparse(c.func).split(".")[-1] for c in ast.walk(ast.parse(source)) if is_call(c)}
    assert not calls & {"now", "today", "utcnow", "time_ns", "open", "read_text", "getenv", "print"}


def is_call(node: ast.AST) -> bool:
    return isinstance(node, ast.Call)

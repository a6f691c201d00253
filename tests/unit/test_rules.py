"""The table of block rules says the truth: each rule is cited where it is kept, and tested."""

import ast
import importlib
import inspect
import re
from pathlib import Path

import pytest

from emulator.radio.rules import RULES, Rule, Side

TESTS = {
    Side.PICC: ("test_isodep.py",),
    Side.PCD: ("test_pcd.py",),
    Side.BOTH: ("test_isodep.py", "test_pcd.py"),
}
each_rule = pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.name)


def test_the_table_has_the_rules_of_the_standard_in_order():
    assert [rule.name for rule in RULES] == [*"ABCDE", *map(str, range(1, 14))]


@each_rule
def test_a_rule_is_cited_where_it_is_kept(rule: Rule):
    for place in rule.where:
        module, kind, name = place.split(".")
        owner = getattr(importlib.import_module(f"emulator.radio.{module}"), kind)
        source = inspect.getsource(getattr(owner, name))
        if rule.name != "1":  # nothing to cite: only the reader's machine has a first move
            assert re.search(
                rf"rules? (\w+ and )?{rule.name}\b|rules \w+ and {rule.name}", source
            ), place


@each_rule
def test_a_rule_has_tests_of_its_name(rule: Rule):
    for file in TESTS[rule.side]:
        tree = ast.parse((Path(__file__).parent / file).read_text("utf-8"))
        names = [node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)]
        wanted = re.compile(rf"test_rule_(\w+_)?{rule.name.lower()}_")
        assert any(wanted.match(name) for name in names), f"{file} has no test_rule_{rule.name}_…"

"""Which tests prove which rule of the seed, read from the marks in the tests' source.

A mark is `@pytest.mark.rule("R26")` on a function, or `pytestmark = pytest.mark.rule("R26")` for a
whole module. Tests are not imported: a page about them needs no test to run.
"""

import ast
from collections.abc import Iterator
from pathlib import Path


def proofs(folder: Path) -> dict[str, tuple[str, ...]]:
    """The tests that carry each rule's mark, as "unit/test_validity.py::test_name", sorted.

    folder: where the tests are, with folders in it. Rules without a test are left out.
    """
    found: dict[str, list[str]] = {}
    for path in sorted(folder.rglob("test_*.py")):
        tree = ast.parse(path.read_text("utf-8"))
        for rule, name in _marks(tree):
            found.setdefault(rule, []).append(f"{path.relative_to(folder).as_posix()}::{name}")
    return {rule: tuple(sorted(set(names))) for rule, names in found.items()}


def _marks(tree: ast.Module) -> Iterator[tuple[str, str]]:
    """Rule and test, once for each mark."""
    tests = [node for node in tree.body if isinstance(node, ast.FunctionDef)]
    tests = [test for test in tests if test.name.startswith("test_")]
    for node in tree.body:
        is_for_all = isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "pytestmark"
        if is_for_all:
            yield from ((rule, test.name) for test in tests for rule in _rules_in(node))
    for test in tests:
        for decorator in test.decorator_list:
            yield from ((rule, test.name) for rule in _rules_in(decorator))


def _rules_in(node: ast.AST) -> Iterator[str]:
    for call in ast.walk(node):
        if isinstance(call, ast.Call) and ast.unparse(call.func) == "pytest.mark.rule":
            for argument in call.args:
                if isinstance(argument, ast.Constant):
                    yield str(argument.value)

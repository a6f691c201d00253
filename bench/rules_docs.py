"""The page on the seed's rules: who holds each, and the tests that prove it."""

from collections.abc import Iterator, Sequence
from itertools import groupby
from pathlib import Path

from apdu.docs import GENERATED, table
from bench.rule_tests import proofs
from issuer.rules_table import RULES, By, SeedRule, holders

TESTS = Path(__file__).resolve().parent.parent / "tests"

_WHO = {
    By.BACK_OFFICE: "back office",
    By.WALLET: "phone",
    By.CARD: "card",
    By.GATE: "gate",
    By.OUTLET: "outlet",
}


def rules_page() -> str:
    """`docs/rules.md`."""
    held, proven = holders(), proofs(TESTS)
    rows = [_row(rule, held[rule.name], len(proven.get(rule.name, ()))) for rule in RULES]
    parts = [
        GENERATED,
        "# The seed's rules",
        "Each rule of the seed document, by the numbers of domain facts 1, with the functions that"
        " hold it. A function says so itself (`@holds`), and a test says what it proves"
        " (`@pytest.mark.rule`); a test fails if a rule has no function or no test. What the issuer"
        " decides where the seed is silent is in [policy.md](policy.md).",
        table(("rule", "seed lines", "规则", "rule in English", "who", "held by", "tests"), rows),
        "# The tests",
        *(part for rule in RULES for part in _tests(rule, proven.get(rule.name, ()))),
    ]
    return "\n\n".join(parts) + "\n"


def _row(rule: SeedRule, places: Sequence[str], tests: int) -> tuple[str, ...]:
    return (
        rule.name,
        rule.where,
        rule.zh,
        rule.en,
        ", ".join(_WHO[by] for by in rule.checked_by),
        ", ".join(f"`{place}`" for place in places) or "nobody",
        str(tests) if tests else "none",
    )


def _tests(rule: SeedRule, names: Sequence[str]) -> Iterator[str]:
    """The rule's tests by file."""
    yield f"## {rule.name}: {rule.en}"
    pairs = [name.split("::") for name in names]
    for path, group in groupby(pairs, key=lambda pair: pair[0]):
        listed = "\n".join(f"- {_sentence(name)}" for _, name in group)
        yield f"`tests/{path}`:\n\n{listed}"


def _sentence(name: str) -> str:
    """A test's name as the sentence that it is."""
    return name.removeprefix("test_").replace("_", " ")

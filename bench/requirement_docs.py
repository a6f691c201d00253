"""The page of requirements: the sections of the protocol reference, and what judges each."""

from collections.abc import Iterable

from apdu.docs import GENERATED, table
from bench.conformance.case import Case, Level
from bench.conformance.clauses import REASONS, SECTIONS, counted
from bench.conformance.suite import card_cases, gate_cases

_SHOWN = 3


def requirements_page() -> str:
    """`docs/requirements.md`."""
    cards, gates = card_cases(), gate_cases()
    parts = [
        GENERATED,
        "# Requirements",
        "Each section of the protocol reference that says what a card or a gate must do, and the"
        " cases of the [conformance suite](conformance.md) that judge it. A section without cases"
        " has a reason; a test fails for one that has neither.",
        f"There are {len(cards)} cases for cards ({_basic(cards.values())} of them basic) and"
        f" {len(gates)} for gates ({_basic(gates.values())} basic).",
        table(
            ("section", "requirement", "要求", "card cases", "gate cases", "such as, or why none"),
            (_row(section, cards, gates) for section in SECTIONS),
        ),
        "## Groups",
        table(
            ("group", "cases", "first case"),
            (*_groups("CARD", cards), *_groups("GATE", gates)),
        ),
    ]
    return "\n\n".join(parts) + "\n"


def _basic(cases: Iterable[Case]) -> int:
    return sum(one.level is Level.BASIC for one in cases)


def _row(section: str, cards: dict[str, Case], gates: dict[str, Case]) -> tuple[str, ...]:
    words = SECTIONS[section]
    n_cards, n_gates = counted(cards.values())[section], counted(gates.values())[section]
    found = [number for number, one in (cards | gates).items() if section in one.clauses]
    why = ", ".join(found[:_SHOWN]) or REASONS.get(section, "")
    return section, words.en, words.zh, str(n_cards or "-"), str(n_gates or "-"), why


def _groups(suite: str, cases: dict[str, Case]) -> Iterable[tuple[str, str, str]]:
    groups: dict[str, list[Case]] = {}
    for one in cases.values():
        groups.setdefault(one.group, []).append(one)
    for group, members in sorted(groups.items()):
        yield f"{suite}-{group}", str(len(members)), members[0].title.en

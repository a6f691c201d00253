"""Every section of the protocol reference that asks something has cases, or a reason."""

import subprocess
import sys

import pytest

from bench.conformance.clauses import REASONS, SECTIONS, counted
from bench.conformance.suite import card_cases, gate_cases

FOUND = counted((*card_cases().values(), *gate_cases().values()))


@pytest.mark.parametrize("section", SECTIONS)
def test_a_section_has_cases_or_a_reason(section):
    assert FOUND[section] or REASONS.get(section), f"{section} {SECTIONS[section]}"


@pytest.mark.parametrize("section", [s for s in SECTIONS if s.startswith(("4.", "6."))])
def test_a_section_on_commands_and_ladders_is_judged(section):
    assert FOUND[section] or section == "4.24"


def test_a_case_names_sections_that_there_are():
    named = set(FOUND) - set(SECTIONS)
    assert all(clause.startswith(("annex ", "DM ")) for clause in named), sorted(named)


def test_a_reason_is_for_a_section_without_cases():
    assert not [section for section in REASONS if FOUND[section] and section != "5.9"]


@pytest.mark.parametrize("first", ["macs", "tearing", "varied", "radio_wtx"])
def test_the_order_of_the_suite_is_not_that_of_imports(first: str):
    code = (
        f"import bench.conformance.card.{first}\n"
        "from bench.conformance.suite import card_cases\n"
        "print(*card_cases())"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == list(card_cases())

"""Every card of the library at every terminal in every mode: real terminals against the rules."""

import re
from collections import Counter
from dataclasses import replace
from itertools import combinations

import pytest

import fixtures
from bench.decisions import CASES, Case, decide, in_short
from bench.docs import FOLDER
from reader.checks import ALIGHT_CHECKS, BOARD_CHECKS, ENTRY_CHECKS, EXIT_CHECKS
from reader.modes import Mode
from reader.outcome import Reject, Verdict
from tests.decisions import CODES, expected

NAMES = fixtures.profile_names()
NAMED = [name for name in NAMES if not name.startswith("calibration-")]
SINGLY = [(), *((mode,) for mode in Mode)]
PAIRS = list(combinations(Mode, 2))
SEVERAL = (
    "student",
    "ordinary",
    "student-expired",
    "student-open-trip",
    "student-low-balance",
    "student-overdrawn",
    "student-foreign-city",
    "student-trip-locked",
    "student-blacklisted",
    "student-counter-near-end",
    "calibration-104",
    "calibration-149",
)
"""Cards that differ in what modes waive."""

each_case = pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)


def shown(name: str, case: Case):
    profile = fixtures.load_profile(name)
    return profile if case.trip is None else replace(profile, trip_record=case.trip)


def differing(name: str, case: Case, several) -> list[str]:
    profile = shown(name, case)
    wrong = []
    for modes in several:
        words = [mode.value for mode in modes]
        found = in_short(decide(name, case, modes))
        wanted = expected(profile, case.name, words).in_short()
        if found != wanted:
            wrong.append(f"{name} at {case.name} in {words}: {found}, by the rules {wanted}")
    return wrong


@each_case
def test_every_card_gets_what_the_rules_say_in_every_mode(case):
    assert [wrong for name in NAMES for wrong in differing(name, case, SINGLY)] == []


@each_case
def test_two_modes_together_waive_what_either_waives(case):
    assert [wrong for name in SEVERAL for wrong in differing(name, case, PAIRS)] == []


def test_the_rules_know_every_code_of_the_screen():
    ours = {reason.name: reason.code for reason in Reject}
    assert {name: ours[name] for name in CODES} == CODES


@each_case
def test_who_is_refused_keeps_everything_but_the_fare_of_a_ride_before(case):
    for name in NAMES:
        outcome = decide(name, case)
        if outcome.verdict is Verdict.REJECT:
            assert (outcome.receipt, outcome.fare) == (None, 0)
            assert outcome.charged == (outcome.missed.amount if outcome.missed else 0)


# The page

PAGE = (FOLDER / "decisions.md").read_text("utf-8")


def tables(title: str) -> list[list[list[str]]]:
    """The rows of the tables under a heading, without their heads."""
    text = re.split(rf"^#+ {re.escape(title)}$", PAGE, flags=re.M)[1]
    parts = re.split(r"^#", text, flags=re.M)[0].split("\n\n")
    return [
        [[cell.strip() for cell in line.strip("|").split(" | ")] for line in part.splitlines()[2:]]
        for part in parts
        if part.startswith("|")
    ]


def section(title: str) -> list[list[str]]:
    """The rows of the first table under a heading."""
    return tables(title)[0]


def by_the_rules(name: str, case: Case) -> list[str]:
    profile = shown(name, case)
    return [expected(profile, case.name, [m.value for m in modes]).in_short() for modes in SINGLY]


@each_case
def test_the_cells_of_the_page_are_what_the_rules_say(case):
    rows = [[row[1] if cell == "=" else cell for cell in row] for row in section(case.title)]
    assert [row[0].strip("`") for row in rows] == NAMED
    for name, *cells in rows:
        assert cells == by_the_rules(name.strip("`"), case), name


@each_case
def test_the_calibration_sets_are_counted_right(case):
    told = {
        mode.strip("`"): {what: int(times) for times, what in re.findall(r"(\d+) × ([^,]+)", cell)}
        for mode, cell in tables(case.title)[1]
    }
    columns = zip(*(by_the_rules(n, case) for n in NAMES if n not in NAMED), strict=True)
    for word, column in zip(["normal", *(mode.value for mode in Mode)], columns, strict=True):
        assert told.get(word, told["normal"]) == Counter(column), word


@pytest.mark.parametrize(
    ("title", "checks"),
    [
        ("Gate, entry", ENTRY_CHECKS),
        ("Gate, exit", EXIT_CHECKS),
        ("Bus, boarding and one tap for a flat fare", BOARD_CHECKS),
        ("Bus, alighting", ALIGHT_CHECKS),
    ],
)
def test_the_page_tells_every_check_in_its_order(title, checks):
    rows = section("Every terminal asks first") + section(title)
    told = [row[2] for row in rows if row[2]]
    reasons = [reason.name for check in checks for reason in check.refuses]
    assert [name for name in told if name in reasons] == reasons
    assert [int(row[0]) for row in rows] == sorted(int(row[0]) for row in rows)
    for row in rows:
        if row[2]:
            reason = Reject[row[2]]
            assert row[3:7] == [str(reason.code), str(reason.lab or ""), reason.zh, reason.en]


def test_the_page_tells_every_refusal():
    assert all(f"{reason.name}" in PAGE for reason in Reject)


def test_the_page_tells_what_each_mode_waives():
    rows = {row[0].strip("`"): row for row in section("Modes")}
    assert list(rows) == [mode.value for mode in Mode]
    for mode in Mode:
        assert {word for word in rows[mode.value][4].split(", ") if word} == {
            reason.name for reason in mode.rule.waives
        }

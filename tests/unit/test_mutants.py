"""Broken cards: the declared lies, and the machinery that lets the suite find them."""

import json
import random
import re
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace

import pytest

from bench.conformance.mutants import child, patch
from bench.conformance.mutants.__main__ import main
from bench.conformance.mutants.declared import Mutant, load, parsed
from bench.conformance.mutants.run import Plan, judge_all, picked, run_mutants
from bench.conformance.mutants.score import Judged, Outcome, Score, lines
from bench.conformance.mutants.trial import Task, Trial
from bench.problem import Problem
from emulator.card.handlers import HANDLERS

CARDS = load("card")
LOADS = "CARD-LOAD-00[12]"
"""Cases that are enough for the lies of this module."""

SLICE_SEED, SLICE, SLICE_LEAST = 7, 10, 80.0
"""A few mutants for every day; `make mutants` runs them all, and has a higher bar."""

LIE = Mutant(
    id="M-CARD-900",
    title="A top-up adds one fen too many",
    title_zh="充值多加一分",
    clause="4.13",
    module="emulator.card.purse",
    find="actual=purse.actual + amount - repaid,",
    replace="actual=purse.actual + amount - repaid + 1,",
)

# The declarations


@pytest.mark.parametrize("mutant", CARDS.values(), ids=CARDS)
def test_every_lie_can_be_told(mutant):
    assert patch.compiled(mutant, patch.source_of(mutant.module))


def test_there_are_at_least_80_broken_cards_that_apdus_can_show():
    assert len([one for one in CARDS.values() if not one.needs]) >= 80


def test_no_two_mutants_are_the_same():
    lies = Counter((m.module, m.find, m.occurrence, m.replace) for m in CARDS.values())
    titles = Counter(m.title for m in CARDS.values())
    assert [*lies.values()] == [1] * len(lies)
    assert [title for title, count in titles.items() if count > 1] == []


def test_the_numbers_of_the_mutants_have_no_gap():
    assert list(CARDS) == [f"M-CARD-{n + 1:03d}" for n in range(len(CARDS))]


@pytest.mark.parametrize("mutant", CARDS.values(), ids=CARDS)
def test_a_lie_is_told_by_the_card_and_not_by_what_the_suite_shares_with_it(mutant):
    assert mutant.module.startswith(("emulator.card.", "emulator.radio."))
    assert mutant.needs in ("", "frames")
    assert (mutant.needs == "frames") == mutant.module.startswith("emulator.radio.")
    assert re.fullmatch(r"(annex )?\d+(\.\d+)?", mutant.clause)


ANSWERING = sorted({handler.__module__ for handler in HANDLERS.values()})


@pytest.mark.parametrize("module", ANSWERING)
def test_every_module_that_answers_commands_has_several_lies(module):
    assert len([m for m in CARDS.values() if m.module == module]) >= 20


def table(**changed: object) -> str:
    entries = LIE.to_json() | changed
    return "[[mutant]]\n" + "".join(
        f"{name} = {json.dumps(value)}\n" for name, value in entries.items() if value is not None
    )


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (table() + table(), "is there twice"),
        (table(find=None), "has no 'find'"),
        (table(occurrence="2"), "'occurrence' is '2'; expected a whole number"),
        (table(colour="red"), "has 'colour'; expected one of"),
        ("[[mutant]", "is not TOML"),
    ],
)
def test_a_wrong_declaration_is_told_in_one_sentence(text, said):
    with pytest.raises(Problem, match=re.escape(said)):
        parsed(text, "card.toml")


def test_an_unknown_kind_and_an_unknown_mutant_are_problems():
    with pytest.raises(Problem, match="choose one of: card, gate"):
        load("phone")
    with pytest.raises(Problem, match="no mutant fits 'M-CARD-9999'"):
        picked(CARDS, "M-CARD-9999")
    assert len(picked(CARDS, "M-CARD-001,M-CARD-002")) == 2


# Changing a source


def lie(find: str, made: str, occurrence: int = 0) -> Mutant:
    return replace(LIE, find=find, replace=made, occurrence=occurrence)


@pytest.mark.parametrize(
    ("mutant", "after"),
    [
        (lie("b", "x"), "axcac"),
        (lie("a", "x", 1), "xbcac"),
        (lie("a", "x", 2), "abcxc"),
    ],
)
def test_one_place_of_a_source_is_changed(mutant, after):
    assert patch.patched("abcac", mutant) == after


@pytest.mark.parametrize(
    ("mutant", "said"),
    [
        (lie("z", "x"), "its 'find' is not in"),
        (lie("", "x"), "its 'find' is not in"),
        (lie("a", "x"), "is 2 times in"),
        (lie("a", "x", 3), "occurrence 3 of its 'find' is not in"),
        (lie("b", "b"), "changes nothing"),
    ],
)
def test_a_change_that_cannot_be_made_is_told(mutant, said):
    with pytest.raises(patch.PatchError, match=re.escape(said)):
        patch.patched("abcac", mutant)


def test_the_process_of_a_mutant_has_no_card_before_it_is_broken():
    """Nothing that the package imports on the way may bring the card."""
    code = (
        "import sys, bench.conformance.mutants.child\n"
        "print([name for name in sys.modules if name.partition('.')[0] == 'emulator'])"
    )
    told = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert told.stdout == "[]\n"


def test_a_module_that_is_imported_already_is_not_changed():
    with pytest.raises(patch.PatchError, match="is imported already"):
        patch.install(replace(LIE, module="bench.problem"))


# Judging


def judged(mutant: Mutant, cases: str = LOADS, limit_s: float = 60.0) -> Judged:
    (one,) = judge_all("card", [mutant], Plan(cases, limit_s=limit_s)).judged
    return one


def test_a_planted_lie_is_caught_and_the_case_named():
    one = judged(LIE)
    assert one.outcome is Outcome.CAUGHT
    assert one.by == ("CARD-LOAD-001",)
    assert "came 101 fen" in one.why


def test_all_cases_that_catch_a_lie_are_found_on_request():
    (one,) = judge_all("card", [LIE], Plan(LOADS, go_on=True)).judged
    assert one.by == ("CARD-LOAD-001", "CARD-LOAD-002")


SAME = replace(LIE, replace="actual=amount - repaid + purse.actual,")


def test_a_change_nobody_can_see_survives():
    assert judged(SAME).outcome is Outcome.SURVIVED
    declared = judged(replace(SAME, equivalent="a sum is the same in any order"))
    assert declared.outcome is Outcome.EQUIVALENT
    assert declared.why == "a sum is the same in any order"


def test_an_exception_of_the_cards_is_an_answer_that_a_case_catches():
    one = judged(replace(LIE, replace="actual=None,"))
    assert one.outcome is Outcome.CAUGHT
    assert "6F00" in one.why


def test_a_card_that_hangs_is_cut_off():
    hang = replace(LIE, find="    repaid = min(", replace="    while True: pass\n    repaid = min(")
    one = judged(hang, limit_s=5.0)
    assert (one.outcome, one.by) == (Outcome.TIMEOUT, ("CARD-LOAD-001",))
    assert one.why == "no answer in 5 s"


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"find": "never there"}, "M-CARD-900: its 'find' is not in emulator.card.purse; adapt it"),
        ({"replace": "actual=("}, "the changed emulator.card.purse is no Python in line"),
        ({"find": "MOST = 0xFFFFFF", "replace": "MOST = 1 / 0"}, "ZeroDivisionError"),
        ({"module": "emulator.card.nothing"}, "No module named 'emulator.card.nothing'"),
        (
            {
                "module": "emulator.card.issuing",
                "find": "    demand(card, card.directory.head.create)\n",
                "replace": "    raise Refuse(SW.NO_SPACE)\n",
            },
            "no card can be made with it",
        ),
    ],
)
def test_a_broken_declaration_is_never_a_catch(changed, said):
    one = judged(replace(LIE, **changed))
    assert one.outcome is Outcome.BROKEN
    assert said in one.why


def test_a_lie_is_judged_on_the_card_that_shows_it():
    unpaid = replace(LIE, find="repaid = min(purse.used, amount)", replace="repaid = 0")
    assert judged(unpaid).outcome is Outcome.SURVIVED
    overdrawn = replace(unpaid, profile="student-overdrawn", setup={"ceiling": 50_000})
    assert judged(overdrawn, "ladders.*").outcome is Outcome.CAUGHT


def test_a_suite_that_fails_on_the_unbroken_card_judges_nothing():
    with pytest.raises(Problem, match="the unbroken card cannot be judged: no card can be made"):
        judged(replace(LIE, profile="nobody"))


def test_a_lie_without_cases_for_it_is_left_out():
    one = judged(replace(LIE, needs="frames"))
    assert (one.outcome, one.why) == (Outcome.LEFT_OUT, "it needs cases for frames")


def test_the_same_run_gives_the_same_outcome_whatever_the_number_of_processes():
    lies = [LIE, SAME, replace(LIE, find="never there")]
    one, two = (judge_all("card", lies, Plan(LOADS, workers=n)) for n in (1, 3))
    assert one.to_json() == two.to_json()


# What a child does with any kind's cases


def trials(task: Task) -> Iterator[Trial]:
    """Cases of a kind that is none: one passes, one breaks down, two catch."""
    yield "one", lambda: ""
    yield "two", lambda: str(1 // 0)
    yield "three", lambda: "it lies"
    yield "four", lambda: "it lies again"


@pytest.mark.parametrize(("go_on", "played"), [(False, 3), (True, 4)])
def test_a_case_that_breaks_down_is_no_catch_and_ends_nothing(monkeypatch, go_on, played):
    monkeypatch.setitem(child.JUDGES, "gate", __name__)
    monkeypatch.setitem(child.sys.modules, __name__, __import__("sys").modules[__name__])
    said: list[dict[str, object]] = []
    child.judge(Task("gate", {}, go_on=go_on), said.append)
    assert {
        "crashed": "two",
        "why": "ZeroDivisionError: integer division or modulo by zero",
    } in said
    assert [one["caught"] for one in said if "caught" in one] == ["three", "four"][: played - 2]
    assert said[-1] == {"end": played}


# The score


def outcome(kind: Outcome, **changed: object) -> Judged:
    return Judged(replace(LIE, **changed), kind, ("CARD-X-001",) if kind is Outcome.CAUGHT else ())


def test_the_score_counts_an_invisible_lie_and_leaves_out_what_was_not_judged():
    kinds = [Outcome.CAUGHT, Outcome.TIMEOUT, Outcome.EQUIVALENT, Outcome.SURVIVED]
    score = Score("card", tuple(map(outcome, [*kinds, Outcome.LEFT_OUT])))
    assert (score.caught, score.total, score.percent) == (2, 4, 50.0)
    assert score.is_enough(50)
    assert not score.is_enough(51)


def test_a_wrong_declaration_spoils_any_score():
    caught = outcome(Outcome.CAUGHT)
    assert not Score("card", (caught, outcome(Outcome.BROKEN))).is_enough(0)
    seen = Score("card", (outcome(Outcome.CAUGHT, equivalent="nobody sees it"),))
    assert not seen.is_enough(0)
    assert "M-CARD-900 is declared invisible, but CARD-X-001 sees it" in "\n".join(lines(seen))


def test_the_command_says_what_survived_and_writes_it_down(tmp_path, capsys):
    path = tmp_path / "score.json"
    said = main(["card", "--only", "M-CARD-001", "--cases", LOADS, "--json", str(path)])
    assert said == 1
    shown = capsys.readouterr()
    assert shown.out.startswith("0 of 1 broken cards are caught: 0.0 %.")
    assert CARDS["M-CARD-001"].title in shown.out
    assert "[1/1] M-CARD-001 survived" in shown.err
    assert json.loads(path.read_text())["mutants"][0]["outcome"] == "survived"


def test_the_command_tells_a_problem_in_one_sentence(capsys):
    assert main(["card", "--only", "nothing"]) == 2
    assert capsys.readouterr().err.startswith("Error: no mutant fits 'nothing'")


# The suite


@pytest.mark.timeout(600)
def test_a_slice_of_the_broken_cards_is_caught():
    ordinary = [m.id for m in CARDS.values() if not m.needs and not m.equivalent]
    chosen = random.Random(SLICE_SEED).sample(ordinary, SLICE)
    score = run_mutants("card", ",".join(chosen))
    assert score.is_enough(SLICE_LEAST), "\n".join(lines(score))

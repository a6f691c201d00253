"""The gate suite: its cases, our own gate under it on every road, and gates that lie."""

import re
from collections import Counter
from collections.abc import Mapping
from contextlib import contextmanager
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import pytest

from bench.conformance.case import Case, Level, Need, Verdict
from bench.conformance.gate.foreign import ALWAYS
from bench.conformance.gate.lab import GateLab
from bench.conformance.gate.playing import (
    MOST_SAID,
    GatePlace,
    Operator,
    gate_places,
    judge_gates,
    shortened,
)
from bench.conformance.gate.post import Post, entry, exit_
from bench.conformance.gate.runner import run_gate_case
from bench.conformance.gate.stand import Heard, OwnGates, own_gates
from bench.conformance.lab import Said
from bench.conformance.runner import Result, Violation
from bench.conformance.suite import GATE_GROUPS, card_cases, chosen, gate_cases
from bench.conformance.words import Words
from bench.problem import Problem
from reader.outcome import Verdict as Opened

CASES = gate_cases()
NOBODY = Operator(ask=lambda question: False, tell=lambda said: None)
SLICE = "GATE-JBGN-00*,GATE-TJJY-001,GATE-LJJY-*1,GATE-WDX-002,GATE-JYSJ-00*,GATE-JYSJ-*5"


def failures(results: Mapping[str, Result]) -> list[str]:
    return [
        f"{number}: expected {one.violation.expected}, came {one.violation.came}"
        for number, one in results.items()
        if one.violation is not None
    ]


def test_each_group_of_the_test_plan_has_its_cases():
    counted = Counter(one.group for one in CASES.values())
    assert set(counted) == set(GATE_GROUPS)
    assert all(count >= 10 for count in counted.values())


def test_the_published_numbers_are_kept():
    assert [n for n in CASES if "JBGN" in n][:14] == [f"GATE-JBGN-{n:03d}" for n in range(1, 15)]
    assert CASES["GATE-JBGN-007"].key == "jbgn.start_date_is_judged"
    assert "DM 4.2" in CASES["GATE-JBGN-007"].clauses


def test_cards_and_gates_have_numbers_of_their_own():
    assert all(number.startswith("GATE-") for number in CASES)
    assert all(number.startswith("CARD-") for number in card_cases())


@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
def test_a_case_says_what_it_requires_and_where_that_stands(case: Case):
    assert case.title.en
    assert re.search("[\u4e00-\u9fff]", case.title.zh)
    for clause in case.clauses:
        assert re.fullmatch(r"(DM )?\d+(\.\d+)?", clause)


def test_no_two_cases_have_one_title():
    titles = Counter(one.title.en for one in CASES.values())
    assert [title for title, count in titles.items() if count > 1] == []


def test_our_gate_passes_the_whole_suite():
    run = judge_gates(CASES, gate_places("inproc", NOBODY)[0], told=lambda number, result: None)
    assert failures(run.results) == []
    assert run.incomplete == ""
    assert run.count(Verdict.PASSED) == len(CASES)


@pytest.mark.parametrize(
    "road", ["air", "udp", "pn532", pytest.param("pcsc", marks=pytest.mark.needs_pcscd)]
)
def test_our_gate_passes_on_the_other_roads(road: str):
    cases = chosen(CASES, SLICE)
    assert len(cases) > 20
    run = judge_gates(cases, gate_places(road, NOBODY)[0], told=lambda number, result: None)
    assert failures(run.results) == []
    assert run.count(Verdict.PASSED) == len(cases)


def test_the_basic_part_is_small_and_in_every_way():
    basic = chosen(CASES, level=Level.BASIC)
    assert 5 <= len(basic) <= len(CASES) // 3
    assert {one.group for one in basic.values()} >= {"JBGN", "TJJY", "LJJY", "JYSJ"}


class OpensForAll(OwnGates):
    """A gate that opens whatever comes of it."""

    def tap(self, post: Post, at: datetime) -> Heard:
        return replace(super().tap(post, at), verdict=Opened.PASS, reason=None)


class ChargesTwice(OwnGates):
    """A gate that forgets everything between two taps."""

    def tap(self, post: Post, at: datetime) -> Heard:
        heard = super().tap(post, at)
        self._terminals, self._journals = {}, {}
        return heard


@contextmanager
def liar(kind: Any):
    with own_gates() as gates:
        gates.__class__ = kind
        yield gates


@pytest.mark.parametrize(
    ("kind", "number"),
    [
        (OpensForAll, "jbgn.unknown_issuer_is_refused"),
        (OpensForAll, "jbgn.start_date_is_judged"),
        (OpensForAll, "jysj.wrong_mac2_does_not_open"),
        (OpensForAll, "ljjy.exit_cut_before"),
        (ChargesTwice, "ljjy.exit_proven"),
        (ChargesTwice, "wdx.card_stays_at_the_exit"),
        (ChargesTwice, "jysj.exit_record"),
    ],
)
def test_a_gate_that_lies_goes_red(kind: type[OwnGates], number: str):
    (case,) = chosen(CASES, number).values()
    with liar(kind) as gates:
        result = run_gate_case(case, gates)
    assert result.verdict is Verdict.FAILED
    assert result.violation is not None


def test_a_gate_without_an_ability_skips_what_needs_it():
    with own_gates() as gates:
        gates.abilities = frozenset(Need) - {Need.POST}
        modes = [one for one in chosen(CASES, "jbgn_modes.*").values() if Need.POST in one.needs]
        results = {one.key: run_gate_case(one, gates) for one in modes}
    assert {one.verdict for one in results.values()} == {Verdict.SKIPPED}
    assert {str(one.why) for one in results.values()} == {Need.POST.words.en}


class ByHand(OwnGates):
    """A gate of ours as somebody at one of anybody's has it: its clock runs as it likes."""

    def place(self, setup: Mapping[str, Any]) -> None:
        super().place(setup)
        self.clock = self.begins

    def wait(self, time: timedelta) -> None:
        self.clock += max(timedelta(), min(time, timedelta(seconds=NOBODY.patience_s)))

    def tap(self, post: Post, at: datetime) -> Heard:
        self.clock += timedelta(seconds=8)  # for the card to be held there, and the question
        is_plain = replace(post, vehicle="") in (entry(vehicle=""), exit_(vehicle=""))
        assert is_plain or Need.POST in self.abilities, f"a case needs POST for {post.words}"
        return super().tap(post, self.clock)


@pytest.mark.parametrize("can", [set(), {Need.POST}], ids=["nothing", "post"])
def test_a_right_gate_passes_by_hand_what_its_abilities_leave(can: set[Need]):
    with own_gates() as gates:
        gates.__class__ = ByHand
        gates.abilities = ALWAYS | can
        results = {number: run_gate_case(one, gates) for number, one in CASES.items()}
    assert failures(results) == []
    passed = [one for one in results.values() if one.verdict is Verdict.PASSED]
    assert len(passed) > (80 if not can else 150)


def test_two_terminals_of_one_kind_have_numbers_of_their_own():
    with own_gates() as gates:
        lab = GateLab(gates, lambda: 0)
        for post in (entry(), entry(vehicle="GATE0002")):
            lab.another(serial=bytes.fromhex("03105228009900000099"))
            lab.passes(lab.tap(post))
        assert [one.terminal.hex() for one in lab.all_charges] == ["300089000195", "300089000196"]


def test_roads_that_hold_one_card_have_no_pairs():
    with own_gates("air") as gates:
        assert Need.PAIR not in gates.abilities


def test_a_failure_comes_with_what_the_card_saw():
    def opened() -> Any:
        return liar(OpensForAll)

    cases = chosen(CASES, "jbgn.disabled_card_is_refused")
    run = judge_gates(cases, GatePlace("inproc", opened, True), told=lambda number, result: None)
    (number,) = cases
    assert run.failed.keys() == cases.keys()
    assert "> 00A40400" in run.scripts[number]


@pytest.mark.parametrize("at", [None, 0, 10, 200, 499])
def test_a_long_case_shows_what_leads_to_its_failure(at: int | None):
    said = tuple(Said(n.to_bytes(4), b"\x90\x00") for n in range(500))
    violation = None if at is None else Violation(Words("a", "a"), "b", "6.8", at)
    case = next(iter(CASES.values()))
    short = shortened(Result(case, Verdict.FAILED, violation=violation, said=said))
    assert len(short.said) == MOST_SAID + 1
    assert f"{500 - MOST_SAID} exchanges are left out" in "".join(one.note for one in short.said)
    if at is not None:
        assert short.violation is not None
        assert short.violation.at is not None
        assert short.said[short.violation.at].command == at.to_bytes(4)


@pytest.mark.parametrize("via", ["tin-cans", "gate:tin-cans", "gate", "inproc,"])
def test_a_road_that_is_none_is_refused(via: str):
    with pytest.raises(Problem, match="there is no road"):
        gate_places(via, NOBODY)

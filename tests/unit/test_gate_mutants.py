"""Broken gates: the declared lies, and a few of them against the suite."""

import random
from collections import Counter

import pytest

from bench.conformance.mutants import patch
from bench.conformance.mutants.declared import load
from bench.conformance.mutants.run import Plan, judge_all
from bench.conformance.mutants.score import Outcome

GATES = load("gate")
SLICE_SEED, SLICE, SLICE_LEAST = 7, 8, 80.0
"""A few for every day; `make mutants` runs them all, and has a higher bar."""


@pytest.mark.parametrize("mutant", GATES.values(), ids=GATES)
def test_every_lie_can_be_told(mutant):
    assert patch.compiled(mutant, patch.source_of(mutant.module))
    assert mutant.module.startswith("reader.")


def test_there_are_at_least_30_broken_gates():
    assert len(GATES) >= 30


def test_no_two_mutants_are_the_same():
    lies = Counter((m.module, m.find, m.occurrence, m.replace) for m in GATES.values())
    titles = Counter(m.title for m in GATES.values())
    assert [*lies.values()] == [1] * len(lies)
    assert [title for title, count in titles.items() if count > 1] == []


def test_the_numbers_of_the_mutants_have_no_gap():
    assert list(GATES) == [f"M-GATE-{n + 1:03d}" for n in range(len(GATES))]


def test_the_suite_catches_a_slice_of_the_broken_gates():
    drawn = random.Random(SLICE_SEED).sample([*GATES.values()], SLICE)
    score = judge_all("gate", drawn, Plan(workers=2))
    assert score.percent >= SLICE_LEAST
    assert not score.of(Outcome.BROKEN)

"""Judging broken gates when a process dies, or somebody stops it."""

import json
import os
import signal
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

import pytest

from bench.conformance.mutants.declared import Mutant
from bench.conformance.mutants.run import Plan, judge_all, run_mutants
from bench.conformance.mutants.score import Outcome
from bench.problem import Problem
from tests.ending import children

DIES = Mutant(
    id="M-GATE-900",
    title="A gate whose process ends",
    title_zh="进程中止的闸机",
    clause="6.10",
    module="reader.checks",
    find="None if facts.view.info.enabled == 0x01 else Reject.NOT_ENABLED",
    replace='__import__("os").kill(__import__("os").getpid(), 9)',
)
ONE = Plan("jbgn.disabled_card_is_refused", workers=1)


def test_a_process_that_dies_twice_is_no_catch_and_says_where():
    (judged,) = judge_all("gate", [DIES], ONE).judged
    assert judged.outcome is Outcome.BROKEN
    assert judged.why == "its process ended twice, at GATE-JBGN-009"


def test_cases_that_fit_none_are_a_problem_and_no_score():
    with pytest.raises(Problem, match="no case for a gate fits 'GATE-NONE-\\*'"):
        run_mutants("gate", "M-GATE-001", Plan("GATE-NONE-*", workers=1))


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_run_that_is_stopped_keeps_what_was_judged(tmp_path: Path, number: signal.Signals):
    command = (sys.executable, "-m", "bench", "conformance", "mutants", "gate", "--workers", "1")
    with subprocess.Popen(
        [*command, "--report", str(tmp_path)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stderr is not None
        first = process.stderr.readline()
        # What is sent to all of the program's group must not end a child before its parent knows.
        for child in children(process.pid):
            with suppress(ProcessLookupError):  # its case is over
                assert os.getpgid(child) == child
        process.send_signal(number)
        said, errors = process.communicate(timeout=60)
    assert first.startswith("[1/")
    assert process.returncode == 3
    assert said.startswith("Incomplete, stopped at ")
    assert "Traceback" not in errors
    score = json.loads((tmp_path / "mutants.json").read_text("utf-8"))
    assert score["complete"] is False
    assert score["mutants"][0]["outcome"] == "caught"
    assert "Incomplete, stopped at" in (tmp_path / "mutants.html").read_text("utf-8")

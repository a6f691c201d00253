"""The operator's terminal at a gate of somebody else's: a small reader of nfcpy alone."""

import fcntl
import json
import os
import pty
import re
import signal
import subprocess
import sys
import termios
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from select import select
from time import monotonic
from typing import Any

import pytest

from tests.needs import require_module

READING = (
    "00A404000E325041592E5359532E444446303100",
    "00A4040008A00000063201010500",
    "00B0950000",
    "00B0970000",
    "00B201D400",
    "805C000204",
)
CHARGING = ("805003020B01000001903000890001950F", "805401000F00000101202509080730151122334408")
"""4.00 yuan, with a MAC1 that is none."""
ASKED = r"q: stop here\] $"
WAIT_S = 30.0


class Terminal:
    """`tapbench conformance gate --via gate:udp:0`, and who sits before it."""

    def __init__(self, only: str, report: Path) -> None:
        self._keyboard, there = pty.openpty()
        self._report = report
        self._process = subprocess.Popen(
            [
                *(sys.executable, "-m", "bench", "conformance", "gate", "--via", "gate:udp:0"),
                *("--only", only, "--report", str(report)),
            ],
            stdin=there,
            stdout=there,
            stderr=there,
            preexec_fn=_take_terminal,
        )
        os.close(there)
        self.heard = ""

    def until(self, pattern: str) -> str:
        """What is said until the pattern comes, from here on."""
        said, end = "", monotonic() + WAIT_S
        while not re.search(pattern, said):
            assert monotonic() < end, f"no {pattern} in: {said}"
            if select([self._keyboard], [], [], 0.1)[0]:
                said += os.read(self._keyboard, 65536).decode()
        self.heard += said
        return said

    def answer(self, *keys: str) -> None:
        for key in keys:
            self.until(ASKED)
            os.write(self._keyboard, key.encode())

    def ended(self) -> tuple[int, dict[str, Any]]:
        """The exit code, and the run in the report."""
        while True:
            try:
                said = os.read(self._keyboard, 65536)
            except OSError:
                break
            self.heard += said.decode()
        code = self._process.wait(WAIT_S)
        (run,) = json.loads((self._report / "conformance.json").read_text("utf-8"))["runs"]
        return code, run

    def close(self) -> None:
        if self._process.poll() is None:
            self._process.kill()
        self._process.wait()
        os.close(self._keyboard)

    def kill(self) -> None:
        self._process.send_signal(signal.SIGTERM)


def _take_terminal() -> None:
    """In the child: standard input is the terminal of a session of its own."""
    os.setsid()
    fcntl.ioctl(0, termios.TIOCSCTTY, 0)


@contextmanager
def terminal(only: str, report: Path) -> Iterator[Terminal]:
    made = Terminal(only, report)
    try:
        yield made
    finally:
        made.close()


def at_the_gate(device: str, commands: tuple[str, ...]) -> None:
    """Somebody else's gate, for one card: it sends what it always sends."""
    require_module("nfc", "nfcpy")
    import nfc

    def pay(tag: Any) -> bool:
        for command in commands:
            tag.transceive(bytes.fromhex(command))
        return False

    with nfc.ContactlessFrontend(device) as frontend:
        frontend.connect(rdwr={"on-connect": pay})


ENTERS, DISABLED = "jbgn.good_card_enters", "jbgn.disabled_card_is_refused"


def where(operator: Terminal) -> str:
    said = re.search(r"udp:[\d.]+:\d+", operator.until(r"reader is udp:[\d.]+:\d+"))
    assert said
    return said[0]


@pytest.mark.parametrize(
    ("leave", "sentence"),
    [
        (lambda at: at.answer("\x03"), "it was stopped by Ctrl-C or by a signal"),
        (lambda at: at.answer("\x04"), "the operator's input has ended"),
        (lambda at: at.answer("q\n"), "the operator stopped it"),
        (lambda at: (at.until(ASKED), at.kill()), "it was stopped by Ctrl-C or by a signal"),
    ],
    ids=["Ctrl-C", "end of input", "q", "SIGTERM"],
)
def test_whoever_leaves_at_a_question_keeps_the_report(
    tmp_path: Path, leave: Callable[[Terminal], object], sentence: str
):
    with terminal(f"{ENTERS},{DISABLED}", tmp_path) as operator:
        operator.answer("s\n")
        leave(operator)
        code, run = operator.ended()
    assert code == 3
    assert run["incomplete"] == f"{sentence}, at GATE-JBGN-009"
    assert [one["outcome"] for one in run["cases"]] == ["skipped"]
    assert run["cases"][0]["reason"]["en"] == "the operator left it out"
    assert "Traceback" not in operator.heard


def test_a_gate_that_debits_a_card_not_enabled_fails_though_it_stayed_shut(tmp_path: Path):
    with terminal(DISABLED, tmp_path) as operator:
        device = where(operator)
        operator.answer("y\n")
        operator.until("Hold the card")
        at_the_gate(device, READING + CHARGING)
        operator.answer("n\n")
        code, run = operator.ended()
    (case,) = run["cases"]
    assert (code, case["outcome"]) == (1, "failed")
    assert case["violation"]["came"] == "DEBIT FOR PURCHASE was sent for 400 fen"
    seen = [one["command"] for one in case["exchanges"]]
    assert seen == [*READING, *CHARGING]


def test_a_gate_that_opens_without_writing_an_entry_fails(tmp_path: Path):
    with terminal(ENTERS, tmp_path) as operator:
        device = where(operator)
        operator.answer("y\n")
        operator.until("Hold the card")
        at_the_gate(device, READING)
        operator.answer("y\n")
        code, run = operator.ended()
    assert code == 1
    assert run["cases"][0]["violation"]["expected"]["en"] == "trip state 1"


def test_an_answer_that_is_none_is_asked_again_and_nothing_is_taken_for_no(tmp_path: Path):
    with terminal(ENTERS, tmp_path) as operator:
        operator.answer("\n", "maybe\n", "n\n")
        code, run = operator.ended()
    assert "'maybe' is no answer; expected y, n, s or q" in operator.heard
    assert (code, run["cases"][0]["outcome"]) == (0, "skipped")

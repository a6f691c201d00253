"""The operator at a gate that is not ours, asked at the terminal."""

import sys

from bench.conformance.case import Case, Need, NotApplicable
from bench.conformance.gate.foreign import Operator
from bench.conformance.runner import Interrupted, Result
from bench.problem import Problem

_ABLE = {"post": Need.POST, "clock": Need.CLOCK}
_CHOICE = "y: yes, n: no, s: leave this case out, q: stop here"


def operator(can: str) -> Operator:
    """Who stands at the gate. can: what it can be set up for, with commas. Raises Problem."""
    names = [name for name in can.split(",") if name]
    for name in names:
        if name not in _ABLE:
            raise Problem(f"--can is '{name}'; choose of: {', '.join(_ABLE)}, with commas")
    return Operator(ask, tell, frozenset(_ABLE[name] for name in names))


def tell(words: str) -> None:
    """Say something beside what is printed for programs."""
    print(words, file=sys.stderr, flush=True)


def ask(question: str) -> bool:
    """Ask until the answer is one: nothing is taken for yes or no that was not said.

    Raises NotApplicable to leave the case out, Interrupted to stop or at the end of input.
    """
    while True:
        print(f"{question} [{_CHOICE}] ", end="", file=sys.stderr, flush=True)
        answer = _line().strip().lower()
        if answer in ("y", "yes", "n", "no"):
            return answer.startswith("y")
        if answer in ("s", "skip"):
            raise NotApplicable("the operator left it out", "操作员略过")
        if answer in ("q", "quit"):
            raise Interrupted("the operator stopped it")
        tell(f"'{answer}' is no answer; expected y, n, s or q")


def _line() -> str:
    try:
        line = sys.stdin.readline()
    except (OSError, UnicodeDecodeError):
        line = ""
    if not line:
        tell("")
        raise Interrupted("the operator's input has ended")
    return line


def announce(number: str, case: Case) -> None:
    """Say which case begins."""
    tell(f"\n{number} {case.title.en}")


def say_result(number: str, result: Result) -> None:
    """Say what became of it."""
    why = f": {result.why.en}" if result.why is not None else ""
    if result.violation is not None:
        why = f": expected {result.violation.expected.en}, came {result.violation.came}"
    tell(f"{number} {result.verdict.value}{why}")

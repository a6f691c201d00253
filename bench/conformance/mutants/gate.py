"""The gate suite against a broken gate, in process."""

from collections.abc import Iterator
from contextlib import ExitStack
from functools import partial

from bench.conformance.case import Case, Verdict
from bench.conformance.gate.runner import run_gate_case
from bench.conformance.gate.stand import OwnGates, own_gates
from bench.conformance.mutants.card import ordered
from bench.conformance.mutants.trial import CannotJudge, Task, Trial
from bench.conformance.runner import Interrupted
from bench.conformance.suite import chosen, gate_cases


def trials(task: Task) -> Iterator[Trial]:
    """The cases, those about the broken clause first. See `child.JUDGES`.

    Raises CannotJudge if no gate can be made.
    """
    cases = chosen(gate_cases(), task.cases)
    if not cases:
        return
    with ExitStack() as stack:
        try:
            stand = stack.enter_context(own_gates())
        except Exception as error:
            raise CannotJudge(
                f"no gate can be made with it: {error}; choose a smaller lie"
            ) from error
        for number, one in ordered(cases.items(), task.clause):
            yield number, partial(_played, one, stand)


def _played(one: Case, stand: OwnGates) -> str:
    try:
        result = run_gate_case(one, stand)
    except Interrupted as gone:
        return f"the gate was lost: {gone}"
    if result.verdict is not Verdict.FAILED:
        return ""
    violation = result.violation
    assert violation is not None
    return f"expected {violation.expected}, came {violation.came}"

"""The card suite against a broken card, in process, or over the air for what only frames show."""

from collections.abc import Iterable, Iterator
from contextlib import ExitStack
from functools import partial

from bench.conformance.case import Case, Need, Verdict
from bench.conformance.mutants.trial import CannotJudge, Task, Trial
from bench.conformance.runner import Interrupted, run_case
from bench.conformance.stand import OwnStand, own_stand
from bench.conformance.suite import card_cases, chosen

STUDENT = "student"
"""The profile of the card that is judged, if a mutant says no other."""


def trials(task: Task) -> Iterator[Trial]:
    """The cases, those about the broken clause first. See `child.JUDGES`.

    Raises CannotJudge if no card can be made or none of the cases is for such a mutant.
    """
    is_for_frames = task.needs == "frames"
    cases = {
        number: one
        for number, one in chosen(card_cases(), task.cases).items()
        if not is_for_frames or Need.FRAMES in one.needs
    }
    if not cases:
        return
    with ExitStack() as stack:
        stand = _stand(stack, "air" if is_for_frames else "inproc", task)
        for number, one in ordered(cases.items(), task.clause):
            yield number, partial(_played, one, stand)


def _stand(stack: ExitStack, road: str, task: Task) -> OwnStand:
    """A stand that a card was laid on. One that cannot be made is no card to judge."""
    try:
        stand = stack.enter_context(own_stand(road, task.profile or STUDENT, setup=task.setup))
        stand.place({})
    except Exception as error:
        raise CannotJudge(f"no card can be made with it: {error}; choose a smaller lie") from error
    return stand


def ordered(cases: Iterable[tuple[str, Case]], clause: str) -> list[tuple[str, Case]]:
    """Cases about a clause first: a mutant is mostly caught by them."""
    return sorted(cases, key=lambda one: clause not in one[1].clauses)


def _played(one: Case, stand: OwnStand) -> str:
    try:
        result = run_case(one, stand)
    except Interrupted as gone:
        return f"the card was lost: {gone}"
    if result.verdict is not Verdict.FAILED:
        return ""
    violation = result.violation
    assert violation is not None
    return f"expected {violation.expected}, came {violation.came}"

"""The commands that show a failure, as text that `tapbench trace replay --as reader` plays.

    # CARD-LOAD-001: A top-up adds its amount to the balance and no more
    # expected: a balance of 100 fen; came: 0 fen
    > 805C000204
    < 000000009000

A line `# tap N` is a field that went off and on. An answer that the case did not wait for is not
there. Frames are remarks: a script has commands only.

    # frame > B2
    # frame < A3
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import Enum

from bench.conformance.case import Case
from bench.conformance.lab import Said
from bench.conformance.radio import FIELD_OFF, FIELD_ON
from bench.conformance.reading import is_reading
from bench.conformance.runner import Result, place
from bench.conformance.shown import SILENT, command_hex, frame_hex
from bench.conformance.stand import Stand
from bench.tracing.words import exchange_name
from reader.transport.base import TransportError
from reader.transport.decorators import CutPoint

OK = b"\x90\x00"


class Kind(Enum):
    """What a step does."""

    SAY = "say"
    CUT = "cut"  # the card acts, and nobody hears its answer
    RESET = "reset"
    FRAME = "frame"  # a remark: only the case itself can say it


@dataclass(frozen=True, slots=True)
class Step:
    """One step of a script. answer: what came when the case was played."""

    kind: Kind
    command: bytes = b""
    answer: bytes | None = None


def steps_of(result: Result) -> list[Step]:
    """What was said up to the exchange that shows the failure, as steps."""
    end = len(result.said)
    if result.violation is not None and result.violation.at is not None:
        end = result.violation.at + 1
    steps = [_step(said) for said in result.said[:end]]
    return [step for step in steps if step is not None]


def _step(said: Said) -> Step | None:
    if said.is_frame:
        return _frame(said)
    if not said.command and said.note:
        return Step(Kind.RESET)
    if said.note.endswith(CutPoint.BEFORE.value):
        return None  # the card never got it; the field that goes off is a step of its own
    if said.note:
        return Step(Kind.CUT, said.command)
    return Step(Kind.SAY, said.command, said.response)


def _frame(said: Said) -> Step | None:
    if said.note == FIELD_ON:
        return None
    if said.note == FIELD_OFF:
        return Step(Kind.RESET)
    return Step(Kind.FRAME, said.command, said.response)


def text_of(number: str, result: Result, steps: Sequence[Step], is_ours: bool) -> str:
    """The script with its remarks."""
    lines = [f"# {number}: {result.case.title}"]
    if result.violation is not None:
        lines.append(f"# expected: {result.violation.expected}; came: {result.violation.came}")
    tap = 1
    for step in steps:
        if step.kind is Kind.RESET:
            tap += 1
            lines.append(f"# tap {tap}")
            continue
        if step.kind is Kind.FRAME:
            answer = SILENT if step.answer is None else step.answer.hex().upper()
            lines += [f"# frame > {frame_hex(step.command, is_ours)}", f"# frame < {answer}"]
            continue
        lines += [f"# {exchange_name(step.command)}", f"> {command_hex(step.command, is_ours)}"]
        if step.answer is not None:
            lines.append(f"< {step.answer.hex().upper()}")
    return "\n".join(lines) + "\n"


def replay(stand: Stand, case: Case, steps: Sequence[Step]) -> list[bytes | None]:
    """Play steps on a card made anew. Returns the answer to each, None where there is none."""
    place(stand, case)
    return [_answer(stand, step) for step in steps]


def _answer(stand: Stand, step: Step) -> bytes | None:
    if step.kind is Kind.RESET:
        stand.reset()
        return None
    try:
        answer = stand.link.transmit(step.command)
    except TransportError:
        stand.reset()
        return None
    return answer if step.kind is Kind.SAY else None


def shrink(stand: Stand, result: Result) -> list[Step]:
    """The fewest steps after which a card of the same seed still gives the last answer.

    Each step that stays gets the status word it got before. What has changed the card stays,
    because without it a right card would give the last answer too. What was
    said in frames stays whole.
    stand: one that makes cards. A failure that does not repeat is left as it is.
    """
    steps = steps_of(result)
    if not steps or any(step.kind is Kind.FRAME for step in steps):
        return steps
    last = steps[-1]

    def shows(some: Sequence[Step]) -> bool:
        answers = replay(stand, result.case, [*some, last])
        return answers[-1] == last.answer and all(map(_is_like, answers, some))

    if not shows(steps[:-1]):
        return steps
    return [*reduced(steps[:-1], shows), last]


def _is_like(answer: bytes | None, step: Step) -> bool:
    return (answer or b"")[-2:] == (step.answer or b"")[-2:]


def reduced(steps: list[Step], shows: Callable[[Sequence[Step]], bool]) -> list[Step]:
    """Delta debugging: leave out ever smaller pieces as long as what is left still shows it."""
    size = max(1, len(steps) // 2)
    while True:
        before, at = len(steps), 0
        while at < len(steps):
            piece, rest = steps[at : at + size], steps[:at] + steps[at + size :]
            if all(map(_may_go, piece)) and shows(rest):
                steps = rest
            else:
                at += size
        if size == 1 and len(steps) == before:
            return steps
        size = max(1, size // 2)


def _may_go(step: Step) -> bool:
    if step.kind is not Kind.SAY:
        return False
    is_refused = step.answer is None or step.answer[-2:] != OK
    return is_refused or is_reading(step.command)

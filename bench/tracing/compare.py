"""Two recordings compared exchange by exchange, in words.

Exchanges are put beside each other by what they are about (peer, command, file), so that one that
is missing shifts nothing. What is fresh in every run (`apdu.fresh`) is not compared unless asked
for. Of what only one recording can hold, PSAM exchanges and decisions, nothing is said but that.
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from difflib import SequenceMatcher
from typing import Final

from apdu.event import Event, Source, Trace
from apdu.fresh import command_lines, response_lines
from apdu.secret import has_secret
from apdu.show import Line
from apdu.trace import find_call
from apdu.value import value
from bench.trace_formats.assembly import ApduExchange
from bench.trace_formats.layers import FIELD_OFF
from bench.tracing.rows import View, rows_of
from bench.tracing.words import counted, exchange_name, status_text

ABSENT: Final = "none"


@value
class Difference:
    """One thing that differs.

    kind:  field, status, answer, decision; only_a or only_b for what one recording has more.
    where: the stage or tap; name: the exchange; label: the field; a, b: what each says.
    """

    kind: str
    where: str
    name: str
    label: str
    a: str
    b: str

    @property
    def text(self) -> str:
        """One sentence without a full stop."""
        said = f"{self.a} against {self.b}"
        if self.kind.startswith("only"):
            said = self.a or self.b
        elif self.label:
            said = f"{self.label} {said}"
        place = ": ".join(part for part in (self.where, self.name) if part)
        return f"{place}: {said}" if place else said


@value
class Step:
    """An exchange or a decision of a recording, with the stage it belongs to.

    session: how often the field has gone off before.
    """

    stage: str
    session: int = 0
    exchange: ApduExchange | None = None
    decision: Event | None = None

    @property
    def name(self) -> str:
        """What it is about."""
        if self.exchange is None:
            return "decision"
        peer = "PSAM " if self.exchange.to == "psam" else ""
        return peer + exchange_name(self.exchange.command)


@value
class Comparison:
    """steps: how many each recording has. notes: what could not be compared."""

    steps: tuple[int, int]
    differences: list[Difference]
    notes: list[str]


def compare(a: Trace, b: Trace, fresh: bool = False) -> Comparison:
    """What differs between two recordings. fresh: what differs in every run is compared too."""
    steps, notes = _comparable(steps_of(a), steps_of(b))
    names = [[step.name for step in side] for side in steps]
    differences: list[Difference] = []
    matcher = SequenceMatcher(None, names[0], names[1], autojunk=False)
    for change, a0, a1, b0, b1 in matcher.get_opcodes():
        if change == "equal":
            for one, other in zip(steps[0][a0:a1], steps[1][b0:b1], strict=True):
                differences += compare_steps(one, other, fresh)
        else:
            differences += _only("A", steps[0], a0, a1)
            differences += _only("B", steps[1], b0, b1)
    return Comparison((len(steps[0]), len(steps[1])), differences, notes)


def steps_of(trace: Trace) -> list[Step]:
    """Exchanges and decisions in their order, each with the stage or tap it is in."""
    steps = []
    stage, session = "", 0
    for row in rows_of(trace, View.APDU):
        event, apdu = row.event, row.apdu
        if event is not None and event.source is Source.STAGE:
            stage = event.name
        elif event is not None and event.source is Source.FIELD:
            session += event.data == FIELD_OFF
        where = stage or (f"tap {row.tap}" if row.tap else "")
        if apdu is not None and not apdu.is_response:
            steps.append(Step(where, session, apdu.exchange))
        elif event is not None and event.source is Source.DECISION:
            steps.append(Step(where, session, decision=event))
    return steps


def _comparable(a: list[Step], b: list[Step]) -> tuple[tuple[list[Step], list[Step]], list[str]]:
    """Both without what one of them has none of."""
    notes = []
    for what, belongs in (
        ("PSAM exchange", lambda s: s.exchange is not None and s.exchange.to == "psam"),
        ("decision", lambda s: s.decision is not None),
    ):
        counts = sum(map(belongs, a)), sum(map(belongs, b))
        if counts[0] and counts[1]:
            continue
        for name, other, count in (("A", "B", counts[0]), ("B", "A", counts[1])):
            if count:
                notes.append(f"{other} has no {what}s: {counted(count, what)} of {name} left out")
        a = [s for s in a if not belongs(s)]
        b = [s for s in b if not belongs(s)]
    return (a, b), notes


def _only(side: str, steps: Sequence[Step], begin: int, end: int) -> Iterator[Difference]:
    """A run of steps that one recording alone has."""
    if begin == end:
        return
    names = [step.name for step in steps[begin:end]]
    where = f"after {steps[begin - 1].name}" if begin else "at the beginning"
    kind = "step" if any(step.decision for step in steps[begin:end]) else "exchange"
    what = f"{side} has {counted(len(names), f'more {kind}')} {where}: {', '.join(names)}"
    a, b = (what, "") if side == "A" else ("", what)
    yield Difference(f"only_{side.lower()}", steps[begin].stage, "", "", a, b)


def compare_steps(a: Step, b: Step, fresh: bool = False) -> Iterator[Difference]:
    """What differs between two steps about the same."""
    if a.decision is not None and b.decision is not None:
        yield from _decisions(a, b, a.decision, b.decision)
    elif a.exchange is not None and b.exchange is not None:
        for kind, label, one, other in exchange_differences(a.exchange, b.exchange, fresh):
            yield Difference(kind, a.stage, a.name, label, one, other)


def _decisions(a: Step, b: Step, one: Event, other: Event) -> Iterator[Difference]:
    said = [f"{e.name}, {e.note}" if e.note else e.name for e in (one, other)]
    if said[0] != said[1]:
        yield Difference("decision", a.stage, a.name, "", said[0], said[1])


Found = tuple[str, str, str, str]
"""Kind, label, and what each side says."""


def exchange_differences(a: ApduExchange, b: ApduExchange, fresh: bool) -> Iterator[Found]:
    """What differs between two exchanges of the same command, field by field."""
    asked = [command_lines(x.command, fresh) for x in (a, b)]
    yield from _fields(asked[0], asked[1])
    is_hidden = find_call(a.command) is None or has_secret(a.command)
    if is_hidden and a.command != b.command and asked[0] == asked[1]:
        yield "field", "data", "some bytes", "others"  # not shown: they may be a PIN or a key
    words = [status_text(x.response) for x in (a, b)]
    if words[0] != words[1]:
        yield "status", "", words[0], words[1]
    if a.response and b.response and a.response[:-2] and b.response[:-2]:
        yield from _fields(
            response_lines(a.command, a.response, fresh),
            response_lines(b.command, b.response, fresh),
        )
    elif a.response and b.response and words[0] == words[1] and len(a.response) != len(b.response):
        sizes = [f"{len(x.response or b'') - 2} bytes" for x in (a, b)]
        yield "answer", "", sizes[0], sizes[1]


def _fields(a: Iterable[Line], b: Iterable[Line]) -> Iterator[Found]:
    sides = [_by_label(lines) for lines in (a, b)]
    for label in dict.fromkeys((*sides[0], *sides[1])):
        one, other = (side.get(label, ABSENT) for side in sides)
        if one != other:
            yield "field", label, one, other


def _by_label(lines: Iterable[Line]) -> dict[str, str]:
    """Values by label; a label that comes again gets a number."""
    seen: Counter[str] = Counter()
    out = {}
    for line in lines:
        seen[line.label] += 1
        number = f" {seen[line.label]}" if seen[line.label] > 1 else ""
        out[line.label + number] = line.value
    return out

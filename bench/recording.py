"""One recording of everything that happens on a bench: APDUs, frames, stages, decisions, one clock.

A `Recorder` hands out what each layer reports to: a transport or a card around which it listens,
and an observer for whatever reports events itself (a front end, the air). It costs a tap little
(`tapbench bench tap` prints how much): what happens is kept as it comes, and made into events in
`trace`, when the work is done.
"""

from bisect import bisect_right
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import datetime
from time import perf_counter_ns
from typing import NamedTuple

from apdu.event import Event, Layer, Observer, Source, Trace
from apdu.show import money
from bench.clock import now
from emulator.picc import Picc
from reader.gate import Gate, Outcome
from reader.session import run
from reader.transport.base import Transport, exclusively
from reader.transport.decorators import Exchange, Recording
from reader.transport.inprocess import InProcess

NO_ANSWER = "no answer"
"""The note on a command whose answer was lost."""


class _Stage(NamedTuple):
    """A part of a transaction begins. begins_tap: whether it is a card's next tap."""

    at_ns: int
    name: str
    begins_tap: bool


class _Decision(NamedTuple):
    at_ns: int
    outcome: Outcome
    gate: str


class Recorder:
    """Records until `trace` is asked for, which may be more than once.

    now_ns:  the clock of everything recorded; whoever reports to `observe` uses the same one.
    started: the wall clock at the beginning; now if left out.
    """

    observe: Observer
    """Where front ends and the air report their events."""

    def __init__(
        self,
        title: str = "",
        now_ns: Callable[[], int] = perf_counter_ns,
        started: datetime | None = None,
    ) -> None:
        self.title = title
        self.now_ns = now_ns
        self.exchanges: list[Exchange] = []
        self._seen: list[Event] = []
        self.observe = self._seen.append
        self._stages: list[_Stage] = []
        self._decisions: list[_Decision] = []
        self._started = started or now()
        self._begin_ns = now_ns()

    def link(self, link: Transport, to: str = "card") -> Transport:
        """The same transport, with its commands and answers recorded."""
        return Recording(link, self.now_ns, to, self.exchanges)

    def keep_time(self, now_ns: Callable[[], int]) -> None:
        """Take another clock, such as an air's virtual one, before anything is recorded."""
        self.now_ns = now_ns
        self._begin_ns = now_ns()

    def observer(self, now_ns: Callable[[], int]) -> Observer:
        """Where somebody reports whose clock runs as ours does, but from another beginning."""
        ahead_ns = self.now_ns() - now_ns()
        return lambda event: self._seen.append(replace(event, t_ns=event.t_ns + ahead_ns))

    def picc(self, picc: Picc) -> Picc:
        """The same card, recorded on the card's side of the air."""
        return _RecordedPicc(picc, self.link(InProcess(picc)))

    def stage(self, name: str, begins_tap: bool = False) -> None:
        """A part of a transaction begins."""
        self._stages.append(_Stage(self.now_ns(), name, begins_tap))

    def decision(self, outcome: Outcome, gate: Gate) -> None:
        """A gate has decided about a card."""
        name = gate.config.station.name_en
        self._decisions.append(_Decision(self.now_ns(), outcome, name))

    def pass_(self, gate: Gate, card: Transport) -> Outcome:
        """Pass one card as `Gate.pass_` does, recorded as a tap. Raises what that raises."""
        self.stage(gate.config.direction.value, begins_tap=True)
        links = {"card": self.link(card), "psam": self.link(gate.psam, "psam")}
        with exclusively(card):
            outcome = run(gate.tap(), links)
        self.decision(outcome, gate)
        return outcome

    def trace(self) -> Trace:
        """Everything so far, in its order, with the taps numbered.

        A tap begins where a stage says so. Where none does, as on the card's side of a real
        reader, it begins with each field that comes on.
        """
        events = sorted(self._events(), key=lambda event: event.t_ns)
        begins = [stage.at_ns for stage in self._stages if stage.begins_tap] or [
            e.t_ns for e in events if e.source is Source.FIELD and e.data != b"\0"
        ]
        placed = [
            replace(e, t_ns=e.t_ns - self._begin_ns, tap=max(1, bisect_right(begins, e.t_ns)))
            for e in events
        ]
        return Trace(placed, self._started, self.title)

    def _events(self) -> Iterator[Event]:
        for stage in self._stages:
            yield Event(stage.at_ns, Source.STAGE, Layer.GATE, name=stage.name)
        for at_ns, outcome, gate in self._decisions:
            name, note = outcome.verdict.value.upper(), "; ".join(outcome_words(outcome))
            yield Event(at_ns, Source.DECISION, Layer.GATE, gate=gate, name=name, note=note)
        for to, command, response, start_ns, end_ns in self.exchanges:
            note = NO_ANSWER if response is None else ""
            yield Event(start_ns, Source.PCD, Layer.APDU, command, to=to, note=note)
            if response is not None:
                yield Event(end_ns, Source.PICC, Layer.APDU, response, end_ns - start_ns, to=to)
        yield from self._seen


class _RecordedPicc:
    """A card whose exchanges are recorded."""

    def __init__(self, picc: Picc, link: Transport) -> None:
        self.contactless = picc.contactless
        self.power_on = picc.power_on
        self.power_off = picc.power_off
        self.process = link.transmit


def outcome_words(outcome: Outcome) -> list[str]:
    """A gate's decision in words, behind the verdict."""
    parts = []
    receipt, reason = outcome.receipt, outcome.reason
    if receipt:
        parts.append(f"fare {money(outcome.fare)}, balance {money(receipt.balance)} yuan")
        if receipt.recovered:
            parts.append("recovered, no second charge")
    if reason:
        code = "" if reason.code is None else f" (code {reason.code})"
        parts.append(f"{reason.zh} / {reason.en}{code}")
    if outcome.detail:
        parts.append(outcome.detail)
    return parts

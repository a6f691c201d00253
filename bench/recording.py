"""One recording of everything that happens on a bench: APDUs, frames, stages, decisions, one clock.

A `Recorder` hands out what each layer reports to: a transport or a card around which it listens,
and an observer for whatever reports events itself (a front end, the air). It costs a tap little
(`tapbench bench tap` prints how much): what happens is kept as it comes, and made into events in
`trace`, when the work is done.
"""

from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import datetime
from time import perf_counter_ns
from typing import NamedTuple

from apdu.event import Event, Layer, Observer, Source, Trace
from apdu.show import money
from bench.clock import now
from emulator.picc import Picc
from reader.outcome import Outcome
from reader.session import Txn, run
from reader.terminal import Terminal
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


_Entry = Exchange | Event | _Stage | _Decision


class Recorder:
    """Records until `trace` is asked for, which may be more than once.

    now_ns:  the clock of everything recorded.
    started: the wall clock at the beginning; now if left out.
    """

    def __init__(
        self,
        title: str = "",
        now_ns: Callable[[], int] = perf_counter_ns,
        started: datetime | None = None,
    ) -> None:
        self.title = title
        self.now_ns = now_ns
        # In the order in which things were told, which settles what came first when a clock that
        # stands still does not. An exchange is told of when it is over.
        self._log: list[_Entry] = []
        self.observe: Observer = self._log.append
        """Where front ends and the air report their events, by the same clock."""
        self.around_psam: Callable[[Transport], Transport] = lambda psam: psam
        """What a simulated air puts around a gate's PSAM, so that it takes the air's time."""
        self._started = started or now()
        self._begin_ns = now_ns()

    def link(self, link: Transport, to: str = "card") -> Transport:
        """The same transport, with its commands and answers recorded."""
        return Recording(link, self.now_ns, to, self._log)

    def keep_time(self, now_ns: Callable[[], int]) -> None:
        """Take another clock, such as an air's virtual one, before anything is recorded."""
        self.now_ns = now_ns
        self._begin_ns = now_ns()

    def observer(self, now_ns: Callable[[], int]) -> Observer:
        """Where somebody reports whose clock runs as ours does, but from another beginning."""
        if now_ns is self.now_ns:
            return self.observe
        ahead_ns = self.now_ns() - now_ns()
        return lambda event: self._log.append(replace(event, t_ns=event.t_ns + ahead_ns))

    def picc(self, picc: Picc) -> Picc:
        """The same card, recorded on the card's side of the air."""
        return _RecordedPicc(picc, self.link(InProcess(picc)))

    def stage(self, name: str, begins_tap: bool = False) -> None:
        """A part of a transaction begins."""
        self._log.append(_Stage(self.now_ns(), name, begins_tap))

    def decision(self, outcome: Outcome, terminal: Terminal) -> None:
        """A terminal has decided about a card."""
        self._log.append(_Decision(self.now_ns(), outcome, terminal.where))

    def pass_(
        self, terminal: Terminal, card: Transport, business: Txn[Outcome] | None = None
    ) -> Outcome:
        """Pass one card as `Terminal.pass_` does, recorded as a tap. Raises what that raises.

        business: what the terminal does, such as an operation of a desk; a tap if left out.
        """
        self.stage(terminal.stage, begins_tap=True)
        psam = self.link(self.around_psam(terminal.psam), "psam")
        with exclusively(card):
            outcome = run(business or terminal.tap(), {"card": self.link(card), "psam": psam})
        self.decision(outcome, terminal)
        return outcome

    @property
    def exchanges(self) -> list[Exchange]:
        """The exchanges so far, in the order in which they ended."""
        return [entry for entry in self._log if isinstance(entry, Exchange)]

    def trace(self) -> Trace:
        """Everything so far, in its order, with the taps numbered.

        A tap begins where a stage says so. Where none does, as on the card's side of a real
        reader, it begins with each field that comes on.
        """
        log = self._log[:]
        has_taps = any(isinstance(entry, _Stage) and entry.begins_tap for entry in log)
        placed: list[Event] = []
        tap = 0
        for entry in log:
            tap += _begins_tap(entry, has_taps)
            for event in _events(entry):
                in_tap = replace(event, t_ns=event.t_ns - self._begin_ns, tap=max(1, tap))
                placed.insert(_place(in_tap, placed), in_tap)
        placed.sort(key=lambda event: event.t_ns)
        return Trace(placed, self._started, self.title)


def _begins_tap(entry: _Entry, has_taps: bool) -> bool:
    if isinstance(entry, _Stage):
        return entry.begins_tap
    if has_taps or not isinstance(entry, Event):
        return False
    return entry.source is Source.FIELD and entry.data != b"\0"


def _place(event: Event, placed: list[Event]) -> int:
    """Where an event belongs: a command before the frames that carried it, all else at the end."""
    at = len(placed)
    if event.layer is Layer.APDU and event.source is Source.PCD:
        while at and placed[at - 1].layer is Layer.RF and placed[at - 1].t_ns >= event.t_ns:
            at -= 1
    return at


def _events(entry: _Entry) -> Iterator[Event]:
    if isinstance(entry, Event):
        yield entry
    elif isinstance(entry, _Stage):
        yield Event(entry.at_ns, Source.STAGE, Layer.GATE, name=entry.name)
    elif isinstance(entry, _Decision):
        name = entry.outcome.verdict.value.upper()
        note = "; ".join(outcome_words(entry.outcome))
        yield Event(entry.at_ns, Source.DECISION, Layer.GATE, gate=entry.gate, name=name, note=note)
    else:
        to, command, response, start_ns, end_ns = entry
        note = NO_ANSWER if response is None else ""
        yield Event(start_ns, Source.PCD, Layer.APDU, command, to=to, note=note)
        if response is not None:
            yield Event(end_ns, Source.PICC, Layer.APDU, response, end_ns - start_ns, to=to)


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
    if outcome.released and reason is None:  # else the reason says it
        parts.append(" / ".join(outcome.text))
    if outcome.repeated:
        parts.append("the same card again, nothing asked of it")
    if outcome.missed:
        parts.append(f"{money(outcome.missed.amount)} yuan collected for the ride before")
    if receipt:
        parts.append(f"fare {money(outcome.fare)}, balance {money(receipt.balance)} yuan")
        if receipt.recovered:
            parts.append("recovered, no second charge")
    if reason:
        lab = "" if reason.lab is None else f", laboratory {reason.lab}"
        parts.append(f"{reason.zh} / {reason.en} (code {reason.code}{lab})")
    if outcome.detail:
        parts.append(outcome.detail)
    return parts

"""The air between one reader and the cards in its field: it keeps time, and it can fail.

Theory of operation. `exchange` is one turn: the reader's frame, then what comes back within the
time it listens. Each guest has a seat. A guest hears a frame only while it is not busy: a card
that computes or sends is deaf, as every half-duplex card is. Its answer has a beginning on the
clock; the reader hears the first one that begins while it listens. Answers that begin together
are laid over each other bit by bit, and where they differ is a collision. An answer that begins
too late goes on into the next turn: it may be heard there, or be lost while the reader sends. A
card that leaves before its answer begins does not answer.

Time is a `Clock`. On a virtual or a wall clock frames last as `timing` says. On an unpaced clock
they last no time at all and nothing is late; instants of faults are then meaningless.

Faults (`faults`) are asked for at every frame. A copy of a reader's frame comes on its heels: a
card that answers the first is deaf to it. A copy of a card's frame is what the reader hears first
when it listens next, over whatever the card answers then, as in a reader that buffers. A copy is
neither copied again nor delayed: two turns late it could pass for an answer to R(NAK), and one bit
of block number is too little to tell (`docs/design.md`).

Every frame is reported as it was sent, with what became of it in a note. Frames are numbered as
they are listened to: an answer that nobody hears has no number, and no faults.
"""

from dataclasses import dataclass, field
from typing import Final

from apdu.event import Event, Layer, Observer, Source
from apdu.frame import Frame
from emulator.radio.clock import Clock, VirtualClock
from emulator.radio.faults import Fault, FaultKind, Faults, Script
from emulator.radio.medium import Ask, Guest, Heard, Reply, Tearable, Trouble
from emulator.radio.reception import flipped, overlaid, received, truncated
from emulator.radio.timing import FDT_READER, GUARD_NS, card_delay, card_periods, ns, reader_periods

UNNOTICED: Final = "passes for whole"
"""In the note of a damaged frame whose checksum fits all the same."""

_SILENCE: Final = Heard(b"", Trouble.TIMEOUT)
_COPY: Final = "a copy"
_UNHEARD: Final = "not heard"


@dataclass(slots=True)
class _Sent:
    """A frame on the air. note: what became of it. faults: None until they are asked for."""

    frame: Frame
    start_ns: int
    end_ns: int
    has_crc: bool
    note: str = ""
    faults: list[Fault] | None = None

    def remark(self, what: str) -> None:
        """Add to the note."""
        self.note = f"{self.note}, {what}" if self.note else what


@dataclass(slots=True)
class _Seat:
    """A guest's place. is_here: in the field. late: an answer that is still to begin."""

    guest: Guest
    tearable: Tearable | None  # the same guest, if it is one; the check is slow
    is_here: bool = True
    busy_until_ns: int = 0
    late: _Sent | None = None


@dataclass(slots=True)
class Air:
    """A field and what is in it (`medium.Field`).

    clock:    virtual if left out.
    faults:   what goes wrong; nothing if left out.
    observer: told of each frame, and of the field going on and off.
    stranger: the second card of `FaultKind.JOINS`.
    """

    clock: Clock = field(default_factory=VirtualClock)
    faults: Faults = field(default_factory=Script)
    observer: Observer | None = None
    stranger: Guest | None = None
    is_on: bool = False
    frames: int = 0  # on the air so far, both directions
    _seats: list[_Seat] = field(default_factory=list)
    _quiet_since_ns: int = 0  # the end of the last answer
    _ready_ns: int = 0  # when a field that came up has powered its cards
    _copy: Frame | None = None  # what the reader hears first when it listens next
    _weak_until: int = 0  # the number of the first frame that the field is strong enough for again

    def bring(self, guest: Guest) -> None:
        """Put a guest into the field."""
        self._seats.append(_Seat(guest, guest if isinstance(guest, Tearable) else None))
        if self.is_on:
            guest.field_on()

    def take_away(self, guest: Guest) -> None:
        """Take a guest out of the field. Nothing happens if it is not there."""
        for seat in [seat for seat in self._seats if seat.guest is guest]:
            self._seats.remove(seat)
            guest.field_off()

    def field_on(self) -> None:
        """See Field. Cards are ready after the guard time; the next frame waits for that."""
        if self.is_on:
            return
        self.is_on = True
        self._ready_ns = self.clock.now_ns() + GUARD_NS
        self._report_field(b"\x01")
        for seat in self._seats:
            if seat.is_here:
                seat.guest.field_on()

    def field_off(self) -> None:
        """See Field."""
        if not self.is_on:
            return
        self.is_on = False
        self._copy = None
        self._report_field(b"\x00")
        for seat in self._seats:
            self._power_off(seat)

    def pause(self, duration_ns: int) -> None:
        """Let time pass: the reader, or its PSAM, is busy. Faults of instants happen meanwhile."""
        self.clock.wait_until(self.clock.now_ns() + duration_ns)
        self._happen()

    def exchange(self, ask: Ask) -> Heard:
        """See Field. A frame into a field that is off is heard by nobody."""
        if not self.is_on:
            return _SILENCE
        asked = self._send(ask)
        listens_until_ns = asked.end_ns + ask.timeout_ns
        self._carry(asked, ask)
        answers = self._answers(asked, ask, listens_until_ns)
        heard = self._hear(answers, ask) if answers else None
        if heard is not None:
            return heard
        self.clock.wait_until(listens_until_ns)
        self._happen()
        return _SILENCE

    def _send(self, ask: Ask) -> _Sent:
        """The reader's frame, with its place in time."""
        frame = Frame.whole(ask.data, ask.adds_crc, ask.rates[0])
        if ask.tail != 8:
            frame = Frame(frame.data, ask.tail, rate=ask.rates[0])
        quiet_ns = max(self._ns(FDT_READER), ask.rest_ns if self.clock.is_timed else 0)
        if self.clock.is_timed:
            self.clock.wait_until(max(self._ready_ns, self._quiet_since_ns + quiet_ns))
        self._happen()
        start_ns = self.clock.now_ns()
        end_ns = start_ns + self._ns(reader_periods(frame))
        return _Sent(frame, start_ns, end_ns, ask.adds_crc)

    def _carry(self, asked: _Sent, ask: Ask) -> None:
        """Bring a reader's frame to the guests; what they answer waits at their seats."""
        faults = self._faults_of(asked)
        hearers = tuple(self._seats)  # who comes within the frame hears nothing of it
        arrived = self._damaged(asked, faults)
        copies = 1 + sum(fault.kind is FaultKind.DUPLICATED for fault in faults)
        leaves = any(fault.kind is FaultKind.LEAVES for fault in faults)
        self._pass_by(asked.start_ns)
        self._report(Source.PCD, asked)
        self.clock.wait_until(asked.end_ns)
        self._happen()
        self._pass_by(asked.end_ns)
        for seat in hearers:
            if leaves:
                self._leave(seat)
            elif arrived is not None and seat.is_here:
                for _ in range(copies):
                    self._listen(seat, asked, arrived, ask)

    def _pass_by(self, before_ns: int) -> None:
        """What began before an instant, and nobody listened, is over."""
        missed = [
            seat.late
            for seat in self._seats
            if seat.late is not None and seat.late.start_ns < before_ns
        ]
        for sent in sorted(missed, key=lambda sent: sent.start_ns):
            sent.remark(_UNHEARD)
            self._report(Source.PICC, sent)
        for seat in self._seats:
            if seat.late in missed:
                seat.late = None

    def _listen(self, seat: _Seat, asked: _Sent, arrived: Frame, ask: Ask) -> None:
        if seat.busy_until_ns > asked.start_ns or seat.late is not None:
            return  # deaf
        if seat.tearable is not None:
            leave_ns = self.faults.next_leave_ns()
            seat.tearable.leaves_after(None if leave_ns is None else leave_ns - asked.end_ns)
        reply = seat.guest.receive(arrived, ask.timeout_ns)
        if reply is None:
            return
        start_ns = asked.end_ns + self._delay(asked.frame, reply)
        end_ns = start_ns + self._ns(card_periods(reply.frame))
        seat.late = _Sent(reply.frame, start_ns, end_ns, ask.wants_crc)
        if self.clock.is_timed:
            seat.busy_until_ns = end_ns

    def _answers(self, asked: _Sent, ask: Ask, listens_until_ns: int) -> list[_Sent]:
        """What begins first while the reader listens: one frame, or those that begin together."""
        copy, self._copy = self._copy, None
        if copy is not None:
            # A copy is heard as early as an answer can be, and drowns the one that comes then.
            start_ns = asked.end_ns + self._ns(card_delay(asked.frame))
            end_ns = start_ns + self._ns(card_periods(copy))
            again = _Sent(copy, start_ns, end_ns, ask.wants_crc, _COPY)
            again.faults = self._faults_of(again)
            return [again]
        while seats := self._first(listens_until_ns):
            answers = [sent for seat in seats if (sent := seat.late) is not None]
            if answers[0].faults is None:
                answers[0].faults = self._faults_of(answers[0])
                if self._postpone(seats, answers):
                    continue
            for seat in seats:
                seat.late = None
            return answers
        return []

    def _first(self, listens_until_ns: int) -> list[_Seat]:
        """The seats whose answers begin next."""
        starts = [
            (seat.late.start_ns, seat)
            for seat in self._seats
            if seat.late is not None and seat.late.start_ns <= listens_until_ns
        ]
        first_ns = min((start_ns for start_ns, _ in starts), default=0)
        leave_ns = self.faults.next_leave_ns()
        if leave_ns is not None and leave_ns <= first_ns:
            return []
        return [seat for start_ns, seat in starts if start_ns == first_ns]

    def _postpone(self, seats: list[_Seat], answers: list[_Sent]) -> bool:
        """Move answers on the clock. Returns whether there was a reason to."""
        faults = answers[0].faults or []
        delay_ns = sum(fault.ns for fault in faults if fault.kind is FaultKind.DELAYED)
        if not delay_ns or not self.clock.is_timed:
            return False
        for seat, sent in zip(seats, answers, strict=True):
            sent.start_ns += delay_ns
            sent.end_ns += delay_ns
            seat.busy_until_ns = sent.end_ns
        return True

    def _hear(self, answers: list[_Sent], ask: Ask) -> Heard | None:
        """What the reader makes of the answers that began; None if nothing arrives."""
        sent = answers[0]
        faults = sent.faults or []
        is_copy = sent.note == _COPY
        arrived = self._damaged(sent, faults)
        leave_ns = self.faults.next_leave_ns()
        if leave_ns is not None and leave_ns < sent.end_ns and arrived is not None:
            sent.remark(FaultKind.LEAVES.value)
            arrived = _marked(sent, truncated(arrived, _bits_until(sent, leave_ns)))
        heard = None if arrived is None else self._taken(arrived, answers, ask)
        self._report(Source.PICC, sent)
        self.clock.wait_until(sent.end_ns)
        self._quiet_since_ns = sent.end_ns
        self._happen()
        if is_copy:
            self._pass_by(sent.end_ns + 1)
        elif any(fault.kind is FaultKind.DUPLICATED for fault in faults):
            self._copy = sent.frame
        if any(fault.kind is FaultKind.LEAVES for fault in faults):
            for seat in self._seats:
                self._leave(seat)
        return heard

    def _taken(self, arrived: Frame, answers: list[_Sent], ask: Ask) -> Heard:
        if len(answers) == 1:
            return received(arrived, ask)
        heard = overlaid([arrived, *(other.frame for other in answers[1:])], ask)
        if heard.trouble is Trouble.COLLISION:
            answers[0].remark(f"collision after {heard.collision} bits")
        return heard

    def _faults_of(self, sent: _Sent) -> list[Fault]:
        """What happens to the next frame on the air; second cards and returns happen at once."""
        index = self.frames
        self.frames += 1
        faults = list(self.faults.at_frame(index, sent.frame.bits))
        for fault in faults:
            if fault.kind is FaultKind.WEAK:
                self._weak_until = max(self._weak_until, index + fault.count)
            else:
                self._act(fault.kind, before=True)
        if index < self._weak_until:
            sent.note = FaultKind.WEAK.value
            for seat in self._seats:
                self._power_off(seat)
        elif self._weak_until and index == self._weak_until:
            for seat in self._seats:
                if seat.is_here:
                    seat.guest.field_on()
        return faults

    def _damaged(self, sent: _Sent, faults: list[Fault]) -> Frame | None:
        """The frame as it arrives; None if it does not."""
        frame: Frame | None = sent.frame
        if sent.note == FaultKind.WEAK.value:
            return None
        for fault in faults:
            if fault.kind not in _NO_NOTE:
                sent.remark(fault.kind.value)
            if frame is None or fault.kind is FaultKind.LOST:
                frame = None
            elif fault.kind is FaultKind.FLIPPED:
                frame = flipped(frame, fault.bit, fault.width)
            elif fault.kind in (FaultKind.TRUNCATED, FaultKind.LEAVES):
                frame = truncated(frame, fault.bit)
        return _marked(sent, frame)

    def _happen(self) -> None:
        """Let what is due by now happen."""
        for fault in self.faults.due(self.clock.now_ns()):
            self._act(fault.kind)

    def _act(self, kind: FaultKind, before: bool = False) -> None:
        """Cards come and go. before: a frame is about to be sent, at whose end a card may leave."""
        if kind is FaultKind.RETURNS:
            for seat in self._seats:
                if not seat.is_here:
                    seat.is_here = True
                    seat.busy_until_ns = 0 if before else self.clock.now_ns()  # deaf until then
                    if self.is_on:
                        seat.guest.field_on()
        elif kind is FaultKind.JOINS and self.stranger is not None:
            self.bring(self.stranger)
            self.stranger = None
        elif kind is FaultKind.LEAVES and not before:
            for seat in self._seats:
                self._leave(seat)

    def _leave(self, seat: _Seat) -> None:
        seat.is_here = False
        self._power_off(seat)

    def _power_off(self, seat: _Seat) -> None:
        seat.busy_until_ns = 0
        seat.late = None
        seat.guest.field_off()

    def _delay(self, asked: Frame, reply: Reply) -> int:
        if not self.clock.is_timed:
            return 0
        return max(ns(card_delay(asked)), reply.after_ns)

    def _ns(self, periods: int) -> int:
        return ns(periods) if self.clock.is_timed else 0

    def _report(self, source: Source, sent: _Sent) -> None:
        if self.observer is None:
            return
        frame = sent.frame
        self.observer(
            Event(
                sent.start_ns,
                source,
                Layer.RF,
                frame.data,
                sent.end_ns - sent.start_ns,
                frame.tail,
                frame.head,
                frame.parity,
                sent.has_crc,
                note=sent.note,
            )
        )

    def _report_field(self, data: bytes) -> None:
        if self.observer is not None:
            self.observer(Event(self.clock.now_ns(), Source.FIELD, Layer.RF, data))


_NO_NOTE = frozenset({FaultKind.RETURNS, FaultKind.JOINS, FaultKind.WEAK})


def _marked(sent: _Sent, arrived: Frame | None) -> Frame | None:
    """Note a damage that no receiver can tell: parity and checksum still fit.

    One in 256 frames that end in 00 keeps a right CRC_A when its last byte is cut off.
    """
    if arrived is not None and arrived is not sent.frame and arrived.body() is not None:
        sent.remark(UNNOTICED)
    return arrived


def _bits_until(sent: _Sent, instant_ns: int) -> int:
    """How many data bits of a frame are out by an instant."""
    return sent.frame.bits * (instant_ns - sent.start_ns) // (sent.end_ns - sent.start_ns)

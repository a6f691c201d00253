"""The air between one reader and the cards in its field: it keeps time, and it can fail.

Theory of operation. `exchange` is one turn: the reader's frame, then what comes back within the
time it listens. Each guest has a seat. A guest hears a frame only while it is not busy: a card
that computes or sends is deaf, as every half-duplex card is. Its answer has a beginning on the
clock; the reader hears the first one that begins while it listens. Answers that begin together
are laid over each other bit by bit, and where they differ is a collision. An answer that begins
too late goes on into the next turn: it may be heard there, or be lost while the reader sends.

Time is a `Clock`. On a virtual or a wall clock frames last as `timing` says. On an unpaced clock
they last no time at all and nothing is late; instants of faults are then meaningless.

Faults (`faults`) are asked for at every frame. A copy of a reader's frame comes on its heels: a
card that answers the first is deaf to it. A copy of a card's frame is what the reader hears first
when it listens next, over whatever the card answers then, as in a reader that buffers. A copy is
neither copied again nor delayed: two turns late it could pass for an answer to R(NAK), and one bit
of block number is too little to tell (`docs/design.md`).

Every frame is reported as it was sent, with what became of it in a note.
"""

from dataclasses import dataclass, field
from typing import Final

from apdu.event import Event, Layer, Observer, Source
from apdu.frame import Frame, odd_parity
from emulator.radio.clock import Clock, VirtualClock
from emulator.radio.faults import Fault, FaultKind, Faults, Script
from emulator.radio.medium import Ask, Guest, Heard, Reply, Tearable, Trouble
from emulator.radio.timing import FDT_READER, GUARD_NS, card_delay, card_periods, ns, reader_periods

_SILENCE: Final = Heard(b"", Trouble.TIMEOUT)
_COPY: Final = "a copy"


@dataclass(slots=True)
class _Seat:
    """A guest's place. is_here: in the field. late: an answer that is still to begin."""

    guest: Guest
    is_here: bool = True
    busy_until_ns: int = 0
    late: "_Sent | None" = None


@dataclass(slots=True)
class _Sent:
    """A frame on the air. note: what went wrong with it."""

    frame: Frame
    start_ns: int
    end_ns: int
    note: str = ""


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
        self._seats.append(_Seat(guest))
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
        answers = self._answers(asked, ask, listens_until_ns)
        copy, self._copy = self._copy, None
        if copy is not None:
            # A copy is heard as early as an answer can be, and drowns the one that comes then.
            start_ns = asked.end_ns + self._ns(card_delay(asked.frame))
            answers = [_Sent(copy, start_ns, start_ns + self._ns(card_periods(copy)), _COPY)]
        if not answers:
            self.clock.wait_until(listens_until_ns)
            self._happen()
            return _SILENCE
        return self._hear(answers, ask, listens_until_ns)

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
        return _Sent(frame, start_ns, start_ns + self._ns(reader_periods(frame)))

    def _answers(self, asked: _Sent, ask: Ask, listens_until_ns: int) -> list[_Sent]:
        """What begins while the reader listens, the earliest alone or those that begin together."""
        faults = self._faults_of(asked)
        arrived = self._damaged(asked, faults)
        copies = 1 + sum(fault.kind is FaultKind.DUPLICATED for fault in faults)
        leaves = [fault for fault in faults if fault.kind is FaultKind.LEAVES]
        self._report(Source.PCD, asked, ask.adds_crc)
        self.clock.wait_until(asked.end_ns)
        self._happen()
        heard: list[_Sent] = []
        for seat in self._seats:
            if seat.late is not None and seat.late.start_ns < asked.end_ns:
                seat.late = None  # it was sent while the reader sent
            if leaves:
                self._leave(seat)
            elif arrived is not None and seat.is_here:
                for _ in range(copies):
                    self._listen(seat, asked, arrived, ask.timeout_ns)
            if seat.late is not None and seat.late.start_ns <= listens_until_ns:
                heard.append(seat.late)
                seat.late = None
        first_ns = min((sent.start_ns for sent in heard), default=0)
        return [sent for sent in heard if sent.start_ns == first_ns]

    def _listen(self, seat: _Seat, asked: _Sent, arrived: Frame, timeout_ns: int) -> None:
        if seat.busy_until_ns > asked.start_ns or seat.late is not None:
            return  # deaf
        if isinstance(seat.guest, Tearable):
            leave_ns = self.faults.next_leave_ns()
            seat.guest.leaves_after(None if leave_ns is None else leave_ns - asked.end_ns)
        reply = seat.guest.receive(arrived, timeout_ns)
        if reply is None:
            return
        start_ns = asked.end_ns + self._delay(asked.frame, reply)
        end_ns = start_ns + self._ns(card_periods(reply.frame))
        seat.late = _Sent(reply.frame, start_ns, end_ns)
        if self.clock.is_timed:
            seat.busy_until_ns = end_ns

    def _hear(self, answers: list[_Sent], ask: Ask, listens_until_ns: int) -> Heard:
        """What the reader makes of the answers that began."""
        sent = answers[0]
        faults = self._faults_of(sent)
        is_copy = sent.note == _COPY
        delay_ns = sum(fault.ns for fault in faults if fault.kind is FaultKind.DELAYED)
        if (
            delay_ns
            and not is_copy
            and self.clock.is_timed
            and self._postpone(sent, delay_ns, listens_until_ns)
        ):
            return _SILENCE
        arrived = self._damaged(sent, faults)
        leave_ns = self.faults.next_leave_ns()
        if leave_ns is not None and leave_ns < sent.end_ns and arrived is not None:
            sent.note = FaultKind.LEAVES.value
            arrived = _truncated(arrived, _bits_until(sent, leave_ns))
        self._report(Source.PICC, sent, ask.wants_crc)
        self.clock.wait_until(sent.end_ns)
        self._quiet_since_ns = sent.end_ns
        self._happen()
        if not is_copy and any(fault.kind is FaultKind.DUPLICATED for fault in faults):
            self._copy = sent.frame
        if any(fault.kind is FaultKind.LEAVES for fault in faults):
            for seat in self._seats:
                self._leave(seat)
        if arrived is None:
            self.clock.wait_until(listens_until_ns)
            return _SILENCE
        if len(answers) > 1:
            return _overlaid([arrived, *(other.frame for other in answers[1:])], ask)
        return _received(arrived, ask)

    def _postpone(self, sent: _Sent, delay_ns: int, listens_until_ns: int) -> bool:
        """Move an answer on the clock. Returns whether the reader no longer hears it now."""
        sent.start_ns += delay_ns
        sent.end_ns += delay_ns
        for seat in self._seats:
            if seat.is_here and seat.busy_until_ns == sent.end_ns - delay_ns:
                seat.busy_until_ns = sent.end_ns
                if sent.start_ns > listens_until_ns:
                    seat.late = sent
        if sent.start_ns <= listens_until_ns:
            return False
        self.clock.wait_until(listens_until_ns)
        self._happen()
        return True

    def _faults_of(self, sent: _Sent) -> list[Fault]:
        """What happens to the next frame on the air; second cards and returns happen at once."""
        index = self.frames
        self.frames += 1
        faults = list(self.faults.at_frame(index, sent.frame.bits))
        for fault in faults:
            if fault.kind is FaultKind.WEAK:
                self._weak_until = index + fault.count
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
                sent.note = f"{sent.note}, {fault.kind.value}" if sent.note else fault.kind.value
            if frame is None or fault.kind is FaultKind.LOST:
                frame = None
            elif fault.kind is FaultKind.FLIPPED:
                frame = _flipped(frame, fault.bit, fault.width)
            elif fault.kind in (FaultKind.TRUNCATED, FaultKind.LEAVES):
                frame = _truncated(frame, fault.bit)
        return frame

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

    def _report(self, source: Source, sent: _Sent, has_crc: bool) -> None:
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
                has_crc,
                note=sent.note,
            )
        )

    def _report_field(self, data: bytes) -> None:
        if self.observer is not None:
            self.observer(Event(self.clock.now_ns(), Source.FIELD, Layer.RF, data))


_NO_NOTE = frozenset({FaultKind.RETURNS, FaultKind.JOINS, FaultKind.WEAK})


def _received(frame: Frame, ask: Ask) -> Heard:
    """One frame as a reader takes it: parity, whole bytes, checksum."""
    if not frame.has_right_parity:
        return Heard(b"", Trouble.PARITY)
    if frame.tail != 8:
        return Heard(b"", Trouble.FRAMING)
    if not ask.wants_crc:
        return Heard(frame.data)
    body = frame.body()
    return Heard(b"", Trouble.CRC) if body is None else Heard(body)


def _overlaid(frames: list[Frame], ask: Ask) -> Heard:
    """Several frames that begin together: what is equal is heard, then a collision.

    Where one bit differs a reader sees both halves of it modulated (Manchester code, 6.1.1).
    """
    bits = [frame.bit_values() for frame in frames]
    shortest = min(map(len, bits))
    longest = max(map(len, bits))
    at = next((n for n in range(shortest) if len({one[n] for one in bits}) > 1), shortest)
    if at == longest:
        return _received(frames[0], ask)
    head = frames[0].head
    value = sum(bit << n for n, bit in enumerate(bits[0][:at])) << head
    known = value.to_bytes((head + at + 7) // 8, "little")
    return Heard(known, Trouble.COLLISION, at)


def _bits_until(sent: _Sent, instant_ns: int) -> int:
    """How many data bits of a frame are out by an instant."""
    return sent.frame.bits * (instant_ns - sent.start_ns) // (sent.end_ns - sent.start_ns)


def _flipped(frame: Frame, bit: int, width: int) -> Frame:
    """Some bits wrong, the parity bits as they were sent."""
    data = bytearray(frame.data)
    parity = odd_parity(frame.data) if frame.parity is None else frame.parity
    for n in range(bit, min(bit + width, frame.bits)):
        at = n + frame.head
        data[at >> 3] ^= 1 << (at & 7)
    return Frame(bytes(data), frame.tail, frame.head, parity, frame.rate)


def _truncated(frame: Frame, bits: int) -> Frame | None:
    """The first bits of a frame; None if there are none."""
    if bits <= 0:
        return None
    end = min(frame.head + bits, frame.head + frame.bits)
    size, tail = (end + 7) // 8, (end - 1) % 8 + 1
    data = bytearray(frame.data[:size])
    data[-1] &= (1 << tail) - 1
    parity = None if frame.parity is None else frame.parity[:size]
    return Frame(bytes(data), tail, frame.head, parity, frame.rate)

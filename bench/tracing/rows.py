"""A recording as rows: frames, the APDUs in them, stages and decisions, in the order of time.

Where frames were recorded, the card's APDUs are put together from them and stand on the row of
their first frame, answers on that of their last. Otherwise the APDUs recorded have rows of their
own, as those to the PSAM always do.
"""

from collections.abc import Iterable, Iterator
from dataclasses import replace
from enum import StrEnum
from typing import Final

from apdu.blocks import Kind
from apdu.event import Event, Layer, Source, Trace
from apdu.rf import UNKNOWN, FrameReader, FrameWords
from apdu.secret import has_secret
from apdu.value import value
from bench.trace_formats.assembly import ApduExchange, Placed, assembled
from bench.trace_formats.format import printable
from bench.trace_formats.layers import ENDS, as_frames, is_frame, recorded
from bench.tracing.ledger import Ledger, Movement

NO_ANSWER: Final = "no answer"


class View(StrEnum):
    """What of a recording is shown."""

    RF = "rf"
    ISODEP = "isodep"
    APDU = "apdu"
    ALL = "all"


@value
class Apdu:
    """One half of an exchange."""

    exchange: ApduExchange
    is_response: bool

    @property
    def to(self) -> str:
        """`card` or `psam`."""
        return self.exchange.to

    @property
    def command(self) -> bytes:
        """The command, on both halves."""
        return self.exchange.command

    @property
    def data(self) -> bytes:
        """The bytes of this half."""
        return (self.exchange.response or b"") if self.is_response else self.exchange.command


@value
class Row:
    """One line of the view.

    event:    a frame, the field, a stage or a decision; None on a row for an APDU alone.
    words:    what the frame says.
    delta_ns: since the row before.
    marks:    what is out of the ordinary.
    hidden:   whether the bytes of frame and command hold a PIN or a key, and are not for showing.
    """

    t_ns: int
    tap: int
    event: Event | None = None
    words: FrameWords | None = None
    apdu: Apdu | None = None
    money: Movement | None = None
    marks: tuple[str, ...] = ()
    delta_ns: int = 0
    hidden: bool = False


def rows_of(trace: Trace, view: View = View.ALL, tap: int | None = None) -> list[Row]:
    """The rows of a recording. tap: of one tap alone."""
    in_time = sorted(_rows(trace, view), key=lambda row: row.t_ns)
    rows = list(_with_money(_with_secrets(in_time)))
    if view in (View.RF, View.ISODEP):  # the APDUs have told what to hide
        rows = [replace(row, apdu=None, money=None) for row in rows]
    if view is View.ISODEP:
        rows = [row for row in rows if row.words is None or row.words.block]
    if tap is not None:
        rows = [row for row in rows if row.tap == tap]
    return _with_deltas(rows)


def _rows(trace: Trace, view: View) -> Iterator[Row]:
    """The rows in the order of the recording, whose times need not tell them apart."""
    events = as_frames(trace)
    told = recorded(events)
    inside = _inside(events, told, view)
    begin = {placed.begin: placed.exchange for placed in inside}
    end = {placed.end: placed.exchange for placed in inside}
    asked = {placed.begin: placed.exchange for placed in told if placed.exchange.to == "card"}
    last: ApduExchange | None = None  # as the reader saw it
    reader = FrameReader()
    for at, event in enumerate(events):
        last = asked.get(at, last)
        row = _row(event, reader, view)
        if at in begin:
            row = _with_command(row or Row(event.t_ns, event.tap), begin[at], last)
        elif at in end:
            row = row or Row(end[at].end_ns, event.tap)
            row = replace(row, apdu=Apdu(end[at], True))
        if row is not None:
            yield row


def _inside(events: list[Event], told: list[Placed], view: View) -> list[Placed]:
    """The exchanges whose halves have rows: the card's out of frames, where frames are shown."""
    of_card = [placed for placed in told if placed.exchange.to == "card"]
    of_psam = [placed for placed in told if placed.exchange.to == "psam"]
    on_air = any(is_frame(event) and event.source in ENDS for event in events)
    if view in (View.RF, View.ISODEP):
        return assembled(events)
    if not of_card or (view is View.ALL and on_air):
        return [*of_psam, *assembled(events)]
    return [*of_psam, *of_card]


def _row(event: Event, reader: FrameReader, view: View) -> Row | None:
    """The row of an event that has one whatever is said in it."""
    if event.layer is Layer.GATE:
        gate, name, note = map(printable, (event.gate, event.name, event.note))
        return Row(event.t_ns, event.tap, replace(event, gate=gate, name=name, note=note))
    if not is_frame(event) or (view is View.APDU and event.source is not Source.FIELD):
        return None
    words = reader.read(event)
    return Row(event.t_ns, event.tap, event, words, marks=_marks(event, words))


def taps_of(trace: Trace) -> list[int]:
    """The numbers of the taps in a recording."""
    return sorted({event.tap for event in trace.events})


def _with_command(row: Row, x: ApduExchange, last: ApduExchange | None) -> Row:
    """With a command, and whether the reader got no answer.

    Frames are recorded as they were sent. Where APDUs were recorded too, they say what arrived.
    """
    is_lost = last is not None and last.command == x.command and not last.response
    lost = (NO_ANSWER,) if x.response is None or is_lost else ()
    return replace(row, apdu=Apdu(x, False), marks=(*row.marks, *lost))


def _marks(event: Event, words: FrameWords) -> tuple[str, ...]:
    marks = [*words.faults]
    if words.is_repeat:
        marks.append("repeated")
    block = words.block
    if block is not None and block.kind is Kind.WTX and event.source is Source.PICC:
        marks.append("asks for more time")
    if block is not None and block.is_nak:
        marks.append("asks again")
    if event.note:
        marks.append(printable(event.note))
    return tuple(marks)


def _with_secrets(rows: Iterable[Row]) -> list[Row]:
    """Marks what must not be shown: a command with a PIN or key, and every frame that carries it.

    The frames of a chain and those sent again come before the next command, those that did not
    get through before this one; a chain that was never finished has no command.
    """
    out = list(rows)
    hides = False
    failed: list[int] = []
    for at, row in enumerate(out):
        apdu, words = row.apdu, row.words
        if apdu is not None and not apdu.is_response:
            is_secret = has_secret(apdu.command)
            is_for_card = apdu.to == "card"
            for carries in (*(failed if is_for_card else ()), at) if is_secret else ():
                out[carries] = _without_bytes(out[carries])
            if is_for_card:
                hides, failed = is_secret, []
        elif words is not None and _may_carry(row.event, words):
            hides |= words.block is not None and has_secret(words.block.inf)
            if hides:
                out[at] = _without_bytes(row)
            elif words.faults:
                failed.append(at)
    return out


def _may_carry(event: Event | None, words: FrameWords) -> bool:
    """Whether a frame may have something of a command in it."""
    if event is None or event.source is not Source.PCD:
        return False
    is_command = words.block is not None and words.block.kind is Kind.I_BLOCK
    return is_command or bool(words.faults) or words.title == UNKNOWN


def _without_bytes(row: Row) -> Row:
    words = None if row.words is None else replace(row.words, lines=[])
    return replace(row, words=words, hidden=True)


def _with_money(rows: Iterable[Row]) -> Iterator[Row]:
    ledger = Ledger()
    for row in rows:
        apdu = row.apdu
        if apdu is None or apdu.to != "card":
            yield row
        elif apdu.is_response:
            yield replace(row, money=ledger.response(apdu.command, apdu.data))
        else:
            yield replace(row, money=ledger.command(apdu.command))


def _with_deltas(rows: Iterable[Row]) -> list[Row]:
    out: list[Row] = []
    for row in rows:
        before_ns = out[-1].t_ns if out else row.t_ns
        out.append(replace(row, delta_ns=row.t_ns - before_ns))
    return out

"""A recording as rows: frames, the APDUs in them, stages and decisions, in the order of time.

Where frames were recorded, the card's APDUs are put together from them and stand on the row of
their first frame, answers on that of their last. Otherwise the APDUs recorded have rows of their
own, as those to the PSAM always do.
"""

from bisect import bisect_right
from collections import defaultdict, deque
from collections.abc import Iterable, Iterator
from dataclasses import replace
from enum import StrEnum
from heapq import merge
from typing import Final, NamedTuple

from apdu.blocks import Kind
from apdu.event import Event, Layer, Source, Trace
from apdu.fresh import has_secret
from apdu.rf import FrameReader, FrameWords
from apdu.value import value
from bench.trace_formats.assembly import ApduExchange, assembled
from bench.trace_formats.layers import ENDS, exchanges, frames
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


class _Sent(NamedTuple):
    """An exchange of some frames. is_lost: whether the reader got no answer."""

    exchange: ApduExchange
    is_lost: bool


def rows_of(trace: Trace, view: View = View.ALL, tap: int | None = None) -> list[Row]:
    """The rows of a recording. tap: of one tap alone."""
    rows = list(_with_money(_with_secrets(_rows(trace, view))))
    if view in (View.RF, View.ISODEP):  # the APDUs have told what to hide
        rows = [replace(row, apdu=None, money=None) for row in rows]
    if view is View.ISODEP:
        rows = [row for row in rows if row.words is None or row.words.block]
    if tap is not None:
        rows = [row for row in rows if row.tap == tap]
    return _with_deltas(rows)


def _rows(trace: Trace, view: View) -> Iterator[Row]:
    """The rows in the order of the recording, which is that of time."""
    on_air = frames(trace) if _has_frames(trace) else []
    found = exchanges(trace)
    if view in (View.RF, View.ISODEP):
        inside = _as_received(assembled(on_air), found)
        return _merged(_gate_rows(trace.events), _frame_rows(on_air or _field(trace), inside))
    has_card = any(e.layer is Layer.APDU and e.to == "card" for e in trace.events)
    if view is View.ALL and on_air:
        said = _event_rows(trace.events, [x for x in found if x.to == "psam"])
        return _merged(said, _frame_rows(on_air, _as_received(assembled(on_air), found)))
    if not has_card:  # put together from frames
        of_card = [x for x in found if x.to == "card"]
        of_psam = [x for x in found if x.to == "psam"]
        return _merged(_event_rows(trace.events, of_psam), _halves(of_card))
    field = [] if view is View.APDU else _field(trace)
    return _merged(_event_rows(trace.events, found), _frame_rows(field, []))


def _as_received(
    on_air: Iterable[ApduExchange], recorded: Iterable[ApduExchange]
) -> Iterator[_Sent]:
    """Exchanges of the frames, and of each whether the reader got the answer.

    Frames are recorded as they were sent. Where APDUs were recorded too, they say what arrived.
    """
    told = [x for x in recorded if x.to == "card"]
    begins = [x.start_ns for x in told]
    for x in on_air:
        at = bisect_right(begins, x.start_ns)
        is_lost = bool(at) and told[at - 1].command == x.command and not told[at - 1].response
        yield _Sent(x, x.response is None or is_lost)


def _merged(one: Iterable[Row], other: Iterable[Row]) -> Iterator[Row]:
    """Two lists of rows, each in its order, by time; at the same instant the second is first.

    What a frame carries has happened when the frame is over, and stages begin behind it.
    """
    return merge(other, one, key=lambda row: row.t_ns)


def taps_of(trace: Trace) -> list[int]:
    """The numbers of the taps in a recording."""
    return sorted({event.tap for event in trace.events})


def _has_frames(trace: Trace) -> bool:
    return any(e.layer in (Layer.RF, Layer.ISODEP) and e.source in ENDS for e in trace.events)


def _field(trace: Trace) -> list[Event]:
    """The field, where nothing else of the air was recorded (PC/SC)."""
    return [e for e in trace.events if e.source is Source.FIELD]


def _gate_rows(events: Iterable[Event]) -> Iterator[Row]:
    return (Row(e.t_ns, e.tap, e) for e in events if e.layer is Layer.GATE)


def _event_rows(events: Iterable[Event], found: Iterable[ApduExchange]) -> Iterator[Row]:
    """Stages, decisions and recorded APDUs of some peers, in the order of the recording."""
    waiting: dict[str, deque[ApduExchange]] = defaultdict(deque)
    current: dict[str, ApduExchange] = {}
    for exchange in found:
        waiting[exchange.to].append(exchange)
    for event in events:
        if event.layer is Layer.GATE:
            yield Row(event.t_ns, event.tap, event)
        elif event.layer is Layer.APDU and event.source is Source.PCD and waiting[event.to]:
            current[event.to] = asked = waiting[event.to].popleft()
            yield _with_command(Row(event.t_ns, event.tap), asked, asked.response is None)
        elif event.layer is Layer.APDU and event.source is Source.PICC and event.to in current:
            exchange = current.pop(event.to)
            if exchange.response is not None:
                yield Row(event.t_ns, event.tap, apdu=Apdu(exchange, True))


def _frame_rows(on_air: Iterable[Event], inside: Iterable[_Sent]) -> Iterator[Row]:
    """Frames, with the APDUs that begin or end with them."""
    reader = FrameReader()
    begin: dict[int, list[_Sent]] = defaultdict(list)
    end: dict[int, list[ApduExchange]] = defaultdict(list)
    for sent in inside:
        begin[sent.exchange.start_ns].append(sent)
        if sent.exchange.response is not None:
            end[sent.exchange.end_ns].append(sent.exchange)
    for event in on_air:
        words = reader.read(event)
        row = Row(event.t_ns, event.tap, event, words, marks=_marks(event, words))
        if event.source is Source.PCD and begin[event.t_ns]:
            row = _with_command(row, *begin[event.t_ns].pop(0))
        elif event.source is Source.PICC and end[event.t_ns + event.duration_ns]:
            answered = end[event.t_ns + event.duration_ns].pop(0)
            row = replace(row, apdu=Apdu(answered, True))
        yield row


def _with_command(row: Row, x: ApduExchange, is_lost: bool) -> Row:
    lost = (NO_ANSWER,) if is_lost else ()
    return replace(row, apdu=Apdu(x, False), marks=(*row.marks, *lost))


def _halves(found: Iterable[ApduExchange]) -> Iterator[Row]:
    for x in found:
        yield _with_command(Row(x.start_ns, x.tap), x, x.response is None)
        if x.response is not None:
            yield Row(x.end_ns, x.tap, apdu=Apdu(x, True))


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
        marks.append(event.note)
    return tuple(marks)


def _with_secrets(rows: Iterable[Row]) -> Iterator[Row]:
    """Marks what must not be shown: a command with a PIN or key, and every frame that carries it.

    The frames of a chain and those sent again come before the next command.
    """
    hides = False
    for row in rows:
        apdu, event = row.apdu, row.event
        is_command = apdu is not None and apdu.to == "card" and not apdu.is_response
        if apdu is not None and is_command:
            hides = has_secret(apdu.command)
        is_sent = is_command or (event is not None and event.source is Source.PCD)
        yield replace(row, hidden=hides and is_sent)


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

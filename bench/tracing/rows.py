"""A recording as rows: frames, the APDUs in them, stages and decisions, in the order of time.

Where frames were recorded, the card's APDUs are put together from them and stand on the row of
their first frame, answers on that of their last. Otherwise the APDUs recorded have rows of their
own, as those to the PSAM always do.
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import replace
from enum import StrEnum
from typing import Final

from apdu.blocks import Kind
from apdu.event import Event, Layer, Source, Trace
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
    """A command or an answer. command: the same, or the one answered."""

    to: str
    data: bytes
    command: bytes
    is_response: bool


@value
class Row:
    """One line of the view.

    event:    a frame, the field, a stage or a decision; None on a row for an APDU alone.
    words:    what the frame says.
    delta_ns: since the row before.
    marks:    what is out of the ordinary.
    """

    t_ns: int
    tap: int
    event: Event | None = None
    words: FrameWords | None = None
    apdu: Apdu | None = None
    money: Movement | None = None
    marks: tuple[str, ...] = ()
    delta_ns: int = 0


def rows_of(trace: Trace, view: View = View.ALL, tap: int | None = None) -> list[Row]:
    """The rows of a recording. tap: of one tap alone."""
    on_air = frames(trace) if _has_frames(trace) else []
    found = exchanges(trace)
    rows = list(_gate_rows(trace))
    if view in (View.RF, View.ISODEP):
        rows += _frame_rows(on_air, [])
    elif view is View.ALL and on_air:
        rows += _frame_rows(on_air, assembled(on_air))
        rows += _apdu_rows(x for x in found if x.to == "psam")
    else:
        rows += _apdu_rows(found)
        rows += [Row(e.t_ns, e.tap, e, FrameReader().read(e)) for e in _field_alone(trace, view)]
    rows = list(_with_money(sorted(rows, key=lambda row: row.t_ns)))
    if view is View.ISODEP:
        rows = [row for row in rows if row.words is None or row.words.block]
    if tap is not None:
        rows = [row for row in rows if row.tap == tap]
    return _with_deltas(rows)


def taps_of(trace: Trace) -> list[int]:
    """The numbers of the taps in a recording."""
    return sorted({event.tap for event in trace.events})


def _has_frames(trace: Trace) -> bool:
    return any(e.layer in (Layer.RF, Layer.ISODEP) and e.source in ENDS for e in trace.events)


def _field_alone(trace: Trace, view: View) -> list[Event]:
    """The field where nothing else of the air was recorded (PC/SC)."""
    return [] if view is View.APDU else [e for e in trace.events if e.source is Source.FIELD]


def _gate_rows(trace: Trace) -> Iterator[Row]:
    for event in trace.events:
        if event.layer is Layer.GATE:
            yield Row(event.t_ns, event.tap, event)


def _frame_rows(on_air: Iterable[Event], inside: Iterable[ApduExchange]) -> Iterator[Row]:
    """Frames, with the APDUs that begin or end with them."""
    reader = FrameReader()
    begin: dict[int, list[ApduExchange]] = defaultdict(list)
    end: dict[int, list[ApduExchange]] = defaultdict(list)
    for exchange in inside:
        begin[exchange.start_ns].append(exchange)
        if exchange.response is not None:
            end[exchange.end_ns].append(exchange)
    for event in on_air:
        words = reader.read(event)
        row = Row(event.t_ns, event.tap, event, words, marks=_marks(event, words))
        if event.source is Source.PCD and begin[event.t_ns]:
            row = _with_command(row, begin[event.t_ns].pop(0))
        elif event.source is Source.PICC and end[event.t_ns + event.duration_ns]:
            exchange = end[event.t_ns + event.duration_ns].pop(0)
            row = replace(row, apdu=_answer(exchange))
        yield row


def _with_command(row: Row, x: ApduExchange) -> Row:
    lost = (NO_ANSWER,) if x.response is None else ()
    return replace(row, apdu=Apdu(x.to, x.command, x.command, False), marks=(*row.marks, *lost))


def _answer(x: ApduExchange) -> Apdu:
    return Apdu(x.to, x.response or b"", x.command, True)


def _apdu_rows(found: Iterable[ApduExchange]) -> Iterator[Row]:
    for x in found:
        yield _with_command(Row(x.start_ns, x.tap), x)
        if x.response is not None:
            yield Row(x.end_ns, x.tap, apdu=_answer(x))


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

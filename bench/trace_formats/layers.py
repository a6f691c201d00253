"""One layer of a recording in terms of the other: frames made of APDUs, APDUs out of frames."""

from collections.abc import Iterable, Iterator
from dataclasses import replace
from typing import Final

from apdu.blocks import I_BLOCK, NUMBER
from apdu.crc import append_crc
from apdu.event import Event, Layer, Source, Trace
from bench.trace_formats.assembly import ApduExchange, Placed, assembled

__all__ = ["MADE_UP", "ApduExchange", "apdu_events", "exchanges", "frames"]

ENDS: Final = frozenset({Source.PCD, Source.PICC})
"""Who sends frames, blocks and APDUs."""

FIELD_ON: Final = b"\x01"
FIELD_OFF: Final = b"\x00"

MADE_UP: Final = "made up from APDUs: blocks, checksums and the field were not recorded"
"""The note on a field that was never seen."""


def frames(trace: Trace) -> list[Event]:
    """What was on air: the frames recorded, else the blocks, else frames made up of the APDUs.

    A recording of blocks gives frames whose checksum was dropped. From APDUs each becomes one
    I-block, 02 and 03 in turn, with a checksum and without a chain; the field goes on before a
    tap and off after it, where the recording does not say. There is no activation. What goes to
    the PSAM is never on air. The field's note says that it is made up.
    """
    return [e for e in on_air(trace) if is_frame(e)]


def is_frame(event: Event) -> bool:
    """Whether an event was on air: a frame, or the field going on or off."""
    return event.layer is Layer.RF and event.source in (*ENDS, Source.FIELD)


def on_air(trace: Trace) -> list[Event]:
    """`frames`, with whatever else happened in its place between them.

    APDUs of the card and blocks are left out where there are frames of them.
    """
    events = as_frames(trace)
    if not any(e.layer is Layer.RF and e.source in ENDS for e in events):
        events = bracketed(_wrapped(events), MADE_UP)
    return [e for e in events if not _is_block(e) and not _is_for_card(e)]


def as_frames(trace: Trace) -> list[Event]:
    """The events of a recording one for one, its blocks as frames if it has no frames."""
    events = [replace(e, layer=Layer.RF) if e.source is Source.FIELD else e for e in trace.events]
    if any(e.layer is Layer.RF and e.source in ENDS for e in events):
        return events
    return [_unchecked(e) if _is_block(e) else e for e in events]


def _unchecked(block: Event) -> Event:
    return replace(block, layer=Layer.RF, has_crc=None)


def _is_block(event: Event) -> bool:
    return event.layer is Layer.ISODEP and event.source in ENDS


def _is_for_card(event: Event) -> bool:
    return event.layer is Layer.APDU and event.source in ENDS and event.to == "card"


def _wrapped(events: Iterable[Event]) -> Iterator[Event]:
    """Each APDU as one I-block; an answer has the number of its command."""
    number = NUMBER
    tap: int | None = None
    for event in events:
        if not _is_for_card(event):
            if event.source is Source.FIELD:
                number = NUMBER
            yield event
            continue
        if event.tap != tap:
            number = NUMBER  # the first command has 0, rule A
            tap = event.tap
        if event.source is Source.PCD:
            number ^= NUMBER
        block = append_crc(bytes([I_BLOCK | number]) + event.data)
        yield replace(event, layer=Layer.RF, data=block, has_crc=True, duration_ns=0)


def bracketed(events: Iterable[Event], note: str = "") -> list[Event]:
    """The same with the field on before the first frame of a tap and off after its last one.

    note: goes on each field that had to be switched on.
    """
    out: list[Event] = []
    is_on = False
    last = -1  # where the last frame of the field that is on stands
    for event in events:
        if event.source is Source.FIELD:
            is_on, last = event.data != FIELD_OFF, -1
        elif is_frame(event):
            if last >= 0 and out[last].tap != event.tap:
                out.insert(last + 1, _field(out[last], FIELD_OFF))
                is_on = False
            if not is_on:
                out.append(_field(event, FIELD_ON, note))
            is_on, last = True, len(out)
        out.append(event)
    if is_on and last >= 0:
        out.insert(last + 1, _field(out[last], FIELD_OFF))
    return out


def _field(beside: Event, state: bytes, note: str = "") -> Event:
    """The field on before a frame or off after it, of the same tap and gate."""
    return Event(
        beside.t_ns + (beside.duration_ns if state == FIELD_OFF else 0),
        Source.FIELD,
        Layer.RF,
        state,
        tap=beside.tap,
        gate=beside.gate,
        note=note,
    )


def exchanges(trace: Trace) -> list[ApduExchange]:
    """Whole APDUs in the order they began: those recorded, else put together from the frames.

    Frames with a wrong checksum or parity are not used, repeated blocks are used once, and a
    command whose answer is missing has none. What goes to the PSAM is only there if recorded.
    """
    events = as_frames(trace)
    found = recorded(events)
    if not any(placed.exchange.to == "card" for placed in found):
        found += assembled(events)
    found.sort(key=lambda placed: (placed.exchange.start_ns, placed.begin))
    return [placed.exchange for placed in found]


def recorded(events: Iterable[Event]) -> list[Placed]:
    """The exchanges that were recorded as APDUs, in the order they began."""
    out: list[Placed] = []
    open_at: dict[str, int] = {}
    for at, event in enumerate(events):
        if event.layer is not Layer.APDU or event.source not in ENDS:
            continue
        if event.source is Source.PCD:
            open_at[event.to] = len(out)
            end_ns = event.t_ns + event.duration_ns
            said = ApduExchange(event.to, event.data, None, event.t_ns, end_ns, event.tap)
            out.append(Placed(said, at, None))
            continue
        asked = open_at.pop(event.to, None)
        if asked is not None and out[asked].exchange.tap == event.tap:
            said = replace(out[asked].exchange, response=event.data, end_ns=event.t_ns)
            out[asked] = Placed(said, out[asked].begin, at)
    return out


def apdu_events(found: Iterable[ApduExchange]) -> list[Event]:
    """Exchanges as the events a recording of them has; a lost answer's wait is on the command."""
    out: list[Event] = []
    for x in found:
        took_ns = max(x.end_ns - x.start_ns, 0)
        waited_ns = took_ns if x.response is None else 0
        asked = Event(x.start_ns, Source.PCD, Layer.APDU, x.command, waited_ns, to=x.to, tap=x.tap)
        out.append(asked)
        if x.response is not None:
            said = (Layer.APDU, x.response, took_ns)
            out.append(Event(x.end_ns, Source.PICC, *said, to=x.to, tap=x.tap))
    return out

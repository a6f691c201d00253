"""One layer of a recording in terms of the other: frames made of APDUs, APDUs out of frames."""

from collections.abc import Iterable, Iterator
from dataclasses import replace
from itertools import groupby
from typing import Final

from apdu.blocks import I_BLOCK, NUMBER
from apdu.crc import append_crc
from apdu.event import Event, Layer, Source, Trace
from bench.trace_formats.assembly import ApduExchange, assembled

__all__ = ["MADE_UP", "ApduExchange", "exchanges", "frames"]

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
    on_air = [e for e in trace.events if e.layer is Layer.RF or e.source is Source.FIELD]
    if any(e.source in ENDS for e in on_air):
        return on_air
    seen = [e for e in trace.events if e.source in ENDS or e.source is Source.FIELD]
    if any(e.layer is Layer.ISODEP for e in seen):
        return [
            replace(e, layer=Layer.RF, has_crc=None if e.source in ENDS else False)
            for e in seen
            if e.layer is Layer.ISODEP or e.source is Source.FIELD
        ]
    said = [e for e in seen if e.source is Source.FIELD or _is_for_card(e)]
    return bracketed(_wrapped(said), MADE_UP)


def _is_for_card(event: Event) -> bool:
    return event.layer is Layer.APDU and event.source in ENDS and event.to == "card"


def _wrapped(events: Iterable[Event]) -> Iterator[Event]:
    """Each APDU as one I-block; an answer has the number of its command."""
    number = NUMBER
    tap: int | None = None
    for event in events:
        if event.source is Source.FIELD or event.tap != tap:
            number = NUMBER  # toggled to 0 by the first command, rule A
            tap = event.tap
        if event.source is Source.FIELD:
            yield event
            continue
        if event.source is Source.PCD:
            number ^= NUMBER
        block = bytes([I_BLOCK | number]) + event.data
        yield replace(event, layer=Layer.RF, data=append_crc(block), has_crc=True, duration_ns=0)


def bracketed(events: Iterable[Event], note: str = "") -> list[Event]:
    """The same with the field on before the first frame of a tap and off after its last one.

    note: goes on each field that had to be added.
    """
    out: list[Event] = []
    for _, group in groupby(events, key=lambda e: e.tap):
        on: Event | None = None
        for event in group:
            if event.source is Source.FIELD:
                on = event if event.data != FIELD_OFF else None
            elif on is None:
                on = field_event(event, FIELD_ON, note)
                out.append(on)
            out.append(event)
        if on is not None:
            out.append(field_event(out[-1], FIELD_OFF, ""))
    return out


def field_event(beside: Event, state: bytes, note: str) -> Event:
    """The field on or off at the time of an event, of the same tap and gate."""
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
    apdus = [e for e in trace.events if e.layer is Layer.APDU and e.source in ENDS]
    found = _paired(apdus)
    if not any(e.to == "card" for e in apdus):
        found += assembled(frames(trace))
    return sorted(found, key=lambda x: x.start_ns)


def _paired(apdus: Iterable[Event]) -> list[ApduExchange]:
    out: list[ApduExchange] = []
    open_at: dict[str, int] = {}
    for event in apdus:
        if event.source is Source.PCD:
            open_at[event.to] = len(out)
            end_ns = event.t_ns + event.duration_ns
            out.append(ApduExchange(event.to, event.data, None, event.t_ns, end_ns, event.tap))
            continue
        at = open_at.pop(event.to, None)
        if at is not None and out[at].tap == event.tap:
            out[at] = replace(out[at], response=event.data, end_ns=event.t_ns)
    return out

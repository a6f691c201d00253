"""What both pcap formats carry: packets of link type 264, an event and a frame each.

The packet is version 0, an event, the length of what follows in two bytes and the frame (domain
reference 7.1). FE and FF are frames with their checksum where they have one; FA and FB are frames
whose checksum was dropped; FC and FD are the field.

pcapng adds comments. A comment of a person is the event's note. One that begins with `tapbench` is
a JSON object with the keys of our own format: of the packet itself what it cannot say (wrong
parity, odd bits, a tap's number), or a whole event that was not on air, before or after the packet.
"""

import json
import re
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from typing import Final

from apdu.event import Event, Layer, Source, Trace
from bench.trace_formats.format import TraceError, utf8
from bench.trace_formats.guess import Guess
from bench.trace_formats.jsonl import Json, compact, event_json, event_of
from bench.trace_formats.layers import FIELD_OFF, FIELD_ON, bracketed, is_frame, on_air
from bench.trace_formats.wallclock import begin_ns, rebased

LINK_TYPE: Final = 264
"""LINKTYPE_ISO_14443."""

_LINK_NAMES: Final = {
    0: "BSD loopback",
    1: "Ethernet",
    101: "raw IP",
    105: "IEEE 802.11",
    113: "Linux cooked",
    127: "radiotap",
    147: "user 0",
    189: "Linux USB",
    201: "Bluetooth HCI",
    220: "Linux USB",
    249: "USBPcap",
    251: "Bluetooth LE",
    276: "Linux cooked 2",
}

_FIELD_ON, _FIELD_OFF = 0xFC, 0xFD
_FIELDS: Final = {_FIELD_ON: FIELD_ON, _FIELD_OFF: FIELD_OFF}
_SENDERS: Final = {
    0xFE: (Source.PCD, True),
    0xFF: (Source.PICC, True),
    0xFA: (Source.PCD, False),
    0xFB: (Source.PICC, False),
}
"""Who sent a packet's frame, and whether its checksum was recorded."""
_CODES: Final = {said: code for code, said in _SENDERS.items()}
_MARK: Final = "tapbench "
_OURS: Final = re.compile(r"tapbench (before |after )?(\{.*\})", re.DOTALL)
_HEADER: Final = 4
LONGEST_PACKET: Final = 65535
"""Both formats say so in their headers."""
_MOST: Final = LONGEST_PACKET - _HEADER


@dataclass(frozen=True, slots=True)
class Packet:
    """One packet, whatever file it is in. at_ns: from 1970. gate: its interface's name."""

    at_ns: int
    data: bytes
    gate: str = ""
    comments: tuple[str, ...] = ()


def demand_link_type(link_type: int) -> None:
    """Raises TraceError for everything but ISO 14443."""
    if link_type != LINK_TYPE:
        name = _LINK_NAMES.get(link_type, "")
        said = f"{link_type} ({name})" if name else str(link_type)
        raise TraceError(f"its link type is {said}; expected {LINK_TYPE}, ISO 14443")


def packets_of(trace: Trace) -> list[Packet]:
    """A recording as packets, with the field on before and off after each tap. TraceError."""
    begin = begin_ns(trace)
    writer = _Writer(begin)
    packets: list[Packet] = []
    waiting: list[Event] = []
    last: Event | None = None
    for event in bracketed(on_air(trace)):
        if not is_frame(event):
            waiting.append(event)
            continue
        packets.append(writer.packet(event, [_beside("before", w, event) for w in waiting]))
        waiting.clear()
        last = event
    if last is not None and waiting:
        after = tuple(_beside("after", other, last) for other in waiting)
        packets[-1] = replace(packets[-1], comments=packets[-1].comments + after)
    if any(packet.at_ns < 0 for packet in packets):
        raise TraceError("something in it happened before 1970")
    return packets


def recording_of(packets: Iterable[Packet]) -> Trace:
    """Packets as a recording, from whichever file they came. Raises TraceError."""
    reader = _Reader()
    events: list[Event] = []
    for number, packet in enumerate(packets, 1):
        try:
            events += reader.events(packet)
        except TraceError as error:
            raise TraceError(f"packet {number}: {error}") from None
    started, base_ns = rebased(event.t_ns for event in events)
    return Trace([replace(e, t_ns=e.t_ns - base_ns) for e in events], started)


@dataclass(slots=True)
class _Context:
    """What a packet's place in the file tells of it: shape by the last frame, tap by the field."""

    guess: Guess = field(default_factory=Guess)
    tap: int = 0

    def plain(self, source: Source, data: bytes, is_crc_dropped: bool) -> Event:
        """The event of a packet without comments, at time 0."""
        if source is Source.FIELD:
            self.guess.field()
            tap = self.tap + (data != FIELD_OFF)
            return Event(0, source, Layer.RF, data, tap=tap)
        shape = self.guess.shape(source, data)
        has_crc = None if is_crc_dropped else shape.has_crc
        return Event(
            0, source, Layer.RF, data, 0, shape.tail, shape.head, None, has_crc, tap=self.tap
        )


@dataclass(slots=True)
class _Writer:
    begin: int
    context: _Context = field(default_factory=_Context)

    def packet(self, event: Event, before: list[str]) -> Packet:
        data = event.data
        if event.source is Source.FIELD:
            data = FIELD_OFF if data == FIELD_OFF else FIELD_ON
        plain = self.context.plain(event.source, data, event.has_crc is None)
        event = replace(event, tap=event.tap or plain.tap)
        self.context.tap = event.tap
        told = _tellable(plain)
        rest = {key: said for key, said in _tellable(event).items() if said != told[key]}
        notes = [event.note] if event.note else []
        if event.note and not _is_plain(event.note):
            rest["note"] = notes.pop()
        if rest:
            notes.append(f"{_MARK}{compact(rest)}")
        raw = _packet(event, data)
        return Packet(self.begin + event.t_ns, raw, utf8(event.gate), (*before, *notes))


@dataclass(slots=True)
class _Reader:
    context: _Context = field(default_factory=_Context)

    def events(self, packet: Packet) -> list[Event]:
        """The event of a packet, between those its comments tell of."""
        plain = self.context.plain(*_taken_apart(packet.data))
        notes: list[str] = []
        rest: Json = {}
        around: dict[str, list[Event]] = {"before": [], "after": []}
        for comment in packet.comments:
            where, line = _parsed(comment)
            if line is None:
                notes.append(comment)
            elif where:
                around[where].append(_event_beside(line, packet.at_ns))
            else:
                rest |= line
        event = _amended(plain, rest, "\n".join(notes))
        self.context.tap = event.tap
        event = replace(event, t_ns=packet.at_ns, gate=packet.gate)
        return [*around["before"], event, *around["after"]]


def _tellable(event: Event) -> Json:
    """What a comment adds to a packet, by the keys of our own format."""
    return {
        "tap": event.tap,
        "head": event.head,
        "bits": 8 * len(event.data) - (8 - event.tail) - event.head,
        "parity": None if event.parity is None else event.parity.hex()[1::2],
        "crc": event.has_crc,
        "to": event.to,
        "name": event.name,
    }


def _amended(plain: Event, rest: Json, note: str) -> Event:
    if not rest:
        return replace(plain, note=note)
    line = {"t_ns": 0, "dir": plain.source.value, "layer": plain.layer.value}
    line |= {"hex": plain.data.hex(), "note": rest.get("note", note)}
    told = _tellable(plain)
    return event_of(line | {key: rest.get(key, said) for key, said in told.items()})


def _is_plain(note: str) -> bool:
    """Whether a remark can be a comment as it is: UTF-8, and not one of ours."""
    return not note.startswith(_MARK) and note == utf8(note)


def _beside(where: str, other: Event, packet: Event) -> str:
    """A comment on a packet that holds a whole event."""
    line = event_json(other)
    del line["t_ns"]
    return f"{_MARK}{where} {compact({'after_ns': other.t_ns - packet.t_ns} | line)}"


def _event_beside(line: Json, at_ns: int) -> Event:
    event = event_of({**line, "t_ns": line.get("after_ns")})
    return replace(event, t_ns=at_ns + event.t_ns)


def _parsed(comment: str) -> tuple[str, Json | None]:
    """Where a comment of ours belongs and its object; no object if it is a person's."""
    found = _OURS.fullmatch(comment)
    if found is None:
        return "", None
    try:
        line = json.loads(found[2])
    except (ValueError, RecursionError):
        return "", None
    return (found[1] or "").strip(), line


def _packet(event: Event, data: bytes) -> bytes:
    if event.source is Source.FIELD:
        return bytes([0, _FIELD_OFF if data == FIELD_OFF else _FIELD_ON, 0, 0])
    if len(data) > _MOST:
        raise TraceError(f"a frame has {len(data)} bytes; a packet holds {_MOST}")
    code = _CODES[event.source, event.has_crc is not None]
    return bytes([0, code]) + len(data).to_bytes(2, "big") + data


def _taken_apart(packet: bytes) -> tuple[Source, bytes, bool]:
    """Who sent a packet's frame, the frame, and whether its checksum was dropped."""
    if len(packet) < _HEADER:
        raise TraceError(f"it has {len(packet)} bytes; expected {_HEADER} or more")
    version, code = packet[0], packet[1]
    size = int.from_bytes(packet[2:_HEADER], "big")
    data = packet[_HEADER:]
    if version != 0:
        raise TraceError(f"its version is {version}; expected 0")
    if size != len(data):
        raise TraceError(f"its length field says {size} bytes and {len(data)} follow")
    if code in _FIELDS:
        if data:
            raise TraceError(f"a field event has {size} bytes; expected none")
        return Source.FIELD, _FIELDS[code], False
    if code not in _SENDERS:
        raise TraceError(f"its event is {code:02X}; expected FA to FF")
    source, is_whole = _SENDERS[code]
    return source, data, not is_whole

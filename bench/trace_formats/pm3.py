"""Proxmark3 `.trace`: frames back to back, without a header, as its client saves and loads them.

A record is the time the frame began and how long it took, in carrier periods; its length, with the
uppermost bit set if the card sent it; its bytes with their checksum; a parity bit for each of them
(domain reference 7.2). The time has 32 bits and wraps every 316 s; the duration has 16 and tells
frames of fewer than eight bits. The field, APDUs and decisions cannot be said.
"""

import struct
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import islice
from typing import Final

from apdu.crc import append_crc
from apdu.event import Event, Layer, Source, Trace
from apdu.frame import odd_parity
from bench.trace_formats.format import Format, TraceError
from bench.trace_formats.guess import Guess
from bench.trace_formats.layers import ENDS, frames

_HEAD: Final = struct.Struct("<IHH")
_IS_ANSWER: Final = 0x8000
_LENGTH: Final = 0x7FFF
_LONGEST: Final = 0xFFFF
"""Of a duration: what lasts longer has this, and is read as unknown."""
_LONGEST_FRAME: Final = 4096
"""FSD and FSC go no further (ISO/IEC 14443-4, 5.2.3)."""
_EMPTY_AT_MOST: Final = 64
"""Records at the beginning that may have no byte, as of frames that were cut short."""
_WRAP: Final = 1 << 32
_JITTER: Final = 135_600
"""A step back in time of 10 ms at most is one; a greater one means that the time has wrapped."""

_BIT: Final = 128
_ENDS_OF_FRAME: Final = {Source.PCD: 96, Source.PICC: 64}
"""What a frame lasts beyond its bits, as published listings have it."""
_SHORTEST_END: Final = 64

# 13.56 MHz against nanoseconds, in lowest terms.
_PERIODS, _NANOSECONDS = 339, 25_000


@dataclass(frozen=True, slots=True)
class _Record:
    """One frame as the file has it. parity: the packed bits."""

    time: int
    duration: int
    is_answer: bool
    data: bytes
    parity: bytes


def _periods(ns: int) -> int:
    return (ns * _PERIODS + _NANOSECONDS // 2) // _NANOSECONDS


def _ns(periods: int) -> int:
    return (periods * _NANOSECONDS + _PERIODS // 2) // _PERIODS


def dump(trace: Trace) -> bytes:
    """A recording's frames as records. Raises TraceError."""
    # What is written is what will be read: a bit the format cannot say leaves no trace in it.
    return b"".join(
        _HEAD.pack(r.time, r.duration, len(r.data) | (_IS_ANSWER if r.is_answer else 0))
        + r.data
        + r.parity
        for r in _records(_keeps(trace))
    )


def load(data: bytes) -> Trace:
    """Read records. Raises TraceError."""
    return _recording(list(_parsed(data)))


def _records(trace: Trace) -> Iterator[_Record]:
    """Times start as they are recorded; a checksum that was dropped is put back."""
    for frame in frames(trace):
        if frame.source not in ENDS:
            continue
        data = append_crc(frame.data) if frame.has_crc is None else frame.data
        if len(data) > _LENGTH:
            raise TraceError(f"a frame has {len(data)} bytes; a record holds {_LENGTH}")
        sent = (frame.parity or b"")[: len(data) - (frame.tail < 8)]
        yield _Record(
            _periods(frame.t_ns) % _WRAP,
            min(_periods(frame.duration_ns) or _usual_duration(frame, data), _LONGEST),
            frame.source is Source.PICC,
            data,
            _packed(sent + odd_parity(data)[len(sent) :]),
        )


def _usual_duration(frame: Event, data: bytes) -> int:
    bits = 9 * len(data) - frame.head - (9 - frame.tail if frame.tail < 8 else 0)
    return max(bits, 0) * _BIT + _ENDS_OF_FRAME[frame.source]


def _packed(bits: bytes) -> bytes:
    """One bit a byte, the first in the uppermost."""
    out = bytearray(-(-len(bits) // 8))
    for at, bit in enumerate(bits):
        out[at >> 3] |= (bit & 1) << 7 - (at & 7)
    return bytes(out)


def _unpacked(packed: bytes, count: int) -> bytes:
    return bytes(packed[at >> 3] >> 7 - (at & 7) & 1 for at in range(count))


def _parsed(data: bytes) -> Iterator[_Record]:
    at = 0
    while at < len(data):
        if at + _HEAD.size > len(data):
            raise TraceError(f"it ends at byte {len(data)}, inside the record at byte {at}")
        time, duration, length = _HEAD.unpack_from(data, at)
        size = length & _LENGTH
        begin = at + _HEAD.size
        end = begin + size + -(-size // 8)
        if end > len(data):
            raise TraceError(f"it ends at byte {len(data)}, inside the record at byte {at}")
        body, parity = data[begin : begin + size], data[begin + size : end]
        yield _Record(time, duration, bool(length & _IS_ANSWER), body, parity)
        at = end


def _recording(records: Iterable[_Record]) -> Trace:
    guess = Guess()
    trace = Trace()
    time = 0
    for n, record in enumerate(records):
        time = _unwrapped(time, record.time) if n else record.time
        source = Source.PICC if record.is_answer else Source.PCD
        shape = guess.shape(source, record.data)
        tail = _tail(record, shape.head, shape.tail)
        trace.events.append(
            Event(
                _ns(time),
                source,
                Layer.RF,
                record.data,
                _ns(0 if _is_clipped(record) else record.duration),
                tail,
                shape.head,
                _wrong_parity(record, tail),
                shape.has_crc,
            )
        )
    return trace


def _unwrapped(before: int, time: int) -> int:
    step = (time - before) % _WRAP
    return before + (step - _WRAP if step >= _WRAP - _JITTER else step)


def _is_clipped(record: _Record) -> bool:
    """Whether the duration is the greatest that can be said and the frame lasts longer."""
    return record.duration == _LONGEST and 9 * len(record.data) * _BIT >= _LONGEST


def _tail(record: _Record, head: int, likely: int) -> int:
    """Bits of the last byte, from the duration: a cut byte is shorter and has no parity bit."""
    if record.duration == 0 or _is_clipped(record):
        return likely
    bits = (record.duration - _SHORTEST_END) // _BIT + head - 9 * (len(record.data) - 1)
    return bits if 1 <= bits < 8 else 8


def _wrong_parity(record: _Record, tail: int) -> bytes | None:
    """The parity bits, or None if those that were sent are right."""
    sent = len(record.data) - (tail < 8)
    right = odd_parity(record.data)
    said = _unpacked(record.parity, sent) + right[sent:]
    return None if said == right else said


def _sniff(data: bytes) -> bool:
    sizes = (len(record.data) for record in _parsed(data))
    try:
        # A file of zeros, which may be long, is of records without a byte.
        first = next((size for size in islice(sizes, _EMPTY_AT_MOST) if size), 0)
        return 0 < first <= _LONGEST_FRAME and all(size <= _LONGEST_FRAME for size in sizes)
    except TraceError:
        return False


def _keeps(trace: Trace) -> Trace:
    return _recording(_records(trace))


FORMAT: Final = Format(
    name="pm3",
    title="Proxmark3 trace",
    suffixes=(".trace", ".pm3"),
    load=load,
    dump=dump,
    sniff=_sniff,
    keeps=_keeps,
    holds=frozenset({Layer.RF}),
)

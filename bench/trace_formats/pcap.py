"""pcap, the older of the two capture formats: a header, then packets with a time each.

Written with nanoseconds, little-endian; read in both byte orders, with micro- and nanoseconds.
It has no comments: notes, decisions, parity and the gate are lost.
"""

import struct
from collections.abc import Iterator
from typing import Final

from apdu.event import Layer, Trace
from bench.trace_formats.format import Format, TraceError
from bench.trace_formats.packets import (
    LINK_TYPE,
    LONGEST_PACKET,
    Packet,
    demand_link_type,
    packets_of,
    recording_of,
)

# Magic number as the file has it: byte order, and nanoseconds in a unit of the second number.
_MAGICS: Final = {
    b"\xd4\xc3\xb2\xa1": ("<", 1000),
    b"\xa1\xb2\xc3\xd4": (">", 1000),
    b"\x4d\x3c\xb2\xa1": ("<", 1),
    b"\xa1\xb2\x3c\x4d": (">", 1),
}
_HEADER: Final = "IHHiIII"  # magic, version 2.4, zone, accuracy, longest packet, link type
_HEADER_SIZE: Final = 24
_RECORD: Final = "IIII"  # seconds, fraction, bytes in the file, bytes there were
_RECORD_SIZE: Final = 16
_LINK_MASK: Final = 0xFFFF  # above it: the length of a checksum, which this link type has not
_SECOND: Final = 10**9


def dump(trace: Trace) -> bytes:
    """A recording as pcap. Raises TraceError."""
    out = bytearray(struct.pack("<" + _HEADER, 0xA1B23C4D, 2, 4, 0, 0, LONGEST_PACKET, LINK_TYPE))
    for packet in packets_of(trace):
        seconds, rest_ns = divmod(packet.at_ns, _SECOND)
        if seconds > 0xFFFFFFFF:
            raise TraceError("its time is past 2106, where the format ends")
        size = len(packet.data)
        out += struct.pack("<" + _RECORD, seconds, rest_ns, size, size) + packet.data
    return bytes(out)


def load(data: bytes) -> Trace:
    """Read pcap. Raises TraceError."""
    return recording_of(list(_packets(data)))


def _packets(data: bytes) -> Iterator[Packet]:
    if data[:4] not in _MAGICS:
        raise TraceError(
            f"it begins with {data[:4].hex().upper() or 'nothing'}, not a magic number"
        )
    order, unit_ns = _MAGICS[data[:4]]
    if len(data) < _HEADER_SIZE:
        raise TraceError(f"it ends at byte {len(data)}, inside its header")
    header = struct.unpack_from(order + _HEADER, data)
    demand_link_type(header[6] & _LINK_MASK)
    at = _HEADER_SIZE
    while at < len(data):
        if at + _RECORD_SIZE > len(data):
            raise TraceError(f"it ends at byte {len(data)}, inside the packet at byte {at}")
        seconds, fraction, size, there_were = struct.unpack_from(order + _RECORD, data, at)
        body = data[at + _RECORD_SIZE : at + _RECORD_SIZE + size]
        if len(body) < size:
            raise TraceError(f"it ends at byte {len(data)}, inside the packet at byte {at}")
        if there_were > size:
            raise TraceError(f"the packet at byte {at} was cut from {there_were} bytes to {size}")
        yield Packet(seconds * _SECOND + fraction * unit_ns, body)
        at += _RECORD_SIZE + size


def _sniff(data: bytes) -> bool:
    return data[:4] in _MAGICS


def _keeps(trace: Trace) -> Trace:
    return recording_of([Packet(packet.at_ns, packet.data) for packet in packets_of(trace)])


FORMAT: Final = Format(
    name="pcap",
    title="pcap capture",
    suffixes=(".pcap", ".cap"),
    load=load,
    dump=dump,
    sniff=_sniff,
    keeps=_keeps,
    holds=frozenset({Layer.RF}),
)

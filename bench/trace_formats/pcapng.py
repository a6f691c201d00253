"""pcapng, Wireshark's own capture format: blocks in sections, with options and comments.

Written: one section, little-endian, an interface for each gate, nanoseconds, enhanced packets.
Read: both byte orders, several sections and interfaces, every resolution and offset of time,
enhanced, simple and obsolete packets; blocks and options it does not know are skipped.
"""

import struct
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Final

from apdu.event import Layer, Trace
from bench.trace_formats.format import Format, TraceError, utf8
from bench.trace_formats.packets import (
    LINK_TYPE,
    LONGEST_PACKET,
    Packet,
    demand_link_type,
    packets_of,
    recording_of,
)

_SECTION: Final = 0x0A0D0D0A  # the same in both byte orders
_INTERFACE, _OLD_PACKET, _SIMPLE_PACKET, _PACKET = 1, 2, 3, 6
_ORDERS: Final = {b"\x1a\x2b\x3c\x4d": ">", b"\x4d\x3c\x2b\x1a": "<"}
_BYTE_ORDER: Final = 0x1A2B3C4D
_FRAME: Final = 12  # type and length before a block's body, the length again behind it
_END_OF_OPTIONS, _COMMENT = 0, 1
_USER_APPLICATION, _NAME, _RESOLUTION, _OFFSET = 4, 2, 9, 14
_SECOND: Final = 10**9

Options = list[tuple[int, bytes]]


@dataclass(slots=True)
class _Interface:
    """per_second: the unit of its stamps. offset_s: added to them. longest: of a packet, or 0."""

    name: str = ""
    per_second: int = 10**6
    offset_s: int = 0
    longest: int = 0


@dataclass(slots=True)
class _Reader:
    """title: the first comment on a section."""

    order: str = "<"
    title: str = ""
    interfaces: list[_Interface] = field(default_factory=list)

    def packets(self, data: bytes) -> Iterator[Packet]:
        at = 0
        while at < len(data):
            kind, body = self._block(data, at)
            try:
                yield from self._read(kind, body)
            except (struct.error, IndexError):
                raise TraceError(f"the block at byte {at} is too short for its type") from None
            except TraceError as error:
                raise TraceError(f"in the block at byte {at} {error}") from None
            at += len(body) + _FRAME

    def _block(self, data: bytes, at: int) -> tuple[int, bytes]:
        if len(data) < at + _FRAME:
            raise TraceError(f"it ends at byte {len(data)}, inside the block at byte {at}")
        if data[at : at + 4] == _SECTION.to_bytes(4, "big"):
            self._begin_section(data[at + 8 : at + 12], at)
        kind, size = struct.unpack_from(self.order + "II", data, at)
        if size < _FRAME or size % 4:
            raise TraceError(f"the block at byte {at} has length {size}, which no block has")
        if at + size > len(data):
            raise TraceError(f"it ends at byte {len(data)}, inside the block at byte {at}")
        (again,) = struct.unpack_from(self.order + "I", data, at + size - 4)
        if again != size:
            raise TraceError(f"the block at byte {at} has length {size} and ends with {again}")
        return kind, data[at + 8 : at + size - 4]

    def _begin_section(self, magic: bytes, at: int) -> None:
        if magic not in _ORDERS:
            raise TraceError(f"the section at byte {at} has byte order {magic.hex().upper()}")
        self.order = _ORDERS[magic]
        self.interfaces = []

    def _read(self, kind: int, body: bytes) -> Iterable[Packet]:
        if kind == _SECTION:
            self._section(body)
        elif kind == _INTERFACE:
            self._interface(body)
        elif kind == _PACKET:
            number, high, low, size, there_were = self._unpack("IIIII", body)
            return [self._packet(number, high << 32 | low, size, there_were, body[20:])]
        elif kind == _OLD_PACKET:
            number, _, high, low, size, there_were = self._unpack("HHIIII", body)
            return [self._packet(number, high << 32 | low, size, there_were, body[20:])]
        elif kind == _SIMPLE_PACKET:
            (there_were,) = self._unpack("I", body)
            size = min(there_were, self.interfaces[0].longest or there_were)
            return [self._packet(0, 0, size, there_were, body[4:])]
        return ()

    def _unpack(self, layout: str, body: bytes) -> tuple[int, ...]:
        return struct.unpack_from(self.order + layout, body)

    def _section(self, body: bytes) -> None:
        self._unpack("IHHq", body)
        comments = [_text(value) for code, value in self._options(body[16:]) if code == _COMMENT]
        if comments and not self.title:
            self.title = comments[0]

    def _interface(self, body: bytes) -> None:
        link_type, _, longest = self._unpack("HHI", body)
        demand_link_type(link_type)
        said = dict(self._options(body[8:]))
        interface = _Interface(_text(said.get(_NAME, b"")), longest=longest)
        if _RESOLUTION in said:
            base, power = (2, 0x7F) if said[_RESOLUTION][0] & 0x80 else (10, 0x7F)
            interface.per_second = base ** (said[_RESOLUTION][0] & power)
        if _OFFSET in said:
            (interface.offset_s,) = struct.unpack(self.order + "q", said[_OFFSET])
        self.interfaces.append(interface)

    def _packet(self, number: int, stamp: int, size: int, there_were: int, rest: bytes) -> Packet:
        if number >= len(self.interfaces):
            raise TraceError(f"a packet is of interface {number}, which is not described")
        if size > len(rest):
            raise TraceError(f"a packet has {size} bytes and {len(rest)} are there")
        if there_were > size:
            raise TraceError(f"a packet was cut from {there_were} bytes to {size}")
        on = self.interfaces[number]
        at_ns = stamp * _SECOND // on.per_second + on.offset_s * _SECOND
        options = self._options(rest[_padded(size) :])
        comments = tuple(_text(value) for code, value in options if code == _COMMENT)
        return Packet(at_ns, rest[:size], on.name, comments)

    def _options(self, data: bytes) -> Options:
        options: Options = []
        at = 0
        while at < len(data):
            code, size = struct.unpack_from(self.order + "HH", data, at)
            if code == _END_OF_OPTIONS:
                break
            if at + 4 + size > len(data):
                raise TraceError(f"option {code} says {size} bytes and {len(data) - at - 4} follow")
            options.append((code, data[at + 4 : at + 4 + size]))
            at += 4 + _padded(size)
        return options


def _padded(size: int) -> int:
    return size + -size % 4


def _text(value: bytes) -> str:
    return value.decode(errors="replace")


def load(data: bytes) -> Trace:
    """Read pcapng. Raises TraceError."""
    if data[:4] != _SECTION.to_bytes(4, "big"):
        begins = data[:4].hex().upper() or "nothing"
        raise TraceError(f"it begins with {begins}, not a section header")
    reader = _Reader()
    trace = recording_of(list(reader.packets(data)))
    trace.title = reader.title
    return trace


def dump(trace: Trace) -> bytes:
    """A recording as pcapng. Raises TraceError."""
    packets = packets_of(trace)
    gates = list(dict.fromkeys(packet.gate for packet in packets)) or [""]
    titles = [(_COMMENT, trace.title.encode(errors="replace"))] if trace.title else []
    section = struct.pack("<IHHq", _BYTE_ORDER, 1, 0, -1)
    blocks = [_block(_SECTION, section, [*titles, (_USER_APPLICATION, b"tapbench")])]
    for gate in gates:
        named = [(_NAME, gate.encode(errors="replace"))] if gate else []
        interface = struct.pack("<HHI", LINK_TYPE, 0, LONGEST_PACKET)
        blocks.append(_block(_INTERFACE, interface, [*named, (_RESOLUTION, b"\x09")]))
    blocks += [_packet_block(gates.index(packet.gate), packet) for packet in packets]
    return b"".join(blocks)


def _packet_block(number: int, packet: Packet) -> bytes:
    if packet.at_ns >= 1 << 64:
        raise TraceError("its time is past 2554, where the format ends")
    size = len(packet.data)
    stamp = (packet.at_ns >> 32, packet.at_ns & 0xFFFFFFFF)
    body = struct.pack("<IIIII", number, *stamp, size, size)
    body += packet.data.ljust(_padded(size), b"\0")
    comments = [(_COMMENT, comment.encode(errors="replace")) for comment in packet.comments]
    return _block(_PACKET, body, comments)


def _block(kind: int, body: bytes, options: Options) -> bytes:
    for code, value in options:
        if len(value) > 0xFFFF:
            raise TraceError(f"a remark or name has {len(value)} bytes; an option holds 65535")
        body += struct.pack("<HH", code, len(value)) + value.ljust(_padded(len(value)), b"\0")
    if options:
        body += bytes(4)
    size = struct.pack("<I", len(body) + _FRAME)
    return struct.pack("<I", kind) + size + body + size


def _sniff(data: bytes) -> bool:
    return data[:4] == _SECTION.to_bytes(4, "big") and data[8:12] in _ORDERS


def _keeps(trace: Trace) -> Trace:
    kept = recording_of(packets_of(trace))
    kept.title = utf8(trace.title)
    return kept


FORMAT: Final = Format(
    name="pcapng",
    title="pcapng capture",
    suffixes=(".pcapng", ".ntar"),
    load=load,
    dump=dump,
    sniff=_sniff,
    keeps=_keeps,
    holds=frozenset({Layer.RF, Layer.GATE}),
)

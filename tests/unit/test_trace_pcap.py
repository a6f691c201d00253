"""pcap and pcapng, byte for byte (domain reference 7.1)."""

import struct
from datetime import datetime

import pytest

from apdu.event import Event, Layer, Source, Trace
from bench.clock import SHANGHAI
from bench.trace_formats import FORMATS, TraceError

PCAP, PCAPNG = FORMATS["pcap"], FORMATS["pcapng"]
STARTED = datetime(2026, 10, 1, 8, 0, 0, 250_000, SHANGHAI)
SECOND = int(STARTED.timestamp())
RATS = bytes.fromhex("E0803173")
REQA = Event(5, Source.PCD, Layer.RF, b"\x26", tail=7, tap=1)
ON = Event(0, Source.FIELD, Layer.RF, b"\1", tap=1)
OFF = Event(9, Source.FIELD, Layer.RF, b"\0", tap=1)
TRACE = Trace([ON, REQA, Event(8, Source.PCD, Layer.RF, RATS, has_crc=True, tap=1), OFF], STARTED)
FRAMES = ["00FC0000", "00FE000126", "00FE0004E0803173", "00FD0000"]


def pcap(order: str, magic: int, stamp: tuple[int, int], link_type: int = 264) -> bytes:
    head = struct.pack(order + "IHHiIII", magic, 2, 4, 0, 0, 65535, link_type)
    bodies = [bytes.fromhex(packet) for packet in FRAMES]
    return head + b"".join(struct.pack(order + "IIII", *stamp, len(b), len(b)) + b for b in bodies)


def block(order: str, kind: int, body: bytes) -> bytes:
    size = struct.pack(order + "I", len(body) + 12)
    return struct.pack(order + "I", kind) + size + body + size


def option(order: str, code: int, value: bytes) -> bytes:
    return struct.pack(order + "HH", code, len(value)) + value.ljust(-(-len(value) // 4) * 4, b"\0")


def section(order: str, options: bytes = b"") -> bytes:
    return block(order, 0x0A0D0D0A, struct.pack(order + "IHHq", 0x1A2B3C4D, 1, 0, -1) + options)


def interface(order: str, options: bytes = b"", link_type: int = 264) -> bytes:
    return block(order, 1, struct.pack(order + "HHI", link_type, 0, 65535) + options)


def packet(order: str, data: bytes, stamp: int, number: int = 0, options: bytes = b"") -> bytes:
    head = struct.pack(order + "IIIII", number, stamp >> 32, stamp & 0xFFFFFFFF, *[len(data)] * 2)
    return block(order, 6, head + data.ljust(-(-len(data) // 4) * 4, b"\0") + options)


def test_pcap_is_written_as_specified_with_nanoseconds():
    head = "4D3CB2A1 0200 0400 00000000 00000000 FFFF0000 08010000"
    data = PCAP.dump(TRACE)
    assert data[:24] == bytes.fromhex(head)
    at, seen = 24, []
    while at < len(data):
        seconds, ns, size, whole = struct.unpack_from("<IIII", data, at)
        seen.append((seconds - SECOND, ns, data[at + 16 : at + 16 + size].hex().upper()))
        assert size == whole
        at += 16 + size
    times = [250_000_000, 250_000_005, 250_000_008, 250_000_009]
    assert seen == [(0, ns, frame) for ns, frame in zip(times, FRAMES, strict=True)]


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize(("magic", "unit"), [(0xA1B2C3D4, 1000), (0xA1B23C4D, 1)])
def test_pcap_is_read_in_both_byte_orders_and_resolutions(order, magic, unit):
    trace = PCAP.load(pcap(order, magic, (SECOND, 250_000_000 // unit)))
    assert trace.started == STARTED
    assert [e.data for e in trace.events] == [b"\1", b"\x26", RATS, b"\0"]
    assert {e.t_ns for e in trace.events} == {0}


def test_a_recording_in_pcap_comes_back():
    assert PCAP.load(PCAP.dump(TRACE)) == TRACE


@pytest.mark.parametrize(
    ("code", "source", "data", "has_crc"),
    [
        (0xFE, Source.PCD, RATS, True),
        (0xFF, Source.PICC, RATS, True),
        (0xFA, Source.PCD, RATS[:2], None),
        (0xFB, Source.PICC, RATS[:2], None),
    ],
)
def test_a_frame_whose_checksum_was_dropped_is_written_so(code, source, data, has_crc):
    event = Event(0, source, Layer.RF, data, has_crc=has_crc, tap=1)
    [_, frame, _] = PCAP.load(PCAP.dump(Trace([event]))).events
    assert frame == event
    assert bytes([0, code, 0, len(data)]) + data in PCAP.dump(Trace([event]))


@pytest.mark.parametrize("known", [PCAP, PCAPNG], ids=["pcap", "pcapng"])
def test_the_field_is_put_around_each_tap(known):
    taps = [
        Event(n, Source.PCD, Layer.RF, RATS, 3, has_crc=True, tap=tap)
        for n, tap in [(10, 1), (20, 1), (30, 2)]
    ]
    events = known.load(known.dump(Trace(taps))).events
    assert [(e.source, e.data[:1], e.t_ns, e.tap) for e in events if e.source is Source.FIELD] == [
        (Source.FIELD, b"\1", 10, 1),
        (Source.FIELD, b"\0", 23, 1),
        (Source.FIELD, b"\1", 30, 2),
        (Source.FIELD, b"\0", 33, 2),
    ]


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (lambda d: b"\0" + d[1:], "begins with 003CB2A1, not a magic number"),
        (lambda d: b"", "begins with nothing"),
        (lambda d: d[:20], "ends at byte 20, inside its header"),
        (lambda d: d[:20] + b"\1\0\0\0", r"link type is 1 \(Ethernet\); expected 264, ISO 14443"),
        (lambda d: d[:20] + b"\x39\5\0\0", "link type is 1337; expected 264"),
        (lambda d: d[:-1], r"ends at byte \d+, inside the packet at byte 89"),
        (
            lambda d: d[:36] + b"\x09\0\0\0" + d[40:],
            "the packet at byte 24 was cut from 9 bytes to 4",
        ),
        (lambda d: d[:40] + b"\1" + d[41:], "packet 1: its version is 1; expected 0"),
        (lambda d: d[:41] + b"\x77" + d[42:], "packet 1: its event is 77; expected FA to FF"),
        (lambda d: d[:43] + b"\1" + d[44:], "packet 1: its length field says 1 bytes and 0 follow"),
        (lambda d: d[:61] + b"\xfd" + d[62:], "packet 2: a field event has 1 bytes; expected none"),
    ],
)
def test_a_bad_pcap_says_what_and_where(change, sentence):
    with pytest.raises(TraceError, match=sentence):
        PCAP.load(change(PCAP.dump(TRACE)))


def test_pcapng_has_an_interface_for_each_gate_and_nanoseconds():
    two = [
        Event(n, Source.PCD, Layer.RF, RATS, has_crc=True, tap=n, gate=gate)
        for n, gate in [(1, "A1"), (2, "出口")]
    ]
    data = PCAPNG.dump(Trace(two, title="two gates"))
    assert option("<", 1, b"two gates") in data
    assert option("<", 9, b"\x09") in data
    assert option("<", 2, b"A1") in data
    assert option("<", 2, "出口".encode()) in data
    trace = PCAPNG.load(data)
    assert [(e.gate, e.tap) for e in trace.events if e.data == RATS] == [("A1", 1), ("出口", 2)]
    assert trace.title == "two gates"


@pytest.mark.parametrize("order", ["<", ">"])
def test_pcapng_is_read_with_what_it_does_not_know_skipped(order):
    unknown = block(order, 0x00000BAD, b"\0" * 8) + block(order, 5, b"\0" * 12)
    named = option(order, 2, b"sniffer") + option(order, 77, b"?") + option(order, 0, b"")
    comment = option(order, 4, b"\0" * 8) + option(order, 1, "好".encode()) + bytes(4)
    data = section(order, option(order, 3, b"an OS")) + unknown + interface(order, named)
    data += packet(order, bytes.fromhex(FRAMES[0]), SECOND * 10**6, options=comment) + unknown
    data += packet(order, bytes.fromhex(FRAMES[1]), SECOND * 10**6 + 5)
    trace = PCAPNG.load(data)
    assert [(e.t_ns, e.note, e.gate) for e in trace.events] == [
        (0, "好", "sniffer"),
        (5000, "", "sniffer"),
    ]
    assert trace.started == STARTED.replace(microsecond=0)


@pytest.mark.parametrize(
    ("resolution", "offset", "stamp", "ns"),
    [
        (None, None, 7, 7000),
        (b"\x09", None, 7, 7),
        (b"\x00", None, 7, 7 * 10**9),
        (b"\x8a", None, 1024 * 3, 3 * 10**9),  # 2 to the -10
        (b"\x0c", None, 7000, 7),  # picoseconds
        (b"\x09", 2, 7, 2 * 10**9 + 7),
    ],
)
def test_every_resolution_and_offset_of_time_is_understood(resolution, offset, stamp, ns):
    options = b"" if resolution is None else option("<", 9, resolution)
    options += b"" if offset is None else option("<", 14, struct.pack("<q", offset))
    data = section("<") + interface("<", options) + packet("<", bytes.fromhex(FRAMES[0]), stamp)
    [event] = PCAPNG.load(data).events
    assert event.t_ns == ns


def test_simple_and_obsolete_packets_and_a_second_interface_are_read():
    body = bytes.fromhex(FRAMES[1])
    simple = block("<", 3, struct.pack("<I", len(body)) + body + bytes(3))
    obsolete = struct.pack("<HHIIII", 1, 0, 0, 9, len(body), len(body)) + body + bytes(3)
    data = section("<") + interface("<") + interface("<", option("<", 9, b"\x09"))
    events = PCAPNG.load(data + simple + block("<", 2, obsolete)).events
    assert [(e.t_ns, e.data) for e in events] == [(0, b"\x26"), (9, b"\x26")]


def test_a_new_section_has_its_own_byte_order_and_interfaces():
    one = section("<") + interface("<") + packet("<", bytes.fromhex(FRAMES[1]), 1)
    two = section(">") + interface(">") + packet(">", bytes.fromhex(FRAMES[1]), 2)
    assert [e.t_ns for e in PCAPNG.load(one + two).events] == [1000, 2000]
    with pytest.raises(TraceError, match="a packet is of interface 0, which is not described"):
        PCAPNG.load(one + section("<") + packet("<", bytes.fromhex(FRAMES[1]), 1))


@pytest.mark.parametrize(
    ("data", "sentence"),
    [
        (b"\x0a\x0d\x0d", "begins with 0A0D0D, not a section header"),
        (section("<")[:-1], "ends at byte 27, inside the block at byte 0"),
        (section("<").replace(b"\x1a", b"\x1b"), "byte order 4D3C2B1B"),
        (section("<") + interface("<", link_type=1), r"at byte 28 its link type is 1 \(Ethernet\)"),
        (section("<") + b"\1\0\0\0\x0d\0\0\0" + bytes(12), "at byte 28 has length 13, which no"),
        (section("<") + block("<", 1, b"\0" * 4), "the block at byte 28 is too short for its type"),
        (section("<") + block("<", 3, b"\0" * 4), "at byte 28 is too short for its type"),
        (section("<")[:-4] + b"\x20\0\0\0", "has length 28 and ends with 32"),
        (
            section("<") + interface("<", struct.pack("<HH", 2, 99)),
            "at byte 28 option 2 says 99 bytes and 0 follow",
        ),
        (
            section("<") + interface("<") + block("<", 6, struct.pack("<IIIII", 0, 0, 0, 9, 9)),
            "a packet has 9 bytes and 0 are there",
        ),
        (
            section("<") + interface("<") + block("<", 6, struct.pack("<IIIII", 0, 0, 0, 0, 9)),
            "a packet was cut from 9 bytes to 0",
        ),
    ],
)
def test_a_bad_pcapng_says_what_and_where(data, sentence):
    with pytest.raises(TraceError, match=sentence):
        PCAPNG.load(data)


def test_what_was_not_on_air_is_a_comment_on_the_packet_after_it():
    stage = Event(2, Source.STAGE, Layer.GATE, name="entry", gate="A1")
    asked = Event(3, Source.PCD, Layer.APDU, b"\x80\x70", to="psam", tap=1)
    decision = Event(20, Source.DECISION, Layer.GATE, name="PASS", note="进站", tap=1)
    told = Trace([ON, stage, asked, REQA, OFF, decision], STARTED)
    data = PCAPNG.dump(told)
    assert b'tapbench before {"after_ns": -3, "dir": "stage", "layer": "gate"' in data
    assert b'tapbench after {"after_ns": 11, "dir": "decision"' in data
    assert PCAPNG.load(data) == told
    assert PCAP.load(PCAP.dump(told)).events == [ON, REQA, OFF], "pcap has no comments"


def test_what_bytes_cannot_say_of_a_frame_is_a_comment_on_it():
    odd = Event(5, Source.PCD, Layer.RF, b"\x26", tail=5, parity=b"\0", tap=1, name="poll")
    flipped = Event(6, Source.PICC, Layer.RF, RATS, parity=b"\0\0\0\0", has_crc=True, tap=1)
    told = Trace([ON, odd, flipped, OFF], STARTED)
    assert PCAPNG.load(PCAPNG.dump(told)) == told


def test_a_remark_is_a_comment_as_it_is_and_one_that_looks_like_ours_is_wrapped():
    for note in ("lost", "two\nlines", 'tapbench {"tap": 7}', "tapbench before"):
        told = Trace(
            [ON, Event(5, Source.PCD, Layer.RF, RATS, has_crc=True, tap=1, note=note), OFF]
        )
        assert PCAPNG.load(PCAPNG.dump(told)).events == told.events


def test_what_pcap_cannot_date_is_refused():
    early = Trace([Event(-1, Source.PCD, Layer.RF, RATS, has_crc=True)])
    late = Trace([REQA], datetime(2110, 1, 1, tzinfo=SHANGHAI))
    for known in (PCAP, PCAPNG):
        with pytest.raises(TraceError, match="before 1970"):
            known.dump(early)
        with pytest.raises(TraceError, match="no zone"):
            known.dump(Trace([REQA], datetime(2026, 1, 1)))
    with pytest.raises(TraceError, match="past 2106"):
        PCAP.dump(late)
    assert PCAPNG.load(PCAPNG.dump(late)).started == late.started


def test_what_is_longer_than_the_format_holds_is_refused():
    long = Trace([Event(0, Source.PCD, Layer.RF, bytes(65536), has_crc=True)])
    with pytest.raises(TraceError, match="a frame has 65536 bytes; a packet holds 65531"):
        PCAP.dump(long)
    noted = Trace([Event(0, Source.PCD, Layer.RF, RATS, has_crc=True, note="x" * 65536)])
    with pytest.raises(TraceError, match="has 65536 bytes; an option holds 65535"):
        PCAPNG.dump(noted)
    with pytest.raises(TraceError, match="past 2554"):
        PCAPNG.dump(Trace([REQA], datetime(2600, 1, 1, tzinfo=SHANGHAI)))


def test_a_packet_shorter_than_its_header_is_refused():
    with pytest.raises(TraceError, match="packet 1: it has 3 bytes; expected 4 or more"):
        PCAPNG.load(section("<") + interface("<") + packet("<", b"\0\xfc\0", 0))

"""Proxmark3 .trace, byte for byte (domain reference 7.2)."""

import pytest

from apdu.event import Event, Layer, Source, Trace
from apdu.frame import odd_parity
from bench.trace_formats import FORMATS, TraceError

PM3 = FORMATS["pm3"]
REQA = bytes.fromhex("00000000 e003 0100 26 00")
ATQA = bytes.fromhex("c4080000 4009 0280 0400 40")
SELECT = bytes.fromhex("93700411A2B304DBC7")
WRAP_NS = 2**32 * 25_000 // 339


def frame(t_ns: int, data: bytes, source: Source = Source.PCD, **rest) -> Event:
    return Event(t_ns, source, Layer.RF, data, **rest)


def record(time: int, data: bytes, duration: int = 0) -> bytes:
    head = time.to_bytes(4, "little") + duration.to_bytes(2, "little")
    return head + len(data).to_bytes(2, "little") + data + bytes(-(-len(data) // 8))


def test_the_published_layout_is_written_and_read():
    reqa = frame(0, b"\x26", tail=7)
    atqa = frame(165_487, b"\x04\x00", Source.PICC)
    data = PM3.dump(Trace([reqa, atqa]))
    assert data == REQA + ATQA
    first, second = PM3.load(data).events
    assert (first.t_ns, first.tail, first.has_crc, first.duration_ns) == (0, 7, False, 73_156)
    assert (second.t_ns, second.tail, second.source) == (165_487, 8, Source.PICC)
    assert second.duration_ns == 174_631
    assert first.parity is None, "the parity bits are right"


@pytest.mark.parametrize(
    ("duration", "tail"),
    [(992, 7), (1056, 7), (7 * 128 + 64, 7), (4 * 128 + 64, 4), (9 * 128 + 96, 8), (0, 7), (40, 8)],
)
def test_the_duration_tells_a_short_frame(duration, tail):
    [event] = PM3.load(record(0, b"\x26", duration)).events
    assert event.tail == tail


def test_a_split_byte_is_counted_on_both_sides():
    """Anticollision with 4 bits of the third byte known: each side sends its own bits of it."""
    asked = frame(0, bytes.fromhex("932405"), tail=4)
    answer = frame(500_000, bytes.fromhex("F0A2B304"), Source.PICC, head=4)
    first, second = PM3.load(PM3.dump(Trace([asked, answer]))).events
    assert (first.tail, first.head, first.has_crc) == (4, 0, False)
    assert (second.tail, second.head, second.has_crc) == (8, 4, False)


def test_each_wrong_parity_bit_is_kept():
    wrong = bytes([*odd_parity(SELECT)[:4], 1 - odd_parity(SELECT)[4], *odd_parity(SELECT)[5:]])
    data = PM3.dump(Trace([frame(0, SELECT, parity=wrong, has_crc=True)]))
    assert len(data) == 8 + 9 + 2, "nine parity bits take two bytes"
    assert PM3.load(data).events[0].parity == wrong


def test_the_time_wraps_and_is_unwrapped():
    times = [0, 300 * 10**9, 600 * 10**9, 601 * 10**9]
    data = PM3.dump(Trace([frame(t, SELECT, has_crc=True) for t in times]))
    stamps = [int.from_bytes(data[at : at + 4], "little") for at in range(0, len(data), 19)]
    assert max(stamps) < 2**32
    assert stamps[2] < stamps[1]
    assert [event.t_ns for event in PM3.load(data).events] == times


def test_a_small_step_back_is_no_wrap():
    data = record(50_000, SELECT) + record(49_000, SELECT) + record(10, SELECT)
    times = [event.t_ns for event in PM3.load(data).events]
    assert times[1] < times[0]
    assert times[2] < times[1]
    [_, wrapped] = PM3.load(record(2**32 - 1, SELECT) + record(9, SELECT)).events
    assert wrapped.t_ns - WRAP_NS == pytest.approx(9 * 25_000 / 339, abs=2)


def test_what_lasts_longer_than_16_bits_say_is_read_as_unknown():
    long = frame(0, bytes(258), has_crc=True, duration_ns=22_000_000)
    data = PM3.dump(Trace([long]))
    assert data[4:6] == b"\xff\xff"
    assert PM3.load(data).events[0].duration_ns == 0


def test_a_checksum_that_was_dropped_is_put_back():
    [event] = PM3.load(PM3.dump(Trace([frame(0, SELECT[:-2], has_crc=None)]))).events
    assert (event.data, event.has_crc) == (SELECT, True)


def test_frames_are_all_there_is():
    field = Event(0, Source.FIELD, Layer.RF, b"\1")
    decision = Event(3, Source.DECISION, Layer.GATE, name="PASS")
    assert PM3.dump(Trace([field, decision])) == b""
    assert PM3.load(b"") == Trace()


@pytest.mark.parametrize(
    ("data", "sentence"),
    [
        (REQA[:5], "ends at byte 5, inside the record at byte 0"),
        (REQA + ATQA[:-1], "ends at byte 20, inside the record at byte 10"),
        (b"\0" * 6 + b"\xff\x7f", "ends at byte 8, inside the record at byte 0"),
    ],
)
def test_a_bad_trace_says_where(data, sentence):
    with pytest.raises(TraceError, match=sentence):
        PM3.load(data)


def test_a_frame_longer_than_15_bits_say_is_refused():
    with pytest.raises(TraceError, match="a frame has 40000 bytes; a record holds 32767"):
        PM3.dump(Trace([frame(0, bytes(40_000), has_crc=True)]))


def test_zeros_are_not_taken_for_a_trace():
    assert not PM3.sniff(bytes(64))
    assert not PM3.sniff(bytes(80_000_000)), "at once"
    assert PM3.sniff(REQA + ATQA)
    assert PM3.sniff(bytes(8) + REQA), "a frame of no bit"

"""Every format, over recordings and files no person would make."""

from datetime import UTC, datetime, timedelta, timezone
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from apdu.crc import append_crc
from apdu.event import Event, Layer, Source, Trace
from bench.trace_formats import FORMATS, TraceError
from bench.trace_formats.layers import exchanges, frames
from emulator.radio.air import Air
from emulator.radio.faults import NOISE, FaultKind, Noise
from emulator.radio.medium import drive
from emulator.radio.pcd import LinkDead, PcdIsoDep, find
from emulator.radio.station import Station
from tests.recordings import tap_on_air
from tests.unit.pcd import EchoCard, with_ats

quickly = settings(max_examples=50)
each_format = pytest.mark.parametrize("name", FORMATS)

BLOCKS = ("02805C000204", "03805C000204", "12", "A2", "B3", "C2", "F201", "0A05", "E080", "5000")
KNOWN_FRAMES = (
    *(append_crc(bytes.fromhex(block)) for block in BLOCKS),
    *map(bytes.fromhex, ("26", "52", "0400", "9320", "932405", "0411A2B304", "93700411A2B304DBC7")),
)
TEXTS = st.text(max_size=12) | st.sampled_from(("", "A1", 'tapbench {"tap": 3}', "# > 80"))
ZONES = st.sampled_from((UTC, timezone(timedelta(hours=8)), timezone(-timedelta(hours=3))))


@st.composite
def events(draw) -> Event:
    data = draw(st.binary(max_size=20) | st.sampled_from(KNOWN_FRAMES))
    bits = st.binary(min_size=len(data), max_size=len(data)).map(lambda b: bytes(n & 1 for n in b))
    source, layer = draw(st.sampled_from(Source)), draw(st.sampled_from(Layer))
    return Event(
        draw(st.integers(0, 10**6) | st.integers(0, 10**13)),
        source,
        layer,
        draw(st.sampled_from((b"\0", b"\1"))) if source is Source.FIELD else data,
        draw(st.just(0) | st.integers(0, 10**8)),
        draw(st.just(8) | st.integers(1, 8)),
        draw(st.just(0) | st.integers(0, 7)),
        draw(st.none() | bits) if source is not Source.FIELD else None,
        draw(st.sampled_from((True, False, None))),
        draw(st.sampled_from(("card", "card", "psam"))),
        draw(st.integers(0, 3)),
        draw(TEXTS),
        draw(TEXTS),
        draw(TEXTS),
    )


traces = st.builds(
    Trace,
    st.lists(events(), max_size=12),
    st.none() | st.datetimes(datetime(1972, 1, 1), datetime(2100, 1, 1), timezones=ZONES),
    TEXTS,
)


@each_format
@quickly
@given(traces)
def test_what_a_format_keeps_comes_back(name, trace):
    known = FORMATS[name]
    data = known.dump(trace)
    back = known.load(data)
    assert back == known.keeps(trace)
    assert known.keeps(back) == back, "what was kept once is kept again"
    assert known.dump(back) == data, "a file read and written is the same file"


@quickly
@given(traces)
def test_json_lines_lose_nothing(trace):
    known = FORMATS["jsonl"]
    assert known.load(known.dump(trace)) == trace == known.keeps(trace)


@quickly
@given(traces)
def test_pcapng_loses_no_frame_and_nothing_said_of_it_but_how_long_it_took(trace):
    known = FORMATS["pcapng"]
    told, back = frames(trace), frames(known.load(known.dump(trace)))
    ends = {Source.PCD, Source.PICC}

    def shown(all_: list[Event]) -> list[tuple]:
        return [
            (e.source, e.data, e.tail, e.head, e.parity, e.has_crc, e.name, e.note, e.gate)
            for e in all_
            if e.source in ends
        ]

    assert shown(back) == shown(told)


@quickly
@given(traces)
def test_no_format_loses_an_exchange_with_the_card_once_it_is_whole(trace):
    told = [(x.command, x.response) for x in exchanges(trace) if x.to == "card"]
    for name in ("text", "pcscspy", "jsonl"):
        known = FORMATS[name]
        back = exchanges(known.load(known.dump(trace)))
        assert [(x.command, x.response) for x in back if x.to == "card"] == told


@quickly
@given(traces)
def test_any_recording_has_frames_and_exchanges(trace):
    assert all(e.layer is Layer.RF for e in frames(trace))
    for x in exchanges(trace):
        assert isinstance(x.command, bytes)


@each_format
@given(data=st.binary(max_size=200))
def test_any_bytes_are_read_or_refused_in_a_sentence(name, data):
    read_or_refused(name, data)


@each_format
def test_a_file_cut_anywhere_is_refused_or_a_shorter_recording(name):
    known = FORMATS[name]
    trace = tap_on_air(fsdi=2).trace
    data = known.dump(trace)
    whole = len(known.load(data).events)
    for size in range(len(data)):
        count = read_or_refused(name, data[:size])
        assert count is None or count <= whole


@each_format
@pytest.mark.parametrize("seed", range(4))
def test_a_file_with_bytes_changed_is_read_or_refused(name, seed):
    rng = Random(seed)
    data = FORMATS[name].dump(tap_on_air(fsdi=2).trace)
    for _ in range(80):
        bent = bytearray(data)
        for _ in range(rng.randint(1, 4)):
            bent[rng.randrange(len(bent))] = rng.choice((0, 0xFF, rng.randrange(256)))
        read_or_refused(name, bytes(bent))


def read_or_refused(name: str, data: bytes) -> int | None:
    """How many events there are, or None. What was read can be worked with and written."""
    known = FORMATS[name]
    known.sniff(data)
    try:
        trace = known.load(data)
    except TraceError as error:
        return demand_sentence(str(error))
    frames(trace)
    exchanges(trace)
    try:
        again = known.dump(trace)
    except TraceError:
        return len(trace.events)  # a comment of ours, bent: something before 1970
    assert known.dump(known.load(again)) == again
    return len(trace.events)


def demand_sentence(told: str) -> None:
    assert told
    assert told.isprintable()


@quickly
@given(st.integers(0, 2**32), st.floats(0, 0.2))
def test_a_noisy_conversation_is_read_out_of_its_frames(seed, rate):
    """Lost, bent, cut, copied and late frames: what the reader got is what the frames say."""
    rng = Random(seed)
    seen: list[Event] = []
    card = EchoCard(with_ats(fsci=rng.choice((0, 1, 2, 5, 8)), tc=2))
    air = Air(faults=Noise(seed, rate, (*NOISE, FaultKind.DELAYED)), observer=seen.append)
    air.bring(Station(card))
    air.field_on()
    isodep = PcdIsoDep(rng.choice((0, 1, 2, 5, 8)), rng.choice((None, 3)), tries=5)
    if drive(find(), air) is None or drive(isodep.activate(), air) is None:
        return
    said = []
    is_dead = False
    for number in range(6):
        command = number.to_bytes(2, "big") + rng.randbytes(rng.choice((1, 13, 29, 60, 130)))
        try:
            said.append((command, drive(isodep.transmit(command), air)))
        except LinkDead:
            is_dead = True
            break
    found = [(x.command, x.response) for x in exchanges(Trace(seen))]
    assert found[: len(said)] == said
    assert len(found) <= len(said) + is_dead
    for name in ("pcapng", "pcap", "pm3"):
        again = FORMATS[name].load(FORMATS[name].dump(Trace(seen)))
        assert [(x.command, x.response) for x in exchanges(again)] == found

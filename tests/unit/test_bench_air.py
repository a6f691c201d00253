"""`bench air` against arithmetic of its own: lengths from a tap in process, times by hand.

Nothing here is taken from `emulator.radio.timing`: the carrier, bits, start bits and delays are
written down once more.
"""

from collections.abc import Iterator
from dataclasses import replace
from fractions import Fraction
from time import perf_counter_ns
from xml.etree import ElementTree

import pytest

import fixtures
from apdu.bcd import Moment
from apdu.event import Event, Source
from apdu.files import EF1E
from apdu.purse import CAPP
from bench.rig.air import AirCoupler
from bench.scenario import ENTERED_AT, ENTRY_STATION, ENTRY_TERMINAL, make_gate
from bench.throughput.air import FAST_TA, AirTap, air_tap, fast
from bench.throughput.air_picture import air_svg
from emulator.picc import Contactless
from emulator.radio.air import Air
from emulator.radio.medium import drive
from emulator.radio.station import Station
from fixtures.timing import load_timing
from reader.gate import Direction
from reader.psam_link import SamIdentity
from reader.session import Send, Txn, run
from reader.transactions import balance, purchase, select_purse
from reader.transport.decorators import Exchange, Recording
from reader.transport.inprocess import InProcess
from tests.unit.talk import x

CARRIER = Fraction(13_560_000)
RATES = range(4)


def ns(periods: int) -> int:
    """Carrier periods in whole nanoseconds."""
    return round(periods * 10**9 / CARRIER)


def sent_ns(size: int, rate: int = 0, has_crc: bool = True) -> int:
    """A reader's frame: one start bit, nine bits a byte, 128 periods a bit at 106 kbit/s."""
    return ns((1 + 9 * (size + 2 * has_crc)) * 128 // 2**rate)


def answered_ns(size: int, rate: int = 0, has_crc: bool = True) -> int:
    """A card's frame: above 106 kbit/s it starts with 32 cycles of the subcarrier, 847.5 kHz."""
    start = 32 * 16 if rate else 128
    return ns(start + 9 * (size + 2 * has_crc) * 128 // 2**rate)


def to_card_ns(rate: int = 0) -> int:
    """Between a reader's last bit and the card's first."""
    return ns(1116 if rate else 1172)


TO_READER_NS = ns(1172)


def activation_ns(ats_size: int, rate: int) -> int:
    """REQA, anticollision, SELECT, RATS, and PPS where the rate is higher: all at 106 kbit/s."""
    turns = [
        (ns((1 + 7) * 128), answered_ns(2, has_crc=False)),
        (sent_ns(2, has_crc=False), answered_ns(5, has_crc=False)),
        (sent_ns(7), answered_ns(1)),
        (sent_ns(2), answered_ns(ats_size)),
    ]
    if rate:
        turns.append((sent_ns(3), answered_ns(1)))
    return sum(a + to_card_ns() + b for a, b in turns) + TO_READER_NS * (len(turns) - 1)


def exchange_ns(command: int, response: int, rate: int) -> int:
    """One APDU in one block each way, with the delay before it: PCB is a byte more."""
    return (
        TO_READER_NS
        + sent_ns(1 + command, rate)
        + to_card_ns(rate)
        + answered_ns(1 + response, rate)
    )


def in_process() -> list[tuple[int, int]]:
    """Lengths of commands and responses of the entry tap, from a transcript without a radio."""
    card = fixtures.card("student", balance=5000)
    gate = make_gate(Direction.ENTRY, ENTRY_STATION, ENTRY_TERMINAL, ENTERED_AT, 1)
    seen: list[Exchange] = []
    card.power_on()
    link = Recording(InProcess(card), perf_counter_ns, "card", seen)
    run(gate.tap(), {"card": link, "psam": gate.psam})
    return [(len(step.command), len(step.response or b"")) for step in seen]


@pytest.mark.parametrize("rate", RATES)
def test_a_tap_takes_what_the_arithmetic_says_to_the_nanosecond(rate: int):
    tap, apdus = air_tap(rate), in_process()
    assert len(apdus) == 10
    assert tap.activation == activation_ns(5, rate)
    assert tap.blocks == sum(exchange_ns(*lengths, rate) for lengths in apdus)
    assert tap.whole == tap.activation + tap.blocks
    assert tap.psam == 0
    assert tap.kbit == (106, 212, 424, 848)[rate]


@pytest.mark.parametrize("rate", RATES)
def test_time_on_air_and_bytes_are_counted(rate: int):
    tap, apdus = air_tap(rate), in_process()
    frames = 2 * (4 + (rate > 0) + len(apdus))
    assert len(tap.frames) == frames
    gaps = [
        after.t_ns - before.t_ns - before.duration_ns
        for before, after in zip(tap.frames, tap.frames[1:], strict=False)
    ]
    assert tap.on_air == tap.whole - sum(gaps)
    assert set(gaps) == {TO_READER_NS, to_card_ns(rate)}
    pps = (5, 3) if rate else (0, 0)
    commands, responses = (sum(sizes) for sizes in zip(*apdus, strict=True))
    assert tap.bytes_of(Source.PCD) == 1 + 2 + 9 + 4 + pps[0] + commands + 3 * len(apdus)
    assert tap.bytes_of(Source.PICC) == 2 + 5 + 3 + 7 + pps[1] + responses + 3 * len(apdus)
    assert tap.taps_per_minute == pytest.approx(60e9 / (tap.whole + 5_100_000))


def test_a_timing_adds_what_card_and_psam_compute():
    bare, budget = air_tap(0), air_tap(0, load_timing("budget"))
    s_wtx_ns = sent_ns(2) + answered_ns(2) + TO_READER_NS + to_card_ns()
    computing_ns = 173_000_000
    # The delays of 86.4 us pass while the card computes; so does S(WTX), but for its last delay.
    waits_ns = 10 * to_card_ns()
    expected_ns = bare.whole + computing_ns + 193_000_000 - waits_ns
    # Frames that follow the PSAM need no further delay: it has passed.
    expected_ns -= 1 * TO_READER_NS
    assert budget.whole == pytest.approx(expected_ns, abs=10)
    assert budget.on_air == bare.on_air + s_wtx_ns - TO_READER_NS - to_card_ns()
    assert budget.psam == 193_000_000


def test_the_card_offers_every_rate_each_way_on_its_own():
    assert FAST_TA == 0x77
    card = fixtures.card("student")
    assert fast(card.contactless).ats == x("0578777002")
    for ats in ("01", "0208", "032800"):
        with pytest.raises(ValueError, match="no TA"):
            fast(replace(card.contactless, ats=x(ats)))


# The seven APDUs of the performance reference


EF1E_RECORD = x(
    "0300003000890001950108001300300000000000000000138820250908073015100001011000FFFFFFFF000000000000"
)
FLOORS_MS = {106: 35.2, 212: 21.8, 424: 14.5, 848: 10.9}
ACTIVATION_MS = {106: 4.6, 212: 5.5, 424: 5.5, 848: 5.5}


def seven(at: Moment) -> Txn[None]:
    """SELECT AID, READ 15, READ RECORD 1E, GET BALANCE, INITIALIZE CAPP, one 80DC of 48, DEBIT."""
    info = yield from select_purse(directory=False)
    yield Send("card", x("00B0950000"))
    yield Send("card", x("00B201F400"))
    yield from balance()
    yield from purchase(
        info,
        0,
        SamIdentity(ENTRY_TERMINAL, 1),
        at,
        CAPP,
        lambda offer, proof: [(EF1E.sfi, 0x00, EF1E_RECORD)],
    )


def with_18_bytes_of_ats(contactless: Contactless) -> Contactless:
    return replace(contactless, ats=x("1278777002") + bytes(13))


@pytest.mark.parametrize("rate", RATES)
def test_the_seven_apdus_take_what_the_performance_reference_prints(rate: int):
    """Within 2 % of 35.2, 21.8, 14.5 and 10.9 ms, if S(DESELECT) ends the tap.

    Without it the sums are 3 to 4 % lower, so the reference seems to count it. Of the rest, a
    quarter of a percent is its 171st byte from the card; what remains, 0.1 to 0.3 ms, fits one end
    of communication a frame, which lies within the delay that follows here.
    """
    card = fixtures.card("student", balance=5000)
    card.contactless = with_18_bytes_of_ats(card.contactless)
    gate = make_gate(Direction.ENTRY, ENTRY_STATION, ENTRY_TERMINAL, ENTERED_AT, 1)
    at = Moment.of(ENTERED_AT)
    card.power_on()
    run(seven(at), {"card": InProcess(card), "psam": gate.psam})  # EF1E has a record from here
    card.power_off()

    seen: list[Event] = []
    air = Air(observer=seen.append)
    air.bring(Station(card))
    link = AirCoupler(air, rate=rate).wait_card(1.0)
    active_ns = air.clock.now_ns() - seen[1].t_ns
    apdus: list[Exchange] = []
    recorded = Recording(link, perf_counter_ns, "card", apdus)
    run(seven(at), {"card": recorded, "psam": gate.psam})
    assert drive(link.isodep.deselect(), air)
    whole_ns = air.clock.now_ns() - seen[1].t_ns

    lengths = [(len(step.command), len(step.response or b"")) for step in apdus]
    assert len(lengths) == 7
    assert sum(command for command, _ in lengths) == 120
    assert sum(response for _, response in lengths) == 170
    assert active_ns == activation_ns(18, rate)
    blocks_ns = sum(exchange_ns(*one, rate) for one in [*lengths, (0, 0)])
    assert whole_ns == active_ns + blocks_ns
    kbit = (106, 212, 424, 848)[rate]
    assert active_ns / 1e6 == pytest.approx(ACTIVATION_MS[kbit], abs=0.1)
    assert whole_ns / 1e6 == pytest.approx(FLOORS_MS[kbit], rel=0.02)


# The picture


@pytest.fixture(scope="module")
def taps() -> list[AirTap]:
    return [air_tap(rate) for rate in RATES]


SVG = "{http://www.w3.org/2000/svg}"


def bars(root: ElementTree.Element, kind: str) -> Iterator[ElementTree.Element]:
    return (one for one in root.iter(f"{SVG}rect") if one.get("class") == kind)


def test_the_picture_is_valid_and_has_a_bar_for_each_frame(taps: list[AirTap]):
    root = ElementTree.fromstring(air_svg(taps, 'A <title> & "more"'))
    frames = [frame for tap in taps for frame in tap.frames]
    for source in (Source.PCD, Source.PICC):
        count = sum(frame.source is source for frame in frames)
        assert len(list(bars(root, source.value))) == count + 1  # and one in the legend
    texts = [text.text or "" for text in root.iter(f"{SVG}text")]
    assert 'A <title> & "more"' in texts
    for tap in taps:
        assert f"{tap.kbit} kbit/s" in texts
        assert any(text.startswith(f"{tap.whole / 1e6:.1f} ms,") for text in texts)


def test_nothing_is_drawn_past_the_edges_and_bars_keep_the_scale(taps: list[AirTap]):
    root = ElementTree.fromstring(air_svg(taps, "title"))
    width, height = float(root.get("width", "0")), float(root.get("height", "0"))
    for one in root.iter(f"{SVG}rect"):
        right = float(one.get("x", "0")) + float(one.get("width", "0"))
        assert right <= width
        assert float(one.get("y", "0")) + float(one.get("height", "0")) <= height
    waits = [float(one.get("width", "0")) for one in bars(root, "wait")][1:]
    ratios = [wait / tap.whole for wait, tap in zip(waits, taps, strict=True)]
    assert max(ratios) == pytest.approx(min(ratios), rel=1e-3)


@pytest.mark.parametrize("ms", [1, 50, 300, 5_000, 60_000, 3_000_000])
def test_the_scale_of_any_length_has_some_marks(taps: list[AirTap], ms: int):
    longer = replace(taps[0], blocks=ms * 1_000_000)
    root = ElementTree.fromstring(air_svg([longer], "title"))
    assert 1 <= len(list(root.iter(f"{SVG}line"))) <= 16

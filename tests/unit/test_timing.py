"""Carrier periods of frames and delays, against sums made by hand."""

from fractions import Fraction

import pytest

from apdu.ats import Ats
from apdu.frame import REQA, SHORT_BITS, Frame
from emulator.radio.medium import RATS_TIMEOUT_NS
from emulator.radio.timing import (
    DELTA_FWT,
    FC_HZ,
    FDT_READER,
    GUARD_NS,
    RATES_KBIT,
    card_delay,
    card_periods,
    frame_bits,
    ns,
    reader_periods,
)


@pytest.mark.parametrize("periods", [0, 1, 2, 128, 1172, 1236, 49_152, 65_536, 67_108_864])
def test_carrier_periods_are_rounded_to_the_nearest_nanosecond(periods: int):
    exact = Fraction(periods * 10**9, FC_HZ)
    assert abs(ns(periods) - exact) <= Fraction(1, 2)


def test_a_bit_lasts_9_44_microseconds():
    assert ns(128) == 9_440
    assert tuple(round(FC_HZ / (128 >> rate) / 1000) for rate in range(4)) == RATES_KBIT


def test_a_poll_is_a_start_bit_and_seven():
    assert frame_bits(Frame(REQA, SHORT_BITS)) == 7
    assert reader_periods(Frame(REQA, SHORT_BITS)) == 8 * 128


@pytest.mark.parametrize("size", [1, 2, 5, 9, 64, 256])
@pytest.mark.parametrize("rate", range(4))
def test_a_byte_is_nine_bits(size: int, rate: int):
    frame = Frame(bytes(size), rate=rate)
    assert frame_bits(frame) == 9 * size
    assert reader_periods(frame) == (1 + 9 * size) * 128 // 2**rate
    start = 128 if rate == 0 else 32 * 16
    assert card_periods(frame) == start + 9 * size * 128 // 2**rate


@pytest.mark.parametrize(
    ("size", "tail", "head", "bits"),
    [
        (3, 4, 0, 9 + 9 + 4),  # 93 24 x: the reader's part of a byte has no parity
        (4, 8, 4, 4 + 1 + 27),  # the card's part has one
        (1, 8, 7, 1 + 1),
        (1, 6, 3, 3),
    ],
)
def test_a_split_byte_has_its_parity_at_its_end(size: int, tail: int, head: int, bits: int):
    assert frame_bits(Frame(bytes(size), tail, head)) == bits


def test_the_card_waits_1172_periods_and_1116_behind_a_fast_frame():
    """1236 after a last one and 1172 after a last zero, from the pause, are one instant.

    The pause of a one lies 64 periods into the last bit; that of a zero, or of the zero that ends
    communication, at the end of it.
    """
    assert 64 + 1236 - 128 == 1172 == card_delay(Frame(b"\x93\x20"))
    assert {card_delay(Frame(b"\x93\x20", rate=rate)) for rate in (1, 2, 3)} == {1116}
    assert FDT_READER == 1172


def test_waiting_times_of_the_standard():
    assert ns(65_536) == RATS_TIMEOUT_NS == 4_833_038
    assert ns(DELTA_FWT) == 3_624_779
    assert GUARD_NS >= 5_000_000


@pytest.mark.parametrize(
    ("ats", "guard_ns"),
    [
        ("0578807002", 0),
        ("0578807102", 604_130),
        ("0578807402", 4_833_038),
        ("0578807E02", 4_949_031_268),
        ("0578807F02", 0),  # reserved
        ("01", 0),
    ],
)
def test_the_guard_time_of_an_ats(ats: str, guard_ns: int):
    assert Ats.parse(bytes.fromhex(ats)).guard_ns == pytest.approx(guard_ns, abs=1)


def test_rates_both_ways_and_each_on_its_own():
    """TA, bit by bit: b1 to b3 to the card, b5 to b7 from it, b8 the same both ways only."""
    for ta in range(256):
        ats = Ats.parse(bytes([5, 0x78, ta, 0x70, 0x02]))
        for dsi in range(4):
            for dri in range(4):
                sends = dsi == 0 or bool(ta & 0x10 << dsi - 1)
                takes = dri == 0 or bool(ta & 0x01 << dri - 1)
                same = dsi == dri or not ta & 0x80
                assert ats.offers(dsi, dri) == (sends and takes and same), (ta, dsi, dri)

"""Packed decimal digits, dates and times."""

from datetime import date, datetime, time

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from apdu.bcd import (
    Moment,
    digits,
    is_decimal,
    pack,
    pack_date,
    pack_time,
    unpack_date,
    unpack_time,
)

whole_seconds = st.times().map(lambda t: t.replace(microsecond=0))


@given(st.text("0123456789ABCDEF", max_size=16), st.integers(8, 12))
def test_digits_are_packed_to_the_right_of_zeros(text, size):
    packed = pack(text, size)
    assert len(packed) == size
    assert digits(packed) == text.rjust(2 * size, "0")


@given(st.text("0123456789ABCDEFabcdefxG .\t\n:-+_０", max_size=12), st.integers(0, 6))
@example("12 34 56", 4)
@example("  ", 1)
@example("\n1", 1)
def test_packing_gives_exactly_the_size_or_a_value_error(text, size):
    fits = len(text) <= 2 * size and all(c in "0123456789ABCDEFabcdef" for c in text)
    if fits:
        assert len(pack(text, size)) == size
    else:
        with pytest.raises(ValueError, match=r"."):
            pack(text, size)


@given(st.binary(max_size=12))
def test_only_half_bytes_to_nine_are_decimal(data):
    assert is_decimal(data) == (bool(data) and not set(data.hex()) & set("abcdef"))


@given(st.dates())
def test_dates_come_back(day):
    packed = pack_date(day)
    assert digits(packed) == day.isoformat().replace("-", "")
    assert unpack_date(packed) == day


@given(whole_seconds)
def test_times_come_back(at):
    packed = pack_time(at)
    assert digits(packed) == at.strftime("%H%M%S")
    assert unpack_time(packed) == at


@given(st.binary(max_size=6))
@example(bytes(4))
@example(bytes.fromhex("20250229"))
@example(bytes.fromhex("20251301"))
@example(bytes.fromhex("FFFFFFFF"))
@example(bytes.fromhex("240000"))
@example(bytes.fromhex("236000"))
@example(bytes.fromhex("235960"))
def test_what_is_no_date_or_time_is_a_value_error(data):
    for unpack, repack in ((unpack_date, pack_date), (unpack_time, pack_time)):
        try:
            value = unpack(data)
        except ValueError:
            continue
        assert repack(value) == data


@given(st.datetimes())
def test_a_moment_is_a_date_and_a_time(at):
    moment = Moment.of(at)
    assert moment.both == moment.date + moment.time
    assert digits(moment.both) == at.isoformat().translate(str.maketrans("", "", "-:T"))[:14]
    assert (unpack_date(moment.date), unpack_time(moment.time)) == (
        at.date(),
        at.time().replace(microsecond=0),
    )


def test_the_end_of_a_day_is_printed_as_on_the_wire():
    assert Moment.of(datetime(2026, 9, 30, 23, 59, 59)).both.hex() == "20260930235959"
    assert (pack_date(date(2026, 9, 30)).hex(), pack_time(time(0, 0)).hex()) == (
        "20260930",
        "000000",
    )

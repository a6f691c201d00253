"""Values as people read them."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import apdu.files
import apdu.records
from apdu.codec import Field, Show
from apdu.show import hexed, money, record_lines, value_text
from tests.unit.test_codec import RECORDS


def field(show, values=None):
    return Field("f", 0, 4, "meaning", show, values or {})


@given(st.integers(-(2**32), 2**32))
def test_money_is_yuan_with_two_places_and_comes_back(fen):
    text = money(fen)
    assert text[-3] == "."
    assert int(text.replace(".", "")) == fen
    assert text.startswith("-") == (fen < 0)


@pytest.mark.parametrize(("fen", "text"), [(0, "0.00"), (5, "0.05"), (99, "0.99"), (-100, "-1.00")])
def test_small_amounts_keep_their_zeros(fen, text):
    assert money(fen) == text


@given(st.binary(max_size=40))
def test_bytes_are_capital_hex_and_a_run_is_counted(data):
    text = hexed(data)
    if len(data) > 12 and len(set(data)) == 1:
        assert text == f"{data[0]:02X} x {len(data)}"
    else:
        assert text == data.hex().upper()


@pytest.mark.parametrize(
    ("show", "raw", "text"),
    [
        (Show.DATE, "20260930", "2026-09-30"),
        (Show.DATE, "00000000", "00000000"),
        (Show.DATE, "FFFFFFFF", "FFFFFFFF"),
        (Show.TIME, "073015", "07:30:15"),
        (Show.MOMENT, "20250908073015", "2025-09-08 07:30:15"),
        (Show.MOMENT, "00000000000000", "00000000000000"),
        (Show.DIGITS, "01011000FFFFFFFF", "01011000FFFFFFFF"),
        (Show.HEX, "20260930", "20260930"),
    ],
)
def test_bytes_are_shown_as_declared(show, raw, text):
    assert value_text(field(show), bytes.fromhex(raw)) == text


def test_numbers_are_shown_as_declared():
    assert value_text(field(Show.MONEY), 400) == "4.00"
    assert value_text(field(Show.NUMBER), 7) == "7"
    assert value_text(field(Show.NUMBER, {7: "seven"}), 7) == "7 (seven)"
    assert value_text(field(Show.NUMBER, {7: "seven"}), 8) == "8"


@pytest.mark.parametrize("cls", RECORDS, ids=lambda c: c.__name__)
@settings(max_examples=25)
@given(st.data())
def test_every_record_is_shown_field_by_field(cls, data):
    size = data.draw(st.sampled_from(cls.SIZES))
    made = cls.parse(data.draw(st.binary(min_size=size, max_size=size)))
    lines = record_lines(made, depth=2)
    assert [(n.label, n.note, n.depth) for n in lines] == [
        (f.name, f.meaning, 2) for f in cls.FIELDS
    ]
    assert all(n.value for n in lines)


def test_a_trip_record_shows_money_and_moments():
    trip = apdu.files.RailTrip.parse(
        b"\x27\x01" + bytes(65) + bytes.fromhex("20250908073015") + bytes(54)
    )
    shown = {n.label: n.value for n in record_lines(trip)}
    assert (shown["entry_time"], shown["exit_time"]) == ("2025-09-08 07:30:15", "00" * 7)
    assert shown["max_fare"] == "0.00"

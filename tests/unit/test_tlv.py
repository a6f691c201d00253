"""Data objects: what is made is read back, and what is malformed is a WireError."""

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from apdu.codec import WireError
from apdu.tlv import Tlv, parse_all, value_of

first = st.integers(1, 255).filter(lambda b: b & 0x1F != 0x1F)
opens = st.integers(0, 255).map(lambda b: b | 0x1F)
low = st.integers(0, 0x7F)
tags = st.one_of(
    first,
    st.tuples(opens, low).map(lambda t: t[0] << 8 | t[1]),
    st.tuples(opens, low, low).map(lambda t: t[0] << 16 | (t[1] | 0x80) << 8 | t[2]),
)


@given(tags, st.binary(max_size=300))
@example(0x84, bytes(0x7F))
@example(0x84, bytes(0x80))
@example(0x84, bytes(0xFF))
@example(0x84, bytes(0x100))
@example(0x84, bytes(0x10000))
def test_what_is_made_is_read_back(tag, value):
    made = Tlv.make(tag, value)
    again = Tlv(bytes(made))
    assert (again.tag, again.value, bytes(again)) == (tag, value, bytes(made))


@pytest.mark.parametrize(
    ("size", "length"),
    [(0x7F, "7F"), (0x80, "8180"), (0xFF, "81FF"), (0x100, "820100"), (0x10000, "83010000")],
)
def test_the_length_takes_as_few_bytes_as_it_can(size, length):
    assert Tlv.make(0x84, bytes(size))[1:-size].hex().upper() == length


@given(st.lists(st.tuples(tags, st.binary(max_size=20)), max_size=6), st.integers(0, 4))
def test_a_sequence_is_read_in_order_and_filler_is_skipped(items, filler):
    data = bytes(filler).join(bytes(Tlv.make(t, v)) for t, v in items) + bytes(filler)
    assert [(t.tag, t.value) for t in parse_all(data)] == items


def tree(depth):
    leaf = st.tuples(
        tags.filter(lambda t: t.to_bytes(3, "big").lstrip(b"\0")[0] & 0x20 == 0),
        st.binary(max_size=8),
    ).map(lambda p: Tlv.make(*p))
    if depth == 0:
        return leaf
    inner = st.lists(tree(depth - 1), max_size=3)
    return st.tuples(st.sampled_from([0x6F, 0xA5, 0xBF0C, 0x61]), inner).map(
        lambda p: Tlv.make(p[0], *p[1])
    )


def flat(item):
    yield item
    if item.is_constructed:
        for child in item.children():
            yield from flat(child)


@given(tree(3))
def test_first_finds_what_a_walk_in_order_finds(item):
    inside = list(flat(item))[1:]
    for tag in {t.tag for t in inside} | {0x9F7F}:
        expected = next((t for t in inside if t.tag == tag), None)
        assert item.first(tag) == expected
        assert item.get(tag) == (None if expected is None else expected.value)


@given(tree(3))
def test_value_of_takes_the_same_walk_without_the_objects(item):
    for tag in {t.tag for t in flat(item)} | {0x9F7F}:
        expected = item.value if tag == item.tag else item.get(tag)
        assert value_of(bytes(item), tag) == expected


@given(st.binary(max_size=256))
@example(bytes.fromhex("84"))
@example(bytes.fromhex("9F"))
@example(bytes.fromhex("9F08"))
@example(bytes.fromhex("8481"))
@example(bytes.fromhex("848201"))
@example(bytes.fromhex("848000"))
@example(bytes.fromhex("84840000000100"))
@example(bytes.fromhex("6F02A501"))
def test_malformed_bytes_are_a_wire_error_and_nothing_else(data):
    try:
        item = Tlv(data)
    except WireError:
        pass
    else:
        assert bytes(item) == data
        assert item.value == data[len(data) - len(item.value) :]
    for ask in (
        lambda: list(parse_all(data)),
        lambda: Tlv(data).first(0x9F0C),
        lambda: value_of(data, 0x9F0C),
    ):
        try:
            ask()
        except WireError:
            continue


@given(tags, st.binary(max_size=40), st.data())
def test_every_cut_is_noticed(tag, value, data):
    whole = bytes(Tlv.make(tag, value))
    cut = data.draw(st.integers(0, len(whole) - 1))
    with pytest.raises(WireError):
        Tlv(whole[:cut])


@given(tags, st.binary(max_size=40), st.binary(min_size=1, max_size=5))
def test_bytes_left_over_are_noticed(tag, value, rest):
    with pytest.raises(WireError, match=f"{len(rest)} bytes after"):
        Tlv(bytes(Tlv.make(tag, value)) + rest)


def test_nesting_as_deep_as_an_answer_can_hold_is_walked():
    inner = b""
    while len(inner) < 240:
        inner = bytes(Tlv.make(0x6F, inner))
    assert Tlv(inner).first(0x9F0C) is None

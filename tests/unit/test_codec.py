"""Flattened records agree with the construct they were derived from, in both directions."""

from typing import Any

import pytest
from construct import ConstructError
from hypothesis import given, settings
from hypothesis import strategies as st

import apdu.files
import apdu.records
import apdu.sam_records
from apdu.codec import (
    Bytes,
    GreedyBytes,
    Int8ub,
    Int16ub,
    Int24ub,
    Int32ub,
    Record,
    Show,
    WireError,
    record,
    wire,
)

RECORDS: list[type[Record]] = [
    cls
    for module in (apdu.files, apdu.records, apdu.sam_records)
    for cls in vars(module).values()
    if isinstance(cls, type) and issubclass(cls, Record) and cls.__module__ == module.__name__
]
"""Every record of the project."""
FIXED = [cls for cls in RECORDS if cls.FORMAT is not None]
VARIABLE = [cls for cls in RECORDS if cls.FORMAT is None]

each_record = pytest.mark.parametrize("cls", RECORDS, ids=lambda c: c.__name__)
each_fixed = pytest.mark.parametrize("cls", FIXED, ids=lambda c: c.__name__)
each_variable = pytest.mark.parametrize("cls", VARIABLE, ids=lambda c: c.__name__)


def values(rec: Record) -> dict[str, Any]:
    return {f.name: getattr(rec, f.name) for f in rec.FIELDS}


def interpreted(cls: type[Record], data: bytes) -> dict[str, Any]:
    found = cls.STRUCT.parse(data)
    return {f.name: found[f.name] for f in cls.FIELDS}


def is_bytes(cls: type[Record], name: str) -> bool:
    zeros = cls.parse(bytes(cls.SIZES[0]))
    return isinstance(getattr(zeros, name), bytes)


def test_every_record_of_the_project_is_walked():
    # `dataclass(slots=True)` leaves an undecorated double behind, under the same name.
    declared = {(c.__module__, c.__name__) for c in Record.__subclasses__()}
    ours = {pair for pair in declared if pair[0].startswith("apdu.") and pair[0] != "apdu.codec"}
    assert ours == {(c.__module__, c.__name__) for c in RECORDS}
    assert FIXED
    assert VARIABLE


# Reading


@each_record
@settings(max_examples=25)
@given(st.data())
def test_reading_agrees_with_construct_on_every_legal_length(cls, data):
    size = data.draw(st.sampled_from(cls.SIZES))
    raw = data.draw(st.binary(min_size=size, max_size=size))
    assert values(cls.parse(raw)) == interpreted(cls, raw)
    assert values(cls.from_wire(raw)) == interpreted(cls, raw)


@each_fixed
@settings(max_examples=25)
@given(st.data())
def test_short_input_is_refused_as_construct_refuses_it(cls, data):
    raw = data.draw(st.binary(max_size=cls.size() - 1))
    with pytest.raises(WireError):
        cls.parse(raw)
    with pytest.raises(ConstructError):
        cls.STRUCT.parse(raw)


@each_record
@settings(max_examples=25)
@given(st.data())
def test_long_input_is_refused(cls, data):
    last = cls.SIZES[-1]
    raw = data.draw(st.binary(min_size=last + 1, max_size=last + 40))
    with pytest.raises(WireError):
        cls.parse(raw)


@each_variable
def test_variable_records_take_exactly_their_declared_lengths(cls):
    for size in range(cls.SIZES[-1] + 3):
        raw = bytes(size)
        if size in cls.SIZES:
            assert cls.parse(raw).build() == raw
        else:
            with pytest.raises(WireError):
                cls.parse(raw)


@each_variable
def test_a_variable_record_of_a_wrong_length_is_not_built(cls):
    (field,) = cls.FIELDS
    for size in (cls.SIZES[0] - 1, cls.SIZES[-1] + 1):
        with pytest.raises(WireError):
            cls(**{field.name: bytes(size)}).build()


# Writing


@each_record
@settings(max_examples=25)
@given(st.data())
def test_writing_agrees_with_construct_and_gives_back_what_was_read(cls, data):
    size = data.draw(st.sampled_from(cls.SIZES))
    raw = data.draw(st.binary(min_size=size, max_size=size))
    made = cls.parse(raw)
    assert made.build() == raw == cls.STRUCT.build(values(made))


@each_fixed
@settings(max_examples=25)
@given(st.data())
def test_any_integers_are_built_as_construct_builds_them_or_refused(cls, data):
    made = cls.parse(bytes(cls.size()))
    numbers = [f.name for f in cls.FIELDS if not is_bytes(cls, f.name)]
    if not numbers:
        return
    name = data.draw(st.sampled_from(numbers))
    setattr(made, name, data.draw(st.integers(-2, 2**40)))
    try:
        expected = cls.STRUCT.build(values(made))
    except ConstructError:
        with pytest.raises(WireError):
            made.build()
    else:
        assert made.build() == expected


@each_fixed
def test_integers_are_refused_just_outside_their_field(cls):
    for field in cls.FIELDS:
        if is_bytes(cls, field.name):
            continue
        for value, fits in ((-1, False), (0, True), (256**field.size - 1, True)):
            made = cls.parse(bytes(cls.size()))
            setattr(made, field.name, value)
            if fits:
                assert made.build()[field.offset : field.offset + field.size] == value.to_bytes(
                    field.size, "big"
                )
            else:
                with pytest.raises(WireError):
                    made.build()
        setattr(made, field.name, 256**field.size)
        with pytest.raises(WireError):
            made.build()


@each_fixed
def test_bytes_of_another_length_are_refused_and_the_field_is_named(cls):
    for field in cls.FIELDS:
        if not is_bytes(cls, field.name):
            continue
        for size in (0, field.size - 1, field.size + 1):
            made = cls.parse(bytes(cls.size()))
            setattr(made, field.name, bytes(size))
            with pytest.raises(WireError, match=field.name):
                made.build()


@each_record
@pytest.mark.parametrize("wrong", [None, "text", 1.5, [1]], ids=repr)
def test_a_value_of_another_type_is_refused(cls, wrong):
    for field in cls.FIELDS:
        made = cls.parse(bytes(cls.SIZES[0]))
        setattr(made, field.name, wrong)
        with pytest.raises(WireError):
            made.build()


@each_record
def test_a_number_is_no_byte_string_and_the_reverse(cls):
    for field in cls.FIELDS:
        made = cls.parse(bytes(cls.SIZES[0]))
        setattr(made, field.name, 5 if is_bytes(cls, field.name) else b"\x05")
        with pytest.raises(WireError):
            made.build()


# Description


@each_fixed
def test_fields_lie_end_to_end(cls):
    at = 0
    for field in cls.FIELDS:
        assert field.offset == at
        at += field.size
    assert at == cls.size() == cls.SIZES[0]
    assert len(cls.SIZES) == 1


@each_record
def test_every_field_says_what_it_means(cls):
    assert all(field.meaning for field in cls.FIELDS)
    assert cls.__doc__


@each_variable
def test_a_variable_record_has_no_fixed_size(cls):
    with pytest.raises(WireError, match="no fixed size"):
        cls.size()


def test_a_variable_layout_must_say_its_sizes():
    with pytest.raises(TypeError, match="sizes"):

        @record
        class Loose(Record):
            tail: bytes = wire(GreedyBytes, "the rest")


def test_every_kind_of_field_is_flattened_in_its_place():
    @record
    class Mixed(Record):
        one: int = wire(Int8ub, "1")
        two: int = wire(Int16ub, "2")
        three: int = wire(Int24ub, "3", Show.MONEY)
        four: int = wire(Int32ub, "4")
        some: bytes = wire(Bytes(2), "2 bytes")

    raw = bytes.fromhex("01 0002 000003 00000004 ABCD")
    made = Mixed.parse(raw)
    assert (made.one, made.two, made.three, made.four, made.some) == (1, 2, 3, 4, b"\xab\xcd")
    assert made.build() == raw
    assert [f.show for f in Mixed.FIELDS] == [
        Show.NUMBER,
        Show.NUMBER,
        Show.MONEY,
        Show.NUMBER,
        Show.HEX,
    ]


@given(st.binary(max_size=12))
def test_a_variable_record_of_several_fields_is_interpreted_behind_its_gate(raw):
    @record(sizes=range(4, 9))
    class Tailed(Record):
        seq: int = wire(Int16ub, "2 bytes")
        rest: bytes = wire(GreedyBytes, "the rest")

    if len(raw) in range(4, 9):
        made = Tailed.parse(raw)
        assert (made.seq, made.rest) == (int.from_bytes(raw[:2], "big"), raw[2:])
        assert made.build() == raw
        assert [(f.offset, f.size) for f in Tailed.FIELDS] == [(0, 2), (2, None)]
    else:
        with pytest.raises(WireError, match="4 to 8 bytes"):
            Tailed.parse(raw)
    for wrong in (
        Tailed(0x10000, bytes(4)),
        Tailed(1, bytes(7)),
        Tailed(1, b""),
        Tailed(None, b""),
    ):
        with pytest.raises(WireError):
            wrong.build()


def test_the_message_says_which_record_and_both_lengths():
    with pytest.raises(WireError, match=r"DebitReply is 8 bytes, got 7"):
        apdu.records.DebitReply.parse(bytes(7))


def test_a_bare_record_builds_nothing():
    with pytest.raises(NotImplementedError):
        Record().build()

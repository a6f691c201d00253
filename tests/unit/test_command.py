"""Short APDUs, cases 1 to 4, and nothing else."""

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from apdu.codec import WireError
from apdu.command import Command, Response, body

HEAD = bytes.fromhex("80500102")
byte = st.integers(0, 255)
commands = st.builds(
    Command,
    byte,
    byte,
    byte,
    byte,
    st.binary(max_size=255),
    st.none() | st.integers(1, 256),
)


@pytest.mark.parametrize(
    ("rest", "data", "ne"),
    [
        ("", b"", None),
        ("04", b"", 4),
        ("00", b"", 256),
        ("FF", b"", 255),
        ("02 ABCD", b"\xab\xcd", None),
        ("02 ABCD 08", b"\xab\xcd", 8),
        ("02 ABCD 00", b"\xab\xcd", 256),
    ],
    ids=["case 1", "case 2", "case 2, Le 00", "case 2, Le FF", "case 3", "case 4", "case 4, Le 00"],
)
def test_the_four_cases_are_told_apart_by_length(rest, data, ne):
    raw = HEAD + bytes.fromhex(rest)
    assert body(raw) == (data, ne)
    assert Command.parse(raw) == Command(0x80, 0x50, 0x01, 0x02, data, ne)
    assert Command.parse(raw).build() == raw


@pytest.mark.parametrize("size", range(4))
def test_fewer_than_four_bytes_are_no_command(size):
    with pytest.raises(WireError, match=f"got {size}"):
        body(bytes(size))


@given(st.integers(1, 255), st.integers(1, 300))
def test_an_lc_that_does_not_fit_is_refused(lc, size):
    raw = HEAD + bytes((lc,)) + bytes(size)
    if size - lc in (0, 1):
        assert len(body(raw)[0]) == lc
    else:
        with pytest.raises(WireError):
            body(raw)


@given(st.binary(min_size=1, max_size=300))
@example(bytes.fromhex("0100"))
@example(bytes.fromhex("0001 AA"))
@example(bytes.fromhex("0001 AA 0000"))
def test_extended_lengths_are_refused(rest):
    with pytest.raises(WireError):
        body(HEAD + b"\0" + rest)


@given(commands)
def test_what_is_built_is_read_back(command):
    assert Command.parse(command.build()) == command


@given(st.binary(max_size=300))
def test_what_is_read_is_built_back_and_all_else_is_a_wire_error(raw):
    try:
        command = Command.parse(raw)
    except WireError:
        return
    assert command.build() == raw


@pytest.mark.parametrize(
    ("data", "ne"), [(bytes(256), None), (b"", 0), (b"", 257), (b"", -1), (bytes(256), 0)]
)
def test_a_command_that_is_not_short_is_not_built(data, ne):
    with pytest.raises(WireError, match="short"):
        Command(0, 0, 0, 0, data, ne).build()


@given(st.binary(min_size=2, max_size=258))
def test_a_response_is_data_and_a_status_word(raw):
    response = Response.parse(raw)
    assert response.data + response.sw.to_bytes(2, "big") == raw


@pytest.mark.parametrize("raw", [b"", b"\x90"])
def test_a_response_has_a_status_word(raw):
    with pytest.raises(WireError, match=f"got {len(raw)}"):
        Response.parse(raw)

import pytest
from hypothesis import given
from hypothesis import strategies as st

from apdu.crc import append_crc, crc_a, strip_crc

# Protocol reference 1.2 and 1.4.
VECTORS = [
    ("E080", "3173"),
    ("5000", "57CD"),
    ("C2", "E0B4"),
    ("0200A404000E325041592E5359532E444446303100", "E042"),
    ("0578807002", "A546"),
    ("10788090022090000000000066799D24", "C047"),
    ("D01100", "52A6"),
    ("", "6363"),
]


def bitwise(data: bytes) -> bytes:
    """The definition, one bit at a time."""
    crc = 0x6363
    for byte in data:
        crc ^= byte
        for _ in range(8):
            crc = crc >> 1 ^ (0x8408 if crc & 1 else 0)
    return crc.to_bytes(2, "little")


@pytest.mark.parametrize(("frame", "crc"), VECTORS)
def test_vector(frame: str, crc: str) -> None:
    assert crc_a(bytes.fromhex(frame)).hex().upper() == crc


@given(st.binary(max_size=300))
def test_agrees_with_the_definition(data: bytes) -> None:
    assert crc_a(data) == bitwise(data)


@given(st.binary(min_size=1, max_size=64))
def test_strip_takes_off_what_append_adds(frame: bytes) -> None:
    assert strip_crc(append_crc(frame)) == frame


@given(st.binary(min_size=1, max_size=64), st.data())
def test_a_flipped_bit_is_noticed(frame: bytes, data: st.DataObject) -> None:
    sent = bytearray(append_crc(frame))
    bit = data.draw(st.integers(0, 8 * len(sent) - 1))
    sent[bit // 8] ^= 1 << bit % 8
    assert strip_crc(bytes(sent)) is None


@pytest.mark.parametrize("frame", [b"", b"\x63", b"\x63\x63"])
def test_a_frame_of_nothing_but_crc_is_refused(frame: bytes) -> None:
    assert strip_crc(frame) is None

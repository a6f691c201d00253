"""Frames as bits on air (ISO/IEC 14443-3, 6.2.3)."""

import pytest

from apdu.frame import (
    HLTA,
    REQA,
    SHORT_BITS,
    WUPA,
    Frame,
    asks_without_crc,
    odd_parity,
)


def test_parity_makes_nine_bits_odd():
    for byte in range(256):
        (bit,) = odd_parity(bytes([byte]))
        assert bit in (0, 1)
        assert (f"{byte:08b}".count("1") + bit) % 2 == 1


def test_a_frame_of_whole_bytes_has_a_checksum_unless_told():
    assert Frame.whole(HLTA) == Frame(bytes.fromhex("500057CD"))
    assert Frame.whole(b"\x93\x20", has_crc=False) == Frame(b"\x93\x20")
    assert Frame.whole(HLTA, rate=3).rate == 3


@pytest.mark.parametrize("poll", [REQA, WUPA])
def test_a_poll_has_seven_bits_lowest_first(poll: bytes):
    frame = Frame(poll, SHORT_BITS)
    assert frame.bits == 7
    assert frame.bit_values() == [poll[0] >> n & 1 for n in range(7)]
    assert frame.body() is None


def test_the_bits_of_a_split_byte_are_shared():
    """NVB 24: the reader sends four bits of the first UID byte, the card the other four."""
    uid = bytes.fromhex("5A112233")
    asked = Frame(bytes([0x93, 0x24, uid[0] & 0x0F]), tail=4)
    said = Frame(bytes([uid[0] & 0xF0]) + uid[1:], head=4)
    assert asked.bits == 20
    assert said.bits == 28
    both = asked.bit_values()[16:] + said.bit_values()
    assert both == Frame(uid).bit_values()


def test_one_byte_may_lack_both_ends():
    frame = Frame(bytes([0b0011_1000]), tail=6, head=3)
    assert frame.bits == 3
    assert frame.bit_values() == [1, 1, 1]


def test_body_takes_the_checksum_off_and_checks_it():
    frame = Frame.whole(b"\x02\x00\xa4")
    assert frame.body() == b"\x02\x00\xa4"
    assert Frame(frame.data[:-1] + bytes([frame.data[-1] ^ 1])).body() is None
    assert Frame(frame.data[:-1]).body() is None
    assert Frame(b"").body() is None
    assert Frame(frame.data[:-1] + b"\0", tail=7).body() is None
    assert Frame(frame.data, head=1).body() is None


def test_body_needs_every_parity_bit():
    data = Frame.whole(b"\x02\x00\xa4").data
    right = odd_parity(data)
    assert Frame(data, parity=right).body() == data[:-2]
    for at in range(len(data)):
        wrong = bytearray(right)
        wrong[at] ^= 1
        frame = Frame(data, parity=bytes(wrong))
        assert not frame.has_right_parity
        assert frame.body() is None


def test_a_byte_that_is_cut_has_no_parity_to_be_wrong():
    assert Frame(REQA, SHORT_BITS, parity=b"\x00").has_right_parity
    assert Frame(REQA, SHORT_BITS, parity=b"\x01").has_right_parity
    data = bytes.fromhex("932305")
    right = odd_parity(data)
    for last in (0, 1):
        assert Frame(data, tail=3, parity=right[:2] + bytes([last])).has_right_parity
    assert not Frame(data, tail=3, parity=bytes([right[0] ^ 1]) + right[1:]).has_right_parity


def test_the_parity_behind_a_split_byte_is_ignored_and_no_other():
    data = bytes.fromhex("50112233")
    right = odd_parity(data)
    for head in range(1, 8):
        assert Frame(data, head=head, parity=bytes([right[0] ^ 1]) + right[1:]).has_right_parity
    assert not Frame(data, head=4, parity=right[:3] + bytes([right[3] ^ 1])).has_right_parity
    assert not Frame(data, parity=bytes([right[0] ^ 1]) + right[1:]).has_right_parity


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        ("9320", True),
        ("9520", True),
        ("9767", True),
        ("93245A", True),
        ("9370", False),
        ("937008A1B2C3D8", False),
        ("93", False),
        ("5000", False),
        ("E080", False),
        ("26", False),
        ("", False),
        ("9420", False),
    ],
)
def test_anticollision_alone_has_no_checksum(data: str, expected: bool):
    assert asks_without_crc(bytes.fromhex(data)) == expected

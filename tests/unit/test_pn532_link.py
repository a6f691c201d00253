"""The PN532's serial line: frames, checksums, signals, bit rates, power-down."""

import pytest

from emulator.radio.pn532.link import (
    ACK,
    ERROR,
    FIRST_RATE,
    GAP_NS,
    MAX_DATA,
    NACK,
    RATES,
    Command,
    HostLink,
    Signal,
)
from tests.pn532_host import answer_in, frame

VERSION = frame(b"\x02")
HEARD = Command(0x02, b"")


def heard(*chunks: bytes, rate: int = FIRST_RATE) -> list[Command | Signal]:
    link = HostLink()
    return [one for chunk in chunks for one in link.receive(chunk, rate, 0)]


def test_the_frames_of_the_manual_are_understood() -> None:
    assert bytes.fromhex("0000FF02FED4022A00") == VERSION
    assert heard(VERSION) == [HEARD]
    assert heard(bytes.fromhex("0000FFFFFF0002FED4022A00")) == [HEARD]
    assert heard(ACK) == [Signal.ACK]
    assert heard(NACK) == [Signal.NACK]


def test_preamble_and_postamble_are_not_needed_and_may_be_long() -> None:
    assert heard(VERSION[1:-1]) == [HEARD]
    assert heard(b"\x55" * 9 + bytes(40) + VERSION + bytes(40) + VERSION) == [HEARD, HEARD]


def test_a_frame_may_come_byte_by_byte() -> None:
    assert heard(*(bytes([byte]) for byte in VERSION + ACK + VERSION)) == [
        HEARD,
        Signal.ACK,
        HEARD,
    ]


@pytest.mark.parametrize("size", [0, 1, 253, 254, 255, MAX_DATA - 1])
def test_normal_and_extended_frames_carry_up_to_264_bytes(size: int) -> None:
    assert heard(frame(b"\x00" + bytes(size))) == [Command(0x00, bytes(size))]


def test_a_longer_frame_is_no_frame() -> None:
    assert heard(frame(b"\x00" + bytes(MAX_DATA)), VERSION) == [HEARD]


@pytest.mark.parametrize("at", range(3, len(VERSION) - 1))
def test_a_frame_with_one_wrong_byte_is_no_frame_and_the_next_one_counts(at: int) -> None:
    spoilt = bytearray(VERSION)
    spoilt[at] ^= 0x10
    link = HostLink()
    assert list(link.receive(bytes(spoilt), FIRST_RATE, 0)) == []
    assert list(link.receive(VERSION, FIRST_RATE, GAP_NS + 1)) == [HEARD]


def test_a_frame_to_another_address_is_no_frame() -> None:
    assert heard(bytes.fromhex("0000FF02FED5022900")) == []


def test_a_frame_inside_an_unfinished_one_is_found_when_that_turns_out_wrong() -> None:
    begun = bytes.fromhex("0000FF20E0D400")
    assert heard(begun + VERSION) == []
    assert heard(begun + VERSION, bytes(40)) == [HEARD]


def test_a_frame_inside_an_unfinished_one_is_found_when_the_line_was_idle() -> None:
    link = HostLink()
    assert list(link.receive(bytes.fromhex("0000FF20E0D400") + VERSION, FIRST_RATE, 0)) == []
    assert list(link.receive(b"", FIRST_RATE, GAP_NS + 1)) == [HEARD]


def test_what_a_host_began_before_it_went_is_forgotten() -> None:
    link = HostLink()
    assert list(link.receive(bytes.fromhex("0000FF20E0D400"), FIRST_RATE, 0)) == []
    link.forget()
    assert list(link.receive(VERSION, FIRST_RATE, 0)) == [HEARD]


@pytest.mark.parametrize("size", [0, 253, 254, 262])
def test_an_answer_is_a_normal_frame_as_long_as_it_fits(size: int) -> None:
    said = HostLink().answer(0x00, bytes(size))
    assert answer_in(said) == b"\x01" + bytes(size)
    assert (said[3:5] == b"\xff\xff") == (size > 253)


def test_an_answer_that_fits_no_frame_is_a_bug() -> None:
    with pytest.raises(ValueError, match="do not fit"):
        HostLink().answer(0x00, bytes(MAX_DATA))


def test_pre_and_postamble_can_be_left_out() -> None:
    link = HostLink()
    link.is_bare = True
    assert link.answer(0x02, b"") == bytes.fromhex("00FF02FED50328")
    assert link.error() == ERROR[1:-1]


def test_the_last_answer_is_said_again() -> None:
    link = HostLink()
    assert link.again() == b""
    said = link.answer(0x02, b"\x32")
    assert link.again() == said


# Bit rates


def test_bytes_at_another_rate_are_noise() -> None:
    assert heard(VERSION, rate=9600) == []


@pytest.mark.parametrize("rate", RATES)
def test_a_new_rate_holds_from_the_acknowledgement_on(rate: int) -> None:
    link = HostLink()
    link.change_rate(rate)
    assert list(link.receive(ACK, FIRST_RATE, 0)) == [Signal.ACK]
    assert list(link.receive(VERSION, rate, 0)) == [HEARD]
    if rate != FIRST_RATE:
        assert list(link.receive(VERSION, FIRST_RATE, 0)) == []


def test_a_host_that_is_at_the_new_rate_already_is_understood() -> None:
    for chunk, said in ((ACK, Signal.ACK), (VERSION, HEARD)):
        link = HostLink()
        link.change_rate(921600)
        assert list(link.receive(chunk, 921600, 0)) == [said]
        assert link.rate == 921600


def test_without_an_acknowledgement_the_rate_stays() -> None:
    link = HostLink()
    link.change_rate(921600)
    assert list(link.receive(VERSION, FIRST_RATE, 0)) == [HEARD]
    assert list(link.receive(VERSION, 921600, 0)) == []
    assert not link.can_hear(921600)


# Power-down


@pytest.mark.parametrize(
    ("first", "is_awake"),
    [("5555", True), ("55", True), ("0000000000", True), ("00000000", False), ("FFFF0055", True)],
)
def test_the_fifth_rising_edge_wakes_the_chip(first: str, is_awake: bool) -> None:
    link = HostLink()
    link.sleep(wakes_by_line=True)
    assert list(link.receive(bytes.fromhex(first), FIRST_RATE, 0)) == []
    assert link.is_asleep is not is_awake


def test_what_follows_the_waking_bytes_is_heard() -> None:
    link = HostLink()
    link.sleep(wakes_by_line=True)
    assert list(link.receive(bytes(10) + VERSION, FIRST_RATE, 0)) == [HEARD]


def test_a_command_without_waking_bytes_only_wakes_the_chip() -> None:
    link = HostLink()
    link.sleep(wakes_by_line=True)
    assert list(link.receive(VERSION, FIRST_RATE, 0)) == []
    assert list(link.receive(VERSION, FIRST_RATE, 0)) == [HEARD]


def test_a_chip_that_the_line_does_not_wake_is_deaf() -> None:
    link = HostLink()
    link.sleep(wakes_by_line=False)
    assert list(link.receive(bytes(100) + VERSION, FIRST_RATE, 0)) == []
    assert not link.can_hear(FIRST_RATE)

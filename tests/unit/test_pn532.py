"""The PN532's command table, its settings, registers and ports, and what ends a command."""

import pytest

from emulator.radio.air import Air
from emulator.radio.clock import Unpaced
from emulator.radio.pn532.commands import COMMANDS
from emulator.radio.pn532.link import ACK, NACK
from emulator.radio.pn532.registers import Registers
from emulator.radio.station import Station
from tests.pn532_host import TARGET, WAKE_UP, WELL_FORMED, Host, answer_in, frame
from tests.unit.pcd import EchoCard

INFINITE_LIST = "4A0100"

# Too few, too many, out of range.
BAD = [
    "00", "00 01 00", "00 03", "00 08", "02 00", "04 00", "06", "06 63", "06 630163", "08",
    "08 6302", "08 6302806303", "0C 00", "0E 80", "0E 808080", "10", "10 09", "10 0000", "12",
    "12 0000", "14", "14 00", "14 05", "14 01000000", "16", "16 F00000", "32", "32 01",
    "32 0101 00", "32 02 0B0A", "32 02 00 11 0A", "32 02 00 0B 11",
    "32 03 00", "32 0A 00", "40", "44", "44 0000", "46 00", "4A",
    "4A 01", "4A 00 00",
    "4A 03 00", "4A 01 05", "4A 01 00 08", "4A 01 01", "4A 01 03", "4A 01 04 00", "4E 01 00",
    "4E 01 04 00", "50 01", "50 01 01 00", "50 01 04", "50 01 00 00", "52", "52 0000", "54",
    "56 02 00 00", "56 00 03 00", "56 00 00 08", "56 00 00 01 00", "56 00 00 00 00",
    "60 01 01", "60 00 01 20", "60 01 00 20", "60 01 10 20", "60 01 01 05", "60 01 01" + "20" * 16,
    "86 00", "88 00", "8A 00", "8C", "8C" + "00" * 36, TARGET + "00", "8C08" + TARGET[4:],
    "92" + "00" * 48, "8C00" + "00" * 34 + "30" + "00" * 48 + "00",
    "8C00" + "00" * 34 + "00 31" + "00" * 49,
]  # fmt: skip


@pytest.mark.parametrize("command", WELL_FORMED)
def test_well_formed_parameters_are_taken(command: str) -> None:
    host = Host()
    assert not host.is_refused(command)


@pytest.mark.parametrize("command", BAD)
def test_malformed_parameters_get_the_error_frame(command: str) -> None:
    host = Host()
    assert host.is_refused(command)
    assert host.ask("02") == "32010607"


def test_every_command_of_the_table_is_tried_both_ways() -> None:
    for cases in (WELL_FORMED, BAD):
        tried = {int(case[:2], 16) for case in cases}
        takes_anything = {0x42, 0x8E, 0x90, 0x94}  # what is left out of BAD
        assert tried | takes_anything >= set(COMMANDS)


def test_unknown_commands_get_the_error_frame() -> None:
    host = Host()
    for code in set(range(256)) - set(COMMANDS):
        assert host.is_refused(f"{code:02X}")


# What ends a command


def test_the_hosts_ack_aborts_a_command() -> None:
    host = Host()
    assert host.start(INFINITE_LIST) is None
    assert host.chip.is_busy
    assert host.say(ACK) == b""
    assert not host.chip.is_busy
    assert host.chip.resume() == b""


def test_the_next_command_takes_the_place_of_the_one_that_runs() -> None:
    host = Host()
    assert host.start(INFINITE_LIST) is None
    assert host.ask("02") == "32010607"
    assert not host.chip.is_busy


def test_a_nack_asks_for_the_last_answer_again() -> None:
    host = Host()
    assert host.say(NACK) == b""
    host.ask("02")
    assert answer_in(host.say(NACK)) == bytes.fromhex("0332010607")
    assert host.start(INFINITE_LIST) is None
    assert host.say(NACK) == b""


def test_an_endless_command_says_how_long_it_pauses() -> None:
    host = Host()
    host.start(INFINITE_LIST)
    assert host.chip.pause_ns is not None
    host.start(TARGET)
    assert host.chip.pause_ns is None


def test_a_chip_starts_asleep_and_forgets_everything_when_it_is_reset() -> None:
    host = Host(Station(EchoCard()))
    host.ask("12 00")
    assert host.poll("4A 01 00")[:2] == "01"
    assert host.air.is_on
    host.chip.reset()
    assert not host.air.is_on
    assert host.say(frame(b"\x02")) == b""
    assert host.ask("04") == "00000000"


# Settings


def test_diagnose_says_back_what_it_is_told_and_finds_the_chip_in_order() -> None:
    host = Host()
    line = "00 00" + bytes(range(256)).hex() + "000102030405"
    assert host.ask(line) == line[3:].replace(" ", "")
    assert [host.ask(test) for test in ("00 01", "00 02", "00 07 20")] == ["00"] * 3
    assert host.ask("00 04 01") == "80"  # 128 polls, 128 failures
    assert host.start("00 05 00 80 80") is None


def test_ports_change_where_the_validation_bit_is_set() -> None:
    host = Host()
    assert host.ask("0C") == "3f0600"
    host.ask("0E 80 04")
    assert host.ask("0C") == "000600"
    host.ask("0E 3F 80")
    assert host.ask("0C") == "000000"


def test_the_baud_rate_changes_after_the_acknowledgement() -> None:
    host = Host()
    assert host.ask("10 07") == ""
    assert host.say(ACK) == b""
    version = frame(b"\x02")
    assert host.say(version) == b""
    assert host.say(version, rate=921600).startswith(ACK)


def test_power_down_ends_the_field_and_the_line_wakes_the_chip() -> None:
    host = Host(Station(EchoCard()))
    host.poll("4A 01 00")
    assert host.ask("16 F0") == "00"
    assert not host.air.is_on
    assert host.say(frame(b"\x02")) == b""
    assert host.ask("04") == "00000000"
    host.ask("16 20")  # SPI alone
    assert host.say(WAKE_UP + frame(b"\x02")) == b""


def test_a_foreign_field_wakes_the_chip_if_it_may() -> None:
    air = Air(Unpaced())
    host, other = Host(air=air), Host(air=air)
    host.ask("16 08")
    assert host.say(frame(b"\x02")) == b""
    other.ask("32 01 01")
    assert host.ask("02") == "32010607"


def test_general_status_tells_the_last_error_the_foreign_field_and_the_targets() -> None:
    air = Air(Unpaced())
    host, other = Host(Station(EchoCard()), air=air), Host(air=air)
    assert host.ask("40 01 00") == "27"
    assert host.ask("04") == "27000000"
    host.poll("4A 01 00")
    assert host.ask("04") == "27000101000000" + "00"
    assert other.ask("04") == "00010000"


def test_preamble_and_postamble_go_by_a_parameter() -> None:
    host = Host()
    host.ask("12 00")
    host.say(frame(b"\x12\x40"))
    assert host.say(frame(b"\x02")) == ACK + bytes.fromhex("00FF06FAD50332010607E8")


# Registers


def test_registers_keep_what_is_written() -> None:
    host = Host()
    assert host.ask("06 6302 6303 6305 633C") == "80804010"
    host.ask("08 6302 83 6303 8B")
    assert host.ask("06 6302 6303") == "838b"
    assert host.ask("06 1234 FFB0") == "00ff"


def test_the_fifo_is_read_in_order_holds_64_bytes_and_can_be_flushed() -> None:
    host = Host()
    host.ask("08" + "".join(f"6339{n:02X}" for n in range(65)))
    assert host.ask("06 633A 6339 6339 633A") == "4000013e"
    assert host.ask("06 6336") == "10"  # BufferOvfl
    host.ask("08 633A 80")
    assert host.ask("06 633A 6339 6336") == "000000"


def test_interrupt_bits_are_set_and_cleared_by_their_marks() -> None:
    registers = Registers()
    registers.write(0x6334, 0x7F)
    assert registers.read(0x6334) == 0
    registers.write(0x6334, 0x81)
    registers.write(0x6334, 0x84)
    assert registers.read(0x6334) == 0x05
    registers.write(0x6334, 0x01)
    assert registers.read(0x6334) == 0x04


def test_the_field_goes_by_tx_control_too() -> None:
    host = Host()
    host.ask("08 6304 83")
    assert host.air.is_on
    assert host.ask("06 6304") == "83"
    host.ask("32 01 00")
    assert not host.air.is_on
    assert host.ask("06 6304") == "80"
    host.ask("32 01 01")
    assert host.ask("06 6304") == "83"


def test_transceive_by_hand_sends_the_fifo_and_puts_the_answer_there() -> None:
    host = Host(Station(EchoCard()))
    host.ask("32 01 01")
    host.ask("08 6302 00 6303 00")  # no checksums
    host.ask("08 6331 0C 633A 80 6339 26 633D 87")
    assert host.ask("06 633A 6339 6339 633A 6334") == "0204000074"
    host.ask("08 6331 0C 633A 80 6339 93 6339 20 633D 80")
    assert host.ask("06 633A" + "6339" * 5) == "05" + "0411a2b3" + "04"


def test_transceive_by_hand_hears_nothing_where_nothing_is() -> None:
    host = Host()
    host.ask("32 01 01")
    host.ask("08 6331 0C 633A 80 6339 26 633D 87")
    assert host.ask("06 633A 631E 631F") == "000000"
    host.ask("08 6331 0C 633D 80")  # nothing in the FIFO
    assert host.ask("06 633A") == "00"


def test_the_timer_stops_with_the_answers_fifth_bit() -> None:
    host = Host(Station(EchoCard()))
    host.ask("32 01 01")
    host.ask("08 6302 00 6303 00 631A 80 631B 00")
    host.ask("08 6331 0C 633A 80 6339 26 633D 87")
    left = int(host.ask("06 631E 631F"), 16)
    assert 0xFFFF - left + 1 - 5 * 128 + 48 == 1172  # libnfc's reckoning: one frame delay time

"""The PN532 as a reader: cards spoken to, put to sleep, woken, lost."""

from dataclasses import replace

import pytest

from apdu.crc import append_crc
from apdu.frame import Frame
from emulator.radio.air import Air
from emulator.radio.clock import Unpaced, VirtualClock
from emulator.radio.faults import Fault, FaultKind, Script
from emulator.radio.medium import Reply
from emulator.radio.pn532.bits import with_parity, without_parity
from emulator.radio.pn532.link import ACK
from emulator.radio.station import Station
from tests.pn532_cards import (
    COMMAND,
    ECHO,
    FIRST_TRY,
    LISTED,
    NO_RATS,
    OTHER,
    Asleep,
    a_card,
    a_host,
)
from tests.pn532_host import Host
from tests.unit.pcd import PHONE, SizedCard, with_ats


class AnHour:
    """How long a card takes for each command."""

    def time_ns(self, command: bytes) -> int:
        return 3_600_000_000_000


# Speaking


def test_commands_of_any_size_pass_in_chained_blocks() -> None:
    card = SizedCard(with_ats(fsci=0))
    host = a_host(card)
    host.ask("4A 01 00")
    command = bytes(240) + b"\x01\x00"
    assert host.poll("40 01" + command.hex()) == "00" + (bytes(range(256)) + b"\x90\x00").hex()
    assert card.seen == [command]


def test_a_long_answer_is_fetched_in_parts_with_mi() -> None:
    host = a_host(SizedCard())
    host.ask("4A 01 00")
    whole = bytes(n & 0xFF for n in range(600)) + b"\x90\x00"
    parts = [host.poll("40 01" + "00B00000000258"), host.ask("40 01"), host.ask("40 01")]
    assert [part[:2] for part in parts] == ["40", "40", "00"]
    assert "".join(part[2:] for part in parts) == whole.hex()
    assert [len(part) // 2 - 1 for part in parts] == [262, 262, 78]
    assert host.ask("40 01") == "10"  # nothing more, and nothing to ask


def test_a_long_command_is_given_in_parts_with_mi() -> None:
    card = a_card()
    host = a_host(card)
    host.ask("4A 01 00")
    assert host.ask("40 41" + "AA" * 200) == "00"
    assert host.poll("40 01" + "BB" * 200)[:2] == "40"
    assert card.seen == [b"\xaa" * 200 + b"\xbb" * 200]


@pytest.mark.parametrize("command", ["40 01 00", "40 02 00", "54 01", "44 02", "52 02", "50 01 00"])
def test_a_target_number_that_is_not_listed_is_out_of_context(command: str) -> None:
    assert Host().ask(command) == "27"


def test_a_card_that_leaves_is_a_timeout() -> None:
    card = a_card()
    station = Station(card)
    host = Host(station)
    host.ask(FIRST_TRY)
    host.ask("4A 01 00")
    host.air.take_away(station)
    assert host.poll("40 01" + COMMAND) == "01"
    assert host.poll("00 06") == "01"
    assert host.ask("04")[:2] == "01"


def test_a_card_that_asks_for_time_again_and_again_does_not_keep_the_host_out() -> None:
    host = Host(Station(a_card(), AnHour()))
    host.ask(FIRST_TRY)
    host.ask("4A 01 00")
    for command in ("40 01" + COMMAND, "00 06"):
        assert host.start(command) is None
        assert host.resume(int(command[:2], 16)) is None
        assert host.ask("02") == "32010607"


@pytest.mark.parametrize(
    ("kind", "status"),
    [(FaultKind.LOST, "01"), (FaultKind.FLIPPED, "03"), (FaultKind.TRUNCATED, "05")],
)
def test_what_is_wrong_with_an_answer_has_an_error_code(kind: FaultKind, status: str) -> None:
    faults = Script([Fault(kind, frame=9, bit=13)])
    host = a_host(a_card(), air=Air(VirtualClock(), faults))
    host.ask("4A 01 00")
    assert host.ask("42 B2") == status


def test_a_wrong_checksum_and_a_collision_have_their_codes() -> None:
    host = a_host(a_card(), a_card(OTHER))
    host.ask("32 01 01")
    host.ask("08 633D 07 6302 00")
    assert host.ask("42 26") == "02"  # ATQA has no checksum
    host.ask("08 6303 00 633D 00")
    assert host.ask("42 93 20") == "06"


def test_a_card_that_was_given_up_is_a_timeout_until_it_is_found_anew() -> None:
    station = Station(a_card())
    host = Host(station)
    host.ask(FIRST_TRY)
    host.ask("4A 01 00")
    host.air.take_away(station)
    assert host.poll("40 01" + COMMAND) == "01"
    host.air.bring(station)
    host.ask("08 6302 00 6303 00 633D 07")
    assert host.ask("42 26") == "000400"  # the last frame was answered
    assert host.poll("40 01" + COMMAND) == "01"
    host.ask("32 01 00")
    assert host.ask("4A 01 00") == LISTED
    assert host.ask("40 01" + COMMAND) == "00" + ECHO


def test_a_present_card_is_told_from_none() -> None:
    host = a_host(a_card())
    assert host.ask("00 06") == "27"
    host.ask("4A 01 00")
    assert host.ask("00 06") == "00"


def test_raw_frames_pass_as_the_registers_say() -> None:
    host = a_host(a_card())
    host.ask(NO_RATS)
    host.ask("4A 01 00")
    assert host.ask("42 E0 50") == "000578807002"
    assert host.ask("42 02" + COMMAND) == "0002" + ECHO
    host.ask("08 6302 00 6303 00")
    block = append_crc(bytes.fromhex("03" + COMMAND))
    assert host.ask("42" + block.hex()) == "00" + append_crc(bytes.fromhex("03" + ECHO)).hex()


def test_raw_frames_of_another_modulation_or_rate_are_not_heard() -> None:
    host = a_host(a_card())
    host.ask("4A 01 00")
    for tx_mode in ("83", "92", "81", "C0", "90"):
        host.ask(f"08 6302 {tx_mode}")
        assert host.ask("42 B2") == "01"
    host.ask("08 6302 80")
    assert host.ask("42 B2") == "00a3"


def test_parity_can_be_the_hosts() -> None:
    host = a_host(a_card())
    host.ask(NO_RATS)
    host.ask("4A 01 00")
    host.ask("08 6302 00 6303 00 630D 10")
    rats, bits = with_parity(append_crc(b"\xe0\x50"))
    host.ask(f"08 633D {bits & 7:02X}")
    said = bytes.fromhex(host.ask("42" + rats.hex()))
    last_bits = int(host.ask("06 633C"), 16) & 7 or 8
    assert said[0] == 0
    heard = without_parity(said[1:], last_bits)
    assert heard.has_right_parity
    assert heard.body() == bytes.fromhex("0578807002")
    wrong = bytes([rats[0], rats[1] ^ 1]) + rats[2:]
    assert host.ask("42" + wrong.hex()) == "01"


def test_a_short_frame_has_no_parity() -> None:
    assert without_parity(b"\x26", 7) == Frame(b"\x26", 7)
    assert without_parity(*with_parity(bytes(range(40)))).data == bytes(range(40))


def test_the_timeout_of_raw_frames_is_the_configured_one() -> None:
    clock = VirtualClock()
    host = Host(air=Air(clock))
    host.ask("32 01 01")
    for code, timeout_ns in ((0x01, 100_000), (0x0A, 51_200_000), (0x10, 3_276_800_000)):
        host.ask(f"32 02 00 0B {code:02X}")
        host.ask("42 B2")
        before_ns = clock.now_ns()
        host.ask("42 B2")
        assert timeout_ns < clock.now_ns() - before_ns < timeout_ns + 1_000_000


def test_without_a_timeout_the_chip_listens_until_it_is_told_to_stop() -> None:
    host = Host()
    host.ask("32 02 00 0B 00")
    assert host.start("42 B2") is None
    assert host.resume(0x42) is None
    host.say(ACK)
    assert not host.chip.is_busy


def test_a_raw_frame_is_repeated_as_the_configuration_says() -> None:
    frames = []
    host = Host(air=Air(Unpaced(), observer=frames.append))
    host.ask("32 01 01")
    host.ask("32 04 02")
    assert host.poll("42 B2") == "01"
    assert len(frames) == 1 + 3
    host.ask("32 04 FF")  # without end
    assert host.start("42 B2") is None
    for _ in range(1000):
        assert host.resume(0x42) is None
    assert host.ask("02") == "32010607"


def test_a_card_without_iso_dep_is_spoken_to_in_raw_frames() -> None:
    host = a_host(a_card(replace(PHONE, sak=0x08)))
    host.ask("4A 01 00")
    assert host.ask("40 01 60 04 FFFFFFFFFFFF 0411A2B3") == "14"
    assert host.ask("40 01 E0 50") == "000578807002"


# Waking and sleeping


def test_a_card_that_sleeps_is_woken_by_the_next_command_to_it() -> None:
    cards = {one.uid: a_card(one) for one in (PHONE, OTHER)}
    host = a_host(*cards.values())
    said = host.ask("4A 02 00")
    first, second = cards[bytes.fromhex(said[12:20])], cards[bytes.fromhex(said[40:48])]
    assert host.ask("40 01" + COMMAND) == "00" + ECHO
    assert host.ask("40 02" + COMMAND) == "00" + ECHO
    assert host.ask("54 01") == "00"
    assert (len(first.seen), len(second.seen)) == (1, 1)
    assert first.power == ["on", "off"] * 2 + ["on"]


def test_a_deselected_card_stays_listed_and_can_be_selected_again() -> None:
    card = a_card()
    host = a_host(card)
    host.ask("4A 01 00")
    assert host.ask("44 01") == "00"
    assert card.power == ["on", "off"]
    assert host.ask("44 00") == "00"
    assert host.ask("54 01") == "00"
    assert host.ask("54 01") == "00"
    assert host.ask("40 01" + COMMAND) == "00" + ECHO


def test_a_released_card_is_forgotten() -> None:
    card = a_card()
    host = a_host(card)
    host.ask("4A 01 00")
    assert host.ask("52 01") == "00"
    assert card.power == ["on", "off"]
    assert host.ask("40 01" + COMMAND) == "27"
    assert host.ask("52 00") == "00"


def test_a_card_without_iso_dep_is_halted() -> None:
    host = a_host(a_card(replace(PHONE, sak=0x08)))
    host.ask("4A 01 00")
    host.ask("44 01")
    assert host.ask("4A 01 00") == "00"
    assert host.ask("4A 01 00 0411A2B3")[:2] == "01"


def test_a_sleeping_card_that_has_left_is_a_timeout() -> None:
    station = Station(a_card())
    host = Host(station)
    host.ask(FIRST_TRY)
    host.ask("4A 01 00")
    host.ask("44 01")
    host.air.take_away(station)
    assert host.ask("54 01") == "01"
    assert host.ask("40 01" + COMMAND) == "01"


def test_rats_and_pps_can_be_asked_for() -> None:
    host = a_host(a_card(with_ats(ta=0x77)))
    host.ask(NO_RATS)
    host.ask("4A 01 00")
    assert host.ask("4E 01 01 01") == "27"
    assert host.ask("50 01 00") == "000578777002"
    assert host.ask("50 01 00") == "27"
    assert host.ask("4E 01 03 03") == "00"
    assert host.ask("40 01" + COMMAND) == "00" + ECHO
    assert host.ask("04")[6:14] == "01030300"


def test_raw_frames_are_at_the_rates_of_a_pps_until_the_card_is_selected_anew() -> None:
    host = a_host(a_card(with_ats(ta=0x77)))
    host.ask("4A 01 00")
    assert host.ask("4E 01 02 01") == "00"
    assert host.ask("06 6302 6303") == "a090"
    assert host.ask("42 B2") == "00a3"
    host.ask("44 01")
    host.ask("54 01")
    assert host.ask("06 6302 6303") == "8080"
    assert host.ask("42 B2") == "00a3"


def test_parts_of_commands_and_answers_are_forgotten_when_the_card_sleeps() -> None:
    card = SizedCard()
    host = a_host(card)
    host.ask("4A 01 00")
    assert host.poll("40 01" + "00B00000000258")[:2] == "40"
    assert host.ask("40 41 FF") == "00"
    host.ask("44 01")
    assert host.ask("40 01") == "10"
    host.ask("40 01 00B0000000")
    assert card.seen[1:] == [bytes.fromhex("00B0000000")]


def test_rates_that_the_card_does_not_offer_are_not_asked_for() -> None:
    host = a_host(a_card())
    host.ask("4A 01 00")
    assert host.ask("4E 01 01 01") == "26"
    assert host.ask("4E 01 00 00") == "00"


def test_a_new_search_forgets_the_targets_of_the_last() -> None:
    host = a_host(a_card())
    host.ask("4A 01 00")
    assert host.ask("4A 01 01 00FFFF0000") == "00"
    assert host.ask("40 01" + COMMAND) == "27"


def test_a_field_that_went_off_starts_the_card_afresh() -> None:
    card = a_card()
    host = a_host(card)
    host.ask("4A 01 00")
    host.ask("32 01 00")
    assert card.power == ["on", "off"]
    assert host.ask("42 B2") == "01"
    assert host.ask("4A 01 00") == LISTED


def test_a_second_reader_keeps_its_field_off() -> None:
    air = Air(Unpaced())
    first, second = a_host(a_card(), air=air), a_host(air=air)
    assert first.ask("4A 01 00") == LISTED
    assert second.ask("4A 01 00") == "00"
    second.ask("32 01 02")
    assert first.ask("40 01" + COMMAND) == "00" + ECHO


def test_a_chip_without_a_field_of_its_own_speaks_to_nobody() -> None:
    air = Air(Unpaced())
    first, second = a_host(a_card(), air=air), a_host(air=air)
    first.ask("32 01 01")
    second.ask("08 6302 00 6303 00 633D 07")
    assert second.ask("42 26") == "01"
    second.ask("08 6331 0C 633A 80 6339 26 633D 87")
    assert second.ask("06 633A") == "00"
    assert first.ask("4A 01 00") == LISTED


class Talker(Asleep):
    """A guest that answers raw frames with more than fits."""

    def receive(self, frame: Frame, timeout_ns: int) -> Reply | None:
        return Reply(Frame.whole(bytes(263)))


def test_what_does_not_fit_a_frame_to_the_host_is_an_error() -> None:
    host = Host(Talker())
    host.ask("32 01 01")
    assert host.ask("42 B2") == "07"
    host.ask("08 6302 00 6303 00 630D 10")
    assert host.ask("42 B2") == "07"


def test_an_ats_that_is_longer_than_the_chips_frames_is_none() -> None:
    ats = bytes([80, 0x78, 0x80, 0x70, 0x02]) + bytes(75)
    assert a_host(a_card(replace(PHONE, ats=ats))).ask("4A 01 00") == "00"

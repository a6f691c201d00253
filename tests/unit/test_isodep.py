"""The block protocol of the card, rule by rule (protocol reference 1.3 to 1.7)."""

import pytest

from apdu.ats import frame_waiting_time_s
from apdu.blocks import KINDS, Kind
from emulator.picc import Contactless
from emulator.radio.isodep import LEGAL, MAX_COMMAND, IsoDep, Phase
from tests.unit.pcd import PHONE, EchoCard, Pcd, SizedCard, linked, with_ats

COMMAND = bytes.fromhex("00B0950000")
ANSWER = COMMAND + b"\x90\x00"
NO_CID = 0x00


def opened(
    contactless: Contactless = PHONE, rats: str = "E080", card: EchoCard | None = None
) -> tuple[IsoDep, EchoCard]:
    picc = card or EchoCard(contactless)
    machine = IsoDep(picc, contactless)
    assert machine.activate(bytes.fromhex(rats)) == contactless.ats
    return machine, picc


def x(text: str) -> bytes:
    return bytes.fromhex(text)


# RATS, reference 1.3


def test_rats_powers_the_card_on_and_is_answered_by_the_ats() -> None:
    machine, card = opened(rats="E051")
    assert (machine.is_open, machine.fsd, machine.fsc, machine.cid) == (True, 64, 256, 1)
    assert card.power == ["on"]


@pytest.mark.parametrize("rats", ["", "E0", "E08F", "E08000", "C080"])
def test_an_invalid_rats_is_silent(rats: str) -> None:
    card = EchoCard()
    machine = IsoDep(card, PHONE)
    assert machine.activate(x(rats)) is None
    assert not machine.is_open
    assert card.power == []


def test_rats_is_answered_once() -> None:
    machine, card = opened()
    assert machine.activate(x("E080")) is None
    assert machine.receive(x("E080")) is None
    assert card.power == ["on"]


def test_a_closed_machine_is_silent() -> None:
    machine = IsoDep(EchoCard(), PHONE)
    assert all(machine.receive(bytes([pcb]) + COMMAND) is None for pcb in range(256))


# PPS, reference 1.4


def test_pps_is_answered_once() -> None:
    machine, _ = opened()
    assert machine.receive(x("D01100")) == x("D0")
    assert machine.receive(x("D01100")) is None


def test_pps_without_pps1_keeps_the_rates() -> None:
    machine, _ = opened()
    assert machine.receive(x("D001")) == x("D0")
    assert machine.divisors == (0, 0)


def test_pps_answers_its_own_cid_only() -> None:
    machine, _ = opened(rats="E083")
    assert machine.receive(x("D31100")) == x("D3")
    machine, _ = opened(rats="E083")
    assert machine.receive(x("D01100")) is None


def test_pps_to_a_card_without_cid_names_cid_0() -> None:
    machine, _ = opened(with_ats(tc=NO_CID), rats="E083")
    assert machine.receive(x("D01100")) == x("D0")


@pytest.mark.parametrize("first", ["0200B0950000", "FF", "", "B2"])
def test_pps_after_any_block_is_silent(first: str) -> None:
    machine, _ = opened()
    machine.receive(x(first))
    assert machine.receive(x("D01100")) is None


@pytest.mark.parametrize("pps", ["D0", "D011", "D00100", "D01200", "D01140", "D0110000"])
def test_a_malformed_pps_is_silent(pps: str) -> None:
    machine, _ = opened()
    assert machine.receive(x(pps)) is None


@pytest.mark.parametrize(
    ("ta", "pps1", "divisors"),
    [
        (0x80, 0x05, None),  # only 106 kbit/s
        (0x80, 0x00, (0, 0)),
        (0x91, 0x05, (1, 1)),  # 212 both ways
        (0x91, 0x04, None),  # the same both ways only
        (0x11, 0x04, (1, 0)),
        (0x43, 0x0E, (3, 2)),  # 848 from the card, 424 to it
        (0x43, 0x0F, None),
    ],
)
def test_pps_gives_the_rates_of_ta(ta: int, pps1: int, divisors: tuple[int, int] | None) -> None:
    machine, _ = opened(with_ats(ta=ta))
    answer = machine.receive(bytes([0xD0, 0x11, pps1]))
    assert answer == (None if divisors is None else b"\xd0")
    assert machine.divisors == (divisors or (0, 0))


# Block numbers, reference 1.6


def test_rule_a_c_the_first_block_0_is_answered_with_0() -> None:
    machine, _ = opened()
    assert machine.receive(x("02") + COMMAND) == x("02") + ANSWER


def test_rule_c_the_cards_number_is_1_at_activation() -> None:
    machine, _ = opened()
    assert machine.receive(x("B2")) == x("A3")


def test_rule_c_a_new_activation_starts_at_1_again() -> None:
    link = linked(EchoCard())
    Pcd(link.receive).activate().transmit(COMMAND)
    link.field_off()
    link.field_on()
    Pcd(link.receive).activate()
    assert link.receive(x("B2")) == x("A3")


def test_rule_d_each_i_block_toggles_the_cards_number() -> None:
    machine, _ = opened()
    numbers = [machine.receive(bytes([0x02 | n & 1]) + COMMAND) for n in range(5)]
    assert [block[0] & 1 for block in numbers if block] == [0, 1, 0, 1, 0]


def test_rule_d_the_number_of_the_i_block_does_not_matter() -> None:
    machine, card = opened()
    assert machine.receive(x("02") + COMMAND) == x("02") + ANSWER
    assert machine.receive(x("02") + COMMAND) == x("03") + ANSWER
    assert card.seen == [COMMAND, COMMAND]


def test_rule_e_r_ack_with_the_other_number_toggles_while_chaining() -> None:
    machine, _ = opened(rats="E000", card=SizedCard())
    first = machine.receive(x("02") + x("0014"))
    second = machine.receive(x("A3"))
    assert first is not None
    assert second is not None
    assert (first[0], second[0]) == (0x12, 0x03)


def test_rule_2_a_part_of_a_chain_is_answered_by_r_ack() -> None:
    machine, card = opened()
    assert machine.receive(x("12 00B0")) == x("A2")
    assert machine.receive(x("13 95")) == x("A3")
    assert card.seen == []
    assert machine.receive(x("02 0000")) == x("02") + ANSWER
    assert card.seen == [COMMAND]


def test_rule_3_a_deselect_is_answered_by_a_deselect() -> None:
    machine, card = opened()
    assert machine.receive(x("C2")) == x("C2")
    assert not machine.is_open
    assert card.power == ["on", "off"]


def test_rule_9_wtx_instead_of_an_i_block() -> None:
    machine, _ = opened()
    answer = machine.receive(x("02") + COMMAND)
    assert machine.request_wtx(10) == x("F20A")
    assert machine.receive(x("F20A")) == answer


def test_rule_9_wtx_instead_of_an_r_ack() -> None:
    machine, _ = opened()
    machine.receive(x("12 00B0"))
    assert machine.request_wtx(1) == x("F201")
    assert machine.receive(x("F201")) == x("A2")
    assert machine.receive(x("03 950000")) == x("03") + ANSWER


def test_rule_10_a_whole_command_is_answered_by_an_i_block() -> None:
    machine, card = opened()
    for n in range(4):
        command = COMMAND + bytes([n])
        assert machine.receive(bytes([0x02 | n & 1]) + command) == (
            bytes([0x02 | n & 1]) + command + b"\x90\x00"
        )
    assert len(card.seen) == 4


def test_rule_10_an_empty_i_block_is_answered_by_an_empty_i_block() -> None:
    machine, card = opened()
    assert machine.receive(x("02")) == x("02")
    assert machine.receive(x("03")) == x("03")
    assert card.seen == []


@pytest.mark.parametrize("again", ["B2", "A2"])
def test_rule_11_an_r_block_with_the_cards_number_repeats_the_last_block(again: str) -> None:
    machine, card = opened()
    answer = machine.receive(x("02") + COMMAND)
    assert machine.receive(x(again)) == answer
    assert machine.receive(x(again)) == answer
    assert card.seen == [COMMAND]


def test_rule_11_repeats_an_r_ack() -> None:
    machine, _ = opened()
    assert machine.receive(x("12 00B0")) == x("A2")
    assert machine.receive(x("B2")) == x("A2")


def test_rule_11_repeats_a_part_of_the_answer_unchanged() -> None:
    machine, _ = opened(rats="E000", card=SizedCard())
    machine.receive(x("02 0020"))
    second = machine.receive(x("A3"))
    assert machine.receive(x("A3")) == second
    assert machine.receive(x("B3")) == second
    third = machine.receive(x("A2"))
    assert third is not None
    assert third[1:3] == bytes([26, 27])


def test_rule_11_has_nothing_to_repeat_before_the_first_block() -> None:
    machine, _ = opened()
    assert machine.receive(x("B3")) is None


def test_rule_12_r_nak_with_the_other_number_is_answered_by_r_ack() -> None:
    machine, _ = opened()
    machine.receive(x("02") + COMMAND)
    assert machine.receive(x("B3")) == x("A2")


def test_rule_12_presence_check_changes_nothing() -> None:
    link = linked(EchoCard())
    pcd = Pcd(link.receive).activate()
    assert all(pcd.is_present() for _ in range(3))
    assert pcd.transmit(COMMAND) == ANSWER
    assert all(pcd.is_present() for _ in range(3))
    assert pcd.transmit(COMMAND) == ANSWER


def test_rule_13_r_ack_with_the_other_number_continues_the_chain() -> None:
    machine, _ = opened(rats="E000", card=SizedCard())
    assert machine.receive(x("02 0018")) == b"\x12" + bytes(range(13))
    assert machine.receive(x("A3")) == b"\x03" + bytes(range(13, 24)) + b"\x90\x00"


def test_rule_13_needs_a_chain() -> None:
    machine, _ = opened()
    machine.receive(x("02") + COMMAND)
    assert machine.receive(x("A3")) is None


# Silence, reference 1.6


def test_a_command_while_the_answer_is_chained_is_silent_and_changes_nothing() -> None:
    machine, card = opened(rats="E000", card=SizedCard())
    machine.receive(x("02 0018"))
    assert machine.receive(x("03 0018")) is None
    assert len(card.seen) == 1
    assert machine.receive(x("A3")) == b"\x03" + bytes(range(13, 24)) + b"\x90\x00"


def test_every_unknown_pcb_is_silent() -> None:
    for pcb in set(range(256)) - set(KINDS):
        machine, card = opened()
        assert machine.receive(bytes([pcb]) + COMMAND) is None
        assert card.seen == []
        assert machine.receive(x("02") + COMMAND) == x("02") + ANSWER


def test_the_pcbs_of_the_standard_are_known() -> None:
    by_kind = {kind: {pcb for pcb, k in KINDS.items() if k is kind} for kind in Kind}
    assert by_kind[Kind.I_BLOCK] == {0x02 | bits for bits in range(0x20) if not bits & 0x02}
    assert by_kind[Kind.R_BLOCK] == {0xA2, 0xA3, 0xAA, 0xAB, 0xB2, 0xB3, 0xBA, 0xBB}
    assert by_kind[Kind.DESELECT] == {0xC2, 0xCA}
    assert by_kind[Kind.WTX] == {0xF2, 0xFA}
    assert by_kind[Kind.PPS] == set(range(0xD0, 0xE0))


def test_the_table_has_a_row_for_every_phase() -> None:
    assert set(LEGAL) == set(Phase)


@pytest.mark.parametrize("frame", ["", "0A", "A200", "B200", "C200", "F201", "F0", "06", "0600"])
def test_an_invalid_block_is_silent(frame: str) -> None:
    machine, card = opened()
    machine.receive(x("02") + COMMAND)
    assert machine.receive(x(frame)) is None
    assert card.seen == [COMMAND]
    assert machine.is_open


def test_a_frame_longer_than_fsc_is_silent() -> None:
    machine, card = opened(with_ats(fsci=0))
    assert machine.receive(b"\x02" + bytes(14)) is None
    assert machine.receive(b"\x02" + bytes(13)) == b"\x02" + bytes(13) + b"\x90\x00"
    assert machine.receive(b"\x03" + bytes(14)) is None
    assert len(card.seen) == 1


def test_a_block_with_nad_is_ignored() -> None:
    machine, card = opened()
    assert machine.receive(x("06 00") + COMMAND) is None
    assert card.seen == []
    assert machine.receive(x("B2")) == x("A3")  # rule D did not apply


def test_a_chain_that_is_no_command_is_dropped() -> None:
    machine, card = opened(with_ats(fsci=12))
    part = bytes(4093)
    assert len(part) * 17 > MAX_COMMAND
    answers = [machine.receive(bytes([0x12 | n & 1]) + part) for n in range(17)]
    assert answers[15] is not None
    assert answers[16] is None
    assert card.seen == []


# CID, reference 1.5


def test_a_block_with_our_cid_is_answered_with_it() -> None:
    machine, _ = opened(rats="E085")
    assert machine.receive(x("0A05") + COMMAND) == x("0A05") + ANSWER
    assert machine.receive(x("CA05")) == x("CA05")


def test_every_kind_of_block_carries_the_cid() -> None:
    machine, _ = opened(rats="E005", card=SizedCard())
    assert machine.receive(x("1A05 00")) == x("AA05")
    assert machine.receive(x("BA05")) == x("AA05")
    assert machine.receive(x("0B05 18")) == x("1B05") + bytes(range(12))
    assert machine.request_wtx(2) == x("FA0502")
    assert machine.receive(x("FA0502")) == x("1B05") + bytes(range(12))
    assert machine.receive(x("AA05")) == x("1A05") + bytes(range(12, 24))
    assert machine.receive(x("AB05")) == x("0B05 9000")
    assert machine.receive(x("BA05")) == x("AB05")


def test_a_block_with_another_cid_is_ignored() -> None:
    machine, card = opened(rats="E085")
    assert machine.receive(x("0A06") + COMMAND) is None
    assert machine.receive(x("CA06")) is None
    assert card.seen == []
    assert machine.is_open


def test_a_block_without_cid_is_ignored_by_a_card_with_cid_5() -> None:
    machine, card = opened(rats="E085")
    for frame in (x("02") + COMMAND, x("B2"), x("C2"), x("0A05") + COMMAND, x("03") + COMMAND):
        machine.receive(frame)
    assert card.seen == [COMMAND]
    assert machine.is_open


def test_a_card_with_cid_0_takes_blocks_with_and_without_it() -> None:
    machine, _ = opened()
    assert machine.receive(x("0A00") + COMMAND) == x("0A00") + ANSWER
    assert machine.receive(x("03") + COMMAND) == x("03") + ANSWER


def test_a_card_without_cid_ignores_blocks_with_one() -> None:
    machine, card = opened(with_ats(tc=NO_CID), rats="E080")
    assert machine.receive(x("0A00") + COMMAND) is None
    assert card.seen == []
    assert machine.receive(x("02") + COMMAND) == x("02") + ANSWER


def test_a_card_without_cid_takes_plain_blocks_whatever_rats_said() -> None:
    machine, _ = opened(with_ats(tc=NO_CID), rats="E085")
    assert machine.receive(x("02") + COMMAND) == x("02") + ANSWER


# S(WTX), end of reference 1.6


def test_wtx_a_lost_request_is_repeated_on_r_nak() -> None:
    machine, _ = opened()
    answer = machine.receive(x("02") + COMMAND)
    request = machine.request_wtx(59)
    assert machine.receive(x("B2")) == request
    assert machine.receive(x("B3")) == request
    assert machine.receive(x("F23B")) == answer


def test_wtx_deselect_is_obeyed() -> None:
    machine, card = opened()
    machine.receive(x("02") + COMMAND)
    machine.request_wtx(2)
    assert machine.receive(x("C2")) == x("C2")
    assert card.power == ["on", "off"]


@pytest.mark.parametrize("frame", ["F203", "F2", "F20200", "F242", "A2", "A3", "0200B0950000"])
def test_wtx_anything_else_is_silent(frame: str) -> None:
    machine, card = opened()
    answer = machine.receive(x("02") + COMMAND)
    machine.request_wtx(2)
    assert machine.receive(x(frame)) is None
    assert machine.receive(x("F202")) == answer
    assert card.seen == [COMMAND]


def test_wtx_may_be_asked_again() -> None:
    machine, _ = opened()
    answer = machine.receive(x("02") + COMMAND)
    for wtxm in (3, 4):
        assert machine.request_wtx(wtxm) == bytes([0xF2, wtxm])
        assert machine.receive(bytes([0xF2, wtxm])) == answer
    assert machine.receive(x("B2")) == answer
    assert machine.receive(x("03") + COMMAND) == x("03") + ANSWER


def test_wtx_in_the_middle_of_a_chained_answer() -> None:
    machine, _ = opened(rats="E000", card=SizedCard())
    machine.receive(x("02 0018"))
    machine.request_wtx(2)
    assert machine.receive(x("F202")) == b"\x12" + bytes(range(13))
    assert machine.receive(x("A3")) == b"\x03" + bytes(range(13, 24)) + b"\x90\x00"


def test_wtx_extends_the_waiting_time_until_the_next_block() -> None:
    machine, _ = opened()
    fwt_s = frame_waiting_time_s(7)
    machine.receive(x("02") + COMMAND)
    machine.request_wtx(10)
    assert machine.waiting_time_s == fwt_s
    machine.receive(x("F20A"))
    assert machine.waiting_time_s == 10 * fwt_s
    machine.receive(x("03") + COMMAND)
    assert machine.waiting_time_s == fwt_s


def test_wtx_never_extends_past_fwt_14() -> None:
    machine, _ = opened(with_ats(fwi=13))
    machine.receive(x("02") + COMMAND)
    machine.request_wtx(59)
    machine.receive(x("F23B"))
    assert machine.waiting_time_s == frame_waiting_time_s(14)


@pytest.mark.parametrize("wtxm", [0, 60, 63, -1])
def test_wtx_refuses_a_multiplier_out_of_range(wtxm: int) -> None:
    machine, _ = opened()
    machine.receive(x("02") + COMMAND)
    with pytest.raises(ValueError, match="1 to 59"):
        machine.request_wtx(wtxm)


def test_wtx_needs_an_answer_to_hold_back() -> None:
    machine, _ = opened()
    with pytest.raises(RuntimeError):
        machine.request_wtx(1)
    machine.receive(x("02") + COMMAND)
    machine.request_wtx(1)
    with pytest.raises(RuntimeError):
        machine.request_wtx(1)


def test_wtx_is_granted_by_the_reference_reader() -> None:
    link = linked(EchoCard())
    waits = [5, 7]

    def slow(frame: bytes) -> bytes | None:
        answer = link.receive(frame)
        if link.isodep.is_open and answer is not None and frame[0] & 0xE2 != 0xE0 and waits:
            return link.isodep.request_wtx(waits.pop())
        return answer

    assert Pcd(slow).activate().transmit(COMMAND) == ANSWER
    assert waits == []

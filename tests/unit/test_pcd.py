"""The reader's block machine, rule by rule (protocol reference 1.6), fed by hand."""

import pytest

from apdu.ats import FRAME_SIZES
from emulator.radio.medium import RATS_TIMEOUT_NS, Heard
from emulator.radio.pcd import LinkDead
from emulator.radio.timing import DELTA_FWT, ns
from tests.unit.talk import SILENCE, SPOILT, opened, play, played, x

COMMAND = x("00B0950000")
I0, I1 = "0200B0950000", "0300B0950000"
OK = "9000"
SMALL = "0570807002"  # FSC 16: 13 bytes of a command in a block
PARTS = bytes(range(30))
PART1, PART2, PART3 = (PARTS[at : at + 13].hex() for at in (0, 13, 26))
SLACK_NS = ns(DELTA_FWT)


# Block numbers, reference 1.6


def test_rule_a_the_first_block_has_number_0():
    pcd = opened()
    assert play(pcd.transmit(COMMAND), (I0, "02" + OK)) == x(OK)


def test_rule_a_the_number_is_0_after_each_activation():
    pcd = opened()
    play(pcd.transmit(COMMAND), (I0, "02" + OK))
    assert pcd.number == 1
    play(pcd.activate(), ("E080", "0578807002"))
    assert play(pcd.transmit(COMMAND), (I0, "02" + OK)) == x(OK)


def test_rule_b_the_number_turns_with_each_i_block():
    pcd = opened()
    for n in range(5):
        assert play(pcd.transmit(COMMAND), ((I0, I1)[n & 1], f"0{2 + (n & 1)}{OK}")) == x(OK)


def test_rule_b_the_number_turns_with_each_r_ack_and_with_each_part_of_an_answer():
    pcd = opened(SMALL)
    answer = play(
        pcd.transmit(PARTS),
        ("12" + PART1, "A2"),
        ("13" + PART2, "A3"),
        ("02" + PART3, "12AA"),
        ("A3", "13BB"),
        ("A2", "02CC9000"),
    )
    assert answer == x("AABBCC9000")
    assert play(pcd.transmit(b"\x01"), ("0301", "03" + OK)) == x(OK)


def test_rule_b_a_block_with_another_number_turns_nothing():
    pcd = opened()
    assert play(pcd.transmit(COMMAND), (I0, "03" + OK), ("B2", "02" + OK)) == x(OK)
    pcd = opened(SMALL)
    turns = [("12" + PART1, "A3"), ("B2", "A2"), ("0301", "03" + OK)]
    assert play(pcd.transmit(PARTS[:13] + b"\x01"), *turns) == x(OK)


# Both sides


def test_rule_1_the_reader_speaks_first():
    pcd = opened()
    for conversation in (pcd.transmit(COMMAND), pcd.is_present(), pcd.deselect()):
        assert next(conversation).data


def test_rule_2_a_chained_block_is_acknowledged():
    pcd = opened()
    turns = [(I0, "1201"), ("A3", "1302"), ("A2", "1203"), ("A3", "0304" + OK)]
    assert play(pcd.transmit(COMMAND), *turns) == x("01020304" + OK)


def test_rule_3_s_wtx_is_answered_with_its_multiplier():
    pcd = opened()
    assert play(pcd.transmit(COMMAND), (I0, "F205"), ("F205", "02" + OK)) == x(OK)


def test_rule_3_the_power_level_is_not_repeated():
    pcd = opened(cid=3)
    turns = [("0A03" + COMMAND.hex(), "FAC3C5"), ("FA0305", "0AC3" + OK)]
    assert play(pcd.transmit(COMMAND), *turns) == x(OK)


def test_rule_3_s_wtx_may_come_in_place_of_any_block():
    pcd = opened(SMALL)
    answer = play(
        pcd.transmit(PARTS[:14]),
        ("12" + PART1, "F201"),
        ("F201", "A2"),
        ("030D", "F202"),
        ("F202", "F203"),
        ("F203", "13AA"),
        ("A2", "F204"),
        ("F204", "02BB" + OK),
    )
    assert answer == x("AABB" + OK)


def test_rule_3_s_deselect_is_answered_by_itself():
    pcd = opened(cid=9)
    (ask,) = played(pcd.deselect(), ("CA09", "CA09"))
    assert ask.timeout_ns == RATS_TIMEOUT_NS + SLACK_NS
    assert play(opened(cid=9).deselect(), ("CA09", "CA49"))  # power level


# Reader


@pytest.mark.parametrize("bad", [SILENCE, *SPOILT], ids=lambda heard: heard.trouble.value)
def test_rule_4_trouble_is_answered_by_r_nak(bad: Heard):
    pcd = opened()
    assert play(pcd.transmit(COMMAND), (I0, bad), ("B2", "02" + OK)) == x(OK)
    assert play(pcd.transmit(COMMAND), (I1, bad), ("B3", bad), ("B3", "03" + OK)) == x(OK)


@pytest.mark.parametrize(
    "bad",
    [
        "",  # nothing
        "03" + OK,  # another number
        "B2",  # a card never says R(NAK)
        "A2",  # the part is taken, but it was the end
        "A300",
        "C2",
        "F2",
        "F20100",
        "D0",
        "E2",
        "0600" + OK,  # NAD, which the reader never offered
        "0A00" + OK,  # CID, which the reader did not use
        "12",  # a chain whose part is empty
        "FF",
    ],
)
def test_rule_4_a_block_that_cannot_come_now_is_bad(bad: str):
    pcd = opened()
    assert play(pcd.transmit(COMMAND), (I0, bad), ("B2", "02" + OK)) == x(OK)


@pytest.mark.parametrize("bad", ["02" + OK, "0A06" + OK, "0A", "AA06", "FA0605", "F205", "1A06AA"])
def test_rule_4_another_cid_is_bad(bad: str):
    pcd = opened(cid=5)
    first = "0A05" + COMMAND.hex()
    assert play(pcd.transmit(COMMAND), (first, bad), ("BA05", "0A05" + OK)) == x(OK)


@pytest.mark.parametrize("fsdi", range(9))
def test_rule_4_a_frame_longer_than_fsd_is_bad(fsdi: int):
    room = FRAME_SIZES[fsdi] - 3
    pcd = opened(fsdi=fsdi)
    longest, longer = "02" + bytes(room).hex(), "02" + bytes(room + 1).hex()
    turns = [(I0, longer), ("B2", longest)]
    assert play(pcd.transmit(COMMAND), *turns) == bytes(room)


@pytest.mark.parametrize("wtxm", [0, 60, 61, 62, 63])
def test_rule_4_s_wtx_out_of_range_is_bad(wtxm: int):
    pcd = opened()
    assert play(pcd.transmit(COMMAND), (I0, f"F2{wtxm:02X}"), ("B2", "02" + OK)) == x(OK)


def test_rule_4_not_while_the_card_chains():
    pcd = opened()
    turns = [(I0, "12AA"), ("A3", SILENCE), ("A3", SPOILT[0]), ("A3", "03" + OK)]
    assert play(pcd.transmit(COMMAND), *turns) == x("AA" + OK)


def test_rule_4_not_for_s_deselect():
    pcd = opened()
    assert play(pcd.deselect(), ("C2", SILENCE), ("C2", SPOILT[0]), ("C2", "C2"))


def test_rule_4_gives_up_after_its_tries():
    pcd = opened(tries=3)
    with pytest.raises(LinkDead):
        play(pcd.transmit(COMMAND), (I0, SILENCE), *[("B2", SILENCE)] * 3)
    pcd = opened(tries=1)
    with pytest.raises(LinkDead):
        play(pcd.transmit(COMMAND), (I0, SILENCE), ("B2", SILENCE))


def test_rule_5_r_ack_is_repeated_until_the_part_comes():
    pcd = opened(SMALL)
    turns = [
        (I0, "12AA"),
        ("A3", "12AA"),  # a late copy: the number is not the reader's
        ("A3", "B3"),
        ("A3", "03BB" + OK),
    ]
    assert play(pcd.transmit(COMMAND), *turns) == x("AABB" + OK)


def test_rule_5_gives_up_after_its_tries():
    pcd = opened()
    with pytest.raises(LinkDead):
        play(pcd.transmit(COMMAND), (I0, "12AA"), *[("A3", SILENCE)] * 3)


def test_rule_6_r_ack_after_r_nak_sends_the_block_again():
    pcd = opened()
    turns = [(I0, SILENCE), ("B2", "A3"), (I0, "02" + OK)]
    assert play(pcd.transmit(COMMAND), *turns) == x(OK)


def test_rule_6_in_a_chain_too():
    pcd = opened(SMALL)
    turns = [
        ("12" + PART1, "A2"),
        ("13" + PART2, SILENCE),
        ("B3", "A2"),
        ("13" + PART2, "A3"),
        ("02" + PART3, "02" + OK),
    ]
    assert play(pcd.transmit(PARTS), *turns) == x(OK)


def test_rule_6_not_for_a_late_copy():
    """Only R(NAK) asks for the number: R(ACK) that comes otherwise sends nothing again."""
    pcd = opened()
    turns = [(I0, "A3"), ("B2", "02" + OK)]
    assert play(pcd.transmit(COMMAND), *turns) == x(OK)
    pcd = opened()
    turns = [(I0, SILENCE), ("B2", "A3"), (I0, "A3"), ("B2", "02" + OK)]
    assert play(pcd.transmit(COMMAND), *turns) == x(OK)


def test_rule_6_once_for_each_r_nak_and_no_more_than_the_tries():
    pcd = opened(tries=5)
    turns = [(I0, SILENCE), ("B2", "A3")] * 3
    with pytest.raises(LinkDead):
        play(pcd.transmit(COMMAND), *turns)


def test_rule_6_an_r_block_with_content_is_bad():
    pcd = opened()
    turns = [(I0, SILENCE), ("B2", "A300"), ("B2", "02" + OK)]
    assert play(pcd.transmit(COMMAND), *turns) == x(OK)


def test_rule_7_r_ack_with_our_number_continues_the_chain():
    pcd = opened(SMALL)
    turns = [("12" + PART1, "A2"), ("13" + PART2, "A3"), ("02" + PART3, "02" + OK)]
    assert play(pcd.transmit(PARTS), *turns) == x(OK)


def test_rule_7_after_r_nak_too():
    pcd = opened(SMALL)
    turns = [("12" + PART1, SILENCE), ("B2", "A2"), ("030D", "03" + OK)]
    assert play(pcd.transmit(PARTS[:14]), *turns) == x(OK)


def test_rule_7_an_answer_before_the_chain_ends_is_bad():
    pcd = opened(SMALL)
    turns = [("12" + PART1, "02" + OK), ("B2", "A2"), ("030D", "03" + OK)]
    assert play(pcd.transmit(PARTS[:14]), *turns) == x(OK)


def test_rule_8_s_deselect_is_repeated_and_then_given_up():
    assert play(opened().deselect(), ("C2", SILENCE), ("C2", "C2")) is True
    assert play(opened(tries=3).deselect(), *[("C2", SILENCE)] * 3) is False
    bad = ["C200", "CA00", "02" + OK]
    assert play(opened().deselect(), *[("C2", answer) for answer in bad]) is False

"""The reader's link to one card: RATS, PPS, S(WTX), presence, and how it dies; fed by hand."""

from collections.abc import Callable, Iterator
from itertools import count

import pytest

from apdu.blocks import MAX_WTXM
from emulator.radio.medium import RATS_TIMEOUT_NS, Heard, Radio, Trouble
from emulator.radio.pcd import (
    MAX_FWT_NS,
    MOST_EXTENSIONS,
    MOST_RESPONSE,
    LinkDead,
    PcdIsoDep,
)
from emulator.radio.timing import DELTA_FWT, ns
from tests.unit.talk import SILENCE, SPOILT, opened, play, played, x

COMMAND = x("00B0950000")
I0, I1 = "0200B0950000", "0300B0950000"
OK = "9000"
FWT_7_NS = 38_664_307
SLACK_NS = ns(DELTA_FWT)


class Endless:
    """A card that goes on for ever. turns: how often it was asked."""

    def __init__(self, answer: Callable[[int], bytes]) -> None:
        self._answer = answer
        self.turns = 0

    def carry(self, radio: Radio[bytes]) -> None:
        next(radio)
        for heard in self._heard():
            radio.send(heard)

    def _heard(self) -> Iterator[Heard]:
        for self.turns in count():
            yield Heard(self._answer(self.turns))


# RATS, reference 1.3


@pytest.mark.parametrize("fsdi", range(9))
def test_rats_says_what_the_reader_takes(fsdi: int):
    (ask,) = played(PcdIsoDep(fsdi).activate(), (f"E0{fsdi}0", "0578807002"))
    assert ask.rates == (0, 0)
    assert ask.timeout_ns == RATS_TIMEOUT_NS + SLACK_NS
    assert (ask.adds_crc, ask.wants_crc, ask.tail) == (True, True, 8)


@pytest.mark.parametrize("cid", range(15))
def test_rats_assigns_the_cid(cid: int):
    assert opened(cid=cid).cid == cid


@pytest.mark.parametrize("ats", ["", "00", "0578", "0278", "057880700200"])
def test_a_malformed_ats_is_none(ats: str):
    pcd = PcdIsoDep()
    assert play(pcd.activate(), ("E080", ats)) is None
    with pytest.raises(LinkDead):
        play(pcd.transmit(COMMAND))


def test_no_ats_is_none():
    assert play(PcdIsoDep().activate(), ("E080", SILENCE)) is None
    for spoilt in SPOILT:
        assert play(PcdIsoDep().activate(), ("E080", spoilt)) is None


def test_a_bare_ats_has_the_defaults_of_the_standard():
    pcd = opened("01", cid=1)
    (ask,) = played(pcd.transmit(COMMAND), ("0A01" + COMMAND.hex(), "0A01" + OK))
    assert ask.timeout_ns == 4_833_038 + SLACK_NS


def test_a_card_without_cid_is_addressed_without_one():
    pcd = opened("0578807000", cid=5)
    assert pcd.cid is None
    assert play(pcd.transmit(COMMAND), (I0, "02" + OK)) == x(OK)
    assert play(pcd.deselect(), ("C2", "C2"))


def test_the_guard_time_of_the_ats_comes_before_the_next_frame_alone():
    pcd = opened("0578807402")
    (first,) = played(pcd.transmit(COMMAND), (I0, "02" + OK))
    (second,) = played(pcd.transmit(COMMAND), (I1, "03" + OK))
    assert (first.rest_ns, second.rest_ns) == (4_833_038, 0)
    pcd = opened("0578F77402")
    (first,) = played(pcd.pps(1, 1), ("D01105", "D0"))
    (second,) = played(pcd.transmit(COMMAND), (I0, "02" + OK))
    assert (first.rest_ns, second.rest_ns) == (4_833_038, 0)


# PPS, reference 1.4


@pytest.mark.parametrize(("dsi", "dri"), [(0, 0), (1, 1), (3, 2), (0, 3)])
def test_pps_changes_the_rates_after_its_answer(dsi: int, dri: int):
    pcd = opened("0578777002")
    (ask,) = played(pcd.pps(dsi, dri), (f"D011{dsi << 2 | dri:02X}", "D0"))
    assert ask.rates == (0, 0)
    (ask,) = played(pcd.transmit(COMMAND), (I0, "02" + OK))
    assert ask.rates == (dri, dsi)


@pytest.mark.parametrize("answer", ["D1", "D011", "", "C2", SILENCE, *SPOILT])
def test_pps_without_its_answer_changes_nothing(answer: str | Heard):
    pcd = opened("0578777002")
    assert play(pcd.pps(2, 2), ("D0110A", answer)) is False
    assert pcd.rates == (0, 0)


def test_pps_names_the_cid():
    pcd = opened("0578777002", cid=7)
    assert play(pcd.pps(1, 1), ("D71105", "D7"))


def test_rates_end_with_the_next_activation():
    pcd = opened("0578777002")
    assert play(pcd.pps(3, 3), ("D0110F", "D0"))
    (ask,) = played(pcd.deselect(), ("C2", "C2"))
    assert ask.rates == (3, 3)
    (ask,) = played(pcd.activate(), ("E080", "0578777002"))
    assert ask.rates == (0, 0)
    assert pcd.rates == (0, 0)


# S(WTX), reference 1.5


@pytest.mark.parametrize("wtxm", [1, 2, 30, MAX_WTXM])
def test_s_wtx_extends_the_wait_for_one_block(wtxm: int):
    pcd = opened()
    turns = [(I0, f"F2{wtxm:02X}"), (f"F2{wtxm:02X}", SILENCE), ("B2", "02" + OK)]
    before, extended, after = (ask.timeout_ns for ask in played(pcd.transmit(COMMAND), *turns))
    assert before == after == FWT_7_NS + SLACK_NS
    assert extended == min(FWT_7_NS * wtxm, MAX_FWT_NS) + SLACK_NS


def test_s_wtx_never_extends_past_fwt_14():
    pcd = opened("057880D002")
    _, extended = played(pcd.transmit(COMMAND), (I0, "F23B"), ("F23B", "02" + OK))
    assert extended.timeout_ns == MAX_FWT_NS + SLACK_NS
    assert MAX_FWT_NS == 4_949_031_268


def test_endless_s_wtx_is_a_dead_link():
    card = Endless(lambda _: x("F201"))
    with pytest.raises(LinkDead, match="100 times in a row"):
        card.carry(opened(tries=3).transmit(COMMAND))
    assert card.turns == MOST_EXTENSIONS - 1


def test_a_card_that_asks_for_time_for_ever_is_present():
    turns = [("B2", "F201"), *[("F201", "F201")] * (MOST_EXTENSIONS - 1)]
    assert play(opened().is_present(), *turns) is True


def test_a_card_may_ask_for_time_as_often_as_it_needs():
    pcd = opened()
    turns = [(I0, "F201"), *[("F201", "F201")] * (MOST_EXTENSIONS - 2), ("F201", "02" + OK)]
    assert play(pcd.transmit(COMMAND), *turns) == x(OK)


# Lengths, and what ends


def test_an_answer_that_never_ends_is_a_dead_link():
    card = Endless(lambda n: bytes([0x12 | n & 1]) + bytes(250))
    with pytest.raises(LinkDead, match="does not end"):
        card.carry(opened().transmit(COMMAND))
    assert card.turns * 250 <= MOST_RESPONSE


def test_the_longest_answer_there_is_arrives():
    parts = [bytes(250)] * (MOST_RESPONSE // 250) + [bytes(MOST_RESPONSE % 250)]
    blocks = [bytes([0x12 | n & 1]) + part for n, part in enumerate(parts)]
    blocks[-1] = bytes([blocks[-1][0] & ~0x10]) + parts[-1]
    turns = [(f"A{2 + (n & 1)}", Heard(block)) for n, block in enumerate(blocks)]
    turns[0] = (I0, turns[0][1])
    assert play(opened().transmit(COMMAND), *turns) == bytes(MOST_RESPONSE)


def test_a_chain_of_nothing_is_a_dead_link():
    pcd = opened()
    with pytest.raises(LinkDead):
        play(pcd.transmit(COMMAND), (I0, "12AA"), *[("A3", "13")] * 3)


def test_an_empty_command_is_refused_before_anything_is_sent():
    with pytest.raises(ValueError, match="empty command"):
        play(opened().transmit(b""))


def test_a_dead_link_stays_dead_until_it_is_activated_anew():
    """The next block would carry the number of the lost one, and the card take it twice."""
    pcd = opened(tries=1)
    with pytest.raises(LinkDead):
        play(pcd.transmit(COMMAND), (I0, SILENCE), ("B2", SILENCE))
    for _ in range(2):
        with pytest.raises(LinkDead, match="activated"):
            play(pcd.transmit(COMMAND))
    play(pcd.activate(), ("E080", "0578807002"))
    assert play(pcd.transmit(COMMAND), (I0, "02" + OK)) == x(OK)


def test_a_conversation_that_is_broken_off_is_a_dead_link():
    pcd = opened()
    radio = pcd.transmit(COMMAND)
    next(radio)
    radio.close()
    with pytest.raises(LinkDead):
        play(pcd.transmit(COMMAND))


def test_nothing_is_sent_to_a_deselected_card_or_to_one_never_activated():
    pcd = opened()
    play(pcd.deselect(), ("C2", "C2"))
    for closed in (pcd, PcdIsoDep()):
        with pytest.raises(LinkDead):
            play(closed.transmit(COMMAND))


# Presence


def test_a_card_is_present_when_it_acknowledges_r_nak():
    pcd = opened()
    assert play(pcd.is_present(), ("B2", "A3")) is True
    assert play(pcd.transmit(COMMAND), (I0, "02" + OK)) == x(OK)
    assert play(pcd.is_present(), ("B3", SILENCE), ("B3", "A2")) is True


def test_a_card_that_repeats_its_block_is_present_too():
    pcd = opened(tries=1)
    with pytest.raises(LinkDead):
        play(pcd.transmit(COMMAND), (I0, SILENCE), ("B2", SILENCE))
    assert play(pcd.is_present(), ("B2", "02" + OK)) is True


def test_a_card_that_asks_for_time_is_present():
    assert play(opened().is_present(), ("B2", "F201"), ("F201", "A3")) is True


@pytest.mark.parametrize("bad", [SILENCE, *SPOILT, "", "C2", "AA00"])
def test_silence_and_nonsense_are_no_presence(bad: str | Heard):
    assert play(opened().is_present(), *[("B2", bad)] * 3) is False


def test_a_collision_is_a_bad_block():
    pcd = opened()
    collided = Heard(x("02"), Trouble.COLLISION, 9)
    assert play(pcd.transmit(COMMAND), (I0, collided), ("B2", "02" + OK)) == x(OK)

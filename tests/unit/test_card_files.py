"""Selecting, the FCI, blocked applications and challenges (protocol reference 2.2 to 2.5, 4.4)."""

from dataclasses import replace

import pytest

from apdu.commands import (
    AID_PPSE,
    AID_PURSE,
    GET_BALANCE,
    GET_CHALLENGE,
    SELECT,
    SELECT_FILE,
    TABLE,
)
from apdu.files import EF15
from apdu.key_commands import APPLICATION_BLOCK, APPLICATION_UNBLOCK
from apdu.records import SelectName
from apdu.sw import SW
from emulator.card.env import ScriptedEnv
from emulator.card.state import Blocked, with_directory
from tests.cards import OK, new_card, purse_at, sw_of, with_blocked, with_content
from tests.desk import Desk, desk_of

ALGORITHM = 0xCD
"""The instruction that a card of one algorithm does not have (4.21)."""

FCI = (
    "6F318408A000000632010105A5259F0801029F0C1E"
    "09981001FFFFFFFF02010310522800990000001720250901202609300200"
)
PPSE = (
    "6F2E840E325041592E5359532E4444463031A51CBF0C19"
    "61174F08A00000063201010550084D4F545F545F4550870101"
)
MF = bytes.fromhex("00A40000023F00")


# SELECT (2.2 to 2.5, 4.4)


def test_the_directory_and_the_fci_are_byte_for_byte_those_of_the_reference():
    made = Desk(new_card())
    assert made.ask(SELECT, SelectName(AID_PPSE)).hex().upper() == PPSE + "9000"
    assert made.ask(SELECT, SelectName(AID_PURSE)).hex().upper() == FCI + "9000"


def test_the_master_file_answers_like_the_directory():
    made = desk_of()
    assert made.send(MF).hex().upper() == PPSE + "9000"
    assert made.ask(GET_BALANCE).hex() == "6a82"


def test_the_fci_shows_what_ef15_holds_now():
    content = bytes(range(30))
    made = Desk(new_card(with_content(EF15.sfi, content)))
    fci = made.ask(SELECT)
    assert fci[-32:-2] == content
    assert made.send(bytes.fromhex("00B0950000")) == content + OK


@pytest.mark.parametrize("size", range(1, 17))
def test_five_bytes_or_more_of_a_name_select_it(size):
    name = AID_PURSE[:size] if size <= 8 else AID_PURSE + bytes(size - 8)
    response = Desk(new_card()).send(bytes((0x00, 0xA4, 0x04, 0x00, size)) + name)
    if size < 5:
        assert response.hex() == "6700"
    elif size <= 8:
        assert response.hex().upper() == FCI + "9000"
    else:
        assert response.hex() == "6a82"


def test_a_short_name_selects_the_longer_instance():
    name = AID_PURSE + bytes.fromhex("10009156000014A1")

    def renamed(image):
        at = purse_at(image)
        app = image.directories[at]
        return with_directory(image, at, replace(app, head=replace(app.head, name=name)))

    made = Desk(new_card(renamed))
    for n in (5, 8, 16):
        assert made.ask(SELECT, SelectName(name[:n]))[-2:] == OK
        assert made.ask(GET_BALANCE)[-2:] == OK


@pytest.mark.parametrize("name", ["D2760000850101", "A00000000386980701", "A000000632010106"])
def test_an_unknown_application_is_6a82_and_the_old_one_stays(name):
    made = desk_of()
    assert made.ask(SELECT, SelectName(bytes.fromhex(name))).hex() == "6a82"
    assert made.ask(GET_BALANCE)[-2:] == OK


def test_power_on_selects_the_directory_and_gives_the_historical_bytes():
    made = desk_of()
    assert made.card.power_on() == made.card.contactless.historical
    assert made.ask(GET_BALANCE).hex() == "6a82"


# Blocked (2.5, 4.19)


def blocked(how: Blocked) -> Desk:
    made = Desk(new_card(with_blocked(how)))
    assert made.ask(SELECT).hex().upper() == FCI + "6A81"
    return made


@pytest.mark.parametrize("how", [Blocked.TEMPORARY, Blocked.PERMANENT])
def test_a_blocked_purse_answers_select_with_fci_and_6a81_and_nothing_else(how):
    word = SW.BLOCKED if how is Blocked.TEMPORARY else SW.PERMANENTLY_BLOCKED
    for spec in TABLE:
        made = blocked(how)
        sw = sw_of(made.ask(spec))
        if spec.ins == ALGORITHM:
            assert sw == SW.INS_UNKNOWN, "a card of one algorithm does not know it, blocked or not"
        elif not spec.if_blocked:
            assert sw == word, spec.name
        elif spec is SELECT:
            assert sw == SW.BLOCKED, "with its FCI"
        elif spec is SELECT_FILE:
            assert sw == word, "a file of the application is not selected either"
        elif spec in (APPLICATION_BLOCK, APPLICATION_UNBLOCK) and how is Blocked.PERMANENT:
            assert sw == SW.PERMANENTLY_BLOCKED
        else:
            assert sw == SW.OK, spec.name


@pytest.mark.parametrize("how", [Blocked.TEMPORARY, Blocked.PERMANENT])
def test_a_blocked_purse_gives_a_challenge(how):
    assert len(blocked(how).ask(GET_CHALLENGE)) == 6


@pytest.mark.parametrize("how", [Blocked.TEMPORARY, Blocked.PERMANENT])
def test_blocked_comes_after_class_and_instruction_and_before_parameters(how):
    word = f"{SW.BLOCKED if how is Blocked.TEMPORARY else SW.PERMANENTLY_BLOCKED:04x}"
    made = blocked(how)
    assert made.send(bytes.fromhex("E05C000204")).hex() == "6e00"
    assert made.send(bytes.fromhex("80FF000204")).hex() == "6d00"
    assert made.send(bytes.fromhex("805CFFFF04")).hex() == word
    assert made.send(bytes.fromhex("8050010201AA")).hex() == word


def test_the_directory_of_a_blocked_card_still_answers():
    made = blocked(Blocked.TEMPORARY)
    assert made.ask(SELECT, SelectName(AID_PPSE)).hex().upper() == PPSE + "9000"
    assert made.ask(GET_BALANCE).hex() == "6a82"


# GET CHALLENGE (4.9)


def test_a_challenge_lives_for_one_command():
    made = desk_of(env=ScriptedEnv([b"abcd", b"efghijkl"]))
    assert made.ask(GET_CHALLENGE) == b"abcd" + OK
    assert made.card._card.challenge == b"abcd"
    made.ask(GET_BALANCE)
    assert made.card._card.challenge is None
    assert made.send(bytes.fromhex("0084000008")) == b"efghijkl" + OK
    made.card.power_off()
    assert made.card._card.challenge is None

"""The PN532 looks for cards: what it lists, what it tells of it; and nothing imagined."""

from dataclasses import replace

import pytest

from emulator.picc import Contactless
from emulator.radio.air import Air
from emulator.radio.clock import Unpaced, VirtualClock
from emulator.radio.faults import Fault, FaultKind, Script
from emulator.radio.pn532.link import ACK
from emulator.radio.station import Station
from tests.pn532_cards import (
    COMMAND,
    ECHO,
    FIRST_TRY,
    LISTED,
    LONG,
    NO_RATS,
    OTHER,
    Asleep,
    a_card,
    a_host,
)
from tests.pn532_host import Host
from tests.unit.pcd import PHONE


def test_a_card_is_listed_with_its_answers_and_its_ats() -> None:
    card = a_card()
    assert a_host(card).ask("4A 01 00") == LISTED
    assert card.power == ["on"]


def test_without_automatic_rats_the_card_is_only_selected() -> None:
    host = a_host(a_card())
    host.ask(NO_RATS)
    assert host.ask("4A 01 00") == "0101000420040411a2b3"


def test_a_card_without_iso_dep_gets_no_rats() -> None:
    host = a_host(a_card(replace(PHONE, sak=0x08)))
    assert host.ask("4A 01 00") == "0101000408040411a2b3"


def test_a_uid_of_seven_bytes_is_told_without_its_cascade_tag() -> None:
    host = a_host(a_card(LONG))
    assert host.ask("4A 01 00") == "0101004420070411223344556605 78807002".replace(" ", "")


@pytest.mark.parametrize(
    ("card", "uid"), [(PHONE, "0411A2B3"), (LONG, "8804112233445566"), (OTHER, "0411A2B4")]
)
def test_a_card_is_listed_by_its_uid_among_others(card: Contactless, uid: str) -> None:
    host = a_host(*(a_card(one) for one in (PHONE, LONG, OTHER)))
    assert host.ask(f"4A 01 00 {uid}")[12:].startswith(card.uid.hex())
    assert host.ask("4A 01 00 01020304") == "00"


def test_a_ten_byte_uid_has_two_cascade_tags() -> None:
    card = replace(PHONE, uid=bytes.fromhex("04112233445566778899"), atqa=b"\x84\x00")
    host = a_host(a_card(card))
    assert host.ask("4A 01 00 88041122883344556677 8899")[10:32] == "0a" + card.uid.hex()


def test_two_cards_are_listed_and_the_last_one_is_awake() -> None:
    cards = {one.uid: a_card(one) for one in (PHONE, OTHER)}
    host = a_host(*cards.values())
    said = host.ask("4A 02 00")
    assert said[:2] == "02"
    assert said.count("0578807002") == 2
    first, second = bytes.fromhex(said[12:20]), bytes.fromhex(said[40:48])
    assert {first, second} == set(cards)
    assert (cards[first].power, cards[second].power) == (["on", "off"], ["on"])


def test_one_card_is_listed_once_where_two_are_wanted_and_can_be_spoken_to() -> None:
    host = a_host(a_card())
    assert host.ask("4A 02 00") == LISTED
    assert host.ask("40 01" + COMMAND) == "00" + ECHO


@pytest.mark.parametrize(
    "command", ["4A0101 00FFFF0000", "4A0102 00FFFF0000", "4A010300", "4A0104"]
)
def test_no_card_of_another_kind_is_ever_found(command: str) -> None:
    host = a_host(a_card())
    assert host.ask(command) == "00"
    assert host.poll("60 02 01 01 02 03 04 11 12 23 40 41 42 80 81 82") == "00"
    for test in ("42 05 00 00", "42 06 00 FF FF 00 00"):
        assert host.ask(test) == "01"


def test_an_empty_field_is_polled_as_often_as_the_retries_say() -> None:
    polls = []
    host = Host(air=Air(Unpaced(), observer=polls.append))
    host.ask("32 05 FF 01 03")
    assert host.poll("4A 01 00") == "00"
    assert [event.data for event in polls] == [b"\x01"] + [b"\x26"] * 4
    assert host.ask("06 6339") == "26"  # nfcpy looks for the question nobody answered


def test_a_card_that_comes_while_the_chip_polls_without_end_is_found() -> None:
    host = Host()
    assert host.start("4A 01 00") is None
    assert host.resume(0x4A) is None
    host.air.bring(Station(a_card()))
    found = host.resume(0x4A)
    assert found is not None
    assert found.hex() == LISTED


def test_a_card_that_answers_reqa_alone_is_not_listed() -> None:
    host = Host(Asleep())
    host.ask(FIRST_TRY)
    assert host.ask("4A 01 00") == "00"
    assert host.ask("06 6339") != "26"


def test_a_card_that_does_not_answer_rats_is_not_listed() -> None:
    faults = Script([Fault(FaultKind.LOST, frame=6)])
    host = a_host(a_card(), air=Air(VirtualClock(), faults))
    assert host.ask("4A 01 00") == "00"


@pytest.mark.parametrize(
    ("kinds", "found"),
    [
        ("20 10", "01 20 0e 01 0004 20 04 0411a2b3 0578807002"),
        ("00", "01 20 0e 01 0004 20 04 0411a2b3 0578807002"),
        ("10", "01 10 09 01 0004 20 04 0411a2b3"),
        ("11 12 23 04 20", "01 20 0e 01 0004 20 04 0411a2b3 0578807002"),
    ],
)
def test_auto_poll_tells_what_kind_it_found(kinds: str, found: str) -> None:
    assert a_host(a_card()).poll(f"60 01 01 {kinds}") == found.replace(" ", "")


def test_auto_poll_tells_a_card_without_iso_dep_by_its_kind() -> None:
    host = a_host(a_card(replace(PHONE, sak=0x08)))
    assert host.poll("60 01 01 20") == "00"
    assert host.poll("60 01 01 00") == "01100901" + "0004" + "08" + "040411a2b3"


@pytest.mark.parametrize("plain", [PHONE, OTHER])
def test_auto_poll_finds_the_card_with_iso_dep_beside_one_without(plain: Contactless) -> None:
    smart = OTHER if plain is PHONE else PHONE
    host = a_host(a_card(smart), a_card(replace(plain, sak=0x08)))
    assert host.poll("60 01 01 20") == f"01200e0100042004{smart.uid.hex()}0578807002"
    assert host.ask("40 01" + COMMAND) == "00" + ECHO


def test_auto_poll_finds_two_cards() -> None:
    host = a_host(a_card(), a_card(OTHER))
    assert host.poll("60 01 01 20")[:4] == "0220"


def test_endless_auto_poll_is_aborted() -> None:
    host = Host()
    assert host.start("60 FF 01 20") is None
    for _ in range(50):
        assert host.resume(0x60) is None
    assert host.say(ACK) == b""
    assert not host.chip.is_busy


@pytest.mark.parametrize(
    ("command", "status"),
    [("56 00 00 00", "01"), ("56 01 02 00", "0a"), ("46 01 00 00", "0a"), ("46 00 00 00", "01")],
)
def test_no_peer_of_nfc_dep_is_found(command: str, status: str) -> None:
    host = Host()
    host.ask("32 05 02 01 02")
    assert host.poll(command) == status

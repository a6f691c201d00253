"""Cards found by the reader's machine, among others (ISO/IEC 14443-3, 6.5)."""

from collections import Counter
from dataclasses import replace
from random import Random

import pytest

from apdu.event import Event, Source
from emulator.radio.activation import State
from emulator.radio.air import Air
from emulator.radio.faults import Fault, FaultKind, Script
from emulator.radio.medium import Ask, Heard, Reply, Trouble, drive
from emulator.radio.pcd import Found, find, find_all, halt, poll, select
from emulator.radio.station import Station
from tests.unit.pcd import PHONE, EchoCard
from tests.unit.talk import SILENCE, SPOILT, play, x

SELECTED = (State.ACTIVE, State.ACTIVE_STAR)


def card(uid: str | bytes, sak: int = 0x20, atqa: bytes = b"\x04\x00") -> Station:
    uid = x(uid) if isinstance(uid, str) else uid
    return Station(EchoCard(replace(PHONE, uid=uid, sak=sak, atqa=atqa)))


def field(*stations: Station, seen: list[Event] | None = None) -> Air:
    air = Air(observer=None if seen is None else seen.append)
    for station in stations:
        air.bring(station)
    air.field_on()
    return air


def state(station: Station) -> State:
    return station.link.activation.state


def check_all_found(stations: list[Station]) -> list[Found]:
    """find_all finds each UID once; the last one found is selected, every other card is halted."""
    air = field(*stations)
    found = drive(find_all(10), air)
    uids = [station.contactless.uid for station in stations]
    assert Counter(card.uid for card in found) == Counter(set(uids))
    for station in stations:
        is_last = station.contactless.uid == found[-1].uid
        assert state(station) in (SELECTED if is_last else (State.HALT,))
        assert {card.sak for card in found if card.uid == station.contactless.uid} == {0x20}
    return found


@pytest.mark.parametrize("count", range(1, 7))
@pytest.mark.parametrize("seed", range(5))
def test_random_cards_are_each_found_once(count: int, seed: int):
    rng = Random(f"{count} {seed}")
    sizes = [rng.choice((4, 4, 7, 7, 10)) for _ in range(count)]
    # 88 never begins a UID of 4 bytes, nor the fourth byte of a longer one (6.5.4).
    check_all_found([card(bytes(rng.randrange(0x80) for _ in range(n))) for n in sizes])


ADVERSARIAL = {
    "the last bit": ["01020304", "01020384"],
    "the first bit": ["00020304", "01020304"],
    "equal beginnings": ["01020304", "01020305", "01020306", "01020307", "01020200"],
    "all zero and all one": ["00000000", "FFFFFFFF", "00000080", "7FFFFFFF"],
    "complements": ["55555555", "AAAAAAAA", "5AA55AA5", "A55AA55A"],
    "each bit alone": ["01000000", "00010000", "00000100", "00000001", "80000000", "00000080"],
    "equal first levels": ["04112233445566", "04112233445567", "041122B3445566"],
    "four, seven and ten": ["04112233", "04112233445566", "04112233445566778899"],
    "equal two levels": ["04112233445566778899", "04112233445566778819"],
    "all levels differ late": ["01020304050607", "01020304050687", "01020304050607080910"],
    "almost a cascade tag": ["89041122", "80041122", "08041122", "04112233445566"],
}


@pytest.mark.parametrize("uids", ADVERSARIAL.values(), ids=ADVERSARIAL.keys())
def test_adversarial_cards_are_each_found_once(uids: list[str]):
    for order in (uids, uids[::-1]):
        check_all_found([card(uid) for uid in order])


def test_equal_uids_are_one_card_to_a_reader():
    stations = [card("01020304"), card("01020304"), card("01020305")]
    found = check_all_found(stations)
    assert len(found) == 2


def test_where_uids_differ_the_one_is_preferred():
    found = check_all_found([card("01020304"), card("01020305"), card("01020306")])
    assert [one.uid.hex() for one in found] == ["01020305", "01020306", "01020304"]


def test_a_uid_with_the_cascade_tag_in_front_is_read_as_it_is():
    assert drive(find(), field(card("88041122"))) == Found(b"\x04\x00", x("88041122"), 0x20)


def test_a_lookalike_of_a_longer_uid_spoils_both_and_ends():
    """88 in front of four bytes is forbidden because of this: both answer one SELECT."""
    air = field(card("88041122"), card("04112233445566"))
    assert drive(find(), air) is None
    assert drive(find_all(4), air) == []


@pytest.mark.parametrize("most", [1, 2, 3])
def test_no_more_are_found_than_asked_for(most: int):
    stations = [card(f"0102030{n}") for n in range(5)]
    found = drive(find_all(most), field(*stations))
    assert len(found) == most
    states = Counter(state(station) for station in stations)
    assert sum(states[one] for one in SELECTED) == 1
    assert states[State.HALT] == most - 1
    assert states[State.IDLE] == 5 - most


def test_none_asked_for_or_there_are_no_cards():
    assert drive(find_all(0), field(card("01020304"))) == []
    assert drive(find_all(3), field()) == []
    assert drive(find(), field()) is None


class Restless(Station):
    """A card that misses HLTA some times."""

    missed = 0

    def receive(self, frame, timeout_ns: int) -> Reply | None:
        if frame.data.startswith(b"\x50\x00") and self.missed:
            self.missed -= 1
            return None
        return super().receive(frame, timeout_ns)


def test_a_card_that_misses_hlta_is_not_counted_twice():
    restless = Restless(EchoCard(replace(PHONE, uid=x("01020305"))))
    restless.missed = 1
    found = drive(find_all(4), field(restless, card("01020304")))
    assert sorted(one.uid.hex() for one in found) == ["01020304", "01020305"]


def test_a_card_that_never_halts_ends_the_search():
    restless = Restless(EchoCard(replace(PHONE, uid=x("01020305"))))
    restless.missed = 1000
    found = drive(find_all(3), field(restless))
    assert [one.uid for one in found] == [x("01020305")]


def test_a_card_that_is_gone_when_it_is_selected_again_was_not_found():
    air = Air(faults=Script([Fault(FaultKind.LEAVES, 8)]))  # before WUPA
    air.bring(card("01020304"))
    air.field_on()
    assert drive(find_all(2), air) == []


# What goes over the air


def asked(seen: list[Event]) -> list[tuple[str, int]]:
    return [(e.data.hex().upper(), e.tail) for e in seen if e.source is Source.PCD]


def test_a_single_card_is_selected_without_a_split():
    seen: list[Event] = []
    assert drive(find(), field(card("01020304"), seen=seen)) == Found(
        b"\x04\x00", x("01020304"), 0x20
    )
    assert [(data[:4], tail) for data, tail in asked(seen)] == [("26", 7), ("9320", 8), ("9370", 8)]


def test_the_known_bits_are_sent_and_counted():
    """05 and 07 differ in the second bit: the reader keeps one bit and decides the next."""
    seen: list[Event] = []
    found = drive(find(), field(card("05223344"), card("07223344"), seen=seen))
    assert found is not None
    assert found.uid == x("07223344")
    assert asked(seen)[1:3] == [("9320", 8), ("932203", 2)]
    (answer,) = [e for e in seen if e.source is Source.PICC and e.head]
    assert answer.head == 2
    assert answer.data == x("04223344") + bytes([0x07 ^ 0x22 ^ 0x33 ^ 0x44])


def test_a_split_at_a_byte_sends_whole_bytes():
    seen: list[Event] = []
    found = drive(find(), field(card("01020304"), card("01020384"), seen=seen))
    assert found is not None
    assert found.uid == x("01020384")
    assert asked(seen)[1:3] == [("9320", 8), ("936001020384", 8)]


def test_a_collision_is_noted_in_the_recording():
    seen: list[Event] = []
    drive(find(), field(card("05223344"), card("07223344"), seen=seen))
    notes = [event.note for event in seen if event.note]
    assert notes == ["collision after 1 bits"]


def test_a_seven_byte_uid_takes_two_levels():
    seen: list[Event] = []
    assert drive(find(), field(card("04112233445566"), seen=seen)) is not None
    starts = [data[:4] for data, _ in asked(seen)]
    assert starts == ["26", "9320", "9370", "9520", "9570"]


# ATQA


def test_cards_of_different_atqa_are_found_all_the_same():
    stations = [card("01020304"), card("04112233445566", atqa=b"\x44\x00")]
    found = drive(find_all(4), field(*stations))
    # The first answer collides in bit 6 and reads 0400; the second is the other card's own.
    assert [(one.uid.hex(), one.atqa.hex()) for one in found] == [
        ("01020304", "0400"),
        ("04112233445566", "4400"),
    ]


def test_the_bits_of_an_atqa_are_known_up_to_the_first_that_differs():
    air = field(card("01020304"), card("04112233445566", atqa=b"\x44\x00"))
    assert drive(poll(), air) == b"\x04\x00"
    air = field(card("01020304", atqa=b"\x08\x03"), card("01020305"))
    assert drive(poll(), air) == b"\x00\x00"


@pytest.mark.parametrize("answer", [SILENCE, *SPOILT, "04", "040000"])
def test_an_atqa_is_two_bytes(answer: str | Heard):
    assert play(poll(), ("26", answer)) is None
    assert play(find(wake=True), ("52", answer)) is None


# One known card


@pytest.mark.parametrize("uid", ["01020304", "04112233445566", "04112233445566778899"])
def test_a_known_card_is_selected_among_others(uid: str):
    others = [card("01020305"), card("04112233445567"), card("04112233445566778898")]
    wanted = card(uid)
    air = field(*others, wanted)
    found = drive(select(x(uid)), air)
    assert found is not None
    assert (found.uid, found.sak) == (x(uid), 0x20)
    assert state(wanted) in SELECTED
    assert [state(other) for other in others] == [State.IDLE] * 3


def test_a_halted_card_is_woken_and_only_by_wupa():
    station = card("01020304")
    air = field(station)
    assert drive(find(), air) is not None
    drive(halt(), air)
    assert drive(select(x("01020304"), wake=False), air) is None
    assert drive(find(), air) is None
    assert drive(find(wake=True), air) is not None
    assert state(station) is State.ACTIVE_STAR
    drive(halt(), air)
    assert drive(select(x("01020304")), air) is not None


@pytest.mark.parametrize("uid", ["01020305", "01020304050607", "01020304050607080910"])
def test_a_card_that_is_not_there_is_not_selected(uid: str):
    assert drive(select(x(uid)), field(card("01020304"))) is None


@pytest.mark.parametrize("uid", ["", "0102", "0102030405", "01020304050607080910FF"])
def test_a_uid_of_no_size_is_refused_before_anything_is_sent(uid: str):
    with pytest.raises(ValueError, match="4, 7 or 10 bytes"):
        play(select(x(uid)))


def test_a_card_whose_uid_is_longer_or_shorter_is_not_selected():
    assert play(select(x("01020304")), ("52", "0400"), ("93700102030404", "04")) is None
    assert play(select(x("04112233445566")), ("52", "4400"), ("937088041122BF", "20")) is None


# Cards that do not keep to the protocol, fed by hand

UID = "0102030404"


def through(*turns: tuple[str, str | Heard]) -> Found | None:
    return play(find(), ("26", "0400"), *turns)


@pytest.mark.parametrize("sak", [SILENCE, *SPOILT, "", "2000"])
def test_a_sak_is_one_byte(sak: str | Heard):
    assert through(("9320", UID), ("9370" + UID, sak)) is None


@pytest.mark.parametrize("part", [SILENCE, *SPOILT, "", "01020304", "010203040400", "0102030405"])
def test_a_level_is_four_bytes_and_their_check(part: str | Heard):
    assert through(("9320", part)) is None


def test_more_levels_than_three_are_none():
    turns = []
    for code in ("93", "95", "97"):
        turns += [(code + "20", "88010203" + "88"), (code + "70" + "8801020388", "04")]
    assert through(*turns) is None


def test_a_cascade_without_its_tag_is_none():
    assert through(("9320", UID), ("9370" + UID, "04")) is None


def test_equal_uids_with_checks_that_differ_are_none():
    assert through(("9320", Heard(x("01020304"), Trouble.COLLISION, 39))) is None


class Colliding:
    """A field in which every answer but ATQA collides. turns: how often it was asked."""

    def __init__(self, at: int) -> None:
        self._heard = Heard(bytes(5), Trouble.COLLISION, at)
        self.turns = 0

    def field_on(self) -> None: ...

    def field_off(self) -> None: ...

    def exchange(self, ask: Ask) -> Heard:
        self.turns += 1
        return Heard(b"\x04\x00") if self.turns == 1 else self._heard


@pytest.mark.parametrize("at", [0, 1, 7, 8, 31, 32, 39, 40, 1000])
def test_a_field_that_always_collides_ends(at: int):
    air = Colliding(at)
    assert drive(find(), air) is None
    assert air.turns <= 41

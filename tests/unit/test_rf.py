"""Frames in words: every frame of an activation and of the block protocol, and spoilt ones."""

from functools import reduce
from operator import xor

import pytest
from hypothesis import given
from hypothesis import strategies as st

from apdu.crc import append_crc
from apdu.event import Event, Layer, Source
from apdu.frame import odd_parity
from apdu.rf import FrameReader, FrameWords, body_of, crc_of
from emulator.picc import Contactless
from emulator.radio.isodep import PiccLink
from tests.unit.pcd import EchoCard

POLLS = {"26", "52"}
WITHOUT_CRC = {*POLLS, "9320", "9520", "9720"}


def pcd(text: str, **given) -> Event:
    return frame(Source.PCD, text, **given)


def picc(text: str, **given) -> Event:
    return frame(Source.PICC, text, **given)


def frame(source: Source, text: str, **given) -> Event:
    """A frame by its bytes without checksum; `crc=True` adds a right one."""
    data = bytes.fromhex(text)
    if given.pop("crc", False):
        data, given["has_crc"] = append_crc(data), True
    return Event(0, source, Layer.RF, data, **given)


def read(*events: Event) -> list[FrameWords]:
    reader = FrameReader()
    return [reader.read(event) for event in events]


def titles(*events: Event) -> list[str]:
    return [words.title for words in read(*events)]


def last(*events: Event) -> FrameWords:
    return read(*events)[-1]


def conversation(uid: str) -> list[FrameWords]:
    """A card of ours activated, asked once and let go, all frames with their checksums."""
    card = EchoCard(Contactless(b"\x04\x00", 0x20, bytes.fromhex(uid), bytes.fromhex("0578807002")))
    link = PiccLink(card, card.contactless)
    link.field_on()
    asks = ["26"]
    data = bytes.fromhex(uid)
    for sel in ("93", "95", "97")[: (len(data) - 1) // 3]:
        level = (b"\x88" + data[:3]) if len(data) > 4 else data
        data = data[3:] if len(data) > 4 else b""
        asks += [f"{sel}20", f"{sel}70{level.hex()}{reduce(xor, level):02x}"]
    asks += ["e080", "02805c000204", "03805c000204", "c2", "52", "9320"]
    events = [Event(0, Source.FIELD, Layer.RF, b"\x01")]
    for ask in asks:
        events.append(pcd(ask, crc=ask not in WITHOUT_CRC, tail=7 if ask in POLLS else 8))
        answer = link.receive(bytes.fromhex(ask))
        assert answer is not None
        events.append(picc(answer.hex(), crc=ask not in WITHOUT_CRC))
    return read(*events)


def test_a_whole_conversation_has_a_title_for_every_frame():
    assert [words.title for words in conversation("0411A2B3")] == [
        "field on", "REQA", "ATQA", "ANTICOLL 1", "UID 1", "SELECT 1", "SAK", "RATS", "ATS",
        "I(0)", "I(0)", "I(1)", "I(1)", "S(DESELECT)", "S(DESELECT)", "WUPA", "ATQA",
        "ANTICOLL 1", "UID 1",
    ]  # fmt: skip


@pytest.mark.parametrize("uid", ["0411A2B3", "04112233445566", "04112233445566778899"])
def test_the_sak_of_the_last_level_tells_the_whole_uid(uid):
    words = conversation(uid)
    assert not any(w.faults for w in words)
    told = [
        line.value for w in words for line in w.lines if w.title == "SAK" and line.label == "UID"
    ]
    assert told == [uid]


def test_a_short_frame_that_is_no_poll_is_named_so():
    words = last(pcd("40", tail=7))
    assert (words.title, words.brief()) == ("short frame", "bits 40")


def test_hlta_has_its_name_and_no_answer():
    assert titles(pcd("5000", crc=True)) == ["HLTA"]


@pytest.mark.parametrize(
    ("asked", "answered"), [("26", "040000"), ("9370 0411A2B304", "2020"), ("D01100", "029000")]
)
def test_an_answer_that_does_not_fit_its_question_has_no_name(asked, answered):
    assert titles(pcd(asked), picc(answered))[-1] == "?"


def test_a_block_in_the_place_of_an_ats_is_a_block():
    assert titles(pcd("E080", crc=True), picc("029000", crc=True)) == ["RATS", "I(0)"]


def test_right_parity_is_no_fault():
    data = bytes.fromhex("C2E0B4")
    event = Event(0, Source.PCD, Layer.RF, data, has_crc=True, parity=odd_parity(data))
    assert last(event).faults == ()


def test_an_atqa_is_one_only_after_a_poll():
    assert titles(pcd("26", tail=7), picc("0400")) == ["REQA", "ATQA"]
    assert titles(picc("0400")) == ["?"]


def test_a_poll_in_whole_bytes_is_a_poll_too():
    assert titles(pcd("26"), pcd("52")) == ["REQA", "WUPA"]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("0400", "UID 4 bytes, anticollision 04"),
        ("4403", "UID 7 bytes, anticollision 04"),
        ("8100", "UID 10 bytes, anticollision 01"),
    ],
)
def test_an_atqa_says_how_long_the_uid_is(text, said):
    assert last(pcd("26", tail=7), picc(text)).brief() == said


def test_a_split_anticollision_is_put_together():
    """NVB 45: two bytes and five bits of 0411A2B3 are known; B2 is answered in its upper bits."""
    asked, answered = read(pcd("9345041102", tail=5), picc("A0B304", head=5))
    assert asked.brief() == "known 041102 (21 bits)"
    assert (answered.title, answered.faults) == ("UID 1", ())
    assert answered.lines[0].value == "0411A2B3"


def test_a_wrong_bcc_is_a_fault():
    assert last(pcd("9320"), picc("0411A2B300")).faults == ("BCC wrong",)
    assert last(pcd("9370 0411A2B300", crc=True)).faults == ("BCC wrong",)


def test_a_rats_says_how_large_frames_may_be():
    said = last(pcd("E051", crc=True)).brief()
    assert said == "FSDI 5 (frames of 64 bytes to the reader), CID 1"


def test_the_answer_to_rats_is_explained_as_ats():
    words = last(pcd("E080", crc=True), picc("0578807002", crc=True))
    assert words.title == "ATS"
    assert ("FSCI", "8") in [(n.label, n.value) for n in words.lines]


def test_pps_names_both_rates():
    asked, agreed = read(pcd("D01109", crc=True), picc("D0", crc=True))
    assert (
        asked.brief() == "CID 0, DSI 2 (424 kbit/s to the reader), DRI 1 (212 kbit/s to the card)"
    )
    assert agreed.title == "PPS agreed"


def test_blocks_have_their_names_on_both_sides():
    assert titles(
        pcd("12AABB", crc=True), picc("A2", crc=True), pcd("03CC", crc=True),
        picc("F205", crc=True),
        pcd("F205", crc=True), picc("039000", crc=True), pcd("B2", crc=True),
    ) == ["I(0)+", "R(ACK 0)", "I(1)", "S(WTX 5)", "S(WTX 5)", "I(1)", "R(NAK 0)"]  # fmt: skip


def test_an_i_block_of_the_same_number_is_a_repeat():
    words = read(
        pcd("0260", crc=True), pcd("B2", crc=True), picc("A3", crc=True), pcd("0260", crc=True),
        picc("029000", crc=True), pcd("B2", crc=True), picc("029000", crc=True),
        pcd("0361", crc=True), picc("039000", crc=True),
    )  # fmt: skip
    assert [w.is_repeat for w in words] == [False] * 3 + [True, False, False, True, False, False]


def test_numbers_that_a_chain_used_up_are_no_repeat():
    """A command in two parts, its answer, a command whose answer has two parts, and another."""
    words = read(
        pcd("0361", crc=True), picc("039000", crc=True),
        pcd("1262", crc=True), picc("A2", crc=True),
        pcd("0363", crc=True), picc("039000", crc=True),
        pcd("0264", crc=True), picc("1201", crc=True),
        pcd("A3", crc=True), picc("039000", crc=True),
        pcd("0265", crc=True), picc("029000", crc=True),
    )  # fmt: skip
    assert not any(w.is_repeat for w in words)


def test_two_cards_with_a_number_each_are_no_repeat():
    words = read(pcd("0A0160", crc=True), pcd("0A0261", crc=True), pcd("0A0261", crc=True))
    assert [w.is_repeat for w in words] == [False, False, True]


def test_a_new_card_starts_its_numbers_anew():
    reader = FrameReader()
    for event in (pcd("0260", crc=True), Event(0, Source.FIELD, Layer.RF, b"\0")):
        reader.read(event)
    assert not reader.read(pcd("0260", crc=True)).is_repeat


def test_a_wrong_checksum_is_a_fault_and_the_block_keeps_its_name():
    words = last(pcd("C2 0000", has_crc=True))
    assert words.title == "S(DESELECT)"
    assert words.faults == ("CRC wrong, E0B4 is right",)
    assert crc_of(pcd("C2E0B4", has_crc=True)) is True


def test_a_checksum_that_was_not_recorded_is_not_judged():
    event = pcd("C2", has_crc=None)
    assert (crc_of(event), body_of(event), last(event).faults) == (None, b"\xc2", ())


def test_a_wrong_parity_bit_names_its_byte():
    data = bytes.fromhex("C2E0B4")
    parity = bytearray(odd_parity(data))
    parity[1] ^= 1
    event = Event(0, Source.PCD, Layer.RF, data, has_crc=True, parity=bytes(parity))
    assert last(event).faults == ("parity wrong in byte 1",)


def test_a_field_that_goes_forgets_the_question():
    off = Event(0, Source.FIELD, Layer.RF, b"\0")
    assert titles(pcd("26", tail=7), off, picc("0400")) == ["REQA", "field off", "?"]


EVENTS = st.builds(
    Event,
    st.just(0),
    st.sampled_from([Source.PCD, Source.PICC, Source.FIELD]),
    st.just(Layer.RF),
    st.binary(max_size=12) | st.sampled_from([b"\x26", b"\x93\x20", b"\x93\x70", b"\xe0\x80"]),
    tail=st.integers(1, 8),
    has_crc=st.sampled_from([True, False, None]),
    parity=st.none() | st.binary(max_size=12),
)


@given(st.lists(EVENTS, max_size=8))
def test_any_frames_in_any_order_get_a_title(events):
    assert all(words.title and isinstance(words.brief(), str) for words in read(*events))

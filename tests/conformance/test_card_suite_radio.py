"""The radio cases of the card suite: green on our card in the air, red on frames that lie."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import cast

import pytest

import fixtures
from apdu.ats import Ats
from apdu.blocks import CID_FOLLOWS, MORE, R_ACK, Block, Kind
from apdu.crc import CRC_SIZE
from bench.conformance.antenna import AirAntenna, Aired
from bench.conformance.case import Case, Need, Verdict
from bench.conformance.lab import Lab
from bench.conformance.mutants.declared import load
from bench.conformance.mutants.run import Plan, judge_all
from bench.conformance.mutants.score import Outcome
from bench.conformance.runner import Result, run_case, run_cases
from bench.conformance.script import shrink, steps_of, text_of
from bench.conformance.shown import frame_hex, shown
from bench.conformance.stand import OwnStand, own_stand
from bench.conformance.suite import card_cases
from emulator.picc import Contactless
from emulator.radio.medium import Ask, Heard, Trouble

GROUPS = {"ACT", "RATS", "BLK", "CHAIN", "WTX"}
RADIO = {number: one for number, one in card_cases().items() if one.group in GROUPS}
BY_KEY = {one.key: one for one in RADIO.values()}
PROFILES = sorted(set(fixtures.profile_names()))


def red(results: list[Result]) -> list[str]:
    return [
        f"{one.case.key}: {one.violation.expected}, came {one.violation.came}"
        for one in results
        if one.violation is not None
    ]


def played(stand: OwnStand, cases: list[Case] | None = None) -> list[Result]:
    return list(run_cases(RADIO.values() if cases is None else cases, stand))


# Green


def test_every_group_has_its_cases_and_all_of_them_need_frames():
    assert {one.group for one in RADIO.values()} == GROUPS
    assert len(RADIO) >= 110
    assert {number for number, one in card_cases().items() if Need.FRAMES in one.needs} == set(
        RADIO
    )


def test_every_case_says_what_must_hold_in_both_languages_and_where_it_is_written():
    for one in RADIO.values():
        assert one.title.en[0].isupper() or one.title.en[0].isdigit(), one.title.en
        assert any("\u4e00" <= sign <= "\u9fff" for sign in one.title.zh), one.title.zh
        assert one.clauses, one.key
    for language in ("en", "zh"):
        titles = [getattr(one.title, language) for one in RADIO.values()]
        assert len(set(titles)) == len(titles), "no title comes twice"


def test_our_card_passes_all_of_them_in_the_air():
    with own_stand("air") as stand:
        results = played(stand)
    assert red(results) == []
    assert {one.verdict for one in results} == {Verdict.PASSED}


@pytest.mark.parametrize(
    "profile", ["student-plastic", "calibration-152", "calibration-153", "calibration-154"]
)
def test_cards_with_another_ats_pass_all_of_them(profile):
    with own_stand("air", profile) as stand:
        results = played(stand)
    assert red(results) == []
    assert {one.verdict for one in results} == {Verdict.PASSED}


@pytest.mark.parametrize(
    ("uid", "ats"),
    [
        ("08112233", "0578807000"),
        ("08112233", "0578F70001"),
        ("04112233445566", "0570B35302"),
        ("04112233445566778899", "0318F7"),
    ],
    ids=["no CID", "NAD, fast, FWI 0", "7 bytes, small, guard time", "10 bytes, defaults"],
)
def test_cards_of_every_make_pass_all_of_them_that_are_for_them(uid, ats):
    contactless = Contactless(b"\x44\x00", 0x20, bytes.fromhex(uid), bytes.fromhex(ats))
    with own_stand("air", setup={"contactless": contactless}) as stand:
        results = played(stand)
    assert red(results) == []
    left = {str(one.why) for one in results if one.verdict is Verdict.SKIPPED}
    assert all(why.startswith("the card's ATS says it takes ") for why in left)


@pytest.mark.parametrize("profile", PROFILES)
def test_every_profile_passes_one_case_in_seven(profile):
    """Another seventh for each profile, so that all of them together play every case."""
    first = PROFILES.index(profile) % 7
    with own_stand("air", profile) as stand:
        assert red(played(stand, list(RADIO.values())[first::7])) == []


def test_a_blocked_card_is_judged_by_what_its_application_is_not_needed_for():
    with own_stand("air", "student-blocked") as stand:
        results = played(stand)
    assert red(results) == []
    left = {one.case.key: one.why for one in results if one.verdict is Verdict.SKIPPED}
    assert "chain.entry.16.cid" in left
    assert "radio_blocks.rule_11" not in left
    assert {str(why) for why in left.values()} == {"the application of this card is blocked"}


@pytest.mark.parametrize("road", ["inproc", "udp"])
def test_a_road_without_frames_leaves_them_out_and_says_why(road):
    with own_stand(road) as stand:
        results = played(stand)
    assert {(one.verdict, str(one.why)) for one in results} == {
        (Verdict.SKIPPED, "this road does not show frames")
    }


def test_other_cases_find_the_air_as_it_was_after_a_radio_case():
    """A slow card, a strange link and a card in HALT are gone with the case."""
    after = next(one for one in card_cases().values() if one.key == "ladders.entry")
    with own_stand("air") as stand:
        for key in ("wtx.fwi.7", "radio_activation.sleeps", "rats.rate.848", "chain.entry.16.cid"):
            assert run_case(BY_KEY[key], stand).verdict is Verdict.PASSED
            assert run_case(after, stand).verdict is Verdict.PASSED


# Red

Lie = Callable[[Ask, Aired], Aired]


@dataclass
class Liar:
    """An antenna that hears another answer than the card's."""

    antenna: AirAntenna
    lie: Lie

    def field(self, is_on: bool) -> None:
        self.antenna.field(is_on)

    def exchange(self, ask: Ask) -> Aired:
        return self.lie(ask, self.antenna.exchange(ask))

    def slow(self, time_ns: int) -> None:
        self.antenna.slow(time_ns)


def lied(lie: Lie, key: str, profile: str = "student") -> Result:
    with own_stand("air", profile) as stand:
        assert stand.antenna is not None
        stand.antenna = cast(AirAntenna, Liar(stand.antenna, lie))
        return run_case(BY_KEY[key], stand)


def saying(made: Callable[[bytes, bytes], bytes]) -> Lie:
    """Another answer, where there is one. made: of the reader's frame and the card's."""

    def lie(ask: Ask, aired: Aired) -> Aired:
        if aired.heard.trouble:
            return aired
        return replace(aired, heard=Heard(made(ask.data, aired.heard.data)))

    return lie


def on(kind: Kind, made: Callable[[bytes, bytes], bytes]) -> Lie:
    """Another answer, where the card's is a block of that kind."""

    def one(asked: bytes, came: bytes) -> bytes:
        block = Block.parse(came)
        is_one = block is not None and block.kind is kind and asked[0] not in (0x93, 0xE0, 0x26)
        return made(asked, came) if is_one else came

    return saying(one)


def mute(start: int) -> Lie:
    """No answer to frames that begin so."""

    def lie(ask: Ask, aired: Aired) -> Aired:
        return Aired(Heard(b"", Trouble.TIMEOUT)) if ask.data[:1] == bytes([start]) else aired

    return lie


def loud(start: int, answer: bytes) -> Lie:
    """An answer to frames that begin so."""

    def lie(ask: Ask, aired: Aired) -> Aired:
        return Aired(Heard(answer), 86_431) if ask.data[:1] == bytes([start]) else aired

    return lie


def late(ns: int) -> Lie:
    """Answers that begin later, or earlier."""

    def lie(ask: Ask, aired: Aired) -> Aired:
        return replace(aired, delay_ns=None if aired.delay_ns is None else aired.delay_ns + ns)

    return lie


def spoiled(ask: Ask, aired: Aired) -> Aired:
    """Blocks with a wrong checksum."""
    is_block = not aired.heard.trouble and ask.data[0] not in (0x26, 0x52, 0x93, 0xE0)
    return replace(aired, heard=Heard(b"", Trouble.CRC)) if is_block else aired


def uncid(asked: bytes, came: bytes) -> bytes:
    """The block without its CID."""
    return bytes([came[0] & ~CID_FOLLOWS]) + came[2:] if came[0] & CID_FOLLOWS else came


LIES: list[tuple[str, Lie, str]] = [
    ("another ATQA", loud(0x26, b"\x44\x00"), "radio_activation.reqa"),
    ("an ATQA of three bytes", loud(0x26, b"\x04\x00\x00"), "radio_rats.ats"),
    (
        "another SAK",
        saying(lambda a, c: b"\x28" if a[1:2] == b"\x70" else c),
        "radio_activation.sak",
    ),
    (
        "a wrong BCC",
        saying(lambda a, c: c[:-1] + b"\xee" if a == b"\x93\x20" else c),
        "radio_activation.uid",
    ),
    ("an answer to HLTA", loud(0x50, b"\x0a"), "radio_activation.hlta"),
    ("early polls", late(-1000), "act.delay.reqa"),
    ("late polls", late(10_000), "act.delay.select"),
    ("another ATS", saying(lambda a, c: c[:-1] + b"\x00" if a[0] == 0xE0 else c), "radio_rats.ats"),
    ("a late ATS", late(5_000_000), "radio_rats.ats_in_time"),
    (
        "FWI 15",
        saying(lambda a, c: b"\x05\x78\x80\xf0\x02" if a[0] == 0xE0 else c),
        "radio_rats.ats_form",
    ),
    ("PPS unanswered", mute(0xD0), "radio_rats.pps"),
    ("PPS answered otherwise", loud(0xD0, b"\xd1"), "radio_rats.pps"),
    ("R(NAK 0) unanswered", mute(0xB2), "radio_blocks.rule_11"),
    ("presence unanswered", mute(0xB3), "radio_blocks.rule_12"),
    ("a checksum that is wrong", spoiled, "radio_blocks.rule_d"),
    (
        "a repeat that is another",
        saying(lambda a, c: c[:-1] + b"\x01" if a[0] & 0xF6 == 0xB2 else c),
        "radio_blocks.rule_11",
    ),
    (
        "numbers turned over",
        on(Kind.I_BLOCK, lambda a, c: bytes([c[0] ^ 1]) + c[1:]),
        "radio_blocks.rule_d",
    ),
    ("no CID", on(Kind.I_BLOCK, uncid), "rats.cid.7"),
    ("no CID in R(ACK)", on(Kind.R_BLOCK, uncid), "radio_blocks.presence_cid"),
    ("no CID in S(WTX)", on(Kind.WTX, uncid), "radio_wtx.with_cid"),
    ("a late block", late(50_000_000), "radio_strays.in_time"),
    ("S(DESELECT) unanswered", mute(0xC2), "radio_deselect.deselect"),
    (
        "an empty block answered",
        on(Kind.I_BLOCK, lambda a, c: c[:1] + b"\x67\x00" if len(a) == 1 else c),
        "radio_blocks.empty_block",
    ),
    (
        "frames longer than FSD",
        on(Kind.I_BLOCK, lambda a, c: c + b"\x00" if c[0] & MORE else c),
        "chain.answer.0.plain",
    ),
    (
        "no sign of more",
        on(Kind.I_BLOCK, lambda a, c: bytes([c[0] & ~MORE]) + c[1:]),
        "chain.answer.0.cid",
    ),
    (
        "a chain without end",
        on(Kind.I_BLOCK, lambda a, c: bytes([c[0] | MORE]) + c[1:]),
        "chain.answer.1.plain",
    ),
    ("parts unacknowledged", on(Kind.R_BLOCK, lambda a, c: b"\xfe"), "radio_chains.rule_2"),
    (
        "a NAK for a part",
        on(Kind.R_BLOCK, lambda a, c: bytes([c[0] | 0x10])),
        "radio_chains.byte_by_byte",
    ),
    ("WTXM 0", on(Kind.WTX, lambda a, c: c[:-1] + b"\x00"), "radio_wtx.request"),
    ("WTXM 60", on(Kind.WTX, lambda a, c: c[:-1] + b"\x3c"), "wtx.fwi.7"),
    ("S(WTX) without end", loud(0xF2, b"\xf2\x01"), "radio_wtx.chained_command"),
    ("a late S(WTX)", late(20_000_000), "radio_wtx.in_time"),
]


@pytest.mark.parametrize(("lie", "key"), [one[1:] for one in LIES], ids=[one[0] for one in LIES])
def test_a_frame_that_lies_makes_a_case_red(lie, key):
    result = lied(lie, key)
    assert result.verdict is Verdict.FAILED
    violation = result.violation
    assert violation is not None
    assert violation.at is not None
    assert violation.clause
    assert violation.came
    assert result.said[violation.at].is_frame or result.said[violation.at].response


@pytest.mark.parametrize("key", sorted({one[2] for one in LIES}))
def test_an_antenna_that_tells_the_truth_makes_no_case_red(key):
    assert lied(lambda ask, aired: aired, key).verdict is Verdict.PASSED


def test_the_exchange_that_shows_it_is_the_frame():
    result = lied(mute(0xB3), "radio_blocks.rule_12")
    assert result.violation is not None
    assert str(result.violation.expected) == "R(ACK 0) A2"
    assert result.violation.came == "silence"
    assert result.violation.at is not None
    said = result.said[result.violation.at]
    assert (said.command, said.response, said.note, said.is_frame) == (b"\xb3", None, "", True)


# Reports


def test_frames_have_their_names_in_reports():
    result = lied(mute(0xB3), "radio_blocks.rule_12")
    lines = shown(result.said, result.violation, is_ours=True)
    assert [one.name for one in lines] == [
        "field off", "field on", "REQA", "ANTICOLL 1", "SELECT 1", "RATS", "I(0)", "R(NAK 1)",
    ]  # fmt: skip
    assert [one.status for one in lines[2:]] == [
        "ATQA", "UID 1", "SAK", "ATS", "I(0)", "silence",
    ]  # fmt: skip
    assert [one.broke is not None for one in lines] == [False] * 7 + [True]


def test_a_script_keeps_frames_as_remarks_and_the_shortest_is_the_whole():
    with own_stand("air") as stand:
        assert stand.antenna is not None
        stand.antenna = cast(AirAntenna, Liar(stand.antenna, mute(0xB3)))
        result = run_case(BY_KEY["radio_blocks.rule_12"], stand)
        steps = shrink(stand, result)
    assert steps == steps_of(result)
    text = text_of("CARD-BLK-014", result, steps, is_ours=True)
    assert text.endswith("# frame > B3\n# frame < silence\n")
    assert all(line.startswith("#") for line in text.splitlines())


def test_what_i_blocks_carry_to_a_foreign_card_is_not_shown():
    assert frame_hex(bytes.fromhex("0200200000020012"), is_ours=False) == "02" + ".." * 7
    assert frame_hex(b"\xb2", is_ours=False) == "B2"


# The reader under a case's thumb


def lab_on(stand: OwnStand) -> Lab:
    stand.place({})
    return Lab(stand, lambda: 0)


def test_the_lab_speaks_over_the_frames_once_they_are_opened():
    with own_stand("air") as stand:
        lab = lab_on(stand)
        lab.radio.open(0, 1)
        assert lab.select()[-2:] == b"\x90\x00"
        frames = [one for one in lab.said if one.is_frame and not one.note]
        assert all(len(one.response or b"") + CRC_SIZE <= 16 for one in frames[5:])
        lab.reset()
        before = len(lab.said)
        lab.select()
        assert [one.is_frame for one in lab.said[before:]] == [False], (
            "the coupler has the card again"
        )


def test_the_ats_is_read_and_rules_the_frames():
    with own_stand("air", "calibration-152") as stand:
        lab = lab_on(stand)
        lab.radio.open()
        assert lab.radio.ats == Ats(fsc=16, fwi=7)
        assert lab.radio.frame == 16


def test_a_frame_with_a_wrong_checksum_is_sent_as_one():
    with own_stand("air") as stand:
        lab = lab_on(stand)
        lab.radio.open()
        assert lab.radio.spoiled(b"\xb2", lab.radio.wait_ns()) is None
        assert lab.radio.say(0xB2) == bytes([R_ACK | 1])


def test_only_the_air_has_frames():
    with own_stand("air") as stand:
        assert Need.FRAMES in stand.abilities
    with own_stand() as stand:
        assert Need.FRAMES not in stand.abilities
        assert stand.antenna is None


# Broken cards


@pytest.mark.parametrize("number", ["M-CARD-296", "M-CARD-301", "M-CARD-312", "M-CARD-316"])
def test_a_card_with_broken_radio_is_caught(number):
    mutant = load("card")[number]
    (one,) = judge_all("card", [mutant], Plan("CARD-BLK-*,CARD-CHAIN-0[01]*,CARD-RATS-*")).judged
    assert one.outcome is Outcome.CAUGHT, one.why

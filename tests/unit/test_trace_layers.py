"""Frames out of APDUs, and APDUs out of frames by the rules of ISO/IEC 14443-4."""

from dataclasses import replace

import pytest

from apdu.blocks import I_BLOCK, R_ACK, R_NAK, S_DESELECT, S_WTX
from apdu.crc import append_crc
from apdu.event import Event, Layer, Source, Trace
from apdu.frame import odd_parity
from bench.trace_formats.layers import MADE_UP, ApduExchange, apdu_events, exchanges, frames
from emulator.radio.faults import Fault, FaultKind, Script
from tests.recordings import Slow, said_to, tap_on_air

PCD, PICC, FIELD = Source.PCD, Source.PICC, Source.FIELD
COMMAND, ANSWER = bytes.fromhex("805C000204"), bytes.fromhex("000013889000")
MORE = 0x10


class Tape:
    """Frames in order, one every microsecond, 100 ns long."""

    def __init__(self) -> None:
        self.events: list[Event] = []

    def put(self, source: Source, data: bytes, **rest) -> "Tape":
        given = {"has_crc": True, "tap": 1} | rest
        self.events.append(Event(1000 * len(self.events), source, Layer.RF, data, 100, **given))
        return self

    def pcd(self, pcb: int, inf: bytes = b"", **rest) -> "Tape":
        return self.put(PCD, append_crc(bytes([pcb]) + inf), **rest)

    def picc(self, pcb: int, inf: bytes = b"", **rest) -> "Tape":
        return self.put(PICC, append_crc(bytes([pcb]) + inf), **rest)

    def said(self) -> list[tuple[bytes, bytes | None]]:
        return [(x.command, x.response) for x in exchanges(Trace(self.events))]


ASKED = [(COMMAND, ANSWER)]
LOST = [(COMMAND, None)]


def test_one_block_there_and_one_back_is_an_exchange():
    tape = Tape().pcd(0x02, COMMAND).picc(0x02, ANSWER)
    assert exchanges(Trace(tape.events)) == [ApduExchange("card", COMMAND, ANSWER, 0, 1100, 1)]


def test_blocks_with_cid_and_nad_are_read():
    assert Tape().pcd(0x0E, b"\5\x40" + COMMAND).picc(0x0E, b"\5\4" + ANSWER).said() == ASKED


def test_two_cards_with_different_cid_do_not_mix():
    tape = Tape().pcd(0x0A, b"\1" + COMMAND).pcd(0x0A, b"\2\0\1")
    tape.picc(0x0A, b"\2\x90\0").picc(0x0A, b"\1" + ANSWER)
    assert sorted(tape.said()) == sorted([*ASKED, (b"\0\1", b"\x90\0")])


def test_chains_both_ways_are_put_together():
    tape = Tape().pcd(0x12, COMMAND[:2]).picc(0xA2).pcd(0x13, COMMAND[2:3]).picc(0xA3)
    tape.pcd(0x02, COMMAND[3:]).picc(0x12, ANSWER[:3]).pcd(0xA3).picc(0x13, ANSWER[3:5])
    assert tape.pcd(0xA2).picc(0x02, ANSWER[5:]).said() == ASKED


def test_a_block_sent_again_counts_once():
    """Rules 4, 6 and 12: the card did not get the command and says so."""
    tape = Tape().pcd(0x02, COMMAND).pcd(R_NAK).picc(R_ACK | 1).pcd(0x02, COMMAND)
    assert tape.picc(0x02, ANSWER).said() == ASKED


def test_a_part_of_a_chain_sent_again_counts_once():
    tape = Tape().pcd(0x12, COMMAND[:2]).pcd(R_NAK).picc(R_ACK | 1).pcd(0x12, COMMAND[:2])
    assert tape.picc(0xA2).pcd(0x03, COMMAND[2:]).picc(0x03, ANSWER).said() == ASKED


def test_equal_parts_of_a_chain_both_count():
    tape = Tape().pcd(0x12, b"\0\1").picc(0xA2).pcd(0x13, b"\0\1").picc(0xA3).pcd(0x02, b"\2")
    assert tape.picc(0x02, ANSWER).said() == [(b"\0\1\0\1\2", ANSWER)]


def test_an_answer_sent_again_counts_once():
    """Rule 11, in the middle of a chain and at its end."""
    tape = Tape().pcd(0x02, COMMAND).picc(0x12, ANSWER[:3]).pcd(R_NAK).picc(0x12, ANSWER[:3])
    tape.pcd(R_ACK | 1).picc(0x03, ANSWER[3:]).pcd(R_ACK | 1).picc(0x03, ANSWER[3:])
    assert tape.said() == ASKED


def test_the_same_command_twice_is_two_exchanges():
    tape = Tape().pcd(0x02, COMMAND).picc(0x02, ANSWER).pcd(0x03, COMMAND).picc(0x03, ANSWER)
    assert tape.said() == ASKED * 2


def test_exchanges_are_in_the_order_of_time_and_at_one_instant_in_their_own():
    said = [
        Event(at, source, Layer.APDU, data, to=to)
        for at, to, command in [(9, "card", b"\1"), (5, "psam", b"\2"), (5, "card", b"\3")]
        for source, data in ((PCD, command), (PICC, b"\x90\0"))
    ]
    assert [x.command for x in exchanges(Trace(said))] == [b"\2", b"\3", b"\1"]


def test_more_time_changes_nothing():
    tape = Tape().pcd(0x02, COMMAND).picc(S_WTX, b"\5").pcd(S_WTX, b"\5")
    assert tape.picc(0x02, ANSWER).said() == ASKED


def test_a_presence_check_is_no_exchange():
    tape = Tape().pcd(0x02, COMMAND).picc(0x02, ANSWER).pcd(R_NAK | 1).picc(R_ACK)
    assert tape.pcd(I_BLOCK | 1).picc(I_BLOCK | 1).said() == ASKED


@pytest.mark.parametrize(
    "end",
    [
        lambda tape: tape,
        lambda tape: tape.pcd(S_DESELECT),
        lambda tape: tape.put(FIELD, b"\0", has_crc=False),
        lambda tape: tape.put(PCD, b"\x26", tail=7, has_crc=False),
        lambda tape: tape.put(PCD, b"\x26", has_crc=None),
        lambda tape: tape.put(PCD, append_crc(b"\x50\0")),
        lambda tape: tape.put(PCD, append_crc(b"\xe0\x80")).put(PICC, append_crc(b"\x02\x78")),
        lambda tape: tape.pcd(0x03, b"\0\1", tap=2).events and tape,
    ],
    ids=["the end", "DESELECT", "field off", "REQA", "bare REQA", "HLTA", "RATS", "the next tap"],
)
def test_a_command_whose_answer_is_missing_has_none(end):
    tape = end(Tape().pcd(0x02, COMMAND))
    assert tape.said()[:1] == LOST


def test_a_half_answer_is_none():
    assert Tape().pcd(0x02, COMMAND).picc(0x12, ANSWER[:3]).said() == LOST


def test_a_command_that_was_never_whole_is_not_told():
    assert Tape().pcd(0x12, COMMAND[:2]).picc(0xA2).said() == []


def test_a_command_whose_answer_was_not_recorded_ends_with_the_next_one():
    tape = Tape().pcd(0x02, COMMAND).pcd(0x03, b"\0\1").picc(0x03, b"\x90\0")
    assert tape.said() == [*LOST, (b"\0\1", b"\x90\0")]


@pytest.mark.parametrize(
    "change",
    [
        {"data": append_crc(b"\x02" + ANSWER)[:-1] + b"\0"},
        {"parity": bytes(9)},
        {"tail": 7},
        {"has_crc": False},
    ],
    ids=["checksum", "parity", "cut", "no checksum"],
)
def test_a_bad_frame_is_not_used(change):
    tape = Tape().pcd(0x02, COMMAND).picc(0x02, ANSWER)
    tape.events[1] = replace(tape.events[1], **change)
    assert tape.said() == LOST
    assert tape.pcd(R_NAK).picc(0x02, ANSWER).said() == ASKED


def test_parity_bits_that_are_given_and_right_do_no_harm():
    frame = append_crc(b"\x02" + ANSWER)
    assert Tape().pcd(0x02, COMMAND).put(PICC, frame, parity=odd_parity(frame)).said() == ASKED


def test_an_ats_that_looks_like_a_block_is_none():
    tape = Tape().put(PCD, append_crc(b"\xe0\x80")).put(PICC, append_crc(b"\x02\x78"))
    assert tape.pcd(0x02, COMMAND).picc(0x02, ANSWER).said() == ASKED


@pytest.mark.parametrize("fsdi", [0, 2, 8])
@pytest.mark.parametrize("cid", [None, 3])
@pytest.mark.parametrize("rate", [0, 3])
def test_a_real_tap_is_read_out_of_its_frames(fsdi, cid, rate):
    tap = tap_on_air(fsdi, cid, rate)
    found = [(x.command, x.response) for x in exchanges(tap.trace) if x.to == "card"]
    assert found == said_to(tap)
    psam = [(x.command, x.response) for x in exchanges(tap.trace) if x.to == "psam"]
    assert psam == said_to(tap, "psam")


def test_a_slow_card_asks_for_time_and_is_read():
    tap = tap_on_air(service=Slow())
    assert any(event.data[:1] == bytes([S_WTX]) for event in tap.trace.events)
    assert [(x.command, x.response) for x in exchanges(tap.trace) if x.to == "card"] == said_to(tap)


@pytest.mark.parametrize("kind", [FaultKind.LOST, FaultKind.DUPLICATED, FaultKind.FLIPPED])
def test_a_tap_with_one_bad_frame_is_read_all_the_same(kind):
    whole = tap_on_air(fsdi=2)
    count = sum(event.source is not FIELD for event in frames(whole.trace))
    for at in range(12, count - 2):  # from the first block on
        tap = tap_on_air(fsdi=2, faults=Script([Fault(kind, frame=at, bit=3)]))
        found = [(x.command, x.response) for x in exchanges(tap.trace) if x.to == "card"]
        assert found == said_to(tap) == said_to(whole)


def test_recorded_apdus_go_before_frames():
    tape = Tape().pcd(0x02, COMMAND).picc(0x02, ANSWER)
    own = Event(5, PCD, Layer.APDU, b"\0\1", tap=1)
    assert [x.command for x in exchanges(Trace([*tape.events, own]))] == [b"\0\1"]
    psam = replace(own, to="psam")
    found = exchanges(Trace([*tape.events, psam]))
    assert [(x.to, x.command) for x in found] == [("card", COMMAND), ("psam", b"\0\1")]


def test_an_answer_of_another_tap_is_not_taken():
    events = [
        Event(0, PICC, Layer.APDU, b"\x90\0"),
        Event(1, PCD, Layer.APDU, COMMAND, 5, tap=1),
        Event(2, PICC, Layer.APDU, ANSWER, tap=2),
    ]
    assert exchanges(Trace(events)) == [ApduExchange("card", COMMAND, None, 1, 6, 1)]


def test_apdus_alone_become_blocks_with_the_field_around_each_tap():
    said = [
        ApduExchange("card", COMMAND, ANSWER, 10, 20, 1),
        ApduExchange("psam", b"\x80\x70", b"\x90\0", 21, 22, 1),
        ApduExchange("card", b"\0\1", None, 30, 30, 1),
        ApduExchange("card", b"\0\2", b"\x90\0", 40, 50, 2),
    ]
    found = frames(Trace(apdu_events(said)))
    assert [(e.t_ns, e.source, e.data.hex(), e.tap) for e in found] == [
        (10, FIELD, "01", 1),
        (10, PCD, append_crc(b"\x02" + COMMAND).hex(), 1),
        (20, PICC, append_crc(b"\x02" + ANSWER).hex(), 1),
        (30, PCD, append_crc(b"\x03\0\1").hex(), 1),
        (30, FIELD, "00", 1),
        (40, FIELD, "01", 2),
        (40, PCD, append_crc(b"\x02\0\2").hex(), 2),
        (50, PICC, append_crc(b"\x02\x90\0").hex(), 2),
        (50, FIELD, "00", 2),
    ]
    assert [e.note for e in found if e.note] == [MADE_UP, MADE_UP]
    assert exchanges(Trace(found)) == [x for x in said if x.to == "card"]


def test_a_field_that_was_recorded_is_not_made_up():
    on = Event(0, FIELD, Layer.RF, b"\1", tap=1)
    found = frames(Trace([on, *apdu_events([ApduExchange("card", COMMAND, ANSWER, 5, 6, 1)])]))
    assert [e.data for e in found if e.source is FIELD] == [b"\1", b"\0"]
    assert found[0] == on
    assert not any(e.note for e in found)


def test_blocks_without_checksum_are_frames_that_lost_it():
    block = Event(0, PCD, Layer.ISODEP, b"\x02" + COMMAND, tap=1)
    [frame] = frames(Trace([block, Event(1, PCD, Layer.APDU, COMMAND, tap=1)]))
    assert frame == replace(block, layer=Layer.RF, has_crc=None)


def test_frames_that_were_recorded_are_left_alone():
    tape = Tape().pcd(0x02, COMMAND)
    block = Event(0, PCD, Layer.ISODEP, b"\x02" + COMMAND)
    assert frames(Trace([block, *tape.events])) == tape.events

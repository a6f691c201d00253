"""A recording played again, from either side."""

from contextlib import contextmanager
from dataclasses import replace

import pytest

import fixtures
from apdu.event import Event, Layer, Source, Trace
from bench.problem import Problem
from bench.roads import ROADS
from bench.scenario import ENTRY_STATION, ENTRY_TERMINAL, fresh_card, make_gate, play
from bench.tracing.replay import recorded_card, replay_reader
from emulator.picc import Contactless
from emulator.replay import NOT_RECORDED, TYPICAL, ReplayPicc, shown_in
from reader.gate import Direction, Verdict
from reader.transport.decorators import CutPoint, Cutting
from reader.transport.inprocess import InProcess
from tests.gates import ENTERED_AT
from tests.recordings import scenario

BALANCE = bytes.fromhex("805C000204")
FIFTY, FORTY = bytes.fromhex("000013889000"), bytes.fromhex("00000FA09000")
DEBIT = bytes.fromhex("805401000F 00000101 20250908073015 94E76395 08")
LATER = bytes.fromhex("805401000F 00000102 20250909101112 01020304 08")
PAID = bytes.fromhex("98A38758AEAB0D289000")


@pytest.mark.parametrize("road", ["inproc", "air", "udp", "pn532"])
def test_the_recorded_card_passes_the_scenario_it_was_recorded_in(road):
    card = recorded_card(scenario("air"))
    with ROADS[road](card) as link:
        run = play(link, 1)
    assert run.is_good
    assert card.unmatched == []


def test_a_gate_with_other_numbers_is_answered_and_finds_the_proof_wrong():
    """The recorded MAC2 is over another terminal's number: no barrier opens for it."""
    card = recorded_card(scenario("air"))
    gate = make_gate(Direction.ENTRY, ENTRY_STATION, ENTRY_TERMINAL, ENTERED_AT, 4242)
    outcome = gate.pass_(InProcess(card))
    assert outcome.verdict is Verdict.TAP_AGAIN
    assert card.unmatched == []


def test_answers_come_in_their_order():
    card = ReplayPicc([(BALANCE, FIFTY), (BALANCE, FORTY)])
    assert [card.process(BALANCE) for _ in range(2)] == [FIFTY, FORTY]


def test_a_reader_that_begins_again_is_answered_from_the_beginning():
    card = ReplayPicc([(b"\0\1\0\0", FIFTY), (BALANCE, FORTY)])
    assert card.process(BALANCE) == FORTY
    assert card.process(b"\0\1\0\0") == FIFTY
    assert card.process(BALANCE) == FORTY


def test_what_is_fresh_in_a_command_does_not_matter():
    card = ReplayPicc([(DEBIT, PAID)])
    assert card.process(LATER) == PAID


def test_the_very_command_further_on_is_preferred_to_one_like_it():
    card = ReplayPicc([(DEBIT, PAID), (LATER, FIFTY)])
    assert card.process(LATER) == FIFTY


def test_a_command_like_one_further_on_is_preferred_to_the_very_one_before():
    card = ReplayPicc([(DEBIT, PAID), (BALANCE, FIFTY), (LATER, FORTY)])
    assert [card.process(DEBIT), card.process(DEBIT)] == [PAID, FORTY]


def test_what_was_not_recorded_gets_the_word_for_it_and_is_counted():
    card = ReplayPicc([(BALANCE, FIFTY)])
    assert card.process(b"\x00\x84\x00\x00\x04") == NOT_RECORDED
    assert card.process(b"") == NOT_RECORDED
    assert card.unmatched == [b"\x00\x84\x00\x00\x04", b""]


def test_power_does_not_move_the_place_in_the_recording():
    card = ReplayPicc([(BALANCE, FIFTY), (BALANCE, FORTY)])
    assert card.process(BALANCE) == FIFTY
    card.power_off()
    assert card.power_on() == b""
    assert card.process(BALANCE) == FORTY


@pytest.mark.parametrize("name", ["student", "student-plastic"])
def test_a_card_introduces_itself_as_it_did_on_the_air(name):
    card = fixtures.card(name, balance=5000)
    assert shown_in(recorded_on_air(card).events) == card.contactless


def recorded_on_air(card) -> Trace:
    from bench.recording import Recorder

    recorder = Recorder()
    with ROADS["air"](card, recorder) as link:
        recorder.link(link).transmit(BALANCE)
    return recorder.trace()


def test_a_long_uid_is_put_together():
    shown = Contactless(b"\x44\x00", 0x20, bytes.fromhex("04112233445566"), TYPICAL.ats)
    assert shown_in(recorded_on_air(ReplayPicc([(BALANCE, FIFTY)], shown)).events) == shown


def test_a_recording_without_activation_is_shown_as_a_typical_card():
    assert recorded_card(scenario("inproc")).contactless == TYPICAL


@pytest.mark.parametrize("road", ["inproc", "air", "udp", "pn532"])
def test_the_recorded_reader_gets_the_same_answers_from_the_same_card(road):
    found = replay_reader(scenario("udp"), field_of(fresh_card(1), road))
    assert found.differences == []
    assert found.steps == (31, 31)


def test_another_card_refuses_the_recorded_macs_and_that_is_explained():
    found = replay_reader(scenario("inproc"), field_of(fresh_card(2)))
    told = [difference.text for difference in found.differences]
    assert told[0] == "top-up: CREDIT FOR LOAD: 9000 done against 9302 transaction MAC wrong"
    assert "recorded MACs" in found.notes[0]


def test_a_card_with_more_money_shows_in_the_balance():
    recorded = Trace([asked("00A4040008A00000063201010500"), answered("9000", 1),
                      asked("805C000204", 2), answered("000013889000", 3)])  # fmt: skip
    told = replay_reader(recorded, field_of(fixtures.card("student", balance=100))).differences
    assert "GET BALANCE: amount 50.00 against 1.00" in [d.text for d in told]


def test_the_field_goes_off_where_it_did_in_the_recording():
    powers: list[str] = []

    @contextmanager
    def road():
        powers.append("on")
        yield InProcess(fresh_card(1))
        powers.append("off")

    off = Event(5, Source.FIELD, Layer.RF, b"\x00")
    timed = [asked("805C000204"), answered("6A82", 1), off, asked("805C000204", 7)]
    for events in (timed, [replace(event, t_ns=0) for event in timed]):
        powers.clear()
        replay_reader(Trace(events), road)
        assert powers == ["on", "off"] * 2


def test_a_card_that_leaves_during_the_replay_is_a_difference():
    @contextmanager
    def road():
        yield Cutting(InProcess(fresh_card(1)), 2, CutPoint.BEFORE)

    told = replay_reader(scenario("inproc"), road).differences
    assert told[0].text == "balance: GET BALANCE: 9000 done against no answer"


def test_a_command_that_a_road_cannot_carry_is_a_problem():
    trace = Trace([asked(""), answered("6700", 1)])
    with pytest.raises(Problem, match="a command of 0 bytes"):
        replay_reader(trace, field_of(fresh_card(1), "udp"))


def test_an_answer_without_a_status_word_is_not_replayed():
    with pytest.raises(Problem, match="no answers"):
        recorded_card(Trace([asked("805C000204"), answered("90", 1)]))


@pytest.mark.parametrize("play_it", [recorded_card, lambda t: replay_reader(t, field_of(None))])
def test_a_recording_without_exchanges_is_a_problem(play_it):
    with pytest.raises(Problem, match="to replay"):
        play_it(Trace([Event(0, Source.FIELD, Layer.RF, b"\x01")]))


def field_of(card, road: str = "inproc"):
    return lambda: ROADS[road](card)


def asked(text: str, t_ns: int = 0) -> Event:
    return Event(t_ns, Source.PCD, Layer.APDU, bytes.fromhex(text))


def answered(text: str, t_ns: int = 0) -> Event:
    return Event(t_ns, Source.PICC, Layer.APDU, bytes.fromhex(text))

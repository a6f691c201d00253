"""One recording of every layer, in the order in which things happened."""

from dataclasses import replace

import pytest

from apdu.event import Event, Layer, Source
from apdu.rf import FrameReader
from bench.recording import NO_ANSWER, Recorder, outcome_words
from bench.scenario import fresh_card, play
from emulator.frontends.udp import UdpFrontend
from emulator.radio.clock import VirtualClock
from emulator.radio.faults import Fault, FaultKind
from reader.gate import Direction, Outcome, Reject, Verdict
from reader.transport.base import CardLost
from reader.transport.decorators import CutPoint, Cutting
from reader.transport.inprocess import InProcess
from reader.transport.nfc import NfcCoupler
from tests.gates import case
from tests.recordings import commands_of, frame_number, on_bad_air, scenario

GET_BALANCE = bytes.fromhex("805C000204")


def shape(event: Event) -> str:
    """What an event is, in short."""
    if event.layer is Layer.APDU:
        return f"{event.to} {'asked' if event.source is Source.PCD else 'answered'}"
    return event.name or event.source.value


class Ticking:
    """A clock that goes on by one at each look."""

    def __init__(self) -> None:
        self.now = 1000

    def __call__(self) -> int:
        self.now += 1
        return self.now


@pytest.mark.parametrize("road", ["inproc", "air", "udp", "pn532"])
def test_a_recording_is_in_the_order_of_time_on_every_road(road):
    events = scenario(road).events
    assert [e.t_ns for e in events] == sorted(e.t_ns for e in events)
    assert events[0].t_ns >= 0
    assert {e.tap for e in events} == {1, 2, 3}


@pytest.mark.parametrize("road", ["air", "udp", "pn532"])
def test_every_road_records_the_same_apdus_stages_and_decisions(road):
    def told(name):
        return [
            (e.source, e.layer, e.data, e.to, e.tap, e.gate, e.name, e.note)
            for e in scenario(name).events
            if e.layer in (Layer.APDU, Layer.GATE)
        ]

    assert told(road) == told("inproc")


@pytest.mark.parametrize("road", ["air", "udp", "pn532"])
def test_the_frames_of_a_recording_stand_between_command_and_answer(road):
    """On the virtual air many things happen at one instant; their order is kept all the same."""
    inside = False
    for event in scenario(road).events:
        if event.layer is Layer.APDU and event.to == "card":
            inside = event.source is Source.PCD
        elif event.layer is Layer.RF and event.data[:1] in (b"\x02", b"\x03"):
            assert inside, event


def test_frames_on_the_udp_air_have_lost_their_checksum_and_polls_never_had_one():
    reader = FrameReader()
    found = {}
    for event in scenario("udp").events:
        if event.layer is Layer.RF:
            found[reader.read(event).title] = (event.has_crc, event.tail)
    assert found["REQA"] == (False, 7)
    assert found["ATQA"] == found["ANTICOLL 1"] == found["UID 1"] == (False, 8)
    assert found["SELECT 1"] == found["SAK"] == found["ATS"] == found["I(0)"] == (None, 8)
    assert (found["field on"], found["field off"]) == ((False, 8), (False, 8))


def test_a_tap_of_a_gate_is_a_stage_its_exchanges_and_a_decision():
    made = case(Direction.ENTRY)
    recorder = Recorder()
    outcome = recorder.pass_(made.gate(), InProcess(made.card()))
    events = recorder.trace().events
    assert outcome.verdict is Verdict.PASS
    assert (events[0].source, events[0].name) == (Source.STAGE, "entry")
    assert (events[-1].source, events[-1].name) == (Source.DECISION, "PASS")
    assert "fare 0.00, balance" in events[-1].note
    assert len(commands_of(recorder.trace())) == 10
    assert len(commands_of(recorder.trace(), "psam")) == 2


def test_a_refusal_is_told_with_both_texts_and_the_code():
    words = outcome_words(Outcome(Verdict.REJECT, Reject.ZERO_BALANCE))
    said = "no money on the card, please top up (code 61, laboratory 2731)"
    assert words == [f"余额为零，请充值 / {said}"]


def test_a_recovered_debit_is_told_to_cost_nothing_more():
    receipt = play(InProcess(fresh_card(1)), 1).outcomes["exit"].receipt
    outcome = Outcome(Verdict.PASS, receipt=replace(receipt, recovered=True))
    assert outcome_words(outcome) == [
        "fare 0.00, balance 46.00 yuan",
        "recovered, no second charge",
    ]


def test_a_lost_answer_is_a_command_with_a_note_and_nothing_behind_it():
    recorder = Recorder()
    link = recorder.link(Cutting(InProcess(fresh_card(1)), 1, CutPoint.AFTER))
    with pytest.raises(CardLost):
        link.transmit(GET_BALANCE)
    assert [(shape(e), e.note) for e in recorder.trace().events] == [("card asked", NO_ANSWER)]


def test_an_answer_tells_how_long_it_took_and_times_count_from_the_beginning():
    recorder = Recorder(now_ns=Ticking())
    recorder.link(InProcess(fresh_card(1))).transmit(GET_BALANCE)
    asked, answered = recorder.trace().events
    assert (asked.t_ns, answered.t_ns, answered.duration_ns) == (1, 2, 1)


def test_a_clock_that_stands_still_keeps_the_order():
    recorder = Recorder(now_ns=VirtualClock().now_ns)
    play(InProcess(fresh_card(1)), 1, recorder=recorder)
    assert [shape(e) for e in recorder.trace().events] == [
        shape(e) for e in scenario("inproc").events
    ]


def test_without_stages_a_tap_begins_with_each_field():
    recorder = Recorder(now_ns=Ticking())
    link = recorder.link(InProcess(fresh_card(1)))
    for _ in range(2):
        recorder.observe(Event(recorder.now_ns(), Source.FIELD, Layer.RF, b"\x01"))
        link.transmit(GET_BALANCE)
        recorder.observe(Event(recorder.now_ns(), Source.FIELD, Layer.RF, b"\x00"))
    assert [e.tap for e in recorder.trace().events] == [1, 1, 1, 1, 2, 2, 2, 2]


def test_another_clock_of_real_time_is_brought_to_ours():
    recorder = Recorder(now_ns=lambda: 5000)
    observe = recorder.observer(lambda: 70)
    observe(Event(90, Source.FIELD, Layer.RF, b"\x01"))
    assert [e.t_ns for e in recorder.trace().events] == [20]


def test_asking_for_the_trace_twice_gives_it_twice():
    recorder = Recorder()
    recorder.observe(Event(recorder.now_ns(), Source.FIELD, Layer.RF, b"\x01"))
    play(InProcess(fresh_card(1)), 1, recorder=recorder)
    assert recorder.trace() == recorder.trace()


def test_a_card_recorded_on_its_own_side_answers_as_before():
    recorder = Recorder()
    card = recorder.picc(fresh_card(1))
    assert card.power_on() == fresh_card(1).power_on()
    run = play(InProcess(card), 1)
    assert run.is_good
    card.power_off()
    assert commands_of(recorder.trace()) == commands_of(scenario("inproc"))


def test_a_udp_card_tells_of_the_field_and_every_frame_to_its_reader():
    seen: list[Event] = []
    with UdpFrontend(fresh_card(1), port=0, observe=seen.append).running() as front:
        coupler = NfcCoupler("udp:{}:{}".format(*front.address))
        coupler.wait_card(10).transmit(GET_BALANCE)
        coupler.close()
    reader = FrameReader()
    assert [reader.read(e).title for e in seen] == [
        "field on", "REQA", "ATQA", "ANTICOLL 1", "UID 1", "SELECT 1", "SAK", "RATS", "ATS",
        "I(0)", "I(0)", "field off",
    ]  # fmt: skip


def test_a_frame_that_the_air_lost_is_in_the_recording_with_the_reason():
    debit = frame_number(scenario("air"), lambda e: b"\x80\x54\x01" in e.data)
    trace = on_bad_air(Fault(FaultKind.LOST, debit + 1))
    assert [e.note for e in trace.events if e.layer is Layer.RF and e.note] == ["lost"]
    assert commands_of(trace) == commands_of(scenario("air"))

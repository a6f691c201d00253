"""Two recordings compared: what differs is said, what differs in every run is not."""

from dataclasses import replace

import pytest

from apdu.event import Event, Layer, Source, Trace
from bench.recording import Recorder
from bench.roads import air_road
from bench.scenario import fresh_card, play
from bench.trace_formats import pcapng
from bench.tracing.compare import compare, steps_of
from fixtures.timing import load_timing
from tests.recordings import scenario

ROADS = ["air", "udp"]


def changed(trace: Trace, old: str, new: str) -> Trace:
    """A recording with some bytes of some APDU exchanged for others."""
    was, now = bytes.fromhex(old), bytes.fromhex(new)
    assert any(was in e.data for e in trace.events)
    return Trace([replace(e, data=e.data.replace(was, now)) for e in trace.events])


def cut(trace: Trace, begin: int, end: int) -> Trace:
    """Without the exchanges of these numbers."""
    at = [n for n, e in enumerate(trace.events) if _begins(e)]
    return Trace(trace.events[: at[begin]] + trace.events[at[end] :])


def _begins(event: Event) -> bool:
    return event.layer is Layer.APDU and event.source is Source.PCD


def sentences(a: Trace, b: Trace, fresh: bool = False) -> list[str]:
    return [difference.text for difference in compare(a, b, fresh).differences]


@pytest.mark.parametrize("road", ROADS)
def test_one_seed_on_two_roads_has_no_difference_at_all(road):
    assert sentences(scenario("inproc"), scenario(road), fresh=True) == []


def test_two_seeds_differ_in_nothing_but_what_is_fresh():
    assert sentences(scenario(seed=1), scenario(seed=2)) == []
    told = sentences(scenario(seed=1), scenario(seed=2), fresh=True)
    assert "top-up: INITIALIZE FOR LOAD: random D5FFEFCC against 316170AB" in told


def test_another_balance_is_said_with_its_stage_and_field():
    less = changed(scenario(), "00001388 0000 000000 0100", "000011F8 0000 000000 0100")
    assert sentences(scenario(), less) == [
        "entry: INITIALIZE FOR CAPP PURCHASE: balance 50.00 against 46.00"
    ]


def test_another_status_word_is_said_in_words():
    one = Trace([asked("805C000204"), answered("000013889000")])
    other = Trace([asked("805C000204"), answered("6A82")])
    assert sentences(one, other) == [
        "GET BALANCE: 9000 done against 6A82 file or application not found"
    ]


def test_a_lost_answer_is_said():
    one = Trace([asked("805C000204"), answered("000013889000")])
    assert sentences(one, Trace([asked("805C000204")])) == [
        "GET BALANCE: 9000 done against no answer"
    ]


def test_missing_exchanges_are_named_and_shift_nothing():
    whole = scenario()
    assert sentences(cut(whole, 9, 11), whole) == [
        "entry: B has two more exchanges after SELECT PPSE: SELECT purse, READ BINARY EF15"
    ]
    assert sentences(whole, cut(whole, 9, 11)) == [
        "entry: A has two more exchanges after SELECT PPSE: SELECT purse, READ BINARY EF15"
    ]


def test_exchanges_before_the_first_common_one_are_at_the_beginning():
    assert sentences(scenario(), cut(scenario(), 0, 1)) == [
        "balance: A has one more exchange at the beginning: SELECT purse"
    ]


def test_a_decision_is_compared_with_its_reason():
    rejected = Trace(
        [
            replace(e, name="REJECT", note="no entry record") if e.name == "PASS" else e
            for e in scenario().events
        ]
    )
    told = sentences(scenario(), rejected)
    assert told[0] == (
        "entry: decision: PASS, fare 0.00, balance 50.00 yuan against REJECT, no entry record"
    )
    assert len(told) == 2


def test_what_one_recording_cannot_hold_is_a_note_and_no_difference():
    cards = Trace([e for e in scenario().events if e.layer is Layer.APDU and e.to == "card"])
    found = compare(scenario(), cards)
    assert found.differences == []
    assert found.notes == [
        "B has no PSAM exchanges: four PSAM exchanges of A left out",
        "B has no decisions: two decisions of A left out",
    ]
    assert found.steps == (31, 31)


def test_without_stages_a_difference_is_placed_by_its_tap():
    one = Trace([asked("805C000204", tap=3), answered("000013889000", tap=3)])
    other = Trace([asked("805C000204", tap=3), answered("000000009000", tap=3)])
    assert sentences(one, other) == ["tap 3: GET BALANCE: amount 50.00 against 0.00"]


def test_unknown_commands_are_compared_by_their_bytes_and_not_shown():
    one = Trace([asked("80AA000002AABB"), answered("9000")])
    other = Trace([asked("80AA000002AACC"), answered("9000")])
    (told,) = sentences(one, other)
    assert told.endswith("data some bytes against others")
    assert "AACC" not in told


def test_two_pins_differ_and_neither_is_shown():
    one = Trace([asked("0020000003123456"), answered("9000")])
    other = Trace([asked("0020000003654321"), answered("63C2")])
    told = sentences(one, other)
    assert told[0] == "VERIFY PIN: data some bytes against others"
    assert len(told) == 2
    assert sentences(one, one) == []


def test_a_decision_that_one_recording_has_more_is_a_step():
    less = [e for e in scenario().events if e.source is not Source.DECISION or e.tap == 2]
    assert sentences(Trace(less), scenario()) == [
        "exit: B has one more step after PSAM CREDIT_SAM_FOR_PURCHASE: decision"
    ]


def test_a_field_that_only_one_side_has_is_against_none():
    select = "00A4040008A00000063201010500"
    one = Trace([asked(select), answered("6F0A8408A0000006320101059000")])
    other = Trace([asked(select), answered("6F0F8408A000000632010105A5035001419000")])
    assert sentences(one, other) == ['SELECT purse: label none against 41 "A"']


def test_a_capture_of_a_slow_card_and_psam_is_the_same_conversation():
    """In simulated time the next frame is sent at the instant of the decision before it."""
    timing = load_timing("measured")
    recorder = Recorder()
    with air_road(timing)(fresh_card(1), recorder) as link:
        play(link, 1, recorder=recorder)
    trace = recorder.trace()
    assert sentences(trace, pcapng.load(pcapng.dump(trace)), fresh=True) == []
    assert sentences(scenario(), trace) == []


def test_steps_are_exchanges_and_decisions_in_order():
    steps = steps_of(scenario())
    assert len(steps) == 37
    assert [n for n, s in enumerate(steps) if s.decision is not None] == [20, 34]
    assert [s.stage for s in steps[:3]] == ["balance", "balance", "top-up"]


def asked(text: str, tap: int = 0) -> Event:
    return Event(0, Source.PCD, Layer.APDU, bytes.fromhex(text), tap=tap)


def answered(text: str, tap: int = 0) -> Event:
    return Event(1, Source.PICC, Layer.APDU, bytes.fromhex(text), tap=tap)

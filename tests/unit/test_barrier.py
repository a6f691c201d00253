"""The barrier, rule by rule: domain facts 4.2 and 4.3."""

from collections.abc import Callable
from dataclasses import dataclass, field

import pytest

from reader.barrier import MOST_LAPSED, Barrier, Hold, Position
from reader.modes import RULES, Mode
from reader.outcome import Outcome, Reject, Verdict
from reader.policy import Policy
from tests.outcomes import again, passed, refused, repeated

A, B = b"A" * 10, b"B" * 10
OPEN_S, CLOSED_S = 8.0, 3.0
each_policy = pytest.mark.parametrize("word", ["normally_closed", "normally_open"])
each_failure = pytest.mark.parametrize("failure", [refused(Reject.EXPIRED), again()])


@dataclass
class Aisle:
    """A barrier and a clock that stands until it is moved."""

    word: str = "normally_closed"
    now_s: float = 1000.0
    barrier: Barrier = field(init=False)

    def __post_init__(self) -> None:
        self.barrier = Barrier(self.word, lambda: self.now_s, OPEN_S, CLOSED_S)

    def taps(self, *outcomes: Outcome) -> Position:
        for outcome in outcomes:
            position = self.barrier.decided(outcome)
            assert position == self.barrier.position()
        return position

    def after(self, seconds: float) -> Position:
        self.now_s += seconds
        return self.barrier.position()

    def is_open(self) -> bool:
        return self.barrier.position().is_open


@pytest.fixture
def closed() -> Aisle:
    return Aisle()


@pytest.fixture
def opened() -> Aisle:
    return Aisle("normally_open")


# Normally closed


def test_a_normally_closed_barrier_is_closed_at_first(closed: Aisle):
    assert closed.barrier.position() == Position(False, 0)


def test_a_pass_opens_it_for_one_person(closed: Aisle):
    assert closed.taps(passed(A)) == Position(True, 1)
    assert closed.barrier.walked() == Position(False, 0)
    assert closed.barrier.intruders == 0


def test_it_closes_by_itself_when_the_time_is_over(closed: Aisle):
    closed.taps(passed(A))
    assert closed.after(OPEN_S - 0.1).is_open
    assert closed.after(0.1) == Position(False, 0)


@each_failure
def test_a_tap_that_does_not_pass_leaves_it_closed(closed: Aisle, failure: Outcome):
    assert not closed.taps(failure).is_open


@each_failure
def test_a_tap_that_does_not_pass_takes_nothing_from_who_may(closed: Aisle, failure: Outcome):
    assert closed.taps(passed(A), failure) == Position(True, 1)


def test_two_passes_in_a_row_are_two_persons(closed: Aisle):
    assert closed.taps(passed(A), passed(B)).persons == 2
    assert closed.barrier.walked() == Position(True, 1)
    assert closed.barrier.walked() == Position(False, 0)


def test_a_second_pass_renews_the_time_for_both(closed: Aisle):
    closed.taps(passed(A))
    closed.after(OPEN_S - 1)
    closed.taps(passed(B))
    assert closed.after(OPEN_S - 1).persons == 2
    assert closed.after(1).persons == 0


# The same card again


def test_a_repeated_tap_keeps_an_unused_passage_open_and_adds_nobody(closed: Aisle):
    closed.taps(passed(A))
    closed.after(OPEN_S - 1)
    assert closed.taps(repeated(A)) == Position(True, 1)
    assert closed.after(OPEN_S - 1).is_open
    assert not closed.after(1).is_open


def test_a_repeated_tap_does_not_open_a_used_passage_afresh(closed: Aisle):
    closed.taps(passed(A))
    closed.barrier.walked()
    assert closed.taps(repeated(A)) == Position(False, 0)


def test_a_repeated_tap_is_known_by_the_serial_alone(closed: Aisle):
    bare = Outcome(Verdict.PASS, repeated=True, serial=A)
    closed.taps(passed(A))
    closed.after(OPEN_S)
    assert closed.taps(bare) == Position(True, 1)
    closed.barrier.walked()
    assert not closed.taps(bare).is_open


def test_a_repeated_tap_brings_back_a_passage_that_lapsed_unused(closed: Aisle):
    closed.taps(passed(A))
    assert not closed.after(OPEN_S).is_open
    assert closed.taps(repeated(A)) == Position(True, 1)
    closed.barrier.walked()
    assert not closed.taps(repeated(A)).is_open


def test_the_passage_of_another_is_neither_used_nor_kept_by_a_repeated_tap(closed: Aisle):
    closed.taps(passed(A), passed(B))
    closed.barrier.walked()  # A, who was first
    closed.after(OPEN_S - 1)
    closed.taps(repeated(A))
    assert closed.after(1) == Position(False, 0)


def test_a_repeated_tap_of_nobody_known_keeps_open_what_is_open(closed: Aisle):
    assert not closed.taps(repeated(None)).is_open
    closed.taps(passed(None))
    closed.after(OPEN_S - 1)
    assert closed.taps(repeated(None)) == Position(True, 1)
    closed.barrier.walked()
    closed.taps(passed(A))
    closed.after(OPEN_S - 1)
    assert closed.taps(repeated(None)) == Position(True, 1)
    assert closed.after(OPEN_S - 1).is_open
    closed.after(1)
    assert not closed.taps(repeated(None)).is_open, "a lapsed passage must be somebody's"


def test_a_card_has_one_passage_to_come_back_to(closed: Aisle):
    for _ in range(2):
        closed.taps(passed(A))
        closed.after(OPEN_S)
    closed.taps(repeated(A))
    closed.barrier.walked()
    assert not closed.taps(repeated(A)).is_open


def test_the_oldest_lapsed_passage_is_forgotten(closed: Aisle):
    cards = [bytes((n,)) * 10 for n in range(MOST_LAPSED + 1)]
    closed.taps(*(passed(card) for card in cards))
    closed.after(OPEN_S)
    assert not closed.taps(repeated(cards[0])).is_open
    assert closed.taps(repeated(cards[1])).is_open


# Normally open


def test_a_normally_open_barrier_stays_open(opened: Aisle):
    assert opened.barrier.position() == Position(True, 0)
    assert opened.taps(passed(A)) == Position(True, 1)
    assert opened.barrier.walked() == Position(True, 0)


@each_failure
def test_it_closes_for_who_may_not_pass_until_the_time_is_over(opened: Aisle, failure: Outcome):
    assert not opened.taps(failure).is_open
    assert not opened.after(CLOSED_S - 0.1).is_open
    assert opened.after(0.1).is_open


def test_it_opens_again_for_the_next_who_may(opened: Aisle):
    assert opened.taps(refused(Reject.EXPIRED), passed(A)) == Position(True, 1)


def test_a_repeated_tap_opens_it_only_with_an_unused_passage(opened: Aisle):
    opened.taps(passed(A))
    opened.barrier.walked()
    assert not opened.taps(refused(Reject.EXPIRED), repeated(A)).is_open
    assert opened.taps(passed(B), refused(Reject.EXPIRED), repeated(B)).is_open


def test_who_is_closed_out_by_another_keeps_the_passage(opened: Aisle):
    opened.taps(passed(A))
    opened.after(OPEN_S - 1)
    assert opened.taps(refused(Reject.EXPIRED)) == Position(False, 1)
    assert opened.after(CLOSED_S) == Position(True, 1)
    assert opened.after(OPEN_S - 1).persons == 1
    opened.barrier.walked()
    assert opened.barrier.intruders == 0


@each_policy
def test_who_walks_without_a_passage_is_an_intruder(word: str):
    aisle = Aisle(word)
    aisle.taps(passed(A))
    aisle.barrier.walked()
    aisle.barrier.walked()
    assert aisle.barrier.intruders == 1
    aisle.taps(passed(A))
    aisle.after(OPEN_S)
    aisle.barrier.walked()
    assert aisle.barrier.intruders == 2, "the passage had lapsed"


# Above the policy


@each_policy
def test_a_release_opens_for_everybody_until_restored(word: str):
    aisle = Aisle(word)
    aisle.taps(passed(A))
    aisle.barrier.release()
    released = Position(True, 0, Hold.RELEASED)
    assert aisle.barrier.position() == released
    assert aisle.taps(refused(Reject.EMERGENCY), passed(B)) == released
    assert aisle.after(10 * OPEN_S) == released
    aisle.barrier.walked()
    assert aisle.barrier.intruders == 0
    aisle.barrier.restore()
    assert aisle.barrier.position() == Position(word == "normally_open", 0)


@each_policy
def test_shut_is_closed_until_the_gate_serves_again(word: str):
    aisle = Aisle(word)
    aisle.taps(passed(A))
    aisle.barrier.shut()
    assert aisle.taps(passed(B)) == Position(False, 0, Hold.SHUT)
    assert not aisle.after(10 * OPEN_S).is_open
    aisle.barrier.walked()
    assert aisle.barrier.intruders == 1
    aisle.barrier.serve()
    assert aisle.barrier.position() == Position(word == "normally_open", 0)


@pytest.mark.parametrize(
    ("hold", "end"), [(Barrier.release, Barrier.restore), (Barrier.shut, Barrier.serve)]
)
def test_no_passage_outlives_a_release_or_shut_nor_begins_in_it(
    closed: Aisle, hold: Callable[[Barrier], None], end: Callable[[Barrier], None]
):
    closed.taps(passed(A))
    hold(closed.barrier)
    closed.taps(passed(B))
    end(closed.barrier)
    assert closed.barrier.position() == Position(False, 0)


def test_who_had_tapped_before_the_gate_was_shut_may_come_back(closed: Aisle):
    closed.taps(passed(A))
    closed.barrier.shut()
    closed.barrier.serve()
    assert closed.taps(repeated(A)) == Position(True, 1)


def test_a_release_stands_above_shut(closed: Aisle):
    closed.barrier.release()
    closed.barrier.shut()
    assert closed.is_open()
    closed.barrier.restore()
    assert closed.barrier.position().hold is Hold.SHUT


@pytest.mark.parametrize("mode", Mode)
@each_policy
def test_a_barrier_follows_the_modes_in_force(word: str, mode: Mode):
    aisle = Aisle(word)
    position = aisle.barrier.follow([mode])
    if mode is Mode.EMERGENCY:
        assert position == Position(True, 0, Hold.RELEASED)
    elif RULES[mode].stops:
        assert position == Position(False, 0, Hold.SHUT)
    else:
        assert position == Position(word == "normally_open", 0)
    assert aisle.barrier.follow([]) == Position(word == "normally_open", 0)


def test_modes_that_stop_nobody_leave_passages_alone(closed: Aisle):
    closed.taps(passed(A))
    assert closed.barrier.follow([Mode.OFFLINE, Mode.TIME_FREE]) == Position(True, 1)


def test_an_emergency_in_a_closed_gate_is_a_release(closed: Aisle):
    assert closed.barrier.follow([Mode.CLOSED, Mode.EMERGENCY]).hold is Hold.RELEASED
    assert closed.barrier.follow([Mode.CLOSED]).hold is Hold.SHUT
    closed.barrier.follow([Mode.EMERGENCY])
    closed.barrier.restore()
    assert closed.barrier.position().hold is Hold.NONE


# Time, and how it is made


def test_a_clock_that_goes_back_closes_and_does_not_open_when_it_comes_there_again(closed: Aisle):
    closed.taps(passed(A))
    assert not closed.after(-100).is_open
    assert not closed.after(100).is_open


def test_a_clock_that_goes_back_opens_a_normally_open_barrier(opened: Aisle):
    opened.taps(refused(Reject.EXPIRED))
    assert opened.after(-100).is_open
    assert opened.after(100).is_open


def test_a_barrier_is_made_as_a_policy_says():
    aisle = Aisle()
    policy = Policy(barrier="normally_open", barrier_open_s=2, barrier_closed_s=1)
    barrier = Barrier.of(policy, lambda: aisle.now_s)
    assert not barrier.decided(refused(Reject.EXPIRED)).is_open
    aisle.now_s += 1
    assert barrier.position().is_open
    barrier.decided(passed(A))
    aisle.now_s += 2
    assert barrier.position().persons == 0


def test_a_barrier_without_times_has_the_policys():
    aisle = Aisle()
    barrier = Barrier("normally_closed", lambda: aisle.now_s)
    barrier.decided(passed(A))
    aisle.now_s += Policy().barrier_open_s - 0.1
    assert barrier.position().is_open
    aisle.now_s += 0.1
    assert not barrier.position().is_open


@pytest.mark.parametrize(
    "wrong", [("open", 8, 3), ("normally_open", 0, 3), ("normally_open", 8, 0)]
)
def test_a_barrier_that_makes_no_sense_is_refused(wrong: tuple[str, float, float]):
    word, open_s, closed_s = wrong
    with pytest.raises(ValueError, match="a barrier"):
        Barrier(word, lambda: 0.0, open_s, closed_s)


def test_every_verdict_has_been_thought_of(closed: Aisle):
    opens = {verdict for verdict in Verdict if Aisle().taps(Outcome(verdict)).is_open}
    assert opens == {Verdict.PASS}

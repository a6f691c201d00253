"""The barrier as a state machine: whatever people, staff and clocks do, its promises hold."""

import hypothesis.strategies as st
from hypothesis import settings
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
)

from reader.barrier import Barrier, Hold
from reader.outcome import Reject
from tests.outcomes import again, passed, refused, repeated

OPEN_S, CLOSED_S = 8.0, 3.0
CARDS = st.sampled_from([None, b"A" * 10, b"B" * 10, b"C" * 10])
STEPS = st.sampled_from([0.0, 0.5, 1.0, 2.5, 3.0, 7.5, 8.0, 30.0])


class Aisle(RuleBasedStateMachine):
    """What is counted here is counted without looking at how the barrier counts."""

    @initialize(word=st.sampled_from(["normally_closed", "normally_open"]))
    def build(self, word: str) -> None:
        self.now_s = 500.0
        self.word = word
        self.barrier = Barrier(word, lambda: self.now_s, OPEN_S, CLOSED_S)
        self.paid = 0  # taps that earned a passage
        self.walks = 0  # persons through, but for those of a release
        self.is_released = self.is_shut = False

    @property
    def is_held(self) -> bool:
        return self.is_released or self.is_shut

    @rule(card=CARDS)
    def passes(self, card: bytes | None) -> None:
        before = self.barrier.position().persons
        position = self.barrier.decided(passed(card))
        if not self.is_held:
            self.paid += 1
            assert position.is_open
            assert position.persons == before + 1

    @rule(card=CARDS)
    def comes_again(self, card: bytes | None) -> None:
        before = self.barrier.position()
        position = self.barrier.decided(repeated(card))
        assert before.persons <= position.persons <= before.persons + 1
        if card is None:
            assert position.persons == before.persons

    @rule(outcome=st.sampled_from([refused(Reject.EXPIRED), again()]))
    def does_not_pass(self, outcome) -> None:
        before = self.barrier.position()
        position = self.barrier.decided(outcome)
        assert position.persons == before.persons
        if not self.is_held:
            assert position.is_open == (self.word == "normally_closed" and before.is_open)

    @rule()
    def walks_through(self) -> None:
        before = self.barrier.position().persons
        position = self.barrier.walked()
        assert position.persons == max(0, before - 1)
        self.walks += not self.is_released

    @rule(step_s=STEPS)
    def time_passes(self, step_s: float) -> None:
        self.now_s += step_s

    @rule(step_s=STEPS)
    def the_clock_goes_back(self, step_s: float) -> None:
        self.now_s -= step_s
        position = self.barrier.position()
        self.now_s += OPEN_S + CLOSED_S
        self.comes_to_rest()
        assert position.hold is self.barrier.position().hold

    @rule()
    def comes_to_rest(self) -> None:
        self.now_s += OPEN_S + CLOSED_S
        position = self.barrier.position()
        if not self.is_held:
            assert position.persons == 0
            assert position.is_open == (self.word == "normally_open")

    @rule()
    def emergency(self) -> None:
        self.barrier.release()
        self.is_released = True

    @precondition(lambda self: self.is_released)
    @rule()
    def emergency_ends(self) -> None:
        self.barrier.restore()
        self.is_released = False

    @rule()
    def staff_close(self) -> None:
        self.barrier.shut()
        self.is_shut = True

    @precondition(lambda self: self.is_shut)
    @rule()
    def staff_open(self) -> None:
        self.barrier.serve()
        self.is_shut = False

    @invariant()
    def what_stands_above_the_policy_wins(self) -> None:
        position = self.barrier.position()
        if self.is_released:
            assert (position.is_open, position.hold) == (True, Hold.RELEASED)
        elif self.is_shut:
            assert (position.is_open, position.hold) == (False, Hold.SHUT)
        else:
            assert position.hold is Hold.NONE
            if self.word == "normally_closed":
                assert position.is_open == (position.persons > 0)

    @invariant()
    def nobody_walks_or_waits_on_a_passage_that_was_not_earned(self) -> None:
        used = self.walks - self.barrier.intruders
        assert used >= 0
        assert used + self.barrier.position().persons <= self.paid


Aisle.TestCase.settings = settings(max_examples=200, stateful_step_count=40, deadline=None)
TestAisle = Aisle.TestCase

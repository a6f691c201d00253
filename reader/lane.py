"""The field rules around one tap: who is a new card, how many are there, and when to try again.

A card that stays in the field is one card, tapped once; one that leaves and returns is a new
presentation (protocol reference 7). A lane therefore shows its outcome at once, and waits for the
card to go at the beginning of its next turn.

Several cards (domain facts 4.2, knob `two_cards`) can be told only where the coupler can tell
them. A coupler may have two methods more than `Coupler`:

- `cards_in_field() -> int`: how many cards answer, the activated one among them;
- `next_card() -> Transport | None`: put the activated card to sleep and activate another one that
  has not slept yet, with the field on. From then on `wait_gone` means all of them.

Where they are missing there is one card.

A link that breaks is tried again after a rest, which grows while it breaks and is bounded: a card
at the edge of the field must not keep the gate spinning, and one that lies still is served.
"""

import time
from collections.abc import Callable
from math import ceil
from typing import Final

from apdu.value import value
from reader.outcome import Outcome, Reject, Verdict
from reader.policy import Policy
from reader.session import ProtocolError
from reader.transport.base import CardLost, Coupler, NoCard, Transport

FIRST_REST_S: Final = 0.1
LONGEST_REST_S: Final = 1.6
"""How long a lane rests after a link broke: at first, and at most; it doubles from time to time."""
SLICE_S: Final = 0.2
"""How often a lane that serves one card after another looks for the next."""


@value
class Served:
    """One presentation of a card. outcome: None if it came to nothing; said: why, one sentence."""

    outcome: Outcome | None
    took_ms: float
    said: str = ""


class Lane:
    """Cards at one coupler, one after another.

    pass_:   taps one card, as `Gate.pass_` does.
    on_card: called when a card is about to be tapped, before its time begins.
    now_ns:  a monotonic clock.
    sleep:   waits so many seconds.
    is_serving: whether `pass_` asks cards at all; if not, how many there are does not matter: an
             emergency lets out who holds two.
    """

    def __init__(
        self,
        pass_: Callable[[Transport], Outcome],
        coupler: Coupler,
        policy: Policy,
        on_card: Callable[[], None] = lambda: None,
        now_ns: Callable[[], int] = time.perf_counter_ns,
        sleep: Callable[[float], None] = time.sleep,
        is_serving: Callable[[], bool] = lambda: True,
    ) -> None:
        self._pass = pass_
        self._coupler = coupler
        self._one_by_one = policy.two_cards == "one_by_one"
        self._on_card = on_card
        self._now_ns = now_ns
        self._sleep = sleep
        self._is_serving = is_serving
        self.no_card: NoCard | None = None
        """Why `serve_one` has returned None, unless the last card is still there."""
        self._is_there = False  # a card that has had its turn
        self._has_followed = False  # a card came beside one that has had its turn
        self._failures = 0  # in a row
        self._rest_s = 0.0

    def serve_one(self, timeout_s: float) -> Served | None:
        """Wait for a card and tap it. None if none came in time, or the last one has not gone.

        timeout_s: for each of the two waits.
        Raises ReaderFault, and what `pass_` raises but for CardLost and ProtocolError.
        """
        self.no_card = None
        self._rest()
        card = self._wait(timeout_s)
        if card is None:
            return None
        self._is_there = True
        is_counted = not self._one_by_one and self._is_serving()
        count = _cards_in_field(self._coupler) if is_counted else 1
        if count > 1:
            detail = f"{count} cards in the field"
            return Served(Outcome(Verdict.REJECT, Reject.TOO_MANY_CARDS, detail), 0.0)
        return self._tap(card)

    def _wait(self, timeout_s: float) -> Transport | None:
        """The next card that is to have its turn."""
        if self._is_there:
            card, has_gone = self._follow(timeout_s)
            if card is not None or not has_gone:
                return card
            self._is_there = self._has_followed = False
        try:
            return self._coupler.wait_card(timeout_s)
        except NoCard as none:
            self._failures = 0
            self.no_card = none
            return None

    def _follow(self, timeout_s: float) -> tuple[Transport | None, bool]:
        """Wait until the cards that had their turn are gone, or another one has come beside."""
        next_card = getattr(self._coupler, "next_card", None)
        if not self._one_by_one or next_card is None:
            return None, self._coupler.wait_gone(timeout_s)
        for _ in range(max(1, ceil(timeout_s / SLICE_S))):
            card = next_card()
            if card is not None:
                self._has_followed = True
                return card, False
            if self._coupler.wait_gone(min(SLICE_S, timeout_s)):
                return None, True
        return None, False

    def _tap(self, card: Transport) -> Served:
        self._on_card()
        start_ns = self._now_ns()
        try:
            outcome = self._pass(card)
        except CardLost as lost:
            # If it still is there, it is served after the rest; but where others have had their
            # turn, looking for it afresh would find them too.
            self._is_there = self._has_followed
            return self._failed(f"nothing charged: {lost}", start_ns)
        except ProtocolError as error:
            return self._failed(f"card refused: {error}", start_ns)
        self._failures = 0
        return Served(outcome, self._since(start_ns))

    def _failed(self, said: str, start_ns: int) -> Served:
        took_ms = self._since(start_ns)
        self._rest_s = min(FIRST_REST_S * 2**self._failures, LONGEST_REST_S)
        self._failures += 1
        return Served(None, took_ms, said)

    def _rest(self) -> None:
        """After a failure: let the card go, and in any case let time pass."""
        rest_s, self._rest_s = self._rest_s, 0.0
        if not rest_s:
            return
        start_ns = self._now_ns()
        self._coupler.wait_gone(rest_s)
        left_s = rest_s - self._since(start_ns) / 1e3
        if left_s > 0:
            self._sleep(left_s)

    def _since(self, start_ns: int) -> float:
        """Milliseconds."""
        return (self._now_ns() - start_ns) / 1e6


def _cards_in_field(coupler: Coupler) -> int:
    count: Callable[[], int] | None = getattr(coupler, "cards_in_field", None)
    return 1 if count is None else count()

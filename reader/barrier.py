"""The barrier of one aisle: open or closed, and for how many persons.

Theory of operation. A tap that passes is a *passage*: one person may walk. Passages wait in the
order of their taps until somebody walks or the time is over; then they lapse. One time holds for
all that wait, and each new passage renews it. A lapsed passage was not used, so the same card
again within the pass-back time gets it back; a used one is gone, because one person has one card
(domain facts 4.2).

A normally closed barrier is open while a passage waits. A normally open one is closed for a time
after a tap that did not pass, or until the next one that does (domain facts 4.3). Two things stand
above both: a release, for an emergency, is always open; shut, for a gate that serves nobody, is
always closed. A release stands above shut.

Everything is known to the gate alone: no wall clock, no motor. `position` may be asked by another
thread, such as a display's.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from enum import Enum
from threading import Lock

from apdu.value import value
from reader.modes import Mode, stopping
from reader.outcome import Outcome, Verdict
from reader.policy import Policy

NORMALLY_CLOSED, NORMALLY_OPEN = "normally_closed", "normally_open"
"""Words of the knob `barrier`."""

_DEFAULT = Policy()

MOST_LAPSED = 16
"""Unused passages a barrier remembers; the oldest is forgotten first."""


class Hold(Enum):
    """What stands above the policy."""

    NONE = "none"
    RELEASED = "released"
    SHUT = "shut"


@value
class Position:
    """How a barrier stands. persons: how many who have tapped may still walk."""

    is_open: bool
    persons: int
    hold: Hold = Hold.NONE


@dataclass(frozen=True, slots=True)
class _Time:
    """A time that runs, in seconds of the barrier's clock."""

    start_s: float
    end_s: float

    def holds(self, now_s: float) -> bool:
        """Whether it still runs. A clock that has gone back ends it: nothing may last for ever."""
        return self.start_s <= now_s < self.end_s


@dataclass(frozen=True, slots=True)
class _Aisle:
    """waiting, lapsed: cards of passages, None for one that is not known; the oldest first."""

    waiting: tuple[bytes | None, ...] = ()
    until: _Time | None = None
    lapsed: tuple[bytes, ...] = ()
    closed: _Time | None = None

    def at(self, now_s: float) -> "_Aisle":
        """The same aisle with what is over taken out, for good."""
        closed = self.closed if self.closed and self.closed.holds(now_s) else None
        if self.until is None or self.until.holds(now_s):
            return replace(self, closed=closed)
        return replace(self.lapse(), closed=closed)

    def lapse(self) -> "_Aisle":
        """Nobody may walk any more; who was known may come back."""
        cards = tuple(card for card in self.waiting if card is not None)
        return replace(self, waiting=(), until=None, lapsed=(*self.lapsed, *cards)[-MOST_LAPSED:])


class Barrier:
    """One barrier. Its methods say what happened; `position` says how it stands.

    policy_word:  `normally_closed` or `normally_open`.
    now_s:        a monotonic clock, seconds.
    open_for_s:   how long a passage waits.
    closed_for_s: how long a normally open barrier stays closed.
    Raises ValueError for another word, or for a time that is not above 0.
    """

    def __init__(
        self,
        policy_word: str,
        now_s: Callable[[], float],
        open_for_s: float = _DEFAULT.barrier_open_s,
        closed_for_s: float = _DEFAULT.barrier_closed_s,
    ) -> None:
        if policy_word not in (NORMALLY_CLOSED, NORMALLY_OPEN):
            raise ValueError(
                f"a barrier is {NORMALLY_CLOSED} or {NORMALLY_OPEN}, not {policy_word}"
            )
        if open_for_s <= 0 or closed_for_s <= 0:
            raise ValueError("a barrier opens and closes for a time above 0 s")
        self.intruders = 0
        """How many walked without a passage."""
        self._is_normally_open = policy_word == NORMALLY_OPEN
        self._now_s = now_s
        self._open_for_s = open_for_s
        self._closed_for_s = closed_for_s
        self._aisle = _Aisle()
        self._is_released = self._is_shut = False
        self._lock = Lock()

    @classmethod
    def of(cls, policy: Policy, now_s: Callable[[], float]) -> "Barrier":
        """As a policy says."""
        return cls(policy.barrier, now_s, policy.barrier_open_s, policy.barrier_closed_s)

    def decided(self, outcome: Outcome) -> Position:
        """A tap is over. Returns how the barrier stands now.

        During a release, and while shut, no tap moves it.
        """
        with self._lock:
            now_s, aisle = self._now()
            if not self._is_released and not self._is_shut:
                if outcome.verdict is Verdict.PASS:
                    aisle = self._passed(aisle, outcome, now_s)
                elif self._is_normally_open:
                    aisle = self._closed(aisle, now_s)
            self._aisle = aisle
            return self._position()

    def walked(self) -> Position:
        """The aisle's sensor: somebody went through. Returns how the barrier stands now.

        The passage that waits longest is used. Without one it was an intruder, whom no closed
        barrier keeps from climbing; nobody is one during a release.
        """
        with self._lock:
            _, aisle = self._now()
            if aisle.waiting:
                aisle = replace(aisle, waiting=aisle.waiting[1:])
            elif not self._is_released:
                self.intruders += 1
            self._aisle = aisle
            return self._position()

    def position(self) -> Position:
        """How the barrier stands now; it times out by itself."""
        with self._lock:
            _, self._aisle = self._now()
            return self._position()

    def release(self) -> None:
        """An emergency: open, for everybody, until `restore`. Passages are forgotten."""
        with self._lock:
            self._is_released, self._aisle = True, _Aisle()

    def restore(self) -> None:
        """The emergency is over."""
        with self._lock:
            self._is_released = False

    def shut(self) -> None:
        """The gate serves nobody: closed until `serve`. Passages that wait lapse."""
        with self._lock:
            self._is_shut, self._aisle = True, self._aisle.lapse()

    def serve(self) -> None:
        """The gate serves again."""
        with self._lock:
            self._is_shut = False

    def follow(self, modes: Iterable[Mode]) -> Position:
        """Release, shut or serve as the modes in force say. Returns how the barrier stands now.

        Passages wait on through modes that stop nobody.
        """
        modes = frozenset(modes)
        is_released = Mode.EMERGENCY in modes
        is_shut = stopping(modes - {Mode.EMERGENCY}) is not None
        (self.release if is_released else self.restore)()
        (self.shut if is_shut else self.serve)()
        return self.position()

    def _now(self) -> tuple[float, _Aisle]:
        now_s = self._now_s()
        return now_s, self._aisle.at(now_s)

    def _passed(self, aisle: _Aisle, outcome: Outcome, now_s: float) -> _Aisle:
        card = outcome.card
        waiting, lapsed = aisle.waiting, aisle.lapsed
        if not outcome.repeated or card in lapsed:
            waiting = (*waiting, card)
        elif card not in waiting and (card is not None or not waiting):
            return aisle  # its passage is used
        until = _Time(now_s, now_s + self._open_for_s)
        # A card has one passage to come back to: its latest.
        return _Aisle(waiting, until, tuple(other for other in lapsed if other != card))

    def _closed(self, aisle: _Aisle, now_s: float) -> _Aisle:
        closed = _Time(now_s, now_s + self._closed_for_s)
        # Who has a passage stands before a closed barrier for somebody else's fault.
        until = _Time(now_s, closed.end_s + self._open_for_s)
        return replace(aisle, closed=closed, until=until)

    def _position(self) -> Position:
        aisle = self._aisle
        if self._is_released:
            return Position(True, 0, Hold.RELEASED)
        if self._is_shut:
            return Position(False, 0, Hold.SHUT)
        is_open = aisle.closed is None if self._is_normally_open else bool(aisle.waiting)
        return Position(is_open, len(aisle.waiting))

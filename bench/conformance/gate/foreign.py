"""A gate that is not ours: the card that plays is held in its field, and an operator looks on.

What the card saw is known to the byte. What the gate did is asked of the operator, and so is
everything at the gate itself: setting it up, and holding the card to it.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from time import monotonic, perf_counter_ns, sleep
from typing import Any

import fixtures
from bench.clock import now as local_now
from bench.conformance.case import Need, NotApplicable
from bench.conformance.gate.fronts import Tell, held
from bench.conformance.gate.played import PlayedCard
from bench.conformance.gate.post import Post
from bench.conformance.gate.stand import Heard
from bench.conformance.stand import changed
from emulator.card.card import Card
from emulator.card.env import SystemEnv
from emulator.card.personalise import personalise
from emulator.card.profile import Profile
from reader.modes import Mode, stopping
from reader.outcome import Verdict
from reader.taprecord import TapRecord
from reader.transport.base import NoCard

Ask = Callable[[str], bool]
"""A question to the operator, answered by yes or no."""

ALWAYS = frozenset({Need.FRESH, Need.CUT, Need.KEYS, Need.WRITE})
"""What the card that plays gives every gate's case."""
_POLL_S = 0.02


@dataclass(frozen=True, slots=True)
class Operator:
    """Who stands at a gate that is not ours.

    ask: answers yes or no. tell: is told what to do. can: what the gate can be set up for, POST or
    CLOCK. wait_s: how long a gate may take to ask the card its first question. stopped_s: the same
    of a gate in a mode that asks none. quiet_s: a tap is over when it has asked nothing for so
    long. talk_s: or when it has gone on asking for so long. patience_s: how much of the time that
    should go by between taps really does: more than a card's pass-back time.
    """

    ask: Ask
    tell: Tell
    can: frozenset[Need] = frozenset()
    wait_s: float = 60.0
    stopped_s: float = 10.0
    quiet_s: float = 1.0
    talk_s: float = 60.0
    patience_s: float = 6.0


class ForeignGates:
    """Gates of anybody's, one after another before one card (`GateStand`).

    What the operator has not said the gate can is left out; CODE is, for nobody types codes in.
    Each card has a number of its own, because a gate's memory cannot be cleared from here.
    """

    def __init__(self, name: str, profile: Profile, played: PlayedCard, operator: Operator) -> None:
        self.name = name
        self.abilities = ALWAYS | (operator.can & {Need.POST, Need.CLOCK})
        self.played = played
        keeps_days = Need.CLOCK in operator.can
        self._usual = profile if keeps_days else profile.issued_on(local_now().date())
        self._operator = operator
        self._cards = 0
        self._post: Post | None = None
        self.begins = local_now()
        self.place({})

    def place(self, setup: Mapping[str, Any]) -> None:
        """See GateStand. What the gate itself remembers stays."""
        self.played.take_away()
        self.declared = self._numbered(setup)
        self.card: Card = personalise(self.declared, fixtures.load_roots(), SystemEnv())
        self.played.put(self.card)
        self.begins = local_now()

    def bring(self, setup: Mapping[str, Any]) -> Card:
        """See GateStand."""
        before = self.card
        made = self._numbered(setup)
        self.hold(personalise(made, fixtures.load_roots(), SystemEnv()))
        return before

    def hold(self, card: Card) -> None:
        """See GateStand."""
        self.played.take_away()
        self.card = card
        self.played.swap(card)

    def tap(self, post: Post, at: datetime) -> Heard:
        """See GateStand. Raises NotApplicable if the gate cannot be set up so.

        A gate that asks nothing may mean it: the operator says whether the card was there. Raises
        NoCard if it was not.
        """
        if post != self._post:
            self._set_up(post, at)
        seen = len(self.played.seen)
        self._operator.tell("Hold the card to the gate.")
        self.played.is_away = False
        try:
            self._await(seen, post)
        finally:
            self.played.knobs.cut = None
            self.played.take_away()
        if self._operator.ask("Did the gate open?"):
            return Heard(Verdict.PASS)
        return Heard(Verdict.REJECT, is_vague=True)

    def wait(self, time: timedelta) -> None:
        """See GateStand: the gate's clock is its own, so only a little of it goes by."""
        sleep(min(time.total_seconds(), self._operator.patience_s) if time > timedelta() else 0)

    def tap_pair(self, post: Post, at: datetime, other: Card) -> list[Heard]:
        """See GateStand: the card that plays is alone."""
        raise NotApplicable(Need.PAIR.words.en, Need.PAIR.words.zh)

    def records(self, post: Post) -> Sequence[TapRecord]:
        """See GateStand: nobody can."""
        raise NotApplicable(Need.RECORDS.words.en, Need.RECORDS.words.zh)

    def open_records(self, post: Post) -> Sequence[TapRecord]:
        """See GateStand: nobody can."""
        return self.records(post)

    def leave_room(self, post: Post, count: int | None) -> None:
        """See GateStand: nobody can."""
        self.records(post)

    def restart(self, post: Post) -> None:
        """See GateStand: the operator does it. Raises NotApplicable."""
        if not self._operator.ask("Switch the gate off and on again. Is it ready?"):
            raise NotApplicable("this gate cannot be switched off here", "无法在此重启该闸机")

    def _set_up(self, post: Post, at: datetime) -> None:
        clock = f"; its clock at {at:%Y-%m-%d %H:%M:%S}" if Need.CLOCK in self.abilities else ""
        if not self._operator.ask(f"Set the gate up: {post.words}{clock}. Is it ready?"):
            raise NotApplicable(
                f"the operator has no gate for {post.words}", f"现场没有此配置的闸机：{post.words}"
            )
        self._post = post

    def _await(self, seen: int, post: Post) -> None:
        """Until the gate has asked the card something and then nothing more. Raises NoCard.

        A gate that taps a card again and again while it is there would never be done.
        """
        wait_s = self._operator.stopped_s if _is_stopped(post) else self._operator.wait_s
        began = last = monotonic()
        count = seen
        while True:
            sleep(_POLL_S)
            now = monotonic()
            quiet_s = self._operator.quiet_s + self.played.knobs.debit_delay_s
            if len(self.played.seen) != count:
                began = now if count == seen else began
                count, last = len(self.played.seen), now
            if count > seen:
                if now - last > quiet_s or now - began > self._operator.talk_s:
                    return
            elif now - began > wait_s:
                self._demand_held(wait_s)
                return

    def _demand_held(self, waited_s: float) -> None:
        said = f"no gate has asked the card anything in {waited_s:g} s"
        if not self._operator.ask(f"{said.capitalize()}. Was it held to the gate?"):
            raise NoCard(said)

    def _numbered(self, setup: Mapping[str, Any]) -> Profile:
        made = changed(self._usual, setup)
        if "serial" in setup:
            return made
        self._cards += 1
        serial = f"{int(made.serial.hex()) + self._cards:020d}"
        return replace(made, serial=bytes.fromhex(serial))


def _is_stopped(post: Post) -> bool:
    return stopping(Mode(word) for word in post.modes) is not None


@contextmanager
def foreign_gates(via: str, operator: Operator, profile: str = "student") -> Iterator[ForeignGates]:
    """The card that plays, held before somebody's gate. via: see `fronts.held`.

    Raises Problem, FrontendError, RigError.
    """
    declared = fixtures.load_profile(profile)
    if not declared.balance:
        declared = declared.with_balance(5000)
    played = PlayedCard(fixtures.card(profile), perf_counter_ns)
    played.is_away = True
    with held(via, played, operator.tell):
        yield ForeignGates(f"gate:{via}", declared, played, operator)

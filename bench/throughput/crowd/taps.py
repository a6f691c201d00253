"""One reader of a gate: passengers' cards come into its air and are tapped, in virtual time.

Theory of operation. The air has a clock of its own, which is set to the queue's time when a card
comes. The reader's lane (`reader.lane`) finds the card, counts the cards in the field, and runs the
terminal's transaction; where the air's clock stands then is when the verdict falls. The card is
taken away, and the lane notices it: if that lasts longer than the next person's way, they wait.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import NamedTuple, Protocol

from bench.rig.air import AirCoupler, SlowPsam
from bench.throughput.crowd.deck import Deck, Lent, guest
from bench.throughput.crowd.numbers import SECOND_NS, in_range
from bench.throughput.crowd.parts import FOUND, part_of
from bench.throughput.crowd.people import Passenger, Phones
from bench.throughput.crowd.terminals import RIDE, Post, make_terminal, start_of_day, way_in
from emulator.radio.air import Air
from emulator.radio.faults import Fault, FaultKind, Noise, Script
from emulator.radio.timing import GUARD_NS
from fixtures.timing import Timing
from reader.journal import TapJournal
from reader.lane import Lane, Served
from reader.outcome import Outcome
from reader.policy import Policy
from reader.session import run
from reader.terminal import Terminal
from reader.transport.decorators import Exchange, Recording
from reader.transport.inprocess import InProcess

POLL_NS = 20_000_000 + GUARD_NS
"""How far apart a reader's looks into the field are; a card comes at any time between two."""

WAIT_S = 1.0
"""How long a reader looks for a card that is held against it."""


class Tapped(NamedTuple):
    """What became of one presentation of a card. Times: ns.

    outcome: the terminal's; None if the link broke, or nothing was found. said: why then.
    field:   from the card's coming to the verdict.   end: when the verdict fell.
    apdus:   of it, the exchanges with card and PSAM.  parts: by what they were for.
    """

    outcome: Outcome | None
    said: str
    field: int
    apdus: int
    end: int
    parts: Sequence[tuple[str, int]]


class Reader(Protocol):
    """Where a gate's passengers tap."""

    terminal: Terminal

    def stopped(self) -> Outcome | None:
        """What everybody is told while the terminal serves nobody; None while it serves."""
        ...

    def present(self, who: Passenger, attempt: int, now_ns: int) -> Tapped:
        """Hold a card against the reader. attempt: from 0."""
        ...

    def done(self, who: Passenger) -> None:
        """The passenger has gone, through or away."""
        ...

    def walked(self) -> None:
        """Somebody went through the barrier."""
        ...


@dataclass(frozen=True, slots=True)
class Gear:
    """What readers are made of.

    timing: how long card and PSAM compute; at once if None. rate: 0 .. 3 for 106 .. 848 kbit/s.
    noise:  the share of frames that suffer. start: when the simulation begins.
    """

    timing: Timing | None
    rate: int = 0
    phones: Phones = field(default_factory=Phones)
    noise: float = 0.0
    policy: Policy = field(default_factory=Policy)
    seed: int | str = 1
    start: datetime = field(default_factory=start_of_day)

    def __post_init__(self) -> None:
        in_range("the share of noise", self.noise, 0, 1)


class LiveReader:
    """The reader of a terminal, with live cards. journal: keeps its records; none if left out."""

    def __init__(
        self,
        post: Post,
        gear: Gear,
        deck: Deck,
        journal: TapJournal | None = None,
    ) -> None:
        self._mishaps = _Mishaps(Noise(f"noise {post} {gear.seed}", gear.noise))
        self._air = Air(faults=self._mishaps)
        self._gear, self._deck = gear, deck
        self._start = gear.start
        self.terminal = make_terminal(post, self._now, gear.policy, deck.listed, journal)
        self._origin = way_in(post, lambda: self._now() - RIDE, gear.policy)
        self._seen: list[Exchange] = []
        coupler = AirCoupler(self._air, rate=gear.rate)
        psam = self.terminal.psam
        slow = psam if gear.timing is None else SlowPsam(psam, self._air, gear.timing.psam)
        clock_ns = self._air.clock.now_ns
        self._psam = Recording(slow, clock_ns, "psam", self._seen)
        self._lane = Lane(
            lambda card: run(
                self.terminal.tap(),
                {"card": Recording(card, clock_ns, "card", self._seen), "psam": self._psam},
            ),
            coupler,
            gear.policy,
            now_ns=clock_ns,
            sleep=lambda s: self._air.pause(round(s * SECOND_NS)),
            is_serving=lambda: self.terminal.is_serving,
        )
        deck.terminals.append(self.terminal)

    def stopped(self) -> Outcome | None:
        """See Reader. No command leaves the terminal."""
        return None if self.terminal.is_serving else run(self.terminal.tap(), {})

    def present(self, who: Passenger, attempt: int, now_ns: int) -> Tapped:
        """See Reader."""
        lent = self._deck.held(who.number) or self._lend(who, now_ns)
        clock, gear = self._air.clock, self._gear
        start_ns = max(now_ns, clock.now_ns())
        clock.wait_until(
            start_ns + gear.phones.delays_ns(who.carrier)[0] + round(who.phase * POLL_NS)
        )
        hold_ns = who.hold_ns if attempt == 0 else None
        self._mishaps.leave_at(None if hold_ns is None else start_ns + hold_ns)
        wait_s = WAIT_S if hold_ns is None else hold_ns / SECOND_NS
        times = None if gear.timing is None else gear.timing.card
        card = guest(lent.card, who.carrier, times, gear.phones)
        self._seen.clear()
        self._air.bring(card)
        served = self._lane.serve_one(wait_s)
        end_ns = clock.now_ns()
        self._air.take_away(card)
        self._mishaps.leave_at(None)
        seen = self._seen[:]
        self._lane.serve_one(0.0)  # the lane looks into an empty field
        return _tapped(served, seen, start_ns, end_ns)

    def done(self, who: Passenger) -> None:
        """See Reader."""
        self._deck.give_back(who.number)

    def walked(self) -> None:
        """See Reader."""
        self.terminal.walked()

    def _lend(self, who: Passenger, now_ns: int) -> Lent:
        lent = self._deck.lend(who.number, who.card)
        if self._origin is not None:
            self._air.clock.wait_until(now_ns)
            self._come_in(lent)
        return lent

    def _come_in(self, lent: Lent) -> None:
        """The ride that ends here began with a tap; a card that is refused there came somehow."""
        assert self._origin is not None
        self._origin.pass_(InProcess(lent.card))
        self._origin.walked()
        lent.card.power_off()

    def _now(self) -> datetime:
        return self._start + timedelta(microseconds=self._air.clock.now_ns() // 1000)


class _Mishaps:
    """What goes wrong in a reader's air (`faults.Faults`): noise, and cards that leave early."""

    def __init__(self, noise: Noise) -> None:
        self.at_frame = noise.at_frame
        self._leaving = Script()

    def leave_at(self, at_ns: int | None) -> None:
        """The card leaves at this instant; None: no sooner than it is taken away."""
        gone = [] if at_ns is None else [Fault(FaultKind.LEAVES, at_ns=at_ns)]
        self._leaving = Script(gone)

    def due(self, now_ns: int) -> Sequence[Fault]:
        """See Faults."""
        return self._leaving.due(now_ns)

    def next_leave_ns(self) -> int | None:
        """See Faults."""
        return self._leaving.next_leave_ns()


def _tapped(served: Served | None, seen: list[Exchange], start_ns: int, end_ns: int) -> Tapped:
    field = end_ns - start_ns
    parts: dict[str, int] = {}
    apdus = seen[-1].end_ns - seen[0].start_ns if seen else 0
    parts[FOUND] = (seen[0].start_ns if seen else end_ns) - start_ns
    for exchange in seen:
        name = part_of(exchange)
        parts[name] = parts.get(name, 0) + exchange.end_ns - exchange.start_ns
    outcome, said = (None, "no card found") if served is None else (served.outcome, served.said)
    return Tapped(outcome, said, field, apdus, end_ns, tuple(parts.items()))

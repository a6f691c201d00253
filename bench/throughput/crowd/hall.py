"""The gates of one line of a station: people choose a queue, and another one when a gate fails."""

from collections import deque
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from bench.throughput.crowd.aisle import WAYS_IN, Aisle
from bench.throughput.crowd.people import Pace, Passenger
from bench.throughput.crowd.tally import Tally
from bench.throughput.crowd.taps import Reader
from bench.throughput.crowd.terminals import ENTRY, EXIT
from bench.throughput.crowd.virtual import Virtual
from reader.modes import Mode
from reader.outcome import Reject
from reader.policy import Policy

BOTH = "both"
KINDS: Mapping[str, tuple[str, ...]] = {ENTRY: (ENTRY,), EXIT: (EXIT,), BOTH: (ENTRY, EXIT)}
"""Kinds of gates and whom they let through."""


@dataclass(frozen=True, slots=True)
class Place:
    """A gate of a hall. number: in the station, from 1."""

    number: int
    kind: str
    aisle: Aisle
    tally: Tally


@dataclass
class Hall:
    """A line's gates. unserved: who stands before gates none of which serves them."""

    env: Virtual
    line: str
    whole: Tally
    tally: Tally = field(default_factory=Tally)
    places: list[Place] = field(default_factory=list)
    unserved: deque[Passenger] = field(default_factory=deque)

    def add(
        self, number: int, kind: str, readers: Mapping[str, Reader], policy: Policy, pace: Pace
    ) -> None:
        """Build one more gate."""
        own = Tally()
        tallies = (own, self.tally, self.whole)
        aisle = Aisle(self.env, readers, policy, pace, tallies, self.send)
        self.places.append(Place(number, kind, aisle, own))

    @property
    def still(self) -> int:
        """How many people are in here now."""
        aisles = sum(place.aisle.people + place.aisle.walking for place in self.places)
        return aisles + len(self.unserved)

    def comes(self, who: Passenger) -> None:
        """Somebody comes to the gates."""
        for tally in (self.tally, self.whole):
            tally.arrives(self.env.now_ns)
        self.send([who])

    def send(self, people: Iterable[Passenger]) -> None:
        """Each to the shortest queue of those that serve them; of equal ones to the first."""
        for who in people:
            if who.direction in WAYS_IN and self._is_forbidden(who.direction):
                for tally in (self.tally, self.whole):
                    tally.goes_away(Reject.EMERGENCY.en, self.env.now_ns)
                continue
            open_to = [place.aisle for place in self.places if place.aisle.serves(who.direction)]
            if open_to:
                min(open_to, key=lambda aisle: aisle.people).join(who)
            else:
                self.unserved.append(who)

    def set_modes(self, modes: Mapping[int, frozenset[Mode]]) -> None:
        """Gates, by number, have these modes from now on: who can no longer stay goes elsewhere."""
        changed = [place.aisle for place in self.places if place.number in modes]
        leaving = [
            who
            for place in self.places
            if place.number in modes
            for who in place.aisle.set_modes(modes[place.number])
        ]
        leaving += self.unserved
        self.unserved.clear()
        self.send(sorted(leaving, key=lambda who: who.arrived_ns))
        for aisle in changed:
            self._attract(aisle)

    def _attract(self, aisle: Aisle) -> None:
        """Who stands last in a longer queue goes over to a shorter one."""
        while True:
            others = [
                place.aisle
                for place in self.places
                if place.aisle.queue and aisle.serves(place.aisle.queue[-1].direction)
            ]
            longest = max(others, key=lambda other: other.people, default=aisle)
            if longest.people - aisle.people < 2:
                return
            aisle.join(longest.leave())

    def _is_forbidden(self, direction: str) -> bool:
        """Whether the gates' own terminals say that nobody may come in."""
        readers = (place.aisle.readers.get(direction) for place in self.places)
        said = [reader.stopped() for reader in readers if reader is not None]
        return any(outcome is not None and outcome.released for outcome in said)


def kinds_of(gates: int, weights: Mapping[str, int]) -> list[str]:
    """What kind each of so many gates is, by weights, so that both ways are served.

    >>> kinds_of(8, {"entry": 2, "exit": 5, "both": 1})
    ['entry', 'entry', 'exit', 'exit', 'exit', 'exit', 'exit', 'both']
    >>> kinds_of(1, {"entry": 2, "exit": 5, "both": 1}), kinds_of(2, {"entry": 9, "exit": 1})
    (['both'], ['entry', 'exit'])
    """
    if gates == 1:
        return [BOTH]
    if not any(weights.values()):
        weights = dict.fromkeys(KINDS, 1)
    whole = sum(weights.values())
    exact = {kind: gates * weights.get(kind, 0) / whole for kind in KINDS}
    counts = {kind: int(share) for kind, share in exact.items()}
    rest = sorted(KINDS, key=lambda kind: counts[kind] - exact[kind])
    for kind in rest[: gates - sum(counts.values())]:
        counts[kind] += 1
    for kind, other in ((ENTRY, EXIT), (EXIT, ENTRY)):
        if not counts[kind] and not counts[BOTH]:
            counts[kind], counts[other] = 1, counts[other] - 1
    return [kind for kind in KINDS for _ in range(counts[kind])]

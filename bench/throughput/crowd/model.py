"""Service times measured beforehand: what a crowd's taps take, without tapping each.

A number of passengers of every kind that is to come tap live, each until the gate has decided, and
a passenger of the model takes what one of them took. When they come and how long they hold the card
is spread evenly over what is possible, so that few of them are like many. What they are is in
`Passenger.kind`; which of them is drawn is the passenger's own chance, so that the same seed gives
the same result.
"""

from collections.abc import Callable, Iterable
from itertools import product
from random import Random

from bench.throughput.crowd.deck import Deck
from bench.throughput.crowd.numbers import SECOND_NS
from bench.throughput.crowd.people import Habits, Passenger
from bench.throughput.crowd.taps import Gear, LiveReader, Reader, Tapped
from bench.throughput.crowd.terminals import Post
from reader.outcome import Outcome, Verdict

SAMPLES = 60
"""Passengers of each kind that tap live."""

Kind = tuple[str, str, str, bool]
Visit = tuple[Tapped, ...]
"""All presentations of one passenger."""


class Samples:
    """Measured visits by kind."""

    def __init__(self) -> None:
        self._visits: dict[Kind, list[Visit]] = {}
        self.taps = 0

    def add(self, kind: Kind, visit: Visit) -> None:
        """One more."""
        self._visits.setdefault(kind, []).append(visit)
        self.taps += len(visit)

    def has(self, kind: Kind) -> bool:
        """Whether any passenger of this kind was measured."""
        return kind in self._visits

    def draw(self, who: Passenger) -> Visit:
        """What this passenger's taps take."""
        visits = self._visits[who.kind]
        return visits[int(who.draw * len(visits))]


def gather(
    post: Post,
    gear: Gear,
    habits: Habits,
    tries: int,
    count: int = SAMPLES,
    tick: Callable[[], None] = lambda: None,
) -> Samples:
    """Measure a terminal with `count` live passengers of each kind. tick: called after each."""
    samples = Samples()
    deck = Deck(f"{gear.seed} model")
    reader = LiveReader(post, gear, deck)
    chance = Random(f"model {gear.seed} {post}")  # noqa: S311 - repeatable on purpose
    now_ns = 0
    for who in _people(post, habits, count, chance):
        visit: list[Tapped] = []
        for attempt in range(tries):
            visit.append(reader.present(who, attempt, now_ns))
            now_ns = visit[-1].end + SECOND_NS
            if is_over(visit[-1].outcome):
                break
        reader.done(who)
        reader.walked()
        samples.add(who.kind, tuple(visit))
        tick()
    return samples


def is_over(outcome: Outcome | None) -> bool:
    """Whether the passenger need not tap again."""
    return outcome is not None and outcome.verdict is not Verdict.TAP_AGAIN


def _people(post: Post, habits: Habits, count: int, chance: Random) -> Iterable[Passenger]:
    is_early = [
        early for early, share in ((False, 1 - habits.early), (True, habits.early)) if share
    ]
    cards = [card for card, weight in habits.cards.items() if weight]
    carriers = [carrier for carrier, weight in habits.carriers.items() if weight]
    kinds = list(product(cards, carriers, is_early))
    # Each kind in turn, so that a card has rested before it is lent again.
    places = [(_even(chance, count), _even(chance, count)) for _ in kinds]
    for number in range(count * len(kinds)):
        at, of = divmod(number, len(kinds))
        (card, carrier, early), (phases, holds) = kinds[of], places[of]
        hold_ns = round(holds[at] * habits.hold * SECOND_NS) if early else None
        yield Passenger(-1 - number, post.direction, card, carrier, 0, phases[at], hold_ns, 0.0)


def _even(chance: Random, count: int) -> list[float]:
    """Numbers from 0 up to 1, by chance one in each of `count` equal parts, in any order."""
    found = [(part + chance.random()) / count for part in range(count)]
    chance.shuffle(found)
    return found


class ModelReader:
    """A reader that takes times from samples. It has a real terminal for its modes alone."""

    def __init__(self, post: Post, gear: Gear, samples: Samples) -> None:
        self._live: Reader = LiveReader(post, gear, Deck(0))
        self.terminal = self._live.terminal
        self._samples = samples
        self._visits: dict[int, Visit] = {}

    def stopped(self) -> Outcome | None:
        """See Reader."""
        return self._live.stopped()

    def present(self, who: Passenger, attempt: int, now_ns: int) -> Tapped:
        """See Reader."""
        visit = self._visits.get(who.number)
        if visit is None:
            visit = self._visits[who.number] = self._samples.draw(who)
        tapped = visit[min(attempt, len(visit) - 1)]
        return tapped._replace(end=now_ns + tapped.field)

    def done(self, who: Passenger) -> None:
        """See Reader."""
        self._visits.pop(who.number, None)

    def walked(self) -> None:
        """See Reader."""

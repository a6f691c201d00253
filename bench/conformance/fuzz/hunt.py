"""The hunt: card after card, with a corpus of episodes that showed something new."""

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from random import Random

from bench.conformance.fuzz.bed import Bed
from bench.conformance.fuzz.branches import Branches
from bench.conformance.fuzz.breach import Breach
from bench.conformance.fuzz.grammar import SELECT_PURSE, Episode, Grammar
from bench.conformance.fuzz.life import Life, Seen
from bench.conformance.fuzz.shrink import shortest
from bench.conformance.fuzz.tally import Found, Tally

KEPT = 4000
"""Episodes the corpus holds at most."""
MOST_FOUND = 10
"""Different violations after which a hunt ends."""
FRESH_SHARE = 0.5
"""How many episodes are drawn anew; the others are kept ones, mutated."""


@dataclass(frozen=True, slots=True)
class Plan:
    """How to hunt.

    count: APDUs. per_card: of each card. every: APDUs between two looks at balances.
    branches: look at the branches of every n-th card; 0 for none.
    """

    count: int
    seed: str
    per_card: int = 400
    every: int = 100
    branches: int = 0


@dataclass
class Hunt:
    """One process's hunt. tell: takes the APDUs so far, now and then."""

    bed: Bed
    plan: Plan
    tell: Callable[[int], object] = lambda done: None
    tally: Tally = field(default_factory=Tally)
    corpus: list[Episode] = field(default_factory=list)
    seen: set[Seen] = field(default_factory=set)

    def __post_init__(self) -> None:
        """Everything random comes from the seed."""
        self._rng = Random(f"fuzz {self.plan.seed}")  # noqa: S311 - repeatable on purpose
        self._grammar = Grammar(self._rng, self.bed.allows)
        self._branches = Branches()
        self._words: Counter[Seen] = Counter()

    def run(self) -> Tally:
        """Hunt until the count is reached or enough is found. Raises TransportError."""
        told = 0
        while self.tally.commands < self.plan.count and len(self.tally.found) < MOST_FOUND:
            self._card()
            if self.tally.commands - told >= TELL_EVERY:
                told = self.tally.commands
                self.tell(told)
        self.tally.take(self._words, len(self.corpus), len(self._branches.seen))
        return self.tally

    def _card(self) -> None:
        kind = self._rng.choice(self.bed.kinds)
        life = Life(self.bed, kind)
        self.tally.cards += 1
        is_traced = self.plan.branches and self.tally.cards % self.plan.branches == 0
        try:
            with self._branches.watched(bool(is_traced)):
                self._live(life)
        except Breach as breach:
            self._found(breach, kind, life)
        self.tally.commands += len(life.said)
        self.tally.commits += life.oracle.ledger.commits

    def _live(self, life: Life) -> None:
        plan, said = self.plan, life.said
        most = min(plan.per_card, plan.count - self.tally.commands)
        look = plan.every
        life.look(everything=False)
        while len(said) < most and not (life.dead > 6 and self._rng.random() < 0.2):
            self._play(life, self._episode(life))
            if len(said) >= look:
                look = len(said) + plan.every
                life.look(everything=False)
        life.look(everything=True)

    def _episode(self, life: Life) -> Episode:
        rng, corpus = self._rng, self.corpus
        if corpus and rng.random() > FRESH_SHARE:
            episode = self._grammar.mutated(rng.choice(corpus), rng.choice(corpus))
        else:
            episode = self._grammar.episode()
        if not life.oracle.is_here and rng.random() < 0.9:
            return (SELECT_PURSE, *episode)
        return episode

    def _play(self, life: Life, episode: Episode) -> None:
        is_new, seen, words = False, self.seen, self._words
        branches = len(self._branches.seen)
        for recipe in episode:
            what = life.play(recipe)
            if what is None:
                continue
            words[what] += 1
            if what not in seen:
                seen.add(what)
                is_new = True
        if (is_new or len(self._branches.seen) > branches) and len(self.corpus) < KEPT:
            self.corpus.append(episode)

    def _found(self, breach: Breach, kind: str, life: Life) -> None:
        command = life.said[-1].command[:2] if life.said else b""
        if any((one.rule, one.command) == (breach.rule, command) for one in self.tally.found):
            return
        found = Found(breach, kind, command, tuple(life.said), self.plan.seed)
        if self.bed.is_fresh:
            found = shortest(self.bed, found, life.recipes)
        self.tally.found.append(found)


TELL_EVERY = 50_000

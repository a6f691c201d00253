"""What a hunt saw, to be added up over processes and shown."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from apdu.spec import State
from bench.conformance.fuzz.breach import Breach, Rule


class Found:
    """A violation. kind: of card. command: class and instruction. said: the script.

    is_short: it was cut down, and the script repeats on a new card.
    """

    def __init__(
        self,
        breach: Breach,
        kind: str,
        command: bytes,
        said: tuple[tuple[bytes, bytes], ...],
        seed: str,
        is_short: bool = False,
    ) -> None:
        self.rule: Rule = breach.rule
        self.expected, self.came = breach.expected, breach.came
        self.kind = kind
        self.command = command
        self.said = said
        self.seed = seed
        self.is_short = is_short

    def to_json(self) -> dict[str, Any]:
        """For programs."""
        return {
            "rule": self.rule.name,
            "words": self.rule.words.en,
            "words_zh": self.rule.words.zh,
            "expected": self.expected,
            "came": self.came,
            "card": self.kind,
            "seed": self.seed,
            "is_short": self.is_short,
            "script": [[c.hex().upper(), r.hex().upper()] for c, r in self.said],
        }


@dataclass
class Tally:
    """Counts of one or more hunts. seen: by state, command and status word."""

    commands: int = 0
    cards: int = 0
    commits: int = 0
    corpus: int = 0
    branches: int = 0
    seen: Counter[tuple[str, str, int]] = field(default_factory=Counter)
    found: list[Found] = field(default_factory=list)

    def take(self, seen: Mapping[tuple[State, str, int], int], corpus: int, branches: int) -> None:
        """What a hunt knows at its end."""
        self.seen.update({(state.value, name, sw): n for (state, name, sw), n in seen.items()})
        self.corpus, self.branches = corpus, branches

    def add(self, other: "Tally") -> None:
        """Another process's. Branches are not added: both see the same card."""
        self.commands += other.commands
        self.cards += other.cards
        self.commits += other.commits
        self.corpus += other.corpus
        self.branches = max(self.branches, other.branches)
        self.seen.update(other.seen)
        known = {(one.rule, one.command) for one in self.found}
        self.found += [one for one in other.found if (one.rule, one.command) not in known]

    @property
    def words(self) -> Counter[int]:
        """How often each status word came; commands of the read-back are not among them."""
        words: Counter[int] = Counter()
        for (_, _, sw), n in self.seen.items():
            words[sw] += n
        return words

    def to_json(self) -> dict[str, Any]:
        """For programs."""
        return {
            "commands": self.commands,
            "cards": self.cards,
            "commits": self.commits,
            "corpus": self.corpus,
            "branches": self.branches,
            "triples": len(self.seen),
            "words": {f"{sw:04X}": n for sw, n in self.words.most_common()},
            "violations": [one.to_json() for one in self.found],
        }

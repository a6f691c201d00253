"""Episodes: short runs of recipes, drawn from the command table and mutated on.

Noise alone stays at the door (6E00), so most commands are what a terminal would send, with right
cryptograms; some have one thing wrong, come at the wrong time, or twice.
"""

from collections.abc import Callable
from random import Random

from apdu.commands import DEBIT, ED, SELECT, TABLE
from apdu.file_commands import ERASE_DF, GET_CHALLENGE
from apdu.key_commands import APPLICATION_BLOCK, CARD_BLOCK, VERIFY_PIN
from apdu.spec import ANY
from bench.conformance.desk import WAYS, Pair, Spec, needs_challenge
from bench.conformance.fuzz.recipe import BENDS, NOISE, RESET, STALE, Recipe

Episode = tuple[Recipe, ...]

LETHAL = (CARD_BLOCK, APPLICATION_BLOCK, ERASE_DF)
"""Commands after which a card has little more to say: drawn seldom."""
AMOUNTS = (
    *(0, 1, 1, 1, 2, 3, 10, 100, 100, 100, 100, 350, 499, 5000, 5001),
    *(95_000, 0xFFFFFF, 0x7FFFFFFF, 0xFFFFFFFF),
)
_BENDS = tuple(BENDS)
_EXAMPLES = {spec: spec.params.examples() for spec in TABLE}
SELECT_PURSE = Recipe(SELECT, SELECT.usual)
_PIN = Recipe(VERIFY_PIN, VERIFY_PIN.usual)
_CHALLENGE = Recipe(GET_CHALLENGE, GET_CHALLENGE.usual)
_BEND, _MAC_BENDS = 0.12, ("mac", "mac", "flip", "field", "length", "p1", "p2")

Allowed = Callable[[Spec], bool]


class Grammar:
    """Draws episodes. rng: everything comes from it. allowed: which commands may be sent."""

    def __init__(self, rng: Random, allowed: Allowed = lambda spec: True) -> None:
        self._rng = rng
        self._specs = [s for s in TABLE if s not in LETHAL and allowed(s)]
        self._lethal = [s for s in LETHAL if allowed(s)]
        free = [s for s in self._specs if s.when is ANY]
        self._single = free * 3 + self._specs
        self._secured = [s for s in self._specs if needs_challenge(s)]
        self._ways = [way for way in WAYS if all(allowed(step[0]) for step in way)]
        self._ways += [way for way in self._ways if way[-1][0] is DEBIT]

    def episode(self) -> Episode:
        """A new one."""
        luck = self._rng.random()
        if luck < 0.50 and self._ways:
            return self._walk()
        if luck < 0.66 and self._secured:
            return self._protected()
        if luck < 0.965 or not self._lethal:
            return self._singles()
        if luck < 0.98:
            return (self.recipe(NOISE),)
        if luck < 0.997:
            return (Recipe(RESET),)
        return (_CHALLENGE, self.recipe(self._rng.choice(self._lethal)))

    def recipe(self, spec: Spec | str, pair: Pair | None = None) -> Recipe:
        """One command with everything else drawn."""
        rng = self._rng
        luck = rng.getrandbits(48)
        bend = ""
        if rng.random() < _BEND:
            bend = _BENDS[(luck >> 40) % len(_BENDS)]
        if pair is None:
            examples = _EXAMPLES[spec] if not isinstance(spec, str) else ((0, 0),)
            pair = examples[(luck >> 16) % len(examples)]
        return Recipe(
            spec,
            pair,
            AMOUNTS[(luck >> 8) % len(AMOUNTS)],
            bend,
            luck >> 24 & 0xFF,
            luck & 0xFF,
            1 + (luck >> 32) % 31 if luck & 0x300 else 1,
        )

    def _walk(self) -> Episode:
        """A transaction, whole or with something between, left out or wrong at its end."""
        rng = self._rng
        way = rng.choice(self._ways)
        steps = [self._plain(spec, pair) for spec, pair in way]
        if any(step.pair[1] == ED for step in steps) and rng.random() < 0.8:
            steps.insert(0, _PIN)
        luck = rng.random()
        if luck < 0.12:
            steps.insert(rng.randrange(len(steps) + 1), self.recipe(rng.choice(self._specs)))
        elif luck < 0.17:
            del steps[rng.randrange(len(steps))]
        elif luck < 0.29:
            steps[-1] = steps[-1]._replace(bend=rng.choice(_MAC_BENDS))
        elif luck < 0.35:
            steps.append(steps[-1])
        elif luck < 0.37:
            steps.insert(rng.randrange(1, len(steps) + 1), Recipe(RESET))
        return tuple(steps)

    def _plain(self, spec: Spec, pair: Pair | None) -> Recipe:
        return self.recipe(spec, pair)._replace(bend="")

    def _protected(self) -> Episode:
        """A challenge and a command that needs it; seldom one of them is missing or wrong."""
        rng = self._rng
        made = self.recipe(rng.choice(self._secured))._replace(bend="")
        if rng.random() < 0.08:
            made = made._replace(bend=rng.choice(_MAC_BENDS))
        luck = rng.random()
        if luck < 0.04:
            return (made,)
        if luck < 0.08:
            between = self.recipe(rng.choice(self._single))
            return (_CHALLENGE, between, made._replace(bend=STALE))
        return (_CHALLENGE, made)

    def _singles(self) -> Episode:
        rng = self._rng
        return tuple(self.recipe(rng.choice(self._single)) for _ in range(1 + rng.getrandbits(2)))

    def mutated(self, episode: Episode, other: Episode) -> Episode:
        """A kept episode with a change. other: another kept one, to be joined with."""
        rng, steps = self._rng, list(episode)
        at = rng.randrange(len(steps))
        match rng.randrange(7):
            case 0:
                steps.insert(at, self.recipe(rng.choice(self._specs)))
            case 1:
                del steps[at]
            case 2:
                steps[at] = self._changed(steps[at])
            case 3:
                steps = [*steps[:at], *other]
            case 4:
                steps.insert(at, steps[rng.randrange(len(steps))])
            case 5:
                steps[at] = steps[at]._replace(bend="")
            case _:
                steps[at] = steps[at]._replace(bend=rng.choice(_BENDS))
        return tuple(steps[:MOST])

    def _changed(self, recipe: Recipe) -> Recipe:
        rng = self._rng
        match rng.randrange(4):
            case 0:
                return recipe._replace(amount=rng.choice(AMOUNTS))
            case 1:
                return recipe._replace(place=rng.getrandbits(8), value=rng.getrandbits(8))
            case 2:
                return recipe._replace(record=rng.randrange(32))
        if isinstance(recipe.spec, str):
            return recipe
        return recipe._replace(pair=rng.choice(_EXAMPLES[recipe.spec]))


MOST = 24
"""Recipes of a kept episode."""

"""Cutting a violation down: the fewest recipes that still break the same rule on a new card.

Recipes are played, not bytes: a card without the commands that were left out draws other random
numbers, and wants other MACs.
"""

from collections.abc import Callable, Sequence

from bench.conformance.fuzz.bed import Bed
from bench.conformance.fuzz.breach import Breach
from bench.conformance.fuzz.life import Life
from bench.conformance.fuzz.recipe import Recipe
from bench.conformance.fuzz.tally import Found

TRIES = 2000
"""Cards that may be used up for one violation."""


def shortest(bed: Bed, found: Found, recipes: Sequence[Recipe]) -> Found:
    """The same violation with a short script; as it was if it does not repeat."""
    best, left = found, TRIES

    def shows(some: Sequence[Recipe]) -> bool:
        nonlocal best, left
        left -= 1
        again = _played(bed, found, some) if left >= 0 else None
        best = again or best
        return again is not None

    if shows(recipes):
        reduced(list(recipes), shows)
    return best


def _played(bed: Bed, found: Found, recipes: Sequence[Recipe]) -> Found | None:
    """What a new card says to these recipes, if it breaks the same rule at the same command."""
    life = Life(bed, found.kind)
    try:
        for recipe in recipes:
            life.play(recipe)
    except Breach as breach:
        command = life.said[-1].command[:2] if life.said else b""
        if (breach.rule, command) == (found.rule, found.command):
            said = tuple(life.said)
            return Found(breach, found.kind, command, said, found.seed, is_short=True)
    return None


def reduced(steps: list[Recipe], shows: Callable[[Sequence[Recipe]], bool]) -> list[Recipe]:
    """Delta debugging: leave out ever smaller pieces as long as what is left still shows it."""
    size = max(1, len(steps) // 2)
    while True:
        before, at = len(steps), 0
        while at < len(steps):
            rest = steps[:at] + steps[at + size :]
            if shows(rest):
                steps = rest
            else:
                at += size
        if size == 1 and len(steps) == before:
            return steps
        size = max(1, size // 2)

"""A long run of hostile commands against the card, from a seed.

    python -m tests.property.campaign --count 1000000 --seed 1

Many cards, one after the other: in service and on the workshop's table, rich and poor, overdrawn,
near the end of their counters, blocked, with a store that fails now and then, and a field that goes
away. After every command: an answer of at least two bytes, a declared status word, and exactly the
changes that command may make, with the right cryptogram and the right met (`tests.shadow`). Prints
how often each status word came.
"""

import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from random import Random

from apdu.commands import ED, EP, SELECT
from apdu.key_commands import VERIFY_PIN
from apdu.sw import SW, describe
from emulator.card.card import Card
from emulator.card.dialect import Dialect
from emulator.card.env import SeededEnv
from emulator.card.personalise import Secrets
from emulator.card.security import ALWAYS, NEVER
from emulator.card.state import Blocked, Chip, Image
from tests.campaigns import run_campaign
from tests.cards import (
    Change,
    Failing,
    allowed,
    both,
    new_card,
    student_keys,
    sw_of,
    with_blocked,
    with_purse,
    with_trip,
)
from tests.desk import Desk
from tests.property.hostile import make_request
from tests.shadow import Shadow
from tests.workshop import DIALECT, KEYS, workshop_image

PER_CARD = 400
COUNTERS = (*[0] * 16, 7, 7, 0xFFF0, 0xFFF0, 0xFFFE, 0xFFFF)
LOCKED_TRIP = bytes.fromhex("27017D010101") + bytes(122)


@dataclass
class Result:
    """What a run saw."""

    words: Counter[int] = field(default_factory=Counter)
    commands: int = 0
    commits: int = 0
    trips: int = 0
    writes: int = 0
    cards: int = 0
    cuts: int = 0


def some_purse(rng: Random, which: int) -> Change:
    limit = rng.choice((0, 0, 500))
    return with_purse(
        which,
        ceiling=100_000,
        actual=(actual := rng.choice((0, 1, 5000, 5000, 99_900, 100_000))),
        limit=limit,
        used=0 if actual else rng.randint(0, limit),
        online_seq=rng.choice(COUNTERS),
        offline_seq=rng.choice(COUNTERS),
    )


def some_change(rng: Random) -> Change:
    """A card of some kind, most of them ordinary."""
    blocked = rng.choice((*[Blocked.NO] * 18, Blocked.TEMPORARY, Blocked.PERMANENT))
    change = both(some_purse(rng, EP), some_purse(rng, ED), with_blocked(blocked))
    return both(change, with_trip(LOCKED_TRIP)) if rng.random() < 0.1 else change


def some_image(rng: Random) -> tuple[Image, Secrets, Dialect]:
    """Cards in service, and cards of the workshop in both forms."""
    change, kind = some_change(rng), rng.random()
    if kind < 0.5:
        return change(SERVICE.image), student_keys(), SERVICE._chip.dialect
    image = workshop_image(kind < 0.9, NEVER if rng.random() < 0.7 else ALWAYS)
    return change(image), KEYS, DIALECT


SERVICE = new_card(has_ed=True, dialect={"dual_alg": True})


def is_over(card: Card) -> bool:
    """Whether the card will answer one word to everything from now on."""
    app = card.image.directories[1] if len(card.image.directories) > 1 else None
    return card.image.is_dead or app is None or app.blocked is Blocked.PERMANENT


def run_card(rng: Random, count: int, result: Result) -> None:
    """One card, `count` commands or a few more; fewer if it dies.

    Raises AssertionError where an invariant breaks.
    """
    image, keys, dialect = some_image(rng)
    store = Failing(image)
    env = SeededEnv(rng.getrandbits(32))
    card = Card(Chip(dialect, env, {}), store, SERVICE.contactless)
    desk, shadow = Desk(card, keys), Shadow(card)
    done = 0
    while done < count and not (is_over(card) and rng.random() < 0.05):
        if rng.random() < 0.01:
            card.power_off()
            card.power_on()
            shadow.left()
            result.cuts += 1
        for command in some_commands(rng, desk):
            store.fails = rng.random() < 0.01
            response = desk.send(command)
            check(command, response, store.fails)
            shadow.saw(command, response)
            assert store.image is card.image
            result.words[sw_of(response)] += 1
            done += 1
    result.commands += done
    result.commits += shadow.commits
    result.trips += shadow.trips
    result.writes += shadow.writes
    result.cards += 1


def check(command: bytes, response: bytes, fails: bool) -> None:
    """What holds of any answer."""
    sw = sw_of(response)
    where = f"{command.hex()} answered {response.hex()}"
    assert 2 <= len(response) <= 258, where
    assert allowed(command, sw), where
    assert sw != SW.MEMORY_FAILURE or fails, where
    assert len(response) == 2 or sw in (SW.OK, SW.BLOCKED, SW.DATA_MAY_BE_BAD), where


def some_commands(rng: Random, desk: Desk) -> Iterator[bytes]:
    """Mostly a request, with the purse selected first; sometimes noise."""
    if desk.card._card.at == 0 and rng.random() < 0.5:
        yield desk.request(SELECT)
        if rng.random() < 0.5:
            yield desk.request(VERIFY_PIN)
    elif rng.random() < 0.04:
        yield rng.randbytes(rng.randint(0, 300))
    else:
        yield from make_request(rng.choice, rng.randint).steps(desk)


def campaign(count: int, seed: int, say: Callable[[str], object] | None = None) -> Result:
    """`count` commands from one seed. say: takes a line of progress now and then.

    Raises AssertionError, with the seed of the card that failed.
    """
    master, result, start = Random(seed), Result(), time.monotonic()
    next_word = count // 10
    while result.commands < count:
        card_seed = master.getrandbits(64)
        try:
            run_card(Random(card_seed), min(PER_CARD, count - result.commands), result)
        except Exception as error:
            error.add_note(f"campaign seed {seed}, card seed {card_seed}")
            raise
        if say is not None and result.commands >= next_word:
            next_word += max(count // 10, 1)
            say(f"{result.commands:>9} commands, {time.monotonic() - start:6.1f} s")
    return result


def report(result: Result) -> str:
    """Counts per status word, the most frequent first."""
    lines = [f"{n:>9}  {sw:04X}  {describe(sw)}" for sw, n in result.words.most_common()]
    lines.append(
        f"{result.commands} commands, {result.cards} cards, {result.commits} transactions, "
        f"{result.trips} trip records, {result.writes} writes, {result.cuts} power cuts, "
        f"{len(result.words)} status words: all invariants hold"
    )
    return "\n".join(lines)


if __name__ == "__main__":
    run_campaign("A long run of hostile commands.", 1_000_000, campaign, report)

"""A long run of hostile commands against the card, from a seed.

    python -m tests.property.campaign --count 1000000 --seed 1

Many cards, one after the other: rich and poor, overdrawn, near the end of their counters, blocked,
with a store that fails now and then, and a field that goes away. After every command: an answer of
at least two bytes, a declared status word, and nothing changed unless a final command with the
right cryptogram was accepted (`tests.shadow`). Prints how often each status word came.
"""

import argparse
import sys
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from random import Random

from apdu.commands import SELECT
from apdu.sw import SW, describe
from emulator.card.env import SeededEnv
from emulator.card.state import Blocked, Image
from tests.cards import Desk, Failing, allowed, new_card, sw_of, with_purse, with_trip
from tests.property.hostile import make_request
from tests.shadow import Shadow

PER_CARD = 400
LOCKED_TRIP = bytes.fromhex("27017D010101") + bytes(122)


@dataclass
class Result:
    """What a run saw."""

    words: Counter[int] = field(default_factory=Counter)
    commands: int = 0
    commits: int = 0
    trips: int = 0
    cards: int = 0
    cuts: int = 0


def a_change(rng: Random) -> Callable[[Image], Image]:
    """A card of some kind, most of them ordinary."""
    limit = rng.choice((0, 0, 500))
    purse = with_purse(
        actual=(actual := rng.choice((0, 1, 5000, 5000, 99_900, 100_000))),
        limit=limit,
        used=0 if actual else rng.randint(0, limit),
        online_seq=rng.choice((0, 0, 0, 7, 0xFFF0, 0xFFFE, 0xFFFF)),
        offline_seq=rng.choice((0, 0, 0, 7, 0xFFF0, 0xFFFE, 0xFFFF)),
    )
    blocked = rng.choice((*[Blocked.NO] * 18, Blocked.TEMPORARY, Blocked.PERMANENT))
    is_locked = rng.random() < 0.1

    def change(image: Image) -> Image:
        image = replace(purse(image), blocked=blocked)
        return with_trip(LOCKED_TRIP)(image) if is_locked else image

    return change


def run_card(rng: Random, count: int, result: Result) -> None:
    """One card, `count` commands. Raises AssertionError where an invariant breaks."""
    stores: list[Failing] = []

    def store(image: Image) -> Failing:
        stores.append(Failing(image))
        return stores[-1]

    card = new_card(a_change(rng), env=SeededEnv(rng.getrandbits(32)), store=store)
    desk = Desk(card)
    shadow = Shadow(card, desk.keys)
    for _ in range(count):
        if rng.random() < 0.01:
            card.power_off()
            card.power_on()
            shadow.left()
            result.cuts += 1
        command = a_command(rng, desk)
        stores[0].fails = rng.random() < 0.01
        response = desk.send(command)
        sw = sw_of(response)
        where = f"{command.hex()} answered {response.hex()}"
        assert 2 <= len(response) <= 258, where
        assert allowed(command, sw), where
        assert sw != SW.MEMORY_FAILURE or stores[0].fails, where
        assert len(response) == 2 or sw in (SW.OK, SW.BLOCKED), where
        shadow.saw(command, response)
        assert stores[0].image is card.image, where
        result.words[sw] += 1
    result.commands += count
    result.commits += shadow.commits
    result.trips += shadow.trips
    result.cards += 1


def a_command(rng: Random, desk: Desk) -> bytes:
    """Mostly a request, with the purse selected first; sometimes noise."""
    if not desk.card._card.selected.has_purse and rng.random() < 0.5:
        return desk.request(SELECT)
    if rng.random() < 0.04:
        return rng.randbytes(rng.randint(0, 300))
    return make_request(rng.choice, rng.randint).bytes_for(desk)


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
        f"{result.trips} trip records, {result.cuts} power cuts, "
        f"{len(result.words)} status words: all invariants hold"
    )
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description="A long run of hostile commands.")
    parser.add_argument("--count", type=int, default=1_000_000)
    parser.add_argument("--seed", type=int, default=1)
    asked = parser.parse_args()
    start = time.monotonic()
    result = campaign(asked.count, asked.seed, lambda line: sys.stdout.write(line + "\n"))
    sys.stdout.write(f"{report(result)}\n{time.monotonic() - start:.1f} s, seed {asked.seed}\n")


if __name__ == "__main__":
    main()

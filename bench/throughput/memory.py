"""What live cards weigh: many cards of one profile in one process."""

import gc
import tracemalloc
from dataclasses import dataclass

import fixtures
from apdu.commands import AID_PURSE, GET_BALANCE, SELECT
from apdu.records import SelectName
from bench.scenario import ENTERED_AT, ENTRY_STATION, ENTRY_TERMINAL, make_gate
from emulator.card.card import Card
from emulator.card.env import SeededEnv
from emulator.card.personalise import new_image, personalise
from emulator.card.store import MemoryStore
from reader.gate import Direction
from reader.transport.inprocess import InProcess


@dataclass(frozen=True, slots=True)
class Weight:
    """Bytes of each card: as opened and selected, and after its first tap."""

    count: int
    opened: float
    tapped: float


def weigh(count: int) -> Weight:
    """Open `count` cards of one profile, then tap each, and weigh them both times."""
    profile = fixtures.load_profile("student").with_balance(5000)
    roots, env = fixtures.load_roots(), SeededEnv("weigh")
    image = new_image(profile, roots)
    select = SELECT.command(SelectName(AID_PURSE))
    balance = GET_BALANCE.command(None)
    gc.collect()
    tracemalloc.start()
    try:
        cards: list[Card] = []
        for _ in range(count):
            card = personalise(profile, roots, env, MemoryStore(image))
            card.process(select)
            card.process(balance)
            cards.append(card)
        opened = tracemalloc.get_traced_memory()[0]
        gate = make_gate(Direction.ENTRY, ENTRY_STATION, ENTRY_TERMINAL, ENTERED_AT, 1)
        for card in cards:
            gate.pass_(InProcess(card))
            gate.walked()  # all have one serial
        tapped = tracemalloc.get_traced_memory()[0]
    finally:
        tracemalloc.stop()
    return Weight(count, opened / count, tapped / count)

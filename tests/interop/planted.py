"""Clearing over many honest records, and over every fraud and fault planted anew; also by hand:

python -m tests.interop.planted --count 100000 --seed 1
"""

import tempfile
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from random import Random

from bench.honest import DEBITS, Day
from bench.throughput.clearing import measure
from issuer.faults import Fault
from tests.books import (
    PLANTS,
    RECEIVED,
    Plant,
    batches_of,
    clearing_at,
    honest_day,
    messages,
)
from tests.campaigns import Say, run_campaign

SEEDS = 25
"""How often each fraud and fault is planted, each time elsewhere."""


@dataclass
class Tally:
    """What happened. found: how often each plant was found."""

    honest: int = 0
    alarms: int = 0
    found: dict[str, int] = field(default_factory=dict)
    memory: tuple[float, ...] = ()


def campaign(count: int, seed: int, say: Say) -> Tally:
    """So many honest records, then the plants. Raises AssertionError for what is missed."""
    tally = Tally()
    cards = -(-count // (1 + DEBITS))
    with tempfile.TemporaryDirectory() as folder:
        figures = measure(cards, str(Path(folder) / "honest.db"))
    tally.honest, tally.alarms, tally.memory = figures.records, figures.found, figures.memory
    say(f"{figures}")
    assert tally.alarms == 0, "honest records were suspected"
    for plant in PLANTS:
        for number in range(SEEDS):
            assert is_found(plant, honest_day(), Random(seed * 1000 + number)), (plant, number)
        tally.found[plant.name] = SEEDS
    return tally


def is_found(plant: Plant, day: Day, source: Random) -> bool:
    """Whether clearing finds the plant, in the record that was touched."""
    batches = batches_of(day)
    record = plant.change(batches, source)
    clearing = clearing_at(":memory:", day)
    if plant.fault is Fault.BLACKLISTED:
        assert record is not None
        clearing.blacklist(record.serial, datetime.strptime(record.when.hex(), "%Y%m%d%H%M%S"))
    for number, part in enumerate(plant.after(messages(batches))):
        clearing.receive(part, RECEIVED, f"part {number}")
    clearing.examine()
    told = [e for e in clearing.exceptions() if e.fault is plant.fault]
    clearing.engine.dispose()
    if record is None:
        return bool(told) and all(e.record is None and e.name for e in told)
    return any(e.record and e.record.same_tap() == record.same_tap() for e in told)


if __name__ == "__main__":
    run_campaign(__doc__ or "", 100_000, campaign, str)

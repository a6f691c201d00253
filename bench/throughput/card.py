"""The card alone, in process: commands, purchases, the tap of seven APDUs, cryptograms and codec.

Everything is taken in turn, run by run, so that a ratio has the same machine on both sides.
"""

from collections.abc import Callable
from dataclasses import dataclass
from statistics import median

from apdu.purse import CAPP
from bench.scenario import ENTRY_TERMINAL
from bench.throughput.codec import codec_measures
from bench.throughput.crypto_floor import Cryptograms, purchase_floor
from bench.throughput.histogram import Measure, Spread
from bench.throughput.repeat import timed, turns
from bench.throughput.seven import (
    AMOUNT,
    BALANCE,
    RANDOM,
    READ_15,
    SELECT_PURSE,
    SEQ,
    TERMINAL_SEQ,
    WHEN,
    SevenTap,
    Work,
)
from bench.throughput.yardstick import Yardstick

READ, GET, SELECT = "READ BINARY", "GET BALANCE", "SELECT"
PURCHASE = "INITIALIZE and DEBIT"
TAP, TAP_WITH_READER = "7-APDU tap", "7-APDU tap with reader cryptograms"
CARD_CRYPTO, FLOOR = "purchase cryptograms", "purchase cryptograms, floor"
CRYPTO_RATIO = "purchase cryptograms / floor"
FULL_LOGS, EMPTY_LOGS = "7-APDU tap, logs full", "7-APDU tap, logs new"
FULL_RATIO = "logs full / new"

_TURN = 50
"""Repetitions of one action before the next has its turn."""


@dataclass(frozen=True, slots=True)
class Action:
    """Something that is timed. before: puts things right before each time, unmeasured."""

    act: Callable[[], object]
    before: Callable[[], None] | None = None


def floor_of(work: Work) -> Callable[[], Cryptograms]:
    """The floor that makes the cryptograms of `Work.card_side`."""
    kind_and_terminal = bytes((CAPP,)) + ENTRY_TERMINAL
    amount, when = AMOUNT.to_bytes(4, "big"), WHEN.date + WHEN.time
    return purchase_floor(
        work.dpk.expose(),
        work.dtk.expose(),
        RANDOM + SEQ.to_bytes(2, "big") + TERMINAL_SEQ.to_bytes(2, "big"),
        amount + kind_and_terminal + when,
        amount,
        amount + kind_and_terminal + TERMINAL_SEQ.to_bytes(4, "big") + when,
    )


def actions() -> dict[str, Action]:
    """Everything but the codec, by the measure's name."""
    seven, full = SevenTap(), SevenTap(is_full=True)
    seven.ready()
    reading = SevenTap()
    reading.ready()
    process = reading.card.process
    return {
        READ: Action(lambda: process(READ_15)),
        GET: Action(lambda: process(BALANCE)),
        SELECT: Action(lambda: process(SELECT_PURSE)),
        PURCHASE: Action(seven.purchase(), seven.ready),
        TAP: Action(seven.tap(), seven.put_back),
        TAP_WITH_READER: Action(seven.tap_with_reader(), seven.put_back),
        FULL_LOGS: Action(full.tap(), full.put_back),
        EMPTY_LOGS: Action(seven.tap(), seven.put_back),
        CARD_CRYPTO: Action(seven.work.card_side),
        FLOOR: Action(floor_of(seven.work)),
    }


RATIOS = {CRYPTO_RATIO: (CARD_CRYPTO, FLOOR), FULL_RATIO: (FULL_LOGS, EMPTY_LOGS)}
_RATES = {
    "APDUs a second": (TAP, 7),
    "purchases a second": (PURCHASE, 1),
    "7-APDU taps a second": (TAP, 1),
    "7-APDU taps with reader cryptograms a second": (TAP_WITH_READER, 1),
}


def card_measures(
    count: int,
    runs: int,
    tick: Callable[[], None] = lambda: None,
    names: frozenset[str] = frozenset(),
) -> dict[str, Measure]:
    """Time the card. count: repetitions a run. names: only these actions, all if empty."""
    chosen = {name: one for name, one in actions().items() if not names or name in names}
    spreads = {name: Spread() for name in chosen}
    ratios: dict[str, list[float]] = {name: [] for name in RATIOS}
    _warm_up(chosen)
    for _ in range(runs):
        took: dict[str, list[int]] = {name: [] for name in chosen}
        for size in turns(count, _TURN):
            for name, one in chosen.items():
                took[name].extend(timed(one.act, size, one.before))
        for name, times in took.items():
            spreads[name].add_run(times)
        for name, (ours, floor) in RATIOS.items():
            if ours in took and floor in took:
                ratios[name].append(median(took[ours]) / median(took[floor]))
        tick()
    made = {name: spread.measure() for name, spread in spreads.items()}
    made |= {name: Measure("ratio", tuple(one)) for name, one in ratios.items() if one}
    return made | _rates(made)


def _warm_up(chosen: dict[str, Action]) -> None:
    for one in chosen.values():
        timed(one.act, _TURN, one.before)


def _rates(made: dict[str, Measure]) -> dict[str, Measure]:
    return {
        name: Measure("1/s", tuple(times * 1e6 / run for run in made[of].runs), "more")
        for name, (of, times) in _RATES.items()
        if of in made
    }


def everything(count: int, runs: int, tick: Callable[[], None]) -> dict[str, Measure]:
    """The card and the codec, and the machine itself."""
    yardstick = Yardstick()

    def held() -> None:
        yardstick.hold()
        tick()

    return card_measures(count, runs, held) | codec_measures(runs) | yardstick.measures()

"""The rules that compare neighbours: a card's taps by its counter, a terminal's by its number.

Each takes rows in that order, one pass over all of them with nothing kept but the neighbour, and
gives what is wrong. Window functions of the database say the same several times slower.
"""

from collections.abc import Iterable, Iterator
from typing import Any

from sqlalchemy import Select, select

from apdu.purse import LOAD
from apdu.value import value
from issuer.faults import Fault
from issuer.rules import Policy
from issuer.schema import TapRow
from reader.taprecord import Mark

CardRow = tuple[int, str, str, bool, int, int, int, int, int, int]
"""id, batch, serial, is_online, counter, kind, amount, before, after, at."""

TerminalRow = tuple[int, str, str, int, str, int]
"""id, batch, terminal, terminal_seq, gate, at."""


@value
class FoundTap:
    """A fault of a tap. wanted, found: what was compared."""

    fault: Fault
    tap_id: int
    batch_id: str
    wanted: int
    found: int


def card_rows() -> Select[Any]:
    """Every tap that was taken, once, by card: purchases by counter, then loads."""
    t = TapRow
    rows: Any = select(
        t.id,
        t.batch_id,
        t.serial,
        t.is_online,
        t.counter,
        t.kind,
        t.amount,
        t.before,
        t.after,
        t.at,
    )
    ordered: Select[Any] = rows.where(t.mark == int(Mark.TAKEN), t.is_copy.is_(False)).order_by(
        t.serial, t.is_online, t.counter, t.id
    )
    return ordered


def terminal_rows() -> Select[Any]:
    """Every record with a terminal's number, void ones too, by number."""
    t = TapRow
    rows: Any = select(t.id, t.batch_id, t.terminal, t.terminal_seq, t.gate, t.at)
    ordered: Select[Any] = rows.where(t.terminal_seq > 0, t.is_copy.is_(False)).order_by(
        t.terminal, t.terminal_seq, t.id
    )
    return ordered


def along_cards(rows: Iterable[CardRow], policy: Policy) -> Iterator[FoundTap]:
    """Gaps, clones, broken balance chains and times that go back.

    A balance that changed between two taps is no fault if loads between them account for it: what
    looks broken is kept until the card's loads have been seen.
    """
    slack = policy.clock_slack_s
    last: CardRow | None = None
    broken: list[tuple[CardRow, CardRow]] = []
    loads: list[CardRow] = []
    for row in rows:
        if last is None or row[2] != last[2]:
            if broken:
                yield from _still_broken(broken, loads, slack)
            broken, loads = [], []
        elif row[3]:
            loads.append(row)
        elif row[4] != last[4] + 1 or row[7] != last[8] or row[9] < last[9] - slack:
            yield from _odd_step(last, row, slack)
            if row[4] == last[4] + 1 and row[7] != last[8]:
                broken.append((last, row))
        last = row
    yield from _still_broken(broken, loads, slack)


def _odd_step(last: CardRow, row: CardRow, slack: int) -> Iterator[FoundTap]:
    """What is certainly wrong between two neighbours, whatever was loaded."""
    if row[4] != last[4] + 1:
        yield from _misstep(last, row)
    if row[9] < last[9] - slack:
        yield FoundTap(Fault.BACK_DATED, row[0], row[1], last[9], row[9])


def _misstep(last: CardRow, row: CardRow) -> Iterator[FoundTap]:
    """The counter stands still, or leaps."""
    if row[4] == last[4]:
        for one in (last, row):
            yield FoundTap(Fault.CLONED_CARD, one[0], one[1], last[4] + 1, row[4])
    else:
        yield FoundTap(Fault.CARD_COUNTER_GAP, row[0], row[1], last[4] + 1, row[4])


def _still_broken(
    broken: list[tuple[CardRow, CardRow]], loads: list[CardRow], slack: int
) -> Iterator[FoundTap]:
    for last, row in broken:
        between = [load for load in loads if last[9] <= load[9] <= row[9]]
        left = last[8] + sum(load[6] if load[5] == LOAD else -load[6] for load in between)
        if row[7] != left and not _is_mended(last, row, loads, slack):
            yield FoundTap(Fault.BROKEN_CHAIN, row[0], row[1], left, row[7])


def _is_mended(last: CardRow, row: CardRow, loads: list[CardRow], slack: int) -> bool:
    """Whether loads lead from one balance to the next, though clocks differ as far as they may.

    A gate whose clock is behind the desk's stamps a tap before the load that it came after.
    """
    held = last[8]
    for load in loads:
        if last[9] - slack <= load[9] <= row[9] + slack and load[7] == held:
            held = load[8]
    return held == row[7]


def along_terminals(rows: Iterable[TerminalRow], policy: Policy) -> Iterator[FoundTap]:
    """Gaps, numbers used twice, and times that go back at one gate."""
    slack = policy.clock_slack_s
    last: TerminalRow | None = None
    for row in rows:
        if last is not None and row[2] == last[2]:
            step = row[3] - last[3]
            if step > 1:
                yield FoundTap(Fault.TERMINAL_GAP, row[0], row[1], last[3] + 1, row[3])
            elif step == 0:
                for one in (last, row):
                    yield FoundTap(Fault.TERMINAL_TWICE, one[0], one[1], last[3] + 1, row[3])
            if row[5] < last[5] - slack and row[4] == last[4]:
                yield FoundTap(Fault.BACK_DATED, row[0], row[1], last[5], row[5])
        last = row

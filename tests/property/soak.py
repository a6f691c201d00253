"""A hundred thousand taps on one gate, with everything that goes wrong in years, from a seed.

    python -m tests.property.soak --count 100000 --seed 1

100,000 consecutive transactions are what Shanghai asks of a terminal (domain facts 4.3). One gate,
with one PSAM and one journal in a file, lives through all of them, now as a way in and now as a way
out; gates of other stations are the other ends of trips. What goes wrong, and how often, is in
`tests.property.soak_faults`. The PSAM keeps its numbers in a file, or with `--psam memory` in a
store in memory.

What holds after each tap, and for all of them in the end: journal, card and PSAM agree to the last
fen. Opening balance and loads less the records of what was taken are the balance on each card; each
number of the PSAM is taken, void, still open or burnt before a promise, and only one of them;
nobody passes without a record, or twice on one; a void record is of a debit that was not taken.
Clearing takes all of it, over a line that loses answers, and finds nothing else. Memory stays flat.
"""

import argparse
import gc
import os
import sys
import tempfile
import time
from collections import Counter
from datetime import datetime, timedelta
from pathlib import Path
from random import Random

from bench.clock import SHANGHAI
from reader.gate import Reject, Verdict
from tests.campaigns import Say
from tests.property.soak_books import Books
from tests.property.soak_gate import POLICY, STATION, Device, Fate, Numbers
from tests.property.soak_riders import ELSEWHERE, Elsewhere, Rider, some_rider
from tests.property.soak_taps import ANOTHER_CARD, Result, Taps, is_fair

AFTERWARDS = {"at once": 0.60, "later": 0.26, "after two taps elsewhere": 0.135, "never": 0.005}
"""When a rider comes back who was told to tap again, or nothing."""

PASS_BACK = 0.02
"""How often a card that passed is held there again at once."""

RIDERS = 300
BEGIN = datetime(2025, 9, 28, 6, 0, 0, tzinfo=SHANGHAI)
"""Three days before a month begins anew."""

TRAVEL = timedelta(seconds=15)
"""Nobody is faster at the next gate; longer than the pass-back time."""

PARTS = 10
MOST_GROWTH_MB = 8.0
"""Resident memory may grow by so much after the first tenth: 90 bytes a tap in a long run. A record
kept in memory is over a kilobyte, its bytes alone 124. Cards of those who stay away, and the
database's pages, are the test's own."""

SHORTEST_FOR_MEMORY = 20_000
"""A shorter run is not warm after its first tenth."""


class World:
    """The gate, its riders, and everything else."""

    def __init__(self, folder: Path, count: int, seed: int, psam: str) -> None:
        self.now = BEGIN
        self.rng = Random(seed)
        numbers = Numbers(2 * count + 1000)
        device = Device(folder, numbers, lambda: self.now, self.rng, psam)
        self.device = device
        self.taps = Taps(device, lambda: self.now, self.rng)
        self.result = self.taps.result
        self.result.psam = psam
        self.elsewhere = Elsewhere(lambda: self.now, device.months)
        self.books = Books(folder, self.taps, self.elsewhere)
        self.riders = self.taps.riders
        self._steps = 0
        while len(self.riders) < min(RIDERS, max(count // 20, 40)):
            self._join()

    def close(self) -> None:
        self.device.close()
        self.books.close()

    def _join(self) -> None:
        """A new rider."""
        rider = some_rider(len(self.taps.by_serial), self.rng)
        self.riders.append(rider)
        self.taps.by_serial[rider.serial] = rider
        if rider.kind == "blacklisted":
            self.device.blacklist.add(rider.serial)

    def step(self) -> None:
        """Somebody taps somewhere."""
        self._steps += 1
        self.now += timedelta(seconds=self.rng.randint(1, 3))
        rider = self.rng.choice(self.riders)
        if rider.away_until > self._steps or self.now - rider.moved_at < TRAVEL:
            return
        if rider.errands:
            rider.errands -= 1
            self.ride(rider)
        elif rider.is_waiting or rider.is_inside is not self.device.is_way_in:
            self.visit(rider)
        else:
            self.ride(rider)

    def visit(self, rider: Rider) -> None:
        """A rider comes to the gate, and taps until it is decided or there is enough of it."""
        rider.is_waiting = False
        if rider.balance < 1000 and self.rng.random() < 0.5:
            self.top_up(rider)
        while (end := self.taps.tap(rider)) in _UNDECIDED:
            when = self._afterwards()
            self.now += timedelta(seconds=self.rng.randint(1, 3))
            if when != "at once":
                rider.is_waiting = True
                self._leave(rider, when)
                return
        self._decided(rider, end)
        if end == "passed" and self.rng.random() < PASS_BACK:
            self.taps.tap(rider)

    def _afterwards(self) -> str:
        if self.taps.is_quiet:
            return "at once"
        [when] = self.rng.choices(list(AFTERWARDS), list(AFTERWARDS.values()))
        self.result.afterwards[when] += 1
        return when

    def _leave(self, rider: Rider, when: str) -> None:
        if when == "never":
            self.riders.remove(rider)
            self.result.gone += 1
            self._join()
        elif when == "later":
            rider.away_until = self._steps + self.rng.randint(100, 8_000)
        else:
            rider.errands = 2

    def _decided(self, rider: Rider, end: str) -> None:
        """What a refused rider does about it."""
        if end == Reject.UNPROVEN.name:
            self.taps.prove_at_desk(rider)
        elif end == Reject.OVER_TIME.name:
            self._over_time(rider)
        elif end in _TOO_POOR:
            self.top_up(rider)

    def _over_time(self, rider: Rider) -> None:
        if rider.balance < POLICY.overtime_fare:
            self.top_up(rider)
        outcome, record = self.elsewhere.over_time(rider, STATION)
        assert outcome.verdict is Verdict.PASS
        assert record is not None
        self.result.paid_elsewhere += record.amount
        assert rider.entered is not None
        rider.entered = (rider.entered[0], self.now)

    def top_up(self, rider: Rider) -> None:
        if rider.kind == "penniless" or rider.is_blocked:
            return
        amount = self.rng.randrange(1_000, 10_001)
        self.elsewhere.top_up(rider, amount)
        self.result.loads += 1
        self.result.loaded += amount
        self.now += timedelta(seconds=1)

    def ride(self, rider: Rider) -> None:
        """The end of a trip that is at another station."""
        station = self.rng.choice(ELSEWHERE)
        was_inside, fare = rider.is_inside, rider.fare(station, self.now, self.device.months)
        self.result.elsewhere += 1
        if rider.balance < 1000:
            self.top_up(rider)
        outcome, record = self.elsewhere.pass_(rider, station)
        if outcome.verdict is Verdict.PASS and record is not None:
            assert record.amount == fare
            rider.moved(record, was_inside, (station, self.now))
            rider.moved_at = self.now
            self.result.paid_elsewhere += record.amount
        elif outcome.reason is Reject.OVER_TIME:
            self._over_time(rider)
        else:
            assert is_fair(outcome, rider, not was_inside, set()), outcome

    def settle(self) -> None:
        """Whoever has a lost debit, and comes at all, comes once more; nothing goes wrong."""
        self.taps.is_quiet = True
        for rider in list(self.riders):
            if any(r.serial == rider.serial for r in self.device.journal.open.values()):
                self.now += timedelta(seconds=10)
                self.visit(rider)


_UNDECIDED = frozenset(
    {
        "tap again",
        "card lost",
        "PSAM silent",
        "answer spoilt",
        "journal full",
        ANOTHER_CARD,
        Reject.CARD_REFUSED.name,
        Reject.NOT_OUR_CARD.name,
    }
)
_TOO_POOR = frozenset({Reject.ZERO_BALANCE.name, Reject.BALANCE_TOO_LOW.name})


def resident_mb() -> float:
    """Memory this process has now."""
    with open("/proc/self/statm", "rb") as file:
        return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE") / (1 << 20)


def campaign(count: int, seed: int, say: Say, psam: str = "file") -> Result:
    """So many taps on one gate. psam: file or memory. Raises AssertionError."""
    start = time.monotonic()
    with tempfile.TemporaryDirectory() as folder:
        world = World(Path(folder), count, seed, psam)
        result = world.result
        try:
            for part in range(1, PARTS + 1):
                while result.taps < count * part // PARTS:
                    world.step()
                world.books.ship()
                if count >= SHORTEST_FOR_MEMORY:
                    gc.collect()  # about a second within a whole test run, which is not judged
                result.memory.append(resident_mb())
                say(_progress(result, time.monotonic() - start))
            result.seconds = time.monotonic() - start
            world.settle()
            world.books.ship()
            world.books.check()
            world.books.clear()
        except Exception as error:
            error.add_note(f"campaign seed {seed}, tap {result.taps}")
            raise
        finally:
            world.close()
    growth = max(result.memory[1:]) - result.memory[0]
    assert count < SHORTEST_FOR_MEMORY or growth <= MOST_GROWTH_MB, result.memory
    return result


def _progress(result: Result, seconds: float) -> str:
    return f"{result.taps:>7} taps, {seconds:6.1f} s, {result.memory[-1]:.1f} MB"


def report(result: Result) -> str:
    """The counts, in words."""

    def told(counts: Counter[str]) -> str:
        return "".join(f"\n{n:>9}  {what}" for what, n in counts.most_common() if what)

    memory, fates = result.memory, result.fates
    return "\n".join(
        (
            f"{result.taps} taps at the gate and {result.elsewhere} elsewhere, {result.cards} "
            f"cards, {result.gone} of them gone for ever; PSAM in {result.psam}",
            f"faults:{told(result.faults)}",
            f"ends:{told(result.ends)}",
            f"undecided riders came back:{told(result.afterwards)}",
            f"numbers of the PSAM: {fates[Fate.TAKEN]} taken, {fates[Fate.VOID]} void, "
            f"{fates[Fate.PROMISED]} open, {fates[Fate.BURNT]} burnt before a promise, by:"
            f"{told(result.burnt)}",
            f"{result.records} records, {result.recovered} recovered, {result.proved_at_desk} "
            f"proved at the desk; of the open debits {result.open_taken} were taken, of "
            f"{result.open_fen} fen, and {result.open_not_taken} not",
            f"money in {result.loaded} fen in {result.loads} loads, out {result.paid_here} fen "
            f"here and {result.paid_elsewhere} elsewhere: every card agrees",
            f"line to clearing:{told(result.line)}",
            f"clearing found:{told(result.findings)}",
            f"memory {memory[0]:.1f} MB after a tenth, {memory[len(memory) // 2 - 1]:.1f} half "
            f"way, {memory[-1]:.1f} at the end; {result.taps / result.seconds:.0f} taps/s",
        )
    )


def main() -> None:
    """Read the options, run, and print progress and the report."""
    parser = argparse.ArgumentParser(description="Many taps on one gate.")
    parser.add_argument("--count", type=int, default=100_000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--psam", choices=("file", "memory"), default="file")
    asked = parser.parse_args()
    start = time.monotonic()

    def say(line: str) -> None:
        sys.stdout.write(f"{line}\n")
        sys.stdout.flush()

    result = campaign(asked.count, asked.seed, say, asked.psam)
    sys.stdout.write(f"{report(result)}\n{time.monotonic() - start:.1f} s, seed {asked.seed}\n")


if __name__ == "__main__":
    main()

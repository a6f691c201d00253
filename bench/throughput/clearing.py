"""How many records clearing takes a second: TAC check, store, all rules, on one processor."""

import os
import resource
from dataclasses import dataclass
from time import perf_counter, process_time

import fixtures
from bench.honest import UPLOADED, Day
from issuer.clearing import Clearing
from issuer.database import open_database
from reader.batch import build_batch

_PARTS = 4


@dataclass(frozen=True, slots=True)
class ClearingFigures:
    """Seconds. cpu_s: of this process, for both; a busy machine stretches the others.

    found: exceptions in what are honest records. memory: MiB resident when each quarter of the
    records was stored, and after the rules.
    """

    records: int
    cards: int
    store_s: float
    rules_s: float
    cpu_s: float
    found: int
    memory: tuple[float, ...]

    @property
    def per_second(self) -> float:
        """Records a second, everything together."""
        return self.records / (self.store_s + self.rules_s)

    @property
    def per_cpu_second(self) -> float:
        """Records a second of one processor's work."""
        return self.records / self.cpu_s


def messages_of(day: Day) -> list[bytes]:
    """A day's batches as stations send them."""
    return [build_batch(gate, records) for gate, records in day.batches()]


def measure(cards: int, where: str) -> ClearingFigures:
    """Clear an honest day. where: a database that holds no taps. Raises DatabaseError."""
    day = Day(cards)
    day.play()
    parts, size, registered = messages_of(day), day.size, list(day.terminals.items())
    del day
    clearing = Clearing(open_database(where), fixtures.load_roots()["TMK"])
    clearing.register(registered)
    memory: list[float] = []
    begin, worked = perf_counter(), process_time()
    for number, part in enumerate(parts, 1):
        answer = clearing.receive(part, UPLOADED)
        if answer.refusal:
            raise AssertionError(f"an honest batch was refused: {answer.refusal.words}")
        if number * _PARTS // len(parts) > len(memory):
            memory.append(_resident())
    stored = perf_counter()
    found = clearing.examine()
    examined, worked = perf_counter(), process_time() - worked
    memory.append(_resident())
    clearing.engine.dispose()
    times = (stored - begin, examined - stored, worked)
    return ClearingFigures(size, cards, *times, sum(found.values()), tuple(memory))


def _resident() -> float:
    """MiB of memory this process has now."""
    try:
        with open("/proc/self/statm", "rb") as file:
            pages = int(file.read().split()[1])
    except OSError:  # no Linux: the peak is the next best
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    return pages * os.sysconf("SC_PAGE_SIZE") / (1 << 20)

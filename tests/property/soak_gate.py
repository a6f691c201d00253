"""The one gate of the soak: a PSAM, a journal in a file, and a book of what became of each number.

The gate is reversible and may be restarted: both make a new `Gate` over the same PSAM and journal.
`Watched` stands between gate and journal, and `Slot` between gate and PSAM; both do what they stand
before, fail when told to, and write down what went through.
"""

from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta
from enum import IntEnum
from pathlib import Path
from random import Random

import fixtures
from bench.scenario import LAB_WHITE_LIST
from fixtures.network import load_network
from reader.gate import Direction, Gate, GateConfig
from reader.journal import FRAME, Journal
from reader.months import MonthBook
from reader.policy import Policy
from reader.psam import Psam
from reader.psam_keys import SamKeys
from reader.psam_store import PsamFile, PsamStore
from reader.taprecord import RECOVERED, Mark, TapRecord
from reader.transactions import Receipt
from reader.transport.base import ReaderFault
from reader.transport.decorators import CutPoint
from tests.taps import no_room_beyond

NAME = b"SOAK0001"
TERMINAL = bytes.fromhex("300089000340")
NETWORK = load_network()
STATION = NETWORK.station("080013")
POLICY = Policy()


def sam_keys() -> SamKeys:
    """Those of a gate that blocks listed cards."""
    roots = fixtures.load_roots()
    return SamKeys({1: roots["PMK"]}, lock=roots["BMK"])


class Fate(IntEnum):
    """What became of a PSAM's number. BURNT: given out, and the tap ended before a promise."""

    UNUSED = 0
    GIVEN = 1
    PROMISED = 2
    TAKEN = 3
    VOID = 4
    BURNT = 5


class Numbers:
    """One byte for each number a PSAM may give out. most: how many there may be."""

    def __init__(self, most: int) -> None:
        self._fates = bytearray(most)
        self.given: int | None = None
        """The number of the tap under way, until it is promised."""

    def move(self, seq: int, old: Fate, new: Fate) -> None:
        found = Fate(self._fates[seq])
        assert found is old, f"number {seq} is {found.name}, expected {old.name}"
        self._fates[seq] = new
        self.given = seq if new is Fate.GIVEN else None

    def fate(self, seq: int) -> Fate:
        return Fate(self._fates[seq])

    def counts(self) -> Counter[Fate]:
        return Counter({fate: self._fates.count(fate) for fate in Fate if fate})


class Slot:
    """The PSAM's slot. where: the PSAM's file, or None for a store in memory.

    silent: the instruction at which the PSAM does not answer, once, and on which side of it.
    """

    terminal = TERMINAL
    key_index = 1

    def __init__(self, numbers: Numbers, where: Path | None) -> None:
        self.numbers = numbers
        self.silent: tuple[int, CutPoint] | None = None
        self._where = where
        self._store = PsamStore() if where is None else PsamFile(where, TERMINAL)
        self._psam = Psam(TERMINAL, sam_keys(), store=self._store)

    @property
    def next_seq(self) -> int:
        return self._store.next_seq

    def remembers(self, seq: int) -> bool:
        """Whether the PSAM still waits for this number's MAC2."""
        return seq in self._store.unresolved

    def transmit(self, command: bytes) -> bytes:
        """See Transport. Raises ReaderFault where it is silent."""
        if self.silent is None or command[1] != self.silent[0]:
            return self._answer(command)
        point, self.silent = self.silent[1], None
        if point is CutPoint.AFTER:
            self._answer(command)
        raise ReaderFault("the PSAM does not answer")

    def _answer(self, command: bytes) -> bytes:
        seq = self.next_seq
        response = self._psam.process(command)
        if self.next_seq != seq:
            assert self.next_seq == seq + 1
            self.numbers.move(seq, Fate.UNUSED, Fate.GIVEN)
        return response

    def restart(self, is_new: bool) -> None:
        """Power off and on. is_new: all that was in memory is gone, what its file says remains."""
        self._psam.power_off()
        if is_new:
            self.close()
            if self._where is not None:
                self._store = PsamFile(self._where, TERMINAL)
            self._psam = Psam(TERMINAL, sam_keys(), store=self._store)
        self._psam.power_on()

    def close(self) -> None:
        if isinstance(self._store, PsamFile):
            self._store.close()


Closed = tuple[TapRecord, Mark]


class Watched:
    """The journal, and what the gate has asked of it. See `reader.journal.TapJournal`.

    open:    promises that nothing has closed yet, by the terminal's number.
    full_at: where the disk is full, once: "promise" or "taken".
    """

    gate = NAME

    def __init__(self, path: Path, numbers: Numbers, rng: Random) -> None:
        self.path = path
        self.journal = Journal(path, NAME, TERMINAL)
        self.open: dict[int, TapRecord] = {}
        self.promised: TapRecord | None = None
        self.closed: list[Closed] = []
        self.full_at = ""
        self._numbers = numbers
        self._rng = rng
        self._frames = 1

    def begin(self) -> None:
        """A tap begins."""
        self.promised, self.full_at = None, ""
        self.closed.clear()

    def pending(self) -> list[TapRecord]:
        found = self.journal.pending()
        assert {record.terminal_seq for record in found} == set(self.open)
        return found

    def promise(self, record: TapRecord) -> None:
        self._write("promise", lambda: self.journal.promise(record))
        self._numbers.move(record.terminal_seq, Fate.GIVEN, Fate.PROMISED)
        self.promised = self.open[record.terminal_seq] = record

    def taken(self, receipt: Receipt) -> None:
        self._write("taken", lambda: self.journal.taken(receipt))
        record = self._close(receipt.terminal_seq, Mark.TAKEN)
        assert (receipt.serial, receipt.seq) == (record.serial, record.counter)
        flags = RECOVERED if receipt.recovered else 0
        self.closed.append((replace(record, tac=receipt.tac, flags=flags), Mark.TAKEN))

    def void(self, terminal_seq: int) -> None:
        self._write("void", lambda: self.journal.void(terminal_seq))
        self.closed.append((self._close(terminal_seq, Mark.VOID), Mark.VOID))

    def reopen(self) -> None:
        """The gate's process starts again."""
        self.journal.close()
        self.journal = Journal(self.path, NAME, TERMINAL)

    def _close(self, seq: int, mark: Mark) -> TapRecord:
        self._numbers.move(seq, Fate.PROMISED, Fate[mark.name])
        return self.open.pop(seq)

    def _write(self, what: str, write: Callable[[], None]) -> None:
        if self.full_at == what:
            self.full_at = ""
            # The kernel refuses, in the middle of the record or before it.
            with no_room_beyond(self._frames * FRAME + self._rng.randrange(FRAME)):
                write()
        else:
            write()
        self._frames += 1


class Device:
    """The gate. clock: the true time; the gate's own is `behind` it."""

    def __init__(
        self, folder: Path, numbers: Numbers, clock: Callable[[], datetime], rng: Random, psam: str
    ) -> None:
        self.numbers = numbers
        self.slot = Slot(numbers, folder / "psam" if psam == "file" else None)
        self.journal = Watched(folder / "gate.journal", numbers, rng)
        self.months = MonthBook(NETWORK, POLICY)
        self.blacklist: set[bytes] = set()
        self.behind = timedelta()
        self._clock = clock
        self._direction = Direction.ENTRY
        self.gate = self._made()

    @property
    def is_way_in(self) -> bool:
        return self._direction is Direction.ENTRY

    def now(self) -> datetime:
        return self._clock() - self.behind

    def reverse(self) -> None:
        """People now go through the other way."""
        self._direction = Direction.EXIT if self.is_way_in else Direction.ENTRY
        self.gate = self._made()

    def restart(self) -> None:
        """The gate's process ends and starts again."""
        self.journal.reopen()
        self.gate = self._made()

    def _made(self) -> Gate:
        config = GateConfig(
            NETWORK, STATION, self._direction, LAB_WHITE_LIST, self.blacklist, POLICY
        )
        return Gate(config, self.slot, self.now, self.journal, self.months)

    def close(self) -> None:
        self.journal.journal.close()
        self.slot.close()

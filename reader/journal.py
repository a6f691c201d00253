"""The gate's journal: append-only, each record durable before the barrier opens.

Theory of operation. The file is frames of 128 bytes, so that none straddles a disk sector: a header
frame, then one frame a record: its body (`reader.taprecord`) and a CRC-32 chained over all frames
before it. Behind the last frame there may be zeros, room reserved ahead so that most writes change
no file size. A write that a cut tore is the last frame and its checksum is wrong: `open` cuts it
off. A wrong frame with others behind it is damage, and is told.

A debit has two records. PROMISED is written before DEBIT is sent; TAKEN, with the TAC, or VOID
closes it. The room for the second is reserved before the first is written, so a disk that fills up
stops a tap before money moves. What is still promised when a gate starts again is what a `kill -9`
or a lost card left open; the card's next tap resolves it (protocol reference 6.8).
"""

import fcntl
import os
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import Protocol, Self
from zlib import crc32

from apdu.value import changed
from reader.taprecord import (
    BODY,
    CLOCK_BACK,
    RECOVERED,
    Mark,
    RecordError,
    TapRecord,
)
from reader.transactions import Receipt

FRAME = BODY + 4
CHUNK = 512 * FRAME
"""Bytes read at once, and bytes reserved at once."""

_HEAD = b"TAPBENCH JOURNAL 1\n"
_BLANK = bytes(FRAME)


class JournalError(Exception):
    """A journal cannot be used or written; the message says why and what to do."""


class TapJournal(Protocol):
    """Where a gate keeps its records."""

    @property
    def gate(self) -> bytes:
        """The device's name, 8 bytes."""
        ...

    def pending(self) -> list[TapRecord]:
        """Promised debits of which the end is not known, the oldest first."""
        ...

    def promise(self, record: TapRecord) -> None:
        """Keep a debit that is about to be sent. Raises JournalError: then it must not be."""
        ...

    def taken(self, receipt: Receipt) -> None:
        """Close a promise with the card's proof. Raises JournalError."""
        ...

    def void(self, terminal_seq: int) -> None:
        """Close a promise of which nothing was taken. Raises JournalError."""
        ...


class OpenDebits:
    """The promises of a journal, and the records that close them. Shared by both journals."""

    def __init__(self, gate: bytes) -> None:
        self.gate = gate
        self.sequence = 0
        self.latest = bytes(7)
        self._open: dict[int, TapRecord] = {}

    def pending(self) -> list[TapRecord]:
        """See TapJournal."""
        return list(self._open.values())

    def closing(self, terminal_seq: int, tac: bytes, mark: Mark, is_late: bool) -> TapRecord:
        """The record that closes a promise. Raises JournalError if there is no such promise."""
        record = self._open.get(terminal_seq)
        if record is None:
            raise JournalError(f"no debit with the terminal's number {terminal_seq} was promised")
        flags = (RECOVERED if is_late else 0) | record.flags
        return changed(record, mark=mark, sequence=self.sequence + 1, tac=tac, flags=flags)

    def stamped(self, record: TapRecord) -> TapRecord:
        """The record, marked if its time is before one that is kept already.

        Raises JournalError if the terminal's number is promised already: another PSAM's end of a
        debit would close it.
        """
        if record.terminal_seq in self._open:
            raise JournalError(
                f"the terminal's number {record.terminal_seq} is promised already; "
                "the PSAM counts anew: start a journal of its own"
            )
        if record.when < self.latest:
            return changed(record, flags=record.flags | CLOCK_BACK)
        return record

    def note(self, record: TapRecord) -> None:
        """Take a durable record into account."""
        self.latest = max(self.latest, record.when)
        if record.mark == Mark.PROMISED:
            self._open[record.terminal_seq] = record
            return
        self.sequence = record.sequence
        self._open.pop(record.terminal_seq, None)


class MemoryJournal:
    """A journal that dies with its process: for benches and simulations. See TapJournal."""

    def __init__(self, gate: bytes) -> None:
        self.gate = gate
        self.records: list[TapRecord] = []
        self._debits = OpenDebits(gate)

    def pending(self) -> list[TapRecord]:
        """See TapJournal."""
        return self._debits.pending()

    def promise(self, record: TapRecord) -> None:
        """See TapJournal."""
        self._debits.note(self._debits.stamped(record))

    def taken(self, receipt: Receipt) -> None:
        """See TapJournal."""
        made = self._debits.closing(
            receipt.terminal_seq, receipt.tac, Mark.TAKEN, receipt.recovered
        )
        self._keep(made)

    def void(self, terminal_seq: int) -> None:
        """See TapJournal."""
        self._keep(self._debits.closing(terminal_seq, bytes(4), Mark.VOID, is_late=False))

    def add(self, record: TapRecord) -> None:
        """Keep a record that had no promise: a load at a desk."""
        self._keep(changed(record, sequence=self._debits.sequence + 1))

    def _keep(self, record: TapRecord) -> None:
        self._debits.note(record)
        self.records.append(record)


class Journal:
    """A journal in a file, locked while it is open. See TapJournal; close it, or use `with`.

    path: made if it is not there, with mode 0600. gate: 8 bytes. terminal: the PSAM's 6 bytes.
    Raises JournalError.
    """

    def __init__(self, path: str | os.PathLike[str], gate: bytes, terminal: bytes) -> None:
        if len(gate) != 8 or len(terminal) != 6:
            raise ValueError("a gate's name is 8 bytes and a terminal number 6")
        self.path = os.fspath(path)
        self.gate = gate
        self._debits = OpenDebits(gate)
        self._handle = _locked(self.path)
        try:
            self._end, self._check = self._read(_header(gate, terminal))
        except BaseException:
            os.close(self._handle)
            raise
        self._room = self._end

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    @property
    def sequence(self) -> int:
        """The number of the last record that is taken or void."""
        return self._debits.sequence

    def pending(self) -> list[TapRecord]:
        """See TapJournal."""
        return self._debits.pending()

    def promise(self, record: TapRecord) -> None:
        """See TapJournal."""
        self._reserve()
        self._append(self._debits.stamped(record))

    def taken(self, receipt: Receipt) -> None:
        """See TapJournal."""
        self._append(
            self._debits.closing(receipt.terminal_seq, receipt.tac, Mark.TAKEN, receipt.recovered)
        )

    def void(self, terminal_seq: int) -> None:
        """See TapJournal."""
        self._append(self._debits.closing(terminal_seq, bytes(4), Mark.VOID, is_late=False))

    def close(self) -> None:
        """Give back the room ahead and the lock."""
        if self._handle < 0:
            return
        try:
            os.ftruncate(self._handle, self._end)
        finally:
            os.close(self._handle)
            self._handle = -1

    def _reserve(self) -> None:
        """Room for a promise and for what closes it, with more ahead where there is more."""
        wanted = self._end + (2 + len(self._debits.pending())) * FRAME
        if wanted <= self._room:
            return
        for size in (CHUNK, wanted - self._end):
            try:
                os.posix_fallocate(self._handle, self._end, size)
            except OSError as error:
                refused = error
            else:
                self._room = self._end + size
                return
        raise JournalError(self._full(refused)) from refused

    def _append(self, record: TapRecord) -> None:
        body = record.build()
        check = crc32(body, self._check)
        frame = body + check.to_bytes(4, "big")
        try:
            written = os.pwrite(self._handle, frame, self._end)
            if written != FRAME:
                raise OSError(28, "only part of a record was written")
            os.fdatasync(self._handle)
        except OSError as error:
            # What was written is no record: the next one takes its place, or `open` cuts it off.
            raise JournalError(self._full(error)) from error
        self._end += FRAME
        self._check = check
        self._debits.note(record)

    def _full(self, error: OSError) -> str:
        return (
            f"the journal {self.path} takes no record ({error.strerror}); "
            "the gate stays shut until there is room: free some and start it again"
        )

    def _read(self, head: bytes) -> tuple[int, int]:
        """Check every frame, cut off a torn one. Returns where the next begins, and the chain."""
        first = os.pread(self._handle, FRAME, 0)
        if first != head:
            if first.strip(b"\0") and (len(first) == FRAME or not head.startswith(first)):
                raise JournalError(_foreign(self.path, first, head))
            # New, or cut off while it was made: no record was ever in it.
            _make(self._handle, self.path, head)
        end, check = FRAME, _sum_of(head)
        for frame in _whole_frames(self._handle, head, self.path):
            end, check = end + FRAME, int.from_bytes(frame[BODY:], "big")
            self._debits.note(_parsed(frame, self.path))
        os.ftruncate(self._handle, end)
        os.fsync(self._handle)
        return end, check


def read_records(path: str | os.PathLike[str], after: int = 0) -> Iterator[TapRecord]:
    """The taken and void records with a number above `after`, also while a gate writes.

    A last frame that is not whole is being written, and left out. Raises JournalError, also for
    one with others behind it.
    """
    name = os.fspath(path)
    try:
        handle = os.open(name, os.O_RDONLY | os.O_CLOEXEC)
    except OSError as error:
        raise JournalError(f"the journal {name} cannot be read: {error.strerror}") from error
    try:
        head = os.pread(handle, FRAME, 0)
        if not head.startswith(_HEAD):
            raise JournalError(f"{name} is no journal of a gate")
        for frame in _whole_frames(handle, head, name):
            record = _parsed(frame, name)
            if record.mark != Mark.PROMISED and record.sequence > after:
                yield record
    finally:
        os.close(handle)


def journal_gate(path: str | os.PathLike[str]) -> bytes | None:
    """Whose journal a file is; None if it is no journal. Raises OSError."""
    with open(path, "rb") as file:
        head = file.read(FRAME)
    if not head.startswith(_HEAD) or len(head) < FRAME:
        return None
    try:
        return bytes.fromhex(head[len(_HEAD) : len(_HEAD) + 16].decode("ascii", "replace"))
    except ValueError:
        return None


def _header(gate: bytes, terminal: bytes) -> bytes:
    body = (_HEAD + gate.hex().encode() + b" " + terminal.hex().encode() + b"\n").ljust(BODY, b"\0")
    return body + crc32(body).to_bytes(4, "big")


def _foreign(path: str, first: bytes, head: bytes) -> str:
    if not first.startswith(_HEAD):
        return f"{path} is no journal of a gate; choose another file"
    found, wanted = (
        _named(part[len(_HEAD) :].split(b"\n")[0].decode("ascii", "replace"))
        for part in (first, head)
    )
    return (
        f"the journal {path} is of another gate: expected gate and terminal {wanted}, "
        f"found {found}; choose another file"
    )


def _named(owner: str) -> str:
    """Gate and terminal as people write them: a gate's name is text where it can be."""
    gate, _, terminal = owner.partition(" ")
    try:
        text = bytes.fromhex(gate).decode("ascii")
    except ValueError:
        return owner
    return f"{text if text.isprintable() else gate} {terminal}"


def _sum_of(head: bytes) -> int:
    return int.from_bytes(head[BODY:FRAME], "big")


def _parsed(frame: bytes, path: str) -> TapRecord:
    try:
        return TapRecord.parse(frame[:BODY])
    except RecordError as error:
        raise JournalError(f"the journal {path} holds what is no record: {error}") from error


def _frames(handle: int) -> Iterator[tuple[int, bytes]]:
    """Every frame behind the header that is not all zeros, with its place; the last may be cut."""
    at = FRAME
    while data := os.pread(handle, CHUNK, at):
        for start in range(0, len(data), FRAME):
            frame = data[start : start + FRAME]
            if frame != _BLANK[: len(frame)]:
                yield at + start, frame
        at += len(data)


def _whole_frames(handle: int, head: bytes, path: str) -> Iterator[bytes]:
    """Every frame whose checksum is right. Raises JournalError if one is wrong and not the last."""
    check, bad = _sum_of(head), 0
    for at, frame in _frames(handle):
        if bad:
            raise JournalError(
                f"the journal {path} is damaged at byte {bad}, with records behind it; "
                "keep the file for clearing and start with another one"
            )
        check = crc32(frame[:BODY], check)
        if len(frame) < FRAME or check != int.from_bytes(frame[BODY:], "big"):
            bad = at
        else:
            yield frame


def _locked(path: str) -> int:
    try:
        flags = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC
        handle = os.open(path, flags, 0o600)
    except OSError as error:
        raise JournalError(f"no journal can be kept at {path}: {error.strerror}") from error
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        os.fchmod(handle, 0o600)
    except OSError as error:
        os.close(handle)
        raise JournalError(
            f"the journal {path} is in use by another process; end that one first"
        ) from error
    return handle


def _make(handle: int, path: str, head: bytes) -> None:
    try:
        os.ftruncate(handle, 0)
        if os.pwrite(handle, head, 0) != FRAME:
            raise OSError(28, "only part of the header was written")
        os.fsync(handle)
        names = os.open(Path(path).parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            os.fsync(names)
        finally:
            os.close(names)
    except OSError as error:
        raise JournalError(f"no journal can be kept at {path}: {error.strerror}") from error

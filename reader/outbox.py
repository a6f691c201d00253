"""A station's store: batches cut from its gates' journals, each a file until it is acknowledged.

A file's name says all the outbox needs to know after a crash: gate, first and last number, and
whether the batch waits (`.batch`), was acknowledged (`.sent`) or refused for good (`.refused`).
"""

import os
import re
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

from reader.batch import MOST_RECORDS, build_batch
from reader.journal import JournalError, read_records

_NAME = re.compile(r"([0-9a-f]{16})-(\d{10})-(\d{10})\.(batch|sent|refused)")


class OutboxError(Exception):
    """The outbox cannot be used; the message says why."""


@dataclass(frozen=True, slots=True)
class Waiting:
    """A batch that waits. path: its file."""

    path: Path

    def message(self) -> bytes:
        """What to send. Raises OutboxError."""
        try:
            return self.path.read_bytes()
        except OSError as error:
            raise OutboxError(f"{self.path} cannot be read: {error.strerror}") from error


class Outbox:
    """The batches of a station in a directory, which is made if it is not there.

    Raises OutboxError.
    """

    def __init__(self, directory: str | os.PathLike[str]) -> None:
        self.directory = Path(directory)
        try:
            self.directory.mkdir(mode=0o700, exist_ok=True)
            for left in self.directory.glob("*.writing"):
                left.unlink()
        except OSError as error:
            raise OutboxError(
                f"no outbox can be kept at {directory}: {error.strerror}; choose a directory"
            ) from error

    def last(self, gate: bytes) -> int:
        """The number of a gate's last record that is in a batch."""
        return max((int(m[3]) for m in self._names() if m[1] == gate.hex()), default=0)

    def cut(self, journal: str | os.PathLike[str], gate: bytes, most: int = MOST_RECORDS) -> int:
        """Put a journal's new records into batches. Returns how many. Raises OutboxError."""
        try:
            records = read_records(journal, self.last(gate))
            made = 0
            while part := list(islice(records, most)):
                first, last = part[0].sequence, part[-1].sequence
                self._write(f"{gate.hex()}-{first:010d}-{last:010d}", build_batch(gate, part))
                made += 1
        except JournalError as error:
            raise OutboxError(str(error)) from error
        return made

    def waiting(self) -> list[Waiting]:
        """The batches that wait, each gate's in its order."""
        names = sorted(m[0] for m in self._names() if m[4] == "batch")
        return [Waiting(self.directory / name) for name in names]

    def close(self, batch: Waiting, is_kept: bool) -> None:
        """A batch is acknowledged, or refused for good: kept aside for staff."""
        try:
            os.replace(batch.path, batch.path.with_suffix(".sent" if is_kept else ".refused"))
            self._sync()
        except OSError as error:
            raise OutboxError(f"{batch.path} cannot be put aside: {error.strerror}") from error

    def _names(self) -> list[re.Match[str]]:
        found = (_NAME.fullmatch(name) for name in os.listdir(self.directory))
        return [match for match in found if match]

    def _write(self, name: str, message: bytes) -> None:
        writing = self.directory / f"{name}.writing"
        try:
            handle = os.open(writing, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
            with os.fdopen(handle, "wb") as file:
                file.write(message)
                file.flush()
                os.fsync(handle)
            os.replace(writing, self.directory / f"{name}.batch")
            self._sync()
        except OSError as error:
            raise OutboxError(
                f"no batch can be written in {self.directory}: {error.strerror}; "
                "the records stay in the journal"
            ) from error

    def _sync(self) -> None:
        handle = os.open(self.directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)

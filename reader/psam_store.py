"""What a PSAM must not forget: its next transaction number, and transactions without a MAC2.

`PsamStore` keeps it in memory, for benches. `PsamFile` keeps it in a file: one line for each number
given out, on the disk before MAC1 leaves the PSAM, so that no number is given twice whatever
happens to the process or the power. A number whose line was written and whose MAC1 never left is
lost; a gap harms nobody, a repetition does.

The file is text. The first line names the terminal and the next number; `+` lines give a number and
the MAC2 that is expected, `-` lines say that it came. Each line ends with its CRC-32. The file is
written anew when it is opened and whenever it has grown long.
"""

import fcntl
import os
import re
from contextlib import suppress
from pathlib import Path
from stat import S_ISREG
from types import TracebackType
from typing import Self
from zlib import crc32

UNRESOLVED_KEPT = 4096
"""Transactions without a MAC2 that a PSAM remembers; the oldest is forgotten first."""

LINES_KEPT = 16384
"""Lines after which the file is written anew: half a megabyte."""

LAST_NUMBER = 0xFFFFFFFF
"""A transaction number has 4 bytes (5.7)."""

_HEAD = re.compile(rb"psam 1 ([0-9A-F]{12}) ([0-9A-F]{8,9})")
_GIVEN = re.compile(rb"\+ ([0-9A-F]{8}) ([0-9A-F]{8})")
_CAME = re.compile(rb"- ([0-9A-F]{8})")
_TRIES = 8


class PsamFileError(Exception):
    """A PSAM's file cannot be used; the message is one sentence for people."""


class PsamStore:
    """In memory. next_seq: the number the next transaction gets, 2**32 when all are used up.

    unresolved: the MAC2 expected of each transaction that has none yet, by its number.
    """

    def __init__(self, next_seq: int = 1, unresolved: dict[int, bytes] | None = None) -> None:
        self.next_seq = next_seq
        self.unresolved = {} if unresolved is None else unresolved

    def begin(self, mac2: bytes) -> None:
        """The next number is given out, for a transaction that ends with this MAC2.

        Raises OSError or PsamFileError; then the number must not leave the PSAM.
        """
        if len(self.unresolved) >= UNRESOLVED_KEPT:
            del self.unresolved[next(iter(self.unresolved))]
        self.unresolved[self.next_seq] = mac2
        self.next_seq += 1

    def settle(self, seq: int) -> None:
        """The MAC2 of a transaction has come. Raises OSError."""
        del self.unresolved[seq]


class PsamFile(PsamStore):
    """In a file of one PSAM, which nobody else can open meanwhile. Close it, or use `with`.

    terminal: 6 bytes; None takes what the file says. first_seq: for a file that is not there yet.
    Raises PsamFileError.

    After a failed write it refuses to go on: what is on the disk is not certain any more.
    """

    def __init__(self, path: Path | str, terminal: bytes | None = None, first_seq: int = 1) -> None:
        self._path = os.fspath(path)
        self._handle = -1
        self._lines = 0
        try:
            self._handle = self._opened(terminal, first_seq)
            text = _whole(self._handle)
            self.terminal, next_seq, unresolved = _read(text, self._path)
            if terminal not in (None, self.terminal):
                raise PsamFileError(
                    f"{self._path} is of terminal {self.terminal.hex().upper()}, not of"
                    f" {(terminal or b'').hex().upper()}; name the right file or terminal"
                )
            super().__init__(next_seq, unresolved)
            self._rewrite()
        except OSError as error:
            self.close()
            raise PsamFileError(
                f"no PSAM can be kept in {self._path}: {error.strerror or error}"
            ) from error
        except PsamFileError:
            self.close()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Let others have the file. May be called more than once."""
        if self._handle >= 0:
            os.close(self._handle)
            self._handle = -1

    def begin(self, mac2: bytes) -> None:
        """See PsamStore. Returns when the number is on the disk."""
        self._demand_open()
        if self._lines >= LINES_KEPT:
            self._rewrite()
        self._append(b"+ %08X %s" % (self.next_seq, mac2.hex().upper().encode()), is_synced=True)
        super().begin(mac2)

    def settle(self, seq: int) -> None:
        """See PsamStore. A line lost with the power leaves the transaction open, and no harm."""
        self._append(b"- %08X" % seq, is_synced=False)
        super().settle(seq)

    def _append(self, body: bytes, *, is_synced: bool) -> None:
        line = _line(body)
        self._demand_open()
        try:
            if os.write(self._handle, line) != len(line):
                raise OSError("the disk took part of a line")
            if is_synced:
                os.fdatasync(self._handle)
        except OSError:
            self.close()
            raise
        self._lines += 1

    def _demand_open(self) -> None:
        if self._handle < 0:
            raise OSError("the PSAM's file is closed, or a write to it failed")

    def _opened(self, terminal: bytes | None, first_seq: int) -> int:
        """The locked handle of the file, which is made if it is missing."""
        for _ in range(_TRIES):
            try:
                handle = os.open(self._path, os.O_RDWR | os.O_NOFOLLOW | os.O_CLOEXEC)
            except FileNotFoundError:
                if terminal is None:
                    raise
                with suppress(FileExistsError):
                    return self._written(_line(_head(terminal, first_seq)), is_new=True)
                continue
            try:
                _lock(handle, self._path)
                if not S_ISREG(os.fstat(handle).st_mode):
                    raise PsamFileError(f"{self._path} is no regular file; name another")
                if _is_at(handle, self._path):
                    return handle
            except BaseException:
                os.close(handle)
                raise
            os.close(handle)
        raise PsamFileError(f"{self._path} keeps changing; another program uses it")

    def _rewrite(self) -> None:
        """Only what still counts, in a new file that takes the old one's place in one step."""
        lines = [_line(_head(self.terminal, self.next_seq))]
        lines += [
            _line(b"+ %08X %s" % (seq, mac2.hex().upper().encode()))
            for seq, mac2 in self.unresolved.items()
        ]
        try:
            fresh = self._written(b"".join(lines))
        except BaseException:
            self.close()  # which of the two files has the name is not certain
            raise
        self.close()
        self._handle = fresh
        self._lines = len(lines)

    def _written(self, text: bytes, *, is_new: bool = False) -> int:
        """Put a whole file in place. Returns its locked handle. Raises FileExistsError if new."""
        fresh = self._path + ".writing"
        flags = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_APPEND
        handle = os.open(fresh, flags, 0o600)
        try:
            _lock(handle, self._path)  # before the first byte: two may be making the same file
            os.fchmod(handle, 0o600)
            os.ftruncate(handle, 0)
            if os.write(handle, text) != len(text):
                raise OSError("the disk took part of the file")
            os.fsync(handle)
            if is_new:
                _name_new(fresh, self._path)
            else:
                os.replace(fresh, self._path)
            _sync_names(self._path)
        except BaseException:
            os.close(handle)
            raise
        return handle


def _name_new(fresh: str, path: str) -> None:
    try:
        os.link(fresh, path)
    finally:
        os.unlink(fresh)


def _sync_names(path: str) -> None:
    names = os.open(os.path.dirname(path) or ".", os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(names)
    finally:
        os.close(names)


def _lock(handle: int, path: str) -> None:
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        raise PsamFileError(f"another program has the PSAM in {path}; close that one") from None


def _is_at(handle: int, path: str) -> bool:
    try:
        return os.path.samestat(os.fstat(handle), os.stat(path))
    except FileNotFoundError:
        return False


def _whole(handle: int) -> bytes:
    return os.pread(handle, os.fstat(handle).st_size, 0)


def _head(terminal: bytes, next_seq: int) -> bytes:
    return b"psam 1 %s %08X" % (terminal.hex().upper().encode(), next_seq)


def _line(body: bytes) -> bytes:
    return b"%s %08X\n" % (body, crc32(body))


def _read(text: bytes, path: str) -> tuple[bytes, int, dict[int, bytes]]:
    """Terminal, next number and unresolved transactions. Raises PsamFileError.

    A line that a cut left unfinished can only be the last one. Its number is skipped: with a line
    damaged later, it may have been given out.
    """
    *lines, unfinished = text.split(b"\n")
    bodies = [_body(line) for line in lines]
    is_torn = bool(unfinished)
    if bodies and bodies[-1] is None:
        bodies.pop()
        is_torn = True
    first = _HEAD.fullmatch(bodies[0] or b"") if bodies else None
    if first is None:
        raise PsamFileError(f"{path} is no file of a PSAM, or its first line is damaged")
    next_seq, unresolved = int(first[2], 16), dict[int, bytes]()
    for number, body in enumerate(bodies[1:], 2):
        given, came = _GIVEN.fullmatch(body or b""), _CAME.fullmatch(body or b"")
        if given and int(given[1], 16) <= next_seq:
            seq = int(given[1], 16)
            unresolved[seq] = bytes.fromhex(given[2].decode())
            next_seq = max(next_seq, seq + 1)
        elif came:
            unresolved.pop(int(came[1], 16), None)
        else:
            raise PsamFileError(f"{path}: line {number} is damaged and whole lines follow it")
    return (
        bytes.fromhex(first[1].decode()),
        min(next_seq + is_torn, LAST_NUMBER + 1),
        _newest(unresolved),
    )


def _newest(unresolved: dict[int, bytes]) -> dict[int, bytes]:
    """The transactions to remember: those that memory would have forgotten are gone here too."""
    excess = max(0, len(unresolved) - UNRESOLVED_KEPT)
    return dict(list(unresolved.items())[excess:])


def _body(line: bytes) -> bytes | None:
    """A line without its checksum, None if that does not fit."""
    body, _, check = line.rpartition(b" ")
    return body if check == b"%08X" % crc32(body) else None

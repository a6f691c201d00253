"""A card that lives in a file: `kill -9` at any instant leaves the old card or the new one.

Theory of operation. Beside the card file (`emulator.card.cardfile`) there is its journal
(`emulator.card.journal`). A commit appends one line to the journal and waits for the disk once.
Now and then, and at the end, a checkpoint writes the card anew: another file, written and synced,
takes the card file's name in one step, and only when that name is on the disk is the journal
emptied. Lines are numbered, so those that the card file already holds are passed over.

Whoever opens a card holds a lock on the card file itself; a new file is locked before it gets the
name, so there is no moment without a lock and no lock file to be left behind. A file that cannot be
read is refused with a sentence and nothing is written.
"""

import os
import secrets
from contextlib import suppress
from dataclasses import replace
from types import TracebackType
from typing import Self

from emulator.card.card import Card
from emulator.card.cardfile import CardFile, CardFileError, dump_card, load_card
from emulator.card.disk import Disk, SystemDisk
from emulator.card.entries import EntryError
from emulator.card.env import Env
from emulator.card.journal import line, replay
from emulator.card.state import Chip, Image
from emulator.card.store import StoreError

JOURNAL_LIMIT = 1 << 20
"""Bytes of journal, some 2000 commits, after which the card file is written anew."""

_Path = str | os.PathLike[str]
_SYSTEM = SystemDisk()


class FileStore:
    """One card's image in a file. See `emulator.card.store.Store`.

    Raises CardFileError when made. journal_limit: bytes of journal before a checkpoint.
    """

    def __init__(
        self, path: _Path, disk: Disk = _SYSTEM, journal_limit: int = JOURNAL_LIMIT
    ) -> None:
        self._path = os.path.realpath(path)
        self._disk = disk
        self._limit = journal_limit
        self._size = 0
        self._is_torn = False
        self._is_open = False
        try:
            self._handle = _locked(disk, self._path, is_shared=False)
            try:
                self._recover()
            except BaseException:
                disk.close(self._handle)
                raise
        except OSError as error:
            raise _unusable(path, error) from error
        except EntryError as error:
            raise CardFileError(f"card file {path}: {error}") from error
        self._is_open = True

    def _recover(self) -> None:
        """Read card and journal; write the card anew if the journal held anything."""
        card = load_card(self._disk.read(self._handle))
        name = journal_of(self._path)
        log = self._log = self._disk.open_log(name)
        try:
            text = self._disk.read(log)
            self._card = _replayed(card, text)
            self._size = len(text)
            if text:
                self._checkpoint()
            self._disk.sync_names(name)
        except BaseException:
            self._disk.close(log)
            raise

    @property
    def card(self) -> CardFile:
        """The card as last committed, with everything beside its image."""
        return self._card

    def load(self) -> Image:
        """See Store."""
        return self._card.image

    def commit(self, image: Image) -> None:
        """See Store. One write and one sync; a checkpoint after that if the journal is long."""
        if not self._is_open:
            raise StoreError("the card file is closed")
        card = self._card
        text = line(card.card_id, card.commits + 1, card.image, image)
        if not text:
            return
        try:
            self._append(text)
        except OSError as error:
            self._is_torn = True
            with suppress(OSError):
                self._mend()
            raise StoreError(f"the journal takes no more: {error.strerror}") from error
        self._card = replace(card, image=image, commits=card.commits + 1)
        if self._size > self._limit:
            with suppress(OSError):  # nothing is lost: the journal has it all
                self._checkpoint()

    def _append(self, text: bytes) -> None:
        if self._is_torn:
            self._mend()
        _write(self._disk, self._log, text)
        self._disk.sync(self._log)
        self._size += len(text)

    def _mend(self) -> None:
        """Take away what a failed commit left at the journal's end."""
        self._disk.truncate(self._log, self._size)
        self._disk.sync(self._log)
        self._is_torn = False

    def checkpoint(self) -> None:
        """Write the card file anew and empty the journal. Raises StoreError; nothing is lost."""
        try:
            self._checkpoint()
        except OSError as error:
            raise StoreError(f"the card file cannot be written: {error.strerror}") from error

    def _checkpoint(self) -> None:
        handle = _put(self._disk, self._path, self._card)
        self._disk.close(self._handle)
        self._handle = handle
        self._disk.sync_names(self._path)
        self._disk.truncate(self._log, 0)
        self._size, self._is_torn = 0, False

    def replace_card(self, card: CardFile) -> None:
        """Put another card into the file, in one step. Raises StoreError, and the old one stays."""
        before = self._card
        self._card = replace(card, card_id=before.card_id, commits=before.commits + 1)
        try:
            self.checkpoint()
        except StoreError:
            self._card = before
            raise

    def close(self) -> None:
        """Write the card file if the journal holds anything, and give the card back."""
        if not self._is_open:
            return
        self._is_open = False
        with suppress(OSError):  # nothing is lost: what a checkpoint leaves is replayed
            if self._size or self._is_torn:
                self._checkpoint()
            self._disk.remove(journal_of(self._path))
        self._disk.close(self._log)
        self._disk.close(self._handle)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()


def card_in(store: FileStore, env: Env) -> Card:
    """The card of a file, in somebody's field."""
    return Card(Chip(store.card.dialect, env, {}), store, store.card.contactless)


def read_card(path: _Path, disk: Disk = _SYSTEM) -> CardFile:
    """What a card file holds, its journal included, without writing. Raises CardFileError."""
    real = os.path.realpath(path)
    try:
        handle = _locked(disk, real, is_shared=True)
        try:
            card = load_card(disk.read(handle))
            return _replayed(card, _journal_text(disk, real))
        finally:
            disk.close(handle)
    except OSError as error:
        raise _unusable(path, error) from error
    except EntryError as error:
        raise CardFileError(f"card file {path}: {error}") from error


def create_card(
    path: _Path, card: CardFile, disk: Disk = _SYSTEM, *, may_overwrite: bool = False
) -> None:
    """Make a card file. Raises CardFileError if there is one and it may not be overwritten."""
    real = os.path.realpath(path)
    if _is_there(disk, real):
        if not may_overwrite:
            raise CardFileError(f"{path} is there already; nothing was written")
        try:
            with FileStore(path, disk) as store:
                store.replace_card(card)
            return
        except StoreError as error:
            raise CardFileError(f"card file {path}: {error}") from error
        except CardFileError as error:
            if not isinstance(error.__cause__, EntryError):
                raise
    _create(path, real, card, disk)


def _is_there(disk: Disk, path: str) -> bool:
    try:
        disk.close(disk.open(path))
    except FileNotFoundError:
        return False
    except OSError:
        return True  # whatever it is, it has the name
    return True


def _create(path: _Path, real: str, card: CardFile, disk: Disk) -> None:
    """Where there is no card, or none that can be read: a journal there is nobody's any more."""
    named = replace(card, card_id=secrets.token_bytes(8), commits=0)
    try:
        with suppress(FileNotFoundError):
            old = _locked(disk, real, is_shared=False)
            disk.close(old)
        disk.remove(journal_of(real))
        disk.close(_put(disk, real, named))
        disk.sync_names(real)
    except FileNotFoundError as error:
        raise CardFileError(f"{path} cannot be made: there is no such folder") from error
    except OSError as error:
        raise _unusable(path, error) from error


def journal_of(path: str) -> str:
    """The journal's name beside a card file."""
    return f"{path}.journal"


def _put(disk: Disk, path: str, card: CardFile) -> int:
    """Write a card file under another name and give it the right one. Returns it, locked."""
    made = f"{path}.writing"
    handle = disk.create(made)
    try:
        disk.lock(handle, is_shared=False)
        _write(disk, handle, dump_card(card))
        disk.sync(handle)
        disk.replace(made, path)
    except OSError:
        disk.close(handle)
        with suppress(OSError):
            disk.remove(made)
        raise
    return handle


def _write(disk: Disk, handle: int, data: bytes) -> None:
    while data:
        data = data[disk.write(handle, data) :]


def _locked(disk: Disk, path: str, *, is_shared: bool) -> int:
    """A handle of the file that has the name, locked. Raises OSError."""
    while True:
        handle = disk.open(path)
        try:
            disk.lock(handle, is_shared=is_shared)
            if disk.is_at(handle, path):
                return handle
        except BaseException:
            disk.close(handle)
            raise
        disk.close(handle)  # a checkpoint gave the name to another file meanwhile


def _journal_text(disk: Disk, path: str) -> bytes:
    try:
        handle = disk.open(journal_of(path))
    except FileNotFoundError:
        return b""
    try:
        return disk.read(handle)
    finally:
        disk.close(handle)


def _replayed(card: CardFile, text: bytes) -> CardFile:
    try:
        return replay(card, text)
    except EntryError as error:
        raise EntryError(f"its journal cannot be replayed: {error}") from error


def _unusable(path: _Path, error: OSError) -> CardFileError:
    if isinstance(error, BlockingIOError):
        return CardFileError(f"card file {path} is in use by another program; end that one first")
    if isinstance(error, FileNotFoundError):
        return CardFileError(f"there is no card file {path}; `tapbench card new` makes one")
    return CardFileError(f"card file {path} cannot be used: {error.strerror}")

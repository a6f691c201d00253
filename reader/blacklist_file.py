"""A gate's own copy of the blacklist, which a power cut leaves old or new, never between.

An update is applied to the list in the file, and the result is written whole beside it, synced, and
given its name in one step. The file beside it, `.writing`, is locked meanwhile, so that of two
programs none undoes what the other has applied; what a `kill -9` leaves there is overwritten by the
next update. Whoever reads the list needs no lock: it has a whole file, of before or after.
"""

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from reader.blacklist import Blacklist, BlacklistError
from reader.blacklist_text import build_update, parse_update, read_update

_TRIES = 100


class BlacklistFile:
    """The blacklist of a gate in a file of mode 0600, made with the first update.

    blacklist: the list in force; version 0 if there is no file. Raises BlacklistError if the file
    is damaged or something else: then there is no list that can be trusted.
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self.path = os.fspath(path)
        self._seen = _stamp(self.path)
        self.blacklist = _stored(self.path)

    def __contains__(self, serial: object) -> bool:
        return serial in self.blacklist

    def reload(self) -> bool:
        """Take over a later version that another program has put into the file.

        A file that nobody has changed since is not read again. Returns whether there was one.
        Raises BlacklistError; the list in force stays.
        """
        stamp = _stamp(self.path)
        if stamp == self._seen:
            return False
        self._seen = stamp
        stored = _stored(self.path)
        if stored.version <= self.blacklist.version:
            return False
        self.blacklist = stored
        return True

    def take(self, update: bytes | os.PathLike[str]) -> bool:
        """Apply an update, given as its text or as the path of a file, and keep the result.

        Returns whether the list in force is another one now: not so if it was applied already.
        Returns when it is on the disk. Raises BlacklistError, and MissingUpdate if one before it is
        missing; the list in force stays. If the last sync failed, the file may have the new list.
        """
        wanted = parse_update(update) if isinstance(update, bytes) else read_update(update)
        try:
            with _draft_of(self.path) as handle:
                stored = _stored(self.path)
                newest = stored if stored.version > self.blacklist.version else self.blacklist
                result = newest.updated(wanted)
                if result != stored:
                    _write(handle, build_update(result))
                    os.replace(_draft_name(self.path), os.path.realpath(self.path))
                _sync_names(self.path)
        except BlockingIOError:
            raise self._kept("another program is writing it") from None
        except OSError as error:
            raise self._kept(error.strerror or str(error)) from error
        is_another = result != self.blacklist
        self.blacklist = result
        return is_another

    def _kept(self, why: str) -> BlacklistError:
        return BlacklistError(
            f"the blacklist {self.path} takes no update ({why}); "
            f"version {self.blacklist.version} stays in force: mend that and send the update again"
        )


def _stamp(path: str) -> tuple[int, int, int] | None:
    """What changes with a file's content; None if there is none."""
    try:
        found = os.stat(path)
    except (OSError, ValueError):  # whoever reads it says what is wrong
        return None
    return found.st_ino, found.st_mtime_ns, found.st_size


def _stored(path: str) -> Blacklist:
    """The list in a file, the empty one if there is no file. Raises BlacklistError."""
    try:
        found = read_update(path)
    except BlacklistError as error:
        if isinstance(error.__cause__, FileNotFoundError):
            return Blacklist()
        raise BlacklistError(f"{error}; move it away and apply a full list") from error
    if not isinstance(found, Blacklist):
        raise BlacklistError(
            f"{path} is an update of a blacklist and no full list; name the list that it updates"
        )
    return found


def _draft_name(path: str) -> str:
    return os.path.realpath(path) + ".writing"


@contextmanager
def _draft_of(path: str) -> Iterator[int]:
    """The locked handle of the file beside, which is gone at the end unless it was renamed.

    Raises OSError, BlockingIOError if another program has it.
    """
    draft = _draft_name(path)
    handle = _locked(draft)
    try:
        yield handle
    finally:
        with suppress(OSError):
            if _is_at(handle, draft):
                os.unlink(draft)
        os.close(handle)


def _locked(draft: str) -> int:
    for _ in range(_TRIES):
        flags = os.O_WRONLY | os.O_CREAT | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
        handle = os.open(draft, flags, 0o600)
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if _is_at(handle, draft):  # not renamed or removed before the lock was ours
                return handle
        except BaseException:
            os.close(handle)
            raise
        os.close(handle)
    raise BlockingIOError


def _is_at(handle: int, path: str) -> bool:
    try:
        return os.path.samestat(os.fstat(handle), os.stat(path, follow_symlinks=False))
    except FileNotFoundError:
        return False


def _write(handle: int, text: bytes) -> None:
    os.fchmod(handle, 0o600)
    os.ftruncate(handle, 0)
    left = memoryview(text)
    while left:
        left = left[os.write(handle, left) :]
    os.fsync(handle)


def _sync_names(path: str) -> None:
    folder = os.path.dirname(os.path.realpath(path))
    names = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(names)
    finally:
        os.close(names)

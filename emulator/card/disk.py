"""The few things a store asks of a disk, so that tests can pull the plug between any two."""

import fcntl
import os
from typing import Protocol


class Disk(Protocol):
    """Files as the operating system sees them. Everything raises OSError.

    A handle is an int. What was written is sure to outlive a power cut only after `sync`, and a
    name only after `sync_names`.
    """

    def open(self, path: str) -> int:
        """A handle for reading and locking. Raises FileNotFoundError."""
        ...

    def create(self, path: str) -> int:
        """A handle of a new or emptied file that its owner alone may read, for writing."""
        ...

    def open_log(self, path: str) -> int:
        """A handle of a file that is made if missing; it is read whole and written at its end."""
        ...

    def read(self, handle: int) -> bytes:
        """Everything in the file."""
        ...

    def write(self, handle: int, data: bytes) -> int:
        """Write at the end; returns how many bytes were taken."""
        ...

    def sync(self, handle: int) -> None:
        """Wait until the file's bytes are on the disk."""
        ...

    def truncate(self, handle: int, size: int) -> None:
        """Cut the file off."""
        ...

    def lock(self, handle: int, *, is_shared: bool) -> None:
        """Lock until the handle is closed. Raises BlockingIOError if another one has a lock."""
        ...

    def is_at(self, handle: int, path: str) -> bool:
        """Whether the path still leads to the handle's file."""
        ...

    def replace(self, source: str, target: str) -> None:
        """Give a file another's name, in one step."""
        ...

    def remove(self, path: str) -> None:
        """Take a name away. No error if there is none."""
        ...

    def sync_names(self, path: str) -> None:
        """Wait until the names in the path's directory are on the disk."""
        ...

    def close(self, handle: int) -> None:
        """Give the handle back."""
        ...


class SystemDisk:
    """The operating system's. See Disk."""

    def open(self, path: str) -> int:
        """See Disk."""
        return os.open(path, os.O_RDONLY | os.O_CLOEXEC)

    def create(self, path: str) -> int:
        """See Disk."""
        flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW | os.O_CLOEXEC
        return self._private(os.open(path, flags, 0o600))

    def open_log(self, path: str) -> int:
        """See Disk."""
        flags = os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_NOFOLLOW | os.O_CLOEXEC
        return self._private(os.open(path, flags, 0o600))

    def _private(self, handle: int) -> int:
        """A file left over from before may have had another mode."""
        try:
            os.fchmod(handle, 0o600)
        except OSError:
            os.close(handle)
            raise
        return handle

    def read(self, handle: int) -> bytes:
        """See Disk."""
        size, parts, at = os.fstat(handle).st_size, [], 0
        while at < size:
            part = os.pread(handle, size - at, at)
            if not part:
                break
            parts.append(part)
            at += len(part)
        return b"".join(parts)

    def write(self, handle: int, data: bytes) -> int:
        """See Disk."""
        return os.write(handle, data)

    def sync(self, handle: int) -> None:
        """See Disk."""
        os.fsync(handle)

    def truncate(self, handle: int, size: int) -> None:
        """See Disk."""
        os.ftruncate(handle, size)

    def lock(self, handle: int, *, is_shared: bool) -> None:
        """See Disk."""
        kind = fcntl.LOCK_SH if is_shared else fcntl.LOCK_EX
        fcntl.flock(handle, kind | fcntl.LOCK_NB)

    def is_at(self, handle: int, path: str) -> bool:
        """See Disk."""
        try:
            return os.path.samestat(os.fstat(handle), os.stat(path))
        except FileNotFoundError:
            return False

    def replace(self, source: str, target: str) -> None:
        """See Disk."""
        os.replace(source, target)

    def remove(self, path: str) -> None:
        """See Disk."""
        try:
            os.unlink(path)
        except FileNotFoundError:
            return

    def sync_names(self, path: str) -> None:
        """See Disk."""
        handle = os.open(os.path.dirname(path) or ".", os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)

    def close(self, handle: int) -> None:
        """See Disk."""
        os.close(handle)

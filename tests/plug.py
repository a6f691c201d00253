"""A disk in memory with a plug that can be pulled between any two steps, and inside any write.

It keeps what a program sees and what is sure to be on the disk apart, so that a forgotten sync
shows as a lost card and not as luck.
"""

from dataclasses import dataclass, field
from itertools import count

STRIDE = 4099
"""Of a long write that is no journal's, every so many bytes is a place to cut."""


class PowerCut(BaseException):
    """The plug is out: nothing more happens. No `except OSError` and no `suppress` stops it."""


class Inode:
    """One file. seen: its bytes now; sure: its bytes after the last sync."""

    def __init__(self, data: bytes = b"") -> None:
        self.seen = data
        self.sure = data


Left = tuple[tuple[str, bytes], ...]
"""Names and contents after a cut, sorted."""


@dataclass
class PluggedDisk:
    """See `emulator.card.disk.Disk`. budget: steps until the plug is pulled, None for never.

    Each change is a step, counted from 1; so is each byte of a write to a journal.
    journal_steps: those that wrote such a byte.
    """

    names: dict[str, Inode] = field(default_factory=dict)
    budget: int | None = None
    steps: int = 0
    syncs: int = 0
    journal_steps: list[int] = field(default_factory=list)
    is_dead: bool = False

    def __post_init__(self) -> None:
        self.sure_names = dict(self.names)
        self.handles: dict[int, Inode] = {}
        self.locks: dict[int, Inode] = {}
        self.numbers = count(3)
        self.log_handles: set[int] = set()

    @classmethod
    def of(cls, left: Left, budget: int | None = None) -> "PluggedDisk":
        """A disk as a cut left it, on a machine that starts again."""
        return cls({name: Inode(data) for name, data in left}, budget)

    def left(self, *, has_data: bool, has_names: bool) -> Left:
        """What is there after the cut: with data and names that were never synced, or without."""
        names = self.names if has_names else self.sure_names
        return tuple(
            sorted((name, node.seen if has_data else node.sure) for name, node in names.items())
        )

    def _step(self) -> None:
        if self.is_dead or self.steps == self.budget:
            self.is_dead = True
            raise PowerCut
        self.steps += 1

    def _handle(self, node: Inode) -> int:
        number = next(self.numbers)
        self.handles[number] = node
        return number

    def _alive(self) -> None:
        if self.is_dead:
            raise PowerCut

    def open(self, path: str) -> int:
        self._alive()
        if path not in self.names:
            raise FileNotFoundError(2, "No such file or directory")
        return self._handle(self.names[path])

    def create(self, path: str) -> int:
        self._step()
        if path in self.names:
            self.names[path].seen = b""
        else:
            self.names[path] = Inode()
        return self._handle(self.names[path])

    def open_log(self, path: str) -> int:
        if path not in self.names:
            self._step()
            self.names[path] = Inode()
        handle = self.open(path)
        self.log_handles.add(handle)
        return handle

    def read(self, handle: int) -> bytes:
        self._alive()
        return self.handles[handle].seen

    def write(self, handle: int, data: bytes) -> int:
        is_log = handle in self.log_handles
        taken = data[: 1 if is_log else STRIDE]
        self._step()
        self.handles[handle].seen += taken
        if is_log:
            self.journal_steps.append(self.steps)
        return len(taken)

    def sync(self, handle: int) -> None:
        self._step()
        self.syncs += 1
        node = self.handles[handle]
        node.sure = node.seen

    def truncate(self, handle: int, size: int) -> None:
        self._step()
        node = self.handles[handle]
        node.seen = node.seen[:size]

    def lock(self, handle: int, *, is_shared: bool) -> None:
        self._alive()
        node = self.handles[handle]
        if not is_shared and any(other is node for other in self.locks.values()):
            raise BlockingIOError(11, "Resource temporarily unavailable")
        self.locks[handle] = node

    def is_at(self, handle: int, path: str) -> bool:
        return self.names.get(path) is self.handles[handle]

    def replace(self, source: str, target: str) -> None:
        self._step()
        self.names[target] = self.names.pop(source)

    def remove(self, path: str) -> None:
        self._step()
        self.names.pop(path, None)

    def sync_names(self, path: str) -> None:
        self._step()
        self.syncs += 1
        self.sure_names = dict(self.names)

    def close(self, handle: int) -> None:
        self._alive()
        self.handles.pop(handle)
        self.locks.pop(handle, None)
        self.log_handles.discard(handle)

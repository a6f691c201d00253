"""A card's whole durable state as plain numbers, bytes and lists: what a shadow keeps of it."""

from dataclasses import dataclass, field
from typing import Any

from emulator.card.state import Directory, Image

ALWAYS = 0xF0


@dataclass
class PlainPurse:
    """A ceiling, B actual, C limit, D used, in fen; and the next transactions' numbers."""

    ceiling: int
    actual: int
    limit: int
    used: int
    online_seq: int
    offline_seq: int
    usage: int
    log: int

    @property
    def available(self) -> int:
        return self.actual + self.limit - self.used

    def check(self) -> None:
        """The balance model of protocol reference 3.1."""
        assert 0 <= self.actual <= self.ceiling
        assert 0 <= self.used <= self.limit
        assert self.ceiling + self.limit <= 0xFFFFFF
        assert not (self.actual and self.used)
        assert 0 <= self.online_seq <= 0xFFFF
        assert 0 <= self.offline_seq <= 0xFFFF


@dataclass
class PlainFile:
    kind: int
    size: int
    count: int
    read: int
    write: int
    guard: int
    protection: int
    content: Any
    is_written: bool


@dataclass
class PlainKey:
    """A key or a PIN: attributes of annex 4.1, and its value."""

    usage: int
    change: int
    version: int
    algorithm: int
    guard: int
    value: bytes

    @property
    def left(self) -> int:
        return self.algorithm & 0x0F

    def lose(self) -> int:
        """One try less; how many are left."""
        left = max(self.left - 1, 0)
        self.algorithm = self.algorithm & 0xF0 | left
        return left

    def restore(self) -> None:
        self.algorithm = self.algorithm >> 4 << 4 | self.algorithm >> 4


@dataclass
class PlainDirectory:
    fid: int
    name: bytes
    parent: int
    space: int
    create: int
    erase: int
    fci: int
    files: dict[int, PlainFile] = field(default_factory=dict)
    keys: dict[tuple[int, int], PlainKey] = field(default_factory=dict)
    purses: dict[int, PlainPurse] = field(default_factory=dict)
    proofs: dict[int, tuple[int, bytes]] = field(default_factory=dict)
    blocked: str = "no"
    key_file: tuple[bool, int, int] = (False, 0, 0)
    strikes: int = 0
    unblock_strikes: int = 0

    @property
    def is_empty(self) -> bool:
        return not (self.key_file[0] or self.files or self.purses)


@dataclass
class Plain:
    """The card. algorithms: in force, and blocked ones as bits."""

    directories: list[PlainDirectory]
    is_dead: bool
    algorithm: int
    blocked_algorithms: int


def plain_directory(d: Directory) -> PlainDirectory:
    head = d.head
    return PlainDirectory(
        *(head.fid, head.name, head.parent, head.space, head.create, head.erase, head.fci),
        files={
            fid: PlainFile(
                *(f.head.kind, f.head.size, f.head.count, f.head.read, f.head.write),
                *(f.head.guard, f.head.protection),
                f.content if isinstance(f.content, bytes) else list(f.content),
                f.is_written,
            )
            for fid, f in d.files.items()
        },
        keys={
            (int(kind), kid): PlainKey(
                *(k.usage, k.change, k.version, k.algorithm, k.guard),
                k.pin if k.secret is None else k.secret.expose(),
            )
            for (kind, kid), k in d.keys.items()
        },
        purses={
            which: PlainPurse(
                *(p.ceiling, p.actual, p.limit, p.used, p.online_seq, p.offline_seq),
                *(p.usage, p.log),
            )
            for which, p in d.purses.items()
        },
        proofs={kind: (p.seq, p.mac2 + p.tac) for kind, p in d.proofs.items()},
        blocked=d.blocked.value,
        key_file=(d.has_key_file, d.key_space, d.add_right),
        strikes=d.strikes,
        unblock_strikes=d.unblock_strikes,
    )


def plain(image: Image) -> Plain:
    return Plain(
        [plain_directory(d) for d in image.directories],
        image.is_dead,
        image.algorithm,
        image.blocked_algorithms,
    )

"""The shadow's directories, files and secure messaging (`tests.shadow`)."""

from dataclasses import dataclass, field
from typing import Any

from apdu import file_commands as f
from apdu.spec import CommandSpec
from emulator.card.card import Card
from emulator.card.state import Kind
from tests.plain import (
    ALWAYS,
    PlainDirectory,
    PlainFile,
    PlainKey,
    PlainPurse,
    plain,
    plain_directory,
)
from tests.vectors import independent as own

PROTECTED_FILE = {
    s.name
    for s in (
        f.READ_BINARY_MAC,
        f.READ_RECORD_MAC,
        f.UPDATE_BINARY_MAC,
        f.UPDATE_RECORD_MAC,
        f.APPEND_RECORD_MAC,
    )
}


def number(data: bytes) -> int:
    return int.from_bytes(data, "big")


@dataclass
class Pending:
    """A transaction under way. asked, offer: the bytes of INITIALIZE and of its answer."""

    kind: int
    which: int
    asked: bytes
    offer: bytes
    cache: dict[tuple[int, int], bytes] = field(default_factory=dict)

    @property
    def amount(self) -> int:
        return 0 if self.kind == 7 else number(self.asked[1:5])

    @property
    def terminal(self) -> bytes:
        return self.asked[-6:]


@dataclass
class Said:
    """One exchange. challenge, pending: what stood before it."""

    p1: int
    p2: int
    command: bytes
    data: bytes
    reply: bytes
    challenge: bytes | None
    pending: Pending | None


class FilesShadow:
    """What survives the field, and where the card stands; reads, writes and issuing."""

    def __init__(self, card: Card) -> None:
        self.card = card
        self.model = plain(card.image)
        self.image = card.image
        self.commits = self.trips = self.writes = 0
        self.is_stale = False
        self._power()

    def _power(self) -> None:
        self.at, self.current = 0, None
        self.register = self.mf_register = 0
        self.is_open = self._is_empty(0)
        self.pending: Pending | None = None
        self.challenge: bytes | None = None

    def _is_empty(self, at: int) -> bool:
        dirs = self.model.directories
        return dirs[at].is_empty and not any(d.parent == at for d in dirs[1:])

    @property
    def here(self) -> PlainDirectory:
        return self.model.directories[self.at]

    def left(self) -> None:
        """The card left the field."""
        self._power()
        self.check()

    def check(self) -> None:
        """Old or new, never between: the card holds exactly what the shadow holds."""
        image = self.card.image
        if image is self.image and not self.is_stale:
            return
        model = self.model
        assert len(image.directories) == len(model.directories)
        before = self.image.directories
        for n, (held, told) in enumerate(zip(image.directories, model.directories, strict=True)):
            if self.is_stale or n >= len(before) or held is not before[n]:
                assert plain_directory(held) == told
                for purse in told.purses.values():
                    purse.check()
        assert image.is_dead == model.is_dead
        assert image.algorithm == model.algorithm
        assert image.blocked_algorithms == model.blocked_algorithms
        self.image, self.is_stale = image, False

    def _met(self, access: int) -> bool:
        """Access bytes, annex 5.2."""
        if access == ALWAYS or self.is_open:
            return True
        x, y = access >> 4, access & 0x0F
        return self.mf_register >= y if x == 0 else y <= self.register <= x

    def _changed(self) -> None:
        self.is_stale = True
        self.writes += 1

    # Directories

    def _enter(self, at: int) -> None:
        self.at, self.current = at, None
        self.register = self.mf_register if at == 0 else 0
        self.is_open = self._is_empty(at)

    def _named(self, name: bytes) -> int:
        names = [d.name for d in self.model.directories]
        if name in names:
            return names.index(name)
        return next((n for n, full in enumerate(names) if full.startswith(name)), -1)

    def _by_id(self, fid: int) -> int:
        dirs = self.model.directories
        if fid == 0x3F00:
            return 0
        if fid == self.here.fid:
            return self.at
        if fid in self.here.files or fid in self.here.purses:
            return -1
        below = [n for n, d in enumerate(dirs) if n and d.parent == self.at and d.fid == fid]
        return below[0] if below else -1

    def _select(self, said: Said) -> None:
        assert self._named(said.data) >= 0
        self._enter(self._named(said.data))
        assert self.here.blocked == "no"

    def _select_file(self, said: Said) -> None:
        at = self._by_id(number(said.data))
        if at >= 0:
            self._enter(at)
        else:
            self.current = number(said.data)
            assert self.current in self.here.files or self.current in self.here.purses

    # Reads

    def _file(self, sfi: int | None) -> tuple[int, PlainFile]:
        fid = self.current if sfi is None else sfi
        assert fid is not None
        return fid, self.here.files[fid]

    def _binary(self, said: Said) -> tuple[int, PlainFile, int]:
        if said.p1 & 0x80:
            return (*self._file(said.p1 & 0x1F), said.p2)
        return (*self._file(None), said.p1 << 8 | said.p2)

    def _records(self, said: Said) -> tuple[int, PlainFile]:
        return self._file(said.p2 >> 3 or None)

    def _read_binary(self, said: Said) -> None:
        _, file, offset = self._binary(said)
        assert self._met(file.read)
        assert file.is_written
        self._same_slice(file, offset, said.reply)

    @staticmethod
    def _same_slice(file: PlainFile, offset: int, data: bytes) -> None:
        assert data
        assert file.content[offset : offset + len(data)] == data

    def _read_record(self, said: Said) -> None:
        file = self._records(said)[1]
        assert self._met(file.read)
        self._same_record(file, said, said.reply)

    @staticmethod
    def _same_record(file: PlainFile, said: Said, data: bytes) -> None:
        if file.kind == Kind.VARIABLE:
            assert data in file.content
        elif said.p1 <= len(file.content):
            assert data == file.content[said.p1 - 1]
        else:
            assert data == bytes(file.size), "never written, so zeros"

    def _read_balance(self, said: Said) -> None:
        p = self.here.purses[said.p2]
        words = (p.available, p.limit, p.used, p.actual, p.ceiling)
        assert number(said.reply) == words[said.p1]

    def _read_balances(self, said: Said) -> None:
        p = self.here.purses[said.p2]
        told = [number(said.reply[n : n + 4]) for n in (0, 4, 8, 12)]
        assert told == [p.actual, p.ceiling, p.used, p.limit]

    def _prove(self, said: Said) -> None:
        assert self.here.proofs[said.p2] == (number(said.data), said.reply)

    def _challenge(self, said: Said) -> None:
        assert len(said.reply) in (4, 8)
        self.challenge = said.reply

    # Secure messaging

    def _maintenance(self, kid: int) -> bytes:
        keys = self.here.keys
        return (keys.get((0x36, kid)) or keys[0x36, 0]).value

    @staticmethod
    def _mac_is_right(said: Said, key: bytes) -> bool:
        assert said.challenge is not None, "a MAC was judged without a challenge"
        iv = own.challenge_iv(said.challenge)
        return own.retail4(key, said.command[:5] + said.data[:-4], iv) == said.data[-4:]

    def _file_key(self, spec_name: str, said: Said) -> tuple[int, PlainFile, bytes]:
        is_binary = spec_name in (f.READ_BINARY_MAC.name, f.UPDATE_BINARY_MAC.name)
        fid, file = self._binary(said)[:2] if is_binary else self._records(said)
        is_read = spec_name in (f.READ_BINARY_MAC.name, f.READ_RECORD_MAC.name)
        shift = 2 if is_read else 0
        return fid, file, self._maintenance(3 - (file.protection >> shift & 3))

    def _protected(self, said: Said, spec: CommandSpec[Any, Any]) -> tuple[int, PlainFile, bytes]:
        """A file command under MAC that was taken: the MAC must be right, and clears the count."""
        fid, file, key = self._file_key(spec.name, said)
        assert self._mac_is_right(said, key), "a file command without the right MAC was taken"
        if self.here.strikes:
            self.here.strikes = 0
            self._changed()
        return fid, file, key

    def _read_binary_mac(self, said: Said) -> None:
        file, key = self._protected(said, f.READ_BINARY_MAC)[1:]
        self._same_slice(file, self._binary(said)[2], self._answer(said, key))

    def _read_record_mac(self, said: Said) -> None:
        file, key = self._protected(said, f.READ_RECORD_MAC)[1:]
        self._same_record(file, said, self._answer(said, key))

    @staticmethod
    def _answer(said: Said, key: bytes) -> bytes:
        assert said.challenge is not None
        data, mac = said.reply[:-4], said.reply[-4:]
        assert mac == own.retail4(key, data, own.challenge_iv(said.challenge))
        return data

    # Writes

    def _write_binary(self, said: Said, content: bytes) -> None:
        _, file, offset = self._binary(said)
        assert self._met(file.write)
        file.content = file.content[:offset] + content + file.content[offset + len(content) :]
        file.is_written = True
        self._changed()

    def _update_binary(self, said: Said) -> None:
        assert not self._binary(said)[1].guard
        self._write_binary(said, said.data)

    def _update_binary_mac(self, said: Said) -> None:
        assert self._protected(said, f.UPDATE_BINARY_MAC)[1].guard
        self._write_binary(said, said.data[:-4])

    def _write_record(self, said: Said, content: bytes, is_append: bool) -> None:
        fid, file = self._records(said)
        assert self._met(file.write)
        self._changed()
        if file.kind == Kind.VARIABLE:  # not modelled: only that nothing else changes
            held = self.card.image.directories[self.at]
            file.content = list(held.files[fid].content)
        elif file.kind == Kind.CYCLIC and (is_append or said.p2 & 7 != 4 or said.p1 == 0):
            file.content = [content, *file.content][: file.count]
        elif is_append or (said.p1 == 1 and not file.content):
            file.content.append(content)
        else:
            file.content[said.p1 - 1] = content
        if file.kind != Kind.VARIABLE:
            assert len(content) == file.size
        assert len(file.content) <= file.count or file.kind == Kind.VARIABLE
        file.is_written = True

    def _update_record(self, said: Said) -> None:
        assert not self._records(said)[1].guard
        self._write_record(said, said.data, is_append=False)

    def _append_record(self, said: Said) -> None:
        assert not self._records(said)[1].guard
        self._write_record(said, said.data, is_append=True)

    def _update_record_mac(self, said: Said) -> None:
        self._protected(said, f.UPDATE_RECORD_MAC)
        self._write_record(said, said.data[:-4], is_append=False)

    def _append_record_mac(self, said: Said) -> None:
        self._protected(said, f.APPEND_RECORD_MAC)
        self._write_record(said, said.data[:-4], is_append=True)

    # Issuing

    def _create(self, said: Said) -> None:
        here, head = self.here, said.data
        assert self._met(here.create), "a file was made without the right"
        fid, kind = said.p1 << 8 | said.p2, head[0]
        self._changed()
        if kind == Kind.DIRECTORY:
            rights = (number(head[1:3]), head[3], head[4], head[5])
            made = PlainDirectory(fid, head[8:], self.at, *rights)
            self.model.directories.append(made)
        elif kind == Kind.KEYS:
            assert self._is_empty(self.at)
            here.key_file = (True, number(head[1:3]), head[4])
        elif kind == Kind.PURSE:
            assert fid not in here.purses
            here.purses[fid] = PlainPurse(0xFFFFFF, 0, 0, 0, 0, 0, head[3], head[6])
        else:
            assert fid not in here.files
            base, size, count = kind & 0x3F, number(head[1:3]), 1
            if base in (Kind.LINEAR, Kind.CYCLIC):
                count, size = head[1], head[2]
            content: Any = bytes(size) if base == Kind.TRANSPARENT else []
            rest = (head[3], head[4], kind & 0xC0, head[6], content, False)
            here.files[fid] = PlainFile(base, size, count, *rest)

    def _erase(self, said: Said) -> None:
        here, dirs = self.here, self.model.directories
        assert self._met(here.erase), "a directory was emptied without the right"
        gone = {self.at}
        for n, d in enumerate(dirs):
            if n and d.parent in gone:
                gone.add(n)
        head = (here.fid, here.name, here.parent, here.space, here.create, here.erase, here.fci)
        dirs[self.at] = PlainDirectory(*head)
        left = [n for n in range(len(dirs)) if n == self.at or n not in gone]
        moved = {old: new for new, old in enumerate(left)}
        self.model.directories = [dirs[n] for n in left]
        for d in self.model.directories:
            d.parent = moved[d.parent]
        self.current, self.register, self.is_open = None, 0, True
        if self.at == 0:
            self.mf_register = 0
        self._changed()

    def _write_key(self, said: Said) -> None:
        self._put_key(said, said.data, under_mac=False)

    def _write_key_mac(self, said: Said) -> None:
        keys = (self.here.keys, self.model.directories[self.here.parent].keys)
        master = next(found[0x39, 0] for found in keys if (0x39, 0) in found)
        assert self._mac_is_right(said, master.value), "a key was written by nobody"
        record = said.data[:-4]
        if said.p1 & 0xC0 not in (0x40, 0x80):
            block = own.t_inverse(master.value, record)
            record = block[1 : 1 + block[0]]
        self._put_key(said, record, under_mac=True)

    def _put_key(self, said: Said, record: bytes, *, under_mac: bool) -> None:
        kind, guard = record[0] & 0x3F, record[0] & 0xC0
        stored = self.here.keys.get((kind, said.p2))
        if said.p1 == 1:
            assert stored is None
            assert self._met(self.here.key_file[2]), "a key was added without the right"
        else:
            assert stored is not None
            assert self._met(stored.change), "a key was changed without the right"
            assert under_mac or not stored.guard
        self.here.keys[kind, said.p2] = PlainKey(
            *(record[1], record[2], record[3], record[4], guard, record[5:])
        )
        self._changed()

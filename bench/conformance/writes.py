"""Reads and writes of files that cases make: plain, under MAC, and wrongly."""

from apdu.command import Command
from apdu.crypto import Key
from apdu.file_commands import (
    READ_BINARY,
    READ_BINARY_MAC,
    READ_RECORD,
    READ_RECORD_MAC,
    UPDATE_BINARY,
    UPDATE_BINARY_MAC,
    UPDATE_RECORD,
    UPDATE_RECORD_MAC,
)
from apdu.files import EF18, FileSpec, Structure
from apdu.records import Protected
from apdu.sw import SW
from bench.conformance.desk import Pair, Spec
from bench.conformance.lab import Lab
from bench.conformance.words import Words
from emulator.card.profile import Profile

STRANGE = Key(bytes(range(0x40, 0x50)))
"""A key that no card has."""

_BINARY: dict[str, Spec] = {
    "read": READ_BINARY,
    "read-mac": READ_BINARY_MAC,
    "write": UPDATE_BINARY,
    "write-mac": UPDATE_BINARY_MAC,
}
_RECORD: dict[str, Spec] = {
    "read": READ_RECORD,
    "read-mac": READ_RECORD_MAC,
    "write": UPDATE_RECORD,
    "write-mac": UPDATE_RECORD_MAC,
}


def is_binary(file: FileSpec) -> bool:
    """Whether a file is transparent."""
    return file.structure is Structure.TRANSPARENT


def is_writable(file: FileSpec) -> bool:
    """Whether a MAC opens the file for writing: the log is the card's alone (3.1)."""
    return file is not EF18


def command_for(file: FileSpec, what: str, *, fits: bool = True) -> Spec:
    """The command that reads or writes a file. fits: of its own structure, or of the other one."""
    return (_BINARY if is_binary(file) == fits else _RECORD)[what]


def place(spec: Spec, sfi: int, at: int | None = None) -> Pair:
    """P1 and P2: an offset, 0 if left out, or a record number, 1 if left out."""
    if spec in _BINARY.values():
        return (0x80 | sfi, at or 0)
    return (1 if at is None else at, sfi << 3 | 4)


def read(lab: Lab, file: FileSpec, at: int | None = None) -> bytes:
    """What a file or record holds: the card must tell all of it."""
    spec = command_for(file, "read")
    found = lab.done_ok(spec, pair=place(spec, file.sfi, at))
    wanted = Words(f"{file.size} bytes", f"{file.size} 字节")
    lab.require(len(found) == file.size, wanted, f"{len(found)} bytes", clause="3.1")
    return found


def plain(lab: Lab, spec: Spec, pair: Pair, content: bytes) -> bytes:
    """A write without MAC. Returns the answer."""
    return lab.send(Command(spec.cla, spec.ins, *pair, content, None).build())


def under_mac(
    lab: Lab, spec: Spec, pair: Pair, content: bytes, key: Key | None = None, *, fresh: bool = True
) -> bytes:
    """A write under MAC. key: instead of the right one. fresh: after GET CHALLENGE."""
    if fresh:
        lab.prepare(spec)
    return lab.send(sealed(lab, spec, pair, content, key))


def sealed(lab: Lab, spec: Spec, pair: Pair, content: bytes, key: Key | None = None) -> bytes:
    """The bytes of a write under MAC, with the challenge as it stands."""
    mac = lab.sm_mac(key or lab.file_key(spec), spec, *pair, content)
    return spec.command(Protected(content + mac), *pair)


def mac_words(declared: Profile) -> tuple[int, int, int]:
    """What three wrong MACs in a row answer (4.6, Q15)."""
    if declared.dialect.wrong_mac == "63Cx":
        return (0x63C2, 0x63C1, SW.PERMANENTLY_BLOCKED)
    return (SW.MAC_WRONG, SW.MAC_WRONG, SW.PERMANENTLY_BLOCKED)


def altered(lab: Lab, file: FileSpec) -> bytes:
    """Bytes to write that differ from what is there: the last of a file, or a whole record."""
    if is_binary(file):
        return bytes((read(lab, file)[-1] ^ 0xFF,))
    return lab.content(file.sfi)


def write_place(lab: Lab, file: FileSpec) -> Pair:
    """Where `altered` goes: the last byte of a file, or a record."""
    if is_binary(file):
        return (0x80 | file.sfi, file.size - 1)
    return (lab.record, file.sfi << 3 | 4)

"""UPDATE BINARY, UPDATE RECORD and APPEND RECORD, plain and under MAC (4.6, 4.8, annex 6, 10)."""

from dataclasses import replace

from apdu.file_commands import (
    APPEND_RECORD,
    APPEND_RECORD_MAC,
    UPDATE_BINARY,
    UPDATE_BINARY_MAC,
    UPDATE_RECORD,
    UPDATE_RECORD_MAC,
)
from apdu.records import Content as ContentData
from apdu.records import Protected
from apdu.spec import BinaryRef, Call, Refuse
from apdu.sw import SW
from emulator.card.filesystem import file_of
from emulator.card.handlers import handles
from emulator.card.security import (
    GUARD_CIPHER,
    GUARD_MAC,
    check_mac,
    demand,
    maintenance_key,
    secret_of,
)
from emulator.card.state import CardState, Chip, Content, Directory, File, FileHead, Kind, kept

APPEND_MODE = 2
"""P2 mode that adds a record to a variable file (annex 10)."""


def _plain(card: CardState, file: File, content: bytes) -> tuple[Directory, bytes]:
    """A write without MAC: the right must be met and the file must not be protected."""
    demand(card, file.head.write)
    if file.head.guard & (GUARD_MAC | GUARD_CIPHER):
        raise Refuse(SW.MAC_MISSING)
    return card.directory, content


def _checked(
    card: CardState, call: Call[Protected], file: File, chip: Chip
) -> tuple[Directory, bytes]:
    """A write under MAC: checks right and MAC, and deciphers. Returns directory and data."""
    head = file.head
    demand(card, head.write)
    if not head.guard & (GUARD_MAC | GUARD_CIPHER):
        raise Refuse(SW.SECURE_MESSAGING_NOT_SUPPORTED)
    content = call.data.content
    if not content:
        raise Refuse(SW.WRONG_LENGTH)
    entry = maintenance_key(card.directory, 3 - (head.protection & 0x03))
    directory = check_mac(card, call, entry, content, call.data.mac, chip)
    if head.guard & GUARD_CIPHER:
        content = deciphered(secret_of(entry).decrypt(_whole(content)))
    if not content:
        raise Refuse(SW.WRONG_LENGTH)
    return directory, content


def _whole(content: bytes) -> bytes:
    if len(content) % 8:
        raise Refuse(SW.WRONG_LENGTH)
    return content


def deciphered(block: bytes) -> bytes:
    """The data in a deciphered block: its length comes first; either padding form is taken."""
    if block[0] >= len(block):
        raise Refuse(SW.MAC_WRONG)
    return block[1 : 1 + block[0]]


def _stored(
    card: CardState, directory: Directory, file: File, content: Content
) -> tuple[CardState, bytes]:
    files = {**directory.files, file.head.fid: File(file.head, content, True)}
    return kept(card, replace(directory, files=files)), b""


@handles(UPDATE_BINARY)
def update_binary(card: CardState, call: Call[ContentData], chip: Chip) -> tuple[CardState, bytes]:
    """Write part of a transparent file (4.6)."""
    file, offset = _binary(card, call.p1, call.p2)
    directory, content = _plain(card, file, call.data.content)
    return _stored(card, directory, file, _spliced(file, offset, content))


@handles(UPDATE_BINARY_MAC)
def update_binary_mac(
    card: CardState, call: Call[Protected], chip: Chip
) -> tuple[CardState, bytes]:
    """Write part of a transparent file under MAC: renewal of validity among others (4.6, 6.6)."""
    file, offset = _binary(card, call.p1, call.p2)
    directory, content = _checked(card, call, file, chip)
    return _stored(card, directory, file, _spliced(file, offset, content))


def _binary(card: CardState, p1: int, p2: int) -> tuple[File, int]:
    sfi, offset = BinaryRef.split(p1, p2)
    file = file_of(card, sfi)
    if file.head.kind is not Kind.TRANSPARENT:
        raise Refuse(SW.WRONG_FILE_STRUCTURE)
    if offset >= file.head.size:
        raise Refuse(SW.OFFSET_OUTSIDE)
    return file, offset


def _spliced(file: File, offset: int, content: bytes) -> bytes:
    data = file.content
    assert isinstance(data, bytes)
    end = offset + len(content)
    if end > len(data):
        raise Refuse(SW.WRONG_LENGTH)
    return data[:offset] + content + data[end:]


def _record_file(card: CardState, p2: int) -> File:
    file = file_of(card, p2 >> 3 or None)
    if file.head.kind is Kind.TRANSPARENT:
        raise Refuse(SW.WRONG_FILE_STRUCTURE)
    return file


@handles(UPDATE_RECORD)
def update_record(card: CardState, call: Call[ContentData], chip: Chip) -> tuple[CardState, bytes]:
    """Replace or add a record (4.8)."""
    file = _record_file(card, call.p2)
    directory, content = _plain(card, file, call.data.content)
    return _stored(card, directory, file, _updated(file, call.p1, call.p2 & 7, content))


@handles(UPDATE_RECORD_MAC)
def update_record_mac(
    card: CardState, call: Call[Protected], chip: Chip
) -> tuple[CardState, bytes]:
    """Replace or add a record under MAC (4.8)."""
    file = _record_file(card, call.p2)
    directory, content = _checked(card, call, file, chip)
    return _stored(card, directory, file, _updated(file, call.p1, call.p2 & 7, content))


@handles(APPEND_RECORD)
def append_record(card: CardState, call: Call[ContentData], chip: Chip) -> tuple[CardState, bytes]:
    """Add a record (4.8)."""
    file = _record_file(card, call.p2)
    directory, content = _plain(card, file, call.data.content)
    return _stored(card, directory, file, appended(file, content))


@handles(APPEND_RECORD_MAC)
def append_record_mac(
    card: CardState, call: Call[Protected], chip: Chip
) -> tuple[CardState, bytes]:
    """Add a record under MAC (4.8)."""
    file = _record_file(card, call.p2)
    directory, content = _checked(card, call, file, chip)
    return _stored(card, directory, file, appended(file, content))


def _records(file: File) -> tuple[bytes, ...]:
    assert isinstance(file.content, tuple)
    return file.content


def _sized(head: FileHead, content: bytes) -> None:
    """A fixed record has its file's length: longer is 6A84, shorter 6700 (4.8, 4.15)."""
    if len(content) != head.size:
        raise Refuse(SW.NO_SPACE if len(content) > head.size else SW.WRONG_LENGTH)


def _updated(file: File, number: int, mode: int, content: bytes) -> tuple[bytes, ...]:
    head, records = file.head, _records(file)
    if head.kind is Kind.VARIABLE:
        return _updated_variable(file, number, mode, content)
    if head.kind is Kind.CYCLIC and (mode != 4 or number == 0):
        return appended(file, content)  # any mode but a record's number is "append" (annex 10)
    _sized(head, content)
    if number == 1 and not records and mode == 4:
        return (content,)  # accepted and creates it (annex 10)
    if not 1 <= number <= len(records):
        raise Refuse(SW.RECORD_NOT_FOUND)
    return (*records[: number - 1], content, *records[number:])


def _updated_variable(file: File, number: int, mode: int, content: bytes) -> tuple[bytes, ...]:
    records = _records(file)
    _tagged(content)
    if mode == APPEND_MODE and number == 0:
        return appended(file, content)
    at = number - 1 if mode == 4 else _tag_at(records, number, mode)
    if not 0 <= at < len(records):
        if number == 1 and not records:
            return appended(file, content)
        raise Refuse(SW.RECORD_NOT_FOUND)
    if len(content) != len(records[at]):
        raise Refuse(SW.NO_SPACE)  # an update keeps the record's length (annex 10)
    return (*records[:at], content, *records[at + 1 :])


def _tag_at(records: tuple[bytes, ...], tag: int, mode: int) -> int:
    """Where the first (000) or last (001) record of a tag is, or -1.

    Next (010) and previous (011) count from the file's ends too: the card keeps no record pointer.
    """
    found = [i for i, record in enumerate(records) if record[0] == tag]
    return found[-1 if mode & 1 else 0] if found else -1


def _tagged(content: bytes) -> None:
    """A variable record is tag, length, value (annex 10)."""
    if len(content) < 2 or len(content) != 2 + content[1]:
        raise Refuse(SW.WRONG_LENGTH)


def appended(file: File, content: bytes) -> tuple[bytes, ...]:
    """The records with one more: on top of a cyclic file, at the end of another. 6A84 if full."""
    head, records = file.head, _records(file)
    if head.kind is Kind.VARIABLE:
        _tagged(content)
        if sum(map(len, records)) + len(content) > head.size:
            raise Refuse(SW.NO_SPACE)
        return (*records, content)
    _sized(head, content)
    if head.kind is Kind.CYCLIC:
        return (content, *records[: head.count - 1])
    if len(records) >= head.count:
        raise Refuse(SW.NO_SPACE)
    return (*records, content)

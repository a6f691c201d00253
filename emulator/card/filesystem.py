"""SELECT and the reads, and GET CHALLENGE: commands that change nothing durable."""

from collections.abc import Callable
from dataclasses import replace

from apdu.crypto import Key
from apdu.file_commands import (
    GET_CHALLENGE,
    GET_DATA,
    GET_RESPONSE,
    READ_BINARY,
    READ_BINARY_MAC,
    READ_RECORD,
    READ_RECORD_MAC,
    SELECT,
    SELECT_FILE,
)
from apdu.purse import secure_messaging_encrypt
from apdu.records import Protected, SelectId, SelectName
from apdu.spec import BinaryRef, Call, Refuse, State
from apdu.sw import SW, length_is
from apdu.tlv import Tlv
from emulator.card.handlers import handles
from emulator.card.security import (
    ALWAYS,
    GUARD_CIPHER,
    GUARD_MAC,
    check_mac,
    demand,
    maintenance_key,
    secret_of,
)
from emulator.card.state import (
    MF_ID,
    NOBODY,
    Blocked,
    CardState,
    Chip,
    Directory,
    File,
    Image,
    Kind,
    Standing,
    at_rest,
    kept,
)

WHOLE = 256
"""Le 00: everything there is."""

MOST_PROTECTED = 239
"""Data that a protected answer holds beside its length, padding and MAC (4.1: 239 on FMCOS)."""

_MOST_IN_FCI = 200
"""Bytes of a file that the FCI shows: a longer one would not fit a short answer."""

_LABEL = b"MOT_T_EP"


def file_of(card: CardState, fid: int | None) -> File:
    """A file of the current directory; None is the current file. Raises Refuse(6A82, 6986)."""
    if fid is None:
        fid = card.current_ef
        if fid is None:
            raise Refuse(SW.NO_CURRENT_EF)
    found = card.image.directories[card.at].files.get(fid)
    if found is None:
        raise Refuse(SW.FILE_NOT_FOUND)
    return found


def is_empty(image: Image, at: int) -> bool:
    """Whether a directory holds no file of any kind: entered like this, it is open (annex 5.3)."""
    return image.directories[at].is_empty and not any(
        below.head.parent == at for below in image.directories[1:]
    )


def entered(image: Image, at: int, mf_register: int) -> Standing:
    """The security state in a directory just entered (annex 5.1, 5.3)."""
    if mf_register == 0 and not image.directories[at].is_empty:
        return NOBODY
    register = mf_register if at == 0 else 0
    return Standing(register, mf_register, is_empty(image, at), False)


@handles(SELECT)
def select(card: CardState, call: Call[SelectName], chip: Chip) -> tuple[CardState, bytes]:
    """Enter a directory by its name, or by the first 5 bytes or more of it (2.2)."""
    name = call.data.name
    prefix = -1
    for at, directory in enumerate(card.image.directories):
        full = directory.head.name
        if full == name:
            return enter(card, at, chip)
        if prefix < 0 and full.startswith(name):
            prefix = at
    if prefix < 0:
        raise Refuse(SW.FILE_NOT_FOUND)
    return enter(card, prefix, chip)


def enter(card: CardState, at: int, chip: Chip) -> tuple[CardState, bytes]:
    """Make a directory current: register, PIN and transaction start anew (annex 9)."""
    directory = card.image.directories[at]
    standing = entered(card.image, at, card.standing.mf_register)
    after = CardState(card.image, at, None, State.IDLE, None, (), None, standing)
    fci = fci_of(directory, chip)
    if directory.blocked is not Blocked.NO:
        # 4.19, Q5. The application is entered all the same: APPLICATION UNBLOCK must reach it.
        shown = chip.dialect.select_blocked
        data = fci if shown.startswith("fci") else b""
        raise Refuse(int(shown[-4:], 16), data, after)
    return after, fci


def fci_of(directory: Directory, chip: Chip) -> bytes:
    """The answer to SELECT; tag 9F0C always shows what its file holds now (2.4)."""
    head = directory.head
    file = directory.files.get(head.fci & 0x1F) if head.fci & 0x80 else None
    content = file.content if file is not None and isinstance(file.content, bytes) else b""
    if len(content) > _MOST_IN_FCI:
        content = b""
    key = (head.name, head.fci, len(content))
    frame = chip.frames.get(key)
    if frame is None:
        frame = chip.frames[key] = _frame(directory, len(content), chip)
    return frame[0] + content + frame[1]


def _frame(directory: Directory, size: int, chip: Chip) -> tuple[bytes, bytes]:
    """An FCI cut where the issuer data belongs. size: of that data, 0 for none."""
    head, dialect = directory.head, chip.dialect
    parts: list[bytes] = []
    tail = b""
    if head.fci & 0xC0 == 0xC0 and size:
        parts = [Tlv.make(0xBF0C, bytes(size))]
    elif head.fci & 0x80 and size:
        if dialect.fci_label:
            parts += [Tlv.make(0x50, _LABEL), Tlv.make(0x87, b"\x02")]
        parts.append(Tlv.make(0x9F08, bytes.fromhex(dialect.fci_version)))
        if dialect.fci_algorithm:
            parts.append(Tlv.make(0xDF00, b"\x02"))
        if dialect.fci_preferred_name:
            parts.append(Tlv.make(0x9F12, dialect.fci_preferred_name.encode()))
        parts.append(Tlv.make(0x9F0C, bytes(size)))
        tail = bytes(4) if dialect.fci_padding else b""
    elif not head.fci & 0x80:
        parts = [Tlv.make(0x88, bytes((head.fci,)))]
    proprietary = [Tlv.make(0xA5, *parts, tail)] if parts else []
    whole = bytes(Tlv.make(0x6F, Tlv.make(0x84, head.name), *proprietary))
    end = len(whole) - len(tail)
    return whole[: end - size], whole[end:]


@handles(SELECT_FILE)
def select_file(card: CardState, call: Call[SelectId], chip: Chip) -> tuple[CardState, bytes]:
    """Enter the MF, this directory again or one below it, or make a file current (4.4, annex 9)."""
    fid = int.from_bytes(call.data.fid, "big")
    if fid == MF_ID:
        return enter(card, 0, chip)
    here = card.directory
    if fid == here.head.fid:
        return enter(card, card.at, chip)
    if fid in here.files or fid in here.purses:
        if here.blocked is not Blocked.NO:  # only a directory is entered though blocked (4.19)
            is_lost = here.blocked is Blocked.PERMANENT
            raise Refuse(SW.PERMANENTLY_BLOCKED if is_lost else SW.BLOCKED)
        return replace(at_rest(card), current_ef=fid), b""
    for at, directory in enumerate(card.image.directories):
        if at and directory.head.parent == card.at and directory.head.fid == fid:
            return enter(card, at, chip)
    raise Refuse(SW.FILE_NOT_FOUND)


@handles(READ_BINARY)
def read_binary(card: CardState, call: Call[None], chip: Chip) -> tuple[CardState, bytes]:
    """Read a transparent file from an offset (4.5)."""
    sfi, offset = BinaryRef.split(call.p1, call.p2)
    file = file_of(card, sfi)
    head = file.head
    if head.kind is not Kind.TRANSPARENT:
        raise Refuse(SW.WRONG_FILE_STRUCTURE)
    if head.read != ALWAYS:
        demand(card, head.read)
    if not head.protection & 0x80:
        raise Refuse(SW.MAC_MISSING)
    data = _slice(file, offset, call.ne)
    if not file.is_written:
        raise Refuse(SW.DATA_MAY_BE_BAD, data, after=at_rest(card))
    return card, data


def _slice(file: File, offset: int, ne: int | None, most: int = WHOLE) -> bytes:
    data = file.content
    assert isinstance(data, bytes)
    left = len(data) - offset
    if left <= 0:
        raise Refuse(SW.OFFSET_OUTSIDE)
    if ne is None or ne == WHOLE:
        return data[offset : offset + most]
    if ne > left:
        raise Refuse(length_is(left))  # 4.1: Le beyond the file answers 6Cxx
    return data[offset : offset + ne]


@handles(READ_RECORD)
def read_record(card: CardState, call: Call[None], chip: Chip) -> tuple[CardState, bytes]:
    """Read one record; 1 is the newest of a cyclic file, and NN of EF1A is record 27NN (4.7)."""
    file = file_of(card, call.p2 >> 3 or None)
    head = file.head
    if head.kind is Kind.TRANSPARENT:
        raise Refuse(SW.WRONG_FILE_STRUCTURE)
    if head.read != ALWAYS:
        demand(card, head.read)
    if not head.protection & 0x80:
        raise Refuse(SW.MAC_MISSING)
    return card, _record(file, call.p1, call.p2 & 0x07, call.ne, chip)


def _record(file: File, number: int, mode: int, ne: int | None, chip: Chip) -> bytes:
    head, records = file.head, file.content
    assert isinstance(records, tuple)
    if head.kind is Kind.VARIABLE:
        record = _variable(records, number, mode)
    elif 1 <= number <= len(records):
        record = records[number - 1]
    elif (
        head.kind is Kind.CYCLIC
        and 1 <= number <= head.count
        and chip.dialect.unused_records != "6A83"
    ):
        filler = b"\xff" if chip.dialect.unused_records == "FF" else b"\0"
        record = filler * head.size  # never written (Q28)
    else:
        raise Refuse(SW.RECORD_NOT_FOUND)
    if ne is not None and ne not in (WHOLE, len(record)):
        raise Refuse(length_is(len(record)))
    return record


def _variable(records: tuple[bytes, ...], number: int, mode: int) -> bytes:
    """A record of tag, length and value: by number, or by tag (annex 10)."""
    if mode == 4:
        if not 1 <= number <= len(records):
            raise Refuse(SW.RECORD_NOT_FOUND)
        return records[number - 1]
    for record in records:
        if record[0] == number:
            return record
    raise Refuse(SW.RECORD_NOT_FOUND)


@handles(READ_BINARY_MAC)
def read_binary_mac(card: CardState, call: Call[Protected], chip: Chip) -> tuple[CardState, bytes]:
    """Read a transparent file under MAC: data, then MAC (annex 6, Q29)."""
    sfi, offset = BinaryRef.split(call.p1, call.p2)
    file = file_of(card, sfi)
    if file.head.kind is not Kind.TRANSPARENT:
        raise Refuse(SW.WRONG_FILE_STRUCTURE)
    return _protected_read(
        card, call, chip, file, lambda ne: _slice(file, offset, ne, MOST_PROTECTED)
    )


@handles(READ_RECORD_MAC)
def read_record_mac(card: CardState, call: Call[Protected], chip: Chip) -> tuple[CardState, bytes]:
    """Read a record under MAC: record, then MAC (annex 6, Q29)."""
    file = file_of(card, call.p2 >> 3 or None)
    if file.head.kind is Kind.TRANSPARENT:
        raise Refuse(SW.WRONG_FILE_STRUCTURE)
    return _protected_read(
        card, call, chip, file, lambda ne: _record(file, call.p1, call.p2 & 0x07, ne, chip)
    )


def _protected_read(
    card: CardState,
    call: Call[Protected],
    chip: Chip,
    file: File,
    read: Callable[[int | None], bytes],
) -> tuple[CardState, bytes]:
    """The answer of a read under MAC. read: gives the data for an Le."""
    head = file.head
    demand(card, head.read)
    must = not head.protection & 0x80
    if not must and not (chip.dialect.protected_reads and head.guard & GUARD_MAC):
        raise Refuse(SW.SECURE_MESSAGING_NOT_SUPPORTED)
    entry = maintenance_key(card.directory, 3 - (head.protection >> 2 & 0x03))
    key = secret_of(entry)
    directory = check_mac(card, call, entry, call.data.content, call.data.mac, chip)
    data = read(_asked(call, key) if call.data.content else call.ne)
    if len(data) > MOST_PROTECTED:
        raise Refuse(SW.WRONG_LENGTH)
    assert card.challenge is not None
    iv = (card.challenge + bytes(8))[:8]
    if head.guard & GUARD_CIPHER:
        data = secure_messaging_encrypt(key, data)
    after = at_rest(card) if directory is card.directory else kept(card, directory)
    return after, data + key.retail_mac(data, iv)


def _asked(call: Call[Protected], key: Key) -> int:
    """Le of a read whose command carries it enciphered, with 80 00.. behind it (annex 6)."""
    if len(call.data.content) != 8:
        raise Refuse(SW.WRONG_LENGTH)
    return key.decrypt(call.data.content)[0] or WHOLE


@handles(GET_CHALLENGE)
def get_challenge(card: CardState, call: Call[None], chip: Chip) -> tuple[CardState, bytes]:
    """A random number for the next command alone (4.9). Without Le it has 4 bytes, as most ask."""
    n = {None: 4, WHOLE: 8}.get(call.ne, call.ne)
    if n not in (4, 8):
        raise Refuse(SW.WRONG_LENGTH)
    number = chip.env.random(n)
    return replace(at_rest(card), challenge=number), number


@handles(GET_RESPONSE)
def get_response(card: CardState, call: Call[None], chip: Chip) -> tuple[CardState, bytes]:
    """Nothing ever waits: answers leave whole (4.1)."""
    raise Refuse(SW.CONDITIONS_OF_USE)


@handles(GET_DATA)
def get_data(card: CardState, call: Call[None], chip: Chip) -> tuple[CardState, bytes]:
    """Data objects belong to electronic cash (4.22)."""
    raise Refuse(SW.REFERENCE_NOT_FOUND)

"""ERASE DF, CREATE FILE and WRITE KEY: a blank card becomes somebody's (annex 2 to 4)."""

from dataclasses import replace

from apdu.crypto import Key
from apdu.file_commands import CREATE_FILE, ERASE_DF
from apdu.key_commands import WRITE_KEY, WRITE_KEY_MAC
from apdu.records import CreateFileData, KeyData, Protected
from apdu.spec import Call, Refuse
from apdu.sw import SW
from emulator.card.filesystem import is_empty
from emulator.card.handlers import handles
from emulator.card.security import demand, demand_tries, mac_is_right, secret_of, with_keys
from emulator.card.state import (
    MF_ID,
    Blocked,
    CardState,
    Chip,
    Directory,
    DirectoryHead,
    File,
    FileHead,
    Image,
    KeyEntry,
    KeyKind,
    Kind,
    Purse,
    Standing,
    at_rest,
    kept,
    with_directory,
)

PURSE_CEILING = 0x7FFFFF
"""Ceiling of a purse as created. FMCOS has no command for it, and ceiling and overdraft limit
together must stay within three bytes (3.1): this leaves the limit the other half."""

_HEADER, _PURSE_BODY, _KEY_OVERHEAD = 11, 22, 8
"""Space a file takes beside its content (annex 3.2)."""

_MOST_RECORD = 248
_MF_SPACE = 0xFFFF
_DEEPEST = 3
_PROTECTION = 0xC0
_ADD = 0x01
_PURSES = {1: "ED", 2: "EP"}


@handles(ERASE_DF)
def erase(card: CardState, call: Call[None], chip: Chip) -> tuple[CardState, bytes]:
    """Empty the current directory: files, keys and directories in it vanish (annex 2)."""
    if call.ne not in (None, 256):
        raise Refuse(SW.WRONG_LENGTH)  # the fifth byte is 00
    directory = card.directory
    demand(card, directory.head.erase)
    image = with_directory(card.image, card.at, blank(directory.head))
    # What goes lies behind this directory in the image, so its own index stays.
    after = at_rest(card, _without_below(image, card.at))
    mf_register = 0 if card.at == 0 else card.standing.mf_register
    return replace(after, current_ef=None, standing=Standing(0, mf_register, True, False)), b""


def blank(head: DirectoryHead) -> Directory:
    """An empty directory."""
    return Directory(
        head=head,
        files={},
        keys={},
        purses={},
        proofs={},
        blocked=Blocked.NO,
        has_key_file=False,
        key_space=0,
        add_right=0,
        strikes=0,
        unblock_strikes=0,
    )


def _below(image: Image, at: int) -> set[int]:
    """Indices of all directories under one."""
    found: set[int] = set()
    for i, directory in enumerate(image.directories):
        if i and (directory.head.parent == at or directory.head.parent in found):
            found.add(i)
    return found - {at}


def _without_below(image: Image, at: int) -> Image:
    gone = _below(image, at)
    left = [i for i in range(len(image.directories)) if i not in gone]
    new = {old: i for i, old in enumerate(left)}
    kept_ones = tuple(_moved(image.directories[i], new) for i in left)
    return replace(image, directories=kept_ones)


def _moved(directory: Directory, new: dict[int, int]) -> Directory:
    parent = new[directory.head.parent]
    if parent == directory.head.parent:
        return directory
    return replace(directory, head=replace(directory.head, parent=parent))


@handles(CREATE_FILE)
def create_file(card: CardState, call: Call[CreateFileData], chip: Chip) -> tuple[CardState, bytes]:
    """Make a file or directory in the current directory; it is not selected (annex 3)."""
    demand(card, card.directory.head.create)
    header = call.data.header
    fid = call.p1 << 8 | call.p2
    kind_byte = header[0]
    if kind_byte == Kind.DIRECTORY:
        return _create_directory(card, fid, header)
    if len(header) != 7:
        raise Refuse(SW.WRONG_LENGTH)
    if kind_byte == Kind.KEYS:
        return _create_key_file(card, header)
    if kind_byte == Kind.PURSE:
        return _create_purse(card, fid, header)
    return _create_elementary(card, fid, header)


def _create_directory(card: CardState, fid: int, header: bytes) -> tuple[CardState, bytes]:
    name = header[8:]
    image = card.image
    if not 9 <= len(header) <= 24:
        raise Refuse(SW.WRONG_LENGTH)
    if _is_taken(card, fid) or any(d.head.name == name for d in image.directories):
        raise Refuse(SW.WRONG_P1P2)
    if _depth(image, card.at) >= _DEEPEST:
        raise Refuse(SW.WRONG_DATA)
    space = int.from_bytes(header[1:3], "big")
    _room(card, _HEADER + len(name) + space)
    head = DirectoryHead(fid, name, card.at, space, header[3], header[4], header[5])
    whole = replace(image, directories=(*image.directories, blank(head)))
    return at_rest(card, whole), b""


def _depth(image: Image, at: int) -> int:
    depth = 1
    while at:
        at = image.directories[at].head.parent
        depth += 1
    return depth


def _create_key_file(card: CardState, header: bytes) -> tuple[CardState, bytes]:
    directory = card.directory
    if not is_empty(card.image, card.at):
        raise Refuse(SW.WRONG_P1P2)  # the key file is the first file, and there is one
    size = int.from_bytes(header[1:3], "big")
    _room(card, _HEADER + size)
    return kept(
        card, replace(directory, has_key_file=True, key_space=size, add_right=header[4])
    ), b""


def _create_purse(card: CardState, fid: int, header: bytes) -> tuple[CardState, bytes]:
    directory = card.directory
    if fid not in _PURSES or header[1:3] != b"\x02\x08":
        raise Refuse(SW.WRONG_DATA)
    if _is_taken(card, fid):
        raise Refuse(SW.WRONG_P1P2)
    _room(card, _HEADER + _PURSE_BODY)
    purse = Purse(PURSE_CEILING, 0, 0, 0, 0, 0, header[3], header[6])
    return kept(card, replace(directory, purses={**directory.purses, fid: purse})), b""


def _create_elementary(card: CardState, fid: int, header: bytes) -> tuple[CardState, bytes]:
    directory = card.directory
    guard, base = header[0] & _PROTECTION, header[0] & 0x3F
    if base not in (Kind.TRANSPARENT, Kind.LINEAR, Kind.VARIABLE, Kind.CYCLIC):
        raise Refuse(SW.WRONG_DATA)
    kind = Kind(base)
    if _is_taken(card, fid):
        raise Refuse(SW.WRONG_P1P2)
    size, count = int.from_bytes(header[1:3], "big"), 1
    if kind in (Kind.LINEAR, Kind.CYCLIC):
        count, size = header[1], header[2]
        if count < 2 or not 1 <= size <= _MOST_RECORD:
            raise Refuse(SW.WRONG_DATA)
        _room(card, _HEADER + count * (size + 1))
    else:
        _room(card, _HEADER + size)
    head = FileHead(fid, kind, size, count, header[3], header[4], guard, header[6])
    content = bytes(size) if kind is Kind.TRANSPARENT else ()
    files = {**directory.files, fid: File(head, content, False)}
    return kept(card, replace(directory, files=files)), b""


def _is_taken(card: CardState, fid: int) -> bool:
    """Whether the current directory has a file of that id; the MF's is taken everywhere."""
    directory = card.directory
    return (
        fid == MF_ID
        or fid in directory.files
        or fid in directory.purses
        or any(d.head.parent == card.at and d.head.fid == fid for d in card.image.directories[1:])
    )


def _room(card: CardState, wanted: int) -> None:
    """Raise Refuse(6A84) if the directory has no room for so many bytes more."""
    directory = card.directory
    if directory.head.space == _MF_SPACE:
        return
    used = _HEADER + directory.key_space if directory.has_key_file else 0
    used += sum(_HEADER + _taken(f.head) for f in directory.files.values())
    used += len(directory.purses) * (_HEADER + _PURSE_BODY)
    for below in card.image.directories[1:]:
        if below.head.parent == card.at:
            used += _HEADER + len(below.head.name) + below.head.space
    if used + wanted > directory.head.space:
        raise Refuse(SW.NO_SPACE)


def _taken(head: FileHead) -> int:
    fixed = head.kind in (Kind.LINEAR, Kind.CYCLIC)
    return head.count * (head.size + 1) if fixed else head.size


@handles(WRITE_KEY)
def write_key(card: CardState, call: Call[KeyData], chip: Chip) -> tuple[CardState, bytes]:
    """Add a key (P1 01) or change one (P1 its type) in the clear (annex 4.1)."""
    return _write_key(card, call.p1, call.p2, call.data.field, is_protected=False)


@handles(WRITE_KEY_MAC)
def write_key_mac(card: CardState, call: Call[Protected], chip: Chip) -> tuple[CardState, bytes]:
    """Add or change a key, enciphered and under MAC of the master key (annex 4.2)."""
    master = _master(card)
    demand_tries(master)
    key, content = secret_of(master), call.data.content
    if not mac_is_right(card, call, key, content, call.data.mac):
        raise Refuse(SW.MAC_INVALID)
    # One protection bit alone, either of them, is "MAC only" on a key (annex 4.2).
    field = content if call.p1 & _PROTECTION in (0x40, 0x80) else _deciphered(key, content)
    if len(field) not in KeyData.SIZES:
        raise Refuse(SW.WRONG_LENGTH)
    return _write_key(card, call.p1, call.p2, field, is_protected=True)


def _deciphered(key: Key, content: bytes) -> bytes:
    """The key record in an enciphered block; its length comes first. Raises Refuse."""
    if not content or len(content) % 8:
        raise Refuse(SW.WRONG_LENGTH)
    plain = key.decrypt(content)
    if plain[0] >= len(plain):
        raise Refuse(SW.MAC_INVALID)
    return plain[1 : 1 + plain[0]]


def _master(card: CardState) -> KeyEntry:
    """39 id 00 of this directory, or of the one above while this one has none (annex 4.2)."""
    if not card.directory.has_key_file:
        raise Refuse(SW.FILE_NOT_FOUND)
    for at in (card.at, card.directory.head.parent):
        entry = card.image.directories[at].keys.get((KeyKind.EXTERNAL, 0))
        if entry is not None:
            return entry
    raise Refuse(SW.REFERENCE_NOT_FOUND)


def _write_key(
    card: CardState, p1: int, kid: int, field: bytes, *, is_protected: bool
) -> tuple[CardState, bytes]:
    directory = card.directory
    if not directory.has_key_file:
        raise Refuse(SW.FILE_NOT_FOUND)
    entry = _entry(kid, field)
    if p1 == _ADD:
        _may_add(card, entry, is_protected)
    else:
        _may_change(card, p1, entry, is_protected)
    return kept(card, with_keys(directory, entry)), b""


def _entry(kid: int, field: bytes) -> KeyEntry:
    """A key record as written: type, usage, change, two attributes, key (annex 4.1)."""
    guard = field[0] & _PROTECTION
    try:
        kind = KeyKind(field[0] & 0x3F)
    except ValueError:
        raise Refuse(SW.WRONG_DATA) from None
    usage, change, version, algorithm, value = *field[1:5], field[5:]
    if kind is KeyKind.PIN:
        if not 2 <= len(value) <= 8:
            raise Refuse(SW.WRONG_LENGTH)
        return KeyEntry(kind, kid, usage, change, version, algorithm, guard, None, value)
    if len(value) not in (8, 16):
        raise Refuse(SW.WRONG_LENGTH)
    return KeyEntry(kind, kid, usage, change, version, algorithm, guard, Key(value), b"")


def _may_add(card: CardState, entry: KeyEntry, is_protected: bool) -> None:
    directory = card.directory
    demand(card, directory.add_right)
    if (entry.kind, entry.kid) in directory.keys:
        raise Refuse(SW.WRONG_P1P2)
    if entry.guard == _PROTECTION and not is_protected:
        raise Refuse(SW.MAC_MISSING)  # a C0 key is added under MAC only (annex 4.2)
    used = sum(_key_size(e) for e in directory.keys.values())
    if used + _key_size(entry) > directory.key_space:
        raise Refuse(SW.NO_SPACE)


def _key_size(entry: KeyEntry) -> int:
    return len(entry.pin) + _KEY_OVERHEAD if entry.secret is None else _secret_size(entry.secret)


def _secret_size(key: Key) -> int:
    return len(key.expose()) + _KEY_OVERHEAD


def _may_change(card: CardState, p1: int, entry: KeyEntry, is_protected: bool) -> None:
    stored = card.directory.keys.get((entry.kind, entry.kid))
    if stored is None or p1 != (stored.kind & 0x3F | stored.guard):
        raise Refuse(SW.REFERENCE_NOT_FOUND)
    demand(card, stored.change)
    if stored.guard and not is_protected:
        raise Refuse(SW.MAC_MISSING)
    if _key_size(stored) != _key_size(entry):
        raise Refuse(SW.WRONG_LENGTH)

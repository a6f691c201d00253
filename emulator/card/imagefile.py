"""A card's image as JSON and back. What one commit changed is in `emulator.card.changes`.

Each value class is said once, as shapes (`emulator.card.entries`), and both ways follow from it.
What was read is checked as a handler would leave it: sizes, record counts and the balance model.
"""

from collections.abc import Callable
from typing import TypeVar

from apdu.crypto import Key
from emulator.card.entries import (
    FLAG,
    Entry,
    EntryError,
    Json,
    Shape,
    Shapes,
    choice,
    coded,
    dump,
    hexed,
    number,
)
from emulator.card.state import (
    Blocked,
    Content,
    Directory,
    DirectoryHead,
    File,
    FileHead,
    Image,
    KeyEntry,
    KeyKind,
    Kind,
    Proof,
    Purse,
    balance_fault,
)

_BYTE, WORD, _COUNT, _MONEY = coded(1), coded(2), number(0, 255), number(0, 0xFFFFFF)
_SEQ, _SIZE = number(0, 0xFFFF), number(0, 0xFFFF)

IMAGE: Shapes = {"is_dead": FLAG, "algorithm": _BYTE, "blocked_algorithms": _BYTE}
_DIRECTORY_HEAD: Shapes = {
    "fid": WORD,
    "name": hexed(1, 16),
    "parent": _SIZE,
    "space": _SIZE,
    "create": _BYTE,
    "erase": _BYTE,
    "fci": _BYTE,
}
DIRECTORY: Shapes = {
    "blocked": choice(Blocked),
    "strikes": _SIZE,
    "unblock_strikes": _SIZE,
    "has_key_file": FLAG,
    "key_space": _SIZE,
    "add_right": _BYTE,
}
_FILE_HEAD: Shapes = {
    "fid": WORD,
    "kind": choice(Kind),
    "size": _SIZE,
    "count": _COUNT,
    "read": _BYTE,
    "write": _BYTE,
    "guard": _BYTE,
    "protection": _BYTE,
}
_KEY: Shapes = {
    "kind": choice(KeyKind),
    "kid": _BYTE,
    "usage": _BYTE,
    "change": _BYTE,
    "version": _BYTE,
    "algorithm": _BYTE,
    "guard": _BYTE,
}
_PIN = hexed(2, 8, is_secret=True)
_SECRET: Shape[Key] = Shape(
    "8 or 16 bytes in hexadecimal",
    lambda key: key.expose().hex().upper(),
    lambda found: Key(hexed(8, 16).load(found)),
    is_secret=True,
)
_PURSE: Shapes = {
    "ceiling": _MONEY,
    "actual": _MONEY,
    "limit": _MONEY,
    "used": _MONEY,
    "online_seq": _SEQ,
    "offline_seq": _SEQ,
    "usage": _BYTE,
    "log": WORD,
}
_PROOF: Shapes = {"seq": number(0, 0x10000), "mac2": hexed(4), "tac": hexed(4)}
_RECORD = hexed(1, 255)

K = TypeVar("K")
V = TypeVar("V")


def dump_image(image: Image, with_secrets: bool = True) -> dict[str, Json]:
    """The whole image. with_secrets: False gives keys as check values and PINs as lengths."""
    return dump(IMAGE, image) | {
        "directories": [_dump_directory(one, with_secrets) for one in image.directories]
    }


def _dump_directory(one: Directory, with_secrets: bool) -> dict[str, Json]:
    return {
        **dump(_DIRECTORY_HEAD, one.head),
        **dump(DIRECTORY, one),
        "keys": [dump_key(key, with_secrets) for key in one.keys.values()],
        "purses": [dump_purse(*item) for item in one.purses.items()],
        "proofs": [dump_proof(*item) for item in one.proofs.items()],
        "files": [dump_file(file) for file in one.files.values()],
    }


def dump_key(key: KeyEntry, with_secrets: bool = True) -> dict[str, Json]:
    """A key or PIN."""
    told = dump(_KEY, key)
    if key.secret is None:
        return told | ({"pin": _PIN.dump(key.pin)} if with_secrets else {"digits": len(key.pin)})
    if with_secrets:
        return told | {"secret": _SECRET.dump(key.secret)}
    return told | {"check_value": key.secret.check_value.hex().upper()}


def dump_purse(which: int, purse: Purse) -> dict[str, Json]:
    """A purse, 01 ED or 02 EP."""
    return {"purse": _BYTE.dump(which), **dump(_PURSE, purse)}


def dump_proof(kind: int, proof: Proof) -> dict[str, Json]:
    """A proof, by its transaction type."""
    return {"kind": _BYTE.dump(kind), **dump(_PROOF, proof)}


def dump_file(file: File) -> dict[str, Json]:
    """A whole file."""
    told = dump(_FILE_HEAD, file.head) | {"is_written": file.is_written}
    content = file.content
    if isinstance(content, bytes):
        return told | {"content": content.hex().upper()}
    return told | {"records": [record.hex().upper() for record in content]}


def load_image(entry: Entry) -> Image:
    """An image that `dump_image` made. Raises EntryError."""
    directories = tuple(_load_directory(one) for one in entry.entries("directories"))
    if not directories:
        raise EntryError(f"{entry.place('directories')} is empty; expected the MF at least")
    for at, one in enumerate(directories):
        if one.head.parent >= len(directories) or (at == 0) != (one.head.parent == at):
            raise EntryError(
                f"{entry.place('directories')}[{at}].parent is {one.head.parent}; "
                "expected the directory above, and 0 of the MF alone"
            )
    image = Image(directories=directories, **entry.fields(IMAGE))
    entry.nothing_left()
    return image


def _load_directory(entry: Entry) -> Directory:
    head = DirectoryHead(**entry.fields(_DIRECTORY_HEAD))
    made = Directory(
        head=head,
        files=load_mapped(entry, "files", load_file),
        keys=load_mapped(entry, "keys", load_key),
        purses=load_mapped(entry, "purses", load_purse),
        proofs=load_mapped(entry, "proofs", load_proof),
        **entry.fields(DIRECTORY),
    )
    entry.nothing_left()
    return made


def load_mapped(entry: Entry, name: str, load: Callable[[Entry], tuple[K, V]]) -> dict[K, V]:
    """A list of objects by their keys. Raises EntryError for one that is there twice."""
    found: dict[K, V] = {}
    for one in entry.entries(name):
        key, made = load(one)
        one.nothing_left()
        if key in found:
            raise EntryError(f"{one.where} is there twice; expected each once")
        found[key] = made
    return found


def load_key(entry: Entry) -> tuple[tuple[int, int], KeyEntry]:
    """What `dump_key` made, under its key. Raises EntryError."""
    attributes = entry.fields(_KEY)
    is_pin = attributes["kind"] is KeyKind.PIN
    secret = None if is_pin else entry.take("secret", _SECRET)
    pin = entry.take("pin", _PIN) if is_pin else b""
    made = KeyEntry(**attributes, secret=secret, pin=pin)
    return (made.kind, made.kid), made


def load_purse(entry: Entry) -> tuple[int, Purse]:
    """What `dump_purse` made, under its key. Raises EntryError."""
    which, purse = entry.take("purse", _BYTE), Purse(**entry.fields(_PURSE))
    fault = balance_fault(purse.ceiling, purse.actual, purse.limit, purse.used)
    if fault:
        raise EntryError(f"{entry.where}: {fault}")
    return which, purse


def load_proof(entry: Entry) -> tuple[int, Proof]:
    """What `dump_proof` made, under its key. Raises EntryError."""
    return entry.take("kind", _BYTE), Proof(**entry.fields(_PROOF))


def load_file(entry: Entry) -> tuple[int, File]:
    """What `dump_file` made, under its id. Raises EntryError."""
    head, is_written = FileHead(**entry.fields(_FILE_HEAD)), entry.take("is_written", FLAG)
    content: Content
    if head.kind is Kind.TRANSPARENT:
        content = entry.take("content", hexed(head.size))
    else:
        content = _load_records(entry, head)
    return head.fid, File(head, content, is_written)


def _load_records(entry: Entry, head: FileHead) -> tuple[bytes, ...]:
    if head.kind not in (Kind.LINEAR, Kind.CYCLIC, Kind.VARIABLE):
        raise EntryError(f"{entry.place('kind')} is {head.kind.name.lower()}; expected a file's")
    where = entry.place("records")
    shape = _RECORD if head.kind is Kind.VARIABLE else hexed(head.size)
    records = tuple(entry.several("records", shape))
    taken = sum(map(len, records))
    if head.kind is Kind.VARIABLE and taken > head.size:
        raise EntryError(f"{where} takes {taken} bytes; expected {head.size} at most")
    if head.kind is not Kind.VARIABLE and len(records) > head.count:
        raise EntryError(f"{where} holds {len(records)}; expected {head.count} at most")
    return records

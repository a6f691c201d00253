"""What one commit changed of an image, as JSON, and the image after it.

Directories are named by their index and everything in them by itself. Where directories, files or
keys come or go, as when a card is personalised, the whole image is told instead.
"""

from collections.abc import Callable, Mapping
from typing import Any, TypeVar

from emulator.card.entries import Entry, EntryError, Json, Shapes, hexed
from emulator.card.imagefile import (
    DIRECTORY,
    IMAGE,
    WORD,
    dump_file,
    dump_image,
    dump_key,
    dump_proof,
    dump_purse,
    load_file,
    load_image,
    load_key,
    load_mapped,
    load_proof,
    load_purse,
)
from emulator.card.state import Directory, File, Image, Kind

_MOST = 8
"""Records told one by one; one CAPP transaction writes no more (`emulator.card.purchase`)."""

K = TypeVar("K")
V = TypeVar("V")


def dump_changes(old: Image, new: Image) -> dict[str, Json]:
    """What turns one image into the other; nothing if they are equal."""
    told = _differing(IMAGE, old, new)
    if old.directories is new.directories:
        return told
    if len(old.directories) != len(new.directories):
        return {"image": dump_image(new)}
    changed: dict[str, Json] = {}
    for at, (before, after) in enumerate(zip(old.directories, new.directories, strict=True)):
        if before is not after:
            one = _dump_directory(before, after)
            if one is None:
                return {"image": dump_image(new)}
            if one:
                changed[str(at)] = one
    return told | {"directories": changed} if changed else told


def _differing(shapes: Shapes, old: object, new: object) -> dict[str, Json]:
    return {
        name: shape.dump(getattr(new, name))
        for name, shape in shapes.items()
        if getattr(old, name) != getattr(new, name)
    }


def _dump_directory(old: Directory, new: Directory) -> dict[str, Json] | None:
    """Changes inside one directory, or None if only the whole says it."""
    if old.head is not new.head and old.head != new.head:
        return None
    told = _differing(DIRECTORY, old, new)
    for name, write in _PARTS.items():
        before, after = getattr(old, name), getattr(new, name)
        if before is after:
            continue
        if before.keys() - after.keys():
            return None
        changed = [
            write(key, before.get(key), made)
            for key, made in after.items()
            if before.get(key) is not made and before.get(key) != made
        ]
        if changed:
            told[name] = changed
    return told


def _dump_file(fid: int, old: File | None, new: File) -> dict[str, Json]:
    """New records on top, some records replaced, or else the whole file."""
    after = new.content
    if old is None or old.head != new.head or not new.is_written or isinstance(after, bytes):
        return dump_file(new)
    before, count = old.content, new.head.count
    assert isinstance(before, tuple)
    told: dict[str, Json] = {"fid": WORD.dump(fid)}
    if new.head.kind is Kind.CYCLIC:
        for n in range(1, min(_MOST, len(after)) + 1):
            if after[n:] == before[: count - n]:
                return told | {"newest": [record.hex().upper() for record in after[:n]]}
    if len(after) == len(before):
        changed = [i for i, record in enumerate(after) if record != before[i]]
        if len(changed) <= _MOST:
            return told | {"replaced": {str(i + 1): after[i].hex().upper() for i in changed}}
    return dump_file(new)


_PARTS: Mapping[str, Callable[[Any, Any, Any], dict[str, Json]]] = {
    "files": _dump_file,
    "keys": lambda key, old, new: dump_key(new),
    "purses": lambda which, old, new: dump_purse(which, new),
    "proofs": lambda kind, old, new: dump_proof(kind, new),
}


def apply_changes(image: Image, entry: Entry) -> Image:
    """The image after `dump_changes`. Raises EntryError."""
    if "image" in entry:
        whole = load_image(entry.entry("image"))
        entry.nothing_left()
        return whole
    directories = list(image.directories)
    if "directories" in entry:
        changed = entry.entry("directories")
        for at, one in enumerate(image.directories):
            if str(at) in changed:
                directories[at] = _changed_directory(one, changed.entry(str(at)))
        changed.nothing_left()
    made = Image(directories=tuple(directories), **_kept(image, entry, IMAGE))
    entry.nothing_left()
    return made


def _kept(rec: object, entry: Entry, shapes: Shapes) -> dict[str, Any]:
    """Fields of a value, those an entry names taken from there."""
    return {
        name: entry.take(name, shape) if name in entry else getattr(rec, name)
        for name, shape in shapes.items()
    }


def _changed_directory(old: Directory, entry: Entry) -> Directory:
    def merged(name: str, load: Callable[[Entry], tuple[K, V]]) -> Mapping[K, V]:
        before: Mapping[K, V] = getattr(old, name)
        return {**before, **load_mapped(entry, name, load)} if name in entry else before

    made = Directory(
        head=old.head,
        files=merged("files", lambda one: _changed_file(old.files, one)),
        keys=merged("keys", load_key),
        purses=merged("purses", load_purse),
        proofs=merged("proofs", load_proof),
        **_kept(old, entry, DIRECTORY),
    )
    entry.nothing_left()
    return made


def _changed_file(files: Mapping[int, File], entry: Entry) -> tuple[int, File]:
    if "kind" in entry:
        return load_file(entry)
    fid = entry.take("fid", WORD)
    file = files.get(fid)
    if file is None or isinstance(file.content, bytes):
        raise EntryError(f"{entry.place('fid')} is {fid:04X}; expected a file with records")
    head, records = file.head, list(file.content)
    size = hexed(1, 255) if head.kind is Kind.VARIABLE else hexed(head.size)
    if "newest" in entry:
        records = [*entry.several("newest", size), *records][: head.count]
    else:
        replaced = entry.entry("replaced")
        for at in range(len(records)):
            if str(at + 1) in replaced:
                records[at] = replaced.take(str(at + 1), size)
        replaced.nothing_left()
    return fid, File(head, tuple(records), True)

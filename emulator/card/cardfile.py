"""A card as a text: JSON that people can read, with a schema version and a checksum.

What is in it is said in `docs/card-file.md`. The checksum covers the entries, not their layout.
Keys in a card file are test keys: this project has no others.
"""

import json
from dataclasses import dataclass
from typing import Any
from zlib import crc32

from emulator.card.dialect import Dialect, switches
from emulator.card.entries import (
    TEXT,
    Entry,
    EntryError,
    Json,
    Shapes,
    coded,
    dump,
    hexed,
    number,
    shown,
)
from emulator.card.imagefile import dump_image, load_image
from emulator.card.state import Image
from emulator.picc import Contactless

SCHEMA = 1
"""The version this program writes. It reads every version up to this one."""

_CONTACTLESS: Shapes = {
    "atqa": hexed(2),
    "sak": coded(1),
    "uid": hexed(4, 10),
    "ats": hexed(1, 32),
}
_CARD: Shapes = {"profile": TEXT, "title": TEXT}
_ID, _COMMITS = hexed(8), number(0, 1 << 62)
_CRC = "crc32"


class CardFileError(Exception):
    """A card file cannot be used; the message says in one sentence which one and why."""


@dataclass(frozen=True, slots=True)
class CardFile:
    """A card with what is needed to run it again without its profile.

    profile: the profile's name, which nothing depends on any more.
    card_id: 8 bytes that tie the journal to this file. commits: images committed so far.
    """

    profile: str
    title: str
    contactless: Contactless
    dialect: Dialect
    image: Image
    card_id: bytes = bytes(8)
    commits: int = 0


def dump_card(card: CardFile) -> bytes:
    """The text of a card file."""
    entries: dict[str, Json] = {
        "schema": SCHEMA,
        "card_id": _ID.dump(card.card_id),
        "commits": _COMMITS.dump(card.commits),
        **about(card),
        **dump_image(card.image),
    }
    whole = {"schema": SCHEMA, _CRC: checksum(entries), **entries}
    return (json.dumps(whole, ensure_ascii=False, indent=1) + "\n").encode()


def card_json(card: CardFile) -> dict[str, Json]:
    """A card for programs: as in its file, but keys as check values and PINs as lengths."""
    return {
        "schema": SCHEMA,
        "commits": card.commits,
        **about(card),
        **dump_image(card.image, with_secrets=False),
    }


def about(card: CardFile) -> dict[str, Json]:
    """The entries beside the image."""
    return {
        **dump(_CARD, card),
        "contactless": dump(_CONTACTLESS, card.contactless),
        "dialect": {switch.name: getattr(card.dialect, switch.name) for switch in switches()},
    }


def checksum(entries: dict[str, Json]) -> str:
    """CRC-32 of the entries in one agreed layout, their own checksum left out."""
    told = {name: found for name, found in entries.items() if name != _CRC}
    text = json.dumps(told, sort_keys=True, separators=(",", ":"))
    return f"{crc32(text.encode()):08X}"


def load_card(data: bytes) -> CardFile:
    """A card from the text of its file. Raises EntryError."""
    found = _parsed(data)
    schema = found.get("schema")
    if type(schema) is not int or schema < 1:
        raise EntryError(f"schema is {shown(schema)}; expected a whole number from 1 to {SCHEMA}")
    if schema > SCHEMA:
        raise EntryError(
            f"schema is {schema}; expected {SCHEMA} at most, so a newer tapbench made it"
        )
    told, right = found.get(_CRC), checksum(found)
    if told != right:
        raise EntryError(
            f"{_CRC} is {shown(told)}; expected {right!r}, so something else was changed by hand"
            " or damaged"
        )
    return _load(found)


def _parsed(data: bytes) -> dict[str, Json]:
    try:
        found: Json = json.loads(data.decode())
    except UnicodeDecodeError as error:
        raise EntryError(f"it is not a text from byte {error.start} on; expected JSON") from None
    except json.JSONDecodeError as error:
        raise EntryError(f"it is not JSON in line {error.lineno}: {error.msg}") from None
    except (RecursionError, ValueError):
        raise EntryError("it is not JSON that can be read; expected a card") from None
    if type(found) is not dict:
        raise EntryError(f"it holds {shown(found)}; expected an object")
    return found


def _load(found: dict[str, Json]) -> CardFile:
    entry = Entry("", found)
    entry.raw("schema", "")
    entry.raw(_CRC, "")
    fields: dict[str, Any] = entry.fields(_CARD)
    radio = entry.entry("contactless")
    contactless = Contactless(**radio.fields(_CONTACTLESS))
    radio.nothing_left()
    return CardFile(
        **fields,
        contactless=contactless,
        dialect=_load_dialect(entry),
        card_id=entry.take("card_id", _ID),
        commits=entry.take("commits", _COMMITS),
        image=load_image(entry),
    )


def _load_dialect(entry: Entry) -> Dialect:
    """Switches a file does not name have their defaults: they are newer than the file."""
    told = entry.entry("dialect")
    chosen = {s.name: told.raw(s.name, s.reason) for s in switches() if s.name in told}
    told.nothing_left()
    try:
        return Dialect(**chosen)
    except (ValueError, TypeError) as error:
        raise EntryError(str(error)) from None

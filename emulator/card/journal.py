"""The journal beside a card file: one line for each commit, whole or not there.

A line is the payload's length and CRC-32, eight hexadecimal digits each, the payload in JSON, and a
line end. A commit is one such line and one fsync. A line that a cut left unfinished can only be the
last one, and is dropped; one that is damaged with whole lines behind it is damage, and is told.
"""

import json
from collections.abc import Iterator
from dataclasses import replace
from zlib import crc32

from emulator.card.cardfile import CardFile
from emulator.card.changes import apply_changes, dump_changes
from emulator.card.entries import Entry, EntryError, hexed, number
from emulator.card.state import Image

_HEAD = 18
_encode = json.JSONEncoder(separators=(",", ":")).encode
_ID, _NUMBER = hexed(8), number(1, 1 << 62)


def line(card_id: bytes, commit: int, old: Image, new: Image) -> bytes:
    """The line of one commit; nothing if the images are equal. commit: its number, from 1."""
    changes = dump_changes(old, new)
    if not changes:
        return b""
    told = {"card_id": card_id.hex().upper(), "commit": commit, **changes}
    payload = _encode(told).encode()
    return b"%08X %08X %s\n" % (len(payload), crc32(payload), payload)


def replay(card: CardFile, text: bytes) -> CardFile:
    """The card after every whole line that it does not hold yet. Raises EntryError."""
    image, commits = card.image, card.commits
    for at, payload in enumerate(_payloads(text), 1):
        entry = Entry(f"line {at}", _object(payload))
        if entry.take("card_id", _ID) != card.card_id:
            raise EntryError(f"line {at} is of another card; remove the journal if it is left over")
        commit = entry.take("commit", _NUMBER)
        if commit <= commits:
            continue  # a cut fell between writing the card file and emptying the journal
        if commit > commits + 1:
            raise EntryError(f"line {at} is commit {commit}; expected {commits + 1}")
        image, commits = apply_changes(image, entry), commit
    return replace(card, image=image, commits=commits)


def _object(payload: bytes) -> object:
    try:
        return json.loads(payload)
    except ValueError:
        raise EntryError("it is not JSON though its checksum is right") from None


def _payloads(text: bytes) -> Iterator[bytes]:
    *lines, _unfinished = text.split(b"\n")
    whole = [_is_whole(one) for one in lines]
    count = whole.index(False) if False in whole else len(lines)
    if any(whole[count:]):
        raise EntryError(f"line {count + 1} is damaged and whole lines follow it")
    return (one[_HEAD:] for one in lines[:count])


def _is_whole(one: bytes) -> bool:
    payload = one[_HEAD:]
    return bool(payload) and one[:_HEAD] == b"%08X %08X " % (len(payload), crc32(payload))

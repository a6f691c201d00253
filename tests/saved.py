"""Cards in files, for tests: made, opened on any disk, and looked at from outside."""

import json
from typing import Any

import fixtures
from apdu.commands import AID_PURSE, GET_PROVE, SELECT
from apdu.files import EF1A, EF1E, EF18, LogRecord
from apdu.records import ProveData, ProveReply, SelectName
from emulator.card.card import Card
from emulator.card.cardfile import CardFile, checksum, dump_card
from emulator.card.env import SeededEnv
from emulator.card.filestore import FileStore, card_in
from emulator.card.personalise import new_image
from emulator.card.state import Image
from tests.cards import OK, app_of, content_of, purse_in

PATH = "/card.json"
"""A card file's name on a disk in memory."""


def card_file(image: Image | None = None, name: str = "student") -> CardFile:
    """A student's card with 50.00 yuan, or another image of it, as a file holds it."""
    profile = fixtures.load_profile(name).with_balance(5000)
    made = image or new_image(profile, fixtures.load_roots())
    return CardFile(profile.name, profile.title, profile.contactless, profile.dialect, made)


def inserted(store: FileStore, seed: str = "tests") -> Card:
    """The card of a store, with repeatable randomness."""
    return card_in(store, SeededEnv(seed))


def demand_agreement(image: Image, card: Card) -> None:
    """Proofs, transaction numbers, log and trip files must tell one story (4.20, 6.9)."""
    purse, newest = purse_in(image), content_of(image, EF18.sfi)
    assert card.process(SELECT.command(SelectName(AID_PURSE)))[-2:] in (OK, b"\x6a\x81")
    proofs = app_of(image).proofs
    if not newest:
        assert not proofs
        return
    record = LogRecord.parse(newest[0])
    online = record.kind in (2, 3, 7)
    assert record.seq == (purse.online_seq if online else purse.offline_seq)
    told = proofs[record.kind]
    assert told.seq == record.seq
    if app_of(image).blocked.value == "no":
        answer = card.process(GET_PROVE.command(ProveData(record.seq), 0, record.kind))
        assert answer[-2:] == OK
        assert ProveReply.parse(answer[:-2]) == ProveReply(told.mac2, told.tac)
        after = card.process(GET_PROVE.command(ProveData(record.seq + 1), 0, record.kind))
        assert after.hex() == "9406"


def trip_files(image: Image) -> tuple[Any, Any]:
    """What EF1A and EF1E hold."""
    return content_of(image, EF1A.sfi), content_of(image, EF1E.sfi)


def sealed(entries: dict[str, Any]) -> bytes:
    """A card file with these entries and the right checksum."""
    return json.dumps({**entries, "crc32": checksum(entries)}).encode()


def told(card: CardFile) -> dict[str, Any]:
    """The entries of a card's file."""
    found: dict[str, Any] = json.loads(dump_card(card))
    return found

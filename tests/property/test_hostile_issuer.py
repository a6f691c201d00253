"""A card whose issuer makes any files and keys at all: it still answers everything, and briefly.

Cards of our profiles have sensible files. On a blank card anybody may make others: records too
short for a trip, a log that is none, files longer than an answer, keys of 8 bytes. No command may
then raise, answer more than a short APDU holds, or leave the balance model.
"""

from collections import Counter
from collections.abc import Iterator
from dataclasses import fields
from random import Random

import fixtures
from apdu.command import Command
from apdu.commands import CREDIT_LOAD, ED, EP, INIT_LOAD, SELECT, TABLE
from apdu.crypto import Key
from apdu.file_commands import CREATE_FILE, GET_CHALLENGE, SELECT_FILE
from apdu.key_commands import VERIFY_PIN, WRITE_KEY
from apdu.purse import secure_messaging_encrypt
from apdu.records import Content, CreateFileData, KeyData, SelectId, SelectName
from apdu.spec import BinaryRef, RecordRef, State
from apdu.sw import SW
from emulator.card.card import Card
from emulator.card.dialect import Dialect
from emulator.card.env import SeededEnv
from emulator.card.personalise import Secrets, blank_image
from emulator.card.state import Chip, KeyKind, Kind
from emulator.card.store import MemoryStore
from tests.cards import OK, needs_challenge, sw_of
from tests.desk import Desk, Spec
from tests.plain import plain
from tests.property.campaign import check
from tests.property.hostile import LETHAL, make_request
from tests.workshop import PIN

FIDS = (0x01, 0x02, 0x05, 0x15, 0x18, 0x1A, 0x1E, 0x3F02)
SIZES = (1, 2, 5, 6, 16, 23, 48, 128, 248, 255)
RIGHTS = (*[0xF0] * 6, 0xF1, 0xEF, 0x02)
KINDS = (Kind.TRANSPARENT, Kind.LINEAR, Kind.VARIABLE, Kind.CYCLIC)
VALUES = (b"k" * 16, b"k" * 8)
NAME = bytes.fromhex("A000000632010105")
LASTING = [spec for spec in TABLE if spec not in LETHAL]


def some_header(rng: Random, fid: int) -> bytes:
    right = rng.choice(RIGHTS), rng.choice(RIGHTS)
    if fid in (1, 2):
        return bytes((Kind.PURSE, 2, 8, *right, 0xFF, rng.choice(FIDS[:-1])))
    if fid > 0xFF:
        space = rng.choice((0x0400, 0xFFFF)).to_bytes(2, "big")
        return bytes((Kind.DIRECTORY,)) + space + bytes((*right, 0x95, 0xFF, 0xFF)) + b"hostile DF"
    kind = rng.choice(KINDS) | rng.choice((0, 0, 0x80, 0xC0, 0x40))
    high = rng.choice((0, 0, 2)) if kind & 0x3F in (Kind.TRANSPARENT, Kind.VARIABLE) else 4
    protection = rng.choice((0xFF, 0xFF, 0xFC, 0x7F))
    return bytes((kind, high, rng.choice(SIZES), *right, 0xFF, protection))


def some_key(rng: Random, usual: bytes) -> tuple[int, bytes]:
    kind, kid = rng.choice(list(KeyKind)), rng.choice((0, 0, 1, 1, 2, 3))
    value = PIN if kind is KeyKind.PIN else rng.choice((usual, usual, usual, *VALUES))
    tries = rng.choice((0x33, 0x33, 0x11, 0xFF, 0x00))
    return kid, bytes((kind, rng.choice(RIGHTS), 0xF0, 1, tries)) + value


def issued(rng: Random, usual: bytes) -> Card:
    """A card somebody has made: whatever it refuses is not there."""
    dialect = Dialect(dual_alg=True, protected_reads=True)
    card = Card(
        Chip(dialect, SeededEnv(rng.getrandbits(32)), {}),
        MemoryStore(blank_image()),
        fixtures.load_profile("student").contactless,
    )
    header = bytes((Kind.DIRECTORY, 0xFF, 0xFF, 0xF0, 0xF0, 0x95, 0xFF, 0xFF))
    name = SelectName(NAME)
    card.process(CREATE_FILE.command(CreateFileData(header + name.name), 0x3F, 0x01))
    card.process(SELECT.command(name))
    if rng.random() < 0.9:
        keys = bytes((Kind.KEYS, 4, 0, 0x95, 0xF0, 0xFF, 0xFF))
        card.process(CREATE_FILE.command(CreateFileData(keys), 0, 0))
        for _ in range(rng.choice((0, 20, 150, 150, 150, 150))):
            kid, record = some_key(rng, usual)
            card.process(WRITE_KEY.command(KeyData(record), 1, kid))
    for fid in rng.sample(FIDS, len(FIDS)):
        if rng.random() < 0.8:
            data = CreateFileData(some_header(rng, fid))
            card.process(CREATE_FILE.command(data, fid >> 8, fid & 0xFF))
    return card


def some_commands(rng: Random, desk: "Sizeless") -> Iterator[bytes]:
    """Right requests at wrong places, contents of any length, and what the campaign sends."""
    if desk.card._card.at != 1 and rng.random() < 0.6:
        yield SELECT.command(SelectName(NAME))
    if rng.random() < 0.3:
        yield from make_request(rng.choice, rng.randint).steps(desk)
        return
    if rng.random() < 0.2:
        yield SELECT_FILE.command(SelectId(rng.choice(FIDS).to_bytes(2, "big")))
    spec = rng.choice(TABLE.specs if rng.random() < 0.05 else LASTING)
    if needs_challenge(spec) and desk.card.state is State.IDLE:
        yield GET_CHALLENGE.command(None)[:4] + bytes((rng.choice((4, 8)),))
    p1, p2 = rng.choice(spec.params.examples())
    sfi = rng.choice((*FIDS[:-1], 0))
    if isinstance(spec.params, BinaryRef):
        p1, p2 = (0x80 | sfi if sfi else 0, rng.choice((0, 0, 1, 250)))
    elif isinstance(spec.params, RecordRef):
        p1, p2 = rng.choice((0, 0, 1, 1, 2, 255)), sfi << 3 | p2 & 7
    desk.filler, desk.record, desk.amount = rng.randint(0, 255), rng.randint(1, 18), 1
    file = desk.card._card.directory.files.get(sfi)
    is_whole = file is not None and file.head.size < 249 and rng.random() < 0.7
    desk.size = file.head.size if is_whole else rng.choice(SIZES[:-1])  # and a MAC fits behind it
    yield Command(spec.cla, spec.ins, p1, p2, desk.data(spec, p1, p2), spec.ne).build()


class Sizeless(Desk):
    """A desk whose contents have any size, some with the shape of a variable record.

    What goes into a file that is enciphered on writing is enciphered, if it fits.
    """

    size = 16

    def _content(self, spec: Spec, p1: int, p2: int) -> Content:
        plain_content = super()._content(spec, p1, p2)
        sfi = p1 & 0x1F if spec.ins == 0xD6 else p2 >> 3
        file = self.card._card.directory.files.get(sfi)
        if spec.cla != 0x04 or file is None or not file.head.guard & 0x40:
            return plain_content
        content = plain_content.content[:230]
        return Content(secure_messaging_encrypt(self.keys.damk, content))

    def content(self, sfi: int) -> bytes:
        if self.filler % 3 == 0 and self.size > 2:
            return bytes((self.record, self.size - 2)) + bytes(self.size - 2)
        return super().content(sfi)[: self.size].ljust(self.size, b"\x5a")


def load(desk: Desk) -> None:
    """Money on every purse that takes it."""
    desk.amount = 5000
    for which in (EP, ED):
        desk.ask(VERIFY_PIN)
        if desk.ask(INIT_LOAD, pair=(0x00, which))[-2:] == OK:
            desk.ask(CREDIT_LOAD)


def test_a_card_with_any_files_and_keys_answers_everything():
    words: Counter[int] = Counter()
    taken: Counter[str] = Counter()
    for seed in range(120):
        rng = Random(seed)
        usual = rng.choice(VALUES)
        desk = Sizeless(issued(rng, usual), Secrets(*[Key(usual)] * len(fields(Secrets))))
        load(desk)
        for _ in range(250):
            for command in some_commands(rng, desk):
                response = desk.send(command)
                check(command, response, fails=False)
                words[sw_of(response)] += 1
                spec = TABLE.route(command[:4])
                if response[-2:] == OK and not isinstance(spec, SW):
                    taken[spec.name] += 1
            for directory in plain(desk.card.image).directories:
                for purse in directory.purses.values():
                    purse.check()
    assert sum(words.values()) > 30_000
    assert len(taken) >= 40, sorted({s.name for s in TABLE} - set(taken))

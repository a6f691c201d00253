"""A card on which every command of the table can succeed, made by the commands of the annex.

Cards in service refuse to be emptied, filled and rewritten; this one is on the workshop's table.
Its purse application has both purses and a key of every type, and its rights are free. Of its two
forms one has files that take writes under MAC only, the other files without protection.
"""

from collections.abc import Iterable
from dataclasses import replace
from functools import cache

import fixtures
from apdu.commands import AID_PURSE, ED, EP, SELECT
from apdu.crypto import Key
from apdu.file_commands import APPEND_RECORD, CREATE_FILE, UPDATE_BINARY
from apdu.files import EF1A, EF1E, EF15, EF16, EF17, EF18
from apdu.key_commands import WRITE_KEY
from apdu.records import Content, CreateFileData, KeyData, SelectName
from emulator.card.card import Card
from emulator.card.dialect import Dialect
from emulator.card.env import Env, SeededEnv
from emulator.card.personalise import Secrets, blank_image, fresh_trip, public_info
from emulator.card.security import ALWAYS, NEVER
from emulator.card.state import Chip, Image, KeyKind, Kind
from emulator.card.store import MemoryStore
from tests.cards import OK, both, student_keys, with_app, with_content, with_purse

PIN = bytes.fromhex("123456")
DIALECT = Dialect(dual_alg=True, protected_reads=True)
MAC = 0x80
"""Protection bit of a file that is written under MAC only."""

KEYS: Secrets = replace(
    student_keys(), dack=Key(bytes(range(16))), record=Key(bytes(range(16, 32)))
)
"""Keys that all differ, unlike those of the cards in service."""

SECRET_FILE = 0x07
"""A file that is read and written only after the PIN, as the MAC key 32 is used only then."""

INTERNAL = {KeyKind.ENCRYPT: Key(b"E" * 16), KeyKind.DECRYPT: Key(b"D" * 16)}
PURSE_KEYS = ("PURCHASE", "dpk"), ("LOAD", "dlk"), ("UNLOAD", "dulk"), ("LIMIT", "duk")
MAINTENANCE = ("damk", "dbk", "dubk", "record")


def send(card: Card, *commands: bytes) -> None:
    for command in commands:
        response = card.process(command)
        assert response[-2:] == OK, (command.hex(), response.hex())


def make_file(fid: int, *header: int, name: bytes = b"") -> bytes:
    return CREATE_FILE.command(CreateFileData(bytes(header) + name), fid >> 8, fid & 0xFF)


def write_key(kind: KeyKind, kid: int, attributes: Iterable[int], value: bytes) -> bytes:
    return WRITE_KEY.command(KeyData(bytes((kind, *attributes)) + value), 0x01, kid)


def keys() -> list[bytes]:
    """WRITE KEY for a key of every type."""
    purse, tries = (ALWAYS, ALWAYS, 1, 0), (ALWAYS, ALWAYS, 0xFF, 0x33)
    commands = [write_key(KeyKind.EXTERNAL, 0, (ALWAYS, ALWAYS, 0x44, 0x33), KEYS.dack.expose())]
    commands += [
        write_key(KeyKind[kind], 1, purse, getattr(KEYS, name).expose())
        for kind, name in PURSE_KEYS
    ]
    commands.append(write_key(KeyKind.TAC, 0, purse, KEYS.dtk.expose()))
    commands += [
        write_key(KeyKind.MAINTENANCE, kid, tries, getattr(KEYS, name).expose())
        for kid, name in enumerate(MAINTENANCE)
    ]
    commands += [write_key(kind, 0, purse, key.expose()) for kind, key in INTERNAL.items()]
    commands.append(write_key(KeyKind.MAC, 0, (0xF1, ALWAYS, 1, 0), b"M" * 16))
    commands.append(write_key(KeyKind.PIN_UNBLOCK, 0, tries, KEYS.dpuk.expose()))
    commands.append(write_key(KeyKind.PIN_RELOAD, 0, tries, KEYS.drpk.expose()))
    commands.append(write_key(KeyKind.PIN, 0, (ALWAYS, NEVER, 0x01, 0x33), PIN))
    return commands


def files(guard: int) -> list[bytes]:
    """CREATE FILE for every file of the application. guard: protection bits."""
    free, log = (ALWAYS, ALWAYS, 0xFF), (ALWAYS, NEVER, 0xFF, 0xFF)
    return [
        *(
            make_file(f.sfi, Kind.TRANSPARENT | guard, 0, f.size, *free, 0xFF)
            for f in (EF15, EF16, EF17)
        ),
        make_file(EF18.sfi, Kind.CYCLIC | guard, EF18.count, EF18.size, *log),
        make_file(0x0019, Kind.CYCLIC, EF18.count, EF18.size, *log),
        make_file(EF1A.sfi, Kind.LINEAR | guard, EF1A.count + 2, EF1A.size, *free, 0xFC),
        make_file(EF1E.sfi, Kind.CYCLIC | guard, EF1E.count, EF1E.size, *free, 0xFC),
        make_file(SECRET_FILE, Kind.TRANSPARENT, 0, 16, 0xF1, 0xF1, 0xFF, 0xFF),
        make_file(EP, Kind.PURSE, 0x02, 0x08, ALWAYS, 0, 0xFF, EF18.sfi),
        make_file(ED, Kind.PURSE, 0x02, 0x08, 0xF1, 0, 0xFF, 0x19),
    ]


@cache
def workshop_image(guarded: bool, erase: int = ALWAYS) -> Image:
    """The image after personalisation. erase: the right to empty the application again."""
    card = Card(
        Chip(DIALECT, SeededEnv("made"), {}),
        MemoryStore(blank_image(right=NEVER)),
        fixtures.load_profile("student").contactless,
    )
    header = (Kind.DIRECTORY, 0x20, 0x00, ALWAYS, erase, 0x80 | EF15.sfi, 0xFF, 0xFF)
    select = SELECT.command(SelectName(AID_PURSE))
    send(card, make_file(0x3F01, *header, name=AID_PURSE), select)
    send(card, make_file(0, Kind.KEYS, 3, 0, 0x95, ALWAYS, 0xFF, 0xFF), *keys())
    send(card, *files(MAC if guarded else 0))
    info = public_info(fixtures.load_profile("student")).build()
    if not guarded:  # the purse can say so itself; under MAC `tests.unit.test_security` does
        trips = (fresh_trip(n) for n in range(1, EF1A.count + 1))
        append = (APPEND_RECORD.command(Content(t), 0, EF1A.sfi << 3) for t in trips)
        send(card, UPDATE_BINARY.command(Content(info), 0x80 | EF15.sfi, 0), *append)
    trips_now = tuple(fresh_trip(n) for n in range(1, EF1A.count + 1))
    return both(
        with_purse(EP, ceiling=100_000, actual=5000),
        with_purse(ED, ceiling=100_000, actual=3000),
        with_content(SECRET_FILE, bytes(16)),
        with_content(EF15.sfi, info),
        with_content(EF16.sfi, bytes(EF16.size)),
        with_content(EF17.sfi, bytes(EF17.size)),
        with_content(EF1A.sfi, trips_now),
        with_app(strikes=0),
    )(card.image)


def workshop_card(
    guarded: bool, *, env: Env | None = None, store: type | None = None, erase: int = ALWAYS
) -> Card:
    """A card of the workshop. store: what to keep it in."""
    image = workshop_image(guarded, erase)
    chip = Chip(DIALECT, env or SeededEnv("workshop"), {})
    return Card(chip, (store or MemoryStore)(image), fixtures.load_profile("student").contactless)

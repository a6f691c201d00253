"""A card on which every command of the table can succeed (`bench.conformance.workshop`).

It also has money, trips and written files, which no command would give it.
"""

from dataclasses import replace
from functools import cache

import fixtures
from apdu.commands import ED, EP
from apdu.crypto import Key
from apdu.file_commands import APPEND_RECORD, UPDATE_BINARY
from apdu.files import EF1A, EF15, EF16, EF17
from apdu.records import Content
from bench.conformance.workshop import MAC, application
from bench.conformance.workshop import SECRET_FILE as SECRET_FILE
from bench.conformance.workshop import make_file as make_file
from emulator.card.card import Card
from emulator.card.dialect import Dialect
from emulator.card.env import Env, SeededEnv
from emulator.card.personalise import Secrets, blank_image, fresh_trip, public_info
from emulator.card.security import ALWAYS, NEVER
from emulator.card.state import Chip, Image
from emulator.card.store import MemoryStore
from tests.cards import OK, both, student_keys, with_app, with_content, with_purse

PIN = bytes.fromhex("123456")
DIALECT = Dialect(dual_alg=True, protected_reads=True)
KEYS: Secrets = replace(
    student_keys(), dack=Key(bytes(range(16))), record=Key(bytes(range(16, 32)))
)
"""Keys that all differ, unlike those of the cards in service."""


def send(card: Card, *commands: bytes) -> None:
    for command in commands:
        response = card.process(command)
        assert response[-2:] == OK, (command.hex(), response.hex())


@cache
def workshop_image(guarded: bool, erase: int = ALWAYS) -> Image:
    """The image after personalisation. erase: the right to empty the application again."""
    card = Card(
        Chip(DIALECT, SeededEnv("made"), {}),
        MemoryStore(blank_image(right=NEVER)),
        fixtures.load_profile("student").contactless,
    )
    send(card, *application(KEYS, PIN, MAC if guarded else 0, erase))
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

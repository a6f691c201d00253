"""Cards of any kind, made as an issuer makes them and then changed where no command can."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import fixtures
from apdu.commands import EP, TABLE
from apdu.file_commands import AID_PURSE
from apdu.files import EF1A
from apdu.sw import SW
from bench.conformance.desk import DATE as DATE
from bench.conformance.desk import OK as OK
from bench.conformance.desk import TERMINAL as TERMINAL
from bench.conformance.desk import TIME as TIME
from bench.conformance.desk import needs_challenge as needs_challenge
from emulator.card.card import Card
from emulator.card.dialect import Dialect
from emulator.card.env import Env, SeededEnv
from emulator.card.personalise import Secrets, card_secrets, new_image, personalise
from emulator.card.state import Blocked, Directory, File, Image, Purse, with_directory
from emulator.card.store import MemoryStore, Store, StoreError

PIPELINE = {
    SW.CLA_UNKNOWN,
    SW.INS_UNKNOWN,
    SW.SECURE_MESSAGING_NOT_SUPPORTED,
    SW.WRONG_P1P2,
    SW.WRONG_LENGTH,
    SW.WRONG_STATE,
    SW.BLOCKED,
    SW.PERMANENTLY_BLOCKED,
    SW.MEMORY_FAILURE,
}
"""Words the pipeline itself gives (`apdu.spec.CommandSpec`)."""

Change = Callable[[Image], Image]


def sw_of(response: bytes) -> int:
    return int.from_bytes(response[-2:], "big")


def word_of(sw: int) -> int:
    """The declared form of a status word: 63Cx is declared as 6300."""
    return SW.AUTHENTICATION_FAILED if sw & 0xFFF0 == 0x63C0 else sw


def allowed(command: bytes, sw: int) -> bool:
    """Whether a status word may answer these bytes: 9000, the pipeline's, or the command's own."""
    if sw in PIPELINE:
        return True
    spec = TABLE.route(bytes(command[:4]))
    if isinstance(spec, SW):
        return sw == spec
    return sw == SW.OK or word_of(sw) in spec.errors or (sw >> 8 == 0x6C and not spec.le_rule)


def student_keys() -> Secrets:
    return card_secrets(fixtures.load_profile("student"), fixtures.load_roots())


def new_card(
    change: Change | None = None,
    *,
    env: Env | None = None,
    store: Callable[[Image], Store] = MemoryStore,
    dialect: dict[str, Any] | None = None,
    **profile: Any,
) -> Card:
    """A student's card with 50.00 yuan. profile: fields of the profile to replace."""
    fields: dict[str, Any] = {"balance": 5000, "dialect": Dialect(**(dialect or {}))} | profile
    made = replace(fixtures.load_profile("student"), **fields)
    image = new_image(made, fixtures.load_roots())
    if change is not None:
        image = change(image)
    return personalise(made, fixtures.load_roots(), env or SeededEnv("tests"), store(image))


# Looking into an image


def purse_at(image: Image, name: bytes = AID_PURSE) -> int:
    return next(n for n, d in enumerate(image.directories) if d.head.name == name)


def app_of(image: Image) -> Directory:
    """The purse application."""
    return image.directories[purse_at(image)]


def purse_in(image: Image, which: int = EP) -> Purse:
    return app_of(image).purses[which]


def content_of(image: Image, sfi: int) -> Any:
    """What a file of the purse application holds."""
    return app_of(image).files[sfi].content


def contents_of(image: Image) -> dict[int, Any]:
    return {sfi: file.content for sfi, file in app_of(image).files.items()}


# Changing one


def with_app(**fields: Any) -> Change:
    """A change of the purse application's own fields: blocked, strikes."""

    def change(image: Image) -> Image:
        return with_directory(image, purse_at(image), replace(app_of(image), **fields))

    return change


def with_purse(which: int = EP, **numbers: int) -> Change:
    """A change of a purse object."""

    def change(image: Image) -> Image:
        purses = app_of(image).purses
        return with_app(purses={**purses, which: replace(purses[which], **numbers)})(image)

    return change


def with_content(sfi: int, content: Any, is_written: bool = True) -> Change:
    """A change of what a file holds."""

    def change(image: Image) -> Image:
        files = app_of(image).files
        return with_app(files={**files, sfi: File(files[sfi].head, content, is_written)})(image)

    return change


def with_trip(record: bytes, number: int = 1) -> Change:
    """A change of one record of EF1A."""

    def change(image: Image) -> Image:
        records = list(content_of(image, EF1A.sfi))
        records[number - 1] = record
        return with_content(EF1A.sfi, tuple(records))(image)

    return change


def with_blocked(how: Blocked) -> Change:
    return with_app(blocked=how)


def both(*changes: Change) -> Change:
    """Changes one after the other."""

    def change(image: Image) -> Image:
        for one in changes:
            image = one(image)
        return image

    return change


class Failing:
    """A store that fails when told to."""

    def __init__(self, image: Image) -> None:
        self.image = image
        self.fails = False
        self.commits = 0

    def load(self) -> Image:
        return self.image

    def commit(self, image: Image) -> None:
        if self.fails:
            raise StoreError("told to")
        self.commits += 1
        self.image = image

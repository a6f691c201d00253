"""What changes a card for good, by name: each act is one commit, made through a desk."""

from collections.abc import Callable
from functools import cache

from apdu.commands import (
    CREDIT_LOAD,
    DEBIT,
    DEBIT_UNLOAD,
    INIT_CAPP,
    INIT_LIMIT,
    INIT_LOAD,
    INIT_PURCHASE,
    INIT_UNLOAD,
    SELECT,
    UPDATE_CACHE,
    UPDATE_LIMIT,
)
from apdu.file_commands import UPDATE_BINARY_MAC, UPDATE_RECORD_MAC
from apdu.files import EF1A, EF1E, EF15
from apdu.key_commands import (
    APPLICATION_BLOCK,
    APPLICATION_UNBLOCK,
    CARD_BLOCK,
    CHANGE_PIN,
    PIN_UNBLOCK,
    RELOAD_PIN,
    VERIFY_PIN,
)
from apdu.records import ChangePin, Pin
from emulator.card.state import Image
from tests.cards import new_card
from tests.desk import Desk

WRONG = bytes.fromhex("111111")
Act = Callable[[Desk], object]


def capp(desk: Desk) -> None:
    """Three cached records: EF1A 2701 and 2702, and EF1E."""
    desk.run(INIT_CAPP)
    for record, sfi in ((1, EF1A.sfi), (2, EF1A.sfi), (1, EF1E.sfi)):
        desk.record = record
        desk.run((UPDATE_CACHE, (0, sfi << 3)))
    desk.run(DEBIT)


def wrong_pin(desk: Desk) -> None:
    assert desk.ask(VERIFY_PIN, Pin(WRONG)).hex() == "63c2"


def wrong_change(desk: Desk) -> None:
    assert desk.ask(CHANGE_PIN, ChangePin(WRONG + b"\xff" + WRONG)).hex() == "63c2"


def wrong_mac(desk: Desk) -> None:
    command = desk.request(UPDATE_BINARY_MAC, (0x80 | EF15.sfi, 24))
    desk.prepare(UPDATE_BINARY_MAC)
    assert desk.send(command)[-2:] == b"\x69\x88"


def blocked(desk: Desk) -> None:
    desk.run(APPLICATION_BLOCK)


ACTS: dict[str, tuple[Act | None, Act]] = {
    "load": (None, lambda desk: desk.run(INIT_LOAD, CREDIT_LOAD)),
    "unload": (None, lambda desk: desk.run(INIT_UNLOAD, DEBIT_UNLOAD)),
    "limit": (None, lambda desk: desk.run(INIT_LIMIT, UPDATE_LIMIT)),
    "purchase": (None, lambda desk: desk.run(INIT_PURCHASE, DEBIT)),
    "capp": (None, capp),
    "04 D6": (None, lambda desk: desk.run((UPDATE_BINARY_MAC, (0x80 | EF15.sfi, 24)))),
    "04 D6, wrong MAC": (None, wrong_mac),
    "04 DC": (None, lambda desk: desk.run((UPDATE_RECORD_MAC, (1, EF1A.sfi << 3 | 4)))),
    "application block": (None, blocked),
    "application unblock": (blocked, lambda desk: desk.run(APPLICATION_UNBLOCK)),
    "card block": (None, lambda desk: desk.run(CARD_BLOCK)),
    "VERIFY, wrong": (None, wrong_pin),
    "VERIFY, right": (wrong_pin, lambda desk: desk.run(VERIFY_PIN)),
    "CHANGE PIN": (None, lambda desk: desk.ask(CHANGE_PIN, ChangePin(desk.pin + b"\xff" + WRONG))),
    "CHANGE PIN, wrong": (None, wrong_change),
    "RELOAD PIN": (wrong_pin, lambda desk: desk.run(RELOAD_PIN)),
    "PIN UNBLOCK": (wrong_pin, lambda desk: desk.run(PIN_UNBLOCK)),
}
"""What is cut, by name; before it, what must have happened."""


@cache
def settled_image() -> Image:
    """A card on which every transaction has been made, so that files and proofs are not empty."""
    desk = Desk(new_card())
    desk.run(SELECT)
    for before, act in (ACTS["load"], ACTS["limit"], ACTS["capp"], ACTS["purchase"]):
        assert before is None
        act(desk)
    return desk.card.image

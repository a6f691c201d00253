"""Cards that nobody would issue, and commands nobody should get away with."""

from dataclasses import replace

import pytest

from apdu.commands import (
    AID_PURSE,
    CREDIT_LOAD,
    DEBIT,
    GET_BALANCE,
    INIT_CAPP,
    INIT_LOAD,
    READ_BINARY,
    SELECT,
    SELECT_FILE,
    UPDATE_CACHE,
)
from apdu.file_commands import (
    APPEND_RECORD,
    CREATE_FILE,
    ERASE_DF,
    READ_BINARY_MAC,
    UPDATE_BINARY,
)
from apdu.files import EF1A
from apdu.key_commands import APPLICATION_BLOCK, APPLICATION_UNBLOCK, WRITE_KEY
from apdu.records import CacheData, Content, Protected, SelectId
from apdu.spec import State
from apdu.sw import SW
from emulator.card.state import KeyKind, Kind
from tests.cards import OK, app_of, sw_of, with_app
from tests.desk import PATHS, PRELUDE, Desk, desk_of, ready, shop_desk
from tests.workshop import make_file, send

FREE = (0xF0, 0xF0, 0xFF, 0xFF)


def shop_with(*files: bytes) -> Desk:
    """A workshop card with more files, the purse selected and the PIN verified."""
    made = shop_desk(UPDATE_BINARY)
    made.run(*PRELUDE)
    send(made.card, *files)
    return made


# A card in service stays what it is


@pytest.mark.parametrize("spec", [ERASE_DF, CREATE_FILE, WRITE_KEY], ids=lambda s: s.name)
@pytest.mark.parametrize("selected", [True, False], ids=["purse", "MF"])
def test_nobody_empties_fills_or_rekeys_a_card_in_service(spec, selected):
    made = desk_of()
    if not selected:
        made.card.power_off()
    before = made.card.image
    assert sw_of(made.ask(spec)) == SW.SECURITY_STATUS
    assert made.card.image is before
    made.run(SELECT, GET_BALANCE)


def test_a_blocked_application_selects_no_file_either():
    made = desk_of()
    made.run(APPLICATION_BLOCK)
    assert sw_of(made.ask(SELECT_FILE)) == SW.BLOCKED
    assert made.ask(SELECT_FILE, SelectId(b"\x3f\x00"))[-2:] == OK, "the MF is not blocked"
    assert sw_of(made.ask(SELECT)) == SW.BLOCKED
    made.run(APPLICATION_UNBLOCK, SELECT_FILE)


def test_a_block_survives_the_field_and_an_unblock_brings_the_money_back():
    made = desk_of()
    before = made.card.purse
    made.run(APPLICATION_BLOCK)
    made.card.power_off()
    assert sw_of(made.ask(SELECT)) == SW.BLOCKED
    made.run(APPLICATION_UNBLOCK, GET_BALANCE)
    assert made.card.purse == before


# Files of odd sizes


@pytest.mark.parametrize("size", range(1, 8))
def test_a_trip_file_of_short_records_takes_no_trip(size):
    made = shop_desk(UPDATE_BINARY)
    image = made.card.image
    files = {k: v for k, v in app_of(image).files.items() if k != EF1A.sfi}
    made.card._store.commit(with_app(files=files)(image))
    made.card.power_off()
    made.run(*PRELUDE)
    send(made.card, make_file(EF1A.sfi, Kind.LINEAR, 4, size, *FREE))
    record = (b"\x27\x01" + bytes(size))[:size]
    for _ in range(2):
        made.run(*PRELUDE)
        assert made.ask(APPEND_RECORD, Content(record), (0, EF1A.sfi << 3))[-2:] == OK
    made.run(INIT_CAPP)
    word = sw_of(made.ask(UPDATE_CACHE, CacheData(record), (0, EF1A.sfi << 3)))
    assert word == (SW.OK if size > 5 else SW.RECORD_NOT_FOUND)


@pytest.mark.parametrize("log", [0x15, 0x16, 0x1A, 0x05, 0x00])
def test_a_purse_whose_log_is_none_works_and_logs_nothing(log):
    """FMCOS takes any file id for the log, also one that is made later or never (annex 3.2, 7)."""
    made = ready(State.IDLE, UPDATE_BINARY)
    app = app_of(made.card.image)
    purses = {which: replace(purse, log=log) for which, purse in app.purses.items()}
    made.card._store.commit(with_app(purses=purses)(made.card.image))
    made.card.power_off()
    made.run(*PRELUDE, *PATHS[State.CAPP_INIT], DEBIT, INIT_LOAD, CREDIT_LOAD)
    assert app_of(made.card.image).files == app.files


def test_a_file_longer_than_an_answer_is_read_in_parts():
    made = shop_with(make_file(0x06, Kind.TRANSPARENT, 0x02, 0x10, *FREE))
    send(made.card, UPDATE_BINARY.command(Content(b"written"), 0x86, 0))
    whole = made.ask(READ_BINARY, pair=(0x86, 0))
    assert len(whole) == 258
    assert whole[-2:] == OK
    made.run(SELECT_FILE)
    made.send(SELECT_FILE.command(SelectId(b"\x00\x06")))
    assert len(made.ask(READ_BINARY, pair=(0x01, 0x00))) == 258
    assert len(made.ask(READ_BINARY, pair=(0x02, 0x00))) == 18


def test_a_protected_answer_is_never_longer_than_a_short_one():
    made = shop_desk()
    made.run(*PRELUDE)
    send(made.card, make_file(0x06, Kind.TRANSPARENT | 0xC0, 0x02, 0x10, *FREE))
    for ne in (256, 239, 240, 255):
        made.prepare(READ_BINARY_MAC)
        mac = made.sm_mac(made.keys.damk, READ_BINARY_MAC, 0x86, 0, b"")
        head = bytes((READ_BINARY_MAC.cla, READ_BINARY_MAC.ins, 0x86, 0, 4))
        response = made.send(head + Protected(mac).build() + bytes((ne & 0xFF,)))
        assert len(response) <= 258
        assert sw_of(response) in (SW.OK, SW.WRONG_LENGTH)


# Keys that are not there


def test_without_its_tac_key_a_purse_takes_and_gives_nothing():
    made = ready(State.IDLE)
    app = app_of(made.card.image)
    keys = {place: key for place, key in app.keys.items() if place[0] is not KeyKind.TAC}
    made.card._store.commit(with_app(keys=keys)(made.card.image))
    made.card.power_off()
    before = made.card.image
    for path, final in ((PATHS[State.PURCHASE], DEBIT), (PATHS[State.LOAD], CREDIT_LOAD)):
        made.run(*PRELUDE, *path)
        assert sw_of(made.ask(final)) == SW.KEY_INDEX
        assert made.card.image is before


def test_the_application_of_the_workshop_is_the_one_of_the_cards_in_service():
    assert app_of(shop_desk().card.image).head.name == AID_PURSE

"""Every status word of protocol reference 4.23: a card that answers it, or why none does.

Words that the card never answers are listed in `docs/supported.md` with the reasons given here.
"""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from apdu.commands import (
    CREDIT_LOAD,
    DEBIT,
    ED,
    EP,
    GET_BALANCE,
    GET_PROVE,
    INIT_CAPP,
    INIT_LOAD,
    INIT_PURCHASE,
    INIT_UNLOAD,
    SELECT,
    TABLE,
    UPDATE_CACHE,
    UPDATE_LIMIT,
)
from apdu.crypto import Key
from apdu.file_commands import (
    APPEND_RECORD,
    CREATE_FILE,
    GET_DATA,
    GET_RESPONSE,
    READ_BINARY,
    READ_RECORD,
    SELECT_FILE,
    UPDATE_BINARY,
    UPDATE_BINARY_MAC,
    UPDATE_RECORD,
)
from apdu.files import EF1A, EF1E, EF15
from apdu.key_commands import (
    APPLICATION_BLOCK,
    CARD_BLOCK,
    EXTERNAL_AUTHENTICATE,
    GET_ALGORITHM,
    INTERNAL_AUTHENTICATE,
    RELOAD_PIN,
    VERIFY_PIN,
    WRITE_KEY,
)
from apdu.records import (
    CacheData,
    Content,
    CreateFileData,
    InitializeData,
    Pin,
    ProveData,
    SelectName,
)
from apdu.spec import State
from apdu.sw import SW
from emulator.card.state import Blocked
from emulator.frontends.vpcd import VpcdFrontend
from tests.cards import TERMINAL, Failing, new_card, sw_of, with_blocked, with_purse, with_trip
from tests.counter import begin, trip
from tests.desk import PATHS, Desk, desk_in, desk_of, ready, shop_desk
from tests.echo import EchoCard

SUPPORTED = Path(__file__).parents[2] / "docs" / "supported.md"
SECTION = "## Status words never answered"

NEVER = {
    "61xx": "answers leave whole in T=CL; there is nothing to fetch with GET RESPONSE",
    "6200": "no source says when a card gives it",
    "6282": "a read beyond the end answers 6B00 or 6Cxx",
    "6284": "the FCI always has its standard form",
    "6400": "blocking twice answers 9000, and a failed write 6581",
    "6900": "6901 tells a wrong state, 6987 a missing MAC",
    "6974": "electronic cash only",
    "6A85": "records of EF1A have a fixed length; a wrong one answers 6700 or 6A84",
    "9301": "the old form of 9401",
    "9408": "grey locking belongs to fuel cards; its class answers 6E00",
}
"""Words of 4.23 that this card never answers, each with the reason."""

Case = Callable[[], int]
CASES: dict[str, list[Case]] = {}


def answers(word: str) -> Callable[[Case], Case]:
    """Register a case: what it returns must be this word."""

    def register(case: Case) -> Case:
        CASES.setdefault(word, []).append(case)
        return case

    return register


def sent(made: Desk, spec: Any, data: Any = None, pair: Any = None) -> int:
    return sw_of(made.ask(spec, data, pair))


def raw(made: Desk, text: str) -> int:
    return sw_of(made.send(bytes.fromhex(text)))


@answers("9000")
def a_balance() -> int:
    return sent(desk_of(), GET_BALANCE)


@answers("6281")
def a_file_never_written() -> int:
    made = shop_desk(CREATE_FILE)
    made.run(SELECT, CREATE_FILE)
    return sent(made, READ_BINARY, pair=(0x85, 0))


@answers("6283")
def a_blocked_application_of_another_dialect() -> int:
    made = Desk(new_card(with_blocked(Blocked.TEMPORARY), dialect={"select_blocked": "6283"}))
    return sent(made, SELECT)


@answers("63Cx")
def a_wrong_pin() -> int:
    return sent(desk_of(), VERIFY_PIN, Pin(b"\x99\x99"))


@answers("63Cx")
def a_wrong_cryptogram() -> int:
    made = desk_of()
    made.keys = replace(made.keys, dack=Key(bytes(range(16))))
    return sent(made, EXTERNAL_AUTHENTICATE)


@answers("63Cx")
def a_wrong_mac_of_another_dialect() -> int:
    made = desk_of(dialect={"wrong_mac": "63Cx"})
    made.keys = replace(made.keys, damk=Key(bytes(range(16))))
    return sent(made, UPDATE_BINARY_MAC)


@answers("6581")
def a_store_that_fails() -> int:
    made = ready(State.PURCHASE)
    store = Failing(made.card.image)
    store.fails = True
    made.card._store = store
    return sent(made, DEBIT)


@answers("6700")
def a_length_that_does_not_fit() -> int:
    return raw(desk_of(), "805001020301AA")


@answers("6700")
def a_record_too_short() -> int:
    return sent(desk_in(State.CAPP_INIT), UPDATE_CACHE, CacheData(b"\x27\x01"), (0, EF1A.sfi << 3))


@answers("6882")
def a_mac_where_the_file_wants_none() -> int:
    made = shop_desk(UPDATE_BINARY)
    made.run(SELECT)
    return sent(made, UPDATE_BINARY_MAC)


@answers("6901")
def a_final_command_alone() -> int:
    return sent(desk_of(), CREDIT_LOAD)


@answers("6981")
def a_transparent_read_of_records() -> int:
    return raw(desk_of(), "00B0980000")


@answers("6981")
def a_cache_of_the_log() -> int:
    return sent(desk_in(State.CAPP_INIT), UPDATE_CACHE, CacheData(bytes(23)), (0, 0x18 << 3))


@answers("6982")
def a_passbook_without_its_pin() -> int:
    made = desk_of(has_ed=True)
    return sent(made, GET_BALANCE, pair=(0x00, ED))


@answers("6982")
def a_load_without_the_pin_of_another_dialect() -> int:
    return sent(desk_of(dialect={"pin_for_load": True}), INIT_LOAD)


@answers("6982")
def a_file_made_by_a_stranger() -> int:
    return sent(desk_of(), CREATE_FILE)


@answers("6982")
def a_log_written_from_outside() -> int:
    return sent(desk_of(), UPDATE_RECORD, Content(bytes(23)), (1, 0x18 << 3 | 4))


@answers("6983")
def a_pin_without_tries() -> int:
    made = desk_of()
    words = [sent(made, VERIFY_PIN, Pin(b"\x99\x99")) for _ in range(3)]
    assert words == [0x63C2, 0x63C1, 0x63C0]
    return sent(made, VERIFY_PIN)


@answers("6984")
def a_mac_without_a_challenge() -> int:
    made = desk_of()
    return sw_of(made.send(made.request(APPLICATION_BLOCK)))


@answers("6985")
def a_load_of_nothing() -> int:
    return sent(desk_of(), INIT_LOAD, InitializeData(1, 0, TERMINAL))


@answers("6985")
def an_unload_of_nothing() -> int:
    return sent(desk_of(), INIT_UNLOAD, InitializeData(1, 0, TERMINAL))


@answers("6985")
def a_limit_that_passes_three_bytes() -> int:
    made = ready(State.UPDATE_LIMIT)
    made.limit = 0xFFFFFF
    return sent(made, UPDATE_LIMIT)


@answers("6985")
def nothing_waits() -> int:
    return sent(desk_of(), GET_RESPONSE)


@answers("6985")
def a_cache_too_soon_of_another_dialect() -> int:
    return sent(desk_of(dialect={"cache_too_soon": "6985"}), UPDATE_CACHE)


@answers("6986")
def an_offset_without_a_file() -> int:
    return raw(desk_of(), "00B0000000")


@answers("6987")
def a_write_without_its_mac() -> int:
    return sent(desk_of(), UPDATE_BINARY)


@answers("6988")
def a_wrong_mac() -> int:
    made = desk_of()
    made.keys = replace(made.keys, damk=Key(bytes(range(16))))
    return sent(made, UPDATE_BINARY_MAC)


@answers("6A80")
def an_id_that_is_not_the_record_s() -> int:
    return sent(desk_in(State.CAPP_INIT), UPDATE_CACHE, CacheData(trip(2)), (1, EF1A.sfi << 3))


@answers("6A80")
def a_file_of_no_kind() -> int:
    made = shop_desk()
    made.run(SELECT)
    return sent(made, CREATE_FILE, CreateFileData(bytes.fromhex("210010F0F0FFFF")))


@answers("6A81")
def a_dead_card() -> int:
    made = desk_of()
    made.run(CARD_BLOCK)
    made.card.power_off()
    known = [spec for spec in TABLE if spec.ins != GET_ALGORITHM.ins]  # it has one algorithm
    assert {sw_of(made.ask(spec)) for spec in known} == {SW.BLOCKED}
    assert sent(made, GET_ALGORITHM) == SW.INS_UNKNOWN, "6D00 comes before 6A81"
    return sent(made, SELECT)


@answers("6A81")
def a_blocked_application() -> int:
    made = desk_of()
    made.run(APPLICATION_BLOCK)
    return sent(made, GET_BALANCE)


@answers("6A82")
def an_application_that_is_not_there() -> int:
    return sent(Desk(new_card()), SELECT, SelectName(b"\xd2\x76\x00\x00\x85\x01\x01"))


@answers("6A82")
def a_file_that_is_not_there() -> int:
    return raw(desk_of(), "00B0840020")


@answers("6A83")
def a_record_that_is_not_there() -> int:
    return sent(desk_of(), READ_RECORD, pair=(19, EF1A.sfi << 3 | 4))


@answers("6A83")
def an_unused_record_of_another_dialect() -> int:
    return sent(desk_of(dialect={"unused_records": "6A83"}), READ_RECORD, pair=(1, 0xC4))


@answers("6A84")
def a_record_too_long() -> int:
    return sent(desk_in(State.CAPP_INIT), UPDATE_CACHE, CacheData(bytes(49)), (0, EF1E.sfi << 3))


@answers("6A84")
def a_file_that_is_full() -> int:
    made = shop_desk(APPEND_RECORD)
    made.run(SELECT)
    words = [sent(made, APPEND_RECORD, pair=(0, EF1A.sfi << 3)) for _ in range(3)]
    assert words[:2] == [SW.OK, SW.OK]
    return words[2]


@answers("6A86")
def a_purse_that_is_not_there() -> int:
    return sent(desk_of(), INIT_PURCHASE, pair=(0x01, ED))


@answers("6A86")
def a_key_that_is_there_already() -> int:
    made = shop_desk()
    made.run(SELECT, WRITE_KEY)
    return sent(made, WRITE_KEY)


@answers("6A88")
def a_data_object() -> int:
    return sent(desk_of(), GET_DATA)


@answers("6A88")
def a_key_that_is_not_there() -> int:
    return sent(desk_of(), INTERNAL_AUTHENTICATE)


@answers("6B00")
def an_offset_beyond_the_file() -> int:
    return sent(desk_of(), READ_BINARY, pair=(0x80 | EF15.sfi, EF15.size))


@answers("6Cxx")
def another_length_than_the_record_s() -> int:
    return raw(desk_of(), "00B201C416")


@answers("6882")
def secure_messaging_on_a_plain_command() -> int:
    return raw(desk_of(), "84500102")


@answers("6D00")
def an_unknown_instruction() -> int:
    return raw(desk_of(), "80FF0000")


@answers("6D00")
def an_algorithm_command_without_its_dialect() -> int:
    return raw(desk_of(), "80CD000001")


@answers("6E00")
def an_unknown_class() -> int:
    return raw(desk_of(), "E07A080207")


@answers("6F00")
def a_bug_of_ours() -> int:
    def fail(command: bytes) -> bytes:
        raise ZeroDivisionError

    return sw_of(VpcdFrontend(EchoCard(fail))._process(b"\0\xa4\x04\0"))


@answers("9302")
def a_wrong_mac1() -> int:
    made = desk_in(State.PURCHASE)
    made.keys = replace(made.keys, dpk=Key(bytes(range(16))))
    return sent(made, DEBIT)


@answers("9302")
def a_wrong_reload() -> int:
    made = desk_of()
    made.keys = replace(made.keys, drpk=Key(bytes(range(16))))
    return sent(made, RELOAD_PIN)


@answers("9303")
def the_third_wrong_mac() -> int:
    made = desk_of()
    made.keys = replace(made.keys, damk=Key(bytes(range(16))))
    assert [sent(made, UPDATE_BINARY_MAC) for _ in range(2)] == [SW.MAC_WRONG] * 2
    word = sent(made, UPDATE_BINARY_MAC)
    assert sent(made, SELECT_FILE) == SW.PERMANENTLY_BLOCKED, "the application is blocked"
    return word


@answers("9401")
def too_little_money() -> int:
    return sent(desk_of(), INIT_PURCHASE, InitializeData(1, 5001, TERMINAL))


@answers("9401")
def a_limit_below_what_is_used() -> int:
    made = desk_of(with_purse(actual=0, limit=700, used=500))
    made.run(*PATHS[State.UPDATE_LIMIT])
    made.limit = 499
    return sent(made, UPDATE_LIMIT)


@answers("9402")
def a_number_at_its_end() -> int:
    return sent(desk_of(with_purse(EP, offline_seq=0xFFFF)), INIT_CAPP)


@answers("9403")
def a_key_index_nobody_has() -> int:
    return sent(desk_of(), INIT_PURCHASE, InitializeData(2, 1, TERMINAL))


@answers("9403")
def a_pin_nobody_has() -> int:
    return sent(desk_of(), VERIFY_PIN, pair=(0x00, 0x07))


@answers("9406")
def a_transaction_never_made() -> int:
    return sent(desk_of(), GET_PROVE, ProveData(1))


@answers("9407")
def a_locked_record() -> int:
    made = desk_of(with_trip(trip(1, lock=1)))
    begin(made, INIT_CAPP, 0)
    return sent(made, UPDATE_CACHE, CacheData(trip(1)), (1, EF1A.sfi << 3))


def family(sw: int) -> str:
    """The word as 4.23 writes it."""
    if sw & 0xFFF0 == 0x63C0:
        return "63Cx"
    return "6Cxx" if sw >> 8 == 0x6C else f"{sw:04X}"


@pytest.mark.parametrize(
    ("word", "case"),
    [(word, case) for word, cases in CASES.items() for case in cases],
    ids=[f"{word}-{case.__name__}" for word, cases in CASES.items() for case in cases],
)
def test_the_word_is_answered(word, case):
    assert family(case()) == word


def listed() -> set[str]:
    """The words of 4.23: the fixed ones of `SW`, the two that carry a number, and two of others."""
    fixed = {f"{sw:04X}" for sw in SW} - {"6300"}
    return fixed | {"63Cx", "6Cxx", "61xx", "6974"}


def test_every_word_of_the_reference_is_answered_or_accounted_for():
    assert set(CASES) | set(NEVER) == listed()
    assert not set(CASES) & set(NEVER)


def test_no_command_declares_a_word_that_is_never_answered():
    declared = {f"{sw:04X}" for spec in TABLE for sw in spec.errors}
    assert not declared & set(NEVER)
    assert declared - {"6300"} <= set(CASES)


@pytest.mark.parametrize("word", NEVER)
def test_the_document_says_why_a_word_is_never_answered(word):
    text = SUPPORTED.read_text("utf-8")
    assert SECTION in text
    section = text[text.index(SECTION) :].removeprefix(SECTION).split("\n## ")[0]
    rows = [line for line in section.splitlines() if line.startswith(f"| {word} |")]
    assert len(rows) == 1, f"{word} has no row, or several"
    assert NEVER[word] in rows[0]

"""A foreign card on a reader: what it says of itself, and what the guard lets pass."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from random import Random

import pytest

import fixtures
from apdu.commands import AID_PURSE, TABLE
from apdu.crypto import Key
from apdu.file_commands import AID_PPSE, UPDATE_RECORD_MAC
from apdu.files import FILES
from apdu.fmcos import ALWAYS, KeyKind
from apdu.key_commands import (
    APPLICATION_BLOCK,
    APPLICATION_UNBLOCK,
    EXTERNAL_AUTHENTICATE,
    VERIFY_PIN,
)
from apdu.order import ROOTS, card_secrets
from apdu.purse import secure_messaging_mac
from bench.conformance.case import Case, Level, Need, NotApplicable, Verdict
from bench.conformance.desk import KINDS, Desk
from bench.conformance.keys_file import KeyRing, load_keys
from bench.conformance.reader_stand import Leave, ReaderStand, reader_stand
from bench.conformance.reading import is_reading
from bench.conformance.runner import run_case
from bench.conformance.suite import card_cases
from bench.conformance.words import Words
from bench.problem import Problem
from bench.roads import InProcessCoupler
from emulator.card.card import Card
from emulator.card.env import SeededEnv
from emulator.card.personalise import personalise
from emulator.card.profile import ProfileError
from emulator.card.state import Blocked, Chip
from emulator.card.store import MemoryStore
from reader.transport.base import CardLost, Transport
from tests.liars import Liar, honest

TEST_KEYS = load_keys("test")
STUDENT = fixtures.load_profile("student")
SELECT = bytes.fromhex("00A4040008") + AID_PURSE
DEBIT = bytes.fromhex("805401000F") + bytes(15)
VERIFY = bytes.fromhex("0020000003123456")


def card_of(issuer: str = "09981001", **others: object) -> Card:
    profile = replace(STUDENT, issuer=bytes.fromhex(issuer + "FFFFFFFF"), **others)
    return personalise(profile, fixtures.load_roots(), SeededEnv(1))


def stand_with(card: Card | Liar, leave: Leave | None = None) -> ReaderStand:
    return ReaderStand("here", InProcessCoupler(card), leave or Leave(), in_time=True)


def test_a_card_declares_itself():
    card = card_of("01011000", card_kind=7, city=bytes.fromhex("1210"), interop=False)
    declared = stand_with(card).declared
    assert (declared.issuer.hex(), declared.serial) == ("01011000ffffffff", STUDENT.serial)
    assert (declared.card_kind, declared.city.hex(), declared.interop) == (7, "1210", False)
    assert (declared.start_date, declared.end_date) == (STUDENT.start_date, STUDENT.end_date)
    assert not declared.has_ed


def test_a_declared_profile_gives_the_dialect_and_the_card_its_identity(tmp_path: Path):
    file = tmp_path / "mine.toml"
    file.write_text(
        'extends = "student"\ntitle = "Mine"\nserial = "03105228009900009999"\n'
        '[dialect]\nunused_records = "FF"\n'
    )
    declared = stand_with(card_of(), Leave(profile=str(file))).declared
    assert (declared.name, declared.title) == ("mine", "Mine")
    assert declared.dialect.unused_records == "FF"
    assert declared.serial == STUDENT.serial
    named = stand_with(card_of(), Leave(profile="student-two-purses")).declared
    assert named.dialect.cjt_application


@pytest.mark.parametrize(
    ("text", "error", "why"),
    [
        (None, Problem, "cannot be read: No such file"),
        ("[", Problem, "is not TOML"),
        ('title = "x"\n', ProfileError, "profile bad: 'serial' is missing"),
        ('extends = "nobody"\n', ProfileError, "extends 'nobody', which is not a profile"),
    ],
)
def test_a_wrong_profile_file_is_told_in_one_sentence(
    tmp_path: Path, text: str | None, error: type[Exception], why: str
):
    file = tmp_path / "bad.toml"
    if text is not None:
        file.write_text(text)
    with pytest.raises(error, match=why):
        stand_with(card_of(), Leave(profile=str(file)))


def test_a_card_without_the_purse_is_refused():
    gone = Liar(lambda command, answer: b"\x6a\x82")
    with pytest.raises(Problem, match=r"the card on here has no purse A0.*SELECT answered 6A82"):
        stand_with(gone)


@pytest.mark.parametrize("may_write", [True, False])
@pytest.mark.parametrize("issuer", ["09981001", "09991001", "01011000"])
@pytest.mark.parametrize("ring", [None, TEST_KEYS])
def test_what_a_stand_can_do_follows_from_leave_and_issuer(
    issuer: str, may_write: bool, ring: KeyRing | None
):
    leave = Leave(keys=ring, may_write=may_write)
    if may_write and issuer == "01011000":
        with pytest.raises(Problem, match=r"--write is refused: .* of issuer 01011000, and only"):
            stand_with(card_of(issuer), leave)
        return
    found = stand_with(card_of(issuer), leave).abilities
    assert (Need.WRITE in found, Need.KEYS in found) == (may_write, ring is not None)
    assert not {Need.FRESH, Need.BLANK, Need.FRAMES} & found
    assert {Need.CUT, Need.TIME} <= found


def test_keys_that_do_not_fit_are_noticed_before_the_first_case():
    wrong = KeyRing({name: fixtures.load_roots()["PMK"] for name in TEST_KEYS.keys}, True)
    with pytest.raises(Problem, match="the keys do not fit the card on here: MAC1"):
        stand_with(card_of(), Leave(keys=wrong))


def test_a_card_that_refuses_to_be_checked_is_taken_with_its_keys():
    shy = Liar(lambda command, answer: b"\x69\x85" if command[:2] == b"\x80\x50" else answer)
    assert Need.KEYS in stand_with(shy, Leave(keys=TEST_KEYS)).abilities


def test_looking_at_a_card_only_reads_and_with_leave_asks_for_unblock_once():
    card = Liar(honest)
    stand_with(card, Leave(keys=TEST_KEYS))
    assert card.seen
    assert all(map(is_reading, card.seen))
    card.seen.clear()
    assert stand_with(card, Leave(keys=TEST_KEYS, may_write=True)).can_unblock
    assert [c[:2].hex() for c in card.seen if not is_reading(c)] == ["8418"]


# The guard


@pytest.mark.parametrize("spec", list(TABLE), ids=lambda spec: spec.name)
def test_without_leave_nothing_but_reading_passes(spec):
    """By the table: what is not reading never reaches the card, and skips the case."""
    card = Liar(honest)
    stand = stand_with(card)
    stand.place({})
    card.seen.clear()
    command = bytes((spec.cla, spec.ins, *spec.usual))
    if is_reading(command):
        stand.link.transmit(command)
        assert card.seen == [command]
        return
    with pytest.raises(NotApplicable, match="allow it with --write"):
        stand.link.transmit(command)
    assert not card.seen


def test_reading_is_what_opens_or_looks():
    """INITIALIZE of every kind counts as reading, every command that ends one does not."""
    assert all(is_reading(bytes((0x80, 0x50, p1, p2))) for p1, p2 in KINDS)
    for written in ("8052", "8054", "8058", "80DC", "00D6", "04DC", "0020", "84D4", "80AA", "FF"):
        assert not is_reading(bytes.fromhex(written))


def writable(card: Card | Liar, profile: str | None = "student") -> ReaderStand:
    stand = stand_with(card, Leave(profile=profile, keys=TEST_KEYS, may_write=True))
    stand.place({})
    return stand


def refused(stand: ReaderStand, command: bytes) -> str:
    with pytest.raises(NotApplicable) as told:
        stand.link.transmit(command)
    return told.value.words.en


def test_a_write_wants_a_purse_of_the_test_issuer_selected_in_this_field():
    stand = writable(card_of())
    assert "no purse of a test issuer is selected" in refused(stand, DEBIT)
    assert stand.link.transmit(SELECT)[-2:] == b"\x90\x00"
    assert stand.link.transmit(DEBIT) == b"\x69\x01"
    assert stand.link.transmit(bytes.fromhex("00A40000020015"))[-2:] == b"\x90\x00"
    assert stand.link.transmit(DEBIT)[-2:] == b"\x69\x01", (
        "a file does not change whose purse it is"
    )
    assert stand.link.transmit(bytes.fromhex("00A404000E") + AID_PPSE)[-2:] == b"\x90\x00"
    assert "no purse of a test issuer is selected" in refused(stand, DEBIT)
    stand.link.transmit(SELECT)
    stand.reset()
    assert "no purse of a test issuer is selected" in refused(stand, DEBIT)


def test_a_second_purse_of_another_issuer_is_not_written_to():
    other = card_of("01011000")
    longer = AID_PURSE + b"\x01"

    def two(command: bytes, answer: bytes) -> bytes:
        return other.process(SELECT) if longer in command else answer

    stand = writable(Liar(two))
    stand.link.transmit(SELECT)
    assert stand.link.transmit(DEBIT) == b"\x69\x01"
    stand.link.transmit(bytes.fromhex("00A4040009") + longer)
    assert "no purse of a test issuer is selected" in refused(stand, DEBIT)


@pytest.mark.parametrize("command", ["00D69500025A5A", "04D69700065A5A", "00D60000025A5A", "00D6"])
def test_the_files_that_say_whose_card_it_is_stay_as_they_are(command: str):
    stand = writable(card_of())
    stand.link.transmit(SELECT)
    assert "EF15 to EF17 say whose card it is" in refused(stand, bytes.fromhex(command))


P1, P2 = UPDATE_RECORD_MAC.usual
SIZE = FILES[P2 >> 3].size + 4
WRONG_MAC = bytes((UPDATE_RECORD_MAC.cla, UPDATE_RECORD_MAC.ins, P1, P2, SIZE)) + bytes(SIZE)
WRONG_PIN = bytes.fromhex("0020000003999999")
WRONG_PROOF = bytes.fromhex("0082000008") + bytes(8)
CHALLENGE = bytes.fromhex("0084000004")


@pytest.mark.parametrize(
    ("wrong", "right", "kind"),
    [
        (WRONG_MAC, UPDATE_RECORD_MAC, "MAC"),
        (WRONG_PIN, VERIFY_PIN, "PIN"),
        (WRONG_PROOF, EXTERNAL_AUTHENTICATE, "cryptogram"),
    ],
)
def test_the_last_try_of_a_foreign_card_is_never_spent(wrong: bytes, right, kind: str):
    """Wrong ones pass after a right one alone, and two at most; what is right always passes."""
    card = Liar(honest, card_of())
    stand = writable(card)
    might = f"a wrong {kind} might be the last that the card forgives"

    def sent() -> bytes:
        stand.reset()
        stand.link.transmit(SELECT)
        stand.link.transmit(CHALLENGE)
        return stand.link.transmit(wrong)

    with pytest.raises(NotApplicable, match=might):
        sent()
    for _ in range(3):
        stand.reset()
        stand.link.transmit(SELECT)
        desk = Desk(stand.link, stand.keys, stand.declared.pin)
        assert desk.ask(right)[-2:] == b"\x90\x00"
        assert sent()[-2:] in (b"\x69\x88", b"\x63\xc2")
        assert sent()[-2:] in (b"\x69\x88", b"\x63\xc1")
        with pytest.raises(NotApplicable, match=might):
            sent()
    assert card.card.process(SELECT)[-2:] == b"\x90\x00"


def test_a_block_that_a_case_left_behind_is_lifted_before_the_next():
    card = Liar(honest, card_of())
    stand = writable(card)
    stand.link.transmit(SELECT)
    desk = Desk(stand.link, stand.keys, stand.declared.pin)
    assert desk.ask(APPLICATION_BLOCK)[-2:] == b"\x90\x00"
    assert card.card.process(SELECT)[-2:] == b"\x6a\x81"
    stand.place({})
    assert stand.link.transmit(SELECT)[-2:] == b"\x90\x00"


def test_a_pin_that_is_not_declared_is_never_tried():
    stand = writable(card_of(), profile=None)
    stand.link.transmit(SELECT)
    assert "the card's PIN is not known" in refused(stand, VERIFY)
    stand = writable(card_of())
    stand.link.transmit(SELECT)
    assert stand.link.transmit(VERIFY) == b"\x90\x00"


def made(body: Callable, *needs: Need) -> Case:
    title = Words("it", "它")
    return Case("a.b", "TEST", title, ("4.1",), body, needs=frozenset(needs), level=Level.BASIC)


def test_a_case_that_writes_without_saying_so_is_left_out_with_the_reason():
    card = Liar(honest)
    result = run_case(made(lambda lab: lab.send(DEBIT)), stand_with(card))
    assert result.verdict is Verdict.SKIPPED
    assert str(result.why) == "it changes the card for good; allow it with --write"
    assert all(map(is_reading, card.seen))


def test_the_whole_suite_only_reads_a_card_without_leave():
    card = Liar(honest, card_of("01011000", balance=5000))
    stand = stand_with(card, Leave(keys=TEST_KEYS))
    results = [run_case(case, stand) for case in card_cases().values()]
    assert not [result for result in results if result.verdict is Verdict.FAILED]
    assert all(map(is_reading, card.seen))


def test_the_whole_suite_passes_over_our_own_card_as_a_foreign_one():
    stand = stand_with(card_of(), Leave("student", TEST_KEYS, True))
    for number, case in card_cases().items():
        result = run_case(case, stand)
        assert result.verdict is not Verdict.FAILED, (number, result.violation)


def test_the_whole_suite_leaves_an_undeclared_pin_and_every_key_as_they_were():
    """PIN UNBLOCK sets a PIN, and the card counts a wrong block under a right MAC too."""
    card = card_of(pin=bytes.fromhex("998877"))
    before = [directory.keys for directory in card.image.directories]
    stand = stand_with(card, Leave(None, TEST_KEYS, True))
    for number, case in card_cases().items():
        result = run_case(case, stand)
        assert result.verdict is not Verdict.FAILED, (number, result.violation)
    assert [directory.keys for directory in card.image.directories] == before


GARBLED: dict[str, Callable[[bytes, Random], bytes]] = {
    "nothing but 9000": lambda answer, random: b"\x90\x00",
    "the status word alone": lambda answer, random: answer[-2:],
    "other bytes": lambda answer, random: random.randbytes(len(answer) - 2) + answer[-2:],
    "bytes too many": lambda answer, random: answer[:-2] + b"\xff" * 200 + answer[-2:],
}


@pytest.mark.parametrize("garbled", GARBLED)
def test_no_answer_however_strange_ends_the_suite(garbled: str):
    """A card that says sense until its purse is known, and none from then on."""
    random = Random(1)

    def lie(command: bytes, answer: bytes) -> bytes:
        return GARBLED[garbled](answer, random) if len(card.seen) > 5 else answer

    card = Liar(lie, card_of())
    stand = stand_with(card, Leave("student", TEST_KEYS, True))
    verdicts = [run_case(case, stand).verdict for case in card_cases().values()]
    assert verdicts.count(Verdict.FAILED) > 100


def test_a_right_mac_over_no_pin_is_not_taken_for_a_right_command():
    """Two may be behind the card already: the third would lock the key that unlocks the PIN."""
    stand = writable(card_of())
    stand.link.transmit(SELECT)
    desk = Desk(stand.link, stand.keys, stand.declared.pin)
    assert desk.ask(VERIFY_PIN)[-2:] == b"\x90\x00"
    random = stand.link.transmit(CHALLENGE)[:-2]
    key = stand.keys.dpuk
    header = bytes.fromhex("842400010C")
    for block, passes in (("0365432100000000", False), ("0312345680000000", True)):
        content = key.encrypt(bytes.fromhex(block))
        command = header + content
        command += secure_messaging_mac(key, random, command)
        if passes:
            assert stand.link.transmit(command) == b"\x90\x00"
        else:
            assert "a wrong MAC of PIN UNBLOCK might be the last" in refused(stand, command)


def ring_with_a_wrong(name: str) -> KeyRing:
    own = card_secrets(STUDENT.issuer, STUDENT.serial, fixtures.load_roots())
    keys = {one.upper(): getattr(own, one) for one in ROOTS}
    return KeyRing(keys | {name: Key(bytes(range(16)))}, False)


def harmed(card: Card) -> list[str]:
    """What of a purse has been lost for good, or is one try from it."""
    (purse,) = (one for one in card.image.directories if one.purses)
    found = [f"{key.kind.name} is locked" for key in purse.keys.values() if key.algorithm == 0x30]
    found += ["no file or key may come or go"] * ((len(purse.files), len(purse.keys)) != (6, 13))
    found += ["it is blocked"] * (purse.blocked is not Blocked.NO or card.image.is_dead)
    return found + ["a third MAC blocks it"] * (max(purse.strikes, purse.unblock_strikes) > 1)


@pytest.mark.parametrize("name", ["RECORD", "DAMK", "DBK", "DACK", "DPUK", "DRPK", "DPK", "DULK"])
def test_a_key_that_is_wrong_costs_one_try_and_no_card(name: str):
    """INITIALIZE FOR LOAD shows whether DLK is right, and of the others nothing."""
    card = card_of()
    stand = stand_with(card, Leave("student", ring_with_a_wrong(name), True))
    for case in card_cases().values():
        run_case(case, stand)
    assert not harmed(card)


def test_a_wrong_unblock_key_is_noticed_before_anything_is_blocked():
    card = card_of()
    with pytest.raises(Problem, match=r"APPLICATION UNBLOCK under this DUBK answered 6988, and"):
        stand_with(card, Leave("student", ring_with_a_wrong("DUBK"), True))
    assert not harmed(card)


def test_a_card_that_does_not_unblock_is_never_blocked():
    card = Liar(lambda command, answer: b"\x6d\x00" if command[:2] == b"\x84\x18" else answer)
    stand = writable(card)
    stand.link.transmit(SELECT)
    desk = Desk(stand.link, stand.keys, stand.declared.pin)
    with pytest.raises(NotApplicable, match="it might stay blocked"):
        desk.ask(APPLICATION_BLOCK)


def test_a_pin_that_is_declared_wrong_costs_one_try_and_is_not_replaced():
    card = card_of(pin=bytes.fromhex("654321"))
    stand = stand_with(card, Leave("student", TEST_KEYS, True))
    for case in card_cases().values():
        run_case(case, stand)
    (pin,) = (
        key
        for one in card.image.directories
        for key in one.keys.values()
        if key.kind is KeyKind.PIN
    )
    assert (pin.pin.hex(), pin.tries_left) == ("654321", 2)
    assert not harmed(card)


def test_a_card_whose_rights_are_open_keeps_its_files_and_keys():
    """A test card on somebody's desk may be personalised so that anybody can erase it."""
    image = card_of().image
    opened = tuple(
        replace(one, head=replace(one.head, erase=ALWAYS, create=ALWAYS), add_right=ALWAYS)
        for one in image.directories
    )
    store = MemoryStore(replace(image, directories=opened))
    card = Card(Chip(STUDENT.dialect, SeededEnv(1), {}), store, STUDENT.contactless)
    stand = stand_with(card, Leave("student", TEST_KEYS, True))
    for number, case in card_cases().items():
        assert run_case(case, stand).verdict is not Verdict.FAILED, number
    assert not harmed(card)


@pytest.mark.parametrize(
    ("command", "why"),
    [
        ("800E000000", "could erase or add files or keys"),
        ("80E00005" + "07280010F0F0FFFF", "could erase or add files or keys"),
        ("80D4010008", "could erase or add files or keys"),
        ("84D4010008", "could erase or add files or keys"),
        ("8416000004", "nobody could undo it"),
        ("841E000104", "nobody could undo it"),
        ("80CD0103", "nobody could undo it"),
        ("00FE0000", "what an unknown instruction does"),
        ("80E40000", "what an unknown instruction does"),
        ("80E20000", "what an unknown instruction does"),
    ],
)
def test_what_nobody_could_undo_never_passes(command: str, why: str):
    stand = writable(card_of())
    stand.link.transmit(SELECT)
    assert why in refused(stand, bytes.fromhex(command))


class Deaf(InProcessCoupler):
    """A reader that loses the answers to secured commands."""

    def wait_card(self, timeout_s: float) -> Transport:
        link = super().wait_card(timeout_s)

        class Losing:
            def transmit(self, command: bytes) -> bytes:
                answer = link.transmit(command)
                if command[0] & 4 and command[1] != 0x18:
                    raise CardLost("the card did not answer")
                return answer

        return Losing()


def test_a_wrong_mac_whose_answer_was_lost_counts():
    stand = ReaderStand("here", Deaf(card_of()), Leave("student", TEST_KEYS, True), in_time=True)
    stand.tries._wrong.update({"MAC": 0, "RECORD": 0})
    for _ in range(2):
        stand.reset()
        stand.link.transmit(SELECT)
        stand.link.transmit(CHALLENGE)
        with pytest.raises(CardLost):
            stand.link.transmit(WRONG_MAC)
    stand.reset()
    stand.link.transmit(SELECT)
    stand.link.transmit(CHALLENGE)
    assert "a wrong MAC might be the last" in refused(stand, WRONG_MAC)


def test_a_mac_under_another_of_the_cards_keys_is_a_wrong_one():
    stand = writable(card_of())
    stand.link.transmit(SELECT)
    stand.link.transmit(CHALLENGE)
    desk = Desk(stand.link, replace(stand.keys, record=stand.keys.dbk), stand.declared.pin)
    with pytest.raises(NotApplicable, match="a wrong MAC might be the last"):
        desk.ask(UPDATE_RECORD_MAC)


def test_a_right_mac_under_one_key_does_not_clear_the_count_of_another():
    """Cards of FMCOS count for each key by itself."""
    stand = writable(card_of())
    desk = Desk(stand.link, stand.keys, stand.declared.pin)
    stand.link.transmit(SELECT)
    assert desk.ask(UPDATE_RECORD_MAC)[-2:] == b"\x90\x00"
    for _ in range(2):
        desk.send(CHALLENGE)
        assert stand.link.transmit(WRONG_MAC) == b"\x69\x88"
        assert desk.ask(APPLICATION_BLOCK)[-2:] == b"\x90\x00"
        assert desk.ask(APPLICATION_UNBLOCK)[-2:] == b"\x90\x00"
    desk.send(CHALLENGE)
    assert "a wrong MAC might be the last" in refused(stand, WRONG_MAC)


def test_a_card_is_given_back_with_no_block_and_all_tries():
    card = card_of()
    stand = writable(card)
    stand.link.transmit(SELECT)
    desk = Desk(stand.link, stand.keys, stand.declared.pin)
    assert desk.ask(VERIFY_PIN)[-2:] == b"\x90\x00"
    assert stand.link.transmit(WRONG_PIN) == b"\x63\xc2"
    assert desk.ask(APPLICATION_BLOCK)[-2:] == b"\x90\x00"
    stand.give_back()
    assert card.process(SELECT)[-2:] == b"\x90\x00"
    assert card.process(WRONG_PIN) == b"\x63\xc2"


@pytest.mark.parametrize("via", ["pcsc:", "nfc:"])
def test_a_reader_has_a_name(via: str):
    with pytest.raises(Problem, match="names no reader"), reader_stand(via, Leave()):
        pass

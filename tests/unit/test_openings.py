"""Opening a card: the rules first, one card in the end, wherever it was cut on the way."""

import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import date, datetime, timedelta

import pytest
from sqlalchemy import Engine, event

from apdu.files import EF15
from emulator.card.state import Blocked
from issuer import accounts, blacklist_book, cards_book, operations, roster
from issuer.accounts import AccountState
from issuer.applying import NotEligible
from issuer.card_access import CardBlocked
from issuer.card_states import CardEvent, CardState, Carrier
from issuer.devices import Brand
from issuer.eligibility import Status
from issuer.errors import RuleError
from issuer.moments import SHANGHAI
from issuer.opening import CardInUse, NotFromStock
from issuer.openings import MAKING, RESERVED, RUN_S, check, give_up, open_card, order_of
from issuer.operations import DONE, FAILED
from issuer.phones import Medium, Phone, System
from issuer.roster_file import parse_toml
from reader.gate import Direction, Reject, Verdict
from reader.transport.decorators import CutPoint
from tests.cards import content_of, with_blocked
from tests.offices import NOW, SCHOOLS, claim, student_table
from tests.stock import card_of, stock_card
from tests.students import PHONE, Campus, Failing, Gone, Paused, blank, cut, on, sent

each_point = pytest.mark.parametrize("point", CutPoint, ids=lambda point: point.name)
THREADS = 200
UPDATE_KEY = bytes.fromhex("84D4")
SECOND = SCHOOLS + SCHOOLS.replace("UCAS", "SECOND").replace("OTHER", "THIRD")


@pytest.fixture
def campus(engine: Engine) -> Campus:
    return Campus.of(engine)


@pytest.fixture
def lone(file_engine: Engine) -> Campus:
    """On SQLite alone, where a test makes many."""
    return Campus.of(file_engine)


def opening(campus, account, key="open", phone=PHONE):
    return open_card(campus.office, account, key, phone)


def state_of(campus, account, key="open"):
    op = campus.do(operations.held, account, key)
    return None if op is None else op.state


def refused(campus, account, chip, key="open", phone=PHONE):
    """Why an opening is refused; neither card nor book is changed."""
    rows, image, asked = campus.rows(), chip.image, state_of(campus, account, key)
    with pytest.raises(RuleError) as raised:
        campus.open(account, chip, key, phone)
    assert (campus.rows(), chip.image, state_of(campus, account, key)) == (rows, image, asked)
    return raised.value


def serial_on(chip):
    """The serial of EF15, None while there is none."""
    try:
        return content_of(chip.image, EF15.sfi)[10:20]
    except (IndexError, KeyError, StopIteration):
        return None


# The card that comes out


@pytest.mark.rule("R1", "R6", "R24", "R26")
def test_a_blank_becomes_the_students_card_and_rides(campus):
    account, chip = campus.account(), blank()
    campus.clock.now = datetime(2025, 10, 8, 7, 30, tzinfo=SHANGHAI)
    card = campus.open(account, chip)
    assert (card.state, card.carrier, card.end_date) == (
        CardState.ACTIVE,
        Carrier.NFC,
        date(2026, 9, 30),
    )
    assert (
        content_of(chip.image, EF15.sfi)[:20] == campus.office.issuer + bytes((2, 1)) + card.serial
    )
    assert campus.actions() == ["card.reserved", "card.opened"]
    assert campus.has_no_entry()
    campus.load(chip, 5000)
    assert campus.pass_(chip, Direction.ENTRY).verdict is Verdict.PASS
    campus.clock.now += timedelta(minutes=30)
    out = campus.pass_(chip, Direction.EXIT)
    assert (out.verdict, out.fare) == (Verdict.PASS, 400)


@pytest.mark.rule("R26")
def test_a_gate_takes_the_card_to_the_end_of_its_last_day_and_no_longer(campus):
    _, chip, card = campus.opened()
    assert card.end_date == date(2025, 9, 30)
    campus.load(chip, 5000)
    campus.clock.now = datetime(2025, 10, 1, 0, 0, tzinfo=SHANGHAI)
    assert campus.pass_(chip, Direction.ENTRY).reason is Reject.EXPIRED
    campus.clock.now -= timedelta(seconds=1)
    assert campus.pass_(chip, Direction.ENTRY).verdict is Verdict.PASS


@pytest.mark.rule("R26")
@pytest.mark.parametrize(
    ("day", "literal", "rollover"),
    [
        ((2025, 3, 1), 2025, 2025),
        ((2025, 7, 29), 2025, 2025),
        ((2025, 7, 30), 2025, 2026),
        ((2025, 9, 30), 2025, 2026),
        ((2025, 10, 1), 2026, 2026),
    ],
)
def test_the_card_ends_as_the_policy_says(lone, day, literal, rollover):
    lone.clock.now = datetime(*day, 12, tzinfo=SHANGHAI)
    for number, (knob, year) in enumerate(
        (("next_30_september", literal), ("window_rollover", rollover))
    ):
        lone.decide(issue_expiry=knob)
        _, chip, card = lone.opened(number)
        assert card.end_date == date(year, 9, 30)
        assert content_of(chip.image, EF15.sfi)[24:28].hex() == f"{year}0930"


@pytest.mark.rule("R1")
def test_nothing_personal_is_on_the_card_and_the_school_is_in_the_book(campus):
    for number, school in ((0, "UCAS"), (1, "SECOND")):
        told = student_table(number, school=school, number=f"S{number}")
        campus.take(parse_toml(SECOND + told))
        account, chip = campus.login(f"of-{school.lower()}"), blank(school)
        campus.prove(account, number, school=school, number=f"S{number}")
        card = campus.open(account, chip)
        order = order_of(campus.office, card)
        assert (order.issuer, order.serial) == (campus.office.issuer, card.serial)
        assert campus.do(roster.standing_of, card.student_id).school == school
        assert claim(number).name.encode() not in repr(chip.image).encode()
        assert f"S{number}".encode() not in repr(chip.image).encode()


def test_opened_again_with_the_same_key_it_is_the_same_card_and_nothing_is_sent(campus):
    account, chip, card = campus.opened()
    assert sent(chip, opening(campus, account)) == []
    assert on(chip, opening(campus, account)) == card
    assert campus.actions() == ["card.reserved", "card.opened"]


def test_a_super_sim_is_counted_with_the_others(campus):
    account = campus.account()
    phone = Phone(Brand.OTHER, System.OTHER, medium=Medium.SUPER_SIM)
    card = campus.open(account, blank(), phone=phone)
    assert card.carrier is Carrier.SUPER_SIM
    assert refused(campus, account, blank(), "other").reason == "has_card"


# The rules


@pytest.mark.rule("R2", "R3", "R4")
@pytest.mark.parametrize(
    ("changed", "rule"),
    [
        ({"category": "交换生"}, "R2"),
        ({"status": "休学"}, "R3"),
        ({"status": "毕业"}, "R3"),
        ({"school": "OTHER"}, "R4"),
    ],
    ids=str,
)
def test_who_may_not_hold_a_card_gets_the_rules_sentence_and_no_card(campus, changed, rule):
    school = changed.get("school", "UCAS")
    rest = {name: value for name, value in changed.items() if name != "school"}
    campus.take(parse_toml(SCHOOLS + student_table(7, school, **rest)))
    account = campus.login("student7")
    token = campus.do(accounts.begin_check, account, NOW)
    who = claim(7, school=school)
    office = campus.office
    campus.do(accounts.authenticate, office.documents, account, token, who, NOW, office.policy)
    error = refused(campus, account, blank())
    assert (error.rule, error.reason) == (rule, "not_eligible")
    assert rule in {one.rule for one in error.findings if one.is_failed}
    assert campus.actions() == []


@pytest.mark.rule("R5")
def test_who_has_proven_nothing_opens_nothing(campus):
    account = campus.login("nobody")
    error = refused(campus, account, blank())
    assert (error.rule, error.reason) == ("R5", "not_eligible")
    broken = {one.rule for one in error.findings if one.is_failed}
    assert broken == {"R5"}
    with pytest.raises(LookupError, match="no account 99"):
        campus.open(99, blank())


def test_all_that_is_wrong_is_told_at_once(campus):
    account, old = campus.account(), replace(PHONE, model="HUAWEI P7", app="5.9", is_nfc_on=False)
    error = refused(campus, account, blank(), phone=old)
    assert isinstance(error, NotEligible)
    assert [one.rule for one in error.findings if one.is_failed] == ["R8", "R12", "R21"]
    assert str(error).startswith("R8: Failed:")


@pytest.mark.rule("R5")
def test_checking_tells_every_rule_and_the_account_follows_the_roster(campus):
    account = campus.account()
    found = check(campus.office, account, PHONE)
    assert [one.rule for one in found] == [f"R{number}" for number in range(2, 25)]
    assert not [one for one in found if one.is_failed]
    assert campus.do(accounts.account, account).state is AccountState.OPENABLE
    campus.take(parse_toml(SCHOOLS + student_table(0, status="休学")))
    assert [one.rule for one in check(campus.office, account, PHONE) if one.is_failed] == ["R3"]
    assert campus.do(accounts.account, account).state is AccountState.AUTHENTICATED
    assert campus.rows() == []


@pytest.mark.rule("R6")
def test_checking_counts_the_card_there_is(campus):
    account, _, _ = campus.opened()
    (found,) = [one for one in check(campus.office, account, PHONE) if one.rule == "R6"]
    assert found.status is Status.FAILED


@pytest.mark.rule("R5")
def test_a_roster_that_changed_meanwhile_stops_the_opening_and_its_end(campus):
    account, chip = campus.account(), blank()
    assert cut(chip, opening(campus, account), 40, CutPoint.AFTER)
    campus.take(parse_toml(SCHOOLS + student_table(0, status="退学")))
    assert refused(campus, account, chip).rule == "R3"
    campus.take(parse_toml(SCHOOLS + student_table(0)))
    assert campus.open(account, chip).state is CardState.ACTIVE


@pytest.mark.rule("R6")
def test_another_key_does_not_open_a_second_card(campus):
    account, chip = campus.account(), blank()
    assert cut(chip, opening(campus, account), 40, CutPoint.AFTER)
    error = refused(campus, account, blank(), "another")
    assert (error.rule, error.reason) == ("R6", "being_opened")
    campus.open(account, chip)
    error = refused(campus, account, blank(), "another")
    assert (error.rule, error.reason) == ("R6", "has_card")


@pytest.mark.rule("R24")
def test_an_account_that_is_another_persons_now_has_nothing_to_do_with_the_card(campus):
    account, chip = campus.account(), blank()
    cut(chip, opening(campus, account), 40, CutPoint.AFTER)
    campus.do(accounts.release, account)
    campus.prove(account, 1)
    assert refused(campus, account, chip).reason == "others_card"


@pytest.mark.parametrize("key", ["", "k" * 65, "一", "a\n"])
def test_a_key_that_is_none_changes_nothing(campus, key):
    account = campus.account()
    with pytest.raises(ValueError, match="idempotency key"):
        campus.open(account, blank(), key)
    assert campus.rows() == []


def test_a_key_of_another_wish_is_refused(campus):
    account, _, _ = campus.opened()
    campus.do(operations.begin, operations.Kind.TOP_UP, account, "money", 5000, NOW)
    assert refused(campus, account, blank(), "money").reason == "key_reused"


# Cards that cannot be had


def test_a_card_in_use_or_blocked_or_strange_is_not_touched_and_the_opening_goes_on(campus):
    _, used, _ = campus.opened(1)
    strange = stock_card(campus.office.roots["PMK"])
    blocked = card_of(with_blocked(Blocked.PERMANENT)(used.image))
    account = campus.account()
    for chip, error in ((used, CardInUse), (blocked, CardBlocked), (strange, NotFromStock)):
        before = chip.image.directories[1:]
        with pytest.raises(error):
            campus.open(account, chip)
        assert chip.image.directories[1:] == before
    assert state_of(campus, account) == RESERVED
    assert campus.open(account, blank()).state is CardState.ACTIVE


def test_an_opening_that_outlived_its_card_is_given_up_and_begun_anew(campus):
    account, chip = campus.account(), blank()
    cut(chip, opening(campus, account), 40, CutPoint.AFTER)
    campus.clock.now = datetime(2025, 10, 1, tzinfo=SHANGHAI)
    assert refused(campus, account, chip).reason == "expired_unopened"
    give_up(campus.office, account, "open")
    assert campus.open(account, blank(), "again").end_date == date(2026, 9, 30)


@pytest.mark.rule("R29")
def test_a_card_reported_lost_while_it_was_being_made_is_never_opened(campus):
    account, chip = campus.account(), blank()
    cut(chip, opening(campus, account), 40, CutPoint.AFTER)
    lose(campus, bytes.fromhex(campus.rows()[0][0]))
    before = chip.image
    for reason in ("lost_no_activate", "given_up"):
        with pytest.raises(RuleError) as raised:
            campus.open(account, chip)
        assert raised.value.reason == reason
    assert (chip.image, state_of(campus, account)) == (before, FAILED)
    assert campus.open(account, blank(), "new").state is CardState.ACTIVE


# Cut on the way


def commands_of(campus, number=2):
    """The commands of an opening."""
    return sent(blank(), opening(campus, campus.account(number)))


def whole(campus, number=2):
    """How many commands an opening has."""
    return len(commands_of(campus, number))


def kinds_of(commands):
    """What a cut at a command stands for: the command and the one before it.

    Up to the first write each has a kind of its own.
    """
    first = next(at for at, command in enumerate(commands, 1) if command[:2] == UPDATE_KEY)

    def kinds(at):
        return (at if at <= first else (commands[at - 2][:2], commands[at - 1][:2]),)

    return kinds


@each_point
def test_cut_at_any_command_the_same_key_ends_in_one_card(lone, point, some):
    account, commands = lone.account(), commands_of(lone)
    burnt = 0
    for at in some(range(1, len(commands) + 1), 24, kinds_of(commands)):
        chip, key = blank(f"chip {at}"), f"open {at}"
        assert cut(chip, opening(lone, account, key), at, point)
        assert refused(lone, account, blank(), "another").rule == "R6"
        card = lone.open(account, chip, key)
        assert card.state is CardState.ACTIVE
        assert serial_on(chip) == card.serial
        assert [state for serial, state in lone.rows() if serial == card.serial.hex()] == ["active"]
        assert sum(state in ("active", "opening") for _, state in lone.rows()) == 2
        voided = [serial for serial, state in lone.rows() if state == "void"]
        assert len(voided) - burnt <= 1
        burnt = len(voided)
        assert all(lone.do(blacklist_book.is_listed, bytes.fromhex(one)) for one in voided)
        assert not lone.do(blacklist_book.is_listed, card.serial)
        lone.do(cards_book.move, card.id, CardEvent.RETURN, NOW)
    # A card costs a serial only if nobody knows whether it has taken its first write.
    assert burnt == (2 if point is CutPoint.BEFORE else 1)
    lone.actions()


@pytest.mark.parametrize("is_after", [False, True], ids=["before", "after"])
@pytest.mark.parametrize("step", [1, 2, 3])
def test_cut_at_any_commit_the_same_key_ends_in_one_card(campus, step, is_after):
    account, chip = campus.account(), blank()
    with Failing(campus.office.engine, step, is_after) as failing, pytest.raises(Gone):
        campus.open(account, chip)
    assert failing.is_hit
    card = campus.open(account, chip)
    assert serial_on(chip) == card.serial
    states = [state for _, state in campus.rows()]
    assert states.count("active") == 1
    assert set(states) <= {"active", "void"}
    assert sent(chip, opening(campus, account)) == []
    campus.actions()


def test_an_opening_has_three_commits(campus):
    account, chip = campus.account(), blank()
    with Failing(campus.office.engine, 4) as failing:
        campus.open(account, chip)
    assert (failing.count, failing.is_hit) == (3, False)


@each_point
def test_a_second_blank_never_gets_the_serial_of_the_first(lone, point):
    """Though the first was lost with it: two cards of one serial would be two cards (R6)."""
    account, commands = lone.account(), whole(lone)
    for at in range(1, commands + 1, 4):
        first, second, key = blank("first"), blank("second"), f"open {at}"
        assert cut(first, opening(lone, account, key), at, point)
        card = lone.open(account, second, key)
        assert serial_on(second) == card.serial
        assert serial_on(first) != card.serial
        # The first one is dead: a run with it ends in the card that there is, and touches nothing.
        before = first.image
        assert lone.open(account, first, key) == card
        assert first.image is before
        lost = serial_on(first)
        assert lost is None or not any(lost) or lone.do(blacklist_book.is_listed, lost)
        lone.do(cards_book.move, card.id, CardEvent.RETURN, NOW)


def test_counters_are_held_before_the_end_of_the_audit_log(campus):
    """The order of locks: nobody waits for somebody who waits for him."""
    account, told = campus.account(), [""]

    def begin(connection):
        told.append("")

    def look(connection, cursor, statement, *rest):
        told[-1] += "c" if "UPDATE counters" in statement else ""
        told[-1] += "a" if "INSERT INTO audit " in statement else ""

    event.listen(campus.office.engine, "begin", begin)
    event.listen(campus.office.engine, "before_cursor_execute", look)
    assert cut(blank("first"), opening(campus, account), 60, CutPoint.AFTER)
    campus.open(account, blank("second"))
    assert "ccaa" in told  # a serial, a version, and two lines that say so
    assert not [one for one in told if "ac" in one]


@pytest.mark.each_database
@pytest.mark.rule("R6")
def test_while_one_run_writes_another_blank_is_refused_and_a_killed_one_is_waited_for(campus):
    account, first, second = campus.account(), blank("first"), blank("second")
    killed = Paused(opening(campus, account), first, 60)
    assert state_of(campus, account) == MAKING
    before = second.image.directories
    with pytest.raises(RuleError) as raised:
        campus.open(account, second)
    assert (raised.value.rule, raised.value.reason) == ("R6", "being_written")
    assert second.image.directories == before
    campus.clock.now += timedelta(seconds=RUN_S)
    card = campus.open(account, second)
    assert serial_on(second) == card.serial
    killed.close()
    assert state_of(campus, account) == DONE
    assert sorted(state for _, state in campus.rows()) == ["active", "void"]


@pytest.mark.each_database
def test_the_card_of_a_killed_run_is_finished_at_once(campus):
    account, chip = campus.account(), blank()
    killed = Paused(opening(campus, account), chip, 60)
    card = campus.open(account, chip)
    assert (card.state, len(campus.rows())) == (CardState.ACTIVE, 1)
    killed.close()


@pytest.mark.each_database
def test_a_run_that_was_overtaken_opens_nothing(campus):
    account, first, second = campus.account(), blank("first"), blank("second")
    slow = Paused(opening(campus, account), first, 60)
    campus.clock.now += timedelta(seconds=RUN_S)
    card = campus.open(account, second)
    assert reason_of(slow) == "given_up"
    assert serial_on(first) != card.serial
    assert campus.do(blacklist_book.is_listed, serial_on(first))


def reason_of(paused):
    """Why a run is refused that goes on."""
    with pytest.raises(RuleError) as raised:
        paused.finish()
    return raised.value.reason


@pytest.mark.each_database
def test_two_runs_with_one_card_end_in_one_card(campus):
    account, chip, last = campus.account(), blank(), whole(campus)
    slow = Paused(opening(campus, account), chip, last - 1)
    card = campus.open(account, chip)
    chip.power_off()
    chip.power_on()
    assert slow.finish() == card
    assert [state for _, state in campus.rows()] == ["active", "active"]  # one was for counting
    assert campus.actions().count("card.opened") == 2


@pytest.mark.each_database
def test_a_run_that_comes_to_its_blank_when_all_is_done_leaves_it_blank(campus):
    account, chip, spare = campus.account(), blank(), blank("spare")
    before = spare.image
    slow = Paused(opening(campus, account), spare, 3)
    card = campus.open(account, chip)
    assert slow.finish() == card
    assert spare.image.directories == before.directories


@pytest.mark.each_database
@pytest.mark.rule("R29")
def test_a_card_that_is_lost_when_it_is_made_is_not_activated(campus):
    account, chip, last = campus.account(), blank(), whole(campus)
    slow = Paused(opening(campus, account), chip, last - 1)
    lose(campus, serial_on(chip))
    assert reason_of(slow) == "lost_no_activate"
    assert (state_of(campus, account), campus.rows()[-1][1]) == (FAILED, "lost")


@pytest.mark.each_database
@pytest.mark.rule("R29")
def test_a_lost_one_gets_no_other_blank_either(campus):
    account, chip, spare = campus.account(), blank(), blank("spare")
    assert cut(chip, opening(campus, account), 60, CutPoint.AFTER)
    slow = Paused(opening(campus, account), spare, 3)
    before = spare.image.directories
    lose(campus, bytes.fromhex(campus.rows()[-1][0]))
    assert reason_of(slow) == "lost_no_give_up"
    assert spare.image.directories == before


def lose(campus, serial):
    card = campus.do(cards_book.by_serial, serial)
    campus.do(cards_book.move, card.id, CardEvent.REPORT_LOST, NOW)


# Giving up


@pytest.mark.rule("R24")
@pytest.mark.parametrize("at", [1, 40, 60, -1], ids=["untouched", "begun", "half", "made"])
def test_an_opening_that_is_given_up_frees_the_slot_and_its_card_is_dead(campus, at):
    last = whole(campus)
    account, chip = campus.account(), blank()
    cut(chip, opening(campus, account), last if at < 0 else at, CutPoint.AFTER)
    given = give_up(campus.office, account, "open")
    assert (given.state, state_of(campus, account)) == (CardState.VOID, FAILED)
    assert give_up(campus.office, account, "open") == given
    assert refused(campus, account, chip).reason == "given_up"
    card = campus.open(account, blank("new"), "new")
    assert card.serial != given.serial
    assert campus.do(blacklist_book.is_listed, given.serial) is (at != 1)
    assert campus.actions()[-3:] == ["card.given_up", "card.reserved", "card.opened"]


def test_what_is_done_or_was_never_begun_cannot_be_given_up(campus):
    account, _, card = campus.opened()
    with pytest.raises(RuleError, match="cannot be given up; return it"):
        give_up(campus.office, account, "open")
    with pytest.raises(RuleError, match="no opening to give up"):
        give_up(campus.office, account, "other")
    assert campus.card(card) == card


@pytest.mark.each_database
def test_a_run_under_way_that_is_given_up_opens_nothing(campus):
    for number, commands in enumerate((3, 60)):
        account, chip = campus.account(number), blank()
        running = Paused(opening(campus, account), chip, commands)
        give_up(campus.office, account, "open")
        assert reason_of(running) == "given_up"
        assert state_of(campus, account) == FAILED
    assert [state for _, state in campus.rows()] == ["void", "void"]


# Many at once


def at_once(campus, account, keys):
    """What each of many threads gets that open with a blank of its own, and the blanks."""
    start, chips = threading.Barrier(THREADS), [blank(f"chip {n}") for n in range(THREADS)]

    def ask(number: int):
        start.wait(60)
        try:
            return campus.open(account, chips[number], keys(number))
        except RuleError as error:
            return error

    with ThreadPoolExecutor(THREADS) as pool:
        return list(pool.map(ask, range(THREADS))), chips


@pytest.mark.rule("R6")
@pytest.mark.each_database
@pytest.mark.parametrize("keys", [lambda n: f"key {n}", lambda n: "one"], ids=["keys", "one key"])
def test_200_threads_with_a_blank_each_open_one_card_for_one_student(campus, keys):
    account = campus.account()
    said, chips = at_once(campus, account, keys)
    cards = {one for one in said if not isinstance(one, RuleError)}
    assert len(cards) == 1
    (card,) = cards
    assert campus.rows() == [(card.serial.hex(), "active")]
    made = [chip for chip in chips if serial_on(chip) is not None]
    assert [serial_on(chip) for chip in made] == [card.serial]
    blanks = {len(chip.image.directories) for chip in chips if chip not in made}
    assert blanks == {1}
    refusals = {(one.rule, one.reason) for one in said if isinstance(one, RuleError)}
    assert refusals <= {("R6", "being_opened"), ("R6", "has_card"), ("R6", "being_written")}
    assert campus.actions() == ["card.reserved", "card.opened"]

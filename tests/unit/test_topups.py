"""A top-up is paid once and credited once, wherever card, payer or office stop."""

from datetime import datetime
from itertools import combinations, count, pairwise, product

import pytest
from sqlalchemy import select

from emulator.card.state import Blocked
from issuer import accounts, audit, ledger, losses, returns
from issuer.card_states import Carrier
from issuer.cards_book import reserve
from issuer.errors import RuleError
from issuer.ledger import Account
from issuer.moments import SHANGHAI
from issuer.operations import DONE, FAILED
from issuer.payer import Mishap, PayerAway
from issuer.tables import AuditRow, Operation
from issuer.topup_book import AUTHORISED, CHARGED, CHARGING
from issuer.topups import cancel, outlet_top_up, pending, top_up
from reader.loading import LoadInterrupted
from reader.policy import Policy
from reader.session import ProtocolError, StatusError, run
from reader.transport.base import CardLost
from reader.transport.decorators import CutPoint
from tests.cards import with_app, with_purse
from tests.issuers import (
    FEN,
    Crash,
    Desk,
    Student,
    again,
    change,
    commands_of,
    crashing,
    cut,
    finish,
    in_state,
    new_chip,
    on,
)
from tests.offices import END, NAMES, NOW, document
from tests.slices import parts

CREDIT, PROVE = bytes.fromhex("8052"), bytes.fromhex("805A")
COMMANDS = ("SELECT", "READ BINARY", "INITIALIZE", "CREDIT")
RESUMED = ("SELECT", "READ BINARY", "PROVE", "INITIALIZE", "CREDIT")
TRANSACTIONS = 5
"""Begun, promised, the payer's own, let, credited."""
TWICE = list(product(range(1, len(COMMANDS) + 1), range(1, len(RESUMED) + 1)))
DEAD_AND_LEFT = list(product(range(1, TRANSACTIONS + 1), range(1, len(RESUMED) + 1)))

pytestmark = pytest.mark.rule("R25")
each_point = pytest.mark.parametrize("point", CutPoint, ids=lambda p: p.name)
each_moment = pytest.mark.parametrize("is_after", [False, True], ids=["before", "after"])


@pytest.fixture
def desk(office) -> Desk:
    return Desk(office.engine)


@pytest.fixture
def student(desk) -> Student:
    return Student(desk)


def crash(student, transaction, at, is_after):
    """A transaction during which the office dies at a commit; a new one takes over."""
    with crashing(student.desk.engine, at, is_after=is_after), pytest.raises(Crash):
        on(student.chip, transaction)
    student.desk.restart()


# Well


def test_a_top_up_is_paid_and_credited(student):
    done = on(student.chip, student.top_up("a", 4500))
    assert (done.amount, done.balance, done.op.state) == (4500, 4500, DONE)
    more = on(student.chip, student.top_up("b", 5000))
    assert (more.amount, more.balance, more.card.online_seq) == (5000, 9500, 2)
    student.assert_has(9500)
    assert audit.verify(student.desk.engine).is_whole


def test_it_takes_four_commands_and_five_transactions(student):
    with crashing(student.desk.engine, 0, is_after=False) as counted:
        sent = commands_of(student.chip, student.top_up("a"))
    assert (len(sent), counted) == (len(COMMANDS), [TRANSACTIONS])


def test_asked_for_again_it_is_told_without_the_card(student):
    first = on(student.chip, student.top_up("a"))
    assert run(student.top_up("a"), {}) == first
    student.assert_has(FEN)


def test_an_expired_card_is_topped_up_too(student):
    student.desk.clock.at = datetime(END.year + 1, 1, 1, tzinfo=SHANGHAI)
    on(student.chip, student.top_up("a"))
    student.assert_has(FEN)


# Refused before anything changes


def refused(student, transaction, reason, chip=None, rule="R25"):
    before = (chip or student.chip).image
    paid = student.desk.paid()
    with pytest.raises(RuleError) as no:
        on(chip or student.chip, transaction)
    assert (no.value.rule, no.value.reason) == (rule, reason)
    assert (chip or student.chip).image == before
    assert student.desk.paid() == paid
    student.desk.assert_balanced()


@pytest.mark.parametrize("fen", [0, -1, -100, 0.5, 10.0, "100", None, True])
def test_an_amount_that_is_none_is_refused(student, fen):
    refused(student, student.top_up("a", fen), "no_amount")
    assert student.op("a") is None


@pytest.mark.parametrize("fen", [500, 1999, 2100, 2001])
def test_least_and_step_of_the_policy_are_held(desk, fen):
    desk.gate_policy = Policy(load_min=2000, load_step=1000)
    desk.restart()
    student = Student(desk)
    refused(student, student.top_up("a", fen), "amount_not_allowed")
    on(student.chip, student.top_up("a", 3000))
    student.assert_has(3000)


def test_a_purse_is_filled_to_its_ceiling_and_no_fen_further(student):
    refused(student, student.top_up("a", 100_001), "over_ceiling")
    on(student.chip, student.top_up("b", 60_000))
    refused(student, student.top_up("c", 40_001), "over_ceiling")
    on(student.chip, student.top_up("d", 40_000))
    refused(student, student.top_up("e", 1), "over_ceiling")
    student.assert_has(100_000)


def test_a_card_with_a_ceiling_of_its_own_says_so_itself(student):
    change(student.chip, with_purse(ceiling=4000))
    refused(student, student.top_up("a", 4001), "over_ceiling")
    on(student.chip, student.top_up("b", 4000))
    student.assert_has(4000)


def test_what_is_paid_and_not_on_the_card_counts_towards_the_ceiling(student):
    in_state(student, CHARGING, "wait")
    on(student.chip, student.top_up("wait"))
    cut(student, "more", 4, CutPoint.BEFORE)
    refused(student, student.top_up("all", 98_001), "over_ceiling")
    assert student.op("more").state == CHARGED
    on(student.chip, student.top_up("more"))
    student.assert_has(2 * FEN)


@pytest.mark.rule("R24")
def test_another_students_card_is_refused(desk, student):
    other = Student(desk, 1)
    refused(student, student.top_up("a"), "foreign_card", other.chip, "R24")
    refused(student, student.top_up("a"), "foreign_card", new_chip(bytes(9) + b"\x07"), "R24")
    on(student.chip, student.top_up("a"))
    assert (student.chip.purse.actual, other.chip.purse.actual) == (FEN, 0)


def test_somebody_without_a_card_is_refused(desk, student):
    nobody = desk.books.do(accounts.log_in, "nobody").id
    refused(student, top_up(desk.office, nobody, "a", FEN), "not_authenticated", rule="R5")
    cardless = desk.student(1)
    refused(student, top_up(desk.office, cardless, "a", FEN), "no_card")
    held = desk.books.do(accounts.account, cardless)
    desk.books.do(reserve, held.student_id, Carrier.NFC, NOW.date(), END, NOW)
    refused(student, top_up(desk.office, cardless, "a", FEN), "being_opened")


def test_a_card_blocked_for_good_is_refused(student):
    change(student.chip, with_app(blocked=Blocked.PERMANENT))
    refused(student, student.top_up("a"), "blocked_for_good")
    change(student.chip, with_app(blocked=Blocked.TEMPORARY))
    refused(student, student.top_up("a"), "blocked")


def test_a_key_stands_for_one_wish(student):
    on(student.chip, student.top_up("a"))
    refused(student, student.top_up("a", FEN + 1), "key_reused")
    refused(student, outlet_top_up(student.desk.office, student.account, "a", FEN), "key_reused")
    with pytest.raises(ValueError, match="idempotency key"):
        on(student.chip, student.top_up(""))


@pytest.mark.rule("R29")
def test_a_lost_card_takes_no_money(desk, student):
    on(student.chip, student.top_up("a"))
    cut(student, "begun", 1, CutPoint.BEFORE)
    losses.report_lost(desk.office, student.account, "lost")
    refused(student, student.top_up("b"), "no_card")
    refused(student, student.top_up("begun"), "given_up")
    refused(student, outlet_top_up(desk.office, desk.student(1), "c", FEN), "card_not_active")
    assert student.chip.purse.actual == FEN


# The card leaves


@each_point
def test_a_card_that_leaves_at_any_command_is_credited_once(student, point):
    for at in range(1, len(COMMANDS) + 1):
        key = next(student.keys)
        cut(student, key, at, point)
        on(student.chip, student.top_up(key))
        student.assert_has(at * FEN)


@each_point
@pytest.mark.parametrize("second", CutPoint, ids=lambda p: p.name)
def test_and_so_is_one_that_leaves_twice_while_offices_come_and_go(student, point, second, some):
    total = 0
    for at, again_at in some(TWICE, 8, parts):
        key = next(student.keys)
        cut(student, key, at, point)
        student.desk.restart()
        try:
            on(student.chip, student.top_up(key), again_at, second)
        except (CardLost, LoadInterrupted):
            student.desk.restart()
        on(student.chip, student.top_up(key))
        total += FEN
        student.assert_has(total)


@each_point
def test_the_next_top_up_settles_the_one_that_was_lost(student, point):
    cut(student, "lost", 4, point)
    on(student.chip, student.top_up("next"))
    is_credited = point is CutPoint.AFTER
    assert student.op("lost").state == (DONE if is_credited else CHARGED)
    assert [one.key for one in pending(student.desk.office, student.account)] == (
        [] if is_credited else ["lost"]
    )
    on(student.chip, student.top_up("lost"))
    student.assert_has(2 * FEN)


class Altered:
    """A chip of which one answer is replaced. head: how its command begins."""

    def __init__(self, chip, head, answer):
        self.chip, self.head, self.answer = chip, head, answer

    def transmit(self, command):
        said = self.chip.process(command)
        return self.answer if command.startswith(self.head) else said


def test_a_card_that_denies_a_credit_is_found_out_by_its_own_count(student):
    cut(student, "a", 4, CutPoint.AFTER)
    liar = Altered(student.chip, PROVE, b"\x94\x06")
    for transaction in (student.top_up("a"), student.cancel("a"), student.top_up("b")):
        again(student.chip)
        with pytest.raises(ProtocolError, match="says that load 1 was not made"):
            run(transaction, {"card": liar})
    on(student.chip, student.top_up("a"))
    student.assert_has(FEN)


@pytest.mark.parametrize("answer", [b"", b"\x90\x00", b"abcd\x90\x00", b"\x65\x81"])
def test_a_spoilt_answer_to_the_credit_is_asked_for_again(student, answer):
    again(student.chip)
    with pytest.raises((LoadInterrupted, StatusError)):
        run(student.top_up("a"), {"card": Altered(student.chip, CREDIT, answer)})
    on(student.chip, student.top_up("a"))
    student.assert_has(FEN)


def by_turns(student, order, keys):
    """Two runs on the same card, command by command; what they raise is nobody's here."""
    again(student.chip)
    runs = [student.top_up(key) for key in keys]
    waiting = [next(one) for one in runs]
    for which in order:
        if waiting[which] is None:
            continue
        answer = student.chip.process(waiting[which].command)
        try:
            waiting[which] = runs[which].send(answer)
        except (StopIteration, RuleError, ProtocolError, StatusError, LoadInterrupted):
            waiting[which] = None


ORDERS = [[int(n not in (0, *firsts)) for n in range(8)] for firsts in combinations(range(1, 8), 3)]
"""Every order of four commands of one run, who begins, and four of another."""


def turns(order):
    """What an order stands for: how often it goes from one run to the other."""
    return (sum(one != other for one, other in pairwise(order)),)


@pytest.mark.each_database
def test_two_who_run_the_same_top_up_by_turns_credit_it_once(student, some):
    for number, order in enumerate(some(ORDERS, 12, turns), 1):
        key = next(student.keys)
        by_turns(student, order, (key, key))
        on(student.chip, student.top_up(key))
        student.assert_has(number * FEN)


@pytest.mark.each_database
def test_two_top_ups_by_turns_are_both_credited(student, some):
    for number, order in enumerate(some(ORDERS, 12, turns), 1):
        keys = next(student.keys), next(student.keys)
        by_turns(student, order, keys)
        for key in keys:
            on(student.chip, student.top_up(key))
        student.assert_has(2 * number * FEN)


def test_an_offer_that_another_load_has_overtaken_is_not_let_through(student):
    """The card offers, another top-up comes and goes, and only then the office hears of it."""
    slow = student.top_up("slow")
    again(student.chip)
    sent = next(slow)
    for _ in range(2):
        sent = slow.send(student.chip.process(sent.command))
    offer = student.chip.process(sent.command)
    for key in ("b", "c"):
        on(student.chip, student.top_up(key))
    with pytest.raises(RuleError, match="Another top-up of this card is under way"):
        slow.send(offer)
    on(student.chip, student.top_up("slow"))
    student.assert_has(3 * FEN)


# The office dies


@each_moment
def test_an_office_that_dies_at_any_commit_is_paid_once(student, is_after):
    for at in range(1, TRANSACTIONS + 1):
        key = next(student.keys)
        crash(student, student.top_up(key), at, is_after)
        on(student.chip, student.top_up(key))
        student.assert_has(at * FEN)


@each_moment
@each_point
def test_and_so_is_one_whose_card_leaves_when_it_is_back(student, is_after, point, some):
    total = 0
    for at, left_at in some(DEAD_AND_LEFT, 8, parts):
        key = next(student.keys)
        crash(student, student.top_up(key), at, is_after)
        try:
            on(student.chip, student.top_up(key), left_at, point)
        except (CardLost, LoadInterrupted):
            student.desk.restart()
        on(student.chip, student.top_up(key))
        total += FEN
        student.assert_has(total)


@each_moment
def test_an_office_that_dies_while_it_asks_for_the_proof_asks_again(student, is_after):
    total = 0
    for point in CutPoint:
        for at in (1, 2, 3, 4):
            key = next(student.keys)
            cut(student, key, 4, point)
            with crashing(student.desk.engine, at, is_after=is_after):
                try:
                    on(student.chip, student.top_up(key))
                except Crash:
                    student.desk.restart()
            on(student.chip, student.top_up(key))
            total += FEN
            student.assert_has(total)


# The payer


def test_a_payer_who_declines_ends_a_top_up_and_nothing_has_changed(student):
    student.desk.mishaps.planned = [Mishap.DECLINED]
    refused(student, student.top_up("a"), "declined")
    refused(student, student.top_up("a"), "declined")
    assert student.op("a").state == FAILED
    on(student.chip, student.top_up("b"))
    student.assert_has(FEN)


@pytest.mark.parametrize("mishap", [Mishap.LOST_BEFORE, Mishap.LOST_AFTER])
def test_a_payer_who_does_not_answer_is_asked_again_with_the_same_key(student, mishap):
    student.desk.mishaps.planned = [mishap, mishap]
    for _ in range(2):
        with pytest.raises(PayerAway):
            on(student.chip, student.top_up("a"))
        assert student.op("a").state == CHARGING
        assert student.chip.purse.actual == 0
        student.desk.restart()
    on(student.chip, student.top_up("a"))
    student.assert_has(FEN)


# Cancelled

EVERY_STATE = ("begun", CHARGING, CHARGED, AUTHORISED)
each_state = pytest.mark.parametrize("state", EVERY_STATE)


@each_state
def test_a_top_up_that_is_not_on_the_card_is_given_back_once(student, state):
    in_state(student, state, "a")
    held = student.chip.purse.actual
    for _ in range(2):
        assert on(student.chip, student.cancel("a")).state == FAILED
        student.assert_has(held)
    ended = "given_up" if state == "begun" else "given_back"
    refused(student, student.top_up("a"), ended)


@each_state
@each_moment
def test_also_if_the_office_dies_over_it(student, state, is_after):
    for at in count(1):
        key = next(student.keys)
        in_state(student, state, key)
        held = student.chip.purse.actual
        try:
            crash(student, student.cancel(key), at, is_after)
            is_over = False
        except pytest.fail.Exception:
            is_over = True
        on(student.chip, student.cancel(key))
        student.assert_has(held)
        if is_over:
            break
    assert at > 1


def test_what_is_cancelled_without_need_of_the_card_needs_none(student):
    for state in ("begun", CHARGING, CHARGED):
        in_state(student, state, state)
        assert run(student.cancel(state), {}).state == FAILED
    student.assert_has(FEN)


def test_a_top_up_on_the_card_is_not_given_back(student):
    cut(student, "a", 4, CutPoint.AFTER)
    for _ in range(2):
        refused(student, student.cancel("a"), "credited")
    student.assert_has(FEN)
    refused(student, student.cancel("none"), "no_top_up")


@pytest.mark.parametrize("mishap", [Mishap.LOST_BEFORE, Mishap.LOST_AFTER])
def test_a_payer_who_does_not_answer_to_a_give_back_is_asked_again(student, mishap):
    in_state(student, AUTHORISED, "a")
    student.desk.mishaps.planned = [mishap]
    with pytest.raises(PayerAway):
        on(student.chip, student.cancel("a"))
    refused(student, student.top_up("a"), "given_back") if mishap is Mishap.LOST_AFTER else None
    assert run(student.cancel("a"), {}).state == FAILED
    student.assert_has(0)


def test_money_that_the_payer_does_not_take_back_is_paid_out(student):
    in_state(student, AUTHORISED, "a")
    student.desk.mishaps.planned = [Mishap.DECLINED]
    on(student.chip, student.cancel("a"))
    student.assert_has(0)
    in_state(student, AUTHORISED, "b")
    student.desk.mishaps.planned = [Mishap.DECLINED, Mishap.DECLINED]
    on(student.chip, student.cancel("b"))
    assert student.desk.owed(Account.PAYABLE, student.card.id) == FEN
    staff = student.desk.student(1)
    paid = returns.outlet_refund(student.desk.office, staff, "r", student.card.serial)
    assert (paid.amount, paid.card.state) == (FEN, "active")
    assert student.desk.owed(Account.CASH) == FEN
    student.desk.assert_balanced()


# At an outlet


def test_an_outlet_tops_up_whichever_card_is_presented(desk, student):
    staff = desk.student(1)
    cash = outlet_top_up(desk.office, staff, "a", FEN)
    with pytest.raises((CardLost, LoadInterrupted)):
        on(student.chip, cash, 4, CutPoint.AFTER)
    other = Student(desk, 2)
    refused(student, outlet_top_up(desk.office, staff, "a", FEN), "foreign_card", other.chip, "R24")
    done = on(student.chip, outlet_top_up(desk.office, staff, "a", FEN))
    assert done.card.serial == student.card.serial
    assert (desk.owed(Account.CASH), desk.paid()) == (-FEN, 0)
    assert desk.owed(Account.CARDS, student.card.id) == FEN == student.chip.purse.actual
    desk.assert_balanced()
    stranger = new_chip(bytes(9) + b"\x07")
    refused(student, outlet_top_up(desk.office, staff, "b", FEN), "foreign_card", stranger, "R24")


@each_moment
def test_an_outlet_that_dies_at_any_commit_has_one_payment(desk, student, is_after):
    staff, total = desk.student(1), 0
    for at in (1, 2, 3, 4):
        cash = outlet_top_up(desk.office, staff, f"k{at}", FEN)
        crash(student, cash, at, is_after)
        on(student.chip, outlet_top_up(desk.office, staff, f"k{at}", FEN))
        total += FEN
        assert desk.owed(Account.CARDS) == -desk.owed(Account.CASH) == total
        assert student.chip.purse.actual == total


def test_cash_for_a_card_that_was_not_credited_is_handed_back(desk, student):
    staff = desk.student(1)
    with pytest.raises((CardLost, LoadInterrupted)):
        on(student.chip, outlet_top_up(desk.office, staff, "a", FEN), 4, CutPoint.BEFORE)
    assert desk.owed(Account.CASH) == -FEN
    on(student.chip, cancel(desk.office, staff, "a"))
    assert desk.owed(Account.CASH) == 0
    with pytest.raises(CardLost):
        on(student.chip, outlet_top_up(desk.office, staff, "b", FEN), 1)
    assert run(cancel(desk.office, staff, "b"), {}).state == FAILED


def test_nothing_personal_is_in_operations_and_audit(desk, student):
    on(student.chip, student.top_up("a"))
    rows = desk.books.do(lambda s: [*s.scalars(select(Operation)), *s.scalars(select(AuditRow))])
    told = " ".join(str(vars(row)) for row in rows)
    assert len(rows) == 2
    assert not [word for word in (*NAMES, "2025K00000", document(0)) if word in told]


def test_the_ledger_has_each_step_once(desk, student):
    cut(student, "a", 4, CutPoint.AFTER)
    on(student.chip, student.top_up("a"))
    op = student.op("a")
    sides = (
        ledger.Side(Account.PAYER, FEN),
        ledger.Side(Account.PAID_IN, -FEN, student.card.id),
    )
    assert not desk.books.do(ledger.post, op.id, "paid", sides, NOW)


@pytest.mark.each_database
def test_an_outlets_top_up_that_is_run_twice_at_once_stays_with_its_first_card(desk, student):
    staff, other = desk.student(1), Student(desk, 2)
    again(student.chip)
    slow = outlet_top_up(desk.office, staff, "a", FEN)
    sent = next(slow)
    quick = outlet_top_up(desk.office, staff, "a", FEN)
    again(other.chip)
    theirs = next(quick)
    sent = slow.send(student.chip.process(sent.command))
    theirs = quick.send(other.chip.process(theirs.command))
    sent = slow.send(student.chip.process(sent.command))
    with pytest.raises(RuleError) as no:
        quick.send(other.chip.process(theirs.command))
    assert no.value.reason == "foreign_card"
    assert finish(slow, sent, student.chip).card.serial == student.card.serial
    assert (student.chip.purse.actual, other.chip.purse.actual) == (FEN, 0)
    assert desk.owed(Account.CARDS, student.card.id) == FEN == -desk.owed(Account.CASH)
    assert desk.card(other.card.id).balance == 0

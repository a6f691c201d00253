"""A lost card is dead for ever, and its money moves once."""

from datetime import timedelta
from functools import partial
from itertools import count

import pytest

from issuer import audit, blacklist_book
from issuer.card_states import CardState
from issuer.errors import RuleError
from issuer.ledger import Account
from issuer.losses import report_lost, settle
from issuer.payer import Mishap
from issuer.returns import give_back, outlet_refund, refund
from issuer.topup_book import AUTHORISED, CHARGED, CHARGING, Ended
from issuer.topups import carry, top_up
from reader.loading import LoadInterrupted
from reader.taprecord import Mark
from reader.transport.base import CardLost
from reader.transport.decorators import CutPoint
from tests.issuers import Crash, Desk, Student, crashing, in_state, on, ride, spend

HELD = 5000
WEEK = timedelta(days=7)

pytestmark = pytest.mark.rule("R29")
each_moment = pytest.mark.parametrize("is_after", [False, True], ids=["before", "after"])


@pytest.fixture
def desk(office) -> Desk:
    return Desk(office.engine)


@pytest.fixture
def student(desk) -> Student:
    made = Student(desk)
    on(made.chip, made.top_up("first", HELD))
    return made


def lose(student, key="lost"):
    return report_lost(student.desk.office, student.account, key)


def after_a_week(desk):
    desk.clock.at += WEEK
    return settle(desk.office, desk.clock())


def assert_moved(desk, fen, rides=0):
    """The money is on cards or on its way there, to the fen, and operators have theirs."""
    assert desk.owed(Account.OPERATORS) == rides
    owed = (Account.CARDS, Account.FROZEN, Account.PAYABLE, Account.PAID_IN)
    assert sum(desk.owed(account) for account in owed) == fen
    desk.assert_balanced()


def test_a_card_reported_lost_is_blacklisted_and_its_money_frozen(desk, student):
    loss = lose(student)
    assert (loss.card.state, loss.frozen, loss.version) == (CardState.LOST, HELD, 1)
    assert loss.settles == desk.clock() + WEEK
    assert desk.books.do(blacklist_book.is_listed, student.card.serial)
    assert desk.owed(Account.FROZEN, student.card.id) == HELD
    assert audit.verify(desk.engine).is_whole
    desk.assert_balanced()


def test_reported_twice_it_is_lost_once_under_either_key(desk, student):
    first = lose(student)
    assert lose(student) == first
    for _ in range(2):
        assert lose(student, "another") == first
    assert desk.books.do(blacklist_book.version_of) == 1
    assert desk.owed(Account.FROZEN) == HELD


def test_an_old_report_told_again_leaves_the_new_card_alone(desk, student):
    first = lose(student)
    lose(student, "another")
    card, _ = desk.opened(student.account)
    assert lose(student) == lose(student, "another") == first
    assert desk.card(card.id).state is CardState.ACTIVE


def test_who_has_no_card_has_none_to_lose(desk):
    account = desk.student(1)
    with pytest.raises(RuleError, match="R29: You have no student card that could"):
        report_lost(desk.office, account, "lost")
    assert desk.books.do(blacklist_book.version_of) == 0


@pytest.mark.rule("R33")
def test_the_old_card_is_dead_for_ever(desk, student):
    lose(student)
    _, chip = desk.opened(student.account)
    for work in (student.top_up("b"), give_back(desk.office, student.account, "r")):
        with pytest.raises(RuleError, match="is not the one this is for"):
            on(student.chip, work)
    assert (student.chip.purse.actual, chip.purse.actual) == (HELD, 0)
    assert desk.card(student.card.id).state is CardState.LOST


@each_moment
def test_an_office_that_dies_over_a_report_or_settlement_moves_the_money_once(student, is_after):
    desk = student.desk
    with crashing(desk.engine, 1, is_after=is_after), pytest.raises(Crash):
        lose(student)
    desk.restart()
    lose(student)
    desk.clock.at += WEEK
    with crashing(desk.engine, 1, is_after=is_after), pytest.raises(Crash):
        settle(desk.office, desk.clock())
    desk.restart()
    settle(desk.office, desk.clock())
    assert settle(desk.office, desk.clock()) == []
    assert desk.owed(Account.FROZEN) == HELD
    assert_moved(desk, HELD)


# Settled


def test_nothing_is_settled_before_its_time(desk, student):
    lose(student)
    desk.clock.at += WEEK - timedelta(seconds=1)
    assert settle(desk.office, desk.clock()) == []
    with pytest.raises(RuleError, match="settled from 2025-09-15 10:00 on"):
        outlet_refund(desk.office, desk.student(1), "r", student.card.serial)
    desk.clock.at += timedelta(seconds=1)
    assert [one.left for one in settle(desk.office, desk.clock())] == [HELD]


def test_late_records_reduce_what_is_left(desk, student):
    ride(desk, student.card, 300, 1)
    lose(student)
    ride(desk, student.card, 400, 2)
    ride(desk, student.card, 400, 2)  # told twice
    ride(desk, student.card, 9000, 3, tac_is_right=False)
    ride(desk, student.card, 9000, 4, mark=int(Mark.VOID))
    ride(desk, student.card, 9000, 5, is_online=True)
    done = after_a_week(desk)
    assert [(one.rides, one.left, one.how) for one in done] == [(700, HELD - 700, "carry")]
    assert_moved(desk, HELD - 700, rides=700)


def test_rides_beyond_what_the_card_held_are_the_companys(desk, student):
    lose(student)
    ride(desk, student.card, HELD + 200, 1)
    assert [one.left for one in after_a_week(desk)] == [0]
    assert desk.owed(Account.FORFEITED) == -200
    assert_moved(desk, 0, rides=HELD + 200)


@pytest.mark.parametrize(
    ("how", "account"),
    [
        ("carry", Account.FROZEN),
        ("refund", Account.PAYABLE),
        ("forfeit", Account.FORFEITED),
    ],
)
def test_the_policy_says_whose_the_rest_is(desk, student, how, account):
    desk.change(lost_balance=how)
    lose(student)
    ride(desk, student.card, 1000, 1)
    after_a_week(desk)
    owed = {one for one in Account if desk.owed(one) > 0} - {Account.OPERATORS}
    assert (owed, desk.owed(account)) == ({account}, HELD - 1000)
    desk.assert_balanced()


def test_settle_days_are_a_knob(desk, student):
    desk.change(settle_days=0)
    lose(student)
    assert [one.left for one in settle(desk.office, desk.clock())] == [HELD]


# Top-ups under way


@pytest.mark.parametrize("state", ["begun", CHARGED, AUTHORISED])
@pytest.mark.parametrize("point", CutPoint, ids=lambda p: p.name)
def test_a_top_up_that_was_paid_is_part_of_what_the_card_held(student, state, point):
    desk = student.desk
    in_state(student, state, "late", point)
    paid = desk.paid()
    loss = lose(student)
    assert (loss.frozen, desk.owed(Account.PAID_IN)) == (paid, 0)
    after_a_week(desk)
    for work in (student.top_up("late"), student.cancel("late")):
        if state != "begun":
            with pytest.raises(RuleError, match="goes with its balance"):
                on(student.chip, work)
    assert_moved(desk, paid)


@pytest.mark.parametrize("mishap", [Mishap.LOST_BEFORE, Mishap.LOST_AFTER])
def test_a_charge_that_was_not_answered_is_given_back(student, mishap):
    desk = student.desk
    in_state(student, CHARGING, "late", mishap=mishap)
    assert lose(student).frozen == HELD
    desk.mishaps.planned = [Mishap.LOST_AFTER]
    assert after_a_week(desk) == []
    assert [one.left for one in settle(desk.office, desk.clock())] == [HELD]
    assert desk.paid() == HELD
    assert_moved(desk, HELD)


@pytest.mark.parametrize("point", CutPoint, ids=lambda p: p.name)
def test_a_top_up_whose_card_is_reported_lost_in_its_middle_is_in_the_books_once(student, point):
    """The report comes between MAC2 and the card's answer."""
    desk = student.desk
    transaction = student.top_up("late")
    sent = next(transaction)
    student.chip.power_on()
    while not sent.command.startswith(b"\x80\x52"):
        sent = transaction.send(student.chip.process(sent.command))
    lose(student)
    answer = student.chip.process(sent.command)
    go_on = partial(transaction.send, answer)
    if point is CutPoint.AFTER:
        go_on = partial(transaction.throw, CardLost("gone"))
    with pytest.raises((RuleError, LoadInterrupted)):
        go_on()
    after_a_week(desk)
    assert_moved(desk, HELD + 1000)


# To the new card


def replaced(student):
    lose(student)
    ride(student.desk, student.card, 1000, 1)
    after_a_week(student.desk)
    student.card, student.chip = student.desk.opened(student.account)
    return student


def test_the_balance_comes_with_the_new_cards_first_top_up(desk, student):
    old = student.card
    replaced(student)
    done = on(student.chip, student.top_up("new", 500))
    assert (done.amount, done.balance, done.card.online_seq) == (500, HELD - 500, 2)
    assert student.chip.purse.actual == desk.owed(Account.CARDS, student.card.id) == HELD - 500
    assert desk.owed(Account.FROZEN, old.id) == 0
    on(student.chip, student.top_up("more", 500))
    assert student.chip.purse.actual == HELD
    assert_moved(desk, HELD, rides=1000)


def test_the_balance_comes_when_it_is_asked_for_and_once(desk, student):
    replaced(student)
    done = on(student.chip, carry(desk.office, student.account, "c"))
    assert (done.amount, done.balance) == (HELD - 1000, HELD - 1000)
    assert on(student.chip, carry(desk.office, student.account, "c")) == done
    with pytest.raises(RuleError, match="no balance of a lost card"):
        on(student.chip, carry(desk.office, student.account, "d"))
    assert student.chip.purse.actual == HELD - 1000
    assert_moved(desk, HELD - 1000, rides=1000)


def test_nothing_is_carried_before_it_is_settled(desk, student):
    lose(student)
    student.card, student.chip = desk.opened(student.account)
    with pytest.raises(RuleError, match="no balance of a lost card"):
        on(student.chip, carry(desk.office, student.account, "c"))
    assert on(student.chip, student.top_up("new", 500)).balance == 500
    assert_moved(desk, HELD + 500)


@each_moment
def test_an_office_that_dies_while_it_carries_carries_once(student, is_after):
    replaced(student)
    desk = student.desk
    for at in count(1):
        with crashing(desk.engine, at, is_after=is_after) as counted:
            try:
                on(student.chip, top_up(desk.office, student.account, f"k{at}", 100))
            except Crash:
                desk.restart()
        on(student.chip, top_up(desk.office, student.account, f"k{at}", 100))
        assert student.chip.purse.actual == desk.owed(Account.CARDS) == HELD - 1000 + 100 * at
        assert_moved(desk, HELD - 1000 + 100 * at, rides=1000)
        if counted[0] < at:
            break


@pytest.mark.parametrize("point", CutPoint, ids=lambda p: p.name)
@pytest.mark.parametrize("at", range(1, 9))
def test_a_card_that_leaves_while_the_balance_comes_gets_it_once(student, at, point):
    replaced(student)
    with pytest.raises((CardLost, LoadInterrupted)):
        on(student.chip, student.top_up("new", 500), at, point)
    student.desk.restart()
    assert on(student.chip, student.top_up("new", 500)).balance == HELD - 500
    assert student.chip.purse.actual == HELD - 500
    assert_moved(student.desk, HELD - 500, rides=1000)


def test_what_does_not_fit_on_the_new_card_waits(desk, student):
    replaced(student)
    done = on(student.chip, student.top_up("new", 99_000))
    assert done.balance == 99_000
    spend(student.chip, 90_000)
    assert on(student.chip, carry(desk.office, student.account, "c")).balance == 13_000
    assert on(student.chip, student.top_up("new", 99_000)).balance == 99_000
    assert student.chip.purse.actual == 13_000
    assert_moved(desk, 99_000 + HELD - 1000, rides=1000)


def test_a_card_that_is_lost_too_takes_the_carried_money_along(desk, student):
    replaced(student)
    on(student.chip, student.top_up("new", 500))
    assert lose(student, "again").frozen == HELD - 500
    after_a_week(desk)
    student.card, student.chip = desk.opened(student.account)
    on(student.chip, carry(desk.office, student.account, "c"))
    assert student.chip.purse.actual == HELD - 500
    assert_moved(desk, HELD - 500, rides=1000)


# Paid out


@pytest.mark.rule("R31")
def test_under_the_policy_refund_the_app_pays_back(desk, student):
    desk.change(lost_balance="refund")
    lose(student)
    with pytest.raises(RuleError, match="R31: There is no card to refund"):
        refund(desk.office, student.account, "r")
    after_a_week(desk)
    done = refund(desk.office, student.account, "r")
    assert (done.amount, done.channel, done.card.state) == (HELD, "app", CardState.REFUNDED)
    assert desk.paid() == 0
    assert_moved(desk, 0)


@pytest.mark.rule("R30", "R31")
def test_an_outlet_pays_out_who_wants_no_new_card(desk, student):
    lose(student)
    after_a_week(desk)
    staff = desk.student(1)
    done = outlet_refund(desk.office, staff, "r", student.card.serial)
    assert (done.amount, done.channel, done.card.state) == (HELD, "outlet", CardState.REFUNDED)
    assert desk.owed(Account.CASH) == HELD
    desk.opened(student.account)
    with pytest.raises(RuleError, match="no balance of a lost card"):
        on(student.chip, carry(desk.office, student.account, "c"))
    with pytest.raises(RuleError, match="refunded already"):
        outlet_refund(desk.office, staff, "s", student.card.serial)
    assert_moved(desk, 0)


def test_money_that_comes_back_to_a_refunded_card_has_a_way_out(desk, student):
    """A carry is cut after it took the money; an outlet closes the card; the carry is cancelled."""
    old = student.card
    replaced(student)
    with pytest.raises((CardLost, LoadInterrupted)):
        on(student.chip, carry(desk.office, student.account, "c"), 4, CutPoint.BEFORE)
    staff = desk.student(1)
    assert outlet_refund(desk.office, staff, "r", old.serial).amount == 0
    on(student.chip, student.cancel("c"))
    assert desk.owed(Account.FROZEN, old.id) == HELD - 1000
    assert on(student.chip, carry(desk.office, student.account, "d")).balance == HELD - 1000
    assert_moved(desk, HELD - 1000, rides=1000)


def test_or_an_outlet_pays_it_out(desk, student):
    old = student.card
    replaced(student)
    with pytest.raises((CardLost, LoadInterrupted)):
        on(student.chip, carry(desk.office, student.account, "c"), 4, CutPoint.BEFORE)
    staff = desk.student(1)
    outlet_refund(desk.office, staff, "r", old.serial)
    on(student.chip, student.cancel("c"))
    assert outlet_refund(desk.office, staff, "s", old.serial).amount == HELD - 1000
    assert_moved(desk, 0, rides=1000)


@pytest.mark.rule("R31")
def test_a_refund_of_what_a_lost_card_is_owed_leaves_its_frozen_money_to_its_end(desk, student):
    """What the payer did not take back is paid in the App before the loss is settled."""
    in_state(student, CHARGED, "a")
    held = student.chip.purse.actual
    desk.mishaps.planned = [Mishap.DECLINED, Mishap.DECLINED]
    assert on(student.chip, student.cancel("a")).data["ended"] == Ended.PAYABLE
    lose(student)
    assert refund(desk.office, student.account, "r").card.state is CardState.LOST
    after_a_week(desk)
    student.card, student.chip = desk.opened(student.account)
    assert on(student.chip, carry(desk.office, student.account, "c")).balance == held
    assert_moved(desk, held)

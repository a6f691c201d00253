"""A student who has lost the login begins anew, with the same cards and all of the money."""

import pytest

from issuer import accounts, blacklist_book, cards_book, openings, operations, setting_free
from issuer.card_states import CardState
from issuer.errors import RuleError
from issuer.ledger import Account
from issuer.losses import report_lost
from issuer.operations import DONE, FAILED
from issuer.payer import Mishap, PayerAway
from issuer.returns import give_back, refund
from issuer.setting_free import set_free
from issuer.topup_book import AUTHORISED, CHARGED, CHARGING
from issuer.topups import top_up
from issuer.unloading import UnloadInterrupted
from reader.transport.decorators import CutPoint
from tests.issuers import Desk, Student, in_state
from tests.issuers import on as presented
from tests.offices import claim
from tests.students import PHONE, Campus, blank, cut

STAFF = 77
pytestmark = pytest.mark.rule("R5", "R24")


@pytest.fixture
def campus(engine) -> Campus:
    return Campus.of(engine)


def freed(campus, number=0):
    """The student's new account, after an outlet has set the old one free."""
    held = set_free(campus.office, STAFF, "UCAS", claim(number).number)
    assert held.person_id is None
    made = campus.login("another")
    campus.prove(made, number)
    return made


@pytest.mark.rule("R6")
@pytest.mark.parametrize("at", [1, 40, 60])
def test_an_opening_whose_login_was_lost_frees_the_slot(campus, at):
    account, chip = campus.account(), blank()
    assert cut(chip, openings.open_card(campus.office, account, "open", PHONE), at, CutPoint.AFTER)
    new = freed(campus)
    card = campus.open(new, blank("new"))
    assert card.state is CardState.ACTIVE
    (old, state), active = campus.rows()
    assert (state, active) == ("void", (card.serial.hex(), "active"))
    assert campus.do(blacklist_book.is_listed, bytes.fromhex(old)) is (at > 1)
    assert campus.do(operations.held, account, "open").state == FAILED
    assert "account.set_free" in campus.actions()


@pytest.mark.rule("R29")
def test_one_whose_card_was_reported_lost_too_is_no_obstacle(campus):
    account, chip = campus.account(), blank()
    cut(chip, openings.open_card(campus.office, account, "open", PHONE), 40, CutPoint.AFTER)
    report_lost(campus.office, account, "lost")
    assert campus.open(freed(campus), blank("new")).state is CardState.ACTIVE


def test_the_card_is_the_students_under_the_new_account_too(campus):
    _, _, card = campus.opened()
    new = freed(campus)
    with pytest.raises(RuleError) as no:
        campus.open(new, blank("new"))
    assert no.value.reason == "has_card"
    assert campus.do(cards_book.usable_of, card.person_id) == [card]


def test_who_has_no_account_is_told_so(campus):
    for school, number in (("UCAS", claim(0).number), ("NONE", "1")):
        with pytest.raises(RuleError) as no:
            set_free(campus.office, STAFF, school, number)
        assert (no.value.rule, no.value.reason) == ("R5", "no_account")


# Money


@pytest.fixture
def student(office) -> Student:
    made = Student(Desk(office.engine))
    presented(made.chip, made.top_up("first", 5000))
    return made


def again(student):
    """The student with a new account."""
    office = student.desk.office
    setting_free.set_free(office, STAFF, "UCAS", claim(0).number)
    old, student.account = (
        student.account,
        student.desk.books.do(lambda s: accounts.log_in(s, "another").id),
    )
    student.desk.books.authenticate(student.account, claim(0))
    return old


@pytest.mark.rule("R25")
@pytest.mark.parametrize("state", [CHARGING, CHARGED])
def test_money_on_its_way_goes_back_to_the_payer(student, state):
    in_state(student, state, "a")
    on_card = student.chip.purse.actual
    again(student)
    student.assert_has(on_card)


@pytest.mark.rule("R25")
@pytest.mark.parametrize("point", CutPoint, ids=lambda point: point.name)
def test_a_top_up_that_may_be_on_the_card_is_settled_with_it(student, point):
    in_state(student, AUTHORISED, "a", point)
    again(student)
    presented(student.chip, top_up(student.desk.office, student.account, "b", 300))
    held = student.chip.purse.actual
    assert student.desk.owed(Account.CARDS) == held
    assert student.desk.paid() == held + student.desk.owed(Account.PAID_IN)
    done = presented(student.chip, give_back(student.desk.office, student.account, "r"))
    assert done.amount == held == student.desk.paid()
    assert student.desk.owed(Account.PAID_IN) == 0
    student.desk.assert_balanced()


@pytest.mark.rule("R31", "R33")
def test_a_return_and_a_refund_are_gone_on_with_by_the_new_account(student):
    desk = student.desk
    with pytest.raises(UnloadInterrupted):
        presented(student.chip, give_back(desk.office, student.account, "r"), 8, CutPoint.AFTER)
    again(student)
    assert presented(student.chip, give_back(desk.office, student.account, "s")).amount == 5000
    desk.mishaps.planned = [Mishap.LOST_AFTER]
    with pytest.raises(PayerAway):
        refund(desk.office, student.account, "f")
    setting_free.set_free(desk.office, STAFF, "UCAS", claim(0).number)
    third = desk.books.do(lambda s: accounts.log_in(s, "third").id)
    desk.books.authenticate(third, claim(0))
    assert refund(desk.office, third, "g").op.state == DONE
    assert desk.paid() == desk.owed(Account.PAYABLE) == 0
    desk.assert_balanced()

"""A returned card is dead, its money leaves it once, and is paid back once."""

import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import replace
from datetime import datetime, timedelta
from itertools import count, product

import pytest

from apdu.files import EF1A
from emulator.card.state import Blocked
from issuer import accounts, audit, operations
from issuer.card_states import CardState
from issuer.errors import RuleError
from issuer.ledger import Account
from issuer.losses import report_lost, settle
from issuer.moments import SHANGHAI
from issuer.operations import DONE, FAILED, Kind
from issuer.payer import Mishap, PayerAway
from issuer.presenting import account_name
from issuer.returns import give_back, outlet_refund, refund
from issuer.topup_book import AUTHORISED, CHARGED, CHARGING, Source
from issuer.topup_host import charge_key
from issuer.topups import carry
from issuer.unloading import UnloadInterrupted
from reader.session import ProtocolError, run
from reader.transport.base import CardLost
from reader.transport.decorators import CutPoint
from tests.cards import app_of, with_app, with_purse, with_trip
from tests.gates import INSIDE
from tests.issuers import (
    Crash,
    Desk,
    Student,
    again,
    change,
    commands_of,
    crashing,
    finish,
    in_state,
    on,
    ride,
    spend,
)
from tests.offices import END, claim
from tests.slices import parts

HELD = 5000
DEBIT_UNLOAD = bytes.fromhex("8054")

each_point = pytest.mark.parametrize("point", CutPoint, ids=lambda p: p.name)
each_moment = pytest.mark.parametrize("is_after", [False, True], ids=["before", "after"])
LEFT = (CardLost, UnloadInterrupted)
COMMANDS = 10
TWICE = list(product(range(1, COMMANDS + 1), range(2, COMMANDS + 1, 3)))
TRANSACTIONS = 5
"""Begun, let, paid, about to block, ended."""


@pytest.fixture
def desk(office) -> Desk:
    return Desk(office.engine)


@pytest.fixture
def student(desk) -> Student:
    return filled(Student(desk))


def filled(student, fen=HELD):
    on(student.chip, student.top_up("first", fen))
    return student


def anew(student):
    """The same student with another card that is full: the slot is free again."""
    student.card, student.chip = student.desk.opened(student.account)
    on(student.chip, student.top_up(f"fill-{student.card.id}", HELD))
    return f"return-{student.card.id}"


def returning(student, key="return"):
    return give_back(student.desk.office, student.account, key)


def refunding(student, key="refund"):
    return refund(student.desk.office, student.account, key)


def assert_closed(student, payable, rides=0):
    """The card is dead and empty, and the books have it to the fen."""
    desk, card = student.desk, student.desk.card(student.card.id)
    assert (card.state, card.balance) == (CardState.RETURNED, 0)
    assert app_of(student.chip.image).blocked is Blocked.PERMANENT
    assert student.chip.purse.actual == 0
    assert desk.owed(Account.CARDS, card.id) == desk.owed(Account.PAID_IN) == 0
    assert desk.owed(Account.PAYABLE, card.id) == payable
    assert desk.owed(Account.OPERATORS, card.id) == rides
    desk.assert_balanced()


def refused(student, transaction, rule, reason, chip=None):
    before = (chip or student.chip).image
    with pytest.raises(RuleError) as no:
        on(chip or student.chip, transaction)
    assert (no.value.rule, no.value.reason) == (rule, reason)
    assert (chip or student.chip).image == before
    student.desk.assert_balanced()


# Well


@pytest.mark.rule("R33")
def test_a_return_empties_the_card_and_frees_the_slot(desk, student):
    spend(student.chip, 1200)
    done = on(student.chip, returning(student))
    assert (done.amount, done.channel, done.op.state) == (HELD - 1200, "app", DONE)
    assert_closed(student, HELD - 1200, rides=1200)
    assert run(returning(student), {}) == done
    desk.opened(student.account)
    assert audit.verify(desk.engine).is_whole


@pytest.mark.rule("R33")
def test_an_empty_card_is_closed(desk):
    student = Student(desk)
    done = on(student.chip, returning(student))
    assert (done.amount, done.channel) == (0, "none")
    paid = refunding(student)
    assert (paid.amount, paid.channel, paid.card.state) == (0, "none", CardState.REFUNDED)


@pytest.mark.rule("R33")
def test_an_expired_card_is_returned_as_any_other(desk, student):
    desk.clock.at = datetime(END.year + 1, 1, 1, tzinfo=SHANGHAI)
    assert on(student.chip, returning(student)).amount == HELD
    assert_closed(student, HELD)


@pytest.mark.rule("R33")
def test_a_card_that_was_spent_empty_owes_its_operators(desk, student):
    spend(student.chip, HELD)
    on(student.chip, returning(student))
    assert_closed(student, 0, rides=HELD)


def test_rides_that_operators_have_already_are_not_theirs_twice(desk, student):
    """A lost card's rides were posted; the next card begins from nothing."""
    ride(desk, student.card, 700, 1)
    report_lost(desk.office, student.account, "lost")
    desk.clock.at += timedelta(days=7)
    settle(desk.office, desk.clock())
    student.card, student.chip = desk.opened(student.account)
    on(student.chip, carry(desk.office, student.account, "c"))
    on(student.chip, returning(student))
    assert_closed(student, HELD - 700)
    assert refunding(student).amount == HELD - 700
    assert desk.owed(Account.OPERATORS) == desk.paid() == 700


# Refused before anything changes


@pytest.mark.rule("R31")
def test_a_return_with_an_open_trip_is_refused_unless_the_policy_allows_it(desk, student):
    change(student.chip, with_trip(INSIDE.build()))
    refused(student, returning(student), "R31", "open_trip")
    assert desk.owed(Account.CARDS, student.card.id) == HELD
    desk.change(refund_requires_closed_trip=False)
    on(student.chip, returning(student))
    assert_closed(student, HELD)


@pytest.mark.rule("R31")
def test_a_card_that_owes_is_refused(student):
    change(student.chip, with_purse(actual=0, limit=1000, used=305))
    refused(student, returning(student), "R31", "overdrawn")


@pytest.mark.rule("R31")
def test_a_card_that_holds_more_than_was_put_on_it_is_refused(desk, student):
    change(student.chip, with_purse(actual=HELD + 1))
    refused(student, returning(student), "R31", "books_disagree")
    assert desk.card(student.card.id).state is CardState.ACTIVE


@pytest.mark.rule("R24", "R33")
def test_another_card_is_refused(desk, student):
    other = filled(Student(desk, 1))
    refused(student, returning(student), "R24", "foreign_card", other.chip)
    on(student.chip, returning(student))
    assert_closed(student, HELD)


@pytest.mark.rule("R33")
def test_a_card_that_something_else_has_blocked_is_reported_lost(desk, student):
    change(student.chip, with_app(blocked=Blocked.PERMANENT))
    refused(student, returning(student), "R33", "blocked_for_good")
    assert report_lost(desk.office, student.account, "lost").frozen == HELD
    refused(student, returning(student), "R33", "lost_no_return")


@pytest.mark.rule("R33")
def test_who_has_no_card_returns_none(desk, student):
    refused(student, give_back(desk.office, desk.student(1), "r"), "R33", "no_card")
    on(student.chip, returning(student))
    refused(student, returning(student, "again"), "R33", "no_card")


def test_a_card_that_lies_about_its_balance_is_not_emptied_in_part(student):
    class Lying:
        def transmit(self, command):
            said = student.chip.process(command)
            return b"\x00\x00\x03\xe8\x90\x00" if command.startswith(b"\x80\x5c\x03") else said

    again(student.chip)
    with pytest.raises(ProtocolError, match="holds 1000 fen, and signs 5000"):
        run(returning(student), {"card": Lying()})
    on(student.chip, returning(student))
    assert_closed(student, HELD)


# Cut anywhere


def test_it_takes_so_many_commands_and_transactions(student):
    with crashing(student.desk.engine, 0, is_after=False) as counted:
        sent = commands_of(student.chip, returning(student))
    assert (len(sent), counted) == (COMMANDS, [TRANSACTIONS])


@pytest.mark.rule("R33")
@each_point
def test_a_card_that_leaves_at_any_command_is_emptied_once(student, point):
    key = "return"
    for at in range(1, COMMANDS + 1):
        with pytest.raises(LEFT):
            on(student.chip, returning(student, key), at, point)
        student.desk.restart()
        on(student.chip, returning(student, key))
        assert_closed(student, HELD)
        key = anew(student)


@pytest.mark.rule("R33")
@each_point
@pytest.mark.parametrize("second", CutPoint, ids=lambda p: p.name)
def test_and_so_is_one_that_leaves_twice(student, point, second, some):
    key = "return"
    for at, later in some(TWICE, 10, parts):
        with pytest.raises(LEFT):
            on(student.chip, returning(student, key), at, point)
        student.desk.restart()
        try:
            on(student.chip, returning(student, key), later, second)
        except LEFT:
            student.desk.restart()
        on(student.chip, returning(student, key))
        assert_closed(student, HELD)
        key = anew(student)


@pytest.mark.rule("R33")
@each_moment
@pytest.mark.parametrize("fen", [0, HELD])
def test_an_office_that_dies_at_any_commit_has_it_once(student, is_after, fen):
    key = "return"
    for at in range(1, TRANSACTIONS + 1):
        spend(student.chip, HELD - fen)
        with crashing(student.desk.engine, at, is_after=is_after):
            try:
                on(student.chip, returning(student, key))
            except Crash:
                student.desk.restart()
        on(student.chip, returning(student, key))
        assert_closed(student, fen, rides=HELD - fen)
        key = anew(student)


# Top-ups under way


@pytest.mark.rule("R25", "R33")
@pytest.mark.parametrize("state", ["begun", CHARGING, CHARGED, AUTHORISED])
@each_point
def test_a_return_settles_the_top_ups_that_are_under_way(student, state, point):
    desk = student.desk
    in_state(student, state, "late", point)
    on(student.chip, returning(student))
    assert student.op("late").is_over
    assert_closed(student, desk.paid())


@pytest.mark.rule("R25")
def test_a_card_that_is_being_returned_takes_no_money(student):
    with pytest.raises(LEFT):
        on(student.chip, returning(student), 8, CutPoint.AFTER)
    refused(student, student.top_up("late"), "R25", "being_returned")
    on(student.chip, returning(student))


@pytest.mark.rule("R29")
@each_point
def test_a_card_lost_in_the_middle_of_its_return_is_settled_as_lost(student, point):
    desk = student.desk
    for at in range(1, COMMANDS + 1):
        with pytest.raises(LEFT):
            on(student.chip, returning(student, f"r{at}"), at, point)
        card = desk.card(student.card.id)
        assert card.state is CardState.ACTIVE
        report_lost(desk.office, student.account, f"lost-{at}")
        refused(student, returning(student, f"r{at}"), "R33", "lost_no_return")
        desk.clock.at += timedelta(days=7)
        settle(desk.office, desk.clock())
        owed = desk.owed(Account.PAYABLE, card.id) + desk.owed(Account.FROZEN, card.id)
        assert owed == HELD
        outlet_refund(desk.office, desk.student(1), f"o{at}", card.serial)
        assert desk.card(card.id).state is CardState.REFUNDED
        desk.assert_balanced()
        anew(student)


@pytest.mark.rule("R33")
def test_an_offer_that_a_top_up_has_overtaken_is_not_let_through(student):
    """The card offers its money, a top-up comes and goes, and only then the office hears of it."""
    slow = returning(student)
    again(student.chip)
    sent = next(slow)
    while not sent.command.startswith(bytes.fromhex("805005")):
        sent = slow.send(student.chip.process(sent.command))
    offer = student.chip.process(sent.command)
    on(student.chip, student.top_up("late", 1000))
    with pytest.raises(RuleError, match="Something else is under way"):
        slow.send(offer)
    on(student.chip, returning(student))
    assert_closed(student, HELD + 1000)


# Refunds


@pytest.mark.rule("R31", "R32")
@pytest.mark.parametrize(
    ("fen", "is_inclusive", "is_outlets"),
    [
        (19_999, True, False),
        (20_000, True, True),
        (20_000, False, False),
        (20_001, True, True),
        (20_001, False, True),
    ],
)
def test_from_the_threshold_on_an_outlet_pays(desk, fen, is_inclusive, is_outlets):
    desk.change(refund_outlet_threshold_inclusive=is_inclusive)
    student = filled(Student(desk), fen)
    done = on(student.chip, returning(student))
    assert (done.amount, done.channel) == (fen, "outlet" if is_outlets else "app")
    staff = desk.student(1)
    if is_outlets:
        with pytest.raises(RuleError, match=r"R32: .* paid back at an outlet"):
            refunding(student)
        paid = outlet_refund(desk.office, staff, "o", student.card.serial)
        assert (paid.amount, desk.owed(Account.CASH), desk.paid()) == (fen, fen, fen)
    else:
        paid = refunding(student)
        assert (paid.amount, desk.owed(Account.CASH), desk.paid()) == (fen, 0, 0)
    assert paid.card.state is CardState.REFUNDED
    assert desk.owed(Account.PAYABLE) == 0
    desk.assert_balanced()


@pytest.mark.rule("R31")
def test_a_refund_before_the_return_is_refused(desk, student):
    for work in (
        lambda: refunding(student),
        lambda: outlet_refund(desk.office, desk.student(1), "o", student.card.serial),
    ):
        with pytest.raises(RuleError, match="return"):
            work()
    assert desk.paid() == HELD


@pytest.mark.rule("R31")
def test_a_refund_asked_for_twice_is_paid_once_under_either_key(desk, student):
    on(student.chip, returning(student))
    first = refunding(student)
    assert refunding(student) == first
    for _ in range(2):
        assert refunding(student, "another") == first
    assert desk.paid() == 0
    desk.assert_balanced()


@pytest.mark.rule("R31")
def test_it_goes_back_to_the_charges_the_newest_first(desk, student):
    on(student.chip, student.top_up("second", 2000))
    spend(student.chip, 1000)
    on(student.chip, returning(student))
    paid = refunding(student)
    charges = [(student.op("second").id, 2000), (student.op("first").id, 4000)]
    assert [tuple(part) for part in paid.op.data["parts"]] == charges
    assert (paid.amount, desk.paid()) == (6000, 1000)


@pytest.mark.rule("R31")
@each_moment
def test_an_office_that_dies_over_a_refund_pays_once(student, is_after):
    desk, key = student.desk, "return"
    for at in count(1):
        on(student.chip, student.top_up(f"second-{at}", 2000))
        on(student.chip, returning(student, key))
        with crashing(desk.engine, at, is_after=is_after) as counted:
            try:
                refunding(student, f"refund-{at}")
            except Crash:
                desk.restart()
        assert refunding(student, f"refund-{at}").amount == HELD + 2000
        assert desk.paid() == desk.owed(Account.PAYABLE) == 0
        desk.assert_balanced()
        if counted[0] < at:
            break
        key = anew(student)


@pytest.mark.rule("R31")
@pytest.mark.parametrize("mishap", [Mishap.LOST_BEFORE, Mishap.LOST_AFTER])
def test_a_payer_who_does_not_answer_is_asked_again(desk, student, mishap):
    on(student.chip, student.top_up("second", 2000))
    on(student.chip, returning(student))
    desk.mishaps.planned = [None, mishap]
    with pytest.raises(PayerAway):
        refunding(student)
    with pytest.raises(RuleError, match="A refund of this card is under way"):
        outlet_refund(desk.office, desk.student(1), "o", student.card.serial)
    assert refunding(student).amount == HELD + 2000
    assert desk.paid() == 0
    desk.assert_balanced()


@pytest.mark.rule("R31")
def test_what_the_payer_does_not_take_back_is_paid_otherwise(desk, student):
    on(student.chip, returning(student))
    desk.mishaps.planned = [Mishap.DECLINED]
    assert refunding(student).amount == HELD
    assert desk.paid() == 0


@pytest.mark.rule("R31")
def test_a_refund_that_the_payer_declines_is_an_outlets(desk, student):
    on(student.chip, student.top_up("second", 2000))
    on(student.chip, returning(student))
    desk.mishaps.planned = [None, Mishap.DECLINED, Mishap.DECLINED]
    for _ in range(2):
        with pytest.raises(RuleError, match="an outlet pays out what is left"):
            refunding(student)
    assert desk.owed(Account.PAYABLE) == desk.paid() == HELD
    paid = outlet_refund(desk.office, desk.student(1), "o", student.card.serial)
    assert (paid.amount, paid.card.state) == (HELD, CardState.REFUNDED)
    desk.assert_balanced()


@pytest.mark.rule("R31")
def test_after_a_declined_refund_a_new_key_pays_what_is_left(desk, student):
    on(student.chip, student.top_up("second", 2000))
    on(student.chip, returning(student))
    desk.mishaps.planned = [None, Mishap.DECLINED, Mishap.DECLINED]
    with pytest.raises(RuleError):
        refunding(student)
    assert refunding(student, "another").amount == HELD
    assert desk.paid() == desk.owed(Account.PAYABLE) == 0


@pytest.mark.rule("R32")
@each_moment
def test_an_outlet_that_dies_over_a_refund_pays_once(desk, student, is_after):
    staff, serial = desk.student(1), student.card.serial
    on(student.chip, returning(student))
    with crashing(desk.engine, 1, is_after=is_after), pytest.raises(Crash):
        outlet_refund(desk.office, staff, "o", serial)
    first = outlet_refund(desk.office, staff, "o", serial)
    assert outlet_refund(desk.office, staff, "o", serial) == first
    with pytest.raises(RuleError, match="refunded already"):
        outlet_refund(desk.office, staff, "p", serial)
    with pytest.raises(RuleError, match="is not the one this is for"):
        outlet_refund(desk.office, staff, "q", bytes(10))
    assert desk.owed(Account.CASH) == HELD
    desk.assert_balanced()


def test_a_trip_on_a_bus_holds_a_return_up_too(desk, student):
    record = bytearray(EF1A.size)
    record[:15] = bytes.fromhex("27027D0101") + bytes(9) + b"\x01"
    change(student.chip, with_trip(bytes(record), 2))
    refused(student, returning(student), "R31", "open_trip")
    assert student.op("first").state != FAILED


# Another key, another run


@each_point
def test_a_return_that_was_cut_is_gone_on_with_by_another_key(student, point):
    """The money is off the card, and only the first return knows: none of it was a ride."""
    for at in range(1, COMMANDS + 1):
        key = anew(student) if at > 1 else "return"
        with pytest.raises(LEFT):
            on(student.chip, returning(student, key), at, point)
        student.desk.restart()
        done = on(student.chip, returning(student, f"{key}-again"))
        assert done.amount == HELD
        assert_closed(student, HELD)
        assert on(student.chip, returning(student, key)) == done
        assert on(student.chip, returning(student, f"{key}-again")) == done


def test_two_returns_by_turns_lose_nothing(student):
    for number, first in enumerate(range(1, COMMANDS + 1)):
        key = anew(student) if number else "return"
        again(student.chip)
        slow = returning(student, key)
        sent = next(slow)
        for _ in range(first - 1):
            sent = slow.send(student.chip.process(sent.command))
        done = on(student.chip, returning(student, f"{key}-other"))
        assert done.amount == HELD
        slow.close()
        assert_closed(student, HELD)
        assert on(student.chip, returning(student, key)).amount == HELD


def test_a_top_up_paid_while_its_card_is_returned_is_given_back_by_the_return(student):
    again(student.chip)
    slow = returning(student)
    sent = next(slow)
    while sent.command[:2] != DEBIT_UNLOAD:
        sent = slow.send(student.chip.process(sent.command))
    late = charging(student, "late", 700)
    assert finish(slow, sent, student.chip).amount == HELD
    assert student.op("late").id == late
    assert student.op("late").state == FAILED
    assert student.desk.paid() == HELD
    assert_closed(student, HELD)


def charging(student, key, fen):
    """A top-up that is paid, as a run leaves it that the return has overtaken."""
    desk = student.desk

    def make(session):
        op = operations.begin(session, Kind.TOP_UP, student.account, key, fen, desk.clock())
        data = {"source": Source.PAYER, "fen": fen}
        return operations.step(session, op, CHARGING, desk.clock(), student.card.id, data)

    op = desk.books.do(make)
    desk.office.payer.charge(charge_key(op.id), fen, account_name(student.account))
    return op.id


def test_a_refund_under_way_is_gone_on_with_by_another_key(desk, student):
    on(student.chip, returning(student))
    desk.mishaps.planned = [Mishap.LOST_AFTER]
    with pytest.raises(PayerAway):
        refunding(student)
    done = refunding(student, "other")
    assert done.amount == HELD
    assert refunding(student, "other") == refunding(student) == done
    assert desk.paid() == 0
    assert_refunded(student)


def assert_refunded(student):
    assert student.desk.card(student.card.id).state is CardState.REFUNDED
    assert student.desk.owed(Account.PAYABLE) == 0
    student.desk.assert_balanced()


@pytest.mark.each_database
def test_two_runs_of_one_refund_pay_it_once(desk, student):
    """Both have the payer's answer before either has written it down."""
    on(student.chip, returning(student))
    start = threading.Barrier(2)

    class Slow:
        def refund(self, *wish):
            answer = payer.refund(*wish)
            with suppress(threading.BrokenBarrierError):
                start.wait(2)
            return answer

    payer, desk.office = desk.office.payer, replace(desk.office, payer=Slow())
    with ThreadPoolExecutor(2) as pool:
        said = [one.result() for one in [pool.submit(refunding, student) for _ in range(2)]]
    desk.restart()
    assert said[0] == said[1]
    assert desk.paid() == 0
    assert_refunded(student)


# An account that is another person's now


@pytest.mark.rule("R24")
def test_an_account_that_changed_hands_sees_nothing_of_what_was_asked_before(desk, student):
    on(student.chip, student.top_up("more"))
    on(student.chip, returning(student))
    refunding(student)
    desk.opened(student.account)
    report_lost(desk.office, student.account, "lost")
    desk.books.do(accounts.release, student.account)
    desk.books.authenticate(student.account, claim(1))
    for ask in (
        lambda: on(student.chip, student.top_up("more")),
        lambda: on(student.chip, returning(student)),
        lambda: refunding(student),
        lambda: report_lost(desk.office, student.account, "lost"),
    ):
        with pytest.raises(RuleError) as no:
            ask()
        assert (no.value.rule, no.value.reason) == ("R24", "others_card")

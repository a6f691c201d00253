"""More than one usable card for a student, where the policy says so (R6)."""

import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from datetime import datetime

import pytest
from sqlalchemy import text
from sqlalchemy.exc import IntegrityError

from issuer import blacklist_book, cards_book
from issuer.card_states import CardEvent, CardState
from issuer.cards_book import Card, move
from issuer.errors import RuleError
from issuer.ledger import Account
from issuer.losses import report_lost, settle
from issuer.moments import SHANGHAI
from issuer.refusal import Refusal
from issuer.renewals import renew
from issuer.returns import give_back
from issuer.status import card_of, cards_of, page
from issuer.topups import carry, top_up
from reader.loading import LoadInterrupted
from reader.transport.base import CardLost
from reader.transport.decorators import CutPoint
from tests.issuers import FEN, Desk, on
from tests.offices import NOW, Office, reserve
from tests.students import Campus, blank
from tests.students import on as run_on

pytestmark = pytest.mark.rule("R6")

THREADS = 60
AUGUST = datetime(2026, 8, 1, 12, tzinfo=SHANGHAI)


def active(session, student: int, limit: int) -> Card | Refusal:
    card = reserve(session, student, limit)
    if isinstance(card, Card):
        move(session, card.id, CardEvent.ACTIVATE, NOW)
    return card


# The database


@pytest.mark.parametrize("limit", [1, 2, 9])
def test_of_many_threads_as_many_get_a_card_as_the_knob_says(office: Office, limit: int):
    student, start = office.student(), threading.Barrier(THREADS)

    def ask(_: int) -> Card | Refusal:
        start.wait(60)
        return office.do(active, student, limit)

    with ThreadPoolExecutor(THREADS) as pool:
        answers = list(pool.map(ask, range(THREADS)))
    cards = [one for one in answers if isinstance(one, Card)]
    assert sorted(one.slot for one in cards) == list(range(limit))
    refused = {(one.rule, one.reason) for one in answers if isinstance(one, Refusal)}
    assert refused == {("R6", "has_card")}
    assert len(office.do(cards_book.usable_of, cards[0].person_id)) == limit


def test_the_database_itself_keeps_a_slot_for_one_usable_card(office: Office):
    """Whoever writes around the book is stopped by the index, in each slot."""
    student = office.student()
    person = {office.do(active, student, 2).person_id for _ in range(2)}.pop()
    copy = (
        "INSERT INTO cards (id, serial, person_id, student_id, slot, medium, state, issued_on,"
        " end_date, balance, online_seq, updated) SELECT 99, '03105228019999999999', person_id,"
        " student_id, {slot}, medium, '{state}', issued_on, end_date, 0, 0, 0 FROM cards"
        " WHERE slot = 0"
    )
    with office.engine.connect().execution_options(is_writing=True) as connection:
        for slot in (0, 1):
            for state in ("opening", "active"):
                with pytest.raises(IntegrityError):
                    connection.execute(text(copy.format(slot=slot, state=state)))
                connection.rollback()
        connection.execute(text(copy.format(slot=0, state="lost")))
        connection.commit()
    assert len(office.do(cards_book.usable_of, person)) == 2


def test_a_slot_that_is_free_again_is_taken_again(office: Office):
    student = office.student()
    first, second = (office.do(active, student, 2) for _ in range(2))
    office.do(move, first.id, CardEvent.REPORT_LOST, NOW)
    third = office.do(active, student, 2)
    assert (first.slot, second.slot, third.slot) == (0, 1, 0)
    assert office.do(active, student, 2).reason == "has_card"


def test_a_limit_that_was_lowered_counts_the_cards_and_not_the_slots(office: Office):
    """Slot 0 is free, but the card in slot 1 is one card all the same."""
    student = office.student()
    first, second = (office.do(active, student, 2) for _ in range(2))
    assert office.do(active, student, 1).reason == "has_card"
    office.do(move, first.id, CardEvent.RETURN, NOW)
    assert office.do(active, student, 1).reason == "has_card"
    office.do(move, second.id, CardEvent.RETURN, NOW)
    assert isinstance(office.do(active, student, 1), Card)


@pytest.mark.parametrize("state", [CardState.OPENING, CardState.ACTIVE])
def test_the_sentence_tells_the_limit(office: Office, state: CardState):
    student = office.student()
    for _ in range(3):
        card = office.do(reserve, student, 3)
        if state is CardState.ACTIVE:
            office.do(move, card.id, CardEvent.ACTIVATE, NOW)
    said = office.do(reserve, student, 3)
    assert said.reason == ("being_opened" if state is CardState.OPENING else "has_card")
    assert "may have 3 usable student cards" in said.en
    assert "最多有3张" in said.zh


# Opening


def test_a_student_opens_two_cards_and_no_third(engine):
    campus = Campus.of(engine, student_card_limit=2)
    account = campus.account()
    chips = [blank(f"chip {n}") for n in range(3)]
    cards = [campus.open(account, chip, f"open {n}") for n, chip in enumerate(chips[:2])]
    assert {one.state for one in cards} == {CardState.ACTIVE}
    with pytest.raises(RuleError, match="may have 2 usable student cards") as refused:
        campus.open(account, chips[2], "open 2")
    assert (refused.value.rule, refused.value.reason) == ("R6", "has_card")
    assert cards_of(campus.office, account) == tuple(cards)
    campus.decide(student_card_limit=1)
    with pytest.raises(RuleError, match="one usable student card"):
        campus.open(account, chips[2], "open 3")


# What is done with one of two


@pytest.fixture
def desk(office) -> Desk:
    made = Desk(office.engine)
    made.change(student_card_limit=2)
    return made


@pytest.fixture
def two(desk):
    """An account with two cards."""
    account = desk.student()
    return account, desk.opened(account), desk.opened(account)


def refused(reason: str, chip, transaction) -> None:
    with pytest.raises(RuleError) as raised:
        on(chip, transaction)
    assert raised.value.reason == reason


@pytest.mark.rule("R25")
def test_the_card_that_is_presented_is_topped_up(desk, two):
    account, (first, chip), (second, other) = two
    on(other, top_up(desk.office, account, "second", 3 * FEN))
    on(chip, top_up(desk.office, account, "first", FEN))
    assert (chip.purse.actual, other.purse.actual) == (FEN, 3 * FEN)
    assert desk.card(first.id).balance == desk.owed(Account.CARDS, first.id) == FEN
    assert desk.card(second.id).balance == desk.owed(Account.CARDS, second.id) == 3 * FEN
    desk.assert_balanced()


@pytest.mark.rule("R25")
@pytest.mark.parametrize("at", range(1, 9))
def test_a_top_up_that_was_cut_goes_on_with_its_card_alone(desk, two, at):
    account, (first, chip), (_, other) = two
    with suppress(CardLost, LoadInterrupted):
        on(chip, top_up(desk.office, account, "key", FEN), at, CutPoint.AFTER)
    is_bound = desk.books.do(lambda s: s.execute(text("SELECT card_id FROM operations")).scalar())
    if is_bound is not None and chip.purse.actual == 0:
        refused("foreign_card", other, top_up(desk.office, account, "key", FEN))
    assert on(chip, top_up(desk.office, account, "key", FEN)).card.id == first.id
    assert (chip.purse.actual, other.purse.actual, desk.paid()) == (FEN, 0, FEN)
    desk.assert_balanced()


@pytest.mark.rule("R24")
def test_a_card_of_somebody_else_is_none_of_the_two(desk, two):
    account, *_ = two
    _, stranger = desk.opened(desk.student(1))
    for act in (top_up(desk.office, account, "a", FEN), give_back(desk.office, account, "b")):
        refused("foreign_card", stranger, act)
    refused("foreign_card", stranger, renew(desk.office, account, "c"))
    assert desk.books.do(lambda s: s.execute(text("SELECT count(*) FROM operations")).scalar()) == 0


@pytest.mark.rule("R33")
def test_the_card_that_is_presented_is_returned_and_the_other_stays(desk, two):
    account, (first, chip), (second, other) = two
    on(chip, top_up(desk.office, account, "first", FEN))
    on(other, top_up(desk.office, account, "second", FEN))
    returned = on(other, give_back(desk.office, account, "back"))
    assert (returned.card.id, returned.amount) == (second.id, FEN)
    assert desk.card(first.id).state is CardState.ACTIVE
    assert on(chip, top_up(desk.office, account, "more", FEN)).balance == 2 * FEN
    desk.assert_balanced()


@pytest.mark.rule("R27", "R28")
def test_the_card_that_is_presented_is_renewed_and_the_other_is_not(engine):
    campus = Campus.of(engine, student_card_limit=2)
    account, chips = campus.account(), [blank("one"), blank("two")]
    first, second = (campus.open(account, chip, f"open {n}") for n, chip in enumerate(chips))
    campus.clock.now = AUGUST
    renewed = run_on(chips[1], renew(campus.office, account, "renew"))
    assert (renewed.id, renewed.end_date.year) == (second.id, 2027)
    assert campus.card(first).end_date == first.end_date
    with pytest.raises(RuleError, match="may be renewed again from 2027-07-30"):
        run_on(chips[1], renew(campus.office, account, "again"))
    assert run_on(chips[0], renew(campus.office, account, "other")).end_date.year == 2027


@pytest.mark.rule("R29")
def test_which_card_is_lost_has_to_be_said_and_the_other_lives_on(desk, two):
    account, (first, chip), (second, other) = two
    on(chip, top_up(desk.office, account, "first", FEN))
    with pytest.raises(RuleError, match="say which one is lost by its serial") as raised:
        report_lost(desk.office, account, "lost")
    assert (raised.value.rule, raised.value.reason) == ("R29", "which_card")
    loss = report_lost(desk.office, account, "lost", first.serial)
    assert (loss.card.id, loss.frozen) == (first.id, FEN)
    for key in ("lost", "again"):
        assert report_lost(desk.office, account, key, first.serial).card.id == first.id
    with pytest.raises(RuleError, match="choose a new one"):
        report_lost(desk.office, account, "lost", second.serial)
    with pytest.raises(RuleError, match="say which one"):
        report_lost(desk.office, account, "once more")
    with pytest.raises(RuleError, match="no student card that could be"):
        report_lost(desk.office, account, "nobody's", bytes(10))
    assert desk.card(second.id).state is CardState.ACTIVE
    assert not desk.books.do(blacklist_book.is_listed, second.serial)
    assert on(other, top_up(desk.office, account, "more", FEN)).card.id == second.id


@pytest.mark.rule("R29")
def test_what_a_lost_one_held_is_carried_to_the_card_that_is_presented(desk, two):
    account, (first, chip), (second, other) = two
    on(chip, top_up(desk.office, account, "first", 5 * FEN))
    report_lost(desk.office, account, "lost", first.serial)
    desk.change(settle_days=0)
    settle(desk.office, desk.clock())
    _, third = desk.opened(account)
    assert on(third, carry(desk.office, account, "carry")).balance == 5 * FEN
    assert (other.purse.actual, desk.owed(Account.FROZEN)) == (0, 0)
    assert desk.card(second.id).balance == 0
    desk.assert_balanced()


def test_with_several_under_a_limit_of_one_again_which_is_lost_has_still_to_be_said(desk, two):
    account, (first, _), (second, _) = two
    desk.change(student_card_limit=1)
    with pytest.raises(RuleError, match="say which one is meant"):
        report_lost(desk.office, account, "lost")
    report_lost(desk.office, account, "lost", second.serial)
    assert report_lost(desk.office, account, "next").card.id == first.id


@pytest.mark.rule("R20")
def test_the_page_shows_the_latest_card_in_use_or_the_one_that_is_asked_for(desk, two):
    account, (first, _), (second, _) = two
    assert card_of(desk.office, account).id == page(desk.office, account).card.id == second.id
    assert page(desk.office, account, serial=first.serial).card.id == first.id
    assert page(desk.office, account, serial=bytes(10)) is None
    report_lost(desk.office, account, "lost", second.serial)
    assert card_of(desk.office, account).id == first.id


@pytest.mark.rule("R24")
def test_the_page_of_another_persons_card_is_not_shown(desk, two):
    _, (first, _), _ = two
    assert page(desk.office, desk.student(1), serial=first.serial) is None

"""The book of cards: one usable card per student, states, serials (R6, R29, R31, R33)."""

from datetime import date
from itertools import product

import pytest
from sqlalchemy import text
from sqlalchemy.exc import IntegrityError

from issuer import cards_book, roster
from issuer.card_states import NEXT, RULES, CardEvent, CardState, Carrier, step
from issuer.cards_book import Card, move
from issuer.database import DatabaseError, open_database, transact
from issuer.refusal import Refusal
from issuer.roster_file import parse_toml
from issuer.tables import USABLE
from tests.offices import END, NOW, SCHOOLS, Office, document, reserve, student_table

WAYS = {
    CardState.OPENING: [],
    CardState.VOID: [CardEvent.GIVE_UP],
    CardState.ACTIVE: [CardEvent.ACTIVATE],
    CardState.LOST: [CardEvent.ACTIVATE, CardEvent.REPORT_LOST],
    CardState.RETURNED: [CardEvent.ACTIVATE, CardEvent.RETURN],
    CardState.REFUNDED: [CardEvent.ACTIVATE, CardEvent.RETURN, CardEvent.REFUND],
}
"""How a card gets into each state."""


def card_in(office: Office, state: CardState, student: int) -> Card:
    card = office.reserve(student)
    assert isinstance(card, Card)
    for event in WAYS[state]:
        card = office.do(move, card.id, event, NOW)
    assert card.state is state
    return card


def test_a_card_is_reserved_with_a_serial_of_the_laboratory(office: Office):
    student = office.student()
    card = office.reserve(student)
    assert card == Card(
        card.id,
        bytes.fromhex("03105228010000000001"),
        card.person_id,
        student,
        Carrier.NFC,
        CardState.OPENING,
        NOW.date(),
        END,
        0,
        0,
    )
    assert office.do(cards_book.by_serial, card.serial) == card
    assert office.do(cards_book.card, card.id) == card
    assert office.do(cards_book.usable_of, card.person_id) == [card]


@pytest.mark.rule("R29", "R31", "R33")
@pytest.mark.parametrize("state", CardState)
def test_a_card_follows_the_table_and_nothing_else(office: Office, state: CardState):
    office.fill(len(CardEvent))
    for number, event in enumerate(CardEvent):
        before = card_in(office, state, office.student(number))
        after = office.do(move, before.id, event, NOW)
        held = office.do(cards_book.card, before.id)
        if (state, event) in NEXT:
            assert after == held
            assert held.state is NEXT[state, event]
        else:
            assert isinstance(after, Refusal)
            assert after.rule == RULES[event]
            assert held == before


@pytest.mark.rule("R29")
def test_no_card_comes_back_to_life():
    """Once it is not usable, no event makes it usable: a found phone's card stays dead (R29)."""
    for (state, _), after in NEXT.items():
        assert state.is_usable or not after.is_usable
    assert {state.value for state in CardState if state.is_usable} == set(USABLE)


def test_every_refusal_is_a_sentence_in_two_languages():
    for state, event in set(product(CardState, CardEvent)) - NEXT.keys():
        refusal = step(state, event)
        assert isinstance(refusal, Refusal)
        assert refusal.zh.startswith("此卡")
        assert refusal.en.startswith("The card ")
        assert refusal.zh[-1] == "。"
        assert refusal.en[-1] == "."


@pytest.mark.rule("R6")
@pytest.mark.parametrize("state", CardState)
def test_a_second_card_is_refused_exactly_while_the_first_is_usable(
    office: Office, state: CardState
):
    student = office.student()
    first = card_in(office, state, student)
    second = office.reserve(student)
    if state.is_usable:
        assert isinstance(second, Refusal)
        assert second.rule == "R6"
        assert second.reason == ("being_opened" if state is CardState.OPENING else "has_card")
        assert office.do(cards_book.cards_of, first.person_id) == [first]
    else:
        assert isinstance(second, Card)
        assert second.serial > first.serial
        assert office.do(cards_book.cards_of, first.person_id) == [first, second]


@pytest.mark.rule("R6")
def test_a_person_at_two_schools_has_one_slot(office: Office):
    more = student_table(0, number="X1", school="OTHER", document=document(0))
    roster.take(office.engine, office.documents, parse_toml(SCHOOLS + more))
    here = office.student(0)
    person = office.do(roster.standing_of, here).person_id
    there = next(
        n for n in range(1, 9) if n != here and office.do(roster.standing_of, n).person_id == person
    )
    assert isinstance(office.reserve(here), Card)
    assert office.reserve(there).rule == "R6"


@pytest.mark.rule("R6")
def test_the_database_itself_refuses_a_second_usable_card(office: Office):
    """Whoever writes around the book is stopped by the index."""
    card = office.reserve(office.student())
    copy = (
        "INSERT INTO cards (id, serial, person_id, student_id, medium, state, issued_on, end_date,"
        " balance, online_seq, updated) SELECT 99, '03105228019999999999', person_id,"
        " student_id, medium, '{state}', issued_on, end_date, 0, 0, 0 FROM cards"
    )
    connecting = office.engine.connect().execution_options(is_writing=True)
    with connecting as connection:
        for state in USABLE:
            with pytest.raises(IntegrityError):
                connection.execute(text(copy.format(state=state)))
            connection.rollback()
        connection.execute(text(copy.format(state="lost")))
        connection.commit()
    assert len(office.do(cards_book.cards_of, card.person_id)) == 2


def test_a_serial_is_not_given_out_again_after_a_cut(office: Office):
    """A transaction that never ended leaves no card; one that did, a number taken for ever."""
    students = [office.student(n) for n in range(3)]
    first = office.reserve(students[0])

    def cut(session):
        assert isinstance(reserve(session, students[1]), Card)
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        transact(office.engine, cut)
    office.engine.dispose()
    given_up = office.do(move, first.id, CardEvent.GIVE_UP, NOW)
    serials = [given_up.serial, *(office.reserve(n).serial for n in students)]
    assert len(set(serials)) == 4
    assert [one.hex()[-2:] for one in serials] == ["01", "02", "03", "04"]


def test_a_counter_that_was_set_back_gives_no_serial_twice(office: Office):
    office.reserve(office.student(0))
    office.do(lambda s: s.execute(text("UPDATE counters SET last = 0 WHERE name = 'serial'")))
    with pytest.raises(DatabaseError, match="was given out already"):
        office.reserve(office.student(1))


def test_when_all_serials_are_used_up_it_says_so(office: Office):
    office.do(
        lambda s: s.execute(text("UPDATE counters SET last = 89999999999 WHERE name = 'serial'"))
    )
    with pytest.raises(ValueError, match="used up"):
        office.reserve(office.student())


def test_what_was_learnt_of_a_card_is_noted(office: Office):
    card = office.reserve(office.student())
    noted = office.do(cards_book.note, card.id, NOW, balance=5000, online_seq=1)
    assert (noted.balance, noted.online_seq, noted.end_date) == (5000, 1, END)
    noted = office.do(cards_book.note, card.id, NOW, end_date=date(2027, 9, 30))
    assert (noted.balance, noted.online_seq, noted.end_date) == (5000, 1, date(2027, 9, 30))


def test_nobody_comes_between_reading_a_card_and_moving_it(office: Office, where: str):
    """PostgreSQL: who locks a card reads it anew. SQLite: the other is kept out."""
    card = office.reserve(office.student())
    other = open_database(where, wait_s=0.01)

    def give_up() -> None:
        transact(other, lambda s: move(s, card.id, CardEvent.GIVE_UP, NOW), patience_s=0)

    def work(session):
        cards_book.card(session, card.id)
        if other.dialect.name == "sqlite":
            with pytest.raises(DatabaseError, match="locked"):
                give_up()
        else:
            give_up()
        return move(session, card.id, CardEvent.ACTIVATE, NOW)

    assert isinstance(transact(office.engine, work), Card) == (other.dialect.name == "sqlite")
    other.dispose()


def test_what_is_not_there_is_told(office: Office):
    assert office.do(cards_book.by_serial, bytes(10)) is None
    assert office.do(cards_book.usable_of, 1) == []
    with pytest.raises(LookupError, match="no card 9"):
        office.do(cards_book.card, 9)
    with pytest.raises(LookupError, match="no student 9"):
        office.reserve(9)

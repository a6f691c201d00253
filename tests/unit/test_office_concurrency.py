"""Many at once: exactly one card, and no word of the database's to the user."""

import sqlite3
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest
from sqlalchemy import select, text

from issuer import audit, cards_book
from issuer.card_states import CardEvent
from issuer.cards_book import Card, move
from issuer.database import DatabaseError, open_database, transact
from issuer.refusal import Refusal
from issuer.tables import CardRow, Counter
from tests.offices import NOW, Office, reserve

THREADS = 200


def opened(session, student: int) -> Card | Refusal:
    """A card reserved, made and written into the log, as an opening does it."""
    card = reserve(session, student)
    if isinstance(card, Card):
        move(session, card.id, CardEvent.ACTIVATE, NOW)
        audit.append(session, NOW, "office", "card.opened", f"card:{card.serial.hex()}", {})
    return card


@pytest.mark.rule("R6")
def test_200_threads_that_open_a_card_for_one_student_get_one(office: Office):
    student = office.student()
    start = threading.Barrier(THREADS)

    def ask(_: int) -> Card | Refusal:
        start.wait(60)
        return office.do(opened, student)

    with ThreadPoolExecutor(THREADS) as pool:
        answers = list(pool.map(ask, range(THREADS)))
    cards = [one for one in answers if isinstance(one, Card)]
    assert len(cards) == 1
    refused = [one for one in answers if isinstance(one, Refusal)]
    assert {(one.rule, one.reason) for one in refused} == {("R6", "has_card")}
    assert len(refused) == THREADS - 1
    assert len(office.do(cards_book.cards_of, cards[0].person_id)) == 1
    assert audit.verify(office.engine) == audit.Verdict(1)
    assert office.do(lambda s: s.scalar(select(Counter.last).where(Counter.name == "serial"))) == 1


def test_students_who_open_at_once_get_a_card_each_with_serials_of_their_own(office: Office):
    office.fill(60)
    students = [office.student(n) for n in range(60)]
    with ThreadPoolExecutor(40) as pool:
        cards = list(pool.map(lambda n: office.do(opened, n), students))
    assert all(isinstance(card, Card) for card in cards)
    assert len({card.serial for card in cards}) == 60
    assert len(office.do(lambda s: s.scalars(select(CardRow.id)).all())) == 60
    assert audit.verify(office.engine) == audit.Verdict(60)


def test_two_programs_share_a_database(office: Office, where: str):
    """Engines of their own, as programs have: no lock in memory helps them."""
    student = office.student()
    others = [Office(open_database(where), NOW) for _ in range(4)]
    with ThreadPoolExecutor(40) as pool:
        answers = list(pool.map(lambda n: others[n % 4].do(opened, student), range(40)))
    assert sum(isinstance(one, Card) for one in answers) == 1
    for other in others:
        other.engine.dispose()


def test_work_waits_for_a_file_that_is_locked_longer_than_sqlite_waits(tmp_path):
    office = Office(open_database(str(tmp_path / "office.db"), wait_s=0.01), NOW)
    holder = sqlite3.connect(tmp_path / "office.db", isolation_level=None, check_same_thread=False)
    holder.execute("BEGIN IMMEDIATE")
    free = threading.Timer(0.3, holder.rollback)
    free.start()
    assert office.fill().added == 5
    free.join()
    holder.execute("BEGIN IMMEDIATE")
    with pytest.raises(DatabaseError, match="locked by another program; try again"):
        transact(office.engine, lambda session: None, patience_s=0.05)
    holder.close()
    office.engine.dispose()


def test_a_deadlock_is_done_again(office: Office):
    """Two who lock the same two rows in opposite order: PostgreSQL stops one, who tries again."""
    both, tries = threading.Barrier(2), []

    def work(first: str, second: str) -> None:
        def locked(session) -> None:
            tries.append(first)
            lock(session, first)
            if len(tries) <= 2 and session.get_bind().dialect.name == "postgresql":
                both.wait(10)
            lock(session, second)

        transact(office.engine, locked)

    def lock(session, name: str) -> None:
        statement = text("UPDATE counters SET last = last + 1 WHERE name = :name")
        session.execute(statement, {"name": name})

    with ThreadPoolExecutor(2) as pool:
        list(pool.map(work, ("serial", "blacklist"), ("blacklist", "serial")))
    assert len(tries) == (3 if office.engine.dialect.name == "postgresql" else 2)
    assert office.do(lambda s: s.scalars(select(Counter.last)).all()) == [2, 2]


def test_readers_do_not_wait_for_a_writer(office: Office):
    student = office.student()
    began = time.monotonic()

    def work(session):
        reserve(session, student)
        return audit.verify(office.engine)

    assert transact(office.engine, work) == audit.Verdict(0)
    assert time.monotonic() - began < 4

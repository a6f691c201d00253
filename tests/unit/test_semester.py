"""A semester in small: the books are balanced, and the seed alone decides what happens."""

from dataclasses import replace
from datetime import date
from random import Random
from xml.etree import ElementTree

import pytest

from bench.cli.semester_svg import semester_svg
from bench.office import close_office, open_office
from bench.problem import Problem
from bench.semester import life, people
from bench.semester.books import close_books
from bench.semester.dealings import Dealings
from bench.semester.life import Life
from bench.semester.people import FIRST_DAY, STRANGER, Student, document, students_of
from bench.semester.run import live
from bench.semester.tally import Tally
from bench.semester.town import Clock, Town
from issuer import blacklist_book, ledger, topups
from issuer.database import reading, transact
from issuer.documents import normal
from issuer.ledger import Account, Side
from issuer.operations import Kind, begin


class Never:
    """A chance that never comes: nothing is torn, lost or forgotten."""

    def __init__(self, chance):
        self._chance = chance

    def random(self):
        return 0.999

    def __getattr__(self, name):
        return getattr(self._chance, name)


class Small:
    """A town with an office in a folder, whose students a test sends about."""

    def __init__(self, folder, students: list[Student], seed: int = 1):
        self.clock, self.tally, self.students = Clock(), Tally(), students
        self.office = open_office(folder, self.clock)
        chance = Never(Random(seed))
        self.town = Town(self.office, self.clock, folder, chance)
        self.dealings = Dealings(self.office, self.town, self.tally, chance, seed)
        self.life = Life(self.office, self.town, self.dealings, students, chance)

    def live(self, days: int) -> None:
        self.life.live(days, lambda done, of: None)

    def books(self):
        return close_books(self.office, self.town, self.dealings)


@pytest.fixture
def small(tmp_path):
    made = []

    def make(*students: Student) -> Small:
        made.append(Small(tmp_path, list(students)))
        return made[-1]

    yield make
    for one in made:
        close_office(one.office)


def student(number: int = 0, **plan) -> Student:
    """One who opens on the first day, renews the day after, and does nothing else."""
    made = students_of(number + 1, 400, 1)[number]
    renews = {FIRST_DAY.year: FIRST_DAY, FIRST_DAY.year + 1: None}
    told = {"opens": FIRST_DAY, "rides": 0.0, "renews": renews, "leaves": None, "loses": None}
    told |= {"has_old_app": False, "mistypes": False, "wants_another": True}
    made.plan = replace(made.plan, **(told | plan))
    return made


@pytest.fixture(scope="module")
def lived():
    """20 students, and the days in which they all open, renew and begin to ride."""
    return live(20, 30, 1)


def test_the_books_of_a_semester_are_balanced(lived):
    books = lived.books
    assert books.wrong == ()
    assert books.on_cards == books.in_books > 0
    assert books.in_books == -books.ledger["cards"] - books.rides
    assert books.charged == books.credited + books.given_back
    assert sum(books.ledger.values()) == 0
    assert lived.counts["cards opened"] == 20
    assert lived.counts["metro and bus rides paid"] > 100
    assert lived.counts["taps torn and tapped again"] > 0
    assert books.ledger["payer"] == books.charged - books.refunded


def test_the_same_seed_gives_the_same_digest_and_another_seed_another():
    first, again, other = live(4, 8, 3), live(4, 8, 3), live(4, 8, 4)
    assert first.told() == again.told()
    assert first.digest == again.digest != other.digest


def test_the_weeks_are_drawn_one_bar_each(lived):
    tree = ElementTree.fromstring(semester_svg(lived))
    bars = [one for one in tree.iter() if one.get("class") in ("cards", "topups", "rides")]
    assert len(lived.weeks) == 4
    assert len(bars) == 3 * 4
    assert "books balanced" in semester_svg(lived)
    assert "NOT balanced" in semester_svg(
        replace(lived, books=replace(lived.books, wrong=("something",)))
    )


def test_a_top_up_that_is_cancelled_costs_nothing_and_one_on_the_card_counts_once(small):
    town = small(student(amount=5000))
    town.live(1)
    (who,) = town.students
    dealings = town.dealings
    dealings.chance = Random(5)
    outcomes = []
    for number in range(30):
        key = f"given-up-{number}"
        outcomes.append(dealings._given_up(who, key, 100))
        if not outcomes[-1]:
            dealings.present(
                who.chip,
                lambda key=key: topups.top_up(town.office, who.account, key, 100),
            )
    assert {*outcomes} == {True, False}
    assert who.chip.purse.actual == 5000 + 100 * outcomes.count(False)
    books = town.books()
    assert books.wrong == ()
    assert books.given_back % 100 == 0 < books.given_back


def test_a_lost_phone_is_blacklisted_replaced_and_its_money_carried(small):
    loses = date(2025, 9, 4)
    town = small(student(loses=loses, amount=5000, low=0))
    (who,) = town.students
    town.live(16)
    assert town.tally.counts["cards reported lost"] == 1
    assert town.tally.counts["replacements opened"] == 1
    assert town.tally.counts["blacklist updates at the gates"] == 1
    assert town.tally.counts["balances carried over by themselves"] == 1
    assert who.chip.purse.actual == 5000
    assert town.books().wrong == ()


def test_who_wants_no_other_card_gets_the_lost_money_at_an_outlet(small):
    town = small(student(loses=date(2025, 9, 4), wants_another=False, amount=5000))
    town.live(16)
    assert town.tally.money["refunded for lost cards"] == 5000
    books = town.books()
    assert (books.on_cards, books.wrong) == (0, ())
    assert books.ledger["cash"] == -5000


@pytest.mark.parametrize(
    ("amount", "where"), [(19_999, "refunded in the App"), (20_000, "refunded at outlets")]
)
def test_a_card_is_refunded_in_the_app_below_200_yuan_and_at_an_outlet_from_it(
    small, amount, where
):
    town = small(student(leaves=date(2025, 9, 3), amount=amount))
    town.live(4)
    assert town.tally.money[where] == amount
    assert ("R32 at_an_outlet" in town.tally.refusals) == (amount == 20_000)
    assert town.books().wrong == ()


def test_who_does_not_renew_is_refused_at_the_gate_after_30_september(small):
    renews = {2025: date(2025, 10, 20)}
    town = small(student(renews=renews, rides=10.0, amount=20_000))
    town.live(30)
    assert not [one for one in town.tally.refusals if one.startswith("gate: card expired")]
    town.students[0].plan.renews[2025] = date(2025, 10, 3)
    for number in range(30, 36):
        town.life._day(date(2025, 10, number - 29), number)
    assert town.tally.refusals["gate: card expired, please renew it in the app"] >= 2
    assert town.tally.counts["late renewals"] == 1


def test_a_student_of_a_school_that_does_not_cooperate_gets_no_card(small):
    town = small(student(39))
    assert town.students[0].school == STRANGER
    town.live(3)
    assert town.tally.refusals == {"R4 not_eligible": 1}
    assert town.tally.counts["cards opened"] == 0


def test_an_old_app_and_a_wrong_name_are_refused_and_mended(small):
    town = small(student(has_old_app=True, mistypes=True))
    town.live(2)
    assert town.tally.refusals["R5 not_proven"] == 1
    assert sum(n for why, n in town.tally.refusals.items() if "not_eligible" in why) >= 1
    assert town.tally.counts["cards opened"] == 1


def test_money_that_is_on_a_card_and_not_in_the_books_is_found(small):
    town = small(student(amount=5000))
    town.live(2)
    assert town.books().wrong == ()
    office = town.office

    def spoil(session):
        op = begin(session, Kind.TOP_UP, town.students[0].account, "spoilt", 1, office.now())
        card = town.students[0].card.id
        posting = (Side(Account.CASH, 1), Side(Account.CARDS, -1, card))
        ledger.post(session, op.id, "spoilt", posting, office.now())

    transact(office.engine, spoil)
    assert town.books().wrong == ("card 1 holds 5000 fen, and 5001 by the books",)


def test_a_tac_that_is_wrong_is_not_explained(small):
    town = small(student(rides=10.0, amount=20_000))
    town.live(1)
    record = next(
        one for journal in town.town._journals.values() for one in journal.records if one.amount
    )
    journal = next(j for j in town.town._journals.values() if record in j.records)
    journal.records.append(
        replace(record, sequence=len(journal.records) + 1, counter=999, tac=bytes(4))
    )
    town.town.upload(1, is_last=True)
    assert any("the TAC is not" in one for one in town.books().wrong)


def test_the_gates_hold_the_blacklist_of_the_office_each_night(small):
    town = small(student(loses=date(2025, 9, 3)))
    town.live(5)
    with reading(town.office.engine) as session:
        listed = blacklist_book.full(session)
    assert town.town._blacklist.blacklist == listed
    assert len(listed) == 1


def test_the_documents_are_of_nobody_and_still_documents():
    assert [normal(document(number)) for number in (0, 7)] == [document(0), document(7)]
    assert people.document(1).startswith("000000")


def test_a_folder_with_an_office_is_not_lived_in_again(tmp_path):
    live(1, 1, 1, tmp_path)
    with pytest.raises(Problem, match=r"there is an office in .* already; choose another folder"):
        live(1, 1, 1, tmp_path)


@pytest.mark.parametrize(("students", "days"), [(0, 1), (1, 0), (10_001, 1), (1, 1001)])
def test_a_semester_has_students_and_days(students, days):
    with pytest.raises(Problem, match="expected 1 to 10000 students and 1 to 1000 days"):
        live(students, days, 1)


def test_breaks_and_weekends_have_fewer_rides():
    weights = [life._weight(date(2025, *day)) for day in ((9, 8), (9, 13), (10, 3))]
    assert weights == [1.0, 0.4, 0.25]

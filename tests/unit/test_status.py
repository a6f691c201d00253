"""The page of a card in the App: what the books know, without the card."""

from dataclasses import replace
from datetime import date, datetime, timedelta

import pytest
from sqlalchemy import Engine

from bench.office import station_names
from fixtures.network import load_network
from issuer import cards_book
from issuer.card_states import CardEvent, CardState
from issuer.clearing import Clearing
from issuer.moments import SHANGHAI
from issuer.openings import give_up, open_card
from issuer.operations import DONE, FAILED, Kind, begin, step
from issuer.status import STATEMENT, card_of, cards_of, page, phone_damaged, statement
from issuer.topup_book import Ended
from reader.batch import build_batch
from reader.gate import Direction, Verdict
from reader.journal import MemoryJournal
from reader.transport.decorators import CutPoint
from reader.trips import EP_ENTRY, EP_EXIT
from tests.offices import NOW
from tests.students import PHONE, Campus, blank, cut


@pytest.fixture
def campus(engine: Engine) -> Campus:
    return Campus.of(engine)


# Cards


@pytest.mark.rule("R20")
def test_the_card_to_show_is_the_usable_one_else_the_last(campus):
    account = campus.account()
    assert card_of(campus.office, account) is None
    assert (cards_of(campus.office, account), page(campus.office, account)) == ((), None)
    cut(blank("x"), open_card(campus.office, account, "a", PHONE), 60, CutPoint.AFTER)
    assert card_of(campus.office, account).state is CardState.OPENING
    void = give_up(campus.office, account, "a")
    assert card_of(campus.office, account) is None
    first = campus.open(account, blank(), "b")
    assert card_of(campus.office, account) == first
    lost = campus.do(cards_book.move, first.id, CardEvent.REPORT_LOST, NOW)
    assert card_of(campus.office, account) == lost
    second = campus.open(account, blank(), "c")
    assert card_of(campus.office, account) == second
    assert cards_of(campus.office, account) == (void, lost, second)


def test_an_account_without_a_person_has_no_card_and_an_unknown_one_is_told(campus):
    account = campus.login("nobody")
    assert (card_of(campus.office, account), cards_of(campus.office, account)) == (None, ())
    for ask in (card_of, cards_of, page, statement):
        with pytest.raises(LookupError, match="no account 99"):
            ask(campus.office, 99)


# The page


@pytest.mark.rule("R20", "R26")
def test_a_new_card_is_shown_with_its_days_and_nothing_personal(campus):
    account, _, card = campus.opened()
    shown = page(campus.office, account)
    assert (shown.card, shown.balance, shown.trips) == (card, 0, ())
    assert shown.school_zh == "中国科学院大学"
    assert shown.known_at == datetime(2025, 9, 8, tzinfo=SHANGHAI)
    assert (shown.days_left, shown.share_left) == (23, 1.0)
    assert "王小明" not in repr(shown)


@pytest.mark.rule("R27")
def test_the_page_says_whether_and_when_the_card_may_be_renewed(campus):
    campus.clock.now = datetime(2025, 3, 1, tzinfo=SHANGHAI)
    account, _, card = campus.opened()
    for day, left, to in (
        (date(2025, 7, 29), 64, None),
        (date(2025, 7, 30), 63, date(2026, 9, 30)),
        (date(2025, 9, 30), 1, date(2026, 9, 30)),
        (date(2025, 10, 1), 0, date(2026, 9, 30)),
    ):
        campus.clock.now = datetime(day.year, day.month, day.day, 23, 59, tzinfo=SHANGHAI)
        shown = page(campus.office, account)
        assert (shown.days_left, shown.renews_to) == (left, to)
        assert shown.renewable_from == date(2025, 7, 30)
        assert 0 <= shown.share_left < 1
    campus.do(cards_book.move, card.id, CardEvent.REPORT_LOST, NOW)
    assert page(campus.office, account).renews_to is None


@pytest.mark.rule("R20")
def test_the_last_trips_come_from_the_gates_records_with_names(campus):
    account, chip, _ = campus.opened()
    campus.load(chip, 5000)
    entry, out = rides(campus, chip)
    shown = page(campus.office, account, station_names())
    assert [(trip.kind, trip.amount, trip.balance) for trip in shown.trips] == [
        (EP_EXIT, 400, 4600),
        (EP_ENTRY, 0, 5000),
    ]
    last, first = shown.trips
    assert (first.at, first.place, first.origin, first.began) == (entry, names("080013"), "", None)
    assert (last.at, last.place) == (out, names("080019"))
    assert (last.origin, last.began) == (names("080013"), entry)
    assert (shown.balance, shown.known_at) == (4600, out)


def test_without_names_or_with_unknown_ones_the_codes_are_shown(campus):
    account, chip, _ = campus.opened()
    campus.load(chip, 5000)
    rides(campus, chip)
    for lookup in (None, lambda *place: None):
        assert page(campus.office, account, lookup).trips[0].place == "0800:1900"
    assert page(campus.office, account, station_names("en"), 1).trips[0].place == english("080019")


def test_a_record_that_came_twice_is_shown_once_and_others_cards_not_at_all(campus):
    account, chip, _ = campus.opened()
    other, _, _ = campus.opened(1)
    campus.load(chip, 5000)
    rides(campus, chip, times=2)
    assert len(page(campus.office, account).trips) == 2
    assert page(campus.office, other).trips == ()


def test_the_offices_own_word_counts_until_gates_say_something_later(campus):
    account, chip, card = campus.opened()
    campus.load(chip, 5000)
    _, out = rides(campus, chip)
    for at, wanted in ((out - timedelta(seconds=1), 4600), (out + timedelta(seconds=1), 9600)):
        op = campus.do(begin, Kind.TOP_UP, account, f"top up {wanted}", 5000, at)
        campus.do(step, op, DONE, at, card.id)
        campus.do(cards_book.note, card.id, at, balance=9600)
        assert page(campus.office, account).balance == wanted


@pytest.mark.rule("R29")
def test_a_top_up_that_went_with_a_lost_card_tells_nothing_of_what_is_on_it(campus):
    account, chip, card = campus.opened()
    campus.load(chip, 5000)
    _, out = rides(campus, chip)
    at = out + timedelta(seconds=1)
    op = campus.do(begin, Kind.TOP_UP, account, "frozen", 5000, at)
    campus.do(step, op, DONE, at, card.id, {"ended": Ended.FROZEN})
    shown = page(campus.office, account)
    assert (shown.balance, shown.known_at) == (4600, out)


def rides(campus, chip, times=1):
    """A ride by metro; its records get to clearing. Returns when it began and ended."""
    campus.clock.now = entry = datetime(2025, 9, 9, 8, 0, 0, tzinfo=SHANGHAI)
    clearing = Clearing(campus.office.engine, campus.office.roots["TMK"])
    for direction, name in ((Direction.ENTRY, b"GATE0001"), (Direction.EXIT, b"GATE0002")):
        journal = MemoryJournal(name)
        assert campus.pass_(chip, direction, journal=journal).verdict is Verdict.PASS
        records = journal.records
        for _ in range(times):
            clearing.receive(build_batch(name, records), campus.clock.now)
            records = [replace(one, sequence=one.sequence + len(records)) for one in records]
        campus.clock.now += timedelta(minutes=30)
    clearing.examine()
    return entry, entry + timedelta(minutes=30)


def names(key):
    return load_network().station(key).name_zh


def english(key):
    return load_network().station(key).name_en


@pytest.mark.rule("R30")
def test_a_damaged_phone_is_its_makers_and_the_card_stays_as_it_is(campus):
    account = campus.account()
    assert phone_damaged(campus.office, account).zh == "手机损坏请咨询手机客服。"
    card = campus.open(account, blank())
    said = phone_damaged(campus.office, account)
    assert said.zh.startswith("手机损坏请咨询手机客服；卡片继续有效")
    assert said.en.endswith("report it lost and open a new one.")
    assert campus.card(card) == card
    # A repair that took the card away is a loss: then the slot is free again (R6, R29).
    campus.do(cards_book.move, card.id, CardEvent.REPORT_LOST, NOW)
    assert phone_damaged(campus.office, account).zh == "手机损坏请咨询手机客服。"
    assert campus.open(account, blank("repaired"), "again").state is CardState.ACTIVE


# Statements


def test_a_statement_tells_what_was_asked_for_the_latest_first(campus):
    account = campus.account()
    cut(blank("x"), open_card(campus.office, account, "a", PHONE), 60, CutPoint.AFTER)
    void = give_up(campus.office, account, "a")
    campus.clock.now += timedelta(minutes=1)
    card = campus.open(account, blank(), "b")
    lines = statement(campus.office, account)
    assert [(line.kind, line.state, line.serial, line.key) for line in lines] == [
        (Kind.OPEN, DONE, card.serial, "b"),
        (Kind.OPEN, FAILED, void.serial, "a"),
    ]
    assert [line.at for line in lines] == [NOW + timedelta(minutes=1), NOW]
    assert len(statement(campus.office, account, 1)) == 1
    assert STATEMENT >= 50

"""Renewing: the card's own day and the server's clock decide, and it happens once."""

from dataclasses import replace
from datetime import date, datetime, timedelta, timezone

import pytest
from sqlalchemy import Engine

from apdu.files import EF15
from emulator.card.state import Blocked
from issuer import accounts, cards_book, operations
from issuer.card_access import SoftMacHost
from issuer.card_states import CardEvent, CardState
from issuer.errors import RuleError
from issuer.moments import SHANGHAI
from issuer.openings import open_card
from issuer.operations import DONE, Kind
from issuer.renewals import WRITING, allow_again, renew
from issuer.renewing import MacRefused, renew_card
from issuer.roster_file import parse_toml
from reader.gate import Direction, Reject, Verdict
from reader.session import ProtocolError
from reader.transport.decorators import CutPoint
from reader.transport.inprocess import InProcess
from tests.cards import content_of, with_blocked, with_content
from tests.offices import SCHOOLS, student_table
from tests.stock import card_of
from tests.students import PHONE, Campus, Failing, Gone, Paused, blank, cut, on, sent

each_point = pytest.mark.parametrize("point", CutPoint, ids=lambda point: point.name)
MARCH = datetime(2025, 3, 1, 12, tzinfo=SHANGHAI)
AUGUST = datetime(2025, 8, 1, 12, tzinfo=SHANGHAI)
UPDATE = 6
"""Which command of a renewal writes the card."""
OLD, NEW = date(2025, 9, 30), date(2026, 9, 30)


@pytest.fixture
def campus(engine: Engine) -> Campus:
    return in_march(Campus.of(engine))


@pytest.fixture
def lone(file_engine: Engine) -> Campus:
    return in_march(Campus.of(file_engine))


def in_march(campus: Campus) -> Campus:
    campus.clock.now = MARCH
    return campus


def opened(campus, number=0, at=AUGUST):
    """A card of March, and then it is August."""
    campus.clock.now = MARCH
    account, chip, card = campus.opened(number)
    assert (card.end_date, end_on(chip)) == (OLD, OLD)
    campus.clock.now = at
    return account, chip, card


def renewing(campus, account, key="renew"):
    return renew(campus.office, account, key)


def end_on(chip) -> date:
    text = content_of(chip.image, EF15.sfi)[24:28].hex()
    return date(int(text[:4]), int(text[4:6]), int(text[6:]))


def state_of(campus, account, key="renew"):
    op = campus.do(operations.held, account, key)
    return None if op is None else op.state


def refused(campus, account, chip, key="renew"):
    """Why a renewal is refused; neither card nor book is changed."""
    told = campus.rows(), chip.image, state_of(campus, account, key), campus.actions()
    with pytest.raises(RuleError) as raised:
        on(chip, renewing(campus, account, key))
    now = campus.rows(), chip.image, state_of(campus, account, key), campus.actions()
    assert now == told
    return raised.value


# Renewed


@pytest.mark.rule("R27", "R28")
def test_a_card_is_renewed_for_a_year_on_the_card_and_in_the_book(campus):
    account, chip, card = opened(campus)
    before = content_of(chip.image, EF15.sfi)
    after = on(chip, renewing(campus, account))
    assert after == replace(card, end_date=NEW)
    assert end_on(chip) == NEW
    held = content_of(chip.image, EF15.sfi)
    assert held[:24] + before[24:28] + held[28:] == before
    assert campus.card(card) == after
    assert campus.actions() == ["card.reserved", "card.opened", "card.renewed"]
    assert state_of(campus, account) == DONE
    assert campus.has_no_entry()


@pytest.mark.rule("R26", "R28")
def test_a_gate_takes_it_in_october(campus):
    account, chip, _ = opened(campus)
    campus.load(chip, 5000)
    campus.clock.now = datetime(2025, 10, 1, 8, tzinfo=SHANGHAI)
    assert campus.pass_(chip, Direction.ENTRY).reason is Reject.EXPIRED
    on(chip, renewing(campus, account))
    assert campus.pass_(chip, Direction.ENTRY).verdict is Verdict.PASS


@pytest.mark.rule("R28")
def test_asked_again_with_the_same_key_nothing_is_sent(campus):
    account, chip, _ = opened(campus)
    after = on(chip, renewing(campus, account))
    assert sent(chip, renewing(campus, account)) == []
    campus.clock.now += timedelta(days=365)
    assert on(chip, renewing(campus, account)) == after


TABLE = [
    ((2025, 7, 29, 23, 59, 59), "window_closed"),
    ((2025, 7, 30, 0, 0, 0), NEW),
    ((2025, 9, 30, 23, 59, 59), NEW),
    ((2025, 10, 1, 0, 0, 0), NEW),
    ((2026, 1, 10, 9, 0, 0), NEW),
    ((2026, 7, 29, 9, 0, 0), NEW),
    ((2027, 8, 1, 9, 0, 0), date(2028, 9, 30)),
]
"""Domain facts 1.4, for a card that ends on 30 September 2025."""


@pytest.mark.rule("R27", "R28")
@pytest.mark.parametrize(("at", "wanted"), TABLE, ids=lambda value: str(value))
@pytest.mark.parametrize("hours", [8, 0, -11], ids=lambda hours: f"UTC{hours:+}")
def test_the_table_of_renewals_whatever_the_zone_of_the_clock(lone, at, wanted, hours):
    moment = datetime(*at, tzinfo=SHANGHAI).astimezone(timezone(timedelta(hours=hours)))
    account, chip, _ = opened(lone, at=moment)
    if isinstance(wanted, str):
        error = refused(lone, account, chip)
        assert (error.rule, error.reason) == ("R27", wanted)
    else:
        assert on(chip, renewing(lone, account)).end_date == wanted == end_on(chip)


@pytest.mark.rule("R28")
def test_a_second_renewal_in_the_window_is_refused(campus):
    account, chip, _ = opened(campus)
    on(chip, renewing(campus, account))
    error = refused(campus, account, chip, "again")
    assert (error.rule, error.reason) == ("R28", "already_renewed")


# Knobs


@pytest.mark.rule("R27")
def test_the_strict_window_opens_a_day_later(campus):
    campus.decide(renewal_open_inclusive=False)
    account, chip, _ = opened(campus, at=datetime(2025, 7, 30, 12, tzinfo=SHANGHAI))
    assert refused(campus, account, chip).reason == "window_closed"
    campus.clock.now += timedelta(days=1)
    assert on(chip, renewing(campus, account)).end_date == NEW


@pytest.mark.rule("R27")
def test_without_late_renewal_an_expired_card_stays_expired(campus):
    campus.decide(late_renewal=False)
    account, chip, _ = opened(campus, at=datetime(2025, 10, 1, tzinfo=SHANGHAI))
    assert refused(campus, account, chip).reason == "expired"


@pytest.mark.rule("R5")
def test_with_reauthentication_the_proof_has_to_be_of_this_window(campus):
    campus.decide(renewal_needs_reauth=True)
    account, chip, _ = opened(campus)
    for day in (datetime(2025, 7, 29, 23, tzinfo=SHANGHAI), AUGUST):
        campus.clock.now = AUGUST
        error = refused(campus, account, chip)
        assert (error.rule, error.reason) == ("R5", "not_authenticated")
        campus.clock.now = day
        campus.prove(account)
    assert on(chip, renewing(campus, account)).end_date == NEW


# Who may


@pytest.mark.rule("R3", "R4")
@pytest.mark.parametrize("changed", [{"status": "毕业"}, {"category": "旁听生"}], ids=str)
def test_who_is_no_student_any_more_is_not_renewed(campus, changed):
    account, chip, _ = opened(campus)
    campus.take(parse_toml(SCHOOLS + student_table(0, **changed)))
    assert refused(campus, account, chip).rule == ("R3" if "status" in changed else "R2")


@pytest.mark.rule("R4")
def test_nor_is_a_student_of_a_school_that_has_left_but_the_card_lives_on(campus):
    account, chip, card = opened(campus)
    left = SCHOOLS.replace("partner = true", "partner = false")
    campus.take(parse_toml(left))
    assert refused(campus, account, chip).rule == "R4"
    assert campus.card(card).state is CardState.ACTIVE


def test_without_a_card_or_with_one_being_opened_there_is_nothing_to_renew(campus):
    account, chip = campus.account(), blank()
    assert refused(campus, account, chip).reason == "no_card"
    cut(chip, open_card(campus.office, account, "open", PHONE), 60, CutPoint.AFTER)
    assert refused(campus, account, chip).reason == "being_opened"


@pytest.mark.rule("R29")
def test_a_lost_card_is_not_renewed(campus):
    account, chip, card = opened(campus)
    campus.do(cards_book.move, card.id, CardEvent.REPORT_LOST, AUGUST)
    assert refused(campus, account, chip).reason == "no_card"


def test_a_renewal_begun_for_a_card_that_is_gone_is_not_made_on_the_next(campus):
    account, chip, card = opened(campus)
    cut(chip, renewing(campus, account), UPDATE, CutPoint.BEFORE)
    campus.do(cards_book.move, card.id, CardEvent.REPORT_LOST, AUGUST)
    second = blank("second")
    campus.open(account, second, "open again")
    assert refused(campus, account, second).reason == "other_card"


def test_a_key_of_another_wish_is_refused(campus):
    account, chip, _ = opened(campus)
    assert refused(campus, account, chip, "open").reason == "key_reused"


def test_an_account_that_changed_hands_sees_nothing_of_the_renewal(campus):
    account, chip, _ = opened(campus)
    on(chip, renewing(campus, account))
    campus.do(accounts.release, account)
    campus.prove(account, 1)
    assert refused(campus, account, chip).reason == "others_card"


# The card


@pytest.mark.rule("R24")
def test_another_card_is_not_renewed(campus):
    account, _, _ = opened(campus)
    _, others, _ = opened(campus, 1)
    before = others.image
    with pytest.raises(RuleError, match="present your own card") as raised:
        on(others, renewing(campus, account))
    assert (raised.value.rule, raised.value.reason) == ("R24", "foreign_card")
    assert (others.image, state_of(campus, account)) == (before, None)


@pytest.mark.each_database
def test_nor_is_one_that_was_put_in_its_place_on_the_way(campus):
    account, chip, _ = opened(campus)
    _, others, _ = opened(campus, 1)
    before = others.image
    slow = Paused(renewing(campus, account), chip, 2)
    slow._link = InProcess(others)
    others.power_on()
    with pytest.raises(RuleError) as raised:
        slow.finish()
    assert raised.value.reason == "foreign_card"
    assert others.image.directories == before.directories
    assert on(chip, renewing(campus, account)).end_date == NEW


@pytest.mark.rule("R28")
def test_a_card_blocked_for_good_has_to_be_replaced(campus):
    account, chip, card = opened(campus)
    dead = card_of(with_blocked(Blocked.PERMANENT)(chip.image))
    with pytest.raises(RuleError, match="blocked for good; report it lost") as raised:
        on(dead, renewing(campus, account))
    assert (raised.value.rule, raised.value.reason) == ("R28", "blocked_for_good")
    assert campus.card(card).end_date == OLD


def test_a_card_that_refuses_the_mac_is_told_and_the_book_stays(campus):
    account, chip, card = opened(campus)
    roots = campus.office.roots
    campus.office = replace(campus.office, roots={**roots, "AMK": roots["PMK"]})
    with pytest.raises(MacRefused, match="third wrong MAC"):
        on(chip, renewing(campus, account))
    assert (campus.card(card).end_date, end_on(chip)) == (OLD, OLD)
    campus.office = replace(campus.office, roots=roots)
    assert on(chip, renewing(campus, account)).end_date == NEW


@pytest.mark.rule("R28")
def test_however_often_it_is_asked_a_card_is_not_blocked_by_wrong_macs(campus):
    account, chip, card = opened(campus)
    roots = campus.office.roots
    campus.office = replace(campus.office, roots={**roots, "AMK": roots["PMK"]})
    for key in ("one", "two"):
        with pytest.raises(MacRefused):
            on(chip, renewing(campus, account, key))
    for key in ("one", "two", "three"):
        assert refused(campus, account, chip, key).reason == "mac_refused"
    campus.office = replace(campus.office, roots=roots)
    assert refused(campus, account, chip, "one").reason == "mac_refused"
    allow_again(campus.office, account, card.serial)
    assert on(chip, renewing(campus, account, "one")).end_date == NEW
    with pytest.raises(LookupError, match="there is no card"):
        allow_again(campus.office, account, bytes(10))


def test_a_renewal_that_is_written_ends_the_count_of_wrong_macs(campus):
    account, chip, _ = opened(campus)
    roots, wrong = campus.office.roots, campus.office.roots["PMK"]
    for year in (0, 1):
        campus.clock.now = AUGUST.replace(year=AUGUST.year + year)
        campus.office = replace(campus.office, roots={**roots, "AMK": wrong})
        with pytest.raises(MacRefused):
            on(chip, renewing(campus, account, f"wrong {year}"))
        campus.office = replace(campus.office, roots=roots)
        assert on(chip, renewing(campus, account, f"right {year}")).end_date.year == 2026 + year


def test_a_day_on_the_card_that_is_none_is_told(campus):
    account, chip, _ = opened(campus)
    content = content_of(chip.image, EF15.sfi)
    odd = card_of(with_content(EF15.sfi, content[:24] + b"\xff" * 4 + content[28:])(chip.image))
    with pytest.raises(ProtocolError, match="ffffffff, which is no day; replace the card"):
        on(odd, renewing(campus, account))


# The card's day and the book's


@pytest.mark.rule("R27", "R28")
def test_a_book_that_is_ahead_of_the_card_does_not_keep_it_from_its_year(campus):
    """Written to the books, and the card's write was lost (domain facts 1.4)."""
    account, chip, card = opened(campus)
    campus.do(cards_book.note, card.id, AUGUST, end_date=NEW)
    assert on(chip, renewing(campus, account)).end_date == NEW == end_on(chip)


@pytest.mark.rule("R28")
def test_a_book_that_is_behind_learns_from_the_card_and_no_year_is_added(campus):
    account, chip, card = opened(campus)
    cut(chip, renewing(campus, account), UPDATE, CutPoint.AFTER)
    assert (campus.card(card).end_date, end_on(chip)) == (OLD, NEW)
    with pytest.raises(RuleError) as raised:
        on(chip, renewing(campus, account, "the app forgot the first key"))
    assert raised.value.reason == "already_renewed"
    assert (campus.card(card).end_date, end_on(chip)) == (NEW, NEW)
    assert campus.do(operations.open_ones, card.id, Kind.RENEW) == []
    assert state_of(campus, account) == DONE
    assert campus.actions()[-1] == "card.end_learnt"
    assert sent(chip, renewing(campus, account)) == []


def test_a_renewal_written_by_other_means_is_learnt_too(campus):
    account, chip, card = opened(campus)
    on(chip, renew_card(card.serial, NEW, SoftMacHost(campus.office.roots["AMK"])))
    with pytest.raises(RuleError, match="already valid"):
        on(chip, renewing(campus, account))
    assert (campus.card(card).end_date, state_of(campus, account)) == (NEW, None)


# Cut on the way


@each_point
def test_cut_at_any_command_it_is_renewed_once(lone, point):
    account, chip, card = opened(lone)
    commands = len(sent(opened(lone, 1)[1], renewing(lone, lone.account(1))))
    image = chip.image
    for at in range(1, commands + 1):
        torn, key = card_of(image), f"renew {at}"
        lone.do(cards_book.note, card.id, AUGUST, end_date=OLD)
        assert cut(torn, renewing(lone, account, key), at, point)
        assert state_of(lone, account, key) in (None, WRITING)
        assert lone.card(card).end_date == OLD
        assert on(torn, renewing(lone, account, key)).end_date == NEW == end_on(torn)
        assert lone.card(card).end_date == NEW
        assert sent(torn, renewing(lone, account, key)) == []
    assert lone.actions().count("card.renewed") == commands + 1


@pytest.mark.parametrize("is_after", [False, True], ids=["before", "after"])
@pytest.mark.parametrize("step", [1, 2, 3])
def test_cut_at_any_commit_it_is_renewed_once(campus, step, is_after):
    account, chip, card = opened(campus)
    with Failing(campus.office.engine, step, is_after) as failing, pytest.raises(Gone):
        on(chip, renewing(campus, account))
    assert failing.is_hit
    assert on(chip, renewing(campus, account)).end_date == NEW == end_on(chip)
    assert campus.card(card).end_date == NEW
    assert campus.actions().count("card.renewed") == 1


@pytest.mark.each_database
def test_two_runs_at_once_renew_it_once(campus):
    account, chip, _ = opened(campus)
    slow = Paused(renewing(campus, account), chip, UPDATE)
    after = on(chip, renewing(campus, account))
    chip.power_off()
    chip.power_on()
    on(chip, renewing(campus, account))
    assert slow_end(slow, chip) == after
    assert campus.actions().count("card.renewed") == 1


def slow_end(slow, chip):
    """The end of a run whose card has been away meanwhile: the purse is selected again."""
    chip.process(bytes.fromhex("00A4040008A00000063201010500"))
    return slow.finish()


def test_an_older_renewal_that_was_never_written_stays_as_it_is(campus):
    account, chip, card = opened(campus)
    cut(chip, renewing(campus, account, "2025"), UPDATE, CutPoint.BEFORE)
    campus.clock.now = datetime(2026, 8, 1, tzinfo=SHANGHAI)
    assert on(chip, renewing(campus, account, "2026")).end_date == date(2027, 9, 30)
    assert refused(campus, account, chip, "2025").reason == "already_renewed"
    assert state_of(campus, account, "2025") == WRITING
    assert (campus.card(card).end_date, end_on(chip)) == (date(2027, 9, 30),) * 2


def test_a_cut_renewal_that_is_resumed_a_year_later_gets_that_years_day(campus):
    account, chip, _ = opened(campus)
    cut(chip, renewing(campus, account), UPDATE, CutPoint.BEFORE)
    campus.clock.now = datetime(2026, 8, 1, tzinfo=SHANGHAI)
    assert on(chip, renewing(campus, account)).end_date == date(2027, 9, 30)


def test_a_renewal_that_is_on_the_card_is_finished_whatever_the_roster_says_now(campus):
    account, chip, card = opened(campus)
    cut(chip, renewing(campus, account), UPDATE, CutPoint.AFTER)
    campus.take(parse_toml(SCHOOLS + student_table(0, status="毕业")))
    assert on(chip, renewing(campus, account)).end_date == NEW
    assert campus.card(card).end_date == NEW


@pytest.mark.rule("R3")
def test_one_that_is_not_is_not(campus):
    account, chip, card = opened(campus)
    cut(chip, renewing(campus, account), UPDATE, CutPoint.BEFORE)
    campus.take(parse_toml(SCHOOLS + student_table(0, status="毕业")))
    assert refused(campus, account, chip).rule == "R3"
    assert campus.card(card).end_date == OLD

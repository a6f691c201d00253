"""The table of domain facts 1.4, row by row, with every knob, in whatever zone the machine is."""

import time
from datetime import UTC, date, datetime, timedelta, timezone

import pytest

from issuer.policy import IssuerPolicy
from issuer.refusal import Refusal
from issuer.validity import (
    SHANGHAI,
    day_of,
    first_invalid,
    is_valid,
    issue_expiry,
    opens_on,
    renewal,
    target,
    window_year,
)

A, B = IssuerPolicy(), IssuerPolicy(issue_expiry="window_rollover")
STRICT = IssuerPolicy(renewal_open_inclusive=False)
NO_LATE = IssuerPolicy(late_renewal=False)
ENDS_2024, ENDS_2025, ENDS_2026, ENDS_2027 = (date(year, 9, 30) for year in range(2024, 2028))


def at(text: str) -> datetime:
    """A moment of Shanghai."""
    return datetime.fromisoformat(text).replace(tzinfo=SHANGHAI)


ZONES = {"UTC": 0, "America/Los_Angeles": 28_800, "Asia/Tokyo": -32_400}
"""Seconds west of Greenwich, in winter."""


@pytest.fixture(params=ZONES)
def _zone(request, monkeypatch):
    """The machine's own zone."""
    monkeypatch.setenv("TZ", request.param)
    time.tzset()
    assert time.timezone == ZONES[request.param], "the machine has no tables of zones"
    yield
    monkeypatch.undo()
    time.tzset()


# Opening


@pytest.mark.rule("R26")
@pytest.mark.parametrize(
    ("day", "literal", "rollover"),
    [
        ("2025-03-01", ENDS_2025, ENDS_2025),
        ("2025-07-29", ENDS_2025, ENDS_2025),
        ("2025-07-30", ENDS_2025, ENDS_2026),
        ("2025-09-30", ENDS_2025, ENDS_2026),
        ("2025-10-01", ENDS_2026, ENDS_2026),
    ],
)
def test_the_end_of_a_new_card(day, literal, rollover):
    day = date.fromisoformat(day)
    assert issue_expiry(day, A) == literal
    assert issue_expiry(day, B) == rollover


@pytest.mark.rule("R26")
@pytest.mark.parametrize(
    ("day", "policy", "days"),
    [
        ("2025-07-30", A, 62),
        ("2025-09-30", A, 0),
        ("2025-07-30", B, 427),
        ("2025-09-30", B, 365),
        ("2025-10-01", A, 364),
    ],
)
def test_how_many_days_a_new_card_has(day, policy, days):
    opened = date.fromisoformat(day)
    assert (issue_expiry(opened, policy) - opened).days == days


@pytest.mark.rule("R26", "R27")
def test_a_card_opened_in_the_window_can_be_renewed_at_once_or_not_at_all():
    opened = date(2025, 7, 30)
    assert renewal(opened, issue_expiry(opened, A), A) == ENDS_2026
    assert renewal(opened, issue_expiry(opened, B), B).reason == "already_renewed"
    day_before = date(2025, 7, 29)
    assert renewal(day_before, issue_expiry(day_before, A), A).reason == "window_closed"


def test_the_window_of_rollover_is_that_of_renewal():
    strict = IssuerPolicy(issue_expiry="window_rollover", renewal_open_inclusive=False)
    assert issue_expiry(date(2025, 7, 30), strict) == ENDS_2025
    assert issue_expiry(date(2025, 7, 31), strict) == ENDS_2026


# Renewal


@pytest.mark.rule("R27", "R28")
@pytest.mark.parametrize(
    ("moment", "expiry", "policy", "expected"),
    [
        ("2025-07-29T12:00:00", ENDS_2025, A, "window_closed"),
        ("2025-07-29T23:59:59.999999", ENDS_2025, A, "window_closed"),
        ("2025-07-30T00:00:00", ENDS_2025, A, ENDS_2026),
        ("2025-07-30T00:00:00", ENDS_2025, STRICT, "window_closed"),
        ("2025-07-30T23:59:59", ENDS_2025, STRICT, "window_closed"),
        ("2025-07-31T00:00:00", ENDS_2025, STRICT, ENDS_2026),
        ("2025-09-30T23:59:59", ENDS_2025, A, ENDS_2026),
        ("2025-09-30T23:59:59", ENDS_2025, NO_LATE, ENDS_2026),
        ("2025-10-01T00:00:00", ENDS_2025, A, ENDS_2026),
        ("2025-10-01T00:00:00", ENDS_2025, NO_LATE, "expired"),
        ("2025-08-01T12:00:00", ENDS_2026, A, "already_renewed"),
        ("2025-09-30T23:59:59", ENDS_2026, A, "already_renewed"),
        ("2025-10-01T00:00:00", ENDS_2026, A, "window_closed"),
        ("2026-01-10T12:00:00", ENDS_2025, A, ENDS_2026),
        ("2026-08-01T12:00:00", ENDS_2024, A, ENDS_2027),
        ("2026-08-01T12:00:00", ENDS_2024, NO_LATE, "expired"),
    ],
)
def test_renewal_at_a_moment(moment, expiry, policy, expected):
    outcome = renewal(at(moment), expiry, policy)
    assert (outcome.reason if isinstance(outcome, Refusal) else outcome) == expected


@pytest.mark.rule("R26")
@pytest.mark.parametrize(
    ("epoch", "is_good"), [(1_759_247_999, True), (1_759_248_000, False), (1_759_247_999.999, True)]
)
def test_the_instants_around_midnight_by_their_epochs(epoch, is_good):
    moment = datetime.fromtimestamp(epoch, UTC)
    assert is_valid(moment, ENDS_2025) is is_good
    assert renewal(moment, ENDS_2025, A) == ENDS_2026
    assert isinstance(renewal(moment, ENDS_2025, NO_LATE), Refusal) is not is_good


@pytest.mark.rule("R26", "R27", "R28")
@pytest.mark.usefixtures("_zone")
def test_the_three_instants_in_any_zone_of_the_machine():
    opens, last, over = (
        datetime.fromisoformat(text)
        for text in (
            "2025-07-30T00:00:00+08:00",
            "2025-09-30T23:59:59.999+08:00",
            "2025-10-01T00:00:00+08:00",
        )
    )
    for moment in (opens, opens.astimezone(UTC), opens.astimezone()):
        assert renewal(moment, ENDS_2025, A) == ENDS_2026
        before = moment - timedelta(microseconds=1)
        assert renewal(before, ENDS_2025, A).reason == "window_closed"
    for moment in (last, last.astimezone(UTC), last.astimezone()):
        assert is_valid(moment, ENDS_2025)
        assert issue_expiry(moment, A) == ENDS_2025
        assert renewal(moment, ENDS_2025, NO_LATE) == ENDS_2026
    for moment in (over, over.astimezone(UTC), over.astimezone()):
        assert not is_valid(moment, ENDS_2025)
        assert issue_expiry(moment, A) == ENDS_2026
        assert renewal(moment, ENDS_2025, NO_LATE).reason == "expired"
    assert first_invalid(ENDS_2025) == over
    assert first_invalid(ENDS_2025).timestamp() == 1_759_248_000


def test_the_servers_clock_decides_whatever_the_phones_says():
    phone = datetime(2025, 9, 30, 23, 59, tzinfo=SHANGHAI)
    server = phone + timedelta(minutes=2)
    assert renewal(phone, ENDS_2025, NO_LATE) == ENDS_2026
    assert renewal(server, ENDS_2025, NO_LATE).reason == "expired"


@pytest.mark.rule("R28")
def test_a_lost_card_write_is_asked_for_again_with_the_same_result():
    """The books decide: until the card has the new date they keep the old one beside it."""
    assert renewal(at("2025-08-01"), ENDS_2025, A) == renewal(at("2025-09-15"), ENDS_2025, A)


@pytest.mark.rule("R28")
def test_years_do_not_pile_up():
    day, expiry = date(2025, 8, 1), ENDS_2025
    expiry = renewal(day, expiry, A)
    for later in range(61):
        assert isinstance(renewal(day + timedelta(days=later), expiry, A), Refusal)


@pytest.mark.rule("R5", "R28")
def test_a_new_proof_of_identity_is_asked_for_by_its_knob_alone():
    asks = IssuerPolicy(renewal_needs_reauth=True)
    refusal = renewal(date(2025, 8, 1), ENDS_2025, asks)
    assert (refusal.rule, refusal.reason) == ("R5", "not_authenticated")
    assert renewal(date(2025, 8, 1), ENDS_2025, asks, is_reauthenticated=True) == ENDS_2026
    closed = renewal(date(2025, 7, 29), ENDS_2025, asks)
    assert closed.reason == "window_closed"


# What it says


@pytest.mark.parametrize(
    ("day", "expiry", "policy", "rule", "en", "zh"),
    [
        (
            "2025-07-29",
            ENDS_2025,
            A,
            "R27",
            "Renewal is not open yet; the card, valid to 2025-09-30, may be renewed from"
            " 2025-07-30.",
            "尚未到延期时间，2025年7月30日起可以延期。",
        ),
        (
            "2025-08-01",
            ENDS_2026,
            A,
            "R28",
            "The card is already valid to 2026-09-30; it may be renewed again from 2026-07-30.",
            "卡片有效期已至2026年9月30日，2026年7月30日起可再次延期。",
        ),
        (
            "2025-10-01",
            ENDS_2025,
            NO_LATE,
            "R27",
            "The card expired on 2025-09-30; an expired card is not renewed.",
            "卡片已于2025年9月30日到期，不能再延期。",
        ),
    ],
)
def test_a_refusal_is_the_rules_sentence(day, expiry, policy, rule, en, zh):
    refusal = renewal(date.fromisoformat(day), expiry, policy)
    assert (refusal.rule, refusal.en, refusal.zh) == (rule, en, zh)


def test_the_formulas_parts():
    assert window_year(date(2025, 7, 29), A) == 2024
    assert window_year(date(2025, 7, 30), A) == 2025
    assert target(date(2025, 7, 29), A) == ENDS_2025
    assert target(date(2025, 7, 30), A) == ENDS_2026
    assert opens_on(ENDS_2025, A) == date(2025, 7, 30)
    assert opens_on(ENDS_2025, STRICT) == date(2025, 7, 31)


def test_an_end_that_is_no_30_september_opens_with_the_window_that_moves_it():
    for expiry in (date(2025, 5, 1), date(2025, 10, 15)):
        opens = opens_on(expiry, A)
        assert renewal(opens, expiry, A) > expiry
        assert isinstance(renewal(opens - timedelta(days=1), expiry, A), Refusal)


def test_a_moment_without_a_zone_is_refused():
    with pytest.raises(ValueError, match="a moment needs a zone, such as"):
        day_of(datetime(2025, 9, 30, 12))


def test_a_day_is_a_day_wherever():
    assert day_of(date(2025, 9, 30)) == date(2025, 9, 30)
    tokyo = timezone(timedelta(hours=9))
    assert day_of(datetime(2025, 10, 1, 0, 30, tzinfo=tokyo)) == date(2025, 9, 30)

"""Every day of four years against every end, and what a plainer statement says of it."""

from datetime import date, datetime, time, timedelta, timezone

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from issuer.policy import IssuerPolicy
from issuer.refusal import Refusal
from issuer.validity import SHANGHAI, first_invalid, is_valid, issue_expiry, opens_on, renewal

pytestmark = pytest.mark.rule("R26", "R27", "R28")

FIRST, LAST = date(2024, 1, 1), date(2027, 12, 31)
DAYS = [FIRST + timedelta(days=n) for n in range((LAST - FIRST).days + 1)]
ENDS = [date(year, 9, 30) for year in range(2021, 2031)]

days = st.dates(FIRST, LAST)
ends = st.sampled_from(ENDS)
policies = st.builds(
    IssuerPolicy,
    issue_expiry=st.sampled_from(["next_30_september", "window_rollover"]),
    renewal_open_inclusive=st.booleans(),
    late_renewal=st.booleans(),
)
times = st.times()


def said(day: date, end: date, policy: IssuerPolicy) -> date | str:
    """The seed's sentence, told by the calendar: what a window gives, and whether it is new.

    A window opens each year in July and lasts until the next one opens; whoever renews in it has a
    card to 30 September of the year after it opened.
    """
    opening_day = 30 if policy.renewal_open_inclusive else 31
    has_opened = (day.month, day.day) >= (7, opening_day)
    gives = date(day.year + 1 if has_opened else day.year, 9, 30)
    if end >= gives:
        return "nothing new"
    if day > end and not policy.late_renewal:
        return "too late"
    return gives


def outcome(day: date | datetime, end: date, policy: IssuerPolicy) -> date | str:
    given = renewal(day, end, policy)
    if not isinstance(given, Refusal):
        return given
    return "too late" if given.reason == "expired" else "nothing new"


@pytest.mark.parametrize("inclusive", [True, False])
@pytest.mark.parametrize("late", [True, False])
def test_all_days_of_four_years_and_all_ends(inclusive, late):
    policy = IssuerPolicy(renewal_open_inclusive=inclusive, late_renewal=late)
    wrong = [
        (day, end)
        for day in DAYS
        for end in ENDS
        if outcome(day, end, policy) != said(day, end, policy)
    ]
    assert wrong == []


@given(days, times, ends, policies)
@example(date(2025, 7, 30), time(), date(2025, 9, 30), IssuerPolicy())
@example(date(2025, 9, 30), time.max, date(2025, 9, 30), IssuerPolicy())
@example(date(2025, 10, 1), time(), date(2025, 9, 30), IssuerPolicy())
def test_a_moment_counts_as_its_day_in_shanghai(day, at, end, policy):
    moment = datetime.combine(day, at, SHANGHAI)
    for hours in (-8, 0, 9):
        elsewhere = moment.astimezone(timezone(timedelta(hours=hours)))
        assert renewal(elsewhere, end, policy) == renewal(day, end, policy)
        assert is_valid(elsewhere, end) == (moment < first_invalid(end))


@given(days, ends, policies)
def test_what_was_renewed_is_not_renewed_again_in_the_window(day, end, policy):
    after = renewal(day, end, policy)
    if isinstance(after, Refusal):
        return
    again = renewal(day, after, policy)
    assert isinstance(again, Refusal)
    assert again.reason != "expired"
    opens = opens_on(after, policy)
    assert day < opens
    assert isinstance(renewal(opens - timedelta(days=1), after, policy), Refusal)
    assert renewal(opens, after, policy) == after.replace(year=after.year + 1)


@given(days, ends, policies)
def test_a_renewal_ends_on_a_30_september_ahead_and_within_428_days(day, end, policy):
    after = renewal(day, end, policy)
    if not isinstance(after, Refusal):
        assert (after.month, after.day) == (9, 30)
        assert after > end
        # From 30 July to the second 30 September, over a 29 February.
        assert timedelta(0) <= after - day <= timedelta(days=428)


@given(st.lists(days, max_size=30), ends, policies)
def test_however_often_one_asks_the_end_is_never_beyond_one_window(asked, end, policy):
    for day in sorted(asked):
        answer = renewal(day, end, policy)
        if not isinstance(answer, Refusal):
            end = answer
            assert end <= date(day.year + 1, 9, 30)


@given(days, policies)
def test_a_new_card_ends_on_a_30_september_and_is_valid_today(day, policy):
    end = issue_expiry(day, policy)
    assert (end.month, end.day) == (9, 30)
    assert is_valid(day, end)
    if policy.issue_expiry == "window_rollover":
        assert isinstance(renewal(day, end, policy), Refusal)
    else:
        assert end - day <= timedelta(days=365)

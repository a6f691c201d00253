"""How long a card is valid and when it may be renewed: rules R26 to R28 as one formula.

`W(d)` is the year whose window of renewal is the latest to have opened on or before day d, and
`T(d)` is 30 September of the year after. A card that ends on e may be renewed on day n exactly if
T(n) > e, and then ends on T(n). So the window is closed before 30 July, a window renews once,
years do not pile up, and a card long expired comes back to the present.

A day is one of Asia/Shanghai, whatever the machine's zone. The last day counts to its end: the
first instant at which a card is not valid is 1 October, 00:00.
Source: seed line 47; domain facts 1.4.
"""

from datetime import date, datetime, time, timedelta, timezone

from issuer.policy import IssuerPolicy
from issuer.refusal import Refusal
from issuer.rules_table import holds

SHANGHAI = timezone(timedelta(hours=8), "Asia/Shanghai")
"""No daylight saving since 1991, so no tables of zones are needed."""

_OPENS = (7, 30)
_OPENS_STRICTLY = (7, 31)
_ENDS = (9, 30)

Outcome = date | Refusal


def day_of(at: date | datetime) -> date:
    """The day it is in Shanghai at a moment. A day is taken as it is.

    Raises ValueError if a moment has no zone.

    >>> day_of(datetime(2025, 9, 30, 16, 0, tzinfo=timezone.utc))
    datetime.date(2025, 10, 1)
    """
    if not isinstance(at, datetime):
        return at
    if at.tzinfo is None:
        raise ValueError("a moment needs a zone, such as 2026-09-30T23:59:50+08:00")
    return at.astimezone(SHANGHAI).date()


def window_year(day: date, policy: IssuerPolicy) -> int:
    """W(d): the year of the window of renewal that opened last.

    >>> [window_year(date(2025, 7, day), IssuerPolicy()) for day in (29, 30)]
    [2024, 2025]
    """
    return day.year if day >= _opening_of(day.year, policy) else day.year - 1


def target(day: date, policy: IssuerPolicy) -> date:
    """T(d): the end that a renewal on this day gives."""
    return _end_of(window_year(day, policy) + 1)


@holds("R26")
def issue_expiry(at: date | datetime, policy: IssuerPolicy) -> date:
    """The last day of a card that is opened now: always a 30 September.

    >>> issue_expiry(date(2025, 10, 1), IssuerPolicy())
    datetime.date(2026, 9, 30)
    """
    day = day_of(at)
    if policy.issue_expiry == "window_rollover":
        return target(day, policy)
    this_year = _end_of(day.year)
    return this_year if day <= this_year else _end_of(day.year + 1)


@holds("R26")
def is_valid(at: date | datetime, expiry: date) -> bool:
    """Whether a card that ends on `expiry` is still valid: the whole of that day, and no longer."""
    return day_of(at) <= expiry


def first_invalid(expiry: date) -> datetime:
    """The first instant at which a card is not valid any more.

    >>> first_invalid(date(2025, 9, 30)).isoformat()
    '2025-10-01T00:00:00+08:00'
    """
    return datetime.combine(expiry + timedelta(days=1), time(), SHANGHAI)


@holds("R27")
def opens_on(expiry: date, policy: IssuerPolicy) -> date:
    """The first day on which a card that ends on `expiry` may be renewed.

    >>> opens_on(date(2026, 9, 30), IssuerPolicy())
    datetime.date(2026, 7, 30)
    """
    year = expiry.year if expiry >= _end_of(expiry.year) else expiry.year - 1
    return _opening_of(year, policy)


@holds("R27", "R28")
def renewal(
    at: date | datetime, expiry: date, policy: IssuerPolicy, *, is_reauthenticated: bool = False
) -> Outcome:
    """The new last day of a card that is renewed now, or why it may not be.

    at: by the server's clock. expiry: the card's last day, as the back office has it.
    is_reauthenticated: whether identity was proven anew; asked for by renewal_needs_reauth alone.
    """
    day = day_of(at)
    after = target(day, policy)
    if after <= expiry:
        return _not_yet(day, expiry, policy)
    if day > expiry and not policy.late_renewal:
        return Refusal(
            "R27",
            "expired",
            f"卡片已于{_zh(expiry)}到期，不能再延期。",
            f"The card expired on {expiry}; an expired card is not renewed.",
        )
    if policy.renewal_needs_reauth and not is_reauthenticated:
        return Refusal(
            "R5",
            "not_authenticated",
            "延期前须在高校服务中重新进行身份认证。",
            "Renewal needs a new proof of identity in 高校服务.",
        )
    return after


def _not_yet(day: date, expiry: date, policy: IssuerPolicy) -> Refusal:
    opens = opens_on(expiry, policy)
    if _opening_of(day.year, policy) <= day <= _end_of(day.year):
        return Refusal(
            "R28",
            "already_renewed",
            f"卡片有效期已至{_zh(expiry)}，{_zh(opens)}起可再次延期。",
            f"The card is already valid to {expiry}; it may be renewed again from {opens}.",
        )
    return Refusal(
        "R27",
        "window_closed",
        f"尚未到延期时间，{_zh(opens)}起可以延期。",
        f"Renewal is not open yet; the card, valid to {expiry}, may be renewed from {opens}.",
    )


def _opening_of(year: int, policy: IssuerPolicy) -> date:
    return date(year, *(_OPENS if policy.renewal_open_inclusive else _OPENS_STRICTLY))


def _end_of(year: int) -> date:
    return date(year, *_ENDS)


def _zh(day: date) -> str:
    return f"{day.year}年{day.month}月{day.day}日"

"""Options that are values: days, times, money. A wrong one is a `Problem`."""

import re
from datetime import date, datetime

from apdu.show import money
from bench.clock import SHANGHAI, now
from bench.problem import Problem

_YEARS = range(2000, 2100)
_AMOUNT = re.compile(r"(\d{1,9})(?:\.(\d{1,2}))?")


def parse_day(text: str) -> date:
    """YYYY-MM-DD, or today in Shanghai for an empty text."""
    if not text:
        return now().date()
    try:
        day = date.fromisoformat(text)
    except ValueError:
        raise Problem(f"'{text}' is not a day; expected YYYY-MM-DD") from None
    _demand_year(text, day.year)
    return day


def parse_moment(text: str) -> datetime:
    """YYYY-MM-DDThh:mm:ss in Shanghai, or with an offset of its own."""
    try:
        at = datetime.fromisoformat(text)
    except ValueError:
        raise Problem(f"'{text}' is not a time; expected YYYY-MM-DDThh:mm:ss") from None
    _demand_year(text, at.year)
    return at.replace(tzinfo=SHANGHAI) if at.tzinfo is None else at.astimezone(SHANGHAI)


def _demand_year(text: str, year: int) -> None:
    if year not in _YEARS:
        raise Problem(f"'{text}' is out of range; expected {_YEARS[0]} to {_YEARS[-1]}")


def parse_yuan(text: str, most_fen: int) -> int:
    """Yuan with at most two decimals, as fen."""
    found = _AMOUNT.fullmatch(text)
    fen = int(found[1]) * 100 + int((found[2] or "").ljust(2, "0")) if found else -1
    if not 0 <= fen <= most_fen:
        raise Problem(f"'{text}' is not an amount; expected yuan from 0.00 to {money(most_fen)}")
    return fen


def parse_whole(text: str) -> int:
    """A whole number, decimal or with 0x before it."""
    try:
        return int(text, 0)
    except ValueError:
        raise Problem(f"'{text}' is not a whole number; expected such as 1091 or 0x0443") from None

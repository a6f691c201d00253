"""Options that are values: days, times, money. A wrong one is a `Problem`."""

from datetime import date, datetime
from decimal import Decimal, InvalidOperation

from bench.clock import SHANGHAI, now
from bench.problem import Problem


def parse_day(text: str) -> date:
    """YYYY-MM-DD, or today in Shanghai for an empty text."""
    if not text:
        return now().date()
    try:
        return date.fromisoformat(text)
    except ValueError:
        raise Problem(f"'{text}' is not a day; expected YYYY-MM-DD") from None


def parse_moment(text: str) -> datetime:
    """YYYY-MM-DDThh:mm:ss in Shanghai."""
    try:
        return datetime.fromisoformat(text).replace(tzinfo=SHANGHAI)
    except ValueError:
        raise Problem(f"'{text}' is not a time; expected YYYY-MM-DDThh:mm:ss") from None


def parse_yuan(text: str, most_fen: int) -> int:
    """Yuan with at most two decimals, as fen."""
    try:
        fen = Decimal(text) * 100
    except InvalidOperation:
        fen = Decimal("NaN")
    if not fen.is_finite() or fen != int(fen) or not 0 <= fen <= most_fen:
        raise Problem(f"'{text}' is not an amount; expected yuan from 0.00 to {most_fen / 100:.2f}")
    return int(fen)

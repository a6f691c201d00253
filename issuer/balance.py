"""A day's balance: money off cards = money in records = money settled to operators."""

from dataclasses import dataclass
from typing import Any

from sqlalchemy import Engine, and_, case, func, or_, select
from sqlalchemy.orm import Session

from apdu.purse import LOAD
from issuer.database import told
from issuer.faults import HOLDING
from issuer.schema import Finding, TapRow
from reader.taprecord import Mark

_T = TapRow
_TAKEN = and_(_T.mark == int(Mark.TAKEN), _T.is_copy.is_(False))


@dataclass(frozen=True, slots=True)
class Share:
    """What one operator gets for one line. operator, line: hexadecimal digits of EF1E."""

    operator: str
    line: str
    taps: int
    fen: int


@dataclass(frozen=True, slots=True)
class DayBalance:
    """One day's money, fen.

    off_cards:  what the cards lost: first balance less last, and what was loaded in between.
    in_records: what the records of purchases add up to, each tap once.
    held:       the part of it that is not settled, because a finding holds it.
    loaded:     what was loaded onto cards, for information.
    """

    day: int
    taps: int
    off_cards: int
    in_records: int
    held: int
    loaded: int
    shares: tuple[Share, ...]

    @property
    def settled(self) -> int:
        """What the operators get."""
        return sum(share.fen for share in self.shares)

    @property
    def is_balanced(self) -> bool:
        """Whether the three are equal."""
        return self.off_cards == self.in_records == self.settled


def days(engine: Engine) -> list[int]:
    """The days there are taps of, YYYYMMDD. Raises DatabaseError."""
    with told(engine), Session(engine) as session:
        return list(session.scalars(select(_T.day).distinct().order_by(_T.day)))


def balance_of(engine: Engine, day: int) -> DayBalance:
    """The balance of a day, as far as it was examined. Raises DatabaseError."""
    spent = and_(_TAKEN, _T.day == day, _T.is_online.is_(False))
    holding = (
        select(Finding.tap_id)
        .where(Finding.code.in_(HOLDING), Finding.tap_id.is_not(None))
        .scalar_subquery()
    )
    total = select(func.count(), func.coalesce(func.sum(_T.amount), 0))
    shares = (
        select(_T.operator, _T.line, func.count(), func.sum(_T.amount))
        .where(spent, _T.id.not_in(holding))
        .group_by(_T.operator, _T.line)
        .order_by(_T.operator, _T.line)
    )
    with told(engine), Session(engine) as session:
        taps, in_records = session.execute(total.where(spent)).one()
        _, held = session.execute(total.where(spent, _T.id.in_(holding))).one()
        loads = and_(_TAKEN, _T.day == day, _T.kind == LOAD)
        _, loaded = session.execute(total.where(loads)).one()
        parts = tuple(Share(o, line, n, int(f)) for o, line, n, f in session.execute(shares))
        off_cards = session.execute(_off_cards(day)).scalar_one()
    return DayBalance(day, taps, int(off_cards), int(in_records), int(held), int(loaded), parts)


def _off_cards(day: int) -> Any:  # noqa: ANN401 - SQLAlchemy's own
    """The sum over cards of first balance less last balance plus loads, from balances alone."""
    # A load and a tap in one second: the load came first, or the tap had no money.
    order = (_T.at, _T.is_online.desc(), _T.counter)
    back = (_T.at.desc(), _T.is_online, _T.counter.desc())
    ranked = (
        select(
            _T.before,
            _T.after,
            _T.kind,
            _T.amount,
            _T.is_online,
            func.row_number().over(partition_by=_T.serial, order_by=order).label("from_first"),
            func.row_number().over(partition_by=_T.serial, order_by=back).label("from_last"),
        )
        .where(_TAKEN, _T.day == day)
        .subquery()
    )
    c = ranked.c
    moved = (
        case((c.from_first == 1, c.before), else_=0)
        - case((c.from_last == 1, c.after), else_=0)
        + case((and_(c.is_online, c.kind == LOAD), c.amount), (c.is_online, -c.amount), else_=0)
    )
    edge = or_(c.from_first == 1, c.from_last == 1, c.is_online)
    return select(func.coalesce(func.sum(moved), 0)).where(edge)

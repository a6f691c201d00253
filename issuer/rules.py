"""The rules that look at one tap at a time: each a query over all taps for those with a fault.

They look at rows as they lie, in whatever order these came. A tap that was delivered twice counts
once (`is_copy`). Each rule gives the tap, what it wanted and what it found. What compares
neighbours is in `issuer.chains`.
"""

from collections.abc import Callable
from typing import Any

from sqlalchemy import BigInteger, Select, and_, case, cast, exists, func, null, or_, select, update
from sqlalchemy.orm import aliased
from sqlalchemy.sql.elements import ColumnElement
from sqlalchemy.sql.expression import Update

from apdu.purse import LOAD
from apdu.value import value
from issuer.faults import Fault
from issuer.schema import BatchRow, KnownGate, LostCard, TapRow
from reader.taprecord import Mark

DAY_S = 86_400
_NONE = cast(null(), BigInteger)


@value
class Policy:
    """What clearing tolerates.

    clock_slack_s: how far two clocks may differ. late_after_s: when a record is late.
    overdraft: fen a purse may owe; an interoperable one owes nothing (Q21).
    """

    clock_slack_s: int = 60
    late_after_s: int = DAY_S
    overdraft: int = 0


Found = Select[Any]
Rule = Callable[[Policy], Found]

_T = TapRow
_TAKEN = and_(_T.mark == int(Mark.TAKEN), _T.is_copy.is_(False))


def mark_copies() -> Update:
    """Mark every row that is the same tap as an earlier one."""
    other, inner = aliased(_T), aliased(_T)
    twice = (
        select(inner.serial, inner.is_online, inner.counter)
        .group_by(inner.serial, inner.is_online, inner.counter)
        .having(func.count() > 1)
        .subquery()
    )
    rank = (
        func.row_number()
        .over(
            partition_by=(
                other.serial,
                other.is_online,
                other.counter,
                other.mark,
                other.terminal,
                other.terminal_seq,
                other.amount,
                other.at,
                other.tac_is_right,
                other.after,
            ),
            order_by=other.id,
        )
        .label("rank")
    )
    ranked = (
        select(other.id, rank)
        .join(
            twice,
            and_(
                other.serial == twice.c.serial,
                other.is_online == twice.c.is_online,
                other.counter == twice.c.counter,
            ),
        )
        .subquery()
    )
    return (
        update(_T)
        .where(_T.id.in_(select(ranked.c.id).where(ranked.c.rank > 1)), _T.is_copy.is_(False))
        .values(is_copy=True)
    )


def _plain(*conditions: ColumnElement[bool], wanted: Any = None, found: Any = None) -> Found:  # noqa: ANN401 - columns of any type
    return select(
        _T.id.label("tap_id"),
        (_NONE if wanted is None else wanted).label("wanted"),
        (_NONE if found is None else found).label("found"),
    ).where(*conditions)


def _bad_tac(policy: Policy) -> Found:
    return _plain(_TAKEN, _T.tac_is_right.is_(False))


def _duplicate(policy: Policy) -> Found:
    return _plain(_T.is_copy.is_(True), found=_T.counter)


def _amount_mismatch(policy: Policy) -> Found:
    moved = case((_T.kind == LOAD, _T.amount), else_=-_T.amount)
    return _plain(_TAKEN, _T.before + moved != _T.after, wanted=_T.before + moved, found=_T.after)


def _negative(policy: Policy) -> Found:
    low = or_(_T.after < -policy.overdraft, _T.before < -policy.overdraft)
    return _plain(_TAKEN, low, wanted=_T.before, found=_T.after)


def _expired(policy: Policy) -> Found:
    return _plain(_TAKEN, _T.tested > _T.expires, wanted=_T.expires, found=_T.tested)


def _blacklisted(policy: Policy) -> Found:
    return _plain(
        _TAKEN,
        _T.at >= LostCard.since,
        wanted=LostCard.since,
        found=_T.at,
    ).join(LostCard, LostCard.serial == _T.serial)


def _wrong_terminal(policy: Policy) -> Found:
    anybody = aliased(KnownGate)
    known = exists().where(KnownGate.gate == _T.gate, KnownGate.terminal == _T.terminal)
    strange = and_(exists().where(anybody.gate == anybody.gate), ~known)
    smuggled = _T.gate != BatchRow.gate
    return _plain(_TAKEN, or_(smuggled, strange)).join(BatchRow, BatchRow.batch_id == _T.batch_id)


def _late(policy: Policy) -> Found:
    return _plain(
        _TAKEN,
        BatchRow.received - _T.at > policy.late_after_s,
        wanted=_T.at,
        found=BatchRow.received,
    ).join(BatchRow, BatchRow.batch_id == _T.batch_id)


def _ahead(policy: Policy) -> Found:
    return _plain(
        _TAKEN,
        _T.at > BatchRow.received + policy.clock_slack_s,
        wanted=BatchRow.received,
        found=_T.at,
    ).join(BatchRow, BatchRow.batch_id == _T.batch_id)


def _shared_terminal(policy: Policy) -> Found:
    """The first tap of each gate that shares its terminal number with another one."""
    shared = (
        select(_T.terminal)
        .where(_T.is_copy.is_(False))
        .group_by(_T.terminal)
        .having(func.min(_T.gate) != func.max(_T.gate))
    )
    first = func.min(_T.id)
    taps: Any = select(first.label("tap_id"), _NONE.label("wanted"), _NONE.label("found"))
    grouped: Found = taps.where(_T.terminal.in_(shared), _T.is_copy.is_(False)).group_by(
        _T.terminal, _T.gate
    )
    return grouped


RULES: tuple[tuple[Fault, Rule], ...] = (
    (Fault.BAD_TAC, _bad_tac),
    (Fault.DUPLICATE_RECORD, _duplicate),
    (Fault.AMOUNT_MISMATCH, _amount_mismatch),
    (Fault.NEGATIVE_BALANCE, _negative),
    (Fault.SHARED_TERMINAL, _shared_terminal),
    (Fault.WRONG_TERMINAL, _wrong_terminal),
    (Fault.BLACKLISTED, _blacklisted),
    (Fault.EXPIRED, _expired),
    (Fault.AHEAD_OF_TIME, _ahead),
    (Fault.LATE, _late),
)

"""Operations: what a student or an outlet has asked for, and how far it has come.

An operation is told apart by its account and the client's key: asked for again with the same key it
is the same operation, and goes on where it stood. Each step is a short transaction that moves the
operation's state together with whatever else it writes, so a cut leaves it at a step and never
between two. What only a cut can make visible is in `data`: what the next step needs, JSON, nothing
personal, no key and no cryptogram but MACs that are spent.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from issuer.database import insert_new
from issuer.moments import seconds_of
from issuer.refusal import Refusal
from issuer.tables import Operation


class Kind(StrEnum):
    """What can be asked for."""

    OPEN = "open"
    TOP_UP = "top_up"
    RENEW = "renew"
    LOST = "lost"
    RETURN = "return"
    REFUND = "refund"


DONE, FAILED = "done", "failed"
"""States that end an operation. FAILED: nothing was changed, or all was given back."""

BEGUN = "begun"
"""The state of an operation that has done nothing yet."""


@dataclass(frozen=True, slots=True)
class Op:
    """An operation as it stands. amount: fen. data: see the module."""

    id: int
    kind: Kind
    key: str
    account_id: int
    card_id: int | None
    state: str
    amount: int
    data: Mapping[str, Any]

    @property
    def is_over(self) -> bool:
        """Whether nothing more will happen."""
        return self.state in (DONE, FAILED)


LONGEST_KEY = 64

KEY_REUSED = Refusal(
    "R25",
    "key_reused",
    "该幂等键已用于另一笔业务，请换一个",
    "this idempotency key stands for another operation; choose a new one",
)


def begin(
    session: Session, kind: Kind, account_id: int, key: str, amount: int, at: datetime
) -> Op | Refusal:
    """The operation of this key: a new one, or the one that was asked for before.

    Refuses a key that stands for another wish. Raises ValueError for a key that is none.
    """
    if not 1 <= len(key) <= LONGEST_KEY or not key.isascii() or not key.isprintable():
        raise ValueError(f"an idempotency key is 1 to {LONGEST_KEY} printable ASCII characters")
    seconds = seconds_of(at)
    row = Operation(
        kind=kind.value,
        key=key,
        account_id=account_id,
        card_id=None,
        state=BEGUN,
        amount=amount,
        data={},
        created=seconds,
        updated=seconds,
    )
    if insert_new(session, row):
        return _op(row)
    known = session.execute(
        select(Operation).where(Operation.account_id == account_id, Operation.key == key)
    ).scalar_one()
    if (known.kind, known.amount) != (kind.value, amount):
        return KEY_REUSED
    return _op(known)


def step(
    session: Session,
    op: Op,
    state: str,
    at: datetime,
    card_id: int | None = None,
    data: Mapping[str, Any] | None = None,
) -> Op:
    """Move an operation on, if it still stands where `op` says; else as it stands now.

    card_id, data: kept as they are if None; data is added to what is there.
    """
    query = select(Operation).where(Operation.id == op.id).with_for_update()
    # What was read before the lock may be old.
    row = session.execute(query.execution_options(populate_existing=True)).scalar_one()
    if row.state != op.state:
        return _op(row)
    row.state = state
    row.updated = seconds_of(at)
    if card_id is not None:
        row.card_id = card_id
    if data is not None:
        row.data = {**row.data, **data}
    session.flush()
    return _op(row)


def operation(session: Session, op_id: int) -> Op:
    """An operation by its number. Raises LookupError."""
    row = session.get(Operation, op_id)
    if row is None:
        raise LookupError(f"there is no operation {op_id}")
    return _op(row)


def held(session: Session, account_id: int, key: str) -> Op | None:
    """The operation of an account's key, None if nothing was asked for with it."""
    query = select(Operation).where(Operation.account_id == account_id, Operation.key == key)
    row = session.execute(query).scalar_one_or_none()
    return None if row is None else _op(row)


def open_ones(session: Session, card_id: int, kind: Kind | None = None) -> list[Op]:
    """What is under way with a card, the oldest first."""
    query = (
        select(Operation)
        .where(Operation.card_id == card_id, Operation.state.not_in((DONE, FAILED)))
        .order_by(Operation.id)
    )
    if kind is not None:
        query = query.where(Operation.kind == kind.value)
    return [_op(row) for row in session.execute(query).scalars()]


def _op(row: Operation) -> Op:
    return Op(
        row.id,
        Kind(row.kind),
        row.key,
        row.account_id,
        row.card_id,
        row.state,
        row.amount,
        dict(row.data),
    )

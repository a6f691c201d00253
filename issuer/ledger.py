"""The ledger: double entry, so that no fen appears or disappears.

A posting is a step of an operation: amounts by account that sum to zero, a debit above zero, a
credit below. The same step posted again changes nothing, so whoever resumes an operation may post
what it has posted already. Entries are never changed; a mistake is righted by another posting.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from sqlalchemy import Engine, func, select
from sqlalchemy.orm import Session

from issuer.database import reading
from issuer.moments import seconds_of
from issuer.tables import Entry


class Account(StrEnum):
    """An account of the ledger. Of those that are owed the balance is below zero."""

    PAYER = "payer"
    """What the payer has taken for us and not passed on: owned."""
    PAID_IN = "paid_in"
    """Paid by students and not on a card yet: owed."""
    CARDS = "cards"
    """What is on cards, by card: owed to their holders."""
    FROZEN = "frozen"
    """What was on lost cards, by card, until late records are in: owed."""
    PAYABLE = "payable"
    """What is to be refunded, by card: owed."""
    OPERATORS = "operators"
    """What operators get for rides: owed."""
    CASH = "cash"
    """What outlets have in hand: owned."""
    FORFEITED = "forfeited"
    """What nobody claims under the policy: ours."""


@dataclass(frozen=True, slots=True)
class Side:
    """One side of a posting. amount: fen, a debit above zero, a credit below. card_id: whose."""

    account: Account
    amount: int
    card_id: int | None = None


@dataclass(frozen=True, slots=True)
class TrialBalance:
    """Every account's balance, fen, and what does not sum to zero.

    unbalanced: operation and step of postings that do not; empty unless somebody wrote around
    the ledger.
    """

    balances: dict[Account, int]
    unbalanced: tuple[tuple[int, str], ...]

    @property
    def is_balanced(self) -> bool:
        """Whether everything sums to zero, each posting for itself too."""
        return not self.unbalanced and sum(self.balances.values()) == 0


def post(
    session: Session, operation_id: int, step: str, sides: Iterable[Side], at: datetime
) -> bool:
    """Post a step of an operation. Returns whether it was new.

    Raises ValueError if the sides do not sum to zero, or the step was posted otherwise.
    """
    wanted = _summed(sides)
    query = select(Entry.account, Entry.amount, Entry.card_id).where(
        Entry.operation_id == operation_id, Entry.step == step
    )
    held = {Side(Account(name), amount, card) for name, amount, card in session.execute(query)}
    if held:
        if held != wanted:
            raise ValueError(f"step {step!r} of operation {operation_id} was posted otherwise")
        return False
    seconds = seconds_of(at)
    session.add_all(
        Entry(
            operation_id=operation_id,
            step=step,
            account=side.account.value,
            card_id=side.card_id,
            amount=side.amount,
            at=seconds,
        )
        for side in sorted(wanted, key=lambda side: side.account)
    )
    session.flush()
    return True


def balance_of(session: Session, account: Account, card_id: int | None = None) -> int:
    """The balance of an account, of one card alone if it is given. fen, owed below zero."""
    query = select(func.coalesce(func.sum(Entry.amount), 0)).where(Entry.account == account.value)
    if card_id is not None:
        query = query.where(Entry.card_id == card_id)
    return int(session.execute(query).scalar_one())


def trial_balance(engine: Engine) -> TrialBalance:
    """The balances of all accounts, over all entries. Raises DatabaseError."""
    by_account = select(Entry.account, func.sum(Entry.amount)).group_by(Entry.account)
    off = (
        select(Entry.operation_id, Entry.step)
        .group_by(Entry.operation_id, Entry.step)
        .having(func.sum(Entry.amount) != 0)
        .order_by(Entry.operation_id, Entry.step)
    )
    with reading(engine) as session:
        balances = dict.fromkeys(Account, 0)
        balances |= {Account(name): int(total) for name, total in session.execute(by_account)}
        unbalanced = tuple((operation, step) for operation, step in session.execute(off))
    return TrialBalance(balances, unbalanced)


def _summed(sides: Iterable[Side]) -> set[Side]:
    """The sides of a posting. Raises ValueError."""
    listed = list(sides)
    if not listed or any(side.amount == 0 for side in listed):
        raise ValueError("a posting has sides with amounts, none of them zero")
    if len({side.account for side in listed}) != len(listed):
        raise ValueError("a posting has one side for each account")
    total = sum(side.amount for side in listed)
    if total:
        raise ValueError(f"a posting sums to zero, and this one to {total} fen")
    return set(listed)

"""The payer: a party of its own that takes money from students and gives it back.

It is asked over a network, so an answer can be lost when the money has moved. Whoever asks gives
each wish a key of its own and asks again with the same key until there is an answer: the payer does
one thing for one key, and tells the same answer each time. A decline is final for its key.
"""

from collections.abc import Callable
from dataclasses import asdict, dataclass
from enum import Enum
from typing import Protocol

from sqlalchemy import Engine, func, select
from sqlalchemy.orm import Session

from issuer.database import insert_new, reading, transact
from issuer.moments import Now, seconds_of
from issuer.tables import Payment


class PayerAway(Exception):
    """No answer came; whether money moved is not known. Ask again with the same key."""


class PayerError(Exception):
    """The payer was asked for what makes no sense; nothing moved. The message is one sentence."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What the payer says of a key. is_done: whether the money moved; else it was declined."""

    key: str
    amount: int
    is_done: bool


class Payer(Protocol):
    """Where money comes from and goes to. amount: fen. account: the payer's name of the student."""

    def charge(self, key: str, amount: int, account: str) -> Answer:
        """Take money from a student. Raises PayerAway and PayerError."""

    def refund(self, key: str, amount: int, account: str, charge_key: str | None = None) -> Answer:
        """Give money to a student: out of a charge, or as a payout if none is named.

        Raises PayerAway and PayerError, also if more would be given back than was charged.
        """


class Mishap(Enum):
    """What can go wrong with one request."""

    DECLINED = "the payer says no"
    LOST_BEFORE = "the request is lost: nothing happens, and no answer comes"
    LOST_AFTER = "the answer is lost: the money has moved"


Mishaps = Callable[[str, str], Mishap | None]
"""Asked at each request with `charge` or `refund` and the key: what goes wrong with it."""


def no_mishap(kind: str, key: str) -> Mishap | None:
    """Everything goes well."""
    return None


class SoftPayer:
    """A payer in a database. See `Payer`. engine: from `issuer.database.open_database`."""

    def __init__(self, engine: Engine, now: Now, mishaps: Mishaps = no_mishap) -> None:
        self._engine = engine
        self._now = now
        self._mishaps = mishaps

    def charge(self, key: str, amount: int, account: str) -> Answer:
        """Take money from a student. Raises PayerAway and PayerError."""
        return self._ask(_Wish(key, "charge", account, None, amount))

    def refund(self, key: str, amount: int, account: str, charge_key: str | None = None) -> Answer:
        """Give money to a student. Raises PayerAway and PayerError."""
        return self._ask(_Wish(key, "refund", account, charge_key, amount))

    def total(self, kind: str) -> int:
        """What was charged (`charge`) or given back (`refund`) in all, fen."""
        query = select(func.coalesce(func.sum(Payment.amount), 0)).where(
            Payment.kind == kind, Payment.is_done
        )
        with reading(self._engine) as session:
            return int(session.execute(query).scalar_one())

    def _ask(self, wish: "_Wish") -> Answer:
        if isinstance(wish.amount, bool) or not isinstance(wish.amount, int) or wish.amount <= 0:
            raise PayerError(f"expected an amount in whole fen above 0, found {wish.amount!r}")
        mishap = self._mishaps(wish.kind, wish.key)
        away = f"the payer did not answer to {wish.key}; ask again with the same key"
        if mishap is Mishap.LOST_BEFORE:
            raise PayerAway(away)
        is_done, at = mishap is not Mishap.DECLINED, seconds_of(self._now())
        answer = transact(self._engine, lambda session: wish.settle(session, is_done, at))
        if mishap is Mishap.LOST_AFTER:
            raise PayerAway(away)
        return answer


@dataclass(frozen=True, slots=True)
class _Wish:
    """One payment, as it is asked for."""

    key: str
    kind: str
    account: str
    charge_key: str | None
    amount: int

    def settle(self, session: Session, is_done: bool, at: int) -> Answer:
        """Do it unless it was done: then tell what was said."""
        charge = self._lock_charge(session)  # before looking: who waited for it sees what was done
        held = session.get(Payment, self.key)
        if held is None:
            self._demand_cover(session, charge)
            made = Payment(**asdict(self), is_done=is_done, at=at)
            if insert_new(session, made):
                return Answer(self.key, self.amount, is_done)
            held = session.get_one(Payment, self.key)  # asked twice at once: the other was first
        if _Wish(held.key, held.kind, held.account, held.charge_key, held.amount) != self:
            raise PayerError(f"the key {self.key} was used for another payment; use a new key")
        return Answer(held.key, held.amount, held.is_done)

    def _lock_charge(self, session: Session) -> Payment | None:
        """The charge this gives back from: one refund of it at a time."""
        if self.charge_key is None:
            return None
        return session.get(Payment, self.charge_key, with_for_update=True)

    def _demand_cover(self, session: Session, charge: Payment | None) -> None:
        """See that no more is given back than was charged. Raises PayerError."""
        if self.charge_key is None:
            return
        if charge is None or charge.kind != "charge" or charge.account != self.account:
            raise PayerError(f"there is no charge {self.charge_key} of this account")
        query = select(func.coalesce(func.sum(Payment.amount), 0)).where(
            Payment.charge_key == self.charge_key, Payment.is_done
        )
        left = (charge.amount if charge.is_done else 0) - int(session.execute(query).scalar_one())
        if self.amount > left:
            raise PayerError(
                f"{left} fen of charge {self.charge_key} can be given back, not {self.amount}"
            )

"""Tokens of the service: who may call it, in which role, and until when.

A token is 256 random bits, shown once when it is made; the database keeps its hash alone, so a copy
of the database opens nothing. A token of a student or of staff belongs to an account.
"""

import secrets
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from hashlib import sha256

from sqlalchemy import select, update
from sqlalchemy.orm import Session

from issuer.moments import moment_of, seconds_of
from issuer.tables import Account, ServiceToken

MARK = "tb_"
"""How every token begins, so that one that got into a file can be found."""


class Role(StrEnum):
    """STUDENT: an App. STAFF: an outlet or the office. GATE: a station's computer."""

    STUDENT = "student"
    STAFF = "staff"
    GATE = "gate"


@dataclass(frozen=True, slots=True)
class Bearer:
    """Who holds a token. id: the token's number. account_id: None for a gate's."""

    id: int
    role: Role
    account_id: int | None

    @property
    def account(self) -> int:
        """The account. Raises ValueError for a token that has none."""
        if self.account_id is None:
            raise ValueError("the token has no account")
        return self.account_id

    @property
    def actor(self) -> str:
        """Who it is, for logs."""
        who = self.id if self.account_id is None else self.account_id
        return f"{self.role}:{who}"


def make(
    session: Session, role: Role, account_id: int | None, at: datetime, expires: datetime
) -> str:
    """Make a token, which nobody can be told again. Raises LookupError, ValueError."""
    if (account_id is None) != (role is Role.GATE):
        raise ValueError("a token of a student or of staff has an account, and a gate's has none")
    if expires <= at:
        raise ValueError("expected a day to come for the token's end")
    if account_id is not None and session.get(Account, account_id) is None:
        raise LookupError(f"there is no account {account_id}")
    token = MARK + secrets.token_urlsafe(32)
    session.add(
        ServiceToken(
            token_hash=_hash(token),
            role=role.value,
            account_id=account_id,
            created=seconds_of(at),
            expires=seconds_of(expires),
        )
    )
    session.flush()
    return token


def find(session: Session, token: str, at: datetime) -> Bearer | None:
    """Who holds a token; None if nobody does, or its time is over."""
    query = select(ServiceToken).where(ServiceToken.token_hash == _hash(token))
    row = session.execute(query).scalar_one_or_none()
    if row is None or row.revoked is not None or moment_of(row.expires) <= at:
        return None
    return Bearer(row.id, Role(row.role), row.account_id)


def revoke(session: Session, token: str, at: datetime) -> bool:
    """Make a token worthless. Returns whether it was good for something before."""
    is_good = find(session, token, at) is not None
    session.execute(
        update(ServiceToken)
        .where(ServiceToken.token_hash == _hash(token), ServiceToken.revoked.is_(None))
        .values(revoked=seconds_of(at)),
        execution_options={"synchronize_session": False},
    )
    return is_good


def _hash(token: str) -> str:
    return sha256(token.encode("utf-8", "surrogatepass")).hexdigest()

"""Accounts of the App, and the identity check that ties one to a student (R5, R24).

    LOGGED_IN      a login, of nobody known
       | authenticate: the token of a check, and school, number, name and document that fit
    AUTHENTICATED  of one person, for good
       | openable: the roster says that the person may hold a card, now
    OPENABLE       may open a card; falls back when the roster changes

A token is good for one try, right or wrong, within its time. After `identity_tries` that failed an
account has to wait. An account that is one person's never becomes another's, and a person has one
account at a time; an outlet can set it free.
"""

import hmac
import re
import secrets
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from hashlib import sha256

from sqlalchemy import delete, func, select
from sqlalchemy.orm import Session

from issuer.database import insert_new
from issuer.documents import DocumentError, Documents
from issuer.moments import moment_of, seconds_of
from issuer.policy import IssuerPolicy
from issuer.refusal import Refusal
from issuer.roster import Standing, standing_of
from issuer.rules_table import holds
from issuer.tables import Account, IdentityCheck, Person, Student

TOKEN_LIFE = timedelta(minutes=10)
"""How long a token is good."""

_LOGIN = re.compile(r"[a-z][a-z0-9._-]{2,31}")


class AccountState(StrEnum):
    """How far an account has come."""

    LOGGED_IN = "logged_in"
    AUTHENTICATED = "authenticated"
    OPENABLE = "openable"


@dataclass(frozen=True, slots=True)
class Held:
    """An account. person_id, student_id: of whom, None until that is proven."""

    id: int
    state: AccountState
    person_id: int | None = None
    student_id: int | None = None


@dataclass(frozen=True, slots=True, repr=False)
class Claim:
    """Who somebody says to be. It has no repr, so that it gets into no log."""

    school: str
    number: str
    name: str
    document: str


MayOpen = Callable[[Standing], Refusal | None]
"""What the rules say of a student (R2 to R4): None if a card may be opened."""


def log_in(session: Session, login: str) -> Held:
    """The account of a login, a new one at the first time. Raises ValueError.

    login: 3 to 32 small letters, digits and ._- that begin with a letter, so no telephone or
    document number is one.
    """
    if not _LOGIN.fullmatch(login):
        raise ValueError(
            "expected a login of 3 to 32 small letters, digits and ._- that begins with a letter"
        )
    query = select(Account).where(Account.login == login)
    held = session.execute(query).scalar_one_or_none()
    if held is None:
        insert_new(session, Account(login=login, state=AccountState.LOGGED_IN.value))
        held = session.execute(query).scalar_one()
    return _held(held)


def account(session: Session, account_id: int) -> Held:
    """An account. Raises LookupError if there is none."""
    return _held(_row(session, account_id))


def begin_check(session: Session, account_id: int, at: datetime) -> str:
    """Begin an identity check. Returns its token, which is kept as a hash alone."""
    _row(session, account_id)
    token = secrets.token_urlsafe(24)
    session.add(
        IdentityCheck(
            token_hash=_token_hash(token),
            account_id=account_id,
            expires=seconds_of(at + TOKEN_LIFE),
        )
    )
    session.flush()
    return token


@holds("R5", "R24")
def authenticate(
    session: Session,
    documents: Documents,
    account_id: int,
    token: str,
    claim: Claim,
    at: datetime,
    policy: IssuerPolicy,
) -> Held | Refusal:
    """Prove whose an account is. A token in time is used up, right or wrong: commit a refusal too.

    After too many failures nothing is looked at, and the token is left as it is.
    """
    row = _row(session, account_id)
    free_at = _free_at(session, account_id, policy)
    if free_at is not None and at < free_at:
        return _too_many(free_at)
    check = _check(session, account_id, token, seconds_of(at))
    if check is None:
        return _STALE_TOKEN
    said = _proof(session, documents, row, claim)
    if isinstance(said, Refusal):
        check.failed = seconds_of(at)
        session.flush()
        return said
    check.used = seconds_of(at)
    row.person_id, row.student_id = said.person_id, said.id
    row.state = AccountState.AUTHENTICATED.value
    session.flush()
    return _held(row)


def _proof(session: Session, documents: Documents, row: Account, claim: Claim) -> Student | Refusal:
    """The student who is claimed to be, if the claim is right and the account may be theirs."""
    student = _claimed(session, documents, claim)
    if student is None:
        return _NOT_PROVEN
    if row.person_id is not None and row.person_id != student.person_id:
        return _OTHERS_ACCOUNT
    if row.person_id is None and _has_account(session, student.person_id):
        return _SECOND_ACCOUNT
    return student


def proven_at(session: Session, account_id: int) -> datetime | None:
    """When an account proved last whose it is, None if it never did. A failed check is no proof."""
    query = select(func.max(IdentityCheck.used)).where(IdentityCheck.account_id == account_id)
    seconds = session.execute(query).scalar_one()
    return None if seconds is None else moment_of(seconds)


def openable(session: Session, account_id: int, may_open: MayOpen) -> Held | Refusal:
    """Ask the roster anew whether an account may open a card; the account's state follows.

    Asked right before a card is opened, for the roster may have changed since the proof.
    """
    row = _row(session, account_id)
    if row.student_id is None:
        return _NOT_AUTHENTICATED
    refusal = may_open(standing_of(session, row.student_id))
    row.state = (AccountState.AUTHENTICATED if refusal else AccountState.OPENABLE).value
    session.flush()
    return refusal or _held(row)


def release(session: Session, account_id: int) -> None:
    """Set an account free of its person, as an outlet does when a login was lost.

    The account has to prove anew whose it is, and its failed checks do not count any more. Its
    operations and cards stay what they are.
    """
    row = _row(session, account_id)
    failed = (IdentityCheck.account_id == account_id, IdentityCheck.failed.is_not(None))
    session.execute(delete(IdentityCheck).where(*failed))
    row.person_id = row.student_id = None
    row.state = AccountState.LOGGED_IN.value
    session.flush()


def _row(session: Session, account_id: int) -> Account:
    query = select(Account).where(Account.id == account_id).with_for_update()
    fresh = query.execution_options(populate_existing=True)
    row = session.execute(fresh).scalar_one_or_none()
    if row is None:
        raise LookupError(f"there is no account {account_id}")
    return row


def _held(row: Account) -> Held:
    return Held(row.id, AccountState(row.state), row.person_id, row.student_id)


def _check(session: Session, account_id: int, token: str, seconds: int) -> IdentityCheck | None:
    """The check of a token, if it is this account's, untried and in time. The account is locked."""
    query = select(IdentityCheck).where(
        IdentityCheck.token_hash == _token_hash(token),
        IdentityCheck.account_id == account_id,
        IdentityCheck.used.is_(None),
        IdentityCheck.failed.is_(None),
        IdentityCheck.expires > seconds,
    )
    fresh = query.execution_options(populate_existing=True)
    return session.execute(fresh).scalar_one_or_none()


def _free_at(session: Session, account_id: int, policy: IssuerPolicy) -> datetime | None:
    """From when on an account may try again, None if it has not failed that often."""
    query = (
        select(IdentityCheck.failed)
        .where(IdentityCheck.account_id == account_id, IdentityCheck.failed.is_not(None))
        .order_by(IdentityCheck.failed.desc())
        .offset(policy.identity_tries - 1)
        .limit(1)
    )
    failed = session.execute(query).scalar_one_or_none()
    wait = timedelta(hours=policy.identity_wait_h)
    return None if failed is None else moment_of(failed) + wait


def _claimed(session: Session, documents: Documents, claim: Claim) -> Student | None:
    """The student who is claimed to be, if all four fit."""
    try:
        digest = documents.hash_of(claim.document)
    except DocumentError:
        return None
    row = session.execute(
        select(Student, Person.document_hash)
        .join(Person, Person.id == Student.person_id)
        .where(Student.school == claim.school, Student.number == claim.number)
    ).one_or_none()
    if row is None:
        return None
    student, expected = row
    is_named = hmac.compare_digest(student.name.encode(), claim.name.strip().encode())
    return student if hmac.compare_digest(expected, digest) and is_named else None


def _has_account(session: Session, person_id: int) -> bool:
    # Whoever asks at the same time waits here, so that the index is never what says no.
    session.execute(select(Person.id).where(Person.id == person_id).with_for_update())
    query = select(Account.id).where(Account.person_id == person_id)
    return session.execute(query).scalar_one_or_none() is not None


def _token_hash(token: str) -> str:
    return sha256(token.encode()).hexdigest()


_STALE_TOKEN = Refusal(
    "R5",
    "stale_token",
    "身份认证已失效或已使用过，请重新发起认证。",
    "The identity check is over or was used already; begin a new one.",
)


def _too_many(free_at: datetime) -> Refusal:
    return Refusal(
        "R5",
        "too_many_tries",
        f"身份认证失败次数过多，请于{free_at:%Y-%m-%d %H:%M:%S}以后再试。",
        f"The identity check failed too often; try again from {free_at:%Y-%m-%d %H:%M:%S} on.",
    )


_NOT_PROVEN = Refusal(
    "R5",
    "not_proven",
    "身份认证未通过：学校、学号、姓名与证件不一致，请核对后重新认证。",
    "The identity check failed: school, number, name and document do not fit together; "
    "look at them again and begin a new one.",
)
_NOT_AUTHENTICATED = Refusal(
    "R5",
    "not_authenticated",
    "尚未通过身份认证，请先在高校服务中认证。",
    "The identity is not proven yet; do it in 高校服务 first.",
)
_OTHERS_ACCOUNT = Refusal(
    "R24",
    "others_account",
    "此账号已认证为他人，只能办理本人的学生卡，请登录本人账号。",
    "This account is another person's, and a student opens his or her own card; "
    "log in with your own account.",
)
_SECOND_ACCOUNT = Refusal(
    "R24",
    "second_account",
    "您已有另一个认证过的账号，请登录该账号，或到自营服务网点解除。",
    "You have another account that is authenticated; log in with that one, "
    "or have an outlet set it free.",
)

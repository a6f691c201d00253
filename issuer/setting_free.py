"""A login is lost: an outlet sets its account free, and what only that login could end is ended.

The student proves with a new account who it is (R5) and has the same cards. What the old account
had under way must not be in the way: an opening is given up, so that the slot is free (R6); money
that was paid and is certainly not on a card goes back. A return or a refund is gone on with by the
new account, and a top-up that may be on the card is settled when the card is next presented.
"""

from contextlib import suppress

from sqlalchemy import select
from sqlalchemy.orm import Session

from issuer import accounts, audit, operations, topups
from issuer.accounts import Held
from issuer.database import transact
from issuer.errors import RuleError
from issuer.office import Office
from issuer.openings import give_up
from issuer.operations import DONE, FAILED, Kind, Op
from issuer.presenting import account_name
from issuer.refusal import Refusal
from issuer.rules_table import holds
from issuer.tables import Account, Operation, Student
from issuer.topup_host import give_back


@holds("R5", "R24")
def set_free(office: Office, staff_account_id: int, school: str, number: str) -> Held:
    """Set the account of a student free, whom an outlet has seen in person. Returns the account.

    school, number: as on the roster. Cut anywhere, it is asked for again.
    Raises RuleError if the student has no account, PayerAway, DatabaseError.
    """
    account_id = transact(office.engine, lambda s: _account_of(s, school, number))
    for op in transact(office.engine, lambda s: _openings(s, account_id)):
        _end_opening(office, account_id, op)
    for op in topups.pending(office, account_id):
        give_back(office, op)
    return transact(office.engine, lambda s: _release(s, office, staff_account_id, account_id))


def _account_of(session: Session, school: str, number: str) -> int:
    query = (
        select(Account.id)
        .join(Student, Student.person_id == Account.person_id)
        .where(Student.school == school, Student.number == number)
    )
    found = session.execute(query).scalar_one_or_none()
    if found is None:
        raise RuleError.of(_NO_ACCOUNT)
    return found


def _openings(session: Session, account_id: int) -> list[Op]:
    """The openings of an account that are under way."""
    query = select(Operation.id).where(
        Operation.account_id == account_id,
        Operation.kind == Kind.OPEN.value,
        Operation.state.not_in((DONE, FAILED)),
    )
    return [operations.operation(session, one) for one in session.scalars(query).all()]


def _end_opening(office: Office, account_id: int, op: Op) -> None:
    """Give an opening up; one that is done by now, or whose card was reported lost, is over."""
    with suppress(RuleError):
        give_up(office, account_id, op.key)


def _release(session: Session, office: Office, staff_id: int, account_id: int) -> Held:
    accounts.release(session, account_id)
    name = account_name(account_id)
    audit.append(session, office.now(), account_name(staff_id), "account.set_free", name, {})
    return accounts.account(session, account_id)


_NO_ACCOUNT = Refusal(
    "R5",
    "no_account",
    "该学生没有已认证的账号。",
    "This student has no account that is authenticated.",
)

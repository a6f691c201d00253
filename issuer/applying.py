"""What the office knows of whoever asks: the applicant of an account, put to the rules."""

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from issuer import accounts, eligibility
from issuer.accounts import AccountState, Held
from issuer.applicant import Applicant, Identity
from issuer.devices import Brand
from issuer.errors import RuleError
from issuer.finding import Finding
from issuer.office import Office
from issuer.phones import Phone, System
from issuer.roster import partners, standing_of
from issuer.tables import USABLE, CardRow

OF_STUDENT = eligibility.OF_STUDENT - {"R6"}
"""Rules on who may hold a card, but for how many: of that the book of cards has the last word."""

_NO_PHONE = Phone(Brand.OTHER, System.OTHER)


class NotEligible(RuleError):
    """Rules refuse a student or a phone; the sentence is that of the first that is broken.

    findings: of every rule that was asked, those that hold too.
    """

    def __init__(self, findings: tuple[Finding, ...], broken: tuple[Finding, ...]) -> None:
        first = next((one for one in broken if one.is_failed), broken[0])
        super().__init__(first.rule, first.text.zh, first.text.en, "not_eligible")
        self.findings = findings


def findings_of(
    office: Office, session: Session, account_id: int, phone: Phone
) -> tuple[Finding, ...]:
    """A finding for each rule from R2 to R24, by the roster as it is now.

    Locks the account until the transaction ends. Raises LookupError.
    """
    return eligibility.check(
        phone,
        applicant_of(session, accounts.account(session, account_id)),
        catalogue=office.catalogue,
        partners=partners(session),
        policy=office.policy,
    )


def applicant_of(session: Session, held: Held) -> Applicant:
    """Who asks, as far as it is proven. What is asked of the office comes from the App (R19)."""
    if held.student_id is None or held.state is AccountState.LOGGED_IN:
        return Applicant(identity=Identity.LOGGED_IN, is_in_app=True)
    standing = standing_of(session, held.student_id)
    cards = select(func.count()).where(
        CardRow.person_id == held.person_id, CardRow.state.in_(USABLE)
    )
    return Applicant(
        school=standing.school,
        category=standing.category,
        status=standing.status,
        has_wage_income=standing.has_wage,
        identity=Identity.AUTHENTICATED,
        usable_cards=int(session.execute(cards).scalar_one()),
        person=str(held.person_id),
        account_owner=str(held.person_id),
        roster_person=str(standing.person_id),
        is_in_app=True,
    )


def demand_student(office: Office, session: Session, account_id: int) -> None:
    """See that a student may still hold a card, whatever the phone is. Raises NotEligible."""
    found = findings_of(office, session, account_id, _NO_PHONE)
    demand(tuple(one for one in found if one.rule in OF_STUDENT))


def demand(findings: tuple[Finding, ...]) -> None:
    """See that no rule refuses. Raises NotEligible."""
    broken = eligibility.refusals(findings)
    if broken:
        raise NotEligible(findings, broken)

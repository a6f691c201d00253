"""Whether a student may open a card on a phone: one finding for each rule from R2 to R24.

Pure: what is known of phone and student comes in as values, and nothing else decides. Every rule is
looked at, so that a student learns of all that is wrong at once.
"""

from collections.abc import Callable, Iterable, Set
from dataclasses import dataclass

from issuer import applicant as students
from issuer import phones
from issuer.applicant import Applicant, Identity
from issuer.devices import Brand, Catalogue
from issuer.finding import Finding, Status, Text, Verdict, skip
from issuer.phones import Channel, Medium, Phone, System
from issuer.policy import IssuerPolicy
from issuer.rules_table import seed_rule

__all__ = [
    "Applicant",
    "Brand",
    "Channel",
    "Finding",
    "Identity",
    "Medium",
    "Phone",
    "Status",
    "System",
    "check",
    "failures",
    "may_open",
    "refusals",
]


@dataclass(frozen=True, slots=True)
class _Case:
    phone: Phone
    applicant: Applicant
    catalogue: Catalogue
    partners: frozenset[str]
    policy: IssuerPolicy


Rule = Callable[[_Case], Verdict]


def _of_phone(verdict: Callable[[Phone], Verdict]) -> Rule:
    return lambda case: verdict(case.phone)


def _of_applicant(verdict: Callable[[Applicant], Verdict]) -> Rule:
    return lambda case: verdict(case.applicant)


def _of_model(name: str) -> Rule:
    return lambda case: phones.model_verdict(name, case.phone, case.catalogue, case.policy)


RULES: tuple[tuple[str, Rule], ...] = (
    ("R2", _of_applicant(students.category_verdict)),
    ("R3", _of_applicant(students.status_verdict)),
    ("R4", lambda case: students.school_verdict(case.applicant, case.partners)),
    ("R5", _of_applicant(students.identity_verdict)),
    ("R6", lambda case: students.limit_verdict(case.applicant, case.policy)),
    ("R7", lambda case: phones.medium_verdict(case.phone, case.catalogue, case.policy)),
    ("R8", _of_phone(phones.android_app_verdict)),
    ("R9", _of_phone(phones.iphone_app_verdict)),
    ("R10", _of_phone(phones.latest_wallet_verdict)),
    ("R11", _of_phone(phones.huawei_wallet_verdict)),
    ("R12", _of_phone(phones.huawei_nfc_verdict)),
    ("R13", _of_phone(phones.login_verdict)),
    ("R14", _of_phone(phones.smart_card_verdict)),
    ("R15", _of_phone(phones.dev_build_verdict)),
    ("R16", _of_phone(phones.xiaomi_nfc_verdict)),
    ("R17", _of_phone(phones.default_wallet_verdict)),
    ("R18", _of_phone(phones.ios_verdict)),
    ("R19", lambda c: students.path_verdict(c.applicant, is_iphone=c.phone.is_apple)),
    ("R20", lambda case: phones.shown_verdict()),
    ("R21", _of_model("R21")),
    ("R22", _of_model("R22")),
    ("R23", _of_model("R23")),
    ("R24", _of_applicant(students.owner_verdict)),
)
"""The rules that are checked before a card is opened, in the seed's numbering."""

_PHONE_RULES = frozenset(f"R{number}" for number in range(8, 24))
OF_STUDENT = frozenset({"R2", "R3", "R4", "R5", "R6", "R24"})
"""Rules on who may hold a card; they must be known to hold, not only not to be broken."""

_IN_SIM = Text("超级SIM卡不受手机条件限制", "the rules for phones do not apply to a Super-SIM")


def check(
    phone: Phone,
    applicant: Applicant,
    *,
    catalogue: Catalogue,
    partners: Set[str],
    policy: IssuerPolicy,
) -> tuple[Finding, ...]:
    """A finding for each rule from R2 to R24, in order, whatever the others say.

    catalogue: the supported phones. partners: the schools that cooperate, as rosters name them.
    """
    case = _Case(phone, applicant, catalogue, frozenset(partners), policy)
    return tuple(_finding(name, rule, case) for name, rule in RULES)


def _finding(name: str, rule: Rule, case: _Case) -> Finding:
    is_out = case.phone.medium is Medium.SUPER_SIM and name in _PHONE_RULES
    verdict = skip(_IN_SIM) if is_out else rule(case)
    return Finding(name, verdict.status, verdict.found, verdict.needed, seed_rule(name).line)


def failures(findings: Iterable[Finding]) -> tuple[Finding, ...]:
    """The rules that are broken."""
    return tuple(finding for finding in findings if finding.is_failed)


def refusals(findings: Iterable[Finding]) -> tuple[Finding, ...]:
    """The rules that stand in the way: broken ones, and those of OF_STUDENT that are not known.

    What is unknown of a phone does not: the card would show it soon enough.
    """
    return tuple(
        finding
        for finding in findings
        if (finding.status is not Status.OK if finding.rule in OF_STUDENT else finding.is_failed)
    )


def may_open(findings: Iterable[Finding]) -> bool:
    """Whether nothing stands in the way of a card."""
    return not refusals(findings)

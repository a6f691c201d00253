"""Who may hold the card: rules R2 to R6 and R24 over a value that says what is known.

Source: seed lines 4, 41, 43; domain facts 1.1.
"""

from dataclasses import dataclass
from enum import StrEnum

from issuer.finding import NOT_KNOWN, Text, Verdict, judge, judge_flag
from issuer.policy import IssuerPolicy
from issuer.rules_table import holds

CATEGORIES = {
    "本科": "undergraduate",
    "专科": "junior college",
    "硕士": "master's",
    "博士": "doctoral",
    "中专": "secondary specialised school",
    "职高": "vocational high school",
    "技校": "technical school",
    "民办高校": "private university",
    "高等教育机构": "higher education body",
}
"""The kinds of students the seed names (R2), as a roster has them, with their English names."""

FORMAL_STATUS = "正式学籍"


class Identity(StrEnum):
    """How far an account has come with 高校服务 (R5).

    FAILED: name or number did not fit. STALE: the roster has changed since the proof.
    """

    LOGGED_OUT = "logged_out"
    LOGGED_IN = "logged_in"
    FAILED = "failed"
    STALE = "stale"
    AUTHENTICATED = "authenticated"


_IDENTITIES = {
    Identity.LOGGED_OUT: Text("未登录", "not logged in"),
    Identity.LOGGED_IN: Text("已登录，未认证", "logged in, not authenticated"),
    Identity.FAILED: Text("认证未通过", "authentication failed"),
    Identity.STALE: Text(
        "认证后学籍信息有变，须重新认证", "the roster has changed since the proof"
    ),
    Identity.AUTHENTICATED: Text("已认证", "authenticated"),
}


@dataclass(frozen=True, slots=True)
class Applicant:
    """A student who asks for a card. None means that it is not known.

    school: its name or number in the roster. category: one of `CATEGORIES`, or another word of the
    roster. status: 正式学籍, or another word such as 休学 or 在职.
    usable_cards: student cards of all kinds that are active or being opened.
    person, account_owner, roster_person: marks that are equal exactly if the people are; never
    shown. is_in_app: whether the application comes from 高校服务 of the App (R19).
    """

    school: str | None = None
    category: str | None = None
    status: str | None = None
    has_wage_income: bool | None = None
    identity: Identity | None = None
    usable_cards: int | None = None
    person: str | None = None
    account_owner: str | None = None
    roster_person: str | None = None
    is_in_app: bool | None = None


_KINDS = Text("、".join(CATEGORIES), ", ".join(CATEGORIES.values()))


@holds("R2")
def category_verdict(applicant: Applicant) -> Verdict:
    """A kind of student on the seed's list."""
    kind = applicant.category
    if kind is None:
        return judge(None, NOT_KNOWN, _KINDS)
    return judge(kind in CATEGORIES, Text(kind, CATEGORIES.get(kind, kind)), _KINDS)


@holds("R3")
def status_verdict(applicant: Applicant) -> Verdict:
    """Formal status, and no wage income. One that is broken is enough to fail."""
    status, earns = applicant.status, applicant.has_wage_income
    found = (NOT_KNOWN if status is None else Text.same(status)) + _INCOME[earns]
    is_formal = None if status is None else status == FORMAL_STATUS
    is_right = _all(is_formal, None if earns is None else not earns)
    return judge(is_right, found, Text(FORMAL_STATUS, "formal student status") + _INCOME[False])


_INCOME = {
    None: Text("工资收入未知", "wage income not known"),
    True: Text("有工资收入", "wage income"),
    False: Text("无工资收入", "no wage income"),
}


@holds("R4")
def school_verdict(applicant: Applicant, partners: frozenset[str]) -> Verdict:
    """A school that cooperates."""
    needed = Text("合作院校", "a school that cooperates with the company")
    school = applicant.school
    if school is None:
        return judge(None, NOT_KNOWN, needed)
    return judge(school in partners, Text.same(school), needed)


@holds("R5")
def identity_verdict(applicant: Applicant) -> Verdict:
    """Identity proven."""
    needed, state = _IDENTITIES[Identity.AUTHENTICATED], applicant.identity
    if state is None:
        return judge(None, NOT_KNOWN, needed)
    return judge(state is Identity.AUTHENTICATED, _IDENTITIES[state], needed)


@holds("R6")
def limit_verdict(applicant: Applicant, policy: IssuerPolicy) -> Verdict:
    """Room for one more card. The database has the last word, for two may ask at once."""
    limit, cards = policy.student_card_limit, applicant.usable_cards
    needed = Text(f"已有可用卡少于{limit}张", f"usable cards fewer than {limit}")
    if cards is None:
        return judge(None, NOT_KNOWN, needed)
    return judge(cards < limit, Text(f"已有可用卡{cards}张", f"usable cards: {cards}"), needed)


@holds("R19")
def path_verdict(applicant: Applicant, *, is_iphone: bool) -> Verdict:
    """Asked for in the App. The seed has one level of menus more on an iPhone."""
    menu = "首页-高校服务-电子卡服务" if is_iphone else "首页-高校服务"
    return judge_flag(
        applicant.is_in_app,
        Text(f"在App中从{menu}办理", f"in the App, {menu}"),
        Text("不在App高校服务中办理", "outside 高校服务 of the App"),
    )


@holds("R24")
def owner_verdict(applicant: Applicant) -> Verdict:
    """Applicant, owner of the account and student of the roster are one person."""
    asks = applicant.person
    others = (applicant.account_owner, applicant.roster_person)
    is_own = _all(*(None if None in (asks, other) else asks == other for other in others))
    if is_own is not False:
        is_own = _all(is_own, None if None in others else others[0] == others[1])
    same = Text(
        "申请人、账号持有人、学籍本人为同一人", "applicant, account and roster are one person"
    )
    differ = Text("申请人、账号持有人、学籍本人不一致", "applicant, account and roster differ")
    return judge(is_own, NOT_KNOWN, same) if is_own is None else judge_flag(is_own, same, differ)


def _all(*answers: bool | None) -> bool | None:
    """Whether all are true: False as soon as one is false, None while one is open."""
    if False in answers:
        return False
    return None if None in answers else True

"""An office for tests: a small roster, and documents whose check digits are right."""

from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from functools import partial
from typing import Any

from sqlalchemy import Engine
from sqlalchemy.orm import Session

from issuer import accounts, cards_book, roster
from issuer.accounts import Claim, Held
from issuer.card_states import Carrier
from issuer.cards_book import Card
from issuer.database import transact
from issuer.documents import Documents
from issuer.moments import SHANGHAI
from issuer.policy import IssuerPolicy
from issuer.refusal import Refusal
from issuer.roster import Standing
from issuer.roster_file import Roster, parse_toml

NOW = datetime(2025, 9, 8, 10, 0, tzinfo=SHANGHAI)
END = date(2026, 9, 30)
KEY = bytes(range(32))

WEIGHTS = (7, 9, 10, 5, 8, 4, 2, 1, 6, 3, 7, 9, 10, 5, 8, 4, 2)


def document(number: int) -> str:
    """The document of an invented person: of no region there is."""
    body = f"000000200001{number:05d}"
    return body + "10X98765432"[sum(int(d) * w for d, w in zip(body, WEIGHTS, strict=True)) % 11]


NAMES = ("王小明", "Li Xiaohong", "赵·买买提")

SCHOOLS = """
[[school]]
code = "UCAS"
name_zh = "中国科学院大学"
name_en = "University of Chinese Academy of Sciences"
category = "普通高校"
partner = true

[[school]]
code = "OTHER"
name_zh = "别处大学"
name_en = "University of Elsewhere"
category = "普通高校"
partner = false
"""


def student_table(number: int, /, school: str = "UCAS", **changed: str) -> str:
    told = {
        "school": school,
        "number": f"2025K{number:05d}",
        "name": NAMES[number % len(NAMES)],
        "document": document(number),
        "category": "硕士",
        "status": "正式学籍",
    } | changed
    lines = "".join(f'{key} = "{value}"\n' for key, value in told.items())
    return f"\n[[student]]\n{lines}wage = false\n"


def small_roster(students: int = 3) -> Roster:
    return parse_toml(SCHOOLS + "".join(student_table(n) for n in range(students)))


def claim(number: int, /, **changed: str) -> Claim:
    told = {
        "school": "UCAS",
        "number": f"2025K{number:05d}",
        "name": NAMES[number % len(NAMES)],
        "document": document(number),
    }
    return Claim(**(told | changed))


def may_open(standing: Standing) -> Refusal | None:
    """Rules R3 and R4, in short."""
    if not standing.is_partner:
        return Refusal("R4", "no_partner", "学校未合作。", "The school does not cooperate.")
    if standing.status != "正式学籍" or standing.has_wage:
        return Refusal("R3", "no_status", "无正式学籍。", "There is no formal status.")
    return None


@dataclass
class Office:
    engine: Engine
    now: datetime
    documents: Documents = field(default_factory=lambda: Documents(KEY))

    def fill(self, students: int = 3) -> roster.Taken:
        return roster.take(self.engine, self.documents, small_roster(students))

    def do(self, function, *arguments, **named):
        """Call a function of the books in a transaction of its own."""
        return transact(self.engine, lambda session: function(session, *arguments, **named))

    def account(self, number: int = 0) -> int:
        """An account that is authenticated as a student."""
        made = self.do(accounts.log_in, f"student{number}")
        said = self.authenticate(made.id, claim(number))
        assert not isinstance(said, Refusal)
        return made.id

    def authenticate(
        self, account_id: int, who: Claim, after: timedelta = timedelta(0), **knobs: Any
    ) -> Held | Refusal:
        token = self.do(accounts.begin_check, account_id, self.now + after)
        return self.tried(account_id, token, who, after, **knobs)

    def tried(
        self,
        account_id: int,
        token: str,
        who: Claim,
        after: timedelta = timedelta(0),
        **knobs: Any,
    ) -> Held | Refusal:
        """What a token and a claim give, some time after now."""
        at, policy = self.now + after, IssuerPolicy(**knobs)
        try_ = accounts.authenticate
        return self.do(try_, self.documents, account_id, token, who, at, policy)

    def student(self, number: int = 0) -> int:
        made = accounts.account
        return self.do(made, self.account(number)).student_id

    def reserve(self, student_id: int) -> Card | Refusal:
        return self.do(reserve, student_id)


def reserve(session: Session, student_id: int, limit: int = 1) -> Card | Refusal:
    make = partial(cards_book.reserve, session, student_id, Carrier.NFC)
    return make(NOW.date(), END, NOW, limit)

"""The audit log: who did what to which card or account, in lines that nobody changes.

Each line's digest is SHA-256 over the line and the digest before it, so a changed, removed or
inserted line shows from there on, and `audit_head` keeps the last one, so a log that was cut off
shows too. Triggers refuse changes; the digests find who went around them. Lines hold numbers and
words of a fixed form, in which no name and no id document can be written.
"""

import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from hashlib import sha256

from sqlalchemy import Engine, select
from sqlalchemy.orm import Session

from issuer.database import reading
from issuer.moments import seconds_of
from issuer.tables import AuditHead, AuditRow

Detail = Mapping[str, int | str]
"""Numbers, and words such as a state, a rule or a date."""

FIRST = "0" * 64
"""What stands before the first line."""

_WORD = re.compile(r"[A-Za-z0-9_.:+-]{1,64}")
_DOCUMENT = re.compile(r"(?<![0-9])(?:[0-9]{17}[0-9Xx]|[0-9]{15})(?![0-9])")
_AT_ONCE = 1000


@dataclass(frozen=True, slots=True)
class Verdict:
    """What an examination of the log found. lines: how many are right, from the first on.

    wrong: the id of the first line that is not as it was written, None if all are.
    """

    lines: int
    wrong: int | None = None

    @property
    def is_whole(self) -> bool:
        """Whether nothing was changed, removed or put in between."""
        return self.wrong is None


def append(
    session: Session, at: datetime, actor: str, action: str, subject: str, detail: Detail
) -> int:
    """Add a line, in the transaction under way. Returns its number.

    actor: who, such as `account:12`, `staff:3` or `office`. action: what, such as `card.lost`.
    subject: of what, such as `card:03105228010000000001`. It is the last thing a transaction does,
    for until its end nobody else can append. Raises ValueError for what could be personal.
    """
    told = _checked(detail)
    for word in (actor, action, subject):
        _demand_word(word)
    seconds = seconds_of(at)
    query = select(AuditHead).where(AuditHead.id == 1).with_for_update()
    head = session.execute(query.execution_options(populate_existing=True)).scalar_one()
    number = head.last + 1
    digest = _digest(head.digest, (number, seconds, actor, action, subject, told))
    session.add(
        AuditRow(
            id=number,
            at=seconds,
            actor=actor,
            action=action,
            subject=subject,
            detail=told,
            digest=digest,
        )
    )
    head.last, head.digest = number, digest
    session.flush()
    return number


def verify(engine: Engine) -> Verdict:
    """Compute every digest anew. Raises DatabaseError."""
    query = select(AuditRow).order_by(AuditRow.id).execution_options(yield_per=_AT_ONCE)
    with reading(engine) as session:
        head = session.execute(select(AuditHead)).scalar_one_or_none()
        with session.scalars(query) as rows:
            lines, last, is_right = _follow(rows)
    if is_right and head is not None and (head.last, head.digest) == (lines, last):
        return Verdict(lines)
    return Verdict(lines, lines + 1)


def _follow(rows: Iterable[AuditRow]) -> tuple[int, str, bool]:
    """How many lines are right, the digest of the last of them, and whether all are."""
    before, number = FIRST, 0
    for row in rows:
        fields = (row.id, row.at, row.actor, row.action, row.subject, row.detail)
        expected = _digest(before, fields)
        if row.id != number + 1 or row.digest != expected:
            return number, before, False
        before, number = expected, row.id
    return number, before, True


def _digest(before: str, fields: tuple[int | str, ...]) -> str:
    line = json.dumps([before, *fields], ensure_ascii=True, separators=(",", ":"))
    return sha256(line.encode()).hexdigest()


def _checked(detail: Detail) -> str:
    """The detail as it is stored. Raises ValueError."""
    for name, told in detail.items():
        _demand_word(name)
        if isinstance(told, str):
            _demand_word(told)
        elif not isinstance(told, int) or _DOCUMENT.search(str(told)):
            raise ValueError(f"the audit log takes numbers and words, not what is in {name!r}")
    return json.dumps(dict(detail), sort_keys=True, separators=(",", ":"))


def _demand_word(word: str) -> None:
    """Raises ValueError, which does not repeat the word: it may be personal."""
    if not _WORD.fullmatch(word) or _DOCUMENT.search(word):
        raise ValueError(
            "the audit log takes words of 1 to 64 letters, digits and _.:+- that look like no "
            "id document; leave names and documents out"
        )

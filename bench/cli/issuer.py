"""`tapbench issuer`: the back office on the command line."""

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

from sqlalchemy import func, select

from apdu.show import money
from bench.cli.phone import clock_at
from bench.cli.remote import token_in
from bench.files import demand_place, write_whole
from bench.office import close_office, open_office
from bench.problem import Problem
from fixtures.rosters import sample_roster
from issuer import (
    accounts,
    audit,
    cards_book,
    ledger,
    losses,
    renewals,
    returns,
    roster,
    setting_free,
    tokens,
)
from issuer.database import reading, transact
from issuer.errors import RuleError
from issuer.office import Office
from issuer.roster_file import Roster, parse_toml, read_roster
from issuer.tables import Account, CardRow, Student
from issuer.telling import told
from issuer.tokens import Role

Json = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Place:
    """Where an office is, its time, and how to print."""

    folder: Path
    db: str
    now: str
    as_json: bool

    @contextmanager
    def office(self, *, may_make: bool = False) -> Iterator[Office]:
        """The office. may_make: if there is none. Raises Problem."""
        now = clock_at(self.now)
        made = open_office(self.folder, now, self.db or None, may_make=may_make)
        try:
            yield made
        finally:
            close_office(made)

    def tell(self, found: Json, words: Callable[[Json], str]) -> None:
        """Print what was found, as JSON or in words."""
        print(json.dumps(found, ensure_ascii=False, indent=2) if self.as_json else words(found))


def init(place: Place, has_sample: bool) -> None:
    """Make an office. Raises Problem, RosterError."""
    with place.office(may_make=True) as office:
        taken = roster.Taken()
        if has_sample:
            taken = _take(office, parse_toml(sample_roster(), "the sample"))
    place.tell(asdict(taken), lambda found: f"{place.folder}: {_lines(found)}")


def take_roster(place: Place, path: Path) -> None:
    """Take a roster over. Raises Problem, RosterError."""
    with place.office(may_make=True) as office:
        taken = _take(office, read_roster(path))
    place.tell(asdict(taken), lambda found: f"{path}: {_lines(found)}")


def _take(office: Office, told_of: Roster) -> roster.Taken:
    return roster.take(office.engine, office.documents, told_of)


def _lines(found: Json) -> str:
    return f"{found['added']} lines new, {found['changed']} changed, {found['same']} as known"


def student(place: Place, school: str, number: str) -> None:
    """Say how a student stands; his or her name is left out. Raises RuleError."""
    with place.office() as office, reading(office.engine) as session:
        query = select(Student.id).where(Student.school == school, Student.number == number)
        student_id = session.execute(query).scalar_one_or_none()
        if student_id is None:
            raise RuleError(
                "R4",
                "名册中没有该学生，请核对学校与学号。",
                "There is no such student in the roster; look at school and number.",
                "no_student",
            )
        standing = roster.standing_of(session, student_id)
        login = select(Account.login).where(Account.student_id == student_id)
        found = told(standing) | {
            "login": session.execute(login).scalar_one_or_none(),
            "cards": told(cards_book.cards_of(session, standing.person_id)),
        }
    place.tell(found, _student_words)


def _student_words(found: Json) -> str:
    partner = "a partner" if found["is_partner"] else "no partner"
    head = (
        f"{found['category']}, {found['status']}, at {found['school']} ({partner}); "
        f"login {found['login'] or 'none'}"
    )
    cards = [
        f"  {one['serial']} {one['state']}, to {one['end_date']}, {money(one['balance'])} yuan"
        for one in found["cards"]
    ]
    return "\n".join([head, *cards])


def make_token(place: Place, role: str, login: str, days: int, out: Path) -> None:
    """Make a token. Raises Problem."""
    if role not in set(Role):
        raise Problem(f"'{role}' is no role; expected one of {', '.join(Role)}")
    if (role != Role.GATE) != bool(login):
        raise Problem("a token of a student or of staff needs --login, and a gate's has none")
    demand_place(out, force=None)
    with place.office() as office:
        at = office.now()

        def work(session: Any) -> str:  # noqa: ANN401 - SQLAlchemy's
            account = accounts.log_in(session, login).id if login else None
            return tokens.make(session, Role(role), account, at, at + timedelta(days=days))

        try:
            token = transact(office.engine, work)
        except ValueError as error:
            raise Problem(str(error)) from error
    write_whole(out, f"{token}\n".encode())
    until = (at + timedelta(days=days)).isoformat(timespec="seconds")
    found = {"role": role, "file": str(out), "until": until}
    place.tell(found, lambda one: f"{out}: a token of a {role}, good until {until}")


def revoke(place: Place, path: Path) -> None:
    """Make a token worthless. Raises Problem."""
    token = token_in(path)
    with place.office() as office:
        at = office.now()
        was_good = transact(office.engine, lambda s: tokens.revoke(s, token, at))
    if not was_good:
        raise Problem(f"the token in {path} is good for nothing at this office; nothing changed")
    place.tell({"file": str(path)}, lambda one: f"{path}: the token is revoked")


def outlet_refund(place: Place, serial: str, key: str, login: str) -> None:
    """Refund a card in cash. Raises Problem, RuleError."""
    number = _serial(serial)
    with place.office() as office:
        staff = transact(office.engine, lambda s: accounts.log_in(s, login)).id
        found = told(returns.outlet_refund(office, staff, key, number))
    place.tell(found, lambda one: f"{money(one['amount'])} yuan paid in cash for card {serial}")


def _serial(text: str) -> bytes:
    if len(text) != 20 or not (text.isascii() and text.isdecimal()):
        raise Problem(f"'{text}' is no serial; expected 20 digits")
    return bytes.fromhex(text)


def allow_renewal(place: Place, serial: str, login: str) -> None:
    """Forget that a card has refused the renewal's MAC. Raises Problem."""
    number = _serial(serial)
    with place.office() as office:
        staff = transact(office.engine, lambda s: accounts.log_in(s, login)).id
        try:
            renewals.allow_again(office, staff, number)
        except LookupError as error:
            raise Problem(f"{error} of this office; nothing changed") from error
    place.tell({"serial": serial}, lambda one: f"card {serial} may be renewed again")


def set_free(place: Place, school: str, number: str, login: str) -> None:
    """Set a student's account free. Raises Problem, RuleError."""
    with place.office() as office:
        staff = transact(office.engine, lambda s: accounts.log_in(s, login)).id
        held = setting_free.set_free(office, staff, school, number)
    found = {"school": school, "number": number, "state": held.state.value}
    place.tell(found, lambda one: f"the account of {number} at {school} is free for a new login")


def settle(place: Place) -> None:
    """Settle lost cards. Raises Problem."""
    with place.office() as office:
        found = {"settled": told(losses.settle(office, office.now()))}
    place.tell(found, lambda one: f"{len(one['settled'])} lost cards settled")


def report(place: Place) -> None:
    """Count and show the ledger. Raises Problem."""
    with place.office() as office:
        with reading(office.engine) as session:
            counted = session.execute(select(CardRow.state, func.count()).group_by(CardRow.state))
            cards = {state: number for state, number in counted}
            students = session.execute(select(func.count()).select_from(Student)).scalar_one()
        balances = told(ledger.trial_balance(office.engine).balances)
    found = {"students": students, "cards": cards, "balances": balances}
    place.tell(found, _report_words)


def _report_words(found: Json) -> str:
    cards = ", ".join(f"{number} {state}" for state, number in sorted(found["cards"].items()))
    lines = [f"{found['students']} students; cards: {cards or 'none'}"]
    lines += [
        f"  {name:10} {('-' if fen < 0 else '') + money(abs(fen)):>12} yuan"
        for name, fen in found["balances"].items()
    ]
    return "\n".join(lines)


def verify(place: Place) -> int:
    """Examine audit log and ledger. Returns 1 if something is wrong. Raises Problem."""
    with place.office() as office:
        log, books = audit.verify(office.engine), ledger.trial_balance(office.engine)
    found = {
        "audit_lines": log.lines,
        "audit_wrong": log.wrong,
        "is_balanced": books.is_balanced,
        "unbalanced": told(books.unbalanced),
    }
    place.tell(found, _verify_words)
    return int(not (log.is_whole and books.is_balanced))


def _verify_words(found: Json) -> str:
    wrong = found["audit_wrong"]
    log = "whole" if wrong is None else f"changed at line {wrong}"
    books = "balanced" if found["is_balanced"] else f"off at {found['unbalanced']}"
    return f"audit log: {found['audit_lines']} lines, {log}; ledger: {books}"

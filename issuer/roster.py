"""The roster: which schools cooperate, and who studies there. Taken whole or not at all.

What a file does not name stays as it is: a school that has left keeps its students on the roster,
and the rules refuse them (R4). Taking the same file again changes nothing.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import islice
from typing import TypeVar

from sqlalchemy import Engine, insert, select
from sqlalchemy.orm import Session

from issuer.database import transact
from issuer.documents import Documents
from issuer.roster_file import LineError, Roster, RosterError, SchoolLine, StudentLine
from issuer.tables import Person, School, Student

_AT_ONCE = 500

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Taken:
    """How many lines were new, changed something, or said what was known."""

    added: int = 0
    changed: int = 0
    same: int = 0

    def __add__(self, other: "Taken") -> "Taken":
        return Taken(self.added + other.added, self.changed + other.changed, self.same + other.same)


@dataclass(frozen=True, slots=True)
class Standing:
    """What the roster says of a student, as far as rules ask (R2 to R4). Nothing personal.

    category, status: see `issuer.applicant`.
    """

    student_id: int
    person_id: int
    school: str
    is_partner: bool
    category: str
    status: str
    has_wage: bool


def take(engine: Engine, documents: Documents, roster: Roster) -> Taken:
    """Take a roster over. Returns what it changed. Raises RosterError and DatabaseError."""
    hashes = {one.document: documents.hash_of(one.document) for one in roster.students}

    def work(session: Session) -> Taken:
        documents.demand_same_key(session)
        taken = _take_schools(session, roster.schools)
        errors = _strangers(session, roster.students)
        people = _people(session, sorted(set(hashes.values())))
        owners = {document: people[digest] for document, digest in hashes.items()}
        for part in _parts(roster.students):
            taken += _take_students(session, part, owners, errors)
        if errors:
            raise RosterError(roster.name, errors)
        return taken

    return transact(engine, work)


def standing_of(session: Session, student_id: int) -> Standing:
    """What the roster says of a student. Raises LookupError if there is none."""
    row = session.execute(
        select(Student, School.is_partner)
        .join(School, School.code == Student.school)
        .where(Student.id == student_id)
    ).one_or_none()
    if row is None:
        raise LookupError(f"there is no student {student_id}")
    one, is_partner = row
    return Standing(
        one.id, one.person_id, one.school, is_partner, one.category, one.status, one.has_wage
    )


def partners(session: Session) -> frozenset[str]:
    """The codes of the schools that cooperate (R4)."""
    return frozenset(session.scalars(select(School.code).where(School.is_partner)))


def _take_schools(session: Session, schools: Iterable[SchoolLine]) -> Taken:
    taken = Taken()
    for one in schools:
        told = (one.name_zh, one.name_en, one.category, one.is_partner)
        held = session.get(School, one.code)
        if held is None:
            held = School(code=one.code)
            session.add(held)
            taken += Taken(added=1)
        elif told == (held.name_zh, held.name_en, held.category, held.is_partner):
            taken += Taken(same=1)
        else:
            taken += Taken(changed=1)
        held.name_zh, held.name_en, held.category, held.is_partner = told
    session.flush()
    return taken


def _strangers(session: Session, students: Iterable[StudentLine]) -> list[LineError]:
    """Lines of schools that nobody knows."""
    known = set(session.scalars(select(School.code)))
    return [
        LineError(one.line, "this school is not known; take the list of schools first")
        for one in students
        if one.school not in known
    ]


def _people(session: Session, hashes: list[str]) -> dict[str, int]:
    """The people behind the hashes, made where they are new."""
    found: dict[str, int] = {}
    for part in _parts(hashes):
        query = select(Person.document_hash, Person.id).where(Person.document_hash.in_(part))
        held = {digest: number for digest, number in session.execute(query)}
        new = [{"document_hash": digest} for digest in part if digest not in held]
        if new:
            session.execute(insert(Person), new)
            held = {digest: number for digest, number in session.execute(query)}
        found |= held
    return found


def _take_students(
    session: Session, part: list[StudentLine], owners: dict[str, int], errors: list[LineError]
) -> Taken:
    """Take some students over; errors grows by those that another person is known under."""
    numbers = {one.number for one in part}
    schools = {one.school for one in part}
    query = select(Student).where(Student.school.in_(schools), Student.number.in_(numbers))
    held = {(row.school, row.number): row for row in session.scalars(query)}
    new, taken = [], Taken()
    for one in part:
        row, told = held.get((one.school, one.number)), _columns(one, owners[one.document])
        if row is None:
            new.append(told)
        elif row.person_id != told["person_id"]:
            errors.append(
                LineError(one.line, "another person is known under this number; ask the school")
            )
        elif all(getattr(row, name) == value for name, value in told.items()):
            taken += Taken(same=1)
        else:
            row.name, row.category = one.name, one.category
            row.status, row.has_wage = one.status, one.has_wage
            taken += Taken(changed=1)
    if new and not errors:
        session.execute(insert(Student), new)
    session.flush()
    session.expunge_all()
    return taken + Taken(added=len(new))


def _columns(one: StudentLine, person_id: int) -> dict[str, object]:
    return {
        "person_id": person_id,
        "school": one.school,
        "number": one.number,
        "name": one.name,
        "category": one.category,
        "status": one.status,
        "has_wage": one.has_wage,
    }


def _parts(items: Iterable[T]) -> Iterator[list[T]]:
    left = iter(items)
    while part := list(islice(left, _AT_ONCE)):
        yield part

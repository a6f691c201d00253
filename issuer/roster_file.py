"""Reading a school's roster: students from CSV, schools and students from TOML.

Every line is looked at and everything wrong is told, by line; nothing a person could be known by is
repeated in it. A CSV file has a first line with the columns of `STUDENT`; a TOML file has tables
`[[school]]` and `[[student]]` with the keys of `SCHOOL` and `STUDENT`.
"""

import csv
import os
import re
import tomllib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import TypeVar

from issuer.applicant import CATEGORIES, FORMAL_STATUS
from issuer.documents import DocumentError, normal
from reader.whole import read_whole

SCHOOL = ("code", "name_zh", "name_en", "category", "partner")
STUDENT = ("school", "number", "name", "document", "category", "status", "wage")

SCHOOL_KINDS = ("普通高校", "科研机构", "中等职业学校", "民办高校", "高等教育机构", "其他")
"""Kinds of schools the seed names (R2), and any other."""

STUDENT_KINDS = (*CATEGORIES, "交换生", "访问学生", "旁听生", "其他")
"""Kinds of students: those the seed names (R2), and those a roster has beside them."""

STATUSES = (FORMAL_STATUS, "休学", "在职", "毕业", "退学", "无学籍")
"""What a student's registration can be; the first alone is formal (R3)."""

_FLAGS = {"true": True, "yes": True, "是": True, "false": False, "no": False, "否": False}
_CODE = re.compile(r"[A-Za-z0-9-]{1,16}")
_NUMBER = re.compile(r"[A-Za-z0-9-]{1,32}")
_HEADER = re.compile(r"\s*\[\[\s*(school|student)\s*\]\]\s*(#.*)?")
_NAME = 100


@dataclass(frozen=True, slots=True)
class SchoolLine:
    """A school as told. category: one of SCHOOL_KINDS. is_partner: whether it cooperates (R4)."""

    line: int
    code: str
    name_zh: str
    name_en: str
    category: str
    is_partner: bool


@dataclass(frozen=True, slots=True, repr=False)
class StudentLine:
    """A student as told, with the document's number until it is hashed: it has no repr."""

    line: int
    school: str
    number: str
    name: str
    document: str
    category: str
    status: str
    has_wage: bool


@dataclass(frozen=True, slots=True)
class LineError:
    """What is wrong with a line, from 1. It repeats no name, number or document."""

    line: int
    what: str

    def __str__(self) -> str:
        return f"line {self.line}: {self.what}"


class RosterError(ValueError):
    """A roster is not taken, nothing of it. errors: everything that is wrong, by line."""

    def __init__(self, name: str, errors: list[LineError]) -> None:
        self.errors = tuple(sorted(errors, key=lambda error: (error.line, error.what)))
        first = "; ".join(str(error) for error in self.errors[:3])
        more = "" if len(errors) <= 3 else f"; and {len(errors) - 3} more"
        super().__init__(f"{name} is not taken: {first}{more}")


@dataclass(frozen=True, slots=True)
class Roster:
    """What a file says. name: the file's, for errors."""

    name: str
    schools: tuple[SchoolLine, ...] = ()
    students: tuple[StudentLine, ...] = ()


Fields = Mapping[str, object]
T = TypeVar("T")


def read_roster(path: str | os.PathLike[str]) -> Roster:
    """The roster in a file, TOML if its name ends so, else CSV. Raises RosterError."""
    name = os.fspath(path)
    try:
        text = read_whole(name).decode("utf-8-sig")
    except OSError as error:
        raise RosterError(name, [LineError(1, f"cannot be read: {error.strerror}")]) from error
    except UnicodeDecodeError as error:
        raise RosterError(name, [LineError(1, "expected UTF-8; save it so")]) from error
    return parse_toml(text, name) if name.endswith(".toml") else parse_csv(text, name)


def parse_csv(text: str, name: str = "roster") -> Roster:
    """Students from CSV. Raises RosterError."""
    reader = csv.reader(text.splitlines(keepends=True), strict=True)
    errors: list[LineError] = []
    students: list[StudentLine] = []
    try:
        columns = [column.strip() for column in next(reader, [])]
        if sorted(columns) != sorted(STUDENT):
            wanted = LineError(1, f"expected the columns {','.join(STUDENT)}")
            raise RosterError(name, [wanted])
        for row in reader:
            if not any(cell.strip() for cell in row):
                continue
            if len(row) != len(columns):
                what = f"expected {len(columns)} values, found {len(row)}"
                errors.append(LineError(reader.line_num, what))
                continue
            fields = {c: cell.strip() for c, cell in zip(columns, row, strict=True)}
            _take(students, errors, _student, reader.line_num, fields)
    except csv.Error as error:
        errors.append(LineError(reader.line_num, f"is no CSV ({error})"))
    return _whole(Roster(name, (), tuple(students)), errors)


def parse_toml(text: str, name: str = "roster") -> Roster:
    """Schools and students from TOML. Raises RosterError."""
    try:
        told = tomllib.loads(text)
    except (tomllib.TOMLDecodeError, RecursionError) as error:
        place = re.search(r"line (\d+)", str(error))
        line = int(place[1]) if place else len(text.splitlines())
        raise RosterError(name, [LineError(line, "is no TOML; mend the line")]) from error
    errors = [
        LineError(1, f"expected [[school]] and [[student]], found {key!a}")
        for key in told.keys() - {"school", "student"}
    ]
    schools: list[SchoolLine] = []
    students: list[StudentLine] = []
    for line, fields in _tables(told, text, "school", errors):
        _take(schools, errors, _school, line, fields)
    for line, fields in _tables(told, text, "student", errors):
        _take(students, errors, _student, line, fields)
    return _whole(Roster(name, tuple(schools), tuple(students)), errors)


def _tables(
    told: Fields, text: str, kind: str, errors: list[LineError]
) -> Iterator[tuple[int, Fields]]:
    """The tables of a kind, and the line of the header of each."""
    found = told.get(kind, [])
    headers = [_HEADER.fullmatch(line) for line in text.splitlines()]
    lines = [number for number, match in enumerate(headers, 1) if match and match[1] == kind]
    if not isinstance(found, list) or not all(isinstance(one, dict) for one in found):
        errors.append(LineError(1, f"expected tables [[{kind}]]"))
        return
    for at, fields in enumerate(found):
        yield (lines[at] if len(lines) == len(found) else 1), fields


def _take(
    into: list[T],
    errors: list[LineError],
    make: Callable[[int, Fields, list[str]], T],
    line: int,
    fields: Fields,
) -> None:
    """Make a line's value, or say everything that is wrong with it."""
    wrong: list[str] = []
    made = make(line, fields, wrong)
    if wrong:
        errors.extend(LineError(line, what) for what in wrong)
    else:
        into.append(made)


def _school(line: int, fields: Fields, wrong: list[str]) -> SchoolLine:
    _demand_keys(fields, SCHOOL, wrong)
    return SchoolLine(
        line,
        _text(fields, "code", wrong, _CODE),
        _text(fields, "name_zh", wrong),
        _text(fields, "name_en", wrong),
        _word(fields, "category", SCHOOL_KINDS, wrong),
        _flag(fields, "partner", wrong),
    )


def _student(line: int, fields: Fields, wrong: list[str]) -> StudentLine:
    _demand_keys(fields, STUDENT, wrong)
    document = _text(fields, "document", wrong)
    if document:
        try:
            document = normal(document)
        except DocumentError as error:
            wrong.append(f"document: {error}")
    return StudentLine(
        line,
        _text(fields, "school", wrong, _CODE),
        _text(fields, "number", wrong, _NUMBER),
        _text(fields, "name", wrong),
        document,
        _word(fields, "category", STUDENT_KINDS, wrong),
        _word(fields, "status", STATUSES, wrong),
        _flag(fields, "wage", wrong),
    )


def _demand_keys(fields: Fields, known: tuple[str, ...], wrong: list[str]) -> None:
    odd = sorted(fields.keys() - set(known))
    if odd:
        wrong.append(f"expected the keys {', '.join(known)}, found {', '.join(map(ascii, odd))}")


def _text(fields: Fields, key: str, wrong: list[str], form: re.Pattern[str] | None = None) -> str:
    found = fields.get(key)
    if not isinstance(found, str) or not found.strip():
        wrong.append(f"{key} is missing")
        return ""
    text = found.strip()
    if form is not None and not form.fullmatch(text):
        wrong.append(f"{key}: expected letters, digits and -, not too many")
    elif len(text) > _NAME or not text.isprintable():
        wrong.append(f"{key}: expected one line of at most {_NAME} characters")
    return text


def _word(fields: Fields, key: str, words: tuple[str, ...], wrong: list[str]) -> str:
    found = fields.get(key)
    if not isinstance(found, str) or found.strip() not in words:
        wrong.append(f"{key}: expected one of {'、'.join(words)}")
        return ""
    return found.strip()


def _flag(fields: Fields, key: str, wrong: list[str]) -> bool:
    found = fields.get(key)
    if isinstance(found, bool):
        return found
    flag = _FLAGS.get(found.strip().lower()) if isinstance(found, str) else None
    if flag is None:
        wrong.append(f"{key}: expected true or false")
    return bool(flag)


def _whole(roster: Roster, errors: list[LineError]) -> Roster:
    """The roster, if nothing is wrong. Raises RosterError."""
    for what, keyed in (
        ("this school", [(one.line, (one.code,)) for one in roster.schools]),
        (
            "this school and number",
            [(one.line, (one.school, one.number)) for one in roster.students],
        ),
    ):
        first: dict[tuple[str, ...], int] = {}
        for line, key in keyed:
            if key in first:
                errors.append(LineError(line, f"{what} is in line {first[key]} already"))
            first.setdefault(key, line)
    if errors:
        raise RosterError(roster.name, errors)
    return roster

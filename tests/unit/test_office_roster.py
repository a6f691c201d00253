"""The roster: taken whole or not at all, the same again changing nothing."""

from pathlib import Path

import pytest
from sqlalchemy import func, select

from issuer import roster
from issuer.applicant import (
    CATEGORIES,
    FORMAL_STATUS,
    Applicant,
    category_verdict,
    status_verdict,
)
from issuer.database import DatabaseError
from issuer.documents import Documents
from issuer.finding import Status
from issuer.roster import Standing, Taken, take
from issuer.roster_file import (
    STATUSES,
    STUDENT,
    STUDENT_KINDS,
    RosterError,
    parse_csv,
    parse_toml,
    read_roster,
)
from issuer.tables import Person, Student
from tests.offices import (
    KEY,
    NAMES,
    SCHOOLS,
    Office,
    document,
    small_roster,
    student_table,
)

HEAD = ",".join(STUDENT)


def row(number: int, /, **changed: str) -> str:
    told = {
        "school": "UCAS",
        "number": f"2025K{number:05d}",
        "name": NAMES[number % 3],
        "document": document(number),
        "category": "硕士",
        "status": "正式学籍",
        "wage": "否",
    } | changed
    return ",".join(told[name] for name in STUDENT)


def csv_of(*rows: str):
    return parse_csv("\n".join([HEAD, *rows]) + "\n")


def taken(office: Office, told) -> Taken:
    return take(office.engine, office.documents, told)


def numbers(office: Office) -> int:
    return office.do(lambda s: s.scalar(select(func.count()).select_from(Student)))


def test_the_same_file_again_changes_nothing(office: Office):
    assert taken(office, small_roster()) == Taken(same=5)
    assert numbers(office) == 3


def test_csv_and_toml_say_the_same(office: Office):
    assert taken(office, csv_of(*map(row, range(3)))) == Taken(same=3)


def test_what_changed_is_updated_and_what_is_not_named_stays(office: Office):
    told = csv_of(row(1, status="休学", name="新名"), row(7))
    assert taken(office, told) == Taken(added=1, changed=1)
    student = office.do(lambda s: s.scalars(select(Student).filter_by(number="2025K00001")).one())
    assert (student.status, student.name) == ("休学", "新名")
    assert numbers(office) == 4
    left = SCHOOLS.replace("partner = true", "partner = false")
    assert taken(office, parse_toml(left)) == Taken(changed=1, same=1)
    assert office.do(roster.partners) == frozenset()


def test_the_standing_is_what_the_rules_ask_for(office: Office):
    student = office.student(0)
    standing = office.do(roster.standing_of, student)
    assert standing == Standing(
        student, standing.person_id, "UCAS", True, "硕士", "正式学籍", False
    )
    assert office.do(roster.partners) == {"UCAS"}
    with pytest.raises(LookupError):
        office.do(roster.standing_of, 999)


def test_a_person_at_two_schools_is_one_person(office: Office):
    taken(office, csv_of(row(0, school="OTHER", number="X1"), row(0, number="X2")))
    people = office.do(
        lambda s: s.scalars(select(Student.person_id).where(Student.name == NAMES[0])).all()
    )
    assert len(people) == 3
    assert len(set(people)) == 1
    assert office.do(lambda s: s.scalar(select(func.count()).select_from(Person))) == 3


def test_everything_that_is_wrong_is_told_by_line():
    wrong = "\n".join(
        [
            HEAD,
            row(0),
            row(1, category="小学生"),
            row(2, status="?", wage="maybe"),
            "",
            row(3, document=document(3)[:-1] + ("1" if document(3)[-1] != "1" else "2")),
            row(4, name=""),
            row(0),
            "a,b",
            row(5, number="2025 5", school="U/C"),
            row(6, document="7"),
        ]
    )
    with pytest.raises(RosterError) as refused:
        parse_csv(wrong, "students.csv")
    found = [(error.line, error.what.partition(":")[0]) for error in refused.value.errors]
    assert found == [
        (3, "category"),
        (4, "status"),
        (4, "wage"),
        (6, "document"),
        (7, "name is missing"),
        (8, "this school and number is in line 2 already"),
        (9, "expected 7 values, found 2"),
        (10, "number"),
        (10, "school"),
        (11, "document"),
    ]
    said = str(refused.value)
    assert said.startswith("students.csv is not taken: line 3: category: expected one of 本科")
    assert said.endswith("; and 7 more")
    told = " ".join(map(str, refused.value.errors))
    assert not any(secret in told for secret in (*NAMES, document(3), "2025K"))


def test_an_error_in_toml_is_told_by_line():
    text = SCHOOLS + student_table(0) + student_table(1, status="?")
    line = text.splitlines().index("[[student]]", text.splitlines().index("[[student]]") + 1) + 1
    with pytest.raises(RosterError) as refused:
        parse_toml(text + "\n[other]\n")
    assert [error.line for error in refused.value.errors] == [1, line]
    with pytest.raises(RosterError, match="line 4: is no TOML"):
        parse_toml("\n\n\n[[school\n")
    with pytest.raises(RosterError, match=r"expected tables \[\[school\]\]"):
        parse_toml("school = 5")
    with pytest.raises(RosterError, match="code is missing"):
        parse_toml(SCHOOLS.replace('code = "OTHER"', "code = 5"))
    with pytest.raises(RosterError, match="this school is in line 2 already"):
        parse_toml(SCHOOLS + SCHOOLS)
    with pytest.raises(RosterError, match="found 'more'"):
        parse_toml(SCHOOLS + "more = 1\n")


def test_csv_that_is_none_is_one_sentence():
    with pytest.raises(RosterError, match="expected the columns school,number"):
        parse_csv("a,b\n")
    with pytest.raises(RosterError, match="expected the columns"):
        parse_csv("")
    with pytest.raises(RosterError, match="is no CSV"):
        parse_csv(HEAD + '\n"a"b,c\n')


def test_an_unknown_school_and_a_strangers_number_leave_everything_as_it_was(office: Office):
    told = csv_of(row(8), row(9, school="NOWHERE"), row(1, document=document(50)))
    with pytest.raises(RosterError) as refused:
        taken(office, told)
    assert [(e.line, e.what.partition(";")[0]) for e in refused.value.errors] == [
        (3, "this school is not known"),
        (4, "another person is known under this number"),
    ]
    assert numbers(office) == 3
    assert office.do(lambda s: s.scalar(select(func.count()).select_from(Person))) == 3


def test_another_key_of_documents_is_refused_before_anybody_is_lost(office: Office):
    with pytest.raises(DatabaseError, match="bring its key file back"):
        take(office.engine, Documents(bytes(32)), small_roster())
    assert take(office.engine, Documents(KEY), small_roster()) == Taken(same=5)


def test_a_file_is_read_by_the_end_of_its_name(tmp_path: Path):
    (tmp_path / "a.toml").write_text(SCHOOLS, "utf-8")
    (tmp_path / "a.csv").write_text(f"\ufeff{HEAD}\r\n{row(1)}\r\n", "utf-8")
    assert len(read_roster(tmp_path / "a.toml").schools) == 2
    assert len(read_roster(tmp_path / "a.csv").students) == 1
    (tmp_path / "b.csv").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(RosterError, match="expected UTF-8"):
        read_roster(tmp_path / "b.csv")
    with pytest.raises(RosterError, match="cannot be read: No such file"):
        read_roster(tmp_path / "c.csv")


def test_a_large_roster_is_taken_in_parts(office: Office):
    rows = [row(number) for number in range(100, 1300)]
    assert taken(office, csv_of(*rows)) == Taken(added=1200)
    assert taken(office, csv_of(*rows)) == Taken(same=1200)


@pytest.mark.rule("R2")
def test_the_kinds_a_roster_may_have_are_the_seeds_and_some_that_the_rule_refuses():
    assert STUDENT_KINDS[: len(CATEGORIES)] == tuple(CATEGORIES)
    for kind in STUDENT_KINDS:
        is_right = category_verdict(Applicant(category=kind)).status is Status.OK
        assert is_right == (kind in CATEGORIES)
    assert set(STUDENT_KINDS) > set(CATEGORIES)


@pytest.mark.rule("R3")
def test_of_the_statuses_a_roster_may_have_one_is_formal():
    verdicts = {
        one: status_verdict(Applicant(status=one, has_wage_income=False)).status for one in STATUSES
    }
    assert [one for one, said in verdicts.items() if said is Status.OK] == [FORMAL_STATUS]

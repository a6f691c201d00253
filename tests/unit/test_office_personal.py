"""Personal data: a name and a number in `students`, and nothing anywhere else."""

import logging

import pytest
from sqlalchemy import MetaData, inspect, select

from issuer.database import DatabaseError, writing
from issuer.roster_file import RosterError, parse_csv
from issuer.tables import Student
from tests.office_life import live
from tests.offices import NAMES, Office, document


def everything_in(office: Office) -> dict[str, str]:
    """All of every table, as text."""
    metadata = MetaData()
    metadata.reflect(office.engine)
    assert set(metadata.tables) == set(inspect(office.engine).get_table_names())
    with office.engine.connect() as connection:
        return {
            name: repr(connection.execute(select(table)).all())
            for name, table in metadata.tables.items()
        }


def test_no_document_is_anywhere_and_a_name_in_students_alone(
    office: Office, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
):
    caplog.set_level(logging.DEBUG)
    caplog.set_level(logging.INFO, "sqlalchemy.engine")  # statements; below it come whole rows
    office.fill(4)
    live(office)
    told = everything_in(office)
    told["the log"] = caplog.text
    told["what was printed"] = "".join(capfd.readouterr())
    assert "INSERT INTO students" in told["the log"]
    documents = [document(number) for number in range(4)]
    for place, text in told.items():
        assert not any(number in text for number in documents), place
        assert not any(number[:17] in text for number in documents), place
        if place != "students":
            assert not any(name in text for name in NAMES), place
            assert "2025K" not in text, place
    assert all(name in told["students"] for name in NAMES)


def test_an_error_of_the_database_repeats_no_name(office: Office):
    twice = {"person_id": 1, "school": "UCAS", "number": "2025K00000", "name": NAMES[0]}
    row = Student(**twice, category="硕士", status="正式学籍", has_wage=False)
    with pytest.raises(DatabaseError) as refused, writing(office.engine) as session:
        session.add(row)
    cause: BaseException | None = refused.value
    while cause is not None:
        assert NAMES[0] not in str(cause)
        cause = cause.__cause__


def test_a_bad_line_repeats_nothing_of_a_person():
    line = f"UCAS,2025K00000,{NAMES[0]},{document(0)},?,?,?"
    with pytest.raises(RosterError) as refused:
        parse_csv(f"school,number,name,document,category,status,wage\n{line}\n")
    assert len(refused.value.errors) == 3
    told = str(refused.value) + repr(refused.value.errors)
    assert not any(secret in told for secret in (NAMES[0], document(0), "2025K00000"))

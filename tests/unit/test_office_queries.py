"""No operation reads a whole table: every statement of a student's life is explained by SQLite."""

from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import Engine, event

from issuer.database import open_database, writing
from issuer.tokens import Role, find, make, revoke
from tests.office_life import live
from tests.offices import NOW, Office, small_roster

GROWING = {
    "people",
    "students",
    "accounts",
    "identity_checks",
    "cards",
    "operations",
    "entries",
    "payments",
    "audit",
    "blacklist_changes",
    "lost_cards",
    "tokens",
}
"""Tables with a row for each student, card or operation."""


@pytest.fixture
def file_office(tmp_path):
    office = Office(open_database(str(tmp_path / "office.db")), NOW)
    office.fill(40)
    yield office
    office.engine.dispose()


class Heard:
    """What an engine is asked, and how SQLite would go about it."""

    def __init__(self, engine: Engine) -> None:
        self.engine = engine
        self.statements: dict[str, Any] = {}
        event.listen(engine, "before_cursor_execute", self._hear)

    def _hear(self, connection, cursor, statement, parameters, context, is_many) -> None:
        self.statements[statement] = parameters[0] if isinstance(parameters, list) else parameters

    def scans(self) -> list[tuple[str, str]]:
        """Tables that grow and are read from one end to the other, and by which statement."""
        event.remove(self.engine, "before_cursor_execute", self._hear)
        found = []
        with self.engine.connect() as connection:
            for statement, parameters in self.statements.items():
                if statement.split()[0] not in ("SELECT", "UPDATE", "DELETE", "INSERT"):
                    continue
                plan = connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {statement}", parameters)
                for row in plan:
                    words = row[3].split()
                    if words[0] == "SCAN" and words[1] in GROWING:
                        found.append((row[3], statement))
        return found


def test_no_statement_of_a_students_life_reads_a_table_that_grows(file_office: Office):
    heard = Heard(file_office.engine)
    live(file_office)
    assert len(heard.statements) > 35
    assert heard.scans() == []


def test_a_student_on_the_roster_is_found_without_reading_the_others(file_office: Office):
    heard = Heard(file_office.engine)
    file_office.fill(41)
    assert heard.scans() == []


def test_a_token_is_made_found_and_revoked_without_reading_the_others(file_office: Office):
    heard = Heard(file_office.engine)
    with writing(file_office.engine) as session:
        token = make(session, Role.GATE, None, NOW, NOW + timedelta(days=1))
        assert find(session, token, NOW)
        assert revoke(session, token, NOW)
    assert len(heard.statements) >= 3
    assert heard.scans() == []


def test_a_scan_would_be_heard(file_office: Office):
    heard = Heard(file_office.engine)
    with file_office.engine.connect() as connection:
        connection.exec_driver_sql("SELECT name FROM students WHERE name = 'x'")
    assert [what for what, _ in heard.scans()] == ["SCAN students"]


def test_every_table_that_grows_is_watched():
    small = {"schools", "audit_head", "counters", "settings"}
    from tests.unit.test_office_schema import OFFICE

    assert GROWING - {"lost_cards"} == OFFICE - small
    assert len(small_roster().schools) == 2

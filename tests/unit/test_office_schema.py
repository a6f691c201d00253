"""The schema: made in steps, equal to what the program declares, adopted from before the steps."""

import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Engine, create_engine, inspect, select, text
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from issuer import migrating, tables
from issuer.clearing import Clearing
from issuer.database import DatabaseError, open_database
from issuer.schema import Base, BatchRow, LostCard
from tests.books import TMK
from tests.offices import NOW, Office

OFFICE = {row.__tablename__ for row in vars(tables).values() if hasattr(row, "__tablename__")}


def differences(engine: Engine) -> list[object]:
    with engine.connect() as connection:
        return compare_metadata(MigrationContext.configure(connection), Base.metadata)


def writing(engine: Engine):
    return engine.connect().execution_options(is_writing=True)


def test_the_migrated_schema_is_the_declared_one(engine: Engine):
    assert differences(engine) == []


def test_a_step_back_and_forth_leaves_the_same_schema_and_clearings_rows(engine: Engine):
    Clearing(engine, TMK).blacklist(bytes(10), datetime(2025, 9, 8))
    for _ in range(2):
        with writing(engine) as connection, connection.begin():
            migrating.downgrade(connection)
        assert not OFFICE & set(inspect(engine).get_table_names())
        with writing(engine) as connection, connection.begin():
            migrating.upgrade(connection)
    assert differences(engine) == []
    with Session(engine) as session:
        assert session.get(LostCard, "0" * 20) is not None


def test_the_last_step_of_the_program_is_the_last_there_is():
    config = migrating._config(None)
    assert ScriptDirectory.from_config(config).get_current_head() == migrating.HEAD


CARD = (
    "INSERT INTO cards (id, serial, person_id, student_id, medium, state, issued_on, end_date,"
    " balance, online_seq, updated{more}) VALUES ({id}, '{id:020d}', 1, 1, 'nfc_ese', '{state}',"
    " '2025-09-08', '2026-09-30', 500, 1, 0{values})"
)


def step_to(engine: Engine, to: str, back: bool = False) -> None:
    with writing(engine) as connection, connection.begin():
        (migrating.downgrade if back else migrating.upgrade)(connection, to)


def told(engine: Engine, *statements: str) -> None:
    with writing(engine) as connection, connection.begin():
        for statement in statements:
            connection.execute(text(statement))


@pytest.mark.rule("R6")
def test_cards_from_before_there_were_slots_keep_what_they_are_and_take_the_first(office: Office):
    engine = office.engine
    step_to(engine, "0002", back=True)
    told(
        engine,
        CARD.format(id=1, state="lost", more="", values=""),
        CARD.format(id=2, state="active", more="", values=""),
    )
    step_to(engine, "0003")
    assert differences(engine) == []
    with Session(engine) as session:
        cards = session.scalars(select(tables.CardRow).order_by(tables.CardRow.id)).all()
        assert [(one.state, one.balance, one.slot) for one in cards] == [
            ("lost", 500, 0),
            ("active", 500, 0),
        ]
    with pytest.raises(IntegrityError):
        told(engine, CARD.format(id=3, state="active", more="", values=""))


def test_a_step_back_before_the_slots_fails_whole_while_somebody_has_two_cards(office: Office):
    engine = office.engine
    for slot in (0, 1):
        told(engine, CARD.format(id=slot + 1, state="active", more=", slot", values=f", {slot}"))
    with pytest.raises(IntegrityError):
        step_to(engine, "0002", back=True)
    assert differences(engine) == []
    with engine.connect() as connection:
        assert migrating.held_step(connection) == migrating.HEAD


def old_database(where: str) -> None:
    """A database of clearing as it was made before there were steps, with a batch and a tap."""
    url = where if "://" in where else f"sqlite:///{where}"
    engine = create_engine(url.replace("postgresql://", "postgresql+psycopg://"))
    old = [t for name, t in Base.metadata.tables.items() if name not in OFFICE]
    Base.metadata.create_all(engine, tables=old)
    with Session(engine) as session, session.begin():
        session.add(BatchRow(batch_id="ab", gate="cd", first=1, last=2, received=3, deliveries=4))
        session.add(LostCard(serial="1" * 20, since=5))
    engine.dispose()


def test_a_database_from_before_the_steps_is_adopted_with_all_that_is_in_it(empty: str):
    old_database(empty)
    engine = open_database(empty)
    assert differences(engine) == []
    with Session(engine) as session:
        batch = session.scalars(select(BatchRow)).one()
        assert (batch.batch_id, batch.deliveries) == ("ab", 4)
        assert session.scalars(select(LostCard.since)).all() == [5]
    assert Office(engine, NOW).fill().added == 5
    engine.dispose()


def test_opened_by_many_at_once_it_is_made_once(empty: str):
    with ThreadPoolExecutor(8) as pool:
        engines = list(pool.map(lambda _: open_database(empty, wait_s=30), range(8)))
    assert differences(engines[0]) == []
    for engine in engines:
        engine.dispose()


def test_a_schema_of_a_later_program_is_one_sentence(engine: Engine, where: str):
    with writing(engine) as connection, connection.begin():
        connection.execute(text("UPDATE alembic_version SET version_num = '0999'"))
    with pytest.raises(DatabaseError, match=r"at step 0999 .* use the later program"):
        open_database(where)


WITHOUT = """
import sys
from issuer.database import open_database
from issuer.errors import DatabaseError
from issuer.migrating import demand_office
from issuer.clearing import Clearing
engine = open_database(sys.argv[1])
assert Clearing.examine(Clearing(engine, None)) == {}
try:
    demand_office(engine)
except DatabaseError as error:
    print(error)
"""


def test_without_alembic_clearing_works_and_the_office_says_what_is_missing(tmp_path):
    """A place without it is searched first: Python finds no Alembic there."""
    (tmp_path / "alembic.py").write_text("raise ModuleNotFoundError('no', name='alembic')\n")
    path = tmp_path / "books.db"
    said = subprocess.run(
        [sys.executable, "-c", WITHOUT, str(path)],
        capture_output=True,
        text=True,
        env=os.environ | {"PYTHONPATH": f"{tmp_path}{os.pathsep}{os.getcwd()}"},
    )
    assert (said.returncode, said.stderr) == (0, "")
    assert "pip install 'tapbench[issuer]'" in said.stdout
    engine = open_database(str(path))
    migrating.demand_office(engine)
    assert differences(engine) == []
    engine.dispose()


@pytest.mark.parametrize(
    "command", [("issuer", "init", "--sample"), ("semester", "--students", "2", "--days", "2")]
)
def test_without_alembic_a_command_of_the_office_says_what_to_install(tmp_path, command):
    (tmp_path / "alembic.py").write_text("raise ModuleNotFoundError('no', name='alembic')\n")
    said = subprocess.run(
        [sys.executable, "-m", "bench", *command],
        capture_output=True,
        text=True,
        cwd=tmp_path,
        env=os.environ | {"PYTHONPATH": f"{tmp_path}{os.pathsep}{os.getcwd()}"},
    )
    assert said.returncode == 2
    assert "pip install 'tapbench[issuer]'" in said.stderr
    assert "Traceback" not in said.stderr

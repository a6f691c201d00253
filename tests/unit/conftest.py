"""The office's databases: SQLite for every test of the office, PostgreSQL where it may differ.

On PostgreSQL run the tests of the books (`test_office_*`), where the databases differ, those marked
`each_database`, and of the others, which go through the same books, a seeded slice; with `--whole`
all of them.
"""

import shutil
import sqlite3
from collections.abc import Iterator
from contextlib import suppress
from itertools import count
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Engine, event
from sqlalchemy.pool import Pool

from issuer.database import open_database
from tests.offices import NOW, Office
from tests.postgres import Cluster, cluster
from tests.slices import is_drawn

_NUMBER = count(1)
_TEMPLATE = "office_template"
_BOOKS = "test_office_"


@event.listens_for(Pool, "checkout")
def _hasten(connection: Any, record: Any, proxy: object) -> None:
    """Nobody pulls the plug on a test's database: SQLite need not wait for the disk."""
    if isinstance(connection, sqlite3.Connection) and "is_hastened" not in record.info:
        with suppress(sqlite3.OperationalError):  # busy: it waits for the disk this time
            connection.execute("PRAGMA synchronous = OFF")
            record.info["is_hastened"] = True


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    if config.getoption("whole"):
        return
    left_out = [item for item in items if not _is_in_the_slice(item)]
    if left_out:
        config.hook.pytest_deselected(items=left_out)
        items[:] = [item for item in items if _is_in_the_slice(item)]


def _is_in_the_slice(item: pytest.Item) -> bool:
    call = getattr(item, "callspec", None)
    if call is None or call.params.get("server") != "postgresql":
        return True
    if item.path.name.startswith(_BOOKS) or item.get_closest_marker("each_database"):
        return True
    return is_drawn(item.nodeid)


@pytest.fixture(scope="session")
def office_server() -> Iterator[Cluster]:
    with cluster() as made:
        open_database(made.database(_TEMPLATE)).dispose()
        yield made


@pytest.fixture(scope="session")
def office_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A file with every table and no rows, to be copied: making one goes through all steps."""
    path = tmp_path_factory.mktemp("office") / "template.db"
    open_database(str(path)).dispose()
    return path


@pytest.fixture(params=["sqlite", "postgresql"])
def server(request: pytest.FixtureRequest) -> Cluster | None:
    """Where databases are made: in files if it is none."""
    return request.getfixturevalue("office_server") if request.param == "postgresql" else None


@pytest.fixture
def empty(server: Cluster | None, tmp_path: Path) -> str:
    """A database with nothing in it: a file's path or a URL."""
    return server.database(f"empty_{next(_NUMBER)}") if server else str(tmp_path / "empty.db")


@pytest.fixture
def where(server: Cluster | None, office_file: Path, tmp_path: Path) -> Iterator[str]:
    """A database with every table and no rows: a file's path or a URL."""
    if server is None:
        yield str(shutil.copyfile(office_file, tmp_path / "office.db"))
        return
    import psycopg  # which is there if a server is

    name = f"office_{next(_NUMBER)}"
    with psycopg.connect(server.url, autocommit=True) as connection:
        # Copied, which is faster than going through all steps for each test.
        connection.execute(f"CREATE DATABASE {name} TEMPLATE {_TEMPLATE}")
        yield server.url.replace("/postgres?", f"/{name}?")
        connection.execute(f"DROP DATABASE {name} WITH (FORCE)")


@pytest.fixture
def engine(where: str) -> Iterator[Engine]:
    made = open_database(where)
    yield made
    made.dispose()


@pytest.fixture
def file_engine(office_file: Path, tmp_path: Path) -> Iterator[Engine]:
    """On SQLite alone, where a test makes many cards."""
    made = open_database(str(shutil.copyfile(office_file, tmp_path / "office.db")))
    yield made
    made.dispose()


@pytest.fixture
def office(engine: Engine) -> Office:
    """An office with two schools and three students."""
    made = Office(engine, NOW)
    made.fill()
    return made

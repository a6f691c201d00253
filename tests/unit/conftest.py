"""The office's databases: every test of the office runs on SQLite and on PostgreSQL."""

from collections.abc import Iterator
from itertools import count
from pathlib import Path

import pytest
from sqlalchemy import Engine

from issuer.database import open_database
from tests.offices import NOW, Office
from tests.postgres import Cluster, cluster

_NUMBER = count(1)
_TEMPLATE = "office_template"


@pytest.fixture(scope="session")
def office_server() -> Iterator[Cluster]:
    with cluster() as made:
        open_database(made.database(_TEMPLATE)).dispose()
        yield made


@pytest.fixture(params=["sqlite", "postgresql"])
def server(request: pytest.FixtureRequest) -> Cluster | None:
    """Where databases are made: in files if it is none."""
    return request.getfixturevalue("office_server") if request.param == "postgresql" else None


@pytest.fixture
def empty(server: Cluster | None, tmp_path: Path) -> str:
    """A database with nothing in it: a file's path or a URL."""
    return server.database(f"empty_{next(_NUMBER)}") if server else str(tmp_path / "empty.db")


@pytest.fixture
def where(server: Cluster | None, tmp_path: Path) -> Iterator[str]:
    """A database with every table and no rows: a file's path or a URL."""
    if server is None:
        yield str(tmp_path / "office.db")
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
def office(engine: Engine) -> Office:
    """An office with two schools and three students."""
    made = Office(engine, NOW)
    made.fill()
    return made

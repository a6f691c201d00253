"""Opening clearing's database, and saying in one sentence why it cannot be used."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from sqlalchemy import URL, Engine, create_engine, event, make_url
from sqlalchemy.exc import ArgumentError, DBAPIError, NoSuchModuleError, SQLAlchemyError

from issuer.errors import DatabaseError
from issuer.schema import Base

WAIT_S = 5.0
"""How long to wait for a database that is locked, or for a server to answer."""


def open_database(where: str, wait_s: float = WAIT_S) -> Engine:
    """The engine of a database with clearing's tables.

    where: a file's path (SQLite, made with mode 0600) or a URL such as
    postgresql://user@host/name. Raises DatabaseError.
    """
    url = _url(where)
    is_file = url.get_backend_name() == "sqlite"
    arguments: dict[str, Any] = (
        {"timeout": wait_s} if is_file else {"connect_timeout": max(int(wait_s), 2)}
    )
    try:
        engine = create_engine(url, connect_args=arguments)
    except NoSuchModuleError as error:
        raise DatabaseError(_unknown(url.drivername)) from error
    except ModuleNotFoundError as error:
        raise DatabaseError(
            f"the driver for {url.get_backend_name()} is missing ({error.name}); "
            "install it with pip install 'tapbench[postgres]'"
        ) from error
    if is_file:
        _prepare(engine, url)
    with told(engine):
        Base.metadata.create_all(engine)
    return engine


@contextmanager
def told(engine: Engine) -> Iterator[None]:
    """Tell the database's errors in one sentence. Raises DatabaseError."""
    try:
        yield
    except DBAPIError as error:
        raise DatabaseError(_sentence(engine.url, error)) from error
    except SQLAlchemyError as error:
        raise DatabaseError(f"the database {_shown(engine.url)} failed: {_first(error)}") from error


def _url(where: str) -> URL:
    if "://" not in where:
        return URL.create("sqlite", database=where)
    try:
        url = make_url(where)
    except (ArgumentError, ValueError) as error:
        raise DatabaseError(
            "the database's URL cannot be read; expected a file's path or something like "
            "postgresql://user@host/name"
        ) from error
    if url.drivername in ("postgresql", "postgres"):
        return url.set(drivername="postgresql+psycopg")
    if url.get_backend_name() not in ("sqlite", "postgresql"):
        raise DatabaseError(_unknown(url.drivername))
    return url


def _unknown(driver: str) -> str:
    return (
        f"there is no database {driver!r} here; give a file's path or postgresql://user@host/name"
    )


def _prepare(engine: Engine, url: URL) -> None:
    """Make the file for its owner alone, and durable whatever happens to the machine."""
    name = url.database
    if name and name != ":memory:":
        try:
            handle = os.open(name, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
            os.fchmod(handle, 0o600)
            os.close(handle)
        except OSError as error:
            raise DatabaseError(f"no database can be kept at {name}: {error.strerror}") from error

    @event.listens_for(engine, "connect")
    def _settle(connection: Any, record: object) -> None:  # noqa: ANN401 - the driver's own
        cursor = connection.cursor()
        cursor.execute("PRAGMA journal_mode = WAL")
        cursor.execute("PRAGMA synchronous = FULL")
        cursor.close()


def _sentence(url: URL, error: DBAPIError) -> str:
    first = _first(error.orig or error)
    if url.get_backend_name() == "sqlite":
        if "locked" in first:
            return f"the database {_shown(url)} is locked by another program; try again after it"
        if "not a database" in first:
            return f"{_shown(url)} is no SQLite database; choose another file"
        return f"the database {_shown(url)} failed: {first}"
    if error.connection_invalidated or "connect" in first or "FATAL" in str(error.orig):
        return f"the database {_shown(url)} does not answer ({first}); is it running?"
    return f"the database {_shown(url)} failed: {first}"


def _shown(url: URL) -> str:
    if url.get_backend_name() == "sqlite":
        return url.database or ":memory:"
    return url.render_as_string(hide_password=True)


def _first(error: BaseException) -> str:
    """The first line of an error's words."""
    return (str(error).strip().splitlines() or [type(error).__name__])[0]

"""Opening the back office's database, transactions, and saying in one sentence what is wrong.

SQLite: one writer at a time, who says so at the beginning (`BEGIN IMMEDIATE`): a transaction that
reads first and then wants to write cannot be turned away in its middle. PostgreSQL: read committed,
and whoever decides by a row locks it, in this order: account, person, card, counter, end of the
audit log. `transact` repeats what lost against another.
"""

import os
import sqlite3
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from random import SystemRandom
from typing import Any, TypeVar

from sqlalchemy import URL, Connection, Engine, create_engine, event, make_url
from sqlalchemy.exc import (
    ArgumentError,
    DBAPIError,
    IntegrityError,
    NoSuchModuleError,
    SQLAlchemyError,
)
from sqlalchemy.orm import Session

from issuer.errors import DatabaseError
from issuer.migrating import bring_up
from issuer.schema import Base

WAIT_S = 5.0
"""How long to wait for a database that is locked, or for a server to answer."""

PATIENCE_S = 60.0
"""How long `transact` goes on against others who write, and a thread waits for a connection."""

_LONGEST_PAUSE_S = 0.2
_CHANCE = SystemRandom()
_LOST_AGAINST_ANOTHER = frozenset(("40001", "40P01", "55P03"))
"""PostgreSQL: serialisation failure, deadlock, lock not available."""

T = TypeVar("T")


def open_database(where: str, wait_s: float = WAIT_S, *, may_make: bool = True) -> Engine:
    """The engine of a database with all tables of clearing and office, made or migrated.

    where: a file's path (SQLite, made with mode 0600) or a URL such as
    postgresql://user@host/name. may_make: otherwise a file that is not there is an error, for a
    mistyped name is no empty database. Raises DatabaseError.
    """
    url = _url(where)
    is_file = url.get_backend_name() == "sqlite"
    if is_file and not may_make and not Path(url.database or "").exists():
        raise DatabaseError(
            f"there is no database {url.database}; give the file of one that is there"
        )
    arguments: dict[str, Any] = (
        {"timeout": wait_s} if is_file else {"connect_timeout": max(int(wait_s), 2)}
    )
    try:
        engine = create_engine(url, connect_args=arguments, hide_parameters=True, **_pooling(url))
    except NoSuchModuleError as error:
        raise DatabaseError(_unknown(url.drivername)) from error
    except ModuleNotFoundError as error:
        raise DatabaseError(
            f"the driver for {url.get_backend_name()} is missing ({error.name}); "
            "install it with pip install 'tapbench[postgres]'"
        ) from error
    if is_file:
        _prepare(engine, url)
    try:
        with told(engine):
            bring_up(engine)
    except BaseException:
        engine.dispose()
        raise
    return engine


@contextmanager
def reading(engine: Engine) -> Iterator[Session]:
    """A session that sees one state of the database. Raises DatabaseError."""
    with told(engine), Session(engine) as session:
        if engine.dialect.name == "postgresql":
            session.connection(execution_options={"isolation_level": "REPEATABLE READ"})
        yield session


@contextmanager
def writing(engine: Engine) -> Iterator[Session]:
    """A session in a transaction that is committed at the end. Raises DatabaseError."""
    with told(engine), transaction(engine) as session:
        yield session


def transact(engine: Engine, work: Callable[[Session], T], patience_s: float = PATIENCE_S) -> T:
    """Do a short piece of work in a transaction, again if another transaction was in the way.

    work: has no effect but on its session, for it may be called several times.
    Raises DatabaseError, if others stay in the way for longer than patience_s too.
    """
    until, pause = time.monotonic() + patience_s, 0.005
    with told(engine):
        while True:
            try:
                with transaction(engine) as session:
                    return work(session)
            except DBAPIError as error:
                if not is_passing(error) or time.monotonic() > until:
                    raise
            time.sleep(pause * _CHANCE.uniform(0.5, 1.0))
            pause = min(2 * pause, _LONGEST_PAUSE_S)


def insert_new(session: Session, row: Base) -> bool:
    """Insert a row unless one with the same key is there. Returns whether it was inserted.

    Waits for a transaction under way that inserts the same. The session goes on in either case.
    """
    try:
        with session.begin_nested():
            session.add(row)
            session.flush()
    except IntegrityError:
        return False
    return True


def is_passing(error: DBAPIError) -> bool:
    """Whether another transaction was in the way, so that the same may succeed a moment later."""
    if isinstance(error.orig, sqlite3.Error):
        code = getattr(error.orig, "sqlite_errorcode", 0) & 0xFF
        return code in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED)
    return getattr(error.orig, "sqlstate", None) in _LOST_AGAINST_ANOTHER


@contextmanager
def transaction(engine: Engine) -> Iterator[Session]:
    """As `writing`, with the errors of SQLAlchemy: for those who can act on them."""
    with Session(engine, expire_on_commit=False) as session, session.begin():
        session.connection(execution_options={"is_writing": True})
        yield session


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


def _pooling(url: URL) -> dict[str, Any]:
    """Threads wait for a connection as long as for a lock. A database in memory has no pool."""
    if url.get_backend_name() == "sqlite" and url.database in (None, "", ":memory:"):
        return {}
    return {"pool_timeout": PATIENCE_S}


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
        connection.isolation_level = None  # the driver begins nothing by itself; _begin does
        cursor = connection.cursor()
        cursor.execute("PRAGMA journal_mode = WAL")
        cursor.execute("PRAGMA synchronous = FULL")
        cursor.execute("PRAGMA foreign_keys = ON")
        cursor.execute("PRAGMA recursive_triggers = ON")  # REPLACE deletes, and triggers see it
        cursor.close()

    @event.listens_for(engine, "begin")
    def _begin(connection: Connection) -> None:
        is_writing = connection.get_execution_options().get("is_writing", False)
        connection.exec_driver_sql("BEGIN IMMEDIATE" if is_writing else "BEGIN")


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

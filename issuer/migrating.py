"""Bringing a database to the schema of this program, step by step (`issuer.migrations`).

Alembic is imported only where there is something to do: a database that is up to date needs none.
Without Alembic a database can still be made for clearing, in the form from before migrations; the
office adopts it later.
"""

from typing import TYPE_CHECKING

from sqlalchemy import Connection, Engine, inspect, text

from issuer.errors import DatabaseError
from issuer.schema import Base, BatchRow, Finding, KnownGate, LostCard, RefusedRow, TapRow

if TYPE_CHECKING:
    from alembic.config import Config

HEAD = "0003"
"""The last step."""

_STEPS = frozenset(("0001", "0002", HEAD))
_VERSIONS = "alembic_version"
_LOCK = 0x7A9B
"""The number of PostgreSQL's advisory lock: one program migrates, the others wait for it."""


def bring_up(engine: Engine) -> None:
    """Make or migrate the schema, in one transaction. Raises DatabaseError and SQLAlchemyError."""
    with engine.connect() as connection:
        if _is_current(connection):
            return
    with engine.connect().execution_options(is_writing=True) as connection, connection.begin():
        if connection.dialect.name == "postgresql":
            connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": _LOCK})
        if not _is_current(connection):
            _migrate(connection)


def upgrade(connection: Connection, to: str = "head") -> None:
    """Go forward to a step, in the transaction under way."""
    from alembic import command

    command.upgrade(_config(connection), to)


def downgrade(connection: Connection, to: str = "base") -> None:
    """Go back to a step, in the transaction under way. What the later steps made is lost."""
    from alembic import command

    command.downgrade(_config(connection), to)


def held_step(connection: Connection) -> str | None:
    """The step a database is at, None if it is at none."""
    if not inspect(connection).has_table(_VERSIONS):
        return None
    return connection.execute(text("SELECT version_num FROM alembic_version")).scalar()


def _is_current(connection: Connection) -> bool:
    held = held_step(connection)
    if held is not None and held not in _STEPS:
        raise DatabaseError(
            f"the database is at step {held} of its schema and this program knows steps up to "
            f"{HEAD}; use the later program that it was used with"
        )
    return held == HEAD


def _migrate(connection: Connection) -> None:
    try:
        upgrade(connection)
    except ModuleNotFoundError as error:
        if error.name is None or error.name.partition(".")[0] != "alembic":
            raise
        rows = (BatchRow, TapRow, RefusedRow, LostCard, KnownGate, Finding)
        names = {row.__tablename__ for row in rows}
        tables = [table for name, table in Base.metadata.tables.items() if name in names]
        Base.metadata.create_all(connection, tables=tables)


def demand_office(engine: Engine) -> None:
    """See that a database has the office's tables. Raises DatabaseError."""
    with engine.connect() as connection:
        if not _is_current(connection):
            raise DatabaseError(
                "the database has no tables for the office, because Alembic is missing; "
                "install it with pip install 'tapbench[issuer]'"
            )


def _config(connection: Connection) -> "Config":
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", "issuer:migrations")
    config.attributes["connection"] = connection
    return config

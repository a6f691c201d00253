"""Everything at once: the office's tables beside clearing's, and the guards of what is kept.

A database of clearing alone, made before there were migrations, keeps what is in it.
"""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None

_ROW_ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
_IS_USABLE = sa.text("state IN ('opening', 'active')")

_OFFICE = (
    "settings",
    "counters",
    "blacklist_changes",
    "audit_head",
    "audit",
    "payments",
    "entries",
    "operations",
    "cards",
    "identity_checks",
    "accounts",
    "students",
    "people",
    "schools",
)
"""In the order in which they can be dropped."""

_KEPT = ("audit", "entries", "blacklist_changes")
"""Rows of these are never changed and never deleted."""


def upgrade() -> None:
    """Make what is missing."""
    _clearing()
    _roster()
    _cards()
    _books()
    _first_rows()
    is_postgresql = op.get_bind().dialect.name == "postgresql"
    for table in _KEPT:
        _guard_postgresql(table) if is_postgresql else _guard_sqlite(table)


def downgrade() -> None:
    """Drop the office's tables with all that is in them; clearing's stay as they were."""
    for table in _OFFICE:
        op.drop_table(table)
    if op.get_bind().dialect.name == "postgresql":
        op.execute("DROP FUNCTION refuse_change()")


def _first_rows() -> None:
    """Rows that are only ever updated, so that nobody has to race to make them."""
    op.execute("INSERT INTO counters (name, last) VALUES ('serial', 0), ('blacklist', 0)")
    op.execute(f"INSERT INTO audit_head (id, last, digest) VALUES (1, 0, '{'0' * 64}')")  # noqa: S608 - no input


def _guard_sqlite(table: str) -> None:
    """Refuse changes of a table's rows."""
    for event in ("UPDATE", "DELETE"):
        op.execute(
            f"CREATE TRIGGER {table}_no_{event.lower()} BEFORE {event} ON {table} "
            f"BEGIN SELECT RAISE(ABORT, '{table} takes new rows alone'); END"
        )


def _guard_postgresql(table: str) -> None:
    """Refuse changes of a table's rows, and emptying it."""
    op.execute(
        "CREATE OR REPLACE FUNCTION refuse_change() RETURNS trigger LANGUAGE plpgsql AS "
        "$$ BEGIN RAISE EXCEPTION '% takes new rows alone', TG_TABLE_NAME; END $$"
    )
    op.execute(
        f"CREATE TRIGGER {table}_no_change BEFORE UPDATE OR DELETE OR TRUNCATE ON {table} "
        "FOR EACH STATEMENT EXECUTE FUNCTION refuse_change()"
    )


def _clearing() -> None:
    """Clearing's tables, where they are not there yet."""
    op.create_table(
        "batches",
        sa.Column("batch_id", sa.String(length=32), nullable=False),
        sa.Column("gate", sa.String(length=16), nullable=False),
        sa.Column("first", sa.BigInteger(), nullable=False),
        sa.Column("last", sa.BigInteger(), nullable=False),
        sa.Column("received", sa.BigInteger(), nullable=False),
        sa.Column("deliveries", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("batch_id"),
        if_not_exists=True,
    )
    op.create_table(
        "taps",
        sa.Column("id", _ROW_ID, nullable=False),
        sa.Column("batch_id", sa.String(length=32), nullable=False),
        sa.Column("gate", sa.String(length=16), nullable=False),
        sa.Column("mark", sa.SmallInteger(), nullable=False),
        sa.Column("kind", sa.SmallInteger(), nullable=False),
        sa.Column("trip", sa.SmallInteger(), nullable=False),
        sa.Column("serial", sa.String(length=20), nullable=False),
        sa.Column("is_online", sa.Boolean(), nullable=False),
        sa.Column("counter", sa.BigInteger(), nullable=False),
        sa.Column("amount", sa.BigInteger(), nullable=False),
        sa.Column("before", sa.BigInteger(), nullable=False),
        sa.Column("after", sa.BigInteger(), nullable=False),
        sa.Column("terminal", sa.String(length=12), nullable=False),
        sa.Column("terminal_seq", sa.BigInteger(), nullable=False),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.Column("day", sa.BigInteger(), nullable=False),
        sa.Column("tested", sa.BigInteger(), nullable=False),
        sa.Column("expires", sa.BigInteger(), nullable=False),
        sa.Column("line", sa.String(length=4), nullable=False),
        sa.Column("station", sa.String(length=4), nullable=False),
        sa.Column("operator", sa.String(length=4), nullable=False),
        sa.Column("tac_is_right", sa.Boolean(), nullable=False),
        sa.Column("is_copy", sa.Boolean(), nullable=False),
        sa.Column("body", sa.LargeBinary(), nullable=False),
        sa.ForeignKeyConstraint(
            ["batch_id"],
            ["batches.batch_id"],
        ),
        sa.PrimaryKeyConstraint("id"),
        if_not_exists=True,
    )
    op.create_index("taps_by_card", "taps", ["serial", "is_online", "counter"], if_not_exists=True)
    op.create_index("taps_by_terminal", "taps", ["terminal", "terminal_seq"], if_not_exists=True)
    op.create_table(
        "refused",
        sa.Column("digest", sa.String(length=64), nullable=False),
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("refusal", sa.SmallInteger(), nullable=False),
        sa.Column("received", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("digest"),
        if_not_exists=True,
    )
    op.create_table(
        "lost_cards",
        sa.Column("serial", sa.String(length=20), nullable=False),
        sa.Column("since", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("serial"),
        if_not_exists=True,
    )
    op.create_table(
        "known_gates",
        sa.Column("gate", sa.String(length=16), nullable=False),
        sa.Column("terminal", sa.String(length=12), nullable=False),
        sa.PrimaryKeyConstraint("gate"),
        if_not_exists=True,
    )
    op.create_table(
        "findings",
        sa.Column("id", _ROW_ID, nullable=False),
        sa.Column("code", sa.String(length=3), nullable=False),
        sa.Column("tap_id", _ROW_ID, nullable=True),
        sa.Column("batch_id", sa.String(length=64), nullable=True),
        sa.Column("wanted", sa.BigInteger(), nullable=True),
        sa.Column("found", sa.BigInteger(), nullable=True),
        sa.ForeignKeyConstraint(
            ["tap_id"],
            ["taps.id"],
        ),
        sa.PrimaryKeyConstraint("id"),
        if_not_exists=True,
    )
    op.create_index(op.f("ix_findings_code"), "findings", ["code"], if_not_exists=True)


def _roster() -> None:
    """Schools, people, students and accounts."""
    op.create_table(
        "schools",
        sa.Column("code", sa.String(length=16), nullable=False),
        sa.Column("name_zh", sa.String(length=100), nullable=False),
        sa.Column("name_en", sa.String(length=100), nullable=False),
        sa.Column("category", sa.String(length=16), nullable=False),
        sa.Column("is_partner", sa.Boolean(), nullable=False),
        sa.PrimaryKeyConstraint("code"),
    )
    op.create_table(
        "people",
        sa.Column("id", _ROW_ID, nullable=False),
        sa.Column("document_hash", sa.String(length=64), nullable=False),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("document_hash", name="one_person_per_document"),
    )
    op.create_table(
        "students",
        sa.Column("id", _ROW_ID, nullable=False),
        sa.Column("person_id", _ROW_ID, nullable=False),
        sa.Column("school", sa.String(length=16), nullable=False),
        sa.Column("number", sa.String(length=32), nullable=False),
        sa.Column("name", sa.String(length=100), nullable=False),
        sa.Column("category", sa.String(length=24), nullable=False),
        sa.Column("status", sa.String(length=16), nullable=False),
        sa.Column("has_wage", sa.Boolean(), nullable=False),
        sa.ForeignKeyConstraint(
            ["person_id"],
            ["people.id"],
        ),
        sa.ForeignKeyConstraint(
            ["school"],
            ["schools.code"],
        ),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("school", "number", name="one_student_per_number"),
    )
    op.create_index("students_by_person", "students", ["person_id"])
    op.create_table(
        "accounts",
        sa.Column("id", _ROW_ID, nullable=False),
        sa.Column("login", sa.String(length=32), nullable=False),
        sa.Column("person_id", _ROW_ID, nullable=True),
        sa.Column("student_id", _ROW_ID, nullable=True),
        sa.Column("state", sa.String(length=16), nullable=False),
        sa.ForeignKeyConstraint(
            ["person_id"],
            ["people.id"],
        ),
        sa.ForeignKeyConstraint(
            ["student_id"],
            ["students.id"],
        ),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("login", name="one_account_per_login"),
        sa.UniqueConstraint("person_id", name="one_account_per_person"),
    )
    op.create_index("accounts_by_student", "accounts", ["student_id"])
    op.create_table(
        "identity_checks",
        sa.Column("token_hash", sa.String(length=64), nullable=False),
        sa.Column("account_id", _ROW_ID, nullable=False),
        sa.Column("expires", sa.BigInteger(), nullable=False),
        sa.Column("used", sa.BigInteger(), nullable=True),
        sa.ForeignKeyConstraint(
            ["account_id"],
            ["accounts.id"],
        ),
        sa.PrimaryKeyConstraint("token_hash"),
    )
    op.create_index("checks_by_account", "identity_checks", ["account_id"])


def _cards() -> None:
    """Cards and what is done with them."""
    op.create_table(
        "cards",
        sa.Column("id", _ROW_ID, nullable=False),
        sa.Column("serial", sa.String(length=20), nullable=False),
        sa.Column("person_id", _ROW_ID, nullable=False),
        sa.Column("student_id", _ROW_ID, nullable=False),
        sa.Column("medium", sa.String(length=16), nullable=False),
        sa.Column("state", sa.String(length=16), nullable=False),
        sa.Column("issued_on", sa.Date(), nullable=False),
        sa.Column("end_date", sa.Date(), nullable=False),
        sa.Column("balance", sa.BigInteger(), nullable=False),
        sa.Column("online_seq", sa.BigInteger(), nullable=False),
        sa.Column("updated", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(
            ["person_id"],
            ["people.id"],
        ),
        sa.ForeignKeyConstraint(
            ["student_id"],
            ["students.id"],
        ),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("serial", name="one_card_per_serial"),
    )
    op.create_index("cards_by_person", "cards", ["person_id"])
    op.create_index("cards_by_student", "cards", ["student_id"])
    op.create_index(
        "one_usable_card",
        "cards",
        ["person_id"],
        unique=True,
        sqlite_where=_IS_USABLE,
        postgresql_where=_IS_USABLE,
    )
    op.create_table(
        "operations",
        sa.Column("id", _ROW_ID, nullable=False),
        sa.Column("kind", sa.String(length=16), nullable=False),
        sa.Column("key", sa.String(length=64), nullable=False),
        sa.Column("account_id", _ROW_ID, nullable=False),
        sa.Column("card_id", _ROW_ID, nullable=True),
        sa.Column("state", sa.String(length=16), nullable=False),
        sa.Column("amount", sa.BigInteger(), nullable=False),
        sa.Column("data", sa.JSON(), nullable=False),
        sa.Column("created", sa.BigInteger(), nullable=False),
        sa.Column("updated", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(
            ["account_id"],
            ["accounts.id"],
        ),
        sa.ForeignKeyConstraint(
            ["card_id"],
            ["cards.id"],
        ),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("account_id", "key", name="one_operation_per_key"),
    )
    op.create_index("operations_by_card", "operations", ["card_id"])
    op.create_index("operations_by_state", "operations", ["state", "updated"])


def _books() -> None:
    """Books: money, the payer's, the blacklist, the audit log."""
    op.create_table(
        "entries",
        sa.Column("id", _ROW_ID, nullable=False),
        sa.Column("operation_id", _ROW_ID, nullable=False),
        sa.Column("step", sa.String(length=24), nullable=False),
        sa.Column("account", sa.String(length=16), nullable=False),
        sa.Column("card_id", _ROW_ID, nullable=True),
        sa.Column("amount", sa.BigInteger(), nullable=False),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(
            ["card_id"],
            ["cards.id"],
        ),
        sa.ForeignKeyConstraint(
            ["operation_id"],
            ["operations.id"],
        ),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("operation_id", "step", "account", name="one_entry_per_step"),
    )
    op.create_index("entries_by_account", "entries", ["account", "card_id", "amount"])
    op.create_index("entries_by_card", "entries", ["card_id", "account", "amount"])
    op.create_table(
        "payments",
        sa.Column("key", sa.String(length=80), nullable=False),
        sa.Column("kind", sa.String(length=8), nullable=False),
        sa.Column("account", sa.String(length=64), nullable=False),
        sa.Column("charge_key", sa.String(length=80), nullable=True),
        sa.Column("amount", sa.BigInteger(), nullable=False),
        sa.Column("is_done", sa.Boolean(), nullable=False),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("key"),
    )
    op.create_index("payments_by_charge", "payments", ["charge_key", "amount"])
    op.create_table(
        "audit",
        sa.Column("id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.Column("actor", sa.String(length=64), nullable=False),
        sa.Column("action", sa.String(length=32), nullable=False),
        sa.Column("subject", sa.String(length=64), nullable=False),
        sa.Column("detail", sa.String(), nullable=False),
        sa.Column("digest", sa.String(length=64), nullable=False),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index("audit_by_subject", "audit", ["subject"])
    op.create_table(
        "audit_head",
        sa.Column("id", sa.SmallInteger(), autoincrement=False, nullable=False),
        sa.Column("last", sa.BigInteger(), nullable=False),
        sa.Column("digest", sa.String(length=64), nullable=False),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_table(
        "blacklist_changes",
        sa.Column("version", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("serial", sa.String(length=20), nullable=False),
        sa.Column("is_added", sa.Boolean(), nullable=False),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("version", "serial"),
    )
    op.create_index("changes_by_serial", "blacklist_changes", ["serial", "version"])
    op.create_table(
        "counters",
        sa.Column("name", sa.String(length=16), nullable=False),
        sa.Column("last", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("name"),
    )
    op.create_table(
        "settings",
        sa.Column("name", sa.String(length=32), nullable=False),
        sa.Column("value", sa.String(length=64), nullable=False),
        sa.PrimaryKeyConstraint("name"),
    )

"""A slot for each usable card of a person, and when an identity check failed.

Until now a person had one usable card, which is in slot 0. Of checks that failed nothing was kept.
"""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"

_IS_USABLE = sa.text("state IN ('opening', 'active')")


def upgrade() -> None:
    """Add both columns, and let the slot be what one usable card takes."""
    op.add_column("cards", sa.Column("slot", sa.SmallInteger(), server_default="0", nullable=False))
    op.drop_index("one_usable_card", "cards")
    _index("one_usable_card_per_slot", ["person_id", "slot"])
    op.add_column("identity_checks", sa.Column("failed", sa.BigInteger(), nullable=True))


def downgrade() -> None:
    """Take both away. Fails, and changes nothing, while a person has two usable cards."""
    op.drop_column("identity_checks", "failed")
    op.drop_index("one_usable_card_per_slot", "cards")
    _index("one_usable_card", ["person_id"])
    op.drop_column("cards", "slot")


def _index(name: str, columns: list[str]) -> None:
    op.create_index(
        name,
        "cards",
        columns,
        unique=True,
        sqlite_where=_IS_USABLE,
        postgresql_where=_IS_USABLE,
    )

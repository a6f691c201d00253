"""The tables of clearing. Money is fen; times are seconds since 1970 of local (Asia/Shanghai) time.

What is stored is what was received: taps, batches, refusals, and the two lists clearing is given.
Findings follow from the rest and are made anew by every examination.
"""

from sqlalchemy import (
    BigInteger,
    Boolean,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    SmallInteger,
    String,
)
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

ROW_ID = BigInteger().with_variant(Integer, "sqlite")
"""SQLite numbers rows by itself only in a column it calls INTEGER."""


class Base(DeclarativeBase):
    """All tables of the back office: clearing's are here, the office's in `issuer.tables`."""


class BatchRow(Base):
    """A batch that was taken. deliveries: how often it came."""

    __tablename__ = "batches"

    batch_id: Mapped[str] = mapped_column(String(32), primary_key=True)
    gate: Mapped[str] = mapped_column(String(16))
    first: Mapped[int] = mapped_column(BigInteger)
    last: Mapped[int] = mapped_column(BigInteger)
    received: Mapped[int] = mapped_column(BigInteger)
    deliveries: Mapped[int] = mapped_column(BigInteger)


class TapRow(Base):
    """One record. See `reader.taprecord.TapRecord`.

    tested: the day its validity counts on, YYYYMMDD; 0 where it does not. expires: the card's end.
    is_online: counted by the card's online counter (a load), not by the offline one.
    is_copy: another row is the same tap. body: the record as it came, the evidence.
    """

    __tablename__ = "taps"
    __table_args__ = (
        Index("taps_by_card", "serial", "is_online", "counter"),
        Index("taps_by_terminal", "terminal", "terminal_seq"),
    )

    id: Mapped[int] = mapped_column(ROW_ID, primary_key=True)
    batch_id: Mapped[str] = mapped_column(ForeignKey("batches.batch_id"))
    gate: Mapped[str] = mapped_column(String(16))
    mark: Mapped[int] = mapped_column(SmallInteger)
    kind: Mapped[int] = mapped_column(SmallInteger)
    trip: Mapped[int] = mapped_column(SmallInteger)
    serial: Mapped[str] = mapped_column(String(20))
    is_online: Mapped[bool] = mapped_column(Boolean)
    counter: Mapped[int] = mapped_column(BigInteger)
    amount: Mapped[int] = mapped_column(BigInteger)
    before: Mapped[int] = mapped_column(BigInteger)
    after: Mapped[int] = mapped_column(BigInteger)
    terminal: Mapped[str] = mapped_column(String(12))
    terminal_seq: Mapped[int] = mapped_column(BigInteger)
    at: Mapped[int] = mapped_column(BigInteger)
    day: Mapped[int] = mapped_column(BigInteger)
    tested: Mapped[int] = mapped_column(BigInteger)
    expires: Mapped[int] = mapped_column(BigInteger)
    line: Mapped[str] = mapped_column(String(4))
    station: Mapped[str] = mapped_column(String(4))
    operator: Mapped[str] = mapped_column(String(4))
    tac_is_right: Mapped[bool] = mapped_column(Boolean)
    is_copy: Mapped[bool] = mapped_column(Boolean)
    body: Mapped[bytes] = mapped_column(LargeBinary)


class RefusedRow(Base):
    """A message that was refused, by its SHA-256. refusal: see `reader.batch.Refusal`."""

    __tablename__ = "refused"

    digest: Mapped[str] = mapped_column(String(64), primary_key=True)
    name: Mapped[str] = mapped_column(String)
    refusal: Mapped[int] = mapped_column(SmallInteger)
    received: Mapped[int] = mapped_column(BigInteger)


class LostCard(Base):
    """The blacklist: a card, and since when."""

    __tablename__ = "lost_cards"

    serial: Mapped[str] = mapped_column(String(20), primary_key=True)
    since: Mapped[int] = mapped_column(BigInteger)


class KnownGate(Base):
    """The register of gates: which PSAM each holds. While it is empty, every pair is accepted."""

    __tablename__ = "known_gates"

    gate: Mapped[str] = mapped_column(String(16), primary_key=True)
    terminal: Mapped[str] = mapped_column(String(12))


class Finding(Base):
    """A fault, and the tap or batch it is in. wanted, found: what the rule compared."""

    __tablename__ = "findings"

    id: Mapped[int] = mapped_column(ROW_ID, primary_key=True)
    code: Mapped[str] = mapped_column(String(3), index=True)
    tap_id: Mapped[int | None] = mapped_column(ForeignKey("taps.id"))
    batch_id: Mapped[str | None] = mapped_column(String(64))
    wanted: Mapped[int | None] = mapped_column(BigInteger)
    found: Mapped[int | None] = mapped_column(BigInteger)

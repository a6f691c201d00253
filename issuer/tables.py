"""The tables of the office. Money is fen; times are local seconds since 1970 (`issuer.moments`).

A name is in `students` and nowhere else; an id document is nowhere, only its keyed hash. What must
not be changed later (entries, audit, blacklist_changes) is guarded by triggers of the migration.
"""

from datetime import date
from typing import Any

from sqlalchemy import (
    JSON,
    BigInteger,
    Boolean,
    Date,
    ForeignKey,
    Index,
    SmallInteger,
    String,
    UniqueConstraint,
    text,
)
from sqlalchemy.orm import Mapped, mapped_column

from issuer.schema import ROW_ID, Base

USABLE = ("opening", "active")
"""States of a card that take a slot of its holder (R6)."""

_IS_USABLE = text("state IN ('opening', 'active')")


class School(Base):
    """A school. category: see `issuer.roster_file.SCHOOL_KINDS`. is_partner: R4."""

    __tablename__ = "schools"

    code: Mapped[str] = mapped_column(String(16), primary_key=True)
    name_zh: Mapped[str] = mapped_column(String(100))
    name_en: Mapped[str] = mapped_column(String(100))
    category: Mapped[str] = mapped_column(String(16))
    is_partner: Mapped[bool] = mapped_column(Boolean)


class Person(Base):
    """One human being. document_hash: see `issuer.documents`."""

    __tablename__ = "people"
    __table_args__ = (UniqueConstraint("document_hash", name="one_person_per_document"),)

    id: Mapped[int] = mapped_column(ROW_ID, primary_key=True)
    document_hash: Mapped[str] = mapped_column(String(64))


class Student(Base):
    """A person at a school. category, status: see `issuer.applicant`."""

    __tablename__ = "students"
    __table_args__ = (
        UniqueConstraint("school", "number", name="one_student_per_number"),
        Index("students_by_person", "person_id"),
    )

    id: Mapped[int] = mapped_column(ROW_ID, primary_key=True)
    person_id: Mapped[int] = mapped_column(ForeignKey("people.id"))
    school: Mapped[str] = mapped_column(ForeignKey("schools.code"))
    number: Mapped[str] = mapped_column(String(32))
    name: Mapped[str] = mapped_column(String(100))
    category: Mapped[str] = mapped_column(String(24))
    status: Mapped[str] = mapped_column(String(16))
    has_wage: Mapped[bool] = mapped_column(Boolean)


class Account(Base):
    """An account of the App. person_id, student_id: of whom, once authenticated (R5, R24)."""

    __tablename__ = "accounts"
    __table_args__ = (
        UniqueConstraint("login", name="one_account_per_login"),
        UniqueConstraint("person_id", name="one_account_per_person"),
        Index("accounts_by_student", "student_id"),
    )

    id: Mapped[int] = mapped_column(ROW_ID, primary_key=True)
    login: Mapped[str] = mapped_column(String(32))
    person_id: Mapped[int | None] = mapped_column(ForeignKey("people.id"))
    student_id: Mapped[int | None] = mapped_column(ForeignKey("students.id"))
    state: Mapped[str] = mapped_column(String(16))


class IdentityCheck(Base):
    """A token of the identity check. token_hash: SHA-256.

    used: when it proved whose the account is. failed: when the proof failed. Both None: not tried.
    """

    __tablename__ = "identity_checks"
    __table_args__ = (Index("checks_by_account", "account_id"),)

    token_hash: Mapped[str] = mapped_column(String(64), primary_key=True)
    account_id: Mapped[int] = mapped_column(ForeignKey("accounts.id"))
    expires: Mapped[int] = mapped_column(BigInteger)
    used: Mapped[int | None] = mapped_column(BigInteger)
    failed: Mapped[int | None] = mapped_column(BigInteger)


class ServiceToken(Base):
    """A token of the service: see `issuer.tokens`. token_hash: SHA-256. role: see `Role` there.

    account_id: whose, None for a gate's. revoked: when, None if it was not.
    """

    __tablename__ = "tokens"
    __table_args__ = (
        UniqueConstraint("token_hash", name="one_token_per_hash"),
        Index("tokens_by_account", "account_id"),
    )

    id: Mapped[int] = mapped_column(ROW_ID, primary_key=True)
    token_hash: Mapped[str] = mapped_column(String(64))
    role: Mapped[str] = mapped_column(String(16))
    account_id: Mapped[int | None] = mapped_column(ForeignKey("accounts.id"))
    created: Mapped[int] = mapped_column(BigInteger)
    expires: Mapped[int] = mapped_column(BigInteger)
    revoked: Mapped[int | None] = mapped_column(BigInteger)


class CardRow(Base):
    """A card. serial: 20 digits. medium, state: see `issuer.card_states`.

    balance, online_seq: what the office knows of the card. end_date: the last day it is valid.
    slot: which of the person's places for a usable card it takes, from 0 (R6).
    """

    __tablename__ = "cards"
    __table_args__ = (
        UniqueConstraint("serial", name="one_card_per_serial"),
        Index(
            "one_usable_card_per_slot",
            "person_id",
            "slot",
            unique=True,
            sqlite_where=_IS_USABLE,
            postgresql_where=_IS_USABLE,
        ),
        Index("cards_by_person", "person_id"),
        Index("cards_by_student", "student_id"),
    )

    id: Mapped[int] = mapped_column(ROW_ID, primary_key=True)
    serial: Mapped[str] = mapped_column(String(20))
    person_id: Mapped[int] = mapped_column(ForeignKey("people.id"))
    student_id: Mapped[int] = mapped_column(ForeignKey("students.id"))
    slot: Mapped[int] = mapped_column(SmallInteger, server_default="0")
    medium: Mapped[str] = mapped_column(String(16))
    state: Mapped[str] = mapped_column(String(16))
    issued_on: Mapped[date] = mapped_column(Date)
    end_date: Mapped[date] = mapped_column(Date)
    balance: Mapped[int] = mapped_column(BigInteger)
    online_seq: Mapped[int] = mapped_column(BigInteger)
    updated: Mapped[int] = mapped_column(BigInteger)


class Operation(Base):
    """An operation that survives a cut. key: the client's, the same again for the same wish.

    kind: what is done. state: how far it came. data: what the next step needs, nothing personal.
    """

    __tablename__ = "operations"
    __table_args__ = (
        UniqueConstraint("account_id", "key", name="one_operation_per_key"),
        Index("operations_by_card", "card_id"),
        Index("operations_by_state", "state", "updated"),
    )

    id: Mapped[int] = mapped_column(ROW_ID, primary_key=True)
    kind: Mapped[str] = mapped_column(String(16))
    key: Mapped[str] = mapped_column(String(64))
    account_id: Mapped[int] = mapped_column(ForeignKey("accounts.id"))
    card_id: Mapped[int | None] = mapped_column(ForeignKey("cards.id"))
    state: Mapped[str] = mapped_column(String(16))
    amount: Mapped[int] = mapped_column(BigInteger)
    data: Mapped[dict[str, Any]] = mapped_column(JSON)
    created: Mapped[int] = mapped_column(BigInteger)
    updated: Mapped[int] = mapped_column(BigInteger)


class Entry(Base):
    """A side of a posting: see `issuer.ledger`. step: which posting of the operation it is."""

    __tablename__ = "entries"
    __table_args__ = (
        UniqueConstraint("operation_id", "step", "account", name="one_entry_per_step"),
        Index("entries_by_account", "account", "card_id", "amount"),
        Index("entries_by_card", "card_id", "account", "amount"),
    )

    id: Mapped[int] = mapped_column(ROW_ID, primary_key=True)
    operation_id: Mapped[int] = mapped_column(ForeignKey("operations.id"))
    step: Mapped[str] = mapped_column(String(24))
    account: Mapped[str] = mapped_column(String(16))
    card_id: Mapped[int | None] = mapped_column(ForeignKey("cards.id"))
    amount: Mapped[int] = mapped_column(BigInteger)
    at: Mapped[int] = mapped_column(BigInteger)


class Payment(Base):
    """What the payer did: its own books, by its own keys. See `issuer.payer`.

    charge_key: the charge that a refund gives back, None for a payout and for a charge.
    """

    __tablename__ = "payments"
    __table_args__ = (Index("payments_by_charge", "charge_key", "amount"),)

    key: Mapped[str] = mapped_column(String(80), primary_key=True)
    kind: Mapped[str] = mapped_column(String(8))
    account: Mapped[str] = mapped_column(String(64))
    charge_key: Mapped[str | None] = mapped_column(String(80))
    amount: Mapped[int] = mapped_column(BigInteger)
    is_done: Mapped[bool] = mapped_column(Boolean)
    at: Mapped[int] = mapped_column(BigInteger)


class AuditRow(Base):
    """A line of the audit log: see `issuer.audit`. id: no gaps. digest: over it and all before."""

    __tablename__ = "audit"
    __table_args__ = (Index("audit_by_subject", "subject"),)

    id: Mapped[int] = mapped_column(BigInteger, primary_key=True, autoincrement=False)
    at: Mapped[int] = mapped_column(BigInteger)
    actor: Mapped[str] = mapped_column(String(64))
    action: Mapped[str] = mapped_column(String(32))
    subject: Mapped[str] = mapped_column(String(64))
    detail: Mapped[str] = mapped_column(String)
    digest: Mapped[str] = mapped_column(String(64))


class AuditHead(Base):
    """The end of the audit log, one row: a log that was cut off does not reach it."""

    __tablename__ = "audit_head"

    id: Mapped[int] = mapped_column(SmallInteger, primary_key=True, autoincrement=False)
    last: Mapped[int] = mapped_column(BigInteger)
    digest: Mapped[str] = mapped_column(String(64))


class BlacklistChange(Base):
    """A card that a version of the blacklist added or removed."""

    __tablename__ = "blacklist_changes"
    __table_args__ = (Index("changes_by_serial", "serial", "version"),)

    version: Mapped[int] = mapped_column(BigInteger, primary_key=True, autoincrement=False)
    serial: Mapped[str] = mapped_column(String(20), primary_key=True)
    is_added: Mapped[bool] = mapped_column(Boolean)
    at: Mapped[int] = mapped_column(BigInteger)


class Counter(Base):
    """A number that only grows. last: the one given out last."""

    __tablename__ = "counters"

    name: Mapped[str] = mapped_column(String(16), primary_key=True)
    last: Mapped[int] = mapped_column(BigInteger)


class Setting(Base):
    """What a database remembers of how it was set up, such as which key its hashes are under."""

    __tablename__ = "settings"

    name: Mapped[str] = mapped_column(String(32), primary_key=True)
    value: Mapped[str] = mapped_column(String(64))

"""Clearing: takes batches, checks every TAC, examines the books, and closes the day.

`Clearing.receive` is the other end of a station's line (`reader.batch.Receive`): a batch is stored
in one transaction, whole or not at all, and answered only then, so a `kill -9` at any moment loses
nothing and repeating everything doubles nothing. `examine` makes all findings anew from what is
stored (`issuer.rules`), in one transaction.
"""

from collections.abc import Iterable, Iterator, Sequence
from datetime import date, datetime
from hashlib import sha256
from itertools import count, islice
from typing import Any

from sqlalchemy import (
    Connection,
    Engine,
    Table,
    bindparam,
    delete,
    func,
    insert,
    literal,
    select,
    update,
)
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from apdu.bcd import is_decimal, unpack_date
from apdu.crypto import Key
from apdu.purse import LIMIT, LOAD, UNLOAD
from apdu.value import value
from issuer.bulk import insert_rows
from issuer.chains import FoundTap, along_cards, along_terminals, card_rows, terminal_rows
from issuer.database import told, transaction, writing
from issuer.faults import BY_CODE, Fault
from issuer.rules import RULES, Policy, mark_copies
from issuer.schema import BatchRow, Finding, KnownGate, LostCard, RefusedRow, TapRow
from issuer.tac import TacCheck
from reader.batch import HEAD, Answer, Batch, BatchError, Refusal, parse_batch
from reader.taprecord import BODY, Mark, TapRecord
from reader.trips import EP_ADJUST, EP_EXIT

__all__ = ["Clearing", "Exceptional", "Policy", "seconds_of"]

_ONLINE = frozenset((LOAD, UNLOAD, LIMIT))
_EPOCH = date(1970, 1, 1).toordinal()
_DAYS_KEPT = 4096
_AT_ONCE = 1000


@value
class Exceptional:
    """A finding with what it is about. record: the tap, None if a batch was refused.

    name: the batch's id, or the file's or line's name of one that was refused.
    """

    fault: Fault
    name: str
    record: TapRecord | None = None
    wanted: int | None = None
    found: int | None = None


def seconds_of(at: datetime) -> int:
    """Seconds since 1970 of a local time, as if there were no zones."""
    clock = at.hour * 3600 + at.minute * 60 + at.second
    return (at.toordinal() - _EPOCH) * 86_400 + clock


class Clearing:
    """Clearing over a database. tac_root: TMK."""

    def __init__(self, engine: Engine, tac_root: Key, policy: Policy | None = None) -> None:
        self.engine = engine
        self.policy = policy or Policy()
        self._tacs = TacCheck(tac_root)
        self._days: dict[bytes, int] = {}

    def receive(self, message: bytes, received: datetime, name: str = "") -> Answer:
        """Take a batch. Raises DatabaseError; then nothing of it is stored."""
        return self.receive_all([message], received, name)[0]

    def receive_all(
        self, messages: Sequence[bytes], received: datetime, name: str = ""
    ) -> list[Answer]:
        """Take batches in one transaction, which is answered when all of them are kept.

        Returns the answer to each. Raises DatabaseError; then nothing of any is stored.
        """
        read = [self._read(message) for message in messages]
        at = seconds_of(received)
        with told(self.engine):
            try:
                return self._take(read, at, name)
            except IntegrityError:  # another clearing took one between our look and our insert
                return self._take(read, at, name)

    def last(self, gate: bytes) -> int:
        """The number of a gate's last record that was taken. Raises DatabaseError."""
        query = select(func.coalesce(func.max(BatchRow.last), 0)).where(BatchRow.gate == gate.hex())
        with told(self.engine), Session(self.engine) as session:
            return int(session.execute(query).scalar_one())

    def register(self, gates: Iterable[tuple[bytes, bytes]]) -> None:
        """Say which gate holds which PSAM: pairs of gate (8 bytes) and terminal (6 bytes)."""
        with writing(self.engine) as session:
            for gate, terminal in gates:
                session.merge(KnownGate(gate=gate.hex(), terminal=terminal.hex()))

    def blacklist(self, serial: bytes, since: datetime) -> None:
        """Say that a card was reported lost. The first report counts."""
        with writing(self.engine) as session:
            known = session.get(LostCard, serial.hex())
            if known is None:
                session.add(LostCard(serial=serial.hex(), since=seconds_of(since)))
            else:
                known.since = min(known.since, seconds_of(since))

    def examine(self) -> dict[Fault, int]:
        """Apply every rule to everything stored. Returns how many findings there are of each."""
        into = ["code", "tap_id", "batch_id", "wanted", "found"]
        with writing(self.engine) as session:
            session.execute(mark_copies(), execution_options={"synchronize_session": False})
            session.execute(delete(Finding))
            for fault, rule in RULES:
                found = rule(self.policy).subquery()
                told_of = select(
                    literal(fault.code),
                    found.c.tap_id,
                    TapRow.batch_id,
                    found.c.wanted,
                    found.c.found,
                ).join(TapRow, TapRow.id == found.c.tap_id)
                session.execute(insert(Finding).from_select(into, told_of))
            for rows, rule_along in (
                (card_rows(), along_cards),
                (terminal_rows(), along_terminals),
            ):
                streamed = session.execute(rows.execution_options(yield_per=_AT_ONCE))
                _keep(session, rule_along(map(tuple, streamed), self.policy))
            for statement in _of_batches():
                session.execute(insert(Finding).from_select(["code", "batch_id"], statement))
            counted = session.execute(
                select(Finding.code, func.count()).group_by(Finding.code)
            ).all()
        return {BY_CODE[code]: number for code, number in sorted(counted)}

    def exceptions(self, notes: bool = True) -> Iterator[Exceptional]:
        """All findings of the last examination, in the order of their codes."""
        wanted = [fault.code for fault in Fault if notes or not fault.is_note]
        query = (
            select(Finding, TapRow.body, RefusedRow.name)
            .outerjoin(TapRow, TapRow.id == Finding.tap_id)
            .outerjoin(RefusedRow, RefusedRow.digest == Finding.batch_id)
            .where(Finding.code.in_(wanted))
            .order_by(Finding.code, Finding.tap_id, Finding.id)
        )
        with told(self.engine), Session(self.engine) as session:
            for row, body, name in session.execute(query).yield_per(1000):
                yield Exceptional(
                    BY_CODE[row.code],
                    name or row.batch_id or "",
                    None if body is None else TapRecord.parse(body),
                    row.wanted,
                    row.found,
                )

    def _read(self, message: bytes) -> "_Read | _Refused":
        try:
            batch = parse_batch(message)
            return _Read(batch, self._rows(batch, message))
        except BatchError as error:
            return _Refused(error, sha256(message).hexdigest())

    def _take(self, read: Sequence["_Read | _Refused"], received: int, name: str) -> list[Answer]:
        """Store what was read, in one transaction. Raises IntegrityError."""
        with transaction(self.engine) as session:
            connection, answers, taps = session.connection(), [], []
            for one in read:
                if isinstance(one, _Refused):
                    answers.append(_keep_refused(connection, one, received, name))
                    continue
                is_new = _keep_batch(connection, one.batch, received)
                if is_new:
                    taps += one.rows
                refusal = Refusal.NONE if is_new else Refusal.DUPLICATE
                answers.append(Answer(one.batch.batch_id, refusal))
            if taps:
                insert_rows(connection, _TAPS, _COLUMNS, taps)
        return answers

    def _row(self, batch_id: str, record: TapRecord, body: bytes) -> tuple[Any, ...]:
        """A record's row in the order of _COLUMNS. Raises ValueError if its time is none."""
        kind, info = record.kind, record.info
        is_online, is_taken = kind in _ONLINE, record.mark == Mark.TAKEN
        day = record.when[:4]
        began = (
            record.origin_when[:4]
            if record.trip in (EP_EXIT, EP_ADJUST) and any(record.origin_when)
            else day
        )
        return (
            batch_id,
            record.gate.hex(),
            record.mark,
            kind,
            record.trip,
            info[10:20].hex(),
            is_online,
            record.counter,
            record.amount,
            record.before,
            record.after,
            record.terminal.hex(),
            record.terminal_seq,
            self._seconds(record.when),
            int(day.hex()),
            0 if is_online else _day(began),
            _day(info[24:28]),
            record.line.hex(),
            record.station.hex(),
            record.operator.hex(),
            not is_taken or self._tacs.is_right(record),
            False,
            body,
        )

    def _rows(self, batch: Batch, message: bytes) -> list[tuple[Any, ...]]:
        """The rows of a batch. Raises BatchError."""
        batch_id = batch.batch_id.hex()
        try:
            return [
                self._row(batch_id, record, message[at : at + BODY])
                for at, record in zip(count(HEAD, BODY), batch.records, strict=False)
            ]
        except ValueError as error:
            raise BatchError(Refusal.RECORDS, batch.batch_id) from error

    def _seconds(self, when: bytes) -> int:
        """Seconds since 1970 of YYYYMMDDhhmmss. Raises ValueError."""
        midnight = self._days.get(when[:4])
        if midnight is None:
            if len(self._days) >= _DAYS_KEPT:
                self._days.clear()
            midnight = (unpack_date(when[:4]).toordinal() - _EPOCH) * 86_400
            self._days[when[:4]] = midnight
        hours, minutes, seconds = (10 * (b >> 4) + (b & 15) for b in when[4:])
        if hours > 23 or minutes > 59 or seconds > 59:
            raise ValueError(f"{when.hex()} is no time")
        return midnight + hours * 3600 + minutes * 60 + seconds


def _day(written: bytes) -> int:
    """YYYYMMDD as a number; 0 for what is no number: a card's odd bytes spoil no batch."""
    return int(written.hex()) if is_decimal(written) else 0


@value
class _Read:
    """A batch with the rows of its records."""

    batch: Batch
    rows: list[tuple[Any, ...]]


@value
class _Refused:
    """Why a message is none, and its SHA-256."""

    error: BatchError
    digest: str


_BATCHES: Table = BatchRow.__table__  # type: ignore[assignment]
_REFUSED: Table = RefusedRow.__table__  # type: ignore[assignment]
_AGAIN = (
    update(_BATCHES)
    .where(_BATCHES.c.batch_id == bindparam("known"))
    .values(deliveries=_BATCHES.c.deliveries + 1)
)
_BATCH = insert(_BATCHES)
_KNOWN_REFUSAL = select(_REFUSED.c.digest).where(_REFUSED.c.digest == bindparam("known"))
_REFUSAL = insert(_REFUSED)


def _keep_batch(connection: Connection, batch: Batch, received: int) -> bool:
    """Note that a batch came. Returns whether it is the first time."""
    batch_id = batch.batch_id.hex()
    if connection.execute(_AGAIN, {"known": batch_id}).rowcount:
        return False
    row = {
        "batch_id": batch_id,
        "gate": batch.gate.hex(),
        "first": batch.first,
        "last": batch.last,
        "received": received,
        "deliveries": 1,
    }
    connection.execute(_BATCH, row)
    return True


def _keep_refused(connection: Connection, one: _Refused, received: int, name: str) -> Answer:
    """Keep that a message was refused, once however often it comes."""
    error = one.error
    if connection.execute(_KNOWN_REFUSAL, {"known": one.digest}).first() is None:
        row = {
            "digest": one.digest,
            "name": name or error.batch_id.hex(),
            "refusal": int(error.refusal),
            "received": received,
        }
        connection.execute(_REFUSAL, row)
    return Answer(error.batch_id, error.refusal)


_TAPS: Table = TapRow.__table__  # type: ignore[assignment]
_COLUMNS = tuple(column.name for column in _TAPS.columns if column.name != "id")


def _keep(session: Session, found: Iterator[FoundTap]) -> None:
    """Store findings, each once though both chains may give it."""
    while part := list(islice(found, _AT_ONCE)):
        known = set(
            tuple(row)
            for row in session.execute(
                select(Finding.code, Finding.tap_id).where(
                    Finding.tap_id.in_([one.tap_id for one in part])
                )
            )
        )
        rows = {
            (one.fault.code, one.tap_id): {
                "code": one.fault.code,
                "tap_id": one.tap_id,
                "batch_id": one.batch_id,
                "wanted": one.wanted,
                "found": one.found,
            }
            for one in part
        }
        fresh = [row for key, row in rows.items() if key not in known]
        if fresh:
            session.execute(insert(Finding), fresh)


def _of_batches() -> list[Any]:
    """Findings about batches: code and batch, or what was refused."""
    again = select(literal(Fault.BATCH_AGAIN.code), BatchRow.batch_id).where(
        BatchRow.deliveries > 1
    )
    originals = select(TapRow.batch_id).where(TapRow.is_copy.is_(False))
    doubled = select(literal(Fault.DUPLICATED_BATCH.code), BatchRow.batch_id).where(
        BatchRow.batch_id.not_in(originals)
    )
    cut_off = RefusedRow.refusal.in_((int(Refusal.START_MARK), int(Refusal.END_MARK)))
    cut = select(literal(Fault.TRUNCATED_BATCH.code), RefusedRow.digest).where(cut_off)
    spoilt = select(literal(Fault.SPOILT_BATCH.code), RefusedRow.digest).where(~cut_off)
    return [again, doubled, cut, spoilt]

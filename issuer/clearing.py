"""Clearing: takes batches, checks every TAC, examines the books, and closes the day.

`Clearing.receive` is the other end of a station's line (`reader.batch.Receive`): a batch is stored
in one transaction, whole or not at all, and answered only then, so a `kill -9` at any moment loses
nothing and repeating everything doubles nothing. `examine` makes all findings anew from what is
stored (`issuer.rules`), in one transaction.
"""

from collections.abc import Iterable, Iterator
from datetime import date, datetime
from hashlib import sha256
from itertools import count, islice
from typing import Any

from sqlalchemy import Engine, Table, delete, func, insert, literal, select, update
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
        with told(self.engine):
            try:
                batch = parse_batch(message)
                rows = self._rows(batch, message)
            except BatchError as error:
                self._refused(message, error, seconds_of(received), name)
                return Answer(error.batch_id, error.refusal)
            try:
                is_new = self._store(batch, rows, seconds_of(received))
            except IntegrityError:  # another clearing took it between our look and our insert
                is_new = False
        return Answer(batch.batch_id, Refusal.NONE if is_new else Refusal.DUPLICATE)

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

    def _store(self, batch: Batch, rows: list[tuple[Any, ...]], received: int) -> bool:
        """Store a batch in one transaction. Returns whether it was new."""
        batch_id = batch.batch_id.hex()
        with transaction(self.engine) as session:
            again = session.execute(
                update(BatchRow)
                .where(BatchRow.batch_id == batch_id)
                .values(deliveries=BatchRow.deliveries + 1)
            )
            if again.rowcount:  # type: ignore[attr-defined]
                return False
            session.add(
                BatchRow(
                    batch_id=batch_id,
                    gate=batch.gate.hex(),
                    first=batch.first,
                    last=batch.last,
                    received=received,
                    deliveries=1,
                )
            )
            session.flush()
            insert_rows(session.connection(), _TAPS, _COLUMNS, rows)
        return True

    def _refused(self, message: bytes, error: BatchError, received: int, name: str) -> None:
        """Keep that a message was refused, once however often it comes."""
        digest = sha256(message).hexdigest()
        with transaction(self.engine) as session:
            if session.get(RefusedRow, digest) is None:
                told_of = name or error.batch_id.hex()
                session.add(
                    RefusedRow(
                        digest=digest, name=told_of, refusal=int(error.refusal), received=received
                    )
                )

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

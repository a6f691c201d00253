"""The office's book of cards: who has which, one usable card per student at a time (R6).

Where the policy allows a student more, each usable card takes a slot of its own. A slot is kept by
the database: a partial unique index over person and slot of the usable cards. Who asks first locks
the person, so that of many who ask at once as many get a card as there are slots, and the others
get the rule's sentence. A serial is given out in the transaction that writes the card down: a cut
before its end leaves neither, and after it the number is taken for ever.
"""

from dataclasses import dataclass
from datetime import date, datetime

from sqlalchemy import select, update
from sqlalchemy.orm import Session

from issuer.card_states import CardEvent, CardState, Carrier, step
from issuer.database import insert_new
from issuer.errors import DatabaseError
from issuer.moments import seconds_of
from issuer.refusal import Refusal
from issuer.rules_table import holds
from issuer.tables import USABLE, CardRow, Counter, Person, Student

IIN = "31052280"
"""The laboratory's own range of cards, which no real gate accepts (protocol reference 3.2)."""

FIRST_NUMBER = 10_000_000_000
"""Numbers below are left to test cards (D)."""

LAST_NUMBER = 99_999_999_999

_R = CardRow


@dataclass(frozen=True, slots=True)
class Card:
    """A card of the book. serial: 10 bytes. end_date: its last day. balance: fen, as known here.

    online_seq: how many loads and unloads the office knows of. slot: of its person, from 0 (R6).
    """

    id: int
    serial: bytes
    person_id: int
    student_id: int
    carrier: Carrier
    state: CardState
    issued_on: date
    end_date: date
    balance: int
    online_seq: int
    slot: int = 0


@holds("R6")
def reserve(
    session: Session,
    student_id: int,
    carrier: Carrier,
    issued_on: date,
    end_date: date,
    at: datetime,
    limit: int = 1,
) -> Card | Refusal:
    """Take a slot of a student's person for a new card, with a serial of its own.

    limit: how many usable cards a person may have, of all schools together.
    Raises LookupError if there is no such student, ValueError if the serials are used up,
    DatabaseError if the database gives one out again.
    """
    person_id = session.execute(
        select(Student.person_id).where(Student.id == student_id)
    ).scalar_one_or_none()
    if person_id is None:
        raise LookupError(f"there is no student {student_id}")
    session.execute(select(Person.id).where(Person.id == person_id).with_for_update())
    held = usable_of(session, person_id)
    if len(held) >= limit:
        return _taken(held, limit)
    taken = {one.slot for one in held}
    row = CardRow(
        serial=_next_serial(session),
        person_id=person_id,
        student_id=student_id,
        slot=next(slot for slot in range(limit) if slot not in taken),
        medium=carrier.value,
        state=CardState.OPENING.value,
        issued_on=issued_on,
        end_date=end_date,
        balance=0,
        online_seq=0,
        updated=seconds_of(at),
    )
    if not insert_new(session, row):  # not for the slot: nobody gives a locked person a card
        raise DatabaseError(f"card {row.serial} was given out already; the counter was set back")
    return _card(row)


def move(session: Session, card_id: int, event: CardEvent, at: datetime) -> Card | Refusal:
    """Let something happen to a card. Told twice, it changes nothing. Raises LookupError."""
    row = _row(session, card_id)
    after = step(CardState(row.state), event)
    if isinstance(after, Refusal):
        return after
    if after.value != row.state:
        row.state, row.updated = after.value, seconds_of(at)
        session.flush()
    return _card(row)


def note(
    session: Session,
    card_id: int,
    at: datetime,
    balance: int | None = None,
    online_seq: int | None = None,
    end_date: date | None = None,
) -> Card:
    """Write down what was learnt of a card; None leaves it as it was. Raises LookupError."""
    row = _row(session, card_id)
    if balance is not None:
        row.balance = balance
    if online_seq is not None:
        row.online_seq = online_seq
    if end_date is not None:
        row.end_date = end_date
    row.updated = seconds_of(at)
    session.flush()
    return _card(row)


def card(session: Session, card_id: int, is_locked: bool = False) -> Card:
    """A card. is_locked: nobody else moves it until the transaction ends. Raises LookupError."""
    return _card(_row(session, card_id, is_locked))


def by_serial(session: Session, serial: bytes) -> Card | None:
    """The card of a serial (10 bytes), None if it is not the office's."""
    row = session.execute(select(_R).where(_R.serial == serial.hex())).scalar_one_or_none()
    return None if row is None else _card(row)


def usable_of(session: Session, person_id: int) -> list[Card]:
    """The usable cards of a person, the oldest first: at most one, or what the policy says (R6)."""
    query = select(_R).where(_R.person_id == person_id, _R.state.in_(USABLE)).order_by(_R.id)
    return [_card(row) for row in session.scalars(query)]


def cards_of(session: Session, person_id: int) -> list[Card]:
    """Every card a person ever had, the oldest first."""
    query = select(_R).where(_R.person_id == person_id).order_by(_R.id)
    return [_card(row) for row in session.scalars(query)]


def _next_serial(session: Session) -> str:
    """A serial nobody had: 0, the IIN and 11 digits."""
    number = FIRST_NUMBER + int(
        session.execute(
            update(Counter)
            .where(Counter.name == "serial")
            .values(last=Counter.last + 1)
            .returning(Counter.last),
            execution_options={"synchronize_session": False},
        ).scalar_one()
    )
    if number > LAST_NUMBER:
        raise ValueError(f"all serials of IIN {IIN} are used up")
    return f"0{IIN}{number:011d}"


def _row(session: Session, card_id: int, is_locked: bool = True) -> CardRow:
    query = select(_R).where(_R.id == card_id)
    if is_locked:
        # What was read before the lock may be old.
        query = query.with_for_update().execution_options(populate_existing=True)
    row = session.execute(query).scalar_one_or_none()
    if row is None:
        raise LookupError(f"there is no card {card_id}")
    return row


def _card(row: CardRow) -> Card:
    return Card(
        row.id,
        bytes.fromhex(row.serial),
        row.person_id,
        row.student_id,
        Carrier(row.medium),
        CardState(row.state),
        row.issued_on,
        row.end_date,
        row.balance,
        row.online_seq,
        row.slot,
    )


def _taken(held: list[Card], limit: int) -> Refusal:
    is_being_opened = any(one.state is CardState.OPENING for one in held)
    reason = "being_opened" if is_being_opened else "has_card"
    zh, en = (_ONE if limit == 1 else _SEVERAL)[reason]
    return Refusal("R6", reason, zh.format(limit), en.format(limit))


_ONE = {
    "being_opened": (
        "每个学生只允许有一张可正常使用的学生交通卡，您的卡正在开通，请继续完成。",
        "A student may have one usable student card, and yours is being opened; finish that.",
    ),
    "has_card": (
        "每个学生只允许有一张可正常使用的学生交通卡，请先挂失或退卡，再开新卡。",
        "A student may have one usable student card; report yours lost or return it first.",
    ),
}
_SEVERAL = {
    "being_opened": (
        "每个学生最多有{}张可正常使用的学生交通卡，您有一张正在开通，请继续完成。",
        "A student may have {} usable student cards, and one is being opened; finish that.",
    ),
    "has_card": (
        "每个学生最多有{}张可正常使用的学生交通卡，请先挂失或退卡，再开新卡。",
        "A student may have {} usable student cards; report one lost or return it first.",
    ),
}

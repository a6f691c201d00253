"""What a student sees of a card under 手机一卡通: its face, money, days and last trips (R20).

Read from the books alone; no card has to be there. A purse is offline, so its balance is known up
to the last record that gates have sent.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import date, datetime

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from apdu.bcd import unpack_moment
from issuer import cards_book
from issuer.card_states import CardState
from issuer.cards_book import Card
from issuer.database import reading
from issuer.finding import Text
from issuer.moments import day_of, moment_of, seconds_of
from issuer.office import Office
from issuer.operations import DONE, Kind
from issuer.refusal import Refusal
from issuer.rules_table import holds
from issuer.schema import TapRow
from issuer.tables import Account, CardRow, Operation, School, Student
from issuer.topup_book import Ended
from issuer.validity import opens_on, renewal
from reader.taprecord import Mark, TapRecord

TRIPS = 10
"""Trips on a page."""

STATEMENT = 50
"""Lines of a statement."""

_ONLINE = (Kind.TOP_UP, Kind.RETURN)
"""Operations after which the office knows what is on the card."""

Names = Callable[[int, bytes, bytes], str | None]
"""The name of a station or stop: by industry (protocol reference 3.6), line and station, 2 bytes
each as records have them; None if unknown. Names are the operators', so that whoever shows the page
brings them."""


@dataclass(frozen=True, slots=True)
class Trip:
    """A record of a gate, a reader on a bus or a desk. Money is fen.

    kind: trip type (protocol reference 3.6). place, origin: names, digits where there is none;
    "" where a record has no place. began: of what ended here, None if it did not begin elsewhere.
    """

    at: datetime
    kind: int
    industry: int
    place: str
    origin: str
    began: datetime | None
    amount: int
    balance: int


@dataclass(frozen=True, slots=True)
class CardPage:
    """A card as it is shown. Nothing personal is on it, and no name.

    balance: fen. known_at: of when the balance is. days_left: from today to the last day, both
    counted; 0 once it is over. renews_to: the new last day if it were renewed today, None if it may
    not be. renewable_from: the day from which it may be.
    """

    card: Card
    school_zh: str
    school_en: str
    balance: int
    known_at: datetime
    days_left: int
    renews_to: date | None
    renewable_from: date
    trips: tuple[Trip, ...]

    @property
    def share_left(self) -> float:
        """What is left of the card's days, from 0 to 1: the validity bar."""
        whole = (self.card.end_date - self.card.issued_on).days + 1
        return min(self.days_left / whole, 1.0)


@dataclass(frozen=True, slots=True)
class Line:
    """An operation on a statement. amount: fen. serial: of its card, None if it got none.

    key: the one it was asked for with, by which it is resumed or given up.
    """

    at: datetime
    kind: Kind
    state: str
    amount: int
    serial: bytes | None
    key: str


def cards_of(office: Office, account_id: int) -> tuple[Card, ...]:
    """Every card the account's person ever had, the oldest first. Raises LookupError."""
    with reading(office.engine) as session:
        person_id = _person(session, account_id)
        return tuple(cards_book.cards_of(session, person_id)) if person_id else ()


def card_of(office: Office, account_id: int) -> Card | None:
    """The card to show: the usable one, else the last that there was. Raises LookupError.

    Of several usable ones it is the latest that is open.
    """
    with reading(office.engine) as session:
        return _shown(session, account_id)


@holds("R20")
def page(
    office: Office,
    account_id: int,
    names: Names | None = None,
    trips: int = TRIPS,
    serial: bytes | None = None,
) -> CardPage | None:
    """The page of an account's card, None if there never was one. Raises LookupError.

    serial: of which of the person's cards; of the one `card_of` tells if left out.
    """
    at = office.now()
    with reading(office.engine) as session:
        card = _shown(session, account_id, serial)
        if card is None:
            return None
        school = session.execute(
            select(School.name_zh, School.name_en)
            .join(Student, Student.school == School.code)
            .where(Student.id == card.student_id)
        ).one()
        balance, known_at = _balance(session, card)
        after = renewal(at, card.end_date, office.policy, is_reauthenticated=True)
        may_renew = card.state is CardState.ACTIVE and not isinstance(after, Refusal)
        return CardPage(
            card=card,
            school_zh=school.name_zh,
            school_en=school.name_en,
            balance=balance,
            known_at=known_at,
            days_left=max((card.end_date - day_of(at)).days + 1, 0),
            renews_to=after if may_renew and isinstance(after, date) else None,
            renewable_from=opens_on(card.end_date, office.policy),
            trips=tuple(_trips(session, card, names or _no_name, trips)),
        )


@holds("R30")
def phone_damaged(office: Office, account_id: int) -> Text:
    """What to do about a damaged phone: its maker's business, and nothing happens to the card.

    Raises LookupError.
    """
    card = card_of(office, account_id)
    return _DAMAGED if card is None or not card.state.is_usable else _DAMAGED_WITH_CARD


_DAMAGED = Text("手机损坏请咨询手机客服。", "A damaged phone is a matter for its maker's service.")
_DAMAGED_WITH_CARD = Text(
    "手机损坏请咨询手机客服；卡片继续有效；若维修后手机里没有这张卡，请先挂失再重新开卡。",
    "A damaged phone is a matter for its maker's service. The card stays valid; if it is gone from"
    " the phone after the repair, report it lost and open a new one.",
)


def statement(office: Office, account_id: int, most: int = STATEMENT) -> tuple[Line, ...]:
    """What an account has asked for, the latest first. Raises LookupError."""
    query = (
        select(Operation, CardRow.serial)
        .outerjoin(CardRow, CardRow.id == Operation.card_id)
        .where(Operation.account_id == account_id)
        .order_by(Operation.id.desc())
        .limit(most)
    )
    with reading(office.engine) as session:
        _person(session, account_id)
        return tuple(
            Line(
                moment_of(row.updated),
                Kind(row.kind),
                row.state,
                row.amount,
                None if serial is None else bytes.fromhex(serial),
                row.key,
            )
            for row, serial in session.execute(query)
        )


def _person(session: Session, account_id: int) -> int | None:
    """Whose account it is; nothing is locked, for nothing is decided. Raises LookupError."""
    row = session.get(Account, account_id)
    if row is None:
        raise LookupError(f"there is no account {account_id}")
    return row.person_id


def _shown(session: Session, account_id: int, serial: bytes | None = None) -> Card | None:
    person_id = _person(session, account_id)
    if person_id is None:
        return None
    made = [one for one in cards_book.cards_of(session, person_id) if one.state != CardState.VOID]
    if serial is not None:
        return next((one for one in made if one.serial == serial), None)
    return max(made, key=_rank, default=None)


def _rank(card: Card) -> tuple[bool, bool, int]:
    """What is shown first: a card in use, then one that is being opened, then the latest."""
    return card.state.is_usable, card.state is CardState.ACTIVE, card.id


def _balance(session: Session, card: Card) -> tuple[int, datetime]:
    """What is on the card as far as is known, and of when that is.

    The office's own word, unless gates have sent something later.
    """
    ended = func.coalesce(Operation.data["ended"].as_string(), "")
    done = select(func.max(Operation.updated)).where(
        Operation.card_id == card.id,
        Operation.state == DONE,
        Operation.kind.in_(_ONLINE),
        ended != Ended.FROZEN.value,
    )
    told = session.execute(done).scalar_one()
    opened = seconds_of(datetime.combine(card.issued_on, datetime.min.time(), moment_of(0).tzinfo))
    since = opened if told is None else int(told)
    rows = _rows(session, card, 1)
    last = max(rows, key=lambda row: (row.at, not row.is_online), default=None)
    if last is None or last.at < since:
        return card.balance, moment_of(since)
    return last.after, moment_of(last.at)


def _trips(session: Session, card: Card, names: Names, most: int) -> list[Trip]:
    """The last records, the latest first."""
    rows = _rows(session, card, most)
    rows.sort(key=lambda row: (row.at, not row.is_online, row.counter), reverse=True)
    return [_trip(TapRecord.parse(row.body), names) for row in rows[:most]]


def _rows(session: Session, card: Card, most: int) -> list[TapRow]:
    """The last records by each of the card's two counters, in no order."""
    rows: list[TapRow] = []
    for is_online in (False, True):
        query = (
            select(TapRow)
            .where(
                TapRow.serial == card.serial.hex(),
                TapRow.is_online.is_(is_online),
                TapRow.mark == int(Mark.TAKEN),
                TapRow.is_copy.is_(False),
            )
            .order_by(TapRow.counter.desc())
            .limit(most)
        )
        rows += session.scalars(query)
    return rows


def _trip(record: TapRecord, names: Names) -> Trip:
    began = record.origin_when if any(record.origin_when) else None
    return Trip(
        at=_moment(record.when),
        kind=record.trip,
        industry=record.industry,
        place=_place(record.industry, record.line + record.station, names),
        origin=_place(record.industry, record.origin_line + record.origin_station, names),
        began=None if began is None else _moment(began),
        amount=record.amount,
        balance=record.after,
    )


def _moment(when: bytes) -> datetime:
    return unpack_moment(when).replace(tzinfo=moment_of(0).tzinfo)


def _place(industry: int, where: bytes, names: Names) -> str:
    if not any(where):
        return ""
    return names(industry, where[:2], where[2:]) or f"{where[:2].hex()}:{where[2:].hex()}"


def _no_name(industry: int, line: bytes, station: bytes) -> None:
    return None

"""A card is lost: blacklisted at once, dead for ever, and its money is settled once (R29).

    BEGUN -> WAITING: the card is lost, blacklisted, and what it should hold is frozen
    WAITING -> DONE:  settle_days later, less the rides whose records came late

Then the policy says: carry (to the new card, by its next top-up or by `issuer.topups.carry`),
refund (`issuer.returns`), or forfeit. A record that comes still later is the company's loss.
A top-up that is paid and not known to be on the card is part of what the card held: a card that
never comes back cannot spend it twice. What a replacement is: this, then opening a card.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import select
from sqlalchemy.orm import Session

from issuer import audit, blacklist_book, cards_book, ledger, topup_book
from issuer.card_money import owed, sides, unsettled
from issuer.card_states import CardEvent, CardState
from issuer.cards_book import Card
from issuer.database import reading, transact
from issuer.errors import RuleError
from issuer.ledger import Account
from issuer.moments import moment_of, seconds_of
from issuer.office import Office
from issuer.operations import (
    DONE,
    FAILED,
    KEY_REUSED,
    Kind,
    Op,
    begin,
    open_ones,
    operation,
    step,
)
from issuer.payer import PayerAway
from issuer.presenting import account_name, demand, demand_own, one_of, person_of
from issuer.refusal import Refusal
from issuer.rules_table import holds
from issuer.tables import Operation
from issuer.topup_book import CHARGING, GIVING_BACK
from issuer.topup_host import give_back

WAITING = "waiting"
"""The money is frozen until late records are in."""


@dataclass(frozen=True, slots=True)
class Loss:
    """A card that is lost. frozen: fen by the books, before late records.

    settles: from when on its money is settled. version: of the blacklist in which it is.
    """

    op: Op
    card: Card
    frozen: int
    settles: datetime
    version: int


@dataclass(frozen=True, slots=True)
class Settled:
    """What became of a lost card's money, fen. rides: of late records. how: lost_balance."""

    card: Card
    rides: int
    left: int
    how: str


@holds("R29")
def report_lost(office: Office, account_id: int, key: str, serial: bytes | None = None) -> Loss:
    """Report one's card lost. Reported twice, it is lost once. Raises RuleError.

    serial: of which card, 10 bytes. It may be left out where a student has one card at most; where
    the policy allows more, a report told twice must not take the next card too.
    """
    at = office.now()
    return transact(office.engine, lambda s: _report(s, office, (account_id, key), serial, at))


@holds("R29")
def settle(office: Office, at: datetime) -> list[Settled]:
    """Settle the lost cards whose time has come, the oldest first.

    One of which the payer does not answer for a top-up stays for the next time.
    """
    before = seconds_of(at - timedelta(days=office.policy.settle_days))
    query = (
        select(Operation.id)
        .where(
            Operation.state == WAITING,
            Operation.updated <= before,
            Operation.kind == Kind.LOST.value,
        )
        .order_by(Operation.id)
    )
    with reading(office.engine) as session:
        due = [operation(session, number) for number in session.scalars(query)]
    done = (_settle_one(office, op, at) for op in due)
    return [one for one in done if one is not None]


def _freeze(session: Session, card: Card, op: Op, at: datetime) -> None:
    """Move what a card should hold, and what is on its way to it, to FROZEN. Card row held."""
    held = owed(session, Account.CARDS, card.id)
    if held:
        posting = sides(card.id, Account.CARDS, {Account.FROZEN: held})
        ledger.post(session, op.id, f"frozen-{op.state}", posting, at)
    for other in open_ones(session, card.id):
        if other.kind is Kind.TOP_UP:
            topup_book.freeze(session, other, at)
        elif other.kind is Kind.RETURN:
            step(session, other, FAILED, at, data={"ended": "lost"})


def _report(
    session: Session, office: Office, whose: tuple[int, str], serial: bytes | None, at: datetime
) -> Loss:
    account_id, key = whose
    op = demand(begin(session, Kind.LOST, account_id, key, 0, at))
    if op.card_id is not None or op.is_over:
        loss = _told(session, office, op)
        demand_own(session, account_id, loss.card.id)
        return _same(loss, serial)
    cards = cards_book.cards_of(session, person_of(session, account_id))
    held = _meant(office, cards, serial)
    if held is None:
        return _told(session, office, _as_before(session, op, cards, serial, at))
    card = demand(cards_book.move(session, held.id, CardEvent.REPORT_LOST, at))
    _freeze(session, card, op, at)
    version = blacklist_book.change(session, at, added=[card.serial])
    frozen = owed(session, Account.FROZEN, card.id)
    data = {"frozen": frozen, "version": version}
    op = step(session, op, WAITING, at, card_id=card.id, data=data)
    detail = {"op": op.id, "fen": frozen, "version": version}
    subject = f"card:{card.serial.hex()}"
    audit.append(session, at, account_name(account_id), "card.lost", subject, detail)
    return _told(session, office, op)


def _meant(office: Office, cards: list[Card], serial: bytes | None) -> Card | None:
    """The usable card that is lost, None if there is none such. Raises RuleError."""
    usable = [one for one in cards if one.state.is_usable]
    if serial is not None:
        return next((one for one in usable if one.serial == serial), None)
    if usable and office.policy.student_card_limit > 1:
        raise RuleError.of(_WHICH)
    return one_of(usable, None, "R29")


def _same(loss: Loss, serial: bytes | None) -> Loss:
    """The loss, if it is this card's. Raises RuleError."""
    if serial not in (None, loss.card.serial):
        raise RuleError.of(KEY_REUSED)
    return loss


def _as_before(
    session: Session, op: Op, cards: list[Card], serial: bytes | None, at: datetime
) -> Op:
    """The report that a person has made already, told again under a new key. Raises RuleError."""
    lost = [c for c in cards if c.state is CardState.LOST and serial in (None, c.serial)]
    if not lost:
        raise RuleError(
            "R29",
            "您没有可挂失的学生卡。",
            "You have no student card that could be reported lost.",
            "no_card",
        )
    query = select(Operation.id).where(
        Operation.card_id == lost[-1].id,
        Operation.kind == Kind.LOST.value,
        Operation.state.in_((WAITING, DONE)),
    )
    first = operation(session, session.scalars(query.order_by(Operation.id)).first() or 0)
    step(session, op, FAILED, at, data={"ended": "reported_before", "first": first.id})
    return first


def _told(session: Session, office: Office, op: Op) -> Loss:
    first = op.data.get("first")
    if first is not None:
        op = operation(session, first)
    assert op.card_id is not None
    since = session.get_one(Operation, op.id).created
    settles = moment_of(since) + timedelta(days=office.policy.settle_days)
    card = cards_book.card(session, op.card_id)
    return Loss(op, card, op.data["frozen"], settles, op.data["version"])


def _settle_one(office: Office, op: Op, at: datetime) -> Settled | None:
    assert op.card_id is not None
    with reading(office.engine) as session:
        others = topup_book.on_its_way(session, op.card_id)
    try:
        for other in others:
            if other.state in (CHARGING, GIVING_BACK):
                give_back(office, other)
    except PayerAway:
        return None
    return transact(office.engine, lambda s: _settle(s, office, op, at))


def _settle(session: Session, office: Office, op: Op, at: datetime) -> Settled | None:
    assert op.card_id is not None
    card = cards_book.card(session, op.card_id, is_locked=True)
    now = operation(session, op.id)
    if now.state != WAITING:
        return None
    _freeze(session, card, now, at)  # what was paid for since
    rides, held = unsettled(session, card), owed(session, Account.FROZEN, card.id)
    _post_rides(session, now, card, (rides, held), at)
    left, how = max(held - rides, 0), office.policy.lost_balance
    to = {"refund": Account.PAYABLE, "forfeit": Account.FORFEITED}.get(how)
    if left and to is not None:
        ledger.post(session, now.id, how, sides(card.id, Account.FROZEN, {to: left}), at)
    step(session, now, DONE, at, data={"rides": rides, "left": left, "how": how})
    subject = f"card:{card.serial.hex()}"
    audit.append(session, at, "office", "card.settled", subject, {"fen": left, "how": how})
    return Settled(card, rides, left, how)


def _post_rides(session: Session, op: Op, card: Card, money: tuple[int, int], at: datetime) -> None:
    """Credit operators with late rides; what the card did not hold is the company's loss."""
    rides, held = money
    if not rides:
        return
    parts: Iterable[tuple[Account, int]] = (
        (Account.FROZEN, min(rides, held)),
        (Account.FORFEITED, max(rides - held, 0)),
        (Account.OPERATORS, -rides),
    )
    posting = [ledger.Side(account, fen, card.id) for account, fen in parts if fen]
    ledger.post(session, op.id, "rides", posting, at)


_WHICH = Refusal(
    "R29",
    "which_card",
    "每个学生可有多张学生卡，请指明挂失哪一张的卡号。",
    "A student may have several cards here; say which one is lost by its serial.",
)

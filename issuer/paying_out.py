"""A refund is paid: in the App by the payer, out of the charges that filled the card, or in cash.

    BEGUN -> PAYING: what the payer is to do is written down, each part with a key of its own
          -> DONE
An outlet's refund is paid and written down at once.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import select
from sqlalchemy.orm import Session

from issuer import audit, cards_book, ledger
from issuer.card_money import owed, sides
from issuer.card_states import CardEvent, CardState
from issuer.card_states import step as card_step
from issuer.cards_book import Card
from issuer.database import reading, transact
from issuer.errors import RuleError
from issuer.ledger import Account, Side
from issuer.moments import moment_of
from issuer.office import Office
from issuer.operations import BEGUN, DONE, FAILED, Kind, Op, begin, open_ones, operation, step
from issuer.presenting import account_name, demand, demand_own, foreign, person_of
from issuer.refunds import Channel
from issuer.refunds import refund as refund_of
from issuer.refusal import Refusal
from issuer.rules_table import holds
from issuer.tables import Operation
from issuer.topup_book import Ended, Source
from issuer.topup_host import charge_key

PAYING = "paying"

_AT_AN_END = (CardState.RETURNED, CardState.LOST)


@dataclass(frozen=True, slots=True)
class Refunded:
    """A refund that is paid. amount: fen. channel: who paid; NONE if there was nothing to pay."""

    op: Op
    card: Card
    amount: int
    channel: Channel


@holds("R31", "R32")
def refund(office: Office, account_id: int, key: str) -> Refunded:
    """Pay a returned card's money back in the App, if it is below the outlets' threshold.

    It goes back to the charges of the card's top-ups, the newest first; what the payer does not
    take back there, and carried money, is paid to the student. Asked twice, it is paid once.
    Raises RuleError, PayerAway.
    """
    op = transact(office.engine, lambda s: _begin(s, office, account_id, key))
    if op.state == PAYING:
        for number, (charge, fen) in enumerate(op.data["parts"]):
            _pay(office, op, number, charge, fen)
        op = transact(office.engine, lambda s: _end(s, office, op))
    return _told(office, op)


@holds("R31", "R32")
def outlet_refund(office: Office, staff_account_id: int, key: str, serial: bytes) -> Refunded:
    """Pay out in cash, at an outlet, what is owed for a card: any amount.

    Also what a lost card held, once that is settled, to a student who wants no new card: so is a
    card refunded that cannot be read. serial: 10 bytes. Raises RuleError.
    """
    op = transact(office.engine, lambda s: _in_cash(s, office, staff_account_id, key, serial))
    return _told(office, op)


def _begin(session: Session, office: Office, account_id: int, key: str) -> Op:
    at = office.now()
    op = demand(begin(session, Kind.REFUND, account_id, key, 0, at))
    first = op.data.get("first")
    if op.card_id is not None:
        demand_own(session, account_id, op.card_id)
    if first is not None:
        op = operation(session, first)
    if op.card_id is not None or op.is_over:
        return op
    card = _refundable(session, person_of(session, account_id))
    if card.state is CardState.REFUNDED:
        return _as_before(session, op, card, office)
    paying = open_ones(session, card.id, Kind.REFUND)
    if paying:
        data = {"ended": "begun_before", "first": paying[0].id}
        step(session, op, FAILED, at, card_id=card.id, data=data)
        return paying[0]
    fen = owed(session, Account.PAYABLE, card.id)
    said = demand(refund_of(fen, office.policy, has_open_trip=False))
    if said.channel is Channel.OUTLET:
        raise RuleError("R32", said.zh, said.en, "at_an_outlet")
    data = {"fen": fen, "channel": said.channel, "parts": list(_parts(session, op, card, fen))}
    op = step(session, op, PAYING, at, card_id=card.id, data=data)
    return _end(session, office, op) if said.channel is Channel.NONE else op


def _refundable(session: Session, person_id: int) -> Card:
    """The card that a refund is for, held: one that owes something if there is one."""
    cards = cards_book.cards_of(session, person_id)
    over = [one for one in cards if one.state in _AT_AN_END]
    owing = [one for one in over if owed(session, Account.PAYABLE, one.id)]
    returned = [one for one in over if one.state is CardState.RETURNED]
    done = [one for one in cards if one.state is CardState.REFUNDED]
    for found in (owing, returned, done):
        if found:
            return cards_book.card(session, found[-1].id, is_locked=True)
    raise RuleError(
        "R31",
        "没有可退资的卡，请先退卡。",
        "There is no card to refund; return yours first.",
        "nothing_to_refund",
    )


def _as_before(session: Session, op: Op, card: Card, office: Office) -> Op:
    """The refund that was paid already, told again under a new key."""
    query = select(Operation.id).where(
        Operation.card_id == card.id,
        Operation.kind == Kind.REFUND.value,
        Operation.state == DONE,
    )
    first = operation(session, session.scalars(query.order_by(Operation.id.desc())).first() or 0)
    data = {"ended": "refunded_before", "first": first.id}
    step(session, op, FAILED, office.now(), card_id=card.id, data=data)
    return first


def _parts(session: Session, op: Op, card: Card, fen: int) -> Iterator[tuple[int | None, int]]:
    """What the payer is to give back out of which top-up's charge; None: not out of any."""
    query = select(Operation).where(
        Operation.card_id == card.id, Operation.kind.in_((Kind.TOP_UP.value, Kind.REFUND.value))
    )
    rows = session.scalars(query.order_by(Operation.id.desc())).all()
    is_again = any(row.kind == Kind.REFUND.value for row in rows)
    for row in rows:
        data, part = row.data, min(fen, row.amount)
        is_payers = data.get("source") == Source.PAYER and row.account_id == op.account_id
        if is_payers and data.get("ended") == Ended.CREDITED and part and not is_again:
            yield row.id, part
            fen -= part
    if fen:
        yield None, fen


def _pay(office: Office, op: Op, number: int, charge: int | None, fen: int) -> None:
    """Have the payer pay a part, and post it. Raises RuleError if it does not want to."""
    key, name = f"refund-{op.id}-{number}", account_name(op.account_id)
    pay = office.payer.refund
    is_done = charge is not None and pay(key, fen, name, charge_key(charge)).is_done
    if not is_done and not pay(f"{key}-out", fen, name).is_done:
        transact(office.engine, lambda s: _fail(s, office, op))
        raise RuleError.of(_DECLINED)
    transact(office.engine, lambda s: _post(s, office, op, (number, fen)))


def _post(session: Session, office: Office, op: Op, part: tuple[int, int]) -> None:
    number, fen = part
    cards_book.card(session, op.card_id or 0, is_locked=True)  # two may run the same refund
    posting = (Side(Account.PAYABLE, fen, op.card_id), Side(Account.PAYER, -fen))
    ledger.post(session, op.id, f"paid-{number}", posting, office.now())


def _fail(session: Session, office: Office, op: Op) -> None:
    now = operation(session, op.id)
    step(session, now, FAILED, office.now(), data={"ended": Ended.DECLINED})


def _end(session: Session, office: Office, op: Op) -> Op:
    assert op.card_id is not None
    card = cards_book.card(session, op.card_id, is_locked=True)
    now = operation(session, op.id)
    if now.is_over:
        return now
    return _close(session, now, card, office)


def _close(session: Session, op: Op, card: Card, office: Office) -> Op:
    """Write down that a refund is paid."""
    at = office.now()
    if card.state in _AT_AN_END and not _is_frozen(session, card):
        demand(cards_book.move(session, card.id, CardEvent.REFUND, at))
    done = step(session, op, DONE, at, card_id=card.id)
    detail = {"op": op.id, "fen": op.data["fen"], "channel": op.data["channel"]}
    subject = f"card:{card.serial.hex()}"
    audit.append(session, at, account_name(op.account_id), "card.refunded", subject, detail)
    return done


def _is_frozen(session: Session, card: Card) -> bool:
    """Whether a lost card's money is not settled, or waits for the next card."""
    if open_ones(session, card.id, Kind.LOST):
        return True
    return owed(session, Account.FROZEN, card.id) != 0


def _in_cash(session: Session, office: Office, staff_id: int, key: str, serial: bytes) -> Op:
    at = office.now()
    op = demand(begin(session, Kind.REFUND, staff_id, key, 0, at))
    found = cards_book.by_serial(session, serial)
    if found is None or op.card_id not in (None, found.id):
        raise foreign(serial)
    card = cards_book.card(session, found.id, is_locked=True)
    if op.is_over:
        return op
    _demand_alone(session, card)
    _unfreeze(session, office, op, card)
    fen = owed(session, Account.PAYABLE, card.id)
    if not fen:
        _demand_at_an_end(card)
    else:
        posting = (Side(Account.PAYABLE, fen, card.id), Side(Account.CASH, -fen))
        ledger.post(session, op.id, "paid", posting, at)
    data = {"fen": fen, "channel": Channel.OUTLET if fen else Channel.NONE}
    op = step(session, op, BEGUN, at, card_id=card.id, data=data)
    return _close(session, op, card, office)


def _demand_alone(session: Session, card: Card) -> None:
    """Raises RuleError while another refund of the card is being paid."""
    if open_ones(session, card.id, Kind.REFUND):
        raise RuleError.of(_UNDER_WAY)


def _demand_at_an_end(card: Card) -> None:
    """Raises RuleError if a card with nothing to pay cannot be refunded."""
    if card.state is CardState.REFUNDED:
        raise RuleError.of(_BEFORE)
    demand(card_step(card.state, CardEvent.REFUND))


def _unfreeze(session: Session, office: Office, op: Op, card: Card) -> None:
    """Make what a lost card held payable. Raises RuleError before it is settled.

    It may have been refunded in part: what comes back to it later is paid out as well.
    """
    for loss in open_ones(session, card.id, Kind.LOST):
        since = session.get_one(Operation, loss.id).created
        raise RuleError.of(_early(moment_of(since) + timedelta(days=office.policy.settle_days)))
    fen = owed(session, Account.FROZEN, card.id)
    if fen:
        posting = sides(card.id, Account.FROZEN, {Account.PAYABLE: fen})
        ledger.post(session, op.id, "unfrozen", posting, office.now())


def _told(office: Office, op: Op) -> Refunded:
    with reading(office.engine) as session:
        first = op.data.get("first")
        op = op if first is None else operation(session, first)
        if op.state != DONE:
            raise RuleError.of(_DECLINED)
        assert op.card_id is not None
        card = cards_book.card(session, op.card_id)
    return Refunded(op, card, op.data["fen"], Channel(op.data["channel"]))


def _early(settles: datetime) -> Refusal:
    return Refusal(
        "R29",
        "not_settled",
        f"挂失卡余额待结算，{settles:%Y-%m-%d %H:%M}以后办理。",
        f"What the lost card held is settled from {settles:%Y-%m-%d %H:%M} on; come back then.",
    )


_DECLINED = Refusal(
    "R31",
    "payer_declined",
    "原路退款与转账均被拒绝，请到自营服务网点办理退资。",
    "The payer declined the refund; an outlet pays out what is left.",
)
_UNDER_WAY = Refusal(
    "R31",
    "under_way",
    "此卡正在办理退资，请勿重复申请。",
    "A refund of this card is under way; go on with that one.",
)
_BEFORE = Refusal("R31", "refunded_before", "此卡已退资。", "The card was refunded already.")

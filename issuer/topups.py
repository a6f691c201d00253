"""Top-up: the payer is charged once and the card is credited once, wherever it is cut (R25).

Whoever was cut calls again with the same key and presents the card again; a top-up that is not
wanted any more is cancelled. Paid money whose card does not come back waits in PAID_IN: to be
credited, cancelled once the card has shown that it was not credited, or, when the card is reported
lost, to be part of what it held.
The card's part is protocol reference 6.4, and its ceiling is kept here, for the purse has none.
"""

from dataclasses import dataclass

from sqlalchemy import select
from sqlalchemy.orm import Session

from apdu.commands import INIT_LOAD
from apdu.files import PublicInfo
from apdu.show import money
from apdu.sw import SW
from issuer import cards_book, topup_book
from issuer.card_money import left_on_lost
from issuer.card_states import CardState
from issuer.cards_book import Card
from issuer.database import reading, transact
from issuer.errors import RuleError
from issuer.kept import load_in
from issuer.office import Office
from issuer.operations import BEGUN, DONE, FAILED, Kind, Op, begin, operation, step
from issuer.presenting import (
    demand,
    demand_own,
    foreign,
    moment,
    own_card,
    present,
    presented,
    whichever,
)
from issuer.refusal import Refusal
from issuer.rules_table import holds
from issuer.tables import Operation
from issuer.topup_book import (
    AUTHORISED,
    GIVING_BACK,
    Ended,
    Source,
    amount_of,
    card_of,
)
from issuer.topup_host import CreditHost, give_back, over, settle_others, settle_with_card
from reader.loading import load, recover_load
from reader.session import StatusError, Txn


@dataclass(frozen=True, slots=True)
class TopUp:
    """A top-up that is on the card. amount, balance: fen; the balance is the one after it."""

    op: Op
    card: Card
    amount: int
    balance: int


@holds("R25")
def top_up(office: Office, account_id: int, key: str, amount: int) -> Txn[TopUp]:
    """Top up one's own card, paid by the payer. With the same key again it is gone on with.

    amount: fen. An expired card is topped up too: it may be renewed, or let its holder out.
    What a lost card held, once settled, is put on the card as well if it is there still.
    Raises RuleError, PayerAway and what `reader.loading.load` raises.
    """
    _demand_amount(office, amount)
    data = {"source": Source.PAYER, "fen": amount}
    info = yield from presented(office, account_id, key, "R25")
    whose = (account_id, key)
    op = transact(office.engine, lambda s: _begin(s, office, whose, amount, data, _serial(info)))
    done = yield from _go_on(office, op, info)
    also = f"carry-with-{op.id}"
    if not _is_carrying(office, done, also):
        return done
    try:
        carried = yield from carry(office, account_id, also)
    except RuleError:
        return done  # it stays where it is, as for want of room on the card
    return TopUp(done.op, carried.card, done.amount, carried.balance)


@holds("R25")
def outlet_top_up(office: Office, staff_account_id: int, key: str, amount: int) -> Txn[TopUp]:
    """Top up whichever card is presented, paid in cash at an outlet. Otherwise as `top_up`."""
    _demand_amount(office, amount)
    data = {"source": Source.CASH, "fen": amount}
    op = transact(office.engine, lambda s: _same(s, office, (staff_account_id, key), amount, data))
    if op.card_id is not None or op.is_over:
        return (yield from _go_on(office, op))
    info = yield from whichever("R25")
    op = transact(office.engine, lambda s: _bind(s, office, op, info.serial))
    return (yield from _go_on(office, op, info))


@holds("R29")
def carry(office: Office, account_id: int, key: str) -> Txn[TopUp]:
    """Put what a lost card held, once settled, on the new card. One lost card at a time.

    Raises as `top_up`.
    """
    info = yield from presented(office, account_id, key, "R29")
    op = transact(office.engine, lambda s: _begin_carry(s, office, account_id, key, _serial(info)))
    return (yield from _go_on(office, op, info))


def cancel(office: Office, account_id: int, key: str) -> Txn[Op]:
    """Give a top-up back that is not on the card. The card is asked if it may have been credited.

    Returns the operation, which is over. Raises RuleError if there is none, or it is on the card;
    else as `top_up`. Cancelled twice, it is given back once.
    """
    op = transact(office.engine, lambda s: find(s, account_id, key))
    if op is None:
        raise RuleError("R25", "没有这笔充值。", "There is no such top-up.", "no_top_up")
    if op.state == AUTHORISED:
        info = yield from present(_card(office, op).serial, "R25")
        op = yield from settle_with_card(office, op, info)
    op = give_back(office, op)
    if op.state != FAILED:
        raise over(op)
    return op


def pending(office: Office, account_id: int) -> list[Op]:
    """The top-ups of an account that are under way, the oldest first: to finish or to cancel."""
    query = select(Operation.id).where(
        Operation.account_id == account_id,
        Operation.kind == Kind.TOP_UP.value,
        Operation.state.not_in((DONE, FAILED)),
    )
    with reading(office.engine) as session:
        ids = session.scalars(query.order_by(Operation.id)).all()
        return [operation(session, number) for number in ids]


def find(session: Session, account_id: int, key: str) -> Op | None:
    """An account's top-up by its key."""
    query = select(Operation.id).where(
        Operation.account_id == account_id,
        Operation.key == key,
        Operation.kind == Kind.TOP_UP.value,
    )
    found = session.execute(query).scalar_one_or_none()
    return None if found is None else operation(session, found)


def _go_on(office: Office, op: Op, info: PublicInfo | None = None) -> Txn[TopUp]:
    """Bring a top-up to its end from wherever it is. info: of its card, if that is selected."""
    if op.is_over:
        return _told(office, op)
    card = _card(office, op)
    if op.state == GIVING_BACK or card.state is not CardState.ACTIVE:
        raise over(_end_without_card(office, op))
    if info is None:
        info = yield from present(card.serial, "R25")
    yield from settle_others(office, card, info, op.id)
    host = CreditHost(office, op)
    lost = load_in(op.data) if op.state == AUTHORISED else None
    if lost is not None:
        if (yield from recover_load(lost, host)) is not None:
            return _told(office, host.op)
        host.settled = lost.offer
    try:
        yield from load(info, amount_of(op), host, office.terminal, moment(office))
    except StatusError as no:
        if no.spec is INIT_LOAD and no.sw == SW.CONDITIONS_OF_USE:
            raise RuleError.of(_FULL) from no
        raise
    return _told(office, host.op)


def _end_without_card(office: Office, op: Op) -> Op:
    """End a top-up whose card is dead, or that is being given back."""
    if op.state != AUTHORISED:
        return give_back(office, op)

    def work(session: Session) -> Op:
        _, now = topup_book.locked(session, op)
        topup_book.freeze(session, now, office.now())
        return operation(session, op.id)

    return transact(office.engine, work)


def _demand_amount(office: Office, amount: int) -> None:
    """Raises RuleError unless it is an amount by which a card is topped up."""
    least, by = office.gate_policy.load_min, office.gate_policy.load_step
    if isinstance(amount, bool) or not isinstance(amount, int) or amount <= 0:
        raise RuleError(
            "R25",
            "充值金额应为大于零的整数分。",
            "The amount of a top-up is a whole number of fen above 0.",
            "no_amount",
        )
    if amount < least or amount % by:
        raise RuleError(
            "R25",
            f"充值金额至少{least}分，且为{by}分的整数倍。",
            f"The amount of a top-up is at least {least} fen and a multiple of {by} fen.",
            "amount_not_allowed",
        )
    most = office.gate_policy.max_balance
    if amount > most:
        raise RuleError(
            "R25",
            f"一次最多充值{money(most)}元，这是卡内余额的上限。",
            f"One top-up is at most {money(most)} yuan, which is all that a card may hold.",
            "over_ceiling",
        )


Whose = tuple[int, str]
"""An account and its key."""


def _same(session: Session, office: Office, whose: Whose, fen: int, data: dict[str, object]) -> Op:
    """The top-up of this key, with its data. fen: by which a key is told to be used again."""
    account_id, key = whose
    at = office.now()
    op = demand(begin(session, Kind.TOP_UP, account_id, key, fen, at))
    if not op.data:
        return step(session, op, BEGUN, at, data=data)
    if op.data["source"] != data["source"]:
        raise RuleError(
            "R25",
            "该幂等键已用于另一笔业务，请换一个",
            "this idempotency key stands for another operation; choose a new one",
            "key_reused",
        )
    return op


def _begin(
    session: Session,
    office: Office,
    whose: Whose,
    fen: int,
    data: dict[str, object],
    serial: bytes | None,
) -> Op:
    op = _same(session, office, whose, fen, data)
    if op.card_id is not None:
        demand_own(session, whose[0], op.card_id)
        return op
    card = own_card(session, whose[0], "R25", serial)
    return step(session, op, BEGUN, office.now(), card_id=card.id)


def _begin_carry(
    session: Session, office: Office, account_id: int, key: str, serial: bytes | None
) -> Op:
    op = demand(begin(session, Kind.TOP_UP, account_id, key, 0, office.now()))
    if op.card_id is not None:
        demand_own(session, account_id, op.card_id)
        return op
    card = own_card(session, account_id, "R29", serial)
    left = left_on_lost(session, card.person_id)
    if left is None:
        raise RuleError.of(topup_book.NOTHING_LEFT)
    lost, fen = left
    data = {"source": Source.CARRY, "fen": fen, "from": lost}
    return step(session, op, BEGUN, office.now(), card_id=card.id, data=data)


def _bind(session: Session, office: Office, op: Op, serial: bytes) -> Op:
    """Tie a top-up at an outlet to the card that was presented, unless it has one by now."""
    # Two may run it at once, with a card each: the first card is the top-up's.
    session.execute(select(Operation.id).where(Operation.id == op.id).with_for_update())
    op = operation(session, op.id)
    card = cards_book.by_serial(session, serial)
    if card is None or op.card_id not in (None, card.id):
        raise foreign(serial)
    if card.state is not CardState.ACTIVE:
        raise RuleError.of(topup_book.DEAD_CARD)
    return step(session, op, BEGUN, office.now(), card_id=card.id)


def _is_carrying(office: Office, done: TopUp, key: str) -> bool:
    """Whether a lost card's money is to come along, or is on its way under this key."""
    with reading(office.engine) as session:
        begun = find(session, done.op.account_id, key)
        if begun is not None:
            return not begun.is_over
        return left_on_lost(session, done.card.person_id) is not None


def _serial(info: PublicInfo | None) -> bytes | None:
    """Of the card that was presented, None if the operation has no need of it."""
    return None if info is None else info.serial


def _card(office: Office, op: Op) -> Card:
    with reading(office.engine) as session:
        return cards_book.card(session, card_of(op))


def _told(office: Office, op: Op) -> TopUp:
    """What is told of a top-up that is over. Raises RuleError unless it is on the card."""
    if op.data.get("ended") != Ended.CREDITED:
        raise over(op)
    return TopUp(op, _card(office, op), amount_of(op), op.data["balance"])


_FULL = Refusal(
    "R25",
    "over_ceiling",
    "此卡自身的余额上限不容许这样充值，请减少金额。",
    "The card itself has a ceiling, which this top-up would pass; choose a smaller amount.",
)

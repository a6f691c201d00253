"""The books' side of a top-up: every step of it, each one short transaction.

    BEGUN        asked for; nothing was paid
      | before the payer is asked
    CHARGING     the payer may have taken the money
      | the payer says that it has: PAYER to PAID_IN
    CHARGED      paid, and for certain not on the card
      | the card's offer is kept, and MAC2 goes out
    AUTHORISED   paid; the card may have been credited
      | the card's TAC: PAID_IN to CARDS
    DONE

From AUTHORISED a card that proves that it was not credited leads back to CHARGED, and from CHARGED
who changes his or her mind goes by GIVING_BACK to FAILED. Whoever moves a top-up holds its card's
row; a step out of AUTHORISED names the offer that it has settled, so of two who run the same
top-up one gives way.
Money carried from a lost card and cash at an outlet go the same way, with no payer to ask.
"""

from datetime import datetime
from enum import StrEnum

from sqlalchemy.orm import Session

from apdu.records import InitLoadReply
from issuer import audit, cards_book, ledger
from issuer.card_money import owed
from issuer.card_states import CardState
from issuer.cards_book import Card
from issuer.kept import keep, offer_in
from issuer.ledger import Account, Side
from issuer.office import Office
from issuer.operations import BEGUN, DONE, FAILED, Kind, Op, open_ones, operation, step
from issuer.presenting import account_name
from issuer.refusal import Refusal
from reader.loading import UnresolvedLoad
from reader.session import ProtocolError

CHARGING, CHARGED, AUTHORISED = "charging", "charged", "authorised"
GIVING_BACK = "giving_back"

PAID = (CHARGED, AUTHORISED, GIVING_BACK)
"""States in which the money is in PAID_IN."""


class Source(StrEnum):
    """Who pays. CARRY: a lost card, whose number is in the data as `from`."""

    PAYER = "payer"
    CASH = "cash"
    CARRY = "carry"


class Ended(StrEnum):
    """How a top-up ended, in its data as `ended`."""

    CREDITED = "credited"
    DECLINED = "declined"
    GIVEN_UP = "given_up"
    GIVEN_BACK = "given_back"
    FROZEN = "frozen"
    """The card was reported lost; the money went to what it held."""
    PAYABLE = "payable"
    """The payer did not take it back; it is paid out."""


_FROM = {
    Source.PAYER: Account.PAYER,
    Source.CASH: Account.CASH,
    Source.CARRY: Account.FROZEN,
}


def source_of(op: Op) -> Source:
    """Who pays a top-up."""
    return Source(op.data["source"])


def amount_of(op: Op) -> int:
    """What a top-up brings, fen."""
    return int(op.data["fen"])


def card_of(op: Op) -> int:
    """The number of a top-up's card."""
    assert op.card_id is not None
    return op.card_id


def locked(session: Session, op: Op) -> tuple[Card, Op]:
    """A top-up as it stands now, and its card, which nobody else moves until the end."""
    card = cards_book.card(session, card_of(op), is_locked=True)
    return card, operation(session, op.id)


def on_its_way(session: Session, card_id: int, but: int | None = None) -> list[Op]:
    """The top-ups of a card that are under way, the oldest first. but: one that is left out."""
    return [op for op in open_ones(session, card_id, Kind.TOP_UP) if op.id != but]


def admit(
    session: Session, office: Office, op: Op, offer: InitLoadReply, settled: InitLoadReply | None
) -> Op | Refusal:
    """Whether a card that offers this may be credited now. Returns the top-up as it stands.

    settled: the earlier offer of which it is proven that it came to nothing.
    Raises ProtocolError if the card's own number says otherwise.
    """
    card, now = locked(session, op)
    if not _is_ours(now, settled):
        return ELSEWHERE
    if settled is not None:
        demand_same_count(offer, settled)
    if card.state is not CardState.ACTIVE:
        return DEAD_CARD
    if any(one.state != BEGUN for one in open_ones(session, card.id, Kind.RETURN)):
        return BEING_RETURNED
    others = on_its_way(session, card.id, op.id)
    # An older number: another load was made on the card since it offered this one.
    if offer.online_seq < card.online_seq or any(one.state == AUTHORISED for one in others):
        return ELSEWHERE
    waiting = sum(amount_of(one) for one in others if one.state in PAID)
    return over_ceiling(office, offer.balance + waiting, amount_of(op)) or now


def demand_same_count(offer: InitLoadReply, settled: InitLoadReply) -> None:
    """See that a card that denies a load has not counted it. Raises ProtocolError."""
    if offer.online_seq != settled.online_seq:
        raise ProtocolError(
            f"the card counts {offer.online_seq} online transactions and says that load"
            f" {settled.online_seq + 1} was not made"
        )


def _is_ours(now: Op, settled: InitLoadReply | None) -> bool:
    if now.state == AUTHORISED:
        return offer_in(now.data) == settled
    return now.state in (BEGUN, CHARGING, CHARGED)


def over_ceiling(office: Office, held: int, amount: int) -> Refusal | None:
    """Whether a purse would hold too much. held, amount: fen."""
    most = office.gate_policy.max_balance
    if held + amount <= most:
        return None
    room = max(most - held, 0)
    return Refusal(
        "R25",
        "over_ceiling",
        f"卡内余额（含已付未充）最高{_yuan(most)}元，最多还可充{_yuan(room)}元。",
        f"A card holds at most {_yuan(most)} yuan, with what is paid and not on it yet;"
        f" {_yuan(room)} can be added.",
    )


def charging(session: Session, op: Op, at: datetime) -> Op:
    """Say that the payer is about to be asked."""
    _, now = locked(session, op)
    return step(session, now, CHARGING, at) if now.state == BEGUN else now


def take_payment(session: Session, op: Op, at: datetime) -> Op | Refusal:
    """Post the money that was paid, once."""
    _, now = locked(session, op)
    if now.state not in (BEGUN, CHARGING):
        return now
    source, amount = source_of(now), amount_of(now)
    lost: int | None = None
    if source is Source.CARRY:
        lost = int(now.data["from"])
        cards_book.card(session, lost, is_locked=True)
        if owed(session, Account.FROZEN, lost) < amount:
            return NOTHING_LEFT
    sides = (Side(_FROM[source], amount, lost), Side(Account.PAID_IN, -amount, now.card_id))
    ledger.post(session, now.id, "paid", sides, at)
    return step(session, now, CHARGED, at)


def declined(session: Session, op: Op, at: datetime) -> Op:
    """Write down that the payer said no: nothing was changed."""
    _, now = locked(session, op)
    if now.state not in (BEGUN, CHARGING):
        return now
    return step(session, now, FAILED, at, data={"ended": Ended.DECLINED})


def authorise(session: Session, op: Op, made: UnresolvedLoad, at: datetime) -> Op:
    """Keep what it takes to ask for the proof, before MAC2 goes out. After `admit`."""
    return step(session, operation(session, op.id), AUTHORISED, at, data=keep(made))


def credited(session: Session, op: Op, offer: InitLoadReply, at: datetime) -> Op:
    """Post what a card has shown to be credited, once."""
    card, now = locked(session, op)
    if now.state == DONE:
        return now  # told before; or the card was reported lost, and its money goes with it
    if now.state != AUTHORISED or offer_in(now.data) != offer:
        raise ProtocolError("CREDIT FOR LOAD: this load is not the newest that was let through")
    amount, after = amount_of(now), offer.balance + amount_of(now)
    sides = (Side(Account.PAID_IN, amount, card.id), Side(Account.CARDS, -amount, card.id))
    ledger.post(session, now.id, "credited", sides, at)
    cards_book.note(session, card.id, at, balance=after, online_seq=offer.online_seq + 1)
    data = {"ended": Ended.CREDITED, "balance": after}
    done = step(session, now, DONE, at, data=data)
    _tell(session, done, card, "card.topped_up", at)
    return done


def not_credited(session: Session, op: Op, settled: InitLoadReply, at: datetime) -> Op | Refusal:
    """Write down that an offer came to nothing: the money waits again."""
    _, now = locked(session, op)
    if now.state != AUTHORISED:
        return now
    if offer_in(now.data) != settled:
        return ELSEWHERE
    return step(session, now, CHARGED, at)


def begin_back(session: Session, op: Op, at: datetime) -> Op:
    """Decide that the money goes back; if nothing was paid, that is all."""
    now = op if op.card_id is None else locked(session, op)[1]
    if now.state == BEGUN:
        return step(session, now, FAILED, at, data={"ended": Ended.GIVEN_UP})
    return step(session, now, GIVING_BACK, at) if now.state == CHARGED else now


def end_back(session: Session, op: Op, ended: Ended, at: datetime) -> Op:
    """Post the money that went back. ended: GIVEN_BACK, or PAYABLE if the payer did not take it."""
    card, now = locked(session, op)
    if now.state != GIVING_BACK:
        return now
    amount, to = amount_of(now), _FROM[source_of(now)]
    owner = now.data.get("from")
    if ended is Ended.PAYABLE:
        to, owner = Account.PAYABLE, card.id
    sides = (Side(Account.PAID_IN, amount, card.id), Side(to, -amount, owner))
    ledger.post(session, now.id, "back", sides, at)
    done = step(session, now, FAILED, at, data={"ended": ended})
    _tell(session, done, card, "card.given_back", at)
    return done


def freeze(session: Session, op: Op, at: datetime) -> None:
    """Put a top-up's money to what its lost card held, on the card or not. Card row held.

    The card never comes back, so it makes no difference whether it was credited.
    """
    if op.state == BEGUN:
        step(session, op, FAILED, at, data={"ended": Ended.GIVEN_UP})
    if op.state in (CHARGED, AUTHORISED):
        amount, card_id = amount_of(op), op.card_id
        sides = (Side(Account.PAID_IN, amount, card_id), Side(Account.FROZEN, -amount, card_id))
        ledger.post(session, op.id, "frozen", sides, at)
        step(session, op, DONE, at, data={"ended": Ended.FROZEN})


def _tell(session: Session, op: Op, card: Card, action: str, at: datetime) -> None:
    detail = {"op": op.id, "fen": amount_of(op), "source": op.data["source"]}
    subject = f"card:{card.serial.hex()}"
    audit.append(session, at, account_name(op.account_id), action, subject, detail)


def _yuan(fen: int) -> str:
    return f"{fen // 100}.{fen % 100:02d}"


ELSEWHERE = Refusal(
    "R25",
    "under_way",
    "此卡另有一笔充值正在进行，请稍候再试。",
    "Another top-up of this card is under way; try again in a moment.",
)
DEAD_CARD = Refusal(
    "R25",
    "card_not_active",
    "此卡已挂失或退卡，不能充值。",
    "The card was reported lost or returned, and cannot be topped up.",
)
BEING_RETURNED = Refusal(
    "R25",
    "being_returned",
    "此卡正在办理退卡，不能充值。",
    "The card is being returned and cannot be topped up.",
)
NOTHING_LEFT = Refusal(
    "R29",
    "nothing_to_carry",
    "挂失卡没有可转入的余额。",
    "There is no balance of a lost card to carry over.",
)

"""A card is returned, and its money refunded: once, and by whom the amount says (R31 to R33).

    BEGUN -> UNLOADING: the card's offer is kept, and MAC2 goes out; the money may have left it
          -> UNLOADED:  MAC3 has shown that it has: CARDS to PAYABLE, the rest was spent on rides
          -> BLOCKING:  the purse is about to be blocked for good
          -> DONE

A return that was cut is gone on with by its key and the card, or by another key: what the first one
has taken off the card is in its data alone, so a card has one return that has begun to write to it.
It settles first what top-ups of the card are under way: credited ones are on it, others are given
back. The refund is another operation: in the App below the threshold, at an outlet from it.
"""

from dataclasses import dataclass

from sqlalchemy.orm import Session

from apdu.bcd import Moment
from apdu.files import PublicInfo
from apdu.records import InitializeData, InitLoadReply
from issuer import audit, cards_book, ledger, topup_book
from issuer.card_access import CardBlocked, SoftMacHost, WrongCard
from issuer.card_money import owed, sides
from issuer.card_states import CardEvent, CardState
from issuer.cards_book import Card
from issuer.closing import CardOwes, Closed, ClosingHosts, Desk, OpenTrip, close_card
from issuer.database import reading, transact
from issuer.errors import RuleError
from issuer.kept import keep, offer_in, unload_in
from issuer.ledger import Account
from issuer.office import Office
from issuer.operations import BEGUN, DONE, FAILED, Kind, Op, begin, open_ones, operation, step
from issuer.paying_out import Refunded, outlet_refund, refund
from issuer.presenting import (
    account_name,
    demand,
    demand_own,
    foreign,
    locked_out,
    moment,
    own_card,
    present,
    presented,
)
from issuer.refunds import Channel, channel_of
from issuer.refunds import refund as refund_of
from issuer.refusal import Refusal
from issuer.rules_table import holds
from issuer.topup_host import give_back as give_top_up_back
from issuer.topup_host import settle_others
from issuer.unloading import SoftUnloadHost, UnresolvedUnload
from reader.session import ProtocolError, Txn

__all__ = ["Refunded", "Returned", "give_back", "outlet_refund", "refund"]

UNLOADING, UNLOADED, BLOCKING = "unloading", "unloaded", "blocking"


@dataclass(frozen=True, slots=True)
class Returned:
    """A card at its end. amount: fen that is to be refunded. channel: by whom (R32)."""

    op: Op
    card: Card
    amount: int
    channel: Channel


@holds("R33")
def give_back(office: Office, account_id: int, key: str) -> Txn[Returned]:
    """Return one's card: unload it, block it for good, and free the student's slot (R6).

    An expired card is returned as any other. With the same key again it is gone on with; one that
    has begun to write to the card is gone on with by any key.
    Raises RuleError, PayerAway and what `issuer.closing.close_card` raises of links and answers.
    """
    shown = yield from presented(office, account_id, key, "R33")
    serial = None if shown is None else shown.serial
    op = transact(office.engine, lambda s: _begin(s, office, account_id, key, serial))
    if op.is_over:
        _give_top_ups_back(office, op)
        return _told(office, op)
    card = _card(office, op)
    if _has_top_ups(office, card):
        info = yield from present(card.serial, "R33")
        yield from settle_others(office, card, info, None)
        _give_top_ups_back(office, op)
    closed = yield from _close(office, op, card)
    op = transact(office.engine, lambda s: _end(s, office, op, closed))
    _give_top_ups_back(office, op)  # one that was paid while the card was emptied
    return _told(office, op)


def _close(office: Office, op: Op, card: Card) -> Txn[Closed]:
    books = _Books(office, op)
    lost = unload_in(op.data) if op.state == UNLOADING else None
    hosts = ClosingHosts(books, books)
    desk = Desk(office.terminal, moment(office))
    may_be_inside = not office.policy.refund_requires_closed_trip
    if lost is not None:
        books.settled = lost.offer
    try:
        return (yield from close_card(card.serial, hosts, desk, lost, may_be_inside=may_be_inside))
    except OpenTrip as inside:
        raise RuleError.of(_refused(office, 0, is_inside=True)) from inside
    except CardOwes as debt:
        raise RuleError.of(_refused(office, -debt.amount, is_inside=False)) from debt
    except WrongCard as wrong:
        raise foreign(wrong.serial) from wrong
    except CardBlocked as blocked:
        raise locked_out("R33", is_permanent=blocked.is_permanent) from blocked


class _Books:
    """The hosts of a return, that keep books. See `UnloadHost` and `MacHost`.

    settled: the earlier offer of which it is proven that it came to nothing.
    """

    def __init__(self, office: Office, op: Op) -> None:
        self._office = office
        self._op = op
        self._unloads = SoftUnloadHost(office.roots["UMK"])
        self._blocks = SoftMacHost(office.roots["BMK"])
        self.settled: InitLoadReply | None = None

    def authorise(
        self, info: PublicInfo, asked: InitializeData, offer: InitLoadReply, at: Moment
    ) -> bytes:
        """See UnloadHost. Refuses a card that holds more than was ever put on it."""
        mac2 = self._unloads.authorise(info, asked, offer, at)
        if asked.amount != offer.balance:
            raise ProtocolError(
                f"the card said that it holds {asked.amount} fen, and signs {offer.balance}"
            )
        made = UnresolvedUnload(info, asked, offer, at)
        transact(self._office.engine, lambda s: self._let(s, made))
        return mac2

    def confirm(
        self,
        info: PublicInfo,
        asked: InitializeData,
        offer: InitLoadReply,
        at: Moment,
        mac3: bytes,
    ) -> None:
        """See UnloadHost."""
        self._unloads.confirm(info, asked, offer, at, mac3)
        transact(self._office.engine, lambda s: self._paid(s, asked.amount, offer))

    def mac(self, info: PublicInfo, challenge: bytes, command: bytes) -> bytes:
        """See MacHost. From here on a purse that is found blocked was blocked by this return."""
        transact(self._office.engine, self._block)
        return self._blocks.mac(info, challenge, command)

    def _admit(self, session: Session) -> tuple[Card, Op]:
        """The card, held, and the return, if it is the only one that has to do with it."""
        card = cards_book.card(session, self._card_id, is_locked=True)
        now = operation(session, self._op.id)
        is_elsewhere = now.state == UNLOADING and offer_in(now.data) != self.settled
        on_its_way = topup_book.on_its_way(session, card.id)
        if is_elsewhere or any(one.state == topup_book.AUTHORISED for one in on_its_way):
            raise RuleError.of(_ELSEWHERE)
        is_dead = now.is_over or card.state is not CardState.ACTIVE
        if is_dead or _writing(session, now) is not None:
            raise RuleError.of(_ELSEWHERE)
        return card, now

    def _let(self, session: Session, made: UnresolvedUnload) -> None:
        card, now = self._admit(session)
        if made.offer.online_seq < card.online_seq:
            raise RuleError.of(_ELSEWHERE)
        if made.offer.balance > owed(session, Account.CARDS, card.id):
            raise RuleError.of(_TOO_MUCH)
        if self.settled is not None:
            topup_book.demand_same_count(made.offer, self.settled)
        step(session, now, UNLOADING, self._office.now(), data=keep(made))

    def _paid(self, session: Session, amount: int, offer: InitLoadReply) -> None:
        card = cards_book.card(session, self._card_id, is_locked=True)
        now = operation(session, self._op.id)
        if now.state != UNLOADING:
            return  # told before; or the card was reported lost, with all it should have held
        if offer_in(now.data) != offer:
            raise ProtocolError("DEBIT FOR UNLOAD: this is not the newest that was let through")
        at, held = self._office.now(), owed(session, Account.CARDS, card.id)
        to = {Account.PAYABLE: amount, Account.OPERATORS: held - amount}
        posting = sides(card.id, Account.CARDS, to)
        ledger.post(session, now.id, f"unload-{offer.online_seq}", posting, at)
        cards_book.note(session, card.id, at, balance=0, online_seq=offer.online_seq + 1)
        step(session, now, UNLOADED, at)
        self.settled = None

    def _block(self, session: Session) -> None:
        _, now = self._admit(session)
        step(session, now, BLOCKING, self._office.now())

    @property
    def _card_id(self) -> int:
        assert self._op.card_id is not None
        return self._op.card_id


def _begin(session: Session, office: Office, account_id: int, key: str, serial: bytes | None) -> Op:
    at = office.now()
    op = demand(begin(session, Kind.RETURN, account_id, key, 0, at))
    if op.card_id is None:
        card = own_card(session, account_id, "R33", serial)
        op = step(session, op, BEGUN, at, card_id=card.id)
    else:
        demand_own(session, account_id, op.card_id)
    first = op.data.get("first")
    if first is not None:
        return operation(session, first)
    writing = _writing(session, op)
    if op.state != BEGUN or writing is None:
        return op
    step(session, op, FAILED, at, data={"ended": "begun_before", "first": writing.id})
    return writing


def _writing(session: Session, op: Op) -> Op | None:
    """Another return of the same card that may have written to it."""
    assert op.card_id is not None
    others = [one for one in open_ones(session, op.card_id, Kind.RETURN) if one.id != op.id]
    return next((one for one in others if one.state != BEGUN), None)


def _end(session: Session, office: Office, op: Op, closed: Closed) -> Op:
    """Write down that a card is at its end; what was not unloaded was spent on rides."""
    at = office.now()
    assert op.card_id is not None
    held = cards_book.card(session, op.card_id, is_locked=True)
    now = operation(session, op.id)
    if now.is_over:
        return now
    if closed.was_closed and now.state not in (UNLOADED, BLOCKING):
        raise locked_out("R33", is_permanent=True)
    card = demand(cards_book.move(session, held.id, CardEvent.RETURN, at))
    spent = owed(session, Account.CARDS, card.id)
    if spent:
        posting = sides(card.id, Account.CARDS, {Account.OPERATORS: spent})
        ledger.post(session, now.id, "spent", posting, at)
    cards_book.note(session, card.id, at, balance=0)
    fen = owed(session, Account.PAYABLE, card.id)
    done = step(session, now, DONE, at, data={"fen": fen})
    for other in open_ones(session, card.id, Kind.RETURN):
        step(session, other, FAILED, at, data={"ended": "begun_before", "first": done.id})
    subject, detail = f"card:{card.serial.hex()}", {"op": op.id, "fen": fen}
    audit.append(session, at, account_name(op.account_id), "card.returned", subject, detail)
    return done


def _has_top_ups(office: Office, card: Card) -> bool:
    with reading(office.engine) as session:
        return bool(topup_book.on_its_way(session, card.id))


def _give_top_ups_back(office: Office, op: Op) -> None:
    """Give back what was paid and is certainly not on a return's card. Raises PayerAway."""
    with reading(office.engine) as session:
        left = topup_book.on_its_way(session, topup_book.card_of(op))
    for one in left:
        give_top_up_back(office, one)


def _card(office: Office, op: Op) -> Card:
    assert op.card_id is not None
    with reading(office.engine) as session:
        return cards_book.card(session, op.card_id)


def _told(office: Office, op: Op) -> Returned:
    if op.state != DONE:
        raise RuleError.of(_WAS_LOST)
    fen = op.data["fen"]
    return Returned(op, _card(office, op), fen, channel_of(fen, office.policy))


def _refused(office: Office, balance: int, *, is_inside: bool) -> Refusal:
    said = refund_of(balance, office.policy, has_open_trip=is_inside)
    assert isinstance(said, Refusal)
    return said


_ELSEWHERE = Refusal(
    "R33",
    "under_way",
    "此卡另有一笔业务正在进行，请稍候再试。",
    "Something else is under way with this card; try again in a moment.",
)
_TOO_MUCH = Refusal(
    "R31",
    "books_disagree",
    "卡内余额高于后台账目，请到自营服务网点核查。",
    "The card holds more than the books say; an outlet has to look at it.",
)
_WAS_LOST = Refusal(
    "R33",
    "lost_no_return",
    "此卡已挂失，余额按挂失处理。",
    "The card was reported lost, and what it held is settled as that.",
)

"""A top-up's dealings with others: the load host that keeps books for the card, and the payer."""

from collections.abc import Callable
from typing import TypeVar

from sqlalchemy.orm import Session

from apdu.bcd import Moment
from apdu.commands import INIT_LOAD
from apdu.files import PublicInfo
from apdu.fmcos import KEY_INDEX
from apdu.records import InitializeData, InitLoadReply
from issuer import topup_book
from issuer.cards_book import Card
from issuer.database import reading, transact
from issuer.errors import RuleError
from issuer.kept import load_in
from issuer.loads import SoftLoadHost
from issuer.office import Office
from issuer.operations import BEGUN, Op
from issuer.presenting import (
    account_name,
    demand,
    moment,
)
from issuer.refusal import Refusal
from issuer.topup_book import (
    AUTHORISED,
    CHARGING,
    GIVING_BACK,
    Ended,
    Source,
    amount_of,
    source_of,
)
from reader.loading import UnresolvedLoad, recover_load
from reader.session import Txn, ask

T = TypeVar("T")


def settle_with_card(office: Office, op: Op, info: PublicInfo) -> Txn[Op]:
    """Ask the selected card whether an authorised top-up is on it: then DONE, else CHARGED.

    That it is not is proven by MAC1, which covers how often the card was credited.
    """
    lost = load_in(op.data)
    assert lost is not None
    host = CreditHost(office, op)
    if (yield from recover_load(lost, host)) is not None:
        return host.op
    asked = InitializeData(KEY_INDEX, amount_of(op), office.terminal)
    offer = yield from ask("card", INIT_LOAD, asked)
    host.check(info, asked, offer, moment(office))

    def work(session: Session) -> Op | Refusal:
        topup_book.demand_same_count(offer, lost.offer)
        return topup_book.not_credited(session, op, lost.offer, office.now())

    return demand(transact(office.engine, work))


def settle_others(office: Office, card: Card, info: PublicInfo, but: int | None) -> Txn[None]:
    """Ask the selected card about the top-ups of which it is not known whether they are on it.

    Only the last load has a proof, so this comes before the next. but: one that is left out.
    """
    with reading(office.engine) as session:
        others = topup_book.on_its_way(session, card.id, but)
    for op in others:
        if op.state == AUTHORISED:
            yield from settle_with_card(office, op, info)


def give_back(office: Office, op: Op) -> Op:
    """Give a top-up back that is certainly not on a card. Raises PayerAway."""
    if op.state == CHARGING:
        op = _charge(office, op)
    op = transact(office.engine, lambda s: topup_book.begin_back(s, op, office.now()))
    if op.state != GIVING_BACK:
        return op
    ended = Ended.GIVEN_BACK
    if source_of(op) is Source.PAYER and not _is_taken_back(office, op):
        ended = Ended.PAYABLE
    return transact(office.engine, lambda s: topup_book.end_back(s, op, ended, office.now()))


def charge_key(op_id: int) -> str:
    """The payer's key of a top-up's charge."""
    return f"topup-{op_id}"


def _is_taken_back(office: Office, op: Op) -> bool:
    key, name = charge_key(op.id), account_name(op.account_id)
    if office.payer.refund(f"{key}-back", amount_of(op), name, key).is_done:
        return True
    return office.payer.refund(f"{key}-out", amount_of(op), name).is_done


def _charge(office: Office, op: Op) -> Op:
    """Ask the payer, who does one thing for one key. Raises PayerAway."""
    name = account_name(op.account_id)
    answer = office.payer.charge(charge_key(op.id), amount_of(op), name)
    book = topup_book.take_payment if answer.is_done else topup_book.declined
    return demand(transact(office.engine, lambda s: book(s, op, office.now())))


class CreditHost:
    """A load host that keeps books. See `reader.loading.LoadHost`.

    op:      the top-up as far as it has come. settled: see `topup_book.admit`.
    """

    def __init__(self, office: Office, op: Op) -> None:
        self._office = office
        self._keys = SoftLoadHost(office.roots["LMK"], office.roots["TMK"])
        self.op = op
        self.settled: InitLoadReply | None = None

    def check(
        self, info: PublicInfo, asked: InitializeData, offer: InitLoadReply, at: Moment
    ) -> None:
        """Check MAC1. Raises ProtocolError."""
        self._keys.authorise(info, asked, offer, at)

    def authorise(
        self, info: PublicInfo, asked: InitializeData, offer: InitLoadReply, at: Moment
    ) -> bytes:
        """See LoadHost. The rules are held on what the card has signed, before anybody pays."""
        mac2 = self._keys.authorise(info, asked, offer, at)
        made = UnresolvedLoad(info, asked, offer, at, mac2)
        is_payers = source_of(self.op) is Source.PAYER
        if is_payers and self.op.state in (BEGUN, CHARGING):
            self.op = demand(self._transact(lambda s: self._promise(s, offer)))
            self._pay()
        self.op = demand(self._transact(lambda s: self._let(s, made)))
        return mac2

    def confirm(
        self,
        info: PublicInfo,
        asked: InitializeData,
        offer: InitLoadReply,
        at: Moment,
        tac: bytes,
    ) -> None:
        """See LoadHost."""
        self._keys.confirm(info, asked, offer, at, tac)
        now = self._office.now()
        self.op = self._transact(lambda s: topup_book.credited(s, self.op, offer, now))

    def _transact(self, work: Callable[[Session], T]) -> T:
        return transact(self._office.engine, work)

    def _promise(self, session: Session, offer: InitLoadReply) -> Op | Refusal:
        said = topup_book.admit(session, self._office, self.op, offer, self.settled)
        if isinstance(said, Refusal):
            return said
        return topup_book.charging(session, said, self._office.now())

    def _pay(self) -> None:
        """Ask the payer. Raises RuleError if it says no, PayerAway if it says nothing."""
        office, op = self._office, self.op
        name = account_name(op.account_id)
        if office.payer.charge(charge_key(op.id), amount_of(op), name).is_done:
            return
        raise over(self._transact(lambda s: topup_book.declined(s, op, office.now())))

    def _let(self, session: Session, made: UnresolvedLoad) -> Op | Refusal:
        """Post the payment, if it came by now, and let the card be credited if it may be still."""
        now = self._office.now()
        is_payers = source_of(self.op) is Source.PAYER
        if is_payers:
            topup_book.take_payment(session, self.op, now)
        said = topup_book.admit(session, self._office, self.op, made.offer, self.settled)
        if not isinstance(said, Refusal) and not is_payers:
            said = topup_book.take_payment(session, said, now)
        if isinstance(said, Refusal):
            return said
        return topup_book.authorise(session, said, made, now)


def over(op: Op) -> RuleError:
    """The error that tells how a top-up ended."""
    if not op.is_over:
        return RuleError.of(topup_book.ELSEWHERE)
    ended = Ended(op.data["ended"])
    zh, en = _ENDS[ended]
    return RuleError("R25", zh, en, ended.value)


_ENDS = {
    Ended.CREDITED: ("这笔充值已到账。", "This top-up is on the card."),
    Ended.DECLINED: (
        "付款被拒绝，未扣款，请换一种方式再充值。",
        "The payer declined and nothing was charged; begin a new top-up.",
    ),
    Ended.GIVEN_UP: (
        "这笔充值已取消，未扣款。",
        "This top-up was given up before anything was charged.",
    ),
    Ended.GIVEN_BACK: (
        "这笔充值未到账，已退款。",
        "This top-up did not reach the card; the money was given back.",
    ),
    Ended.FROZEN: (
        "此卡已挂失，这笔款项随挂失卡余额处理。",
        "The card was reported lost; this money goes with its balance.",
    ),
    Ended.PAYABLE: (
        "这笔充值未到账，原路退款被拒，请到自营服务网点领取。",
        "This top-up did not reach the card and the payer does not take it back; "
        "an outlet pays it out.",
    ),
}

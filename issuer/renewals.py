"""Renewing a card: one more 30 September, written to the card and then to the book (R27, R28).

    BEGUN    never seen from outside: the wish is written down with its end
       |
    writing  the card gets the end (`issuer.renewing`)
       | read back from the card
    done     the book has it too

The card is read first, and its day is the one that counts, for gates know no other; the book
follows it. The clock is the server's. Cut anywhere, a renewal goes on when it is asked for again
with the same key: a card that has its new day already is not written. Asked for with another key,
the day on the card says that it was renewed, and the book learns that.

A card that refuses the MAC is remembered: the third wrong one in a row would block it for good.
"""

from dataclasses import dataclass
from datetime import date, datetime

from sqlalchemy.orm import Session

from apdu.bcd import unpack_date
from apdu.files import PublicInfo
from issuer import accounts, audit, cards_book, operations
from issuer.applying import demand_student
from issuer.card_access import CardBlocked, SoftMacHost, WrongCard
from issuer.card_states import CardState
from issuer.cards_book import Card
from issuer.database import transact
from issuer.errors import RuleError
from issuer.office import Office
from issuer.operations import DONE, Kind, Op
from issuer.presenting import foreign, locked_out, one_of, present, presented
from issuer.refusal import Refusal
from issuer.renewing import MacRefused, renew_card
from issuer.rules_table import holds
from issuer.validity import day_of, opens_on, renewal, window_year
from reader.session import ProtocolError, Txn

WRITING = "writing"
"""The state of a renewal between its wish and its end."""

MAC_TRIES = 2
"""Wrong MACs that the office lets happen to a card in a row: one less than block it for good (4.6).
"""


@holds("R3", "R4", "R27", "R28")
def renew(office: Office, account_id: int, key: str) -> Txn[Card]:
    """Renew the card of a student, which is presented. Returns it as the book has it then.

    Asked again when it is done, it sends nothing to the card.
    Raises RuleError (NotEligible if the roster has changed; another or a blocked card),
    LookupError, ValueError for a key that is none, DatabaseError; MacRefused, StatusError,
    ProtocolError: then it goes on with the same key.
    """
    several = yield from presented(office, account_id, key, "R27")
    wish = _Wish(office, account_id, key, None if several is None else several.serial)
    card, is_done = wish.card()
    if is_done:
        return card
    info = yield from present(card.serial, "R28")
    end = wish.decide(card, _end_of(info))
    try:
        yield from renew_card(card.serial, end, SoftMacHost(office.roots["AMK"]))
    except MacRefused:
        wish.refused(card)
        raise
    except WrongCard as wrong:
        raise foreign(wrong.serial) from wrong
    except CardBlocked as blocked:
        raise locked_out("R28", is_permanent=blocked.is_permanent) from blocked
    return wish.done(card, end)


def allow_again(office: Office, staff_account_id: int, serial: bytes) -> None:
    """Forget that a card has refused the renewal's MAC: an outlet has found out why.

    serial: 10 bytes. Raises LookupError if the card is not the office's, DatabaseError.
    """
    at = office.now()

    def work(session: Session) -> None:
        card = cards_book.by_serial(session, serial)
        if card is None:
            raise LookupError(f"there is no card {serial.hex()}")
        _forget_refusals(session, card.id, at)
        actor, subject = f"account:{staff_account_id}", f"card:{serial.hex()}"
        audit.append(session, at, actor, "card.renewable_again", subject, {})

    transact(office.engine, work)


def _refusals(session: Session, card_id: int) -> int:
    """How often a card has refused the MAC since a renewal was written to it."""
    return sum(int(op.data.get("refused", 0)) for op in _writing(session, card_id))


def _forget_refusals(session: Session, card_id: int, at: datetime) -> None:
    for op in _writing(session, card_id):
        operations.step(session, op, WRITING, at, data={"refused": 0})


def _writing(session: Session, card_id: int) -> list[Op]:
    """The renewals of a card that are not done, whose row is held."""
    cards_book.card(session, card_id, is_locked=True)
    return operations.open_ones(session, card_id, Kind.RENEW)


@dataclass(frozen=True, slots=True)
class _Wish:
    """serial: of the card that is presented, None if the person has one at most."""

    office: Office
    account_id: int
    key: str
    serial: bytes | None = None

    def card(self) -> tuple[Card, bool]:
        """The card that is meant, and whether it was renewed under this key already."""
        return transact(self.office.engine, self._card)

    def _card(self, session: Session) -> tuple[Card, bool]:
        held = accounts.account(session, self.account_id)
        op = operations.held(session, self.account_id, self.key)
        if op is not None:
            _demand_renewal(op)
        if op is not None and op.state == DONE:
            card = cards_book.card(session, op.card_id or 0)
            if card.person_id != held.person_id:
                raise RuleError.of(_OTHERS)
            return card, True
        if op is None:
            demand_student(self.office, session, self.account_id)
        usable = self._usable(cards_book.usable_of(session, held.person_id or 0), op)
        if usable is None or usable.state is not CardState.ACTIVE:
            raise RuleError.of(_NO_CARD if usable is None else _NOT_OPEN)
        if op is not None and op.card_id != usable.id:
            raise RuleError.of(_OTHER_CARD)
        return usable, False

    def _usable(self, cards: list[Card], op: Op | None) -> Card | None:
        """The card of the operation, else the one that is presented. Raises RuleError."""
        begun = [one for one in cards if op is not None and one.id == op.card_id]
        return begun[0] if begun else one_of(cards, self.serial, "R27")

    def decide(self, card: Card, shown: date) -> date:
        """The end the card gets, written down before the card is written to.

        shown: the last day on the card. Raises RuleError.
        """
        at = self.office.now()

        def work(session: Session) -> date | Refusal:
            self._card(session)
            op = operations.held(session, self.account_id, self.key)
            if op is not None and op.data.get("end") == shown.isoformat():
                return shown  # written by this very renewal; the book does not know yet
            demand_student(self.office, session, self.account_id)
            end = self._allowed(session, shown, at)
            if isinstance(end, Refusal):
                self._learn(session, card, shown, at)
                return end
            if _refusals(session, card.id) >= MAC_TRIES:
                raise RuleError.of(_MAC_REFUSED)
            begun = operations.begin(session, Kind.RENEW, self.account_id, self.key, 0, at)
            if isinstance(begun, Refusal):
                raise RuleError.of(begun)
            told = {"end": end.isoformat(), "before": shown.isoformat()}
            operations.step(session, begun, WRITING, at, card.id, told)
            return end

        said = transact(self.office.engine, work)
        if isinstance(said, Refusal):
            raise RuleError.of(said)
        return said

    def _allowed(self, session: Session, shown: date, at: datetime) -> date | Refusal:
        policy = self.office.policy
        proven = accounts.proven_at(session, self.account_id)
        # Anew: since the window opened that is open now (D).
        since = opens_on(date(window_year(day_of(at), policy), 9, 30), policy)
        is_anew = proven is not None and day_of(proven) >= since
        return renewal(at, shown, policy, is_reauthenticated=is_anew)

    def _learn(self, session: Session, card: Card, shown: date, at: datetime) -> None:
        """Write down a day that is on the card and not in the book.

        Then an earlier renewal wrote it and its end was lost; it is over now.
        """
        for op in operations.open_ones(session, card.id, Kind.RENEW):
            if op.data.get("end") == shown.isoformat():
                operations.step(session, op, DONE, at)
        if cards_book.card(session, card.id, is_locked=True).end_date != shown:
            cards_book.note(session, card.id, at, end_date=shown)
            self._note(session, "card.end_learnt", card, shown, at)

    def refused(self, card: Card) -> None:
        """Remember that the card has refused the MAC."""
        at = self.office.now()

        def work(session: Session) -> None:
            accounts.account(session, self.account_id)
            op = operations.held(session, self.account_id, self.key)
            if op is not None and op.state == WRITING:
                told = {"refused": int(op.data.get("refused", 0)) + 1}
                operations.step(session, op, WRITING, at, data=told)

        transact(self.office.engine, work)

    def done(self, card: Card, end: date) -> Card:
        """The card has its day: the book follows, whatever became of the card meanwhile."""
        at = self.office.now()

        def work(session: Session) -> Card:
            accounts.account(session, self.account_id)
            op = operations.held(session, self.account_id, self.key)
            if op is None or op.state == DONE:
                return cards_book.card(session, card.id)
            operations.step(session, op, DONE, at)
            _forget_refusals(session, card.id, at)
            after = cards_book.note(session, card.id, at, end_date=end)
            self._note(session, "card.renewed", card, end, at)
            return after

        return transact(self.office.engine, work)

    def _note(self, session: Session, action: str, card: Card, end: date, at: datetime) -> None:
        actor, subject = f"account:{self.account_id}", f"card:{card.serial.hex()}"
        audit.append(session, at, actor, action, subject, {"end": end.isoformat()})


def _demand_renewal(op: Op) -> None:
    if op.kind is not Kind.RENEW:
        raise RuleError.of(operations.KEY_REUSED)


def _end_of(info: PublicInfo) -> date:
    """The last day on a card. Raises ProtocolError."""
    try:
        return unpack_date(info.end_date)
    except ValueError as error:
        raise ProtocolError(
            f"the card's last day is {info.end_date.hex()}, which is no day; replace the card"
        ) from error


_NO_CARD = Refusal(
    "R27",
    "no_card",
    "您没有可延期的学生交通卡，请先开卡。",
    "There is no student card of yours to renew; open one first.",
)
_NOT_OPEN = Refusal(
    "R27",
    "being_opened",
    "您的卡正在开通，开通完成后才能延期。",
    "Your card is being opened; it can be renewed when that is done.",
)
_OTHER_CARD = Refusal(
    "R27",
    "other_card",
    "这次延期针对另一张卡，请用新的幂等键为现在的卡办理。",
    "This renewal was begun for another card; ask with a new key for the one you have now.",
)
_MAC_REFUSED = Refusal(
    "R28",
    "mac_refused",
    "卡片两次拒绝延期写入，再次失败将永久锁定，请到自营服务网点检查。",
    "The card has refused the renewal twice, and a third time would block it for good; "
    "have an outlet look at it.",
)
_OTHERS = Refusal(
    "R24",
    "others_card",
    "这张卡不是您本人的，只能办理本人的学生卡。",
    "That card is another person's, and a student handles his or her own.",
)

"""Opening a card for a student, from the rules to the first day it is valid (R1 to R6, R24, R26).

    reserved  a slot of the person is taken, with a serial and an end (a transaction)
       | a blank card is presented
    making    the blank is about to be written to (a transaction, before the first such command)
       | the card is made and read back (`issuer.opening`)
    done      the card is active (a transaction)

Cut anywhere, it goes on when it is asked for again with the same key. A serial is written to one
card alone: once a blank was begun under it, another blank gets a serial of its own, and the first
one is void and blacklisted, for nobody can know how far that card has come. While a run is writing,
another one with a blank of its own is refused; of a run that was killed the office believes that
for `RUN_S`. `give_up` frees the slot.
"""

import secrets
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from sqlalchemy.orm import Session

from apdu.crypto import Key
from apdu.files import PublicInfo
from apdu.order import CardOrder, Secrets
from apdu.records import InitializeData, InitLoadReply
from issuer import accounts, audit, blacklist_book, card_states, cards_book, operations
from issuer.applying import OF_STUDENT, demand, findings_of
from issuer.card_states import CardEvent, Carrier
from issuer.cards_book import Card
from issuer.database import transact
from issuer.errors import DatabaseError, RuleError
from issuer.finding import Finding
from issuer.moments import moment_of, seconds_of
from issuer.office import Office
from issuer.opening import SoftOpeningHost, personalise_card, verify_opened
from issuer.operations import BEGUN, DONE, FAILED, Kind, Op
from issuer.phones import Medium, Phone
from issuer.refusal import Refusal
from issuer.rules_table import holds
from issuer.validity import day_of, is_valid, issue_expiry
from reader.session import Txn

RESERVED, MAKING = "reserved", "making"
"""States of an opening between BEGUN and DONE."""

RUN_S = 60
"""How long a run is believed to be writing that was killed without a word (D)."""

_CARRIERS = {Medium.SUPER_SIM: Carrier.SUPER_SIM}


def check(office: Office, account_id: int, phone: Phone) -> tuple[Finding, ...]:
    """A finding for each rule from R2 to R24, as the roster is now; the account's state follows.

    Raises LookupError if there is no such account, DatabaseError.
    """

    def work(session: Session) -> tuple[Finding, ...]:
        found = findings_of(office, session, account_id, phone)
        broken = [one for one in found if one.rule in OF_STUDENT and one.is_failed]
        accounts.openable(session, account_id, lambda standing: _first(broken))
        return found

    return transact(office.engine, work)


def _first(broken: list[Finding]) -> Refusal | None:
    if not broken:
        return None
    text = broken[0].text
    return Refusal(broken[0].rule, "not_eligible", text.zh, text.en)


@holds("R1", "R26")
def order_of(office: Office, card: Card) -> CardOrder:
    """What is put on a card: the company's number, its serial and its days; nothing personal.

    Of which school it is, the book knows (`cards.student_id`).
    """
    return CardOrder(office.issuer, card.serial, card.issued_on, card.end_date)


@holds("R6", "R24")
def open_card(office: Office, account_id: int, key: str, phone: Phone) -> Txn[Card]:
    """Make the blank card presented a usable card of a student. Returns it, active.

    The rules are asked each time, also when an opening goes on. Asked again when it is done, it
    sends nothing to the card.
    Raises RuleError (NotEligible with all findings), LookupError, ValueError for a key that is
    none, DatabaseError; what `personalise_card` and `verify_opened` raise: then it goes on with the
    same key.
    """
    op, card = _reserved(office, account_id, key, phone)
    if op.state == DONE:
        return card
    making = _Making(office, account_id, op.id, card)
    try:
        is_made = yield from making.make()
    except BaseException:
        making.leave()
        raise
    return making.activate() if is_made else making.card


def give_up(office: Office, account_id: int, key: str) -> Card:
    """End an opening that is not done: the slot is free, and its serial is never used.

    What was made of a blank stays as it is; a serial that may be on one is blacklisted, so that no
    gate takes it. Asked again, it changes nothing. Raises RuleError, LookupError, DatabaseError.
    """
    at = office.now()

    def work(session: Session) -> Card:
        accounts.account(session, account_id)
        op = operations.held(session, account_id, key)
        if op is None or op.kind is not Kind.OPEN or op.card_id is None:
            raise RuleError.of(_NOTHING_TO_GIVE_UP)
        card = cards_book.move(session, op.card_id, CardEvent.GIVE_UP, at)
        if isinstance(card, Refusal):
            raise RuleError.of(card)
        if not op.is_over:
            operations.step(session, op, FAILED, at)
            _void(session, op, card, account_id, at)
        return card

    return transact(office.engine, work)


def _reserved(office: Office, account_id: int, key: str, phone: Phone) -> tuple[Op, Card]:
    """The opening of a key with its card: a new one, or as far as it has come."""
    at = office.now()

    def work(session: Session) -> tuple[Op, Card] | Refusal:
        held = accounts.account(session, account_id)
        op = operations.begin(session, Kind.OPEN, account_id, key, 0, at)
        if isinstance(op, Refusal):
            raise RuleError.of(op)
        card = None if op.card_id is None else cards_book.card(session, op.card_id, True)
        if card is not None and card.person_id != held.person_id:
            raise RuleError.of(_OTHERS)
        if op.state == DONE and card is not None:
            return op, card
        if op.state == FAILED:
            raise RuleError.of(_GIVEN_UP)
        found = findings_of(office, session, account_id, phone)
        demand(tuple(one for one in found if one.rule != "R6"))  # whose last word is the book's
        if op.state == BEGUN or card is None:
            carrier = _CARRIERS.get(phone.medium or Medium.NFC, Carrier.NFC)
            student_id = held.student_id or 0  # which R5 has seen to
            return _reserve(office, session, op, (student_id, carrier), at)
        return _going_on(session, op, card, at)

    said = transact(office.engine, work)
    if isinstance(said, Refusal):
        raise RuleError.of(said)
    return said


def _reserve(
    office: Office, session: Session, op: Op, whose: tuple[int, Carrier], at: datetime
) -> tuple[Op, Card]:
    """Take a slot. Raises RuleError with R6's sentence."""
    end = issue_expiry(at, office.policy)
    limit = office.policy.student_card_limit
    card = cards_book.reserve(session, *whose, day_of(at), end, at, limit)
    if isinstance(card, Refusal):
        raise RuleError.of(card)
    op = operations.step(session, op, RESERVED, at, card.id, {"run": None})
    _note(session, op.account_id, "card.reserved", card, at)
    return op, card


def _going_on(session: Session, op: Op, card: Card, at: datetime) -> tuple[Op, Card] | Refusal:
    """See that an opening can still go on; if its card was lost meanwhile, it is over."""
    after = card_states.step(card.state, CardEvent.ACTIVATE)
    if isinstance(after, Refusal):
        operations.step(session, op, FAILED, at)
        return after
    if not is_valid(at, card.end_date):
        raise RuleError.of(_TOO_LATE)
    return op, card


def _void(session: Session, op: Op, card: Card, account_id: int, at: datetime) -> None:
    """What follows when a serial is given up: no gate takes a card that may have got it."""
    if op.state == MAKING:
        blacklist_book.change(session, at, [card.serial])
    _note(session, account_id, "card.given_up", card, at)


def _note(session: Session, account_id: int, action: str, card: Card, at: datetime) -> None:
    detail = {"end": card.end_date.isoformat(), "medium": card.carrier.value}
    audit.append(session, at, f"account:{account_id}", action, f"card:{card.serial.hex()}", detail)


class _Turn(Exception):
    """No error: the opening goes on with another card, or was done by another run.

    card: with which. is_done: it was opened meanwhile."""

    def __init__(self, card: Card, *, is_done: bool) -> None:
        super().__init__()
        self.card, self.is_done = card, is_done


@dataclass
class _Making:
    """A run that makes a card, and the host of its keys. See `issuer.opening.OpeningHost`.

    run: the name under which it writes to a blank. is_writing: whether it may have begun to.
    """

    office: Office
    account_id: int
    op_id: int
    card: Card
    run: str = field(default_factory=lambda: secrets.token_hex(8))
    is_writing: bool = False

    def make(self) -> Txn[bool]:
        """The card's part. Returns whether there is a card to activate."""
        while True:
            order = order_of(self.office, self.card)
            try:
                yield from personalise_card(order, self)
            except _Turn as turn:
                self.card = turn.card
                if turn.is_done:
                    return False
                continue
            yield from verify_opened(order, self, self.office.terminal)
            return True

    def transport(self) -> Key:
        """See OpeningHost."""
        return self.office.transport

    def secrets(self, order: CardOrder) -> Secrets:
        """See OpeningHost."""
        return self._keys.secrets(order)

    def check(self, info: PublicInfo, asked: InitializeData, offer: InitLoadReply) -> None:
        """See OpeningHost."""
        self._keys.check(info, asked, offer)

    @property
    def _keys(self) -> SoftOpeningHost:
        return SoftOpeningHost(self.office.roots, self.office.transport)

    def begin(self, order: CardOrder) -> None:
        """Take this blank for the opening. Raises RuleError if another run has one in hand."""
        at = self.office.now()

        def work(session: Session) -> _Turn | None:
            op = self._op(session)
            if op.state == DONE or op.card_id != self.card.id:
                card = cards_book.card(session, op.card_id or 0)
                return _Turn(card, is_done=op.state == DONE)
            if op.is_over:
                raise RuleError.of(_GIVEN_UP)
            if op.state == MAKING:
                return _Turn(self._anew(session, op, at), is_done=False)
            told = {"run": self.run, "since": seconds_of(at)}
            operations.step(session, op, MAKING, at, data=told)
            return None

        self.is_writing = True
        turn = transact(self.office.engine, work)
        if turn is not None:
            raise turn

    def _anew(self, session: Session, op: Op, at: datetime) -> Card:
        """Another serial for another blank: nobody knows how far the first one came."""
        since = moment_of(int(op.data["since"]))
        if op.data["run"] is not None and abs(at - since) < timedelta(seconds=RUN_S):
            raise RuleError.of(_IN_HAND)
        old = cards_book.move(session, self.card.id, CardEvent.GIVE_UP, at)
        if isinstance(old, Refusal):
            raise RuleError.of(old)
        blacklist_book.change(session, at, [old.serial])  # counters before the audit log's end
        _, card = _reserve(self.office, session, op, (old.student_id, old.carrier), at)
        _note(session, self.account_id, "card.given_up", old, at)
        return card

    def leave(self) -> None:
        """Say that this run writes no more. A database that fails now is no new trouble."""

        def work(session: Session) -> None:
            op = self._op(session)
            if op.state == MAKING and op.data["run"] == self.run:
                operations.step(session, op, MAKING, self.office.now(), data={"run": None})

        if self.is_writing:
            with suppress(DatabaseError):
                transact(self.office.engine, work)

    def activate(self) -> Card:
        """The card is made: let it be used. Raises RuleError if it was given up meanwhile."""
        at = self.office.now()

        def work(session: Session) -> Card | Refusal:
            op = self._op(session)
            held = cards_book.card(session, self.card.id, is_locked=True)
            if op.state == DONE and op.card_id == held.id:
                return held
            if op.is_over or op.card_id != held.id:
                raise RuleError.of(_GIVEN_UP)
            card = cards_book.move(session, held.id, CardEvent.ACTIVATE, at)
            if isinstance(card, Refusal):
                operations.step(session, op, FAILED, at)
                return card
            operations.step(session, op, DONE, at, data={"run": None})
            _note(session, self.account_id, "card.opened", card, at)
            return card

        said = transact(self.office.engine, work)
        if isinstance(said, Refusal):
            raise RuleError.of(said)
        return said

    def _op(self, session: Session) -> Op:
        """The operation as it stands; whoever asks, locks the account first."""
        accounts.account(session, self.account_id)
        return operations.operation(session, self.op_id)


_GIVEN_UP = Refusal(
    "R24",
    "given_up",
    "这次开卡已取消，请重新办理。",
    "This opening was given up; begin a new one.",
)
_NOTHING_TO_GIVE_UP = Refusal(
    "R24",
    "no_opening",
    "没有可取消的开卡业务。",
    "There is no opening to give up.",
)
_OTHERS = Refusal(
    "R24",
    "others_card",
    "这张卡不是您本人的，只能办理本人的学生卡。",
    "That card is another person's, and a student opens his or her own.",
)
_TOO_LATE = Refusal(
    "R26",
    "expired_unopened",
    "卡片在开通完成前已到期，请取消这次开卡后重新办理。",
    "The card's last day passed before it was opened; give this opening up and begin a new one.",
)
_IN_HAND = Refusal(
    "R6",
    "being_written",
    "每个学生只允许有一张可正常使用的学生交通卡，您的卡正在另一处写入，请稍后再试。",
    "A student may have one usable student card, and yours is being written elsewhere; "
    "try again in a minute.",
)

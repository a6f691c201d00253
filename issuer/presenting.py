"""A card is presented for an operation: whose it is, and the rule's sentence if it cannot be.

A card that is not fit is a rule's no here, because nothing was changed; a card that has left is a
`TransportError` as everywhere.
"""

from typing import TypeVar

from sqlalchemy.orm import Session

from apdu.bcd import Moment
from apdu.files import PublicInfo
from issuer import accounts, cards_book, operations
from issuer.card_access import CardBlocked, WrongCard, find_card, read_public_info, select_purse
from issuer.card_states import CardState
from issuer.cards_book import Card
from issuer.database import reading
from issuer.errors import RuleError
from issuer.moments import SHANGHAI
from issuer.office import Office
from issuer.refusal import Refusal
from issuer.rules_table import holds
from issuer.tables import Account
from reader.session import Txn

T = TypeVar("T")


def demand(said: T | Refusal) -> T:
    """What was asked for. Raises RuleError if it was refused."""
    if isinstance(said, Refusal):
        raise RuleError.of(said)
    return said


def moment(office: Office) -> Moment:
    """The office's time as a card takes it."""
    return Moment.of(office.now().astimezone(SHANGHAI))


def account_name(account_id: int) -> str:
    """An account as the audit log and the payer know it."""
    return f"account:{account_id}"


@holds("R24")
def person_of(session: Session, account_id: int) -> int:
    """Whose an account is: every operation is on that person's own cards. Raises RuleError."""
    held = accounts.account(session, account_id)
    if held.person_id is None:
        raise RuleError(
            "R5",
            "尚未通过身份认证，请先在高校服务中认证。",
            "The identity is not proven yet; do it in 高校服务 first.",
            "not_authenticated",
        )
    return held.person_id


@holds("R24")
def presented(office: Office, account_id: int, key: str, rule: str) -> Txn[PublicInfo | None]:
    """Which card is in the field, if an operation has to know: its person has several (R6).

    None, and nothing is sent, if there is one at most, or the operation of this key has its card
    already. rule: of the operation. Raises RuleError if the card is blocked.
    """
    with reading(office.engine) as session:
        is_plain = not _is_open_to_choice(session, account_id, key)
    return None if is_plain else (yield from whichever(rule))


def _is_open_to_choice(session: Session, account_id: int, key: str) -> bool:
    op = operations.held(session, account_id, key)
    account = session.get(Account, account_id)
    if account is None or account.person_id is None or (op is not None and op.card_id is not None):
        return False
    return len(cards_book.usable_of(session, account.person_id)) > 1


def one_of(cards: list[Card], serial: bytes | None, rule: str) -> Card | None:
    """The card that is meant of a person's usable ones; None if there are none. Raises RuleError.

    serial: of the card that was presented, None if there was no need to.
    """
    if serial is None and len(cards) > 1:
        raise RuleError(
            rule,
            "您有多张可用的学生卡，请指明是哪一张。",
            "You have several usable student cards; say which one is meant.",
            "which_card",
        )
    meant = [one for one in cards if serial in (None, one.serial)]
    if serial is not None and cards and not meant:
        raise foreign(serial)
    return meant[0] if meant else None


def own_card(session: Session, account_id: int, rule: str, serial: bytes | None = None) -> Card:
    """The active card of an account's person. Raises RuleError.

    rule: the one that wants a card. serial: see `one_of`.
    """
    cards = cards_book.usable_of(session, person_of(session, account_id))
    card = one_of(cards, serial, rule)
    if card is None:
        raise RuleError(
            rule,
            "您没有可用的学生卡，请先开卡。",
            "You have no usable student card; open one first.",
            "no_card",
        )
    if card.state is not CardState.ACTIVE:
        raise RuleError(
            rule,
            "您的学生卡正在开通，请先完成开通。",
            "Your student card is being opened; finish that first.",
            "being_opened",
        )
    return card


@holds("R24")
def demand_own(session: Session, account_id: int, card_id: int) -> None:
    """See that a card is of the person whose the account is now: accounts change hands.

    Raises RuleError.
    """
    if cards_book.card(session, card_id).person_id != person_of(session, account_id):
        raise RuleError(
            "R24",
            "这张卡不是您本人的，只能办理本人的学生卡。",
            "That card is another person's, and a student handles his or her own.",
            "others_card",
        )


@holds("R24")
def present(serial: bytes, rule: str) -> Txn[PublicInfo]:
    """Find this card's purse in the field. Raises RuleError if another or no usable one is there.

    rule: of the operation that wants it.
    """
    try:
        return (yield from find_card(serial))
    except WrongCard as wrong:
        raise foreign(wrong.serial) from wrong
    except CardBlocked as blocked:
        raise locked_out(rule, is_permanent=blocked.is_permanent) from blocked


def whichever(rule: str) -> Txn[PublicInfo]:
    """Whatever purse is in the field. Raises RuleError if it is blocked."""
    try:
        yield from select_purse()
    except CardBlocked as blocked:
        raise locked_out(rule, is_permanent=blocked.is_permanent) from blocked
    return (yield from read_public_info())


def foreign(serial: bytes) -> RuleError:
    """The error that tells that a card is not the one that the operation is for."""
    return RuleError(
        "R24",
        f"所贴的卡（{serial.hex()}）不是本业务的卡，请贴本人的卡。",
        f"Card {serial.hex()} is not the one this is for; present your own card.",
        "foreign_card",
    )


def locked_out(rule: str, *, is_permanent: bool) -> RuleError:
    """The error that tells that a card is blocked. rule: of the operation that wants it."""
    if is_permanent:
        return RuleError(
            rule,
            "此卡已永久锁定，请挂失；余额按后台账目处理。",
            "The card is blocked for good; report it lost, and the books tell what it held.",
            "blocked_for_good",
        )
    return RuleError(
        rule,
        "此卡已锁定，请到自营服务网点解锁。",
        "The card is blocked; have an outlet unblock it.",
        "blocked",
    )

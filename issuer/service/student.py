"""What a student's App does, with the card that is presented.

A student has one card, so no route needs the number of one; where the policy allows more, a report
of loss tells which.
"""

from http import HTTPStatus

from fastapi import APIRouter

from issuer import accounts, losses, openings, renewals, returns, status, topups
from issuer.database import reading, transact
from issuer.errors import RuleError
from issuer.refusal import Refusal
from issuer.service.conversations import begin
from issuer.service.guard import GuardedRoute, allow
from issuer.service.house import Caller, TheHouse
from issuer.service.models import (
    AccountBody,
    Amount,
    CheckBody,
    Claim,
    Conversation,
    IdempotencyKey,
    Json,
    PhoneBody,
    Said,
    Serial,
)
from issuer.service.problems import Refused
from issuer.telling import told
from issuer.tokens import Role

router = APIRouter(prefix="/v1", route_class=GuardedRoute)


class NoCard(Refused):
    """A student who never had a card."""

    rule = "R20"

    def __init__(self) -> None:
        zh, en = "您还没有学生卡。", "You have no student card."
        super().__init__(HTTPStatus.NOT_FOUND, "no_card", zh, en)


_ACCOUNT = {"tags": ["account"], **allow(Role.STUDENT)}
_CARD = {"tags": ["cards"], **allow(Role.STUDENT, problems=(404, 409))}


@router.get("/account", **_ACCOUNT)
def account(house: TheHouse, caller: Caller) -> AccountBody:
    """How far the account has come."""
    with reading(house.office.engine) as session:
        return AccountBody(state=accounts.account(session, caller.account).state)


@router.post("/account/identity-check", status_code=201, **_ACCOUNT)
def identity_check(house: TheHouse, caller: Caller) -> CheckBody:
    """Begin an identity check (R5)."""
    office = house.office
    return CheckBody(
        token=transact(
            office.engine, lambda s: accounts.begin_check(s, caller.account, office.now())
        )
    )


@router.post("/account/identity", **{**_ACCOUNT, **allow(Role.STUDENT, problems=(409,))})
def identity(body: Claim, house: TheHouse, caller: Caller) -> AccountBody:
    """Prove whose the account is (R5, R24). The check's token is used up, right or wrong."""
    office = house.office
    claim = accounts.Claim(body.school, body.number, body.name, body.document)
    said = transact(
        office.engine,
        lambda s: accounts.authenticate(
            s, office.documents, caller.account, body.token, claim, office.now(), office.policy
        ),
    )
    if isinstance(said, Refusal):
        raise RuleError.of(said)
    return AccountBody(state=said.state)


@router.post("/eligibility", **{**_ACCOUNT, **allow(Role.STUDENT, problems=(409,))})
def eligibility(body: PhoneBody, house: TheHouse, caller: Caller) -> list[Said]:
    """Every rule from R2 to R24, and whether it holds (R19 is what opening is asked from)."""
    return [Said.of(one) for one in openings.check(house.office, caller.account, body.phone())]


@router.get("/card", **_CARD)
def card(house: TheHouse, caller: Caller) -> Json:
    """The page of the card: its face, balance, validity and last trips (R20)."""
    page = status.page(house.office, caller.account, house.names)
    if page is None:
        raise NoCard
    shown: Json = told(page)
    return shown


@router.get("/statement", **_ACCOUNT)
def statement(house: TheHouse, caller: Caller) -> list[Json]:
    """What the account has asked for, the latest first."""
    lines: list[Json] = told(status.statement(house.office, caller.account))
    return lines


@router.post("/card/open", **_CARD)
def open_card(
    body: PhoneBody, key: IdempotencyKey, house: TheHouse, caller: Caller
) -> Conversation:
    """Open the student's card in the phone (R24)."""
    return begin(house, caller, openings.open_card(house.office, caller.account, key, body.phone()))


@router.post("/card/give-up", status_code=204, **_CARD)
def give_up(key: IdempotencyKey, house: TheHouse, caller: Caller) -> None:
    """Give up an opening that was begun (R24)."""
    openings.give_up(house.office, caller.account, key)


@router.post("/card/top-up", **_CARD)
def top_up(body: Amount, key: IdempotencyKey, house: TheHouse, caller: Caller) -> Conversation:
    """Top up the student's own card (R25)."""
    return begin(house, caller, topups.top_up(house.office, caller.account, key, body.amount))


@router.post("/card/renew", **_CARD)
def renew(key: IdempotencyKey, house: TheHouse, caller: Caller) -> Conversation:
    """Renew the card to the next 30 September (R27)."""
    return begin(house, caller, renewals.renew(house.office, caller.account, key))


@router.post("/card/return", **_CARD)
def give_back(key: IdempotencyKey, house: TheHouse, caller: Caller) -> Conversation:
    """Return the card: its money comes off, and it is blocked for good (R33)."""
    return begin(house, caller, returns.give_back(house.office, caller.account, key))


@router.post("/card/carry", **_CARD)
def carry(key: IdempotencyKey, house: TheHouse, caller: Caller) -> Conversation:
    """Load what a lost card held onto the new one (R29)."""
    return begin(house, caller, topups.carry(house.office, caller.account, key))


@router.post("/card/lost", **_CARD)
def lost(key: IdempotencyKey, house: TheHouse, caller: Caller, body: Serial | None = None) -> Json:
    """Report the card lost: it is on the blacklist at once (R29).

    The serial is needed only where a student may have several cards.
    """
    serial = None if body is None else bytes.fromhex(body.serial)
    loss: Json = told(losses.report_lost(house.office, caller.account, key, serial))
    return loss


@router.post("/card/refund", **_CARD)
def refund(key: IdempotencyKey, house: TheHouse, caller: Caller) -> Json:
    """Refund a card that was returned, below the outlet's threshold (R31, R32)."""
    refunded: Json = told(returns.refund(house.office, caller.account, key))
    return refunded

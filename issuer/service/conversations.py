"""Operations with a card: each is begun by a route of its own and goes on in a conversation."""

from typing import Any

from fastapi import APIRouter

from issuer.service.guard import GuardedRoute, allow
from issuer.service.house import Caller, House, TheHouse
from issuer.service.models import CardAnswer, Conversation, Json
from issuer.telling import told
from issuer.tokens import Bearer, Role
from reader.session import Txn

router = APIRouter(prefix="/v1/sessions", tags=["cards"], route_class=GuardedRoute)


def begin(house: House, caller: Bearer, transaction: Txn[Any]) -> Conversation:
    """Begin a conversation for a caller."""
    return Conversation.of(house.relay.start(caller.account, _as_json(transaction)))


def _as_json(transaction: Txn[Any]) -> Txn[Json]:
    value = yield from transaction
    result: Json = told(value)
    return result


_BOTH = (Role.STUDENT, Role.STAFF)


@router.post("/{session}", **allow(*_BOTH, problems=(404, 409)))
def answer(session: str, body: CardAnswer, house: TheHouse, caller: Caller) -> Conversation:
    """Give the card's answer and get its next command, or the result.

    Sent again, because the reply was lost, it is answered the same.
    """
    return Conversation.of(house.relay.answer(session, caller.account, body.turn, body.response()))


@router.delete("/{session}", status_code=204, **allow(*_BOTH, problems=(404,)))
def drop(session: str, house: TheHouse, caller: Caller) -> None:
    """Leave a conversation; the operation stays where it stands until it is begun again."""
    house.relay.drop(session, caller.account)

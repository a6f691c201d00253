"""What the books say of one card's money, and of the rides that reduced it.

An offline purse is known only as far as gates have sent their records. What a card should hold is
what was put on it, less the rides whose records are in.
"""

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from apdu.bcd import digits
from issuer.card_states import CardState
from issuer.cards_book import Card
from issuer.ledger import Account, Side, balance_of
from issuer.operations import DONE, Kind
from issuer.schema import TapRow
from issuer.tables import CardRow, Operation
from reader.taprecord import Mark

_T = TapRow


def owed(session: Session, account: Account, card_id: int) -> int:
    """What an account owes for a card, fen: above zero if it does."""
    return -balance_of(session, account, card_id)


def ridden(session: Session, serial: bytes) -> int:
    """What a card has paid for rides by the records that are in, fen: each transaction once.

    serial: 10 bytes. A record whose TAC is wrong is nobody's ride.
    """
    once = (
        select(func.max(_T.amount).label("fen"))
        .where(
            _T.serial == digits(serial),
            _T.is_online.is_(False),
            _T.mark == int(Mark.TAKEN),
            _T.tac_is_right,
        )
        .group_by(_T.counter)
        .subquery()
    )
    return int(session.execute(select(func.coalesce(func.sum(once.c.fen), 0))).scalar_one())


def unsettled(session: Session, card: Card) -> int:
    """What a card's rides came to beyond what operators were credited with already, fen."""
    credited = owed(session, Account.OPERATORS, card.id)
    return max(ridden(session, card.serial) - credited, 0)


def left_on_lost(session: Session, person_id: int) -> tuple[int, int] | None:
    """A lost card of a person's whose settled money waits, and how much, fen; the oldest first.

    One of which something was refunded is as good: what came back to it since has no other way out.
    """
    query = (
        select(CardRow.id)
        .join(Operation, Operation.card_id == CardRow.id)
        .where(
            CardRow.person_id == person_id,
            CardRow.state.in_((CardState.LOST.value, CardState.REFUNDED.value)),
            Operation.kind == Kind.LOST.value,
            Operation.state == DONE,
        )
        .order_by(CardRow.id)
    )
    for card_id in session.scalars(query):
        fen = owed(session, Account.FROZEN, card_id)
        if fen > 0:
            return card_id, fen
    return None


def sides(card_id: int, source: Account, amounts: dict[Account, int]) -> list[Side]:
    """A posting that moves a card's money from one account to others; empty if there is none."""
    moved = [Side(to, -fen, card_id) for to, fen in amounts.items() if fen]
    total = sum(amounts.values())
    return [Side(source, total, card_id), *moved] if total else moved

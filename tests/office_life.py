"""Everything the office's books can do, once, for a student and his or her cards."""

from datetime import timedelta

from sqlalchemy import insert

from issuer import accounts, audit, blacklist_book, cards_book, ledger
from issuer.card_states import CardEvent
from issuer.cards_book import Card
from issuer.ledger import Account, Side
from issuer.payer import SoftPayer
from issuer.tables import Operation
from tests.offices import NOW, Office, claim, document, may_open


def live(office: Office, number: int = 0) -> None:
    """A student's first card is lost, the second is returned and refunded."""
    account = office.account(number)
    office.authenticate(account, claim(number, name="Nobody"))
    office.authenticate(account, claim(number + 1, document=document(number + 1)))
    held = office.do(accounts.openable, account, may_open)
    assert held.student_id is not None
    payer = SoftPayer(office.engine, lambda: NOW)
    for way in ((CardEvent.REPORT_LOST,), (CardEvent.RETURN, CardEvent.REFUND)):
        card = office.reserve(held.student_id)
        office.reserve(held.student_id)
        assert isinstance(card, Card)
        office.do(cards_book.move, card.id, CardEvent.ACTIVATE, NOW)
        office.do(cards_book.by_serial, card.serial)
        _pay(office, payer, account, card)
        for event in way:
            office.do(cards_book.move, card.id, event, NOW)
            _note(office, account, f"card.{event}", card)
        office.do(blacklist_book.change, NOW, [card.serial])
        office.do(blacklist_book.since, card.serial)
    office.do(cards_book.cards_of, card.person_id)
    office.do(accounts.release, account)


def _pay(office: Office, payer: SoftPayer, account: int, card: Card) -> None:
    key = f"topup-{card.id}"
    row = {"kind": "topup", "key": key, "account_id": account, "card_id": card.id}
    row |= {"state": "begun", "amount": 5000, "data": {}, "created": 0, "updated": 0}
    operation = office.do(
        lambda s: s.execute(insert(Operation).returning(Operation.id), row).scalar()
    )
    for _ in range(2):
        payer.charge(key, 5000, f"account{account}")
        payer.refund(f"{key}-back", 1000, f"account{account}", key)
        sides = (Side(Account.PAYER, 4000), Side(Account.CARDS, -4000, card.id))
        office.do(ledger.post, operation, "paid", sides, NOW + timedelta(seconds=1))
    office.do(ledger.balance_of, Account.CARDS, card.id)
    office.do(cards_book.note, card.id, NOW, balance=4000, online_seq=1)


def _note(office: Office, account: int, action: str, card: Card) -> None:
    subject = f"card:{card.serial.hex()}"
    office.do(audit.append, NOW, f"account:{account}", action, subject, {"fen": card.balance})

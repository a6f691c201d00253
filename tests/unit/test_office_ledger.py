"""The ledger: every posting sums to zero, once."""

import pytest
from sqlalchemy import insert, text

from issuer.ledger import Account, Side, balance_of, post, trial_balance
from issuer.tables import Operation
from tests.offices import NOW, Office

PAID = (Side(Account.PAYER, 5000), Side(Account.PAID_IN, -5000))


@pytest.fixture
def operation(office: Office) -> int:
    """An operation of a student's account, with a card."""
    account, student = office.account(), office.student(1)
    card = office.reserve(student)
    row = {
        "kind": "topup",
        "key": "k",
        "account_id": account,
        "card_id": card.id,
        "state": "begun",
        "amount": 5000,
        "data": {},
        "created": 0,
        "updated": 0,
    }
    return office.do(lambda s: s.execute(insert(Operation).returning(Operation.id), row).scalar())


def test_postings_add_up_by_account_and_card(office: Office, operation: int):
    assert office.do(post, operation, "paid", PAID, NOW)
    loaded = (Side(Account.PAID_IN, 5000), Side(Account.CARDS, -5000, 1))
    assert office.do(post, operation, "loaded", loaded, NOW)
    ridden = (Side(Account.CARDS, 300, 1), Side(Account.OPERATORS, -300))
    assert office.do(post, operation, "ridden", ridden, NOW)
    trial = trial_balance(office.engine)
    assert trial.is_balanced
    assert {k: v for k, v in trial.balances.items() if v} == {
        Account.PAYER: 5000,
        Account.CARDS: -4700,
        Account.OPERATORS: -300,
    }
    assert office.do(balance_of, Account.CARDS, 1) == office.do(balance_of, Account.CARDS) == -4700
    assert office.do(balance_of, Account.CARDS, 2) == 0


def test_a_step_posted_again_changes_nothing(office: Office, operation: int):
    assert office.do(post, operation, "paid", PAID, NOW)
    assert not office.do(post, operation, "paid", reversed(PAID), NOW)
    assert office.do(balance_of, Account.PAYER) == 5000


@pytest.mark.parametrize(
    ("sides", "words"),
    [
        ([Side(Account.PAYER, 5000), Side(Account.PAID_IN, -4999)], "sums to zero, .* to 1 fen"),
        ([Side(Account.PAYER, 5000)], "sums to zero"),
        ([], "has sides"),
        ([Side(Account.PAYER, 0)], "none of them zero"),
        ([Side(Account.PAYER, 1), Side(Account.PAYER, -1)], "one side for each account"),
    ],
)
def test_what_does_not_balance_is_not_posted(office: Office, operation: int, sides, words: str):
    with pytest.raises(ValueError, match=words):
        office.do(post, operation, "paid", sides, NOW)
    assert not any(trial_balance(office.engine).balances.values())


def test_a_step_cannot_be_posted_otherwise(office: Office, operation: int):
    office.do(post, operation, "paid", PAID, NOW)
    with pytest.raises(ValueError, match="posted otherwise"):
        office.do(post, operation, "paid", [Side(Account.PAYER, 1), Side(Account.CARDS, -1)], NOW)


def test_the_trial_balance_names_what_was_written_around_the_ledger(office: Office, operation: int):
    office.do(post, operation, "paid", PAID, NOW)
    for number, (step, amount) in enumerate((("x", 7), ("y", -7)), 100):
        office.do(
            lambda s, *row: s.execute(
                text(
                    "INSERT INTO entries (id, operation_id, step, account, amount, at)"
                    " VALUES (:id, :op, :step, 'cash', :amount, 0)"
                ),
                dict(zip(("id", "op", "step", "amount"), row, strict=True)),
            ),
            number,
            operation,
            step,
            amount,
        )
    trial = trial_balance(office.engine)
    assert sum(trial.balances.values()) == 0
    assert not trial.is_balanced
    assert trial.unbalanced == ((operation, "x"), (operation, "y"))

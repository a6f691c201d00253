"""A back office that works on real cards, and everything that can go wrong with it."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import datetime
from functools import partial
from itertools import count
from typing import Any

import pytest
from sqlalchemy import Engine, event
from sqlalchemy.orm import Session

import fixtures
from emulator.card.card import Card as Chip
from emulator.card.env import SeededEnv
from emulator.card.personalise import personalise
from emulator.card.state import Image
from issuer import cards_book, ledger
from issuer.card_states import CardEvent, Carrier
from issuer.cards_book import Card
from issuer.devices import Catalogue
from issuer.documents import Documents
from issuer.ledger import Account
from issuer.office import Office
from issuer.payer import Mishap, PayerAway, SoftPayer
from issuer.policy import IssuerPolicy
from issuer.schema import BatchRow, TapRow
from issuer.topup_book import AUTHORISED, CHARGED, CHARGING
from issuer.topups import cancel, find, top_up
from reader.loading import LoadInterrupted
from reader.policy import Policy
from reader.session import Send, Txn, run
from reader.taprecord import Mark
from reader.transport.base import CardLost
from reader.transport.decorators import CutPoint, Cutting, Recording
from reader.transport.inprocess import InProcess
from tests import offices
from tests.cards import with_purse
from tests.offices import END, KEY, NOW
from tests.stock import TRANSPORT

FEN = 1000
ROOTS = fixtures.load_roots()


class Crash(BaseException):
    """The office's process is gone: no `except Exception` stops it."""


@dataclass
class Clock:
    """The office's time, which a test sets."""

    at: datetime = NOW

    def __call__(self) -> datetime:
        return self.at


@dataclass
class Mishaps:
    """What goes wrong with the payer: taken from the front, one for each request."""

    planned: list[Mishap | None] = field(default_factory=list)

    def __call__(self, kind: str, key: str) -> Mishap | None:
        return self.planned.pop(0) if self.planned else None


def made_office(
    engine: Engine,
    clock: Clock,
    mishaps: Callable[[str, str], Mishap | None],
    policy: IssuerPolicy | None = None,
    gate_policy: Policy | None = None,
) -> Office:
    """An office as it starts: it knows nothing but what is in its database."""
    return Office(
        engine=engine,
        documents=Documents(KEY),
        payer=SoftPayer(engine, clock, mishaps),
        catalogue=Catalogue([]),
        roots=ROOTS,
        transport=TRANSPORT,
        now=clock,
        policy=policy or IssuerPolicy(),
        gate_policy=gate_policy or Policy(),
    )


def new_chip(serial: bytes) -> Chip:
    """An empty card of this serial in a phone."""
    profile = fixtures.load_profile("student").with_balance(0)
    wide = replace(profile, serial=serial, ceiling=0x7FFF_FFFF)
    return personalise(wide, ROOTS, SeededEnv(serial.hex()))


@dataclass
class Desk:
    """An office with students whose cards are open, and a payer to whom anything may happen."""

    engine: Engine
    clock: Clock = field(default_factory=Clock)
    mishaps: Mishaps = field(default_factory=Mishaps)
    policy: IssuerPolicy = field(default_factory=IssuerPolicy)
    gate_policy: Policy = field(default_factory=Policy)
    chips: dict[bytes, Chip] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.books = offices.Office(self.engine, NOW)
        self.restart()

    def restart(self) -> None:
        """A new process on the same database."""
        self.office = made_office(
            self.engine, self.clock, self.mishaps, self.policy, self.gate_policy
        )

    def change(self, **policy: Any) -> None:
        self.policy = replace(self.policy, **policy)
        self.restart()

    def student(self, number: int = 0) -> int:
        """An account of a student who has no card yet."""
        return self.books.account(number)

    def opened(self, account: int) -> tuple[Card, Chip]:
        """A new card of an account's student, active."""
        student = self.books.do(offices.accounts.account, account).student_id
        make = partial(cards_book.reserve, carrier=Carrier.NFC, issued_on=NOW.date())
        limit = self.policy.student_card_limit
        card = self.books.do(make, student, end_date=END, at=self.clock(), limit=limit)
        assert isinstance(card, Card), card
        self.books.do(cards_book.move, card.id, CardEvent.ACTIVATE, self.clock())
        self.chips[card.serial] = new_chip(card.serial)
        return self.books.do(cards_book.card, card.id), self.chips[card.serial]

    def card(self, card_id: int) -> Card:
        return self.books.do(cards_book.card, card_id)

    def owed(self, account: Account, card_id: int | None = None) -> int:
        return -self.books.do(ledger.balance_of, account, card_id)

    def paid(self) -> int:
        """What the payer has taken and not given back."""
        payer = self.office.payer
        assert isinstance(payer, SoftPayer)
        return payer.total("charge") - payer.total("refund")

    def on_chips(self) -> int:
        return sum(chip.purse.actual for chip in self.chips.values())

    def assert_balanced(self) -> None:
        trial = ledger.trial_balance(self.engine)
        assert trial.is_balanced, trial
        assert trial.balances[Account.PAYER] == self.paid()


def on(chip: Chip, transaction: Txn[Any], at: int = 0, point: CutPoint = CutPoint.BEFORE) -> Any:
    """Present a card; at: the command at which it leaves, 0 for never."""
    again(chip)
    link = Cutting(InProcess(chip), at, point, partial(again, chip))
    return run(transaction, {"card": link})


def finish(transaction: Txn[Any], sent: Send, chip: Chip) -> Any:
    """Run a transaction that waits for the answer to a command to its end."""
    try:
        while True:
            sent = transaction.send(chip.process(sent.command))
    except StopIteration as end:
        return end.value


def change(chip: Chip, how: Callable[[Image], Image]) -> None:
    """Change a card where no command can."""
    chip._store.commit(how(chip.image))
    again(chip)


def again(chip: Chip) -> None:
    chip.power_off()
    chip.power_on()


def commands_of(chip: Chip, transaction: Txn[Any]) -> list[bytes]:
    again(chip)
    link = Recording(InProcess(chip), lambda: 0)
    run(transaction, {"card": link})
    return [one.command for one in link.seen]


@contextmanager
def crashing(engine: Engine, at: int, *, is_after: bool) -> Iterator[list[int]]:
    """The process dies at its n-th transaction (from 1), before its commit or right after it.

    Gives a list whose only number counts the transactions. at 0: never.
    """
    count = [0]

    def before(connection: object) -> None:
        if connection.get_execution_options().get("is_writing"):  # type: ignore[attr-defined]
            count[0] += 1
            if count[0] == at and not is_after:
                raise Crash

    def after(session: Session) -> None:
        if count[0] == at and is_after and session.get_bind() is engine:
            count[0] += 1
            raise Crash

    event.listen(engine, "commit", before)
    event.listen(Session, "after_commit", after)
    try:
        yield count
    finally:
        event.remove(engine, "commit", before)
        event.remove(Session, "after_commit", after)


def ride(desk: Desk, card: Card, fen: int, counter: int, **changed: Any) -> None:
    """A gate's record of a ride reaches clearing. changed: columns of the tap."""
    name = f"{desk.books.do(lambda s: s.query(BatchRow).count()):032d}"
    told = {"mark": int(Mark.TAKEN), "tac_is_right": True, "is_online": False, "is_copy": False}
    numbers = {"kind": 9, "trip": 4, "counter": counter, "amount": fen, "before": 0, "after": 0}
    numbers |= {"terminal_seq": counter, "at": 0, "day": 20250908, "tested": 0, "expires": 20260930}
    words = {"line": "0001", "station": "0001", "operator": "0001", "terminal": "300089000195"}
    tap = told | numbers | words | {"serial": card.serial.hex(), "gate": "00" * 8, "body": b""}

    def take(session: Session) -> None:
        session.add(
            BatchRow(batch_id=name, gate="00" * 8, first=1, last=1, received=0, deliveries=1)
        )
        session.flush()
        session.add(TapRow(batch_id=name, **(tap | changed)))

    desk.books.do(take)


def spend(chip: Chip, fen: int) -> None:
    """Money leaves a card at a gate."""
    change(chip, with_purse(actual=chip.purse.actual - fen))


class Student:
    """A student at a desk, with an open card; keys are counted."""

    def __init__(self, desk: Desk, number: int = 0):
        self.desk = desk
        self.account = desk.student(number)
        self.card, self.chip = desk.opened(self.account)
        self.keys = (f"key-{n}" for n in count(1))

    def top_up(self, key, fen=FEN):
        return top_up(self.desk.office, self.account, key, fen)

    def cancel(self, key):
        return cancel(self.desk.office, self.account, key)

    def op(self, key):
        return self.desk.books.do(find, self.account, key)

    def assert_has(self, fen):
        """Payments are credits, to the fen, and nothing waits."""
        assert self.chip.purse.actual == fen
        assert self.desk.paid() == fen
        assert self.desk.owed(Account.CARDS, self.card.id) == fen
        assert self.desk.owed(Account.PAID_IN) == 0
        assert self.desk.card(self.card.id).balance == fen
        self.desk.assert_balanced()


def cut(student, key, at, point):
    """A top-up whose card leaves at a command, and nobody is told."""
    with pytest.raises((CardLost, LoadInterrupted)):
        on(student.chip, student.top_up(key), at, point)


def in_state(student, state, key, point=CutPoint.BEFORE, mishap=Mishap.LOST_AFTER):
    """A top-up that stands in a state, as mishaps leave it."""
    if state == CHARGING:
        student.desk.mishaps.planned = [mishap]
        with pytest.raises(PayerAway):
            on(student.chip, student.top_up(key))
    elif state == AUTHORISED:
        cut(student, key, 4, point)
    elif state == CHARGED:
        other = f"{key}-other"
        cut(student, key, 4, CutPoint.BEFORE)
        on(student.chip, student.top_up(other))
    else:
        cut(student, key, 1, CutPoint.BEFORE)
    assert student.op(key).state == state

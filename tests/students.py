"""Students with phones at an office of the project's own: a clock to set, blanks, gates."""

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Engine, event, select
from sqlalchemy.orm import Session

import fixtures
from apdu.bcd import Moment
from bench.office import TRANSPORT, blank_card
from bench.scenario import LAB_WHITE_LIST, sam_keys
from emulator.card.card import Card as Chip
from emulator.card.env import SeededEnv
from fixtures.devices import load_catalogue
from fixtures.network import load_network
from fixtures.policy import load_policy
from issuer import accounts, audit, cards_book, ledger, openings, roster
from issuer.card_access import read_public_info
from issuer.cards_book import Card
from issuer.database import transact
from issuer.devices import Brand
from issuer.documents import Documents
from issuer.loads import SoftLoadHost
from issuer.office import Office
from issuer.payer import SoftPayer
from issuer.phones import Phone, System
from issuer.policy import IssuerPolicy
from issuer.refusal import Refusal
from issuer.tables import AuditRow, CardRow
from reader.gate import Direction, Gate, GateConfig, Outcome
from reader.journal import TapJournal
from reader.loading import load
from reader.psam import Psam
from reader.session import Txn, run
from reader.transactions import Receipt, select_purse
from reader.transport.base import TransportError
from reader.transport.decorators import CutPoint, Cutting, Recording
from reader.transport.inprocess import InProcess
from tests.offices import KEY, NOW, claim, small_roster

PHONE = Phone(
    Brand.HUAWEI,
    System.HARMONYOS,
    model="HUAWEI P50 Pro",
    app="6.0.0.1",
    huawei_wallet="9.0.13.304",
    is_wallet_latest=True,
    has_nfc=True,
    is_nfc_on=True,
    is_wallet_logged_in=True,
    is_app_logged_in=True,
)
"""A phone that every rule is content with."""


@dataclass
class Clock:
    now: datetime = NOW

    def __call__(self) -> datetime:
        return self.now


def office_of(engine: Engine, clock: Callable[[], datetime], **knobs: Any) -> Office:
    return Office(
        engine=engine,
        documents=Documents(KEY),
        payer=SoftPayer(engine, clock),
        catalogue=load_catalogue(),
        roots=fixtures.load_roots(),
        transport=TRANSPORT,
        now=clock,
        policy=IssuerPolicy(**knobs),
        gate_policy=load_policy(),
    )


@dataclass
class Campus:
    """An office with a roster of students, and what they do."""

    office: Office
    clock: Clock

    @classmethod
    def of(cls, engine: Engine, **knobs: Any) -> "Campus":
        clock = Clock()
        campus = cls(office_of(engine, clock, **knobs), clock)
        campus.take(small_roster())
        return campus

    def take(self, told: roster.Roster) -> None:
        roster.take(self.office.engine, self.office.documents, told)

    def decide(self, **knobs: Any) -> None:
        """Decide otherwise: knobs of the issuer's policy."""
        self.office = replace(self.office, policy=IssuerPolicy(**knobs))

    def do(self, function: Callable[..., Any], *arguments: Any, **named: Any) -> Any:
        return transact(self.office.engine, lambda s: function(s, *arguments, **named))

    def login(self, name: str) -> int:
        return self.do(accounts.log_in, name).id

    def prove(self, account: int, who: int = 0, /, **changed: str) -> None:
        token = self.do(accounts.begin_check, account, self.clock())
        said = self.do(
            accounts.authenticate,
            self.office.documents,
            account,
            token,
            claim(who, **changed),
            self.clock(),
            self.office.policy,
        )
        assert not isinstance(said, Refusal), said

    def account(self, number: int = 0) -> int:
        made = self.login(f"student{number}")
        self.prove(made, number)
        return made

    def open(self, account: int, chip: Chip, key: str = "open", phone: Phone = PHONE) -> Card:
        return on(chip, openings.open_card(self.office, account, key, phone))

    def opened(self, number: int = 0) -> tuple[int, Chip, Card]:
        """An account with a card, and the card."""
        account, chip = self.account(number), blank()
        return account, chip, self.open(account, chip)

    def rows(self) -> list[tuple[str, str]]:
        """Serial and state of every card in the book, the oldest first."""
        query = select(CardRow.serial, CardRow.state).order_by(CardRow.id)
        return [tuple(row) for row in self.do(lambda s: s.execute(query).all())]

    def actions(self) -> list[str]:
        """What the audit log tells, which is whole."""
        lines = self.do(lambda s: s.scalars(select(AuditRow.action).order_by(AuditRow.id)).all())
        assert audit.verify(self.office.engine) == audit.Verdict(len(lines))
        return list(lines)

    def card(self, card: Card) -> Card:
        """A card as the book has it now."""
        return self.do(cards_book.card, card.id)

    def has_no_entry(self) -> bool:
        return not any(ledger.trial_balance(self.office.engine).balances.values())

    def gate(self, direction: Direction, journal: TapJournal | None = None, **config: Any) -> Gate:
        """A gate with the office's keys, on its time."""
        network = load_network()
        station = network.station("080013" if direction is Direction.ENTRY else "080019")
        settings = {"white_list": LAB_WHITE_LIST} | config
        terminal = bytes.fromhex("300089000195" if direction is Direction.ENTRY else "300089000340")
        return Gate(
            GateConfig(network, station, direction, **settings),
            Psam(terminal, sam_keys()),
            lambda: self.clock(),
            journal,
        )

    def pass_(self, chip: Chip, direction: Direction, **settings: Any) -> Outcome:
        return tapped(self.gate(direction, **settings), chip)

    def load(self, chip: Chip, amount: int) -> Receipt:
        """Money on a card, by the keys alone: books know nothing of it."""
        roots = self.office.roots
        host = SoftLoadHost(roots["LMK"], roots["TMK"])
        return on(chip, _loading(amount, host, self.office.terminal, self.clock()))


def _loading(amount: int, host: SoftLoadHost, terminal: bytes, at: datetime) -> Txn[Receipt]:
    yield from select_purse(directory=False)
    info = yield from read_public_info()
    return (yield from load(info, amount, host, terminal, Moment.of(at)))


def tapped(gate: Gate, chip: Chip) -> Outcome:
    """What a gate makes of a card that has just come into the field."""
    chip.power_off()
    chip.power_on()
    return gate.pass_(InProcess(chip))


def blank(seed: str = "blank") -> Chip:
    return blank_card(SeededEnv(seed))


def on(chip: Chip, transaction: Txn[Any]) -> Any:
    """What a transaction gives with a card that has just come into the field."""
    chip.power_off()
    chip.power_on()
    return run(transaction, {"card": InProcess(chip)})


def sent(chip: Chip, transaction: Txn[Any]) -> list[bytes]:
    """What a whole transaction sends."""
    chip.power_off()
    chip.power_on()
    link = Recording(InProcess(chip), lambda: 0)
    run(transaction, {"card": link})
    return [exchange.command for exchange in link.seen]


def cut(chip: Chip, transaction: Txn[Any], at: int, point: CutPoint) -> TransportError | None:
    """A transaction whose card leaves at a command. None if it ended before."""

    def leave() -> None:
        chip.power_off()
        chip.power_on()

    chip.power_off()
    chip.power_on()
    try:
        run(transaction, {"card": Cutting(InProcess(chip), at, point, leave)})
    except TransportError as lost:
        return lost
    return None


class Paused:
    """A transaction that got so many answers and waits: its program is slow, or was killed."""

    def __init__(self, transaction: Txn[Any], chip: Chip, commands: int) -> None:
        chip.power_off()
        chip.power_on()
        self._transaction, self._link = transaction, InProcess(chip)
        self._send = next(transaction)
        for _ in range(commands):
            self._send = transaction.send(self._link.transmit(self._send.command))

    def finish(self) -> Any:
        """Answer the rest. Returns what the transaction does."""
        try:
            while True:
                answer = self._link.transmit(self._send.command)
                self._send = self._transaction.send(answer)
        except StopIteration as end:
            return end.value

    def close(self) -> None:
        """The program ends in an orderly way."""
        self._transaction.close()


@dataclass
class Failing:
    """An engine's transactions that fail at the n-th commit, before it: a database that went away.

    Use as a context manager around what writes.
    """

    engine: Engine
    at: int
    after: bool = False
    count: int = field(default=0, init=False)
    is_hit: bool = field(default=False, init=False)

    def __enter__(self) -> "Failing":
        event.listen(Session, "before_commit", self._before)
        event.listen(Session, "after_commit", self._after)
        return self

    def __exit__(self, *error: object) -> None:
        event.remove(Session, "before_commit", self._before)
        event.remove(Session, "after_commit", self._after)

    def _before(self, session: Any) -> None:
        if session.in_nested_transaction():
            return
        self.count += 1
        if self.count == self.at and not self.after:
            self.is_hit = True
            raise Gone

    def _after(self, session: Any) -> None:
        if self.count == self.at and self.after and not session.in_nested_transaction():
            self.is_hit = True
            raise Gone


class Gone(Exception):
    """The program was killed at a commit."""


DAY = timedelta(days=1)

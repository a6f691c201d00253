"""A service in the same process: its office, its tokens, a clock that stands, and a phone."""

from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

import httpx2
from fastapi import FastAPI
from starlette.testclient import TestClient

import fixtures
from fixtures.devices import load_catalogue
from issuer import accounts, tokens
from issuer.client import RemoteOffice
from issuer.devices import Brand
from issuer.office import Office
from issuer.payer import SoftPayer
from issuer.phones import Phone, System
from issuer.policy import IssuerPolicy
from issuer.relay import Relay
from issuer.service import Limits, make_app
from issuer.service.house import House
from issuer.tokens import Role
from reader.policy import Policy
from reader.transport.inprocess import InProcess
from tests.offices import Office as Books
from tests.stock import ROOTS, TRANSPORT, stock_card

MANY = Limits(per_second=1e6, burst=10**6)

PHONE = Phone(
    Brand.HUAWEI,
    System.HARMONYOS,
    model="HUAWEI Mate 50",
    app="6.0.0.1",
    huawei_wallet="9.0.13.304",
    is_nfc_on=True,
    is_wallet_logged_in=True,
    is_app_logged_in=True,
)


@dataclass
class Ticker:
    """A clock of seconds that only the test moves."""

    at: float = 1000.0

    def __call__(self) -> float:
        return self.at


@dataclass
class Desk:
    """A service, its books, and how to reach it. now: what its office takes for the time."""

    books: Books
    now: datetime
    limits: Limits = MANY
    ticker: Ticker = field(default_factory=Ticker)

    def __post_init__(self) -> None:
        self.office = Office(
            engine=self.books.engine,
            documents=self.books.documents,
            payer=SoftPayer(self.books.engine, lambda: self.now),
            catalogue=load_catalogue(),
            roots=ROOTS,
            transport=TRANSPORT,
            now=lambda: self.now,
            policy=IssuerPolicy(),
            gate_policy=Policy(),
        )
        self.restart()

    def restart(self) -> None:
        """A new server over the same database: no conversation is left."""
        self.relay = Relay(self.ticker)
        house = House(self.office, self.limits, self.relay, clock=self.ticker)
        self.app: FastAPI = make_app(self.office, house)
        self.http: httpx2.Client = TestClient(self.app, raise_server_exceptions=False)

    def token(self, role: Role, login: str = "", days: int = 1) -> str:
        """A new token of a role; of a student's or staff's login."""
        account = None
        if role is not Role.GATE:
            account = self.books.do(accounts.log_in, login or f"some-{role.value}").id
        until = self.now + timedelta(days=days)
        return self.books.do(tokens.make, role, account, self.now, until)

    def student(self, number: int = 0) -> str:
        """A token of a student who has proven who he or she is."""
        self.books.account(number)
        return self.token(Role.STUDENT, f"student{number}")

    def remote(self, token: str) -> RemoteOffice:
        return RemoteOffice(self.http, token)

    def get(self, path: str, token: str = "", **more: Any) -> httpx2.Response:
        return self.http.get(path, headers=bearer(token), **more)

    def post(self, path: str, token: str = "", key: str = "", **more: Any) -> httpx2.Response:
        headers = bearer(token) | ({"Idempotency-Key": key} if key else {})
        return self.http.post(path, headers=headers, **more)


def bearer(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"} if token else {}


@dataclass
class PhoneCard:
    """A card of the stock in a phone, and a link to it that can be cut at a command."""

    card: Any = field(default_factory=stock_card)
    cut_at: int = 0
    count: int = 0

    def transmit(self, command: bytes) -> bytes:
        from reader.transport.base import CardLost

        self.count += 1
        if self.count == self.cut_at:
            self.again()
            raise CardLost("the card left")
        return self.card.process(command)

    def again(self) -> "PhoneCard":
        """Presented anew."""
        self.card.power_off()
        self.card.power_on()
        return self

    def __post_init__(self) -> None:
        self.card.power_on()


@contextmanager
def in_field(card: Any):
    card.power_on()
    yield InProcess(card)
    card.power_off()


__all__ = ["MANY", "PHONE", "Desk", "PhoneCard", "Ticker", "bearer", "fixtures", "in_field"]

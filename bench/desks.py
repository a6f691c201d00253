"""A student's side of an office in the same process, told as the service tells it.

`LocalOffice` and `issuer.client.RemoteOffice` do the same and say the same, so that whoever plays a
student does not know which of them it is.
"""

from typing import Any, Protocol

from issuer import accounts, losses, openings, renewals, returns, status, topups
from issuer.accounts import Claim
from issuer.database import reading, transact
from issuer.errors import RuleError
from issuer.office import Office
from issuer.phones import Phone
from issuer.refusal import Refusal
from issuer.status import Names
from issuer.telling import said, told
from reader.session import Txn, run
from reader.transport.base import Transport

Json = dict[str, Any]


class StudentDesk(Protocol):
    """What a student can do. key: the idempotency key. link: to the card in the phone."""

    def account(self) -> Json:
        """How far the account has come."""

    def authenticate(self, claim: Claim) -> Json:
        """Prove whose the account is (R5)."""

    def check(self, phone: Phone) -> list[Json]:
        """What every rule says."""

    def page(self) -> Json:
        """The page of the card."""

    def open_card(self, key: str, phone: Phone, link: Transport) -> Json:
        """Open a card."""

    def give_up(self, key: str) -> None:
        """Give up an opening."""

    def top_up(self, key: str, amount: int, link: Transport) -> Json:
        """Top up the card by fen."""

    def renew(self, key: str, link: Transport) -> Json:
        """Renew the card."""

    def give_back(self, key: str, link: Transport) -> Json:
        """Return the card."""

    def carry(self, key: str, link: Transport) -> Json:
        """Load a lost card's balance onto the new one."""

    def report_lost(self, key: str, serial: bytes | None = None) -> Json:
        """Report the card lost. serial: of which one, where a student may have several."""

    def refund(self, key: str) -> Json:
        """Refund a returned card."""


class LocalOffice:
    """The desk of an office in this process, for one login. Raises ValueError for a bad login."""

    def __init__(self, office: Office, login: str, names: Names | None = None) -> None:
        self._office = office
        self._names = names
        self._account = transact(office.engine, lambda s: accounts.log_in(s, login)).id

    def account(self) -> Json:
        """See StudentDesk."""
        with reading(self._office.engine) as session:
            return {"state": accounts.account(session, self._account).state.value}

    def authenticate(self, claim: Claim) -> Json:
        """See StudentDesk. Raises RuleError."""
        office, at = self._office, self._office.now()
        token = transact(office.engine, lambda s: accounts.begin_check(s, self._account, at))
        found = transact(
            office.engine,
            lambda s: accounts.authenticate(
                s, office.documents, self._account, token, claim, at, office.policy
            ),
        )
        if isinstance(found, Refusal):
            raise RuleError.of(found)
        return {"state": found.state.value}

    def check(self, phone: Phone) -> list[Json]:
        """See StudentDesk."""
        return [said(one) for one in openings.check(self._office, self._account, phone)]

    def page(self) -> Json:
        """See StudentDesk. Raises RuleError if there was never a card."""
        found = status.page(self._office, self._account, self._names)
        if found is None:
            raise RuleError("R20", "您还没有学生卡。", "You have no student card.", "no_card")
        return self._told(found)

    def open_card(self, key: str, phone: Phone, link: Transport) -> Json:
        """See StudentDesk."""
        return self._run(openings.open_card(self._office, self._account, key, phone), link)

    def give_up(self, key: str) -> None:
        """See StudentDesk."""
        openings.give_up(self._office, self._account, key)

    def top_up(self, key: str, amount: int, link: Transport) -> Json:
        """See StudentDesk."""
        return self._run(topups.top_up(self._office, self._account, key, amount), link)

    def renew(self, key: str, link: Transport) -> Json:
        """See StudentDesk."""
        return self._run(renewals.renew(self._office, self._account, key), link)

    def give_back(self, key: str, link: Transport) -> Json:
        """See StudentDesk."""
        return self._run(returns.give_back(self._office, self._account, key), link)

    def carry(self, key: str, link: Transport) -> Json:
        """See StudentDesk."""
        return self._run(topups.carry(self._office, self._account, key), link)

    def report_lost(self, key: str, serial: bytes | None = None) -> Json:
        """See StudentDesk."""
        return self._told(losses.report_lost(self._office, self._account, key, serial))

    def refund(self, key: str) -> Json:
        """See StudentDesk."""
        return self._told(returns.refund(self._office, self._account, key))

    def _run(self, transaction: Txn[Any], link: Transport) -> Json:
        return self._told(run(transaction, {"card": link}))

    def _told(self, value: object) -> Json:
        made: Json = told(value)
        return made

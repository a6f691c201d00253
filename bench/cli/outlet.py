"""`tapbench issuer topup`: an outlet tops up whichever card is presented, for cash (R25)."""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from apdu.show import money
from bench.cli.issuer import Place
from bench.cli.phone import wished_fen
from bench.cli.remote import remote_office
from bench.desks import Json
from bench.device.couplers import LOCAL, local_site, reader_of
from bench.phone_folder import PhoneFolder
from bench.problem import Problem
from issuer import accounts, topups
from issuer.database import transact
from issuer.telling import told
from reader.session import run
from reader.transport.base import Transport

WAIT_S = 60.0
"""How long the outlet waits for a card."""


@dataclass(frozen=True, slots=True)
class Counter:
    """Where the card comes from. via: a road. phone: with inproc or air, the phone it is in."""

    via: str
    phone: Path | None
    reader: str | None
    device: str

    @contextmanager
    def card(self) -> Iterator[Transport]:
        """A card that is presented. Raises Problem, and what the road raises."""
        if (self.via in LOCAL) != (self.phone is not None):
            raise Problem(
                "give --phone with the folder of the phone that is presented, or --via pcsc or nfc"
            )
        with ExitStack() as stack:
            if self.phone is None:
                coupler = stack.enter_context(reader_of(self.via, self.reader, self.device))
            else:
                chip = stack.enter_context(PhoneFolder(self.phone).chip())
                coupler = stack.enter_context(local_site(self.via, [chip])).coupler
            yield coupler.wait_card(WAIT_S)


@dataclass(frozen=True, slots=True)
class Served:
    """A served office, if there is a URL. token: the file with a staff's token."""

    url: str
    token: Path | None


def top_up(
    place: Place, service: Served, counter: Counter, yuan: str, key: str, login: str
) -> None:
    """Top up the card at the counter. Raises Problem, RuleError, CardUnfit, TransportError."""
    amount = wished_fen(yuan)
    with counter.card() as link:
        done = (
            _remote(place, service, key, amount, link)
            if service.url
            else _here(place, login, key, amount, link)
        )
    place.tell(done, _words)


def _remote(place: Place, service: Served, key: str, amount: int, link: Transport) -> Json:
    if place.now or place.db:
        raise Problem("a service has a clock and a database of its own; leave --now and --db out")
    with remote_office(service.url, service.token) as desk:
        return desk.outlet_top_up(key, amount, link)


def _here(place: Place, login: str, key: str, amount: int, link: Transport) -> Json:
    with place.office() as office:
        staff = transact(office.engine, lambda s: accounts.log_in(s, login)).id
        done: Json = told(run(topups.outlet_top_up(office, staff, key, amount), {"card": link}))
    return done


def _words(one: Json) -> str:
    return (
        f"{money(one['amount'])} yuan taken in cash and loaded, "
        f"{money(one['balance'])} yuan on card {one['card']['serial']}"
    )

"""`tapbench phone`: a student's part, against an office in a folder or a service."""

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from rich.console import Console

from apdu.show import money
from bench.cli.options import parse_moment
from bench.cli.phone_page import card_page, findings_table
from bench.cli.remote import remote_office
from bench.clock import now as wall_clock
from bench.desks import Json, LocalOffice, StudentDesk
from bench.office import close_office, open_office, station_names
from bench.phone_folder import PhoneFolder, change_phone, make_phone
from bench.problem import Problem
from issuer.accounts import Claim
from issuer.client import ServiceError
from issuer.devices import Brand
from issuer.errors import RuleError
from issuer.tables import USABLE


@dataclass(frozen=True, slots=True)
class Place:
    """Whose phone, and where the office is: in a folder, or at a service if there is a URL."""

    phone: Path
    office: Path
    url: str
    token: Path | None
    now: str
    as_json: bool

    @contextmanager
    def desk(self, folder: PhoneFolder) -> Iterator[StudentDesk]:
        """The student's side of the office. Raises Problem."""
        if self.url:
            with self._remote() as desk:
                yield desk
            return
        office = open_office(self.office, clock_at(self.now), may_make=False)
        try:
            yield LocalOffice(office, folder.about.login, station_names())
        finally:
            close_office(office)

    @contextmanager
    def _remote(self) -> Iterator[StudentDesk]:
        if self.now:
            raise Problem("a service has a clock of its own; leave --now out, or give it to serve")
        with remote_office(self.url, self.token) as desk:
            yield desk


def clock_at(text: str) -> Callable[[], datetime]:
    """A clock that stands at a moment, or the machine's if the text is empty. Raises Problem."""
    if not text:
        return wall_clock
    at = parse_moment(text)
    return lambda: at


def new(path: Path, login: str, brand: str, model: str, sets: list[str]) -> None:
    """Make a phone. Raises Problem."""
    kinds = {one.value.lower(): one for one in Brand}
    if brand.lower() not in kinds:
        names = ", ".join(one.value for one in Brand)
        raise Problem(f"'{brand}' is no brand here; expected one of {names}")
    folder = make_phone(path, login, kinds[brand.lower()], model, sets)
    print(f"{path}: {model} of {folder.about.login}")


def change(path: Path, sets: list[str]) -> None:
    """Change a phone. Raises Problem."""
    change_phone(PhoneFolder(path), sets)
    print(f"{path}: {', '.join(sets)}")


def prove(place: Place, who: tuple[str, str, str, str]) -> None:
    """Prove who the student is. Raises RuleError, DocumentError."""
    with place.desk(PhoneFolder(place.phone)) as desk:
        _tell(place, desk.authenticate(Claim(*who)), lambda told: f"account {told['state']}")


def check(place: Place) -> int:
    """Print what every rule says. Returns 1 if one fails."""
    folder = PhoneFolder(place.phone)
    with place.desk(folder) as desk:
        found = desk.check(folder.about.phone)
    if place.as_json:
        print(json.dumps(found, ensure_ascii=False, indent=2))
    else:
        Console().print(findings_table(found))
    return int(any(one["status"] == "failed" for one in found))


def open_card(place: Place, key: str) -> None:
    """Open a card on a blank."""
    folder = PhoneFolder(place.phone)
    with place.desk(folder) as desk:
        if "open" not in folder.about.pending:
            folder.take_blank(is_used_kept=_has_usable(desk))
        with _wish(folder, "open", key) as name, folder.card() as link:
            told = desk.open_card(name, folder.about.phone, link)
    _tell(place, told, lambda card: f"card {card['serial']} is open, valid to {card['end_date']}")


def _has_usable(desk: StudentDesk) -> bool:
    """Whether the student has a card that is in use, so that none may be opened (R6)."""
    try:
        state: str = desk.page()["card"]["state"]
    except (RuleError, ServiceError) as error:
        if error.reason != "no_card":
            raise  # whether there is one is not known, and the one in the phone may be it
        return False
    return state in USABLE


def top_up(place: Place, yuan: str, key: str) -> None:
    """Top the card up."""
    amount = wished_fen(yuan)
    told = _with_card(
        place, f"topup {amount}", key, lambda desk, name, link: desk.top_up(name, amount, link)
    )
    _tell(place, told, _loaded)


def give_up(place: Place, key: str) -> None:
    """Give up an opening that is not done."""
    folder = PhoneFolder(place.phone)
    name = key or folder.about.pending.get("open", "")
    if not name:
        raise Problem(f"no opening is under way in {place.phone}; --key names another phone's")
    with place.desk(folder) as desk:
        desk.give_up(name)
    folder.done("open")
    _tell(place, {"key": name}, lambda one: "the opening is given up")


def renew(place: Place, key: str) -> None:
    """Renew the card."""
    told = _with_card(place, "renew", key, lambda desk, name, link: desk.renew(name, link))
    _tell(place, told, lambda card: f"card {card['serial']} is valid to {card['end_date']}")


def carry(place: Place, key: str) -> None:
    """Carry a lost card's balance over."""
    told = _with_card(place, "carry", key, lambda desk, name, link: desk.carry(name, link))
    _tell(place, told, _loaded)


def give_back(place: Place, key: str) -> None:
    """Return the card."""
    told = _with_card(place, "return", key, lambda desk, name, link: desk.give_back(name, link))
    _tell(place, told, _returned)


def report_lost(place: Place, key: str, serial: str = "") -> None:
    """Report the card lost. serial: of which one, "" if there is one at most. Raises Problem."""
    which = _serial(serial) if serial else None
    wish = f"lost {serial}".strip()
    told = _without_card(place, wish, key, lambda desk, name: desk.report_lost(name, which))
    _tell(place, told, _lost)


def refund(place: Place, key: str) -> None:
    """Get a returned card's money."""
    told = _without_card(place, "refund", key, lambda desk, name: desk.refund(name))
    _tell(place, told, lambda one: f"{money(one['amount'])} yuan refunded")


def show(place: Place) -> None:
    """Show the card's page."""
    with place.desk(PhoneFolder(place.phone)) as desk:
        page = desk.page()
    if place.as_json:
        print(json.dumps(page, ensure_ascii=False, indent=2))
    else:
        Console().print(card_page(page))


_GOES_ON = frozenset(
    (
        "foreign_card",
        "blocked",
        "blocked_for_good",
        "under_way",
        "over_ceiling",
        "card_not_active",
        "being_returned",
        "being_written",
        "expired_unopened",
        "mac_refused",
        "not_eligible",
        "open_trip",
        "overdrawn",
        "books_disagree",
    )
)
"""Reasons that do not end what was begun under a key, and paid perhaps."""


@contextmanager
def _wish(folder: PhoneFolder, wish: str, key: str) -> Iterator[str]:
    """The key of a wish, which is over when it is done or a rule ends it; a cut leaves it."""
    name = folder.key_of(wish, key)
    try:
        yield name
    except RuleError as no:
        if no.reason not in _GOES_ON:
            folder.done(wish)
        raise
    folder.done(wish)


def _with_card(
    place: Place, wish: str, key: str, act: Callable[[StudentDesk, str, Any], Json]
) -> Json:
    folder = PhoneFolder(place.phone)
    with folder.card() as link, place.desk(folder) as desk, _wish(folder, wish, key) as name:
        return act(desk, name, link)


def _without_card(
    place: Place, wish: str, key: str, act: Callable[[StudentDesk, str], Json]
) -> Json:
    folder = PhoneFolder(place.phone)
    with place.desk(folder) as desk, _wish(folder, wish, key) as name:
        return act(desk, name)


def _serial(text: str) -> bytes:
    """A card's serial. Raises Problem."""
    if not (text.isascii() and text.isdecimal() and len(text) == 20):
        raise Problem(f"'{text}' is no serial; expected the 20 digits that phone show prints")
    return bytes.fromhex(text)


def wished_fen(yuan: str) -> int:
    """Any amount of whole fen, also those that a rule refuses. Raises RuleError."""
    whole, dot, part = yuan.lstrip("-").partition(".")
    is_amount = whole.isascii() and whole.isdecimal() and len(whole) < 9
    is_cents = part.isascii() and part.isdecimal() and len(part) < 3 if dot else True
    if not is_amount or not is_cents:
        raise RuleError(
            "R25",
            "充值金额应为整数分，例如 50 或 50.00。",
            "Expected an amount in yuan of whole fen, such as 50 or 50.00.",
            "bad_amount",
        )
    return (-1 if yuan.startswith("-") else 1) * (int(whole) * 100 + int(part.ljust(2, "0") or 0))


def _tell(place: Place, told: Json, words: Callable[[Json], str]) -> None:
    print(json.dumps(told, ensure_ascii=False, indent=2) if place.as_json else words(told))


def _loaded(told: Json) -> str:
    return f"{money(told['amount'])} yuan loaded, {money(told['balance'])} yuan on the card"


def _returned(told: Json) -> str:
    where = {"app": "in the App", "outlet": "at an outlet"}.get(told["channel"])
    tail = f"; {money(told['amount'])} yuan to be refunded {where}" if where else ""
    return f"card {told['card']['serial']} is returned{tail}"


def _lost(told: Json) -> str:
    return (
        f"card {told['card']['serial']} is lost, on blacklist version {told['version']}; "
        f"{money(told['frozen'])} yuan frozen until {told['settles']}"
    )

"""A student's phone in a folder: who is logged in, what the phone is, its card, and open wishes.

`phone.json` is written whole, mode 0600. The card is a card file (docs/card-file.md): a blank of
the maker's stock until it is opened. A wish has its idempotency key here before it is asked for, so
that after a cut the same command goes on with the same operation.
"""

import json
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path
from typing import Any, get_args, get_type_hints

import fixtures
from bench.files import write_whole
from bench.office import TRANSPORT
from bench.problem import Problem
from emulator.card.card import Card
from emulator.card.cardfile import CardFile
from emulator.card.dialect import Dialect
from emulator.card.env import SystemEnv
from emulator.card.filestore import FileStore, card_in, create_card, read_card
from emulator.card.personalise import stock_image
from issuer.client import phone_json
from issuer.devices import Brand
from issuer.phones import Channel, Phone, System
from reader.transport.inprocess import InProcess

ABOUT, CARD = "phone.json", "card.json"
"""Names in the folder."""

FLAGS = {"yes": True, "true": True, "no": False, "false": False, "unknown": None}

_GOOD: dict[Brand, Phone] = {
    Brand.HUAWEI: Phone(Brand.HUAWEI, System.HARMONYOS, huawei_wallet="9.0.13.304"),
    Brand.HONOR: Phone(Brand.HONOR, System.ANDROID, huawei_wallet="9.0.13.304"),
    Brand.XIAOMI: Phone(
        Brand.XIAOMI,
        System.ANDROID,
        system_version="12.5.6",
        channel=Channel.STABLE,
        smart_card="21.08.09.1",
        default_wallet="小米钱包",
    ),
    Brand.APPLE: Phone(Brand.APPLE, System.IOS, system_version="13.4"),
    Brand.OTHER: Phone(Brand.OTHER, System.ANDROID),
}
"""What the seed asks of each brand, just fulfilled."""


@dataclass(frozen=True, slots=True)
class About:
    """What `phone.json` says. pending: keys of wishes that are not done, by what was wished."""

    login: str
    phone: Phone
    pending: dict[str, str]


class PhoneFolder:
    """A phone in a folder. Raises Problem if there is none."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.about = _read(path)

    @property
    def card_path(self) -> Path:
        """The card's file."""
        return self.path / CARD

    def key_of(self, wish: str, key: str = "") -> str:
        """The key of a wish: the one it was asked for with before, if that is not done."""
        made = key or self.about.pending.get(wish) or f"{wish.split()[0]}-{secrets.token_hex(8)}"
        self.keep(replace(self.about, pending={**self.about.pending, wish: made}))
        return made

    def done(self, wish: str) -> None:
        """A wish is done, or refused: the next one like it is another."""
        left = {name: key for name, key in self.about.pending.items() if name != wish}
        self.keep(replace(self.about, pending=left))

    def take_blank(self, *, is_used_kept: bool) -> None:
        """See that there is a card: a blank one, or the used one if that is kept.

        A used one that is not kept is put aside under a name of its own.
        """
        if self.card_path.exists():
            if is_used_kept or read_card(self.card_path).image == stock_image(TRANSPORT):
                return
            number = 1 + sum(1 for _ in self.path.glob("card-*.json"))
            self.card_path.rename(self.path / f"card-{number}.json")
        radio = fixtures.load_profile("student").contactless
        blank = CardFile("stock", "a card of the stock", radio, Dialect(), stock_image(TRANSPORT))
        create_card(self.card_path, blank)

    @contextmanager
    def chip(self) -> Iterator[Card]:
        """The card in the phone, not switched on. Raises as `card` does."""
        if not self.card_path.exists():
            raise Problem(f"there is no card in {self.path}; open one with tapbench phone open")
        with FileStore(self.card_path) as store:
            yield card_in(store, SystemEnv())

    @contextmanager
    def card(self) -> Iterator[InProcess]:
        """The card in the phone, switched on. Raises CardFileError, Problem if there is none."""
        with self.chip() as card:
            card.power_on()
            yield InProcess(card)

    def keep(self, about: About) -> None:
        """Write down what the phone is now. Raises Problem."""
        self.about = about
        _write(self.path, about)


def make_phone(path: Path, login: str, brand: Brand, model: str, sets: list[str]) -> PhoneFolder:
    """Make a phone that fulfils what the seed asks of its brand, but for `sets`: FIELD=VALUE.

    Raises Problem.
    """
    phone = replace(
        _GOOD[brand],
        model=model,
        app="6.0.0.1",
        is_wallet_latest=True,
        has_nfc=True,
        is_nfc_on=True,
        is_wallet_logged_in=True,
        is_app_logged_in=True,
    )
    phone = _with(phone, sets)
    if (path / ABOUT).exists():
        raise Problem(f"{path} holds a phone already; choose another folder")
    try:
        path.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        raise Problem(f"no phone can be kept at {path}: {error.strerror}") from error
    _write(path, About(login, phone, {}))
    return PhoneFolder(path)


def change_phone(folder: PhoneFolder, sets: list[str]) -> None:
    """Change a phone's fields: FIELD=VALUE, all or none. Raises Problem."""
    folder.keep(replace(folder.about, phone=_with(folder.about.phone, sets)))


def _with(phone: Phone, sets: list[str]) -> Phone:
    told: dict[str, Any] = {}
    for text in sets:
        name, equals, value = text.partition("=")
        if not equals or name not in _KINDS:
            raise Problem(f"'{text}' is not FIELD=VALUE; choose a field of: {', '.join(_KINDS)}")
        told[name] = _value(name, value)
    return replace(phone, **told)


def _value(name: str, text: str) -> object:
    kind = _KINDS[name]
    if kind is bool:
        if text not in FLAGS:
            raise Problem(f"{name}: expected one of {', '.join(FLAGS)}, found '{text}'")
        return FLAGS[text]
    if text == "unknown":
        return None
    try:
        return kind(text)
    except ValueError:
        choices = ", ".join(one.value for one in kind)
        raise Problem(f"{name}: expected one of {choices}, found '{text}'") from None


def _kind(hint: Any) -> Any:  # noqa: ANN401 - a type
    """The type of a field, without its None."""
    return next((one for one in get_args(hint) if one is not type(None)), hint)


_KINDS = {one.name: _kind(get_type_hints(Phone)[one.name]) for one in fields(Phone) if one.init}


def _read(path: Path) -> About:
    try:
        held = json.loads((path / ABOUT).read_text("utf-8"))
        told: dict[str, Any] = {n: _read_field(n, one) for n, one in held["phone"].items()}
        phone = Phone(**told)
        return About(held["login"], phone, dict(held["pending"]))
    except FileNotFoundError:
        raise Problem(
            f"there is no phone in {path}; make one with tapbench phone new --phone {path}"
        ) from None
    except OSError as error:
        raise Problem(f"the phone in {path} cannot be read: {error.strerror}") from error
    except (ValueError, KeyError, TypeError, AttributeError):
        raise Problem(f"{path / ABOUT} is damaged; make a new phone in another folder") from None


def _read_field(name: str, value: object) -> object:
    kind = _KINDS[name]
    return value if value is None or kind in (bool, str) else kind(value)


def _write(path: Path, about: About) -> None:
    told = asdict(about) | {"phone": phone_json(about.phone)}
    data = json.dumps(told, ensure_ascii=False, indent=1) + "\n"
    write_whole(path / ABOUT, data.encode(), force=True)

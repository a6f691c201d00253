"""The phone around a card: whether a reader finds the card in it, and how it shows itself.

A `Phone` is a description and changes nothing. What it leads to is in `CONDITIONS`, each with its
carriers and the source that says so; the worst broken one decides what a reader sees. A phone with
a card in it is a `handset.Handset`.

The carriers (domain rules R7, R12, R16, R17):

- `ese`: the card is an applet in the phone's secure element. The NFC controller sends what a reader
  says straight there; neither app nor CPU takes part.
- `hce`: the card is an app (host card emulation, over ISO-DEP and type A alone). It needs the CPU,
  as a rule the screen too, and shows a random UID.
- `apple`: a secure element behind Express Mode. There is no switch for NFC.
- `super-sim`: an operator's SIM with the card in it. The seed's tables for phones do not apply.

What is not modelled: several cards in one phone, the polling frames by which terminals for payment
tell themselves to iPhones, moving a card between phones, the watch.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields
from enum import Enum, IntEnum, StrEnum
from typing import Any, Final

from apdu.ats import Ats

RESERVE_HOURS: Final = 5.0
"""How long an express card works after the battery is flat: about five hours."""

Table = Mapping[str, Any]


class PhoneError(ValueError):
    """A phone's description is wrong; the message names the entry and what was expected."""


class Carrier(StrEnum):
    """Where in a phone the card is."""

    ESE = "ese"
    HCE = "hce"
    APPLE = "apple"
    SUPER_SIM = "super-sim"


class Power(StrEnum):
    """The battery. FLAT: it ran down by itself."""

    ON = "on"
    FLAT = "flat"
    SHUT_DOWN = "shut-down"


class Screen(StrEnum):
    """LOCKED: on, with the lock screen."""

    UNLOCKED = "unlocked"
    LOCKED = "locked"
    OFF = "off"


class Sight(IntEnum):
    """What a reader sees of the phone, the worst last."""

    CARD = 0  # the card, as if it were there without a phone
    NO_PURSE = 1  # something that speaks ISO-DEP and has no such application
    SILENCE = 2  # no answer to REQA


class Grade(Enum):
    """How well something is known."""

    SEED = "SEED"
    PRIMARY = "V-A"  # seen in an official text, or in source code
    NEWS = "V-B"  # seen in the news
    ASSUMED = "ASSUMED"


@dataclass(frozen=True, slots=True)
class Phone:
    """A phone and the state it is in when it comes to a reader.

    wallet:            the app that holds the card. default_wallet: the one that the system sends
                       readers to; the same if empty.
    other_aids:        what the default wallet has, where it is another one.
    is_active:         whether the secure element has the card switched on. It may disagree with the
                       chosen wallet.
    app_wants_screen:  whether the card's app works with the screen on alone; from Android 12 on it
                       may say that it does not (requireDeviceScreenOn).
    hours_flat:        since the battery ran down. has_reserve: whether the model has power reserve.
    is_express:        whether the card is the express card of its network.
    is_authenticated:  whether the owner has just used face, finger or code for this card.
    secure_nfc:        the switch "unlock to use NFC" of Android 10 and later.
    works_without_power: a switch of ours: whether the secure element answers from the field alone.
    sim_over_phone:    a switch of ours: whether a super-SIM uses the phone's NFC.
    has_random_uid:    another UID in each field; as the carrier does if None.
    atqa, ats:         shown instead of the card's, if not empty.
    """

    title: str
    carrier: Carrier
    wallet: str = ""
    default_wallet: str = ""
    other_aids: tuple[bytes, ...] = ()
    is_active: bool = True
    is_nfc_on: bool = True
    is_app_installed: bool = True
    app_wants_screen: bool = True
    power: Power = Power.ON
    hours_flat: float = 0.0
    has_reserve: bool = False
    screen: Screen = Screen.UNLOCKED
    secure_nfc: bool = False
    is_express: bool = True
    is_authenticated: bool = False
    works_without_power: bool = False
    sim_over_phone: bool = False
    has_random_uid: bool | None = None
    atqa: bytes = b""
    ats: bytes = b""

    @classmethod
    def from_table(cls, name: str, table: Table) -> "Phone":
        """From a parsed TOML file, entries named as the fields are. Raises PhoneError."""
        if unknown := sorted(set(table) - {entry.name for entry in fields(cls)}):
            raise PhoneError(f"phone {name}: unknown entries {', '.join(unknown)}")
        if missing := sorted({"title", "carrier"} - set(table)):
            raise PhoneError(f"phone {name}: missing are {', '.join(missing)}")
        return cls(**{key: _read(name, key, entry) for key, entry in table.items()})

    @property
    def broken(self) -> list["Condition"]:
        """The conditions that this phone does not meet, the worst first."""
        broken = [c for c in CONDITIONS if self.carrier in c.carriers and not c.holds(self)]
        return sorted(broken, key=lambda condition: -condition.otherwise)

    @property
    def sight(self) -> Sight:
        """What a reader sees."""
        return self.broken[0].otherwise if self.broken else Sight.CARD

    @property
    def shows_random_uid(self) -> bool:
        """Whether the UID is another in each field."""
        if self.has_random_uid is None:
            return self.carrier is Carrier.HCE
        return self.has_random_uid

    @property
    def sentence(self) -> str:
        """What a reader sees and why, for people."""
        if not self.broken:
            return "Readers find the card."
        seen = {
            Sight.SILENCE: "Readers find nothing",
            Sight.NO_PURSE: "Readers find the phone but not the card",
        }[self.sight]
        return f"{seen}: {', and '.join(condition.complaint for condition in self.broken)}."


@dataclass(frozen=True, slots=True)
class Condition:
    """What a phone of some carriers must be like for a reader to find the card.

    complaint: what is the matter with a phone that does not meet it. otherwise: what readers see of
    it. source: a rule of the seed document, or the text that says so.
    """

    carriers: tuple[Carrier, ...]
    says: str
    complaint: str
    holds: Callable[[Phone], bool]
    otherwise: Sight
    grade: Grade
    source: str


def _is_default_wallet(phone: Phone) -> bool:
    return phone.default_wallet in ("", phone.wallet)


def _is_unlocked(phone: Phone) -> bool:
    """What secure NFC asks for: a phone without power is locked."""
    return phone.power is Power.ON and phone.screen is Screen.UNLOCKED


def _has_reserve(phone: Phone) -> bool:
    """Power reserve: express cards alone, for some hours, and not after a manual shutdown."""
    if phone.power is not Power.FLAT:
        return phone.power is Power.ON
    return phone.has_reserve and phone.is_express and phone.hours_flat < RESERVE_HOURS


CONDITIONS: Final = (
    Condition(
        (Carrier.ESE, Carrier.HCE),
        "NFC is switched on",
        "NFC is switched off",
        lambda phone: phone.is_nfc_on,
        Sight.SILENCE,
        Grade.SEED,
        "R12, R16",
    ),
    Condition(
        (Carrier.SUPER_SIM,),
        "NFC is switched on, where the SIM uses the phone's",
        "NFC is switched off",
        lambda phone: phone.is_nfc_on or not phone.sim_over_phone,
        Sight.SILENCE,
        Grade.ASSUMED,
        "R7 has no table for super-SIM; switch `sim_over_phone`",
    ),
    Condition(
        (Carrier.ESE, Carrier.SUPER_SIM),
        "the phone has power",
        "the phone has no power",
        lambda phone: phone.power is Power.ON or phone.works_without_power,
        Sight.SILENCE,
        Grade.ASSUMED,
        "the seed is silent; switch `works_without_power`",
    ),
    Condition(
        (Carrier.HCE,),
        "the phone has power",
        "the phone has no power, and the card is an app",
        lambda phone: phone.power is Power.ON,
        Sight.SILENCE,
        Grade.PRIMARY,
        "Android's guide to host card emulation",
    ),
    Condition(
        (Carrier.HCE,),
        "the screen is on, where the app wants it",
        "the screen is off, and the card is an app",
        lambda phone: phone.screen is not Screen.OFF or not phone.app_wants_screen,
        Sight.SILENCE,
        Grade.PRIMARY,
        "Android's guide to host card emulation",
    ),
    Condition(
        (Carrier.ESE, Carrier.HCE),
        "the phone has power and is unlocked, where secure NFC is on",
        "the phone wants to be unlocked",
        lambda phone: _is_unlocked(phone) or not phone.secure_nfc,
        Sight.SILENCE,
        Grade.PRIMARY,
        "AOSP, secure NFC; switch `secure_nfc`",
    ),
    Condition(
        (Carrier.ESE,),
        "the card's wallet is the default wallet",
        "another wallet is the default",
        _is_default_wallet,
        Sight.NO_PURSE,
        Grade.SEED,
        "R17 for Xiaomi; for others assumed, after AOSP's off-host payment",
    ),
    Condition(
        (Carrier.HCE,),
        "the card's app is the default app",
        "another wallet is the default",
        _is_default_wallet,
        Sight.NO_PURSE,
        Grade.ASSUMED,
        "so in Android for payment; whether a transit app says that it is one is open",
    ),
    Condition(
        (Carrier.ESE,),
        "the secure element has the card active",
        "the secure element has the card switched off",
        lambda phone: phone.is_active,
        Sight.NO_PURSE,
        Grade.PRIMARY,
        "AOSP, off-host payment: wallet and secure element may disagree",
    ),
    Condition(
        (Carrier.HCE,),
        "the app is installed",
        "the card's app is not installed",
        lambda phone: phone.is_app_installed,
        Sight.NO_PURSE,
        Grade.PRIMARY,
        "Android's guide to host card emulation",
    ),
    Condition(
        (Carrier.APPLE,),
        "power, or power reserve of an express card",
        "the phone has no power, nor a reserve",
        _has_reserve,
        Sight.SILENCE,
        Grade.NEWS,
        "reports on Express Mode: XR, XS and newer, about five hours, no manual shutdown",
    ),
    Condition(
        (Carrier.APPLE,),
        "express card, or the owner has just shown who it is",
        "the owner has not shown who it is",
        lambda phone: phone.is_express or phone.is_authenticated,
        Sight.SILENCE,
        Grade.ASSUMED,
        "Express Mode needs no face or finger; silence otherwise is ours",
    ),
)
"""All there are. R numbers are those of the domain rules."""


def _text(entry: object) -> str:
    if not isinstance(entry, str):
        raise ValueError("a text")
    return entry


def _flag(entry: object) -> bool:
    if not isinstance(entry, bool):
        raise ValueError("true or false")
    return entry


def _hours(entry: object) -> float:
    if isinstance(entry, bool) or not isinstance(entry, int | float) or not entry >= 0:
        raise ValueError("a number of hours")
    return float(entry)


def _choice(kind: type[StrEnum]) -> Callable[[object], StrEnum]:
    def read(entry: object) -> StrEnum:
        try:
            return kind(_text(entry))
        except ValueError:
            raise ValueError(f"one of {', '.join(kind)}") from None

    return read


def _hexed(wanted: str, is_right: Callable[[bytes], bool]) -> Callable[[object], bytes]:
    def read(entry: object) -> bytes:
        try:
            if is_right(data := bytes.fromhex(_text(entry))):
                return data
        except ValueError:
            pass
        raise ValueError(f"{wanted} in hexadecimal")

    return read


def _aids(entry: object) -> tuple[bytes, ...]:
    if not isinstance(entry, list):
        raise ValueError("a list of AIDs in hexadecimal")
    one = _hexed("a list of AIDs, 5 to 16 bytes each,", lambda aid: 5 <= len(aid) <= 16)
    return tuple(map(one, entry))


def _is_ats(data: bytes) -> bool:
    Ats.parse(data)  # raises ValueError
    return True


_READ: Mapping[str, Callable[[object], object]] = {
    "title": _text,
    "wallet": _text,
    "default_wallet": _text,
    "carrier": _choice(Carrier),
    "power": _choice(Power),
    "screen": _choice(Screen),
    "hours_flat": _hours,
    "other_aids": _aids,
    "atqa": _hexed("2 bytes", lambda data: len(data) == 2),
    "ats": _hexed("an ATS with the bytes it promises", _is_ats),
}


def _read(name: str, key: str, entry: object) -> Any:  # noqa: ANN401 - whatever the field holds
    """One entry of a description; flags are all that is not in `_READ`. Raises PhoneError."""
    try:
        return _READ.get(key, _flag)(entry)
    except ValueError as wanted:
        raise PhoneError(f"phone {name}: '{key}' is {entry!r}; expected {wanted}") from None

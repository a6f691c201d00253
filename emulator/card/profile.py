"""A profile: everything that makes one card this card, as typed values.

Profiles are written in TOML (`fixtures/profiles/`); `Profile.from_table` checks one and says in a
sentence what is wrong with it.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import date
from typing import Any

from apdu.ats import Ats
from apdu.files import EF1A, EF1E, EF18, FileSpec
from emulator.card.dialect import Dialect, switches
from emulator.card.state import Blocked, balance_fault
from emulator.picc import Contactless

LAB_ISSUER = "09981001FFFFFFFF"
"""The issuer of cards that no gate in service accepts: what a profile gets unless it says (Q2)."""

PHONE_ATS = "0578807002"
"""The phone flavour's ATS; its UID is 08 and the last digits of the serial (1.1)."""

PIN_SIZES = range(2, 9)


class ProfileError(ValueError):
    """A profile's file is wrong; the message names the entry and what was expected."""


@dataclass(frozen=True, slots=True)
class Profile:
    """One card before its first transaction.

    issuer: 8 bytes. serial: 10 bytes. balance, ceiling, overdraft_limit and _used: fen.
    card_kind: EF17[10], and a hint in EF15[28] (Q1). interop: EF17[8..9], nationwide or not.
    has_ed: an electronic deposit beside the purse.
    trip_record: 128 bytes, an EF1A record 27NN instead of the fresh one of that number.
    transactions, trips: records of EF18 and EF1E the card already has, the newest first.
    """

    name: str
    title: str
    issuer: bytes
    serial: bytes
    start_date: date
    end_date: date
    enabled: int
    card_kind: int
    country: bytes
    province: bytes
    city: bytes
    interop: bool
    balance: int
    ceiling: int
    overdraft_limit: int
    online_seq: int
    offline_seq: int
    key_version: int
    algorithm: int
    pin: bytes
    has_ed: bool
    overdraft_used: int
    trip_record: bytes | None
    transactions: tuple[bytes, ...]
    trips: tuple[bytes, ...]
    blocked: Blocked
    contactless: Contactless
    dialect: Dialect

    @classmethod
    def from_table(cls, name: str, table: Mapping[str, Any]) -> "Profile":
        """From a parsed TOML file. Raises ProfileError."""
        take = _Taker(name, table)
        made = cls(
            name=name,
            title=take.text("title"),
            issuer=take.hexed("issuer", 8, LAB_ISSUER),
            serial=(serial := take.hexed("serial", 10)),
            start_date=take.day("start_date"),
            end_date=take.day("end_date"),
            enabled=take.number("enabled", 0, 0xFF, 1),
            card_kind=take.number("card_kind", 0, 0xFF, 1),
            country=take.hexed("country", 4, "00000156"),
            province=take.hexed("province", 2, "1000"),
            city=take.hexed("city", 2, "1000"),
            interop=take.flag("interop", True),
            balance=take.number("balance", 0, 0xFFFFFF, 0),
            ceiling=take.number("ceiling", 0, 0xFFFFFF, 100_000),
            overdraft_limit=take.number("overdraft_limit", 0, 0xFFFFFF, 0),
            online_seq=take.number("online_seq", 0, 0xFFFF, 0),
            offline_seq=take.number("offline_seq", 0, 0xFFFF, 0),
            key_version=take.number("key_version", 0, 0xFF, 1),
            algorithm=take.number("algorithm", 0, 0xFF, 0),
            pin=take.hexed("pin", default="123456"),
            has_ed=take.flag("has_ed", False),
            overdraft_used=take.number("overdraft_used", 0, 0xFFFFFF, 0),
            trip_record=take.hexed("trip_record", 128, "") or None,
            transactions=take.records("transactions", EF18),
            trips=take.records("trips", EF1E),
            blocked=take.blocked("blocked"),
            dialect=take.dialect("dialect"),
            contactless=Contactless(
                atqa=take.hexed("atqa", 2, "0400"),
                sak=take.number("sak", 0, 0xFF, 0x20),
                uid=take.hexed("uid", 4, "08" + serial[-3:].hex()),
                ats=take.hexed("ats", default=PHONE_ATS),
            ),
        )
        take.nothing_left()
        made.check()
        return made

    def check(self) -> None:
        """Raise ProfileError unless the balance model holds (3.1) and every part can be made."""
        fault = balance_fault(self.ceiling, self.balance, self.overdraft_limit, self.overdraft_used)
        if len(self.pin) not in PIN_SIZES:
            fault = f"the PIN has {len(self.pin)} bytes, not 2 to 8"
        if not _is_trip(self.trip_record):
            fault = "the trip record does not begin with 2701 to 2712"
        if not _is_ats(self.contactless.ats):
            fault = "the ATS does not have the bytes it promises"
        if fault:
            raise ProfileError(f"profile {self.name}: {fault}")

    def issued_on(self, day: date) -> "Profile":
        """The same card opened on a day: valid to the first 30 September on or after it (R26)."""
        end = date(day.year, 9, 30)
        return replace(
            self, start_date=day, end_date=end if day <= end else date(day.year + 1, 9, 30)
        )

    def with_balance(self, balance: int) -> "Profile":
        """The same card holding another balance, in fen. Raises ProfileError if it cannot."""
        made = replace(self, balance=balance)
        made.check()
        return made


def _is_trip(record: bytes | None) -> bool:
    return record is None or (record[0] == 0x27 and 1 <= record[1] <= EF1A.count)


def _is_ats(ats: bytes) -> bool:
    try:
        Ats.parse(ats)
    except ValueError:
        return False
    return True


class _Taker:
    """Takes entries out of a table one by one, so that an unknown one is noticed."""

    def __init__(self, name: str, table: Mapping[str, Any]) -> None:
        self._name = name
        self._left = dict(table)

    def _take(self, key: str, kind: type, wanted: str) -> Any:  # noqa: ANN401 - TOML value
        if key not in self._left:
            raise ProfileError(f"profile {self._name}: '{key}' is missing; expected {wanted}")
        value = self._left.pop(key)
        if type(value) is not kind:
            raise ProfileError(f"profile {self._name}: '{key}' is {value!r}; expected {wanted}")
        return value

    def _optional(self, key: str, default: Any) -> None:  # noqa: ANN401 - TOML value
        if default is not None:
            self._left.setdefault(key, default)

    def blocked(self, key: str) -> Blocked:
        """no, temporary or permanent."""
        self._optional(key, "no")
        text: str = self._take(key, str, "no, temporary or permanent")
        try:
            return Blocked(text)
        except ValueError:
            raise ProfileError(
                f"profile {self._name}: '{key}' is '{text}'; expected no, temporary or permanent"
            ) from None

    def dialect(self, key: str) -> Dialect:
        """A table of switches; those left out keep their defaults."""
        self._optional(key, {})
        table: dict[str, Any] = self._take(key, dict, "a table of dialect switches")
        unknown = set(table) - {switch.name for switch in switches()}
        if unknown:
            raise ProfileError(
                f"profile {self._name}: unknown dialect switches {', '.join(sorted(unknown))}"
            )
        try:
            return Dialect(**table)
        except ValueError as error:
            raise ProfileError(f"profile {self._name}: {error}") from error

    def text(self, key: str) -> str:
        value: str = self._take(key, str, "a text")
        return value

    def day(self, key: str) -> date:
        value: date = self._take(key, date, "a date such as 2026-09-30")
        return value

    def flag(self, key: str, default: bool | None = None) -> bool:
        self._optional(key, default)
        value: bool = self._take(key, bool, "true or false")
        return value

    def number(self, key: str, low: int, high: int, default: int | None = None) -> int:
        self._optional(key, default)
        wanted = f"a whole number from {low} to {high}"
        value: int = self._take(key, int, wanted)
        if not low <= value <= high:
            raise ProfileError(f"profile {self._name}: '{key}' is {value}; expected {wanted}")
        return value

    def hexed(self, key: str, size: int | None = None, default: str | None = None) -> bytes:
        self._optional(key, default)
        if default == "" and self._left[key] == "":
            del self._left[key]
            return b""
        wanted = "hexadecimal digits" if size is None else f"{size} bytes in hexadecimal"
        text = self._take(key, str, wanted)
        try:
            value = bytes.fromhex(text)
        except ValueError:
            value = None
        if value is None or (size is not None and len(value) != size):
            raise ProfileError(f"profile {self._name}: '{key}' is '{text}'; expected {wanted}")
        return value

    def records(self, key: str, spec: FileSpec) -> tuple[bytes, ...]:
        """A list of records of a cyclic file, none if it is left out."""
        self._optional(key, [])
        wanted = f"at most {spec.count} records of {spec.size} bytes in hexadecimal"
        texts: list[object] = self._take(key, list, wanted)
        try:
            values = tuple(bytes.fromhex(str(text)) for text in texts)
        except ValueError:
            values = (b"",)
        if len(values) > spec.count or any(len(value) != spec.size for value in values):
            raise ProfileError(f"profile {self._name}: '{key}' is wrong; expected {wanted}")
        return values

    def nothing_left(self) -> None:
        if self._left:
            raise ProfileError(
                f"profile {self._name}: unknown entries {', '.join(sorted(self._left))}"
            )

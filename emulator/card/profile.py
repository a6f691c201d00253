"""A profile: everything that makes one card this card, as typed values.

Profiles are written in TOML (`fixtures/profiles/`); `Profile.from_table` checks one and says in a
sentence what is wrong with it.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import date
from typing import Any

from emulator.picc import Contactless


class ProfileError(ValueError):
    """A profile's file is wrong; the message names the entry and what was expected."""


@dataclass(frozen=True, slots=True)
class Profile:
    """One card before its first transaction.

    issuer: 8 bytes. serial: 10 bytes. balance, ceiling, overdraft_limit: fen.
    card_kind: EF17[10], and a hint in EF15[28] (Q1). interop: EF17[8..9], nationwide or not.
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
    contactless: Contactless

    @classmethod
    def from_table(cls, name: str, table: Mapping[str, Any]) -> "Profile":
        """From a parsed TOML file. Raises ProfileError."""
        take = _Taker(name, table)
        made = cls(
            name=name,
            title=take.text("title"),
            issuer=take.hexed("issuer", 8),
            serial=take.hexed("serial", 10),
            start_date=take.day("start_date"),
            end_date=take.day("end_date"),
            enabled=take.number("enabled", 0, 0xFF),
            card_kind=take.number("card_kind", 0, 0xFF),
            country=take.hexed("country", 4),
            province=take.hexed("province", 2),
            city=take.hexed("city", 2),
            interop=take.flag("interop"),
            balance=take.number("balance", 0, 0xFFFFFF),
            ceiling=take.number("ceiling", 0, 0xFFFFFF),
            overdraft_limit=take.number("overdraft_limit", 0, 0xFFFFFF),
            online_seq=take.number("online_seq", 0, 0xFFFF),
            offline_seq=take.number("offline_seq", 0, 0xFFFF),
            key_version=take.number("key_version", 0, 0xFF),
            contactless=Contactless(
                atqa=take.hexed("atqa", 2),
                sak=take.number("sak", 0, 0xFF),
                uid=take.hexed("uid", 4),
                ats=take.hexed("ats"),
            ),
        )
        take.nothing_left()
        if made.balance > made.ceiling:
            raise ProfileError(
                f"profile {name}: balance {made.balance} is above the ceiling {made.ceiling} fen"
            )
        return made

    def issued_on(self, day: date) -> "Profile":
        """The same card opened on a day: valid to the first 30 September on or after it (R26)."""
        end = date(day.year, 9, 30)
        return replace(
            self, start_date=day, end_date=end if day <= end else date(day.year + 1, 9, 30)
        )

    def with_balance(self, balance: int) -> "Profile":
        """The same card holding another balance, in fen."""
        return replace(self, balance=balance)


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

    def text(self, key: str) -> str:
        value: str = self._take(key, str, "a text")
        return value

    def day(self, key: str) -> date:
        value: date = self._take(key, date, "a date such as 2026-09-30")
        return value

    def flag(self, key: str) -> bool:
        value: bool = self._take(key, bool, "true or false")
        return value

    def number(self, key: str, low: int, high: int) -> int:
        wanted = f"a whole number from {low} to {high}"
        value: int = self._take(key, int, wanted)
        if not low <= value <= high:
            raise ProfileError(f"profile {self._name}: '{key}' is {value}; expected {wanted}")
        return value

    def hexed(self, key: str, size: int | None = None) -> bytes:
        wanted = "hexadecimal digits" if size is None else f"{size} bytes in hexadecimal"
        text = self._take(key, str, wanted)
        try:
            value = bytes.fromhex(text)
        except ValueError:
            value = None
        if value is None or (size is not None and len(value) != size):
            raise ProfileError(f"profile {self._name}: '{key}' is '{text}'; expected {wanted}")
        return value

    def nothing_left(self) -> None:
        if self._left:
            raise ProfileError(
                f"profile {self._name}: unknown entries {', '.join(sorted(self._left))}"
            )

"""The blacklist: cards that no gate lets through, in numbered versions.

Lists and their updates as values; `reader.blacklist_text` writes them as text, and
`reader.blacklist_file` keeps a gate's list. Full and incremental versions are pushed down the
layers, and a gate works with the last version it has (domain facts 4.4). How versions follow one
another is not public: what is here is a decision (D).

A full update is a `Blacklist` of its own and takes the place of any older one. An increment leads
from one version to the next and fits that version alone, so a lost update is noticed by the one
that follows it. An update that was applied already changes nothing. Everything else is refused, and
the list in force stays: lists do not change, so nothing can be left half applied.
"""

from collections.abc import Iterable
from dataclasses import dataclass

from apdu.bcd import digits, is_decimal

SERIAL = 10
"""Bytes of a serial: EF15[10..19] (protocol reference 3.2), all of which are compared (6.7)."""

LAST_VERSION = 0xFFFF_FFFF
"""Versions are numbers of 4 bytes (D)."""


class BlacklistError(ValueError):
    """A list or update cannot be used; the message is one sentence: what is wrong, what to do."""


class MissingUpdate(BlacklistError):
    """An increment came and one before it did not.

    held: the version in force. An increment from it, or a full list, is what is needed.
    """

    def __init__(self, held: int, increment: "BlacklistIncrement") -> None:
        super().__init__(
            f"the blacklist in force is version {held} and this update leads from "
            f"{increment.base} to {increment.version}; "
            f"send the update from {held} to {held + 1} first, or a full list"
        )
        self.held = held


@dataclass(frozen=True, slots=True)
class BlacklistIncrement:
    """What changes from version `base` to the next. Raises BlacklistError.

    added, removed: serials, 10 bytes each.
    """

    base: int
    added: frozenset[bytes] = frozenset()
    removed: frozenset[bytes] = frozenset()

    def __post_init__(self) -> None:
        """Refuse what no list could be changed by."""
        _demand_version(self.base, 0, LAST_VERSION - 1)
        _demand_serials(self.added)
        _demand_serials(self.removed)
        both = self.added & self.removed
        if both:
            raise BlacklistError(f"{_first(both)} is both added and removed; send a right update")

    @property
    def version(self) -> int:
        """The version it leads to."""
        return self.base + 1


@dataclass(frozen=True, slots=True)
class Blacklist:
    """The listed cards of one version, and the full update that brings it. Raises BlacklistError.

    version: from 1; 0 while there is none yet. serials: 10 bytes each, as EF15[10..19].

    >>> held = Blacklist().updated(Blacklist(7, frozenset({bytes(10)})))
    >>> held.version, bytes(10) in held
    (7, True)
    """

    version: int = 0
    serials: frozenset[bytes] = frozenset()

    def __post_init__(self) -> None:
        """Refuse what is no list."""
        _demand_version(self.version, 1 if self.serials else 0, LAST_VERSION)
        _demand_serials(self.serials)

    def __contains__(self, serial: object) -> bool:
        return serial in self.serials

    def __len__(self) -> int:
        return len(self.serials)

    def updated(self, update: "BlacklistUpdate") -> "Blacklist":
        """The list that an update leads to; this very object if it was applied already.

        Raises BlacklistError, and MissingUpdate if one before it is missing.
        """
        if isinstance(update, Blacklist):
            return self._replaced(update)
        return self._changed(update)

    def _replaced(self, full: "Blacklist") -> "Blacklist":
        if full.version > self.version:
            return full
        if full.version < self.version:
            raise BlacklistError(
                f"the blacklist in force is version {self.version} and this full list is version "
                f"{full.version}, which is older; send version {self.version + 1} or later"
            )
        if full.serials != self.serials:
            raise self._different()
        return self

    def _changed(self, increment: BlacklistIncrement) -> "Blacklist":
        if increment.version == self.version:
            if increment.removed & self.serials or increment.added - self.serials:
                raise self._different()
            return self
        if increment.base > self.version:
            raise MissingUpdate(self.version, increment)
        if increment.base < self.version:
            raise BlacklistError(
                f"the blacklist in force is version {self.version} and this update leads from "
                f"{increment.base} to {increment.version}, which is older; "
                f"send the update from {self.version} to {self.version + 1}"
            )
        twice, unknown = increment.added & self.serials, increment.removed - self.serials
        if twice:
            raise self._contradicted(f"adds {_first(twice)}, which is listed already")
        if unknown:
            raise self._contradicted(f"removes {_first(unknown)}, which is not listed")
        return Blacklist(increment.version, self.serials - increment.removed | increment.added)

    def _different(self) -> BlacklistError:
        return BlacklistError(
            f"this update makes another list of version {self.version} than the one in force; "
            "send a full list with a later version"
        )

    def _contradicted(self, how: str) -> BlacklistError:
        return BlacklistError(
            f"the update of blacklist version {self.version} {how}; "
            "send a full list with a later version"
        )


BlacklistUpdate = Blacklist | BlacklistIncrement
"""What brings a new version: a whole list, or what changes from one version to the next."""


def _demand_version(found: int, least: int, most: int) -> None:
    if not least <= found <= most:
        raise BlacklistError(f"expected a blacklist version from {least} to {most}, found {found}")


def _demand_serials(serials: frozenset[bytes]) -> None:
    for serial in serials:
        if len(serial) != SERIAL or not is_decimal(serial):
            raise BlacklistError(f"expected a serial of 20 digits, found {digits(serial)!r}")


def _first(serials: Iterable[bytes]) -> str:
    return f"card {digits(min(serials))}"

"""Whether a phone is in the seed's tables, by its name.

Names are compared whole, by a key without white space and without case (domain facts 2, A2); a
name is never found by its beginning (A1). White space that the key drops still says one thing:
where it cuts a run of letters or of digits, it makes two words of one. A listed name may be written
with less white space or with more between letters and digits, but a word of it may not be cut: so
"Mate 40 Pro" is "Mate40 Pro" and "Mate 50E" is "Mate 50 E", but "iPhone X R" is not "iPhone XR".

Rows that end in 系列 name a series without its members. Which these are is an interpretation, kept
apart from the list. A phone that is not found is unlisted; nobody says that it is unsupported, for
the list is as old as its document (A8).
The tables themselves are data: see `fixtures.devices`.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from issuer.rules_table import holds

_ONE_WORD: Final = re.compile(r"[0-9]{2}|[a-z]{2}")


class Brand(StrEnum):
    """Whose phone it is. Redmi and Black Shark are in Xiaomi's table."""

    HUAWEI = "Huawei"
    HONOR = "Honor"
    XIAOMI = "Xiaomi"
    APPLE = "Apple"
    OTHER = "other"

    @property
    def rule(self) -> str | None:
        """The rule whose table has the brand's phones, or None."""
        return _TABLES.get(self)


_TABLES = {Brand.HUAWEI: "R21", Brand.HONOR: "R21", Brand.XIAOMI: "R22", Brand.APPLE: "R23"}


class Listing(StrEnum):
    """How a phone was found. BY_SERIES rests on an interpretation, BY_SITE on a site's own list."""

    LISTED = "listed"
    BY_SERIES = "listed_by_series"
    BY_SITE = "listed_by_site"
    UNLISTED = "unlisted"


@dataclass(frozen=True, slots=True)
class Device:
    """A row of the seed's tables, spelled as there. category: the heading above it."""

    seed_line: int
    brand: Brand
    group: str
    category: str
    name: str
    is_series: bool


@dataclass(frozen=True, slots=True)
class Member:
    """An interpretation: this phone belongs to a series row.

    seed_line: of the row. has_nfc: what is known or assumed of its hardware; None: nothing.
    grade: how well the membership is known. note: a remark, or empty.
    """

    name: str
    seed_line: int
    has_nfc: bool | None
    grade: str
    note: str


@dataclass(frozen=True, slots=True)
class SitePhone:
    """A phone that a site accepts beside the seed's. reason: who says so."""

    name: str
    brand: Brand
    reason: str


@dataclass(frozen=True, slots=True)
class Remark:
    """A hint about a phone that is in no table, in Chinese and in English."""

    name: str
    zh: str
    en: str


@dataclass(frozen=True, slots=True)
class Match:
    """What the tables say of a phone. device: the row, of a member the series' row."""

    listing: Listing
    device: Device | None = None
    member: Member | None = None
    site: SitePhone | None = None
    remark: Remark | None = None

    @property
    def seed_line(self) -> int | None:
        """The line of the row that lists it, or None."""
        return self.device.seed_line if self.device else None

    @property
    def is_interpretation(self) -> bool:
        """Whether somebody had to decide that the row means this phone."""
        return self.member is not None

    @property
    def is_listed(self) -> bool:
        """Whether it was found, in whatever way."""
        return self.listing is not Listing.UNLISTED


def key_of(name: str) -> str:
    """What names are compared by (A2).

    >>> key_of("HUAWEI Mate 50 E"), key_of("HONOR V40轻奢版"), key_of("P30\\u00a0pro")
    ('mate50e', '荣耀v40轻奢版', 'p30pro')
    """
    return _Spelling.of(name).key


@dataclass(frozen=True, slots=True)
class _Spelling:
    """A key, and where in it white space stood."""

    key: str
    seams: frozenset[int]

    @classmethod
    def of(cls, name: str) -> "_Spelling":
        words = name.casefold().split()
        seams, end = set(), 0
        for word in words[:-1]:
            end += len(word)
            seams.add(end)
        spelling = cls("".join(words), frozenset(seams))
        return spelling._without("huawei", "")._without("honor", "荣耀")

    def _without(self, head: str, instead: str) -> "_Spelling":
        """With another beginning. A seam inside the old one stays one that no name has."""
        if not self.key.startswith(head):
            return self
        less = len(head) - len(instead)
        seams = frozenset(at - less if at >= len(head) else -1 for at in self.seams)
        return _Spelling(instead + self.key[len(head) :], seams)

    def cuts_a_word_of(self, other: "_Spelling") -> bool:
        """Whether white space here divides letters or digits that the other has in one run."""
        return any(
            at < 0 or (at > 0 and _ONE_WORD.fullmatch(self.key[at - 1 : at + 1]) is not None)
            for at in self.seams - other.seams
        )


class Catalogue:
    """The seed's tables with what was added to them. Raises ValueError if two names are one.

    devices: the rows. members: of the rows that are series. site: the phones a site adds.
    remarks: hints about phones that are not there.
    """

    def __init__(
        self,
        devices: Iterable[Device],
        members: Iterable[Member] = (),
        site: Iterable[SitePhone] = (),
        remarks: Iterable[Remark] = (),
    ) -> None:
        self._known: dict[str, tuple[_Spelling, Brand | None, Match]] = {}
        rows = {}
        for device in devices:
            rows[device.seed_line] = device
            self._add(device.name, device.brand, Match(Listing.LISTED, device))
        for member in members:
            row = rows.get(member.seed_line)
            if row is None or not row.is_series:
                raise ValueError(f"{member.name}: line {member.seed_line} is no series")
            self._add(member.name, row.brand, Match(Listing.BY_SERIES, row, member))
        for phone in site:
            self._add(phone.name, phone.brand, Match(Listing.BY_SITE, site=phone))
        for remark in remarks:
            if key_of(remark.name) not in self._known:  # the site may have accepted it since
                self._add(remark.name, None, Match(Listing.UNLISTED, remark=remark))

    def _add(self, name: str, brand: Brand | None, match: Match) -> None:
        spelling = _Spelling.of(name)
        if spelling.key in self._known:
            raise ValueError(f"{name}: another entry has the key {spelling.key!r}")
        self._known[spelling.key] = (spelling, brand, match)

    @holds("R21", "R22", "R23")
    def find(self, name: str, brand: Brand | None = None) -> Match:
        """What the tables say of a phone of this name; never more than is said of that very name.

        brand: looks in the brand's table alone; without it, in all.
        """
        asked = _Spelling.of(name)
        spelling, owner, match = self._known.get(asked.key, (asked, None, _NOT_THERE))
        if asked.cuts_a_word_of(spelling):
            return _NOT_THERE
        is_elsewhere = brand is not None and owner is not None and owner.rule != brand.rule
        return _NOT_THERE if is_elsewhere else match


_NOT_THERE = Match(Listing.UNLISTED)

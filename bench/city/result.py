"""What a shard comes to, and the city all shards make together."""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from hashlib import sha256
from typing import Any

HOURS = 24

PARTS = ("plan", "wake", "tap", "rest", "upload", "clearing", "books")
"""Where a shard's time goes: planning; making cards live; taps; packing cards; batches; receiving
them, with TACs, and all rules; adding up."""

TAP_PARTS = ("card", "psam", "gate")
"""Where a tap's time goes, by a sample of taps: answering card, answering PSAM, and the rest."""


@dataclass(slots=True)
class Money:
    """Fen. fares: taken by gates. tariff: what the tariff says of the trips. cleared: by records.

    The day's books are balanced if `faults` is empty.
    """

    opening: int = 0
    fares: int = 0
    tariff: int = 0
    closing: int = 0
    cleared: int = 0

    def faults(self) -> list[str]:
        """What does not add up, in sentences."""
        found = []
        if self.opening - self.fares != self.closing:
            found.append(
                f"cards held {self.opening} fen, gates took {self.fares}, but {self.closing} are "
                f"left instead of {self.opening - self.fares}"
            )
        if self.cleared != self.fares:
            found.append(f"gates took {self.fares} fen, but clearing has {self.cleared}")
        if self.tariff != self.fares:
            found.append(f"the tariff says {self.tariff} fen, but gates took {self.fares}")
        return found


@dataclass(slots=True)
class Tally:
    """What can be added up over shards, the same whoever plays them.

    trips, cards: how many. taps: that a gate let through.
    records, tacs: that clearing has, and of which it found the TAC right.
    entries, exits: taps by hour. way_in, way_out: taps by station (`bench.city.plan.stations`).
    by_fare: trips by fare. findings: of clearing, by code. problems: sentences.
    """

    trips: int = 0
    cards: int = 0
    taps: int = 0
    records: int = 0
    tacs: int = 0
    money: Money = field(default_factory=Money)
    entries: Counter[int] = field(default_factory=Counter)
    exits: Counter[int] = field(default_factory=Counter)
    way_in: Counter[int] = field(default_factory=Counter)
    way_out: Counter[int] = field(default_factory=Counter)
    by_fare: Counter[int] = field(default_factory=Counter)
    findings: Counter[str] = field(default_factory=Counter)
    problems: list[str] = field(default_factory=list)

    COUNTS = ("trips", "cards", "taps", "records", "tacs")
    COUNTERS = ("entries", "exits", "way_in", "way_out", "by_fare", "findings")
    MONEY = ("opening", "fares", "tariff", "closing", "cleared")

    def add(self, other: "Tally") -> None:
        """Take another one into this."""
        for name in self.COUNTS:
            setattr(self, name, getattr(self, name) + getattr(other, name))
        for name in self.MONEY:
            setattr(self.money, name, getattr(self.money, name) + getattr(other.money, name))
        for name in self.COUNTERS:
            getattr(self, name).update(getattr(other, name))
        self.problems = (self.problems + other.problems)[:20]

    def as_json(self) -> dict[str, Any]:
        """See `from_json`."""
        said: dict[str, Any] = {name: getattr(self, name) for name in self.COUNTS}
        said["money"] = {name: getattr(self.money, name) for name in self.MONEY}
        for name in self.COUNTERS:
            said[name] = {str(key): count for key, count in sorted(getattr(self, name).items())}
        return said | {"problems": self.problems}

    @classmethod
    def from_json(cls, said: dict[str, Any]) -> "Tally":
        """What `as_json` made. Raises KeyError, TypeError, ValueError if it is none."""
        made = cls()
        for name in cls.COUNTS:
            setattr(made, name, int(said[name]))
        made.money = Money(**{name: int(said["money"][name]) for name in cls.MONEY})
        for name in cls.COUNTERS:
            keyed: Any = str if name == "findings" else int
            counted = {keyed(key): int(count) for key, count in said[name].items()}
            setattr(made, name, Counter(counted))
        made.problems = [str(one) for one in said["problems"]]
        return made


@dataclass(frozen=True, slots=True)
class Cost:
    """What a shard took, of the machine it was played on.

    wall_s, cpu_s: seconds, of which cpu_s of this process's work. parts: cpu seconds by `PARTS`.
    tap_us: median microseconds of a tap by `TAP_PARTS`, of taps that were looked at closely.
    peak_mib: most memory the process ever had. card_b: bytes of a card at rest, on average.
    worker: process number.
    """

    wall_s: float
    cpu_s: float
    parts: dict[str, float]
    tap_us: dict[str, float]
    peak_mib: float
    card_b: float
    worker: int


@dataclass(frozen=True, slots=True)
class ShardResult:
    """A shard that was played. digest: 64 hex digits over its records and its cards' last state.

    columns: of its trips, by name, as packed machine integers (`bench.city.table`).
    """

    number: int
    digest: str
    tally: Tally
    cost: Cost
    columns: dict[str, bytes]


def digest_of(shards: Iterable[str]) -> str:
    """The digest of a city: over those of its shards in their order."""
    made = sha256()
    for one in shards:
        made.update(bytes.fromhex(one))
    return made.hexdigest()

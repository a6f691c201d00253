"""Live a semester and close its books: the same seed gives the same report, to the last digit."""

import json
import os
from dataclasses import asdict, dataclass
from hashlib import sha256
from pathlib import Path
from random import Random
from tempfile import TemporaryDirectory
from typing import Any

from bench.office import Choice, close_office, open_office
from bench.problem import Problem
from bench.semester.books import Books, close_books
from bench.semester.dealings import Dealings, payer_mishaps
from bench.semester.life import Life, Progress
from bench.semester.people import students_of
from bench.semester.tally import Tally
from bench.semester.town import Clock, Town

MOST_STUDENTS, MOST_DAYS = 10_000, 1000


@dataclass(frozen=True, slots=True)
class Week:
    """A week of the semester. Money is fen; on_cards: at its end, on usable cards."""

    on_cards: int
    topped_up: int
    rides: int


@dataclass(frozen=True, slots=True)
class Semester:
    """What was lived. records, batches: what clearing was sent."""

    students: int
    days: int
    seed: int
    counts: dict[str, int]
    money: dict[str, int]
    refusals: dict[str, int]
    records: int
    batches: int
    weeks: tuple[Week, ...]
    books: Books

    def told(self) -> dict[str, Any]:
        """Everything, as JSON has it."""
        return asdict(self) | {"digest": self.digest}

    @property
    def digest(self) -> str:
        """SHA-256 over all that is told."""
        return sha256(json.dumps(asdict(self), sort_keys=True).encode()).hexdigest()


def live(
    students: int,
    days: int,
    seed: int,
    folder: str | os.PathLike[str] | None = None,
    progress: Progress = lambda done, days: None,
) -> Semester:
    """Live a semester. folder: where its office is kept, a temporary one if left out.

    Raises Problem, also if there is an office in the folder already.
    """
    if not (1 <= students <= MOST_STUDENTS and 1 <= days <= MOST_DAYS):
        raise Problem(
            f"expected 1 to {MOST_STUDENTS} students and 1 to {MOST_DAYS} days, "
            f"found {students} and {days}"
        )
    if folder is not None:
        return _live(students, days, seed, Path(folder), progress)
    with TemporaryDirectory() as made:
        return _live(students, days, seed, Path(made), progress)


def _live(students: int, days: int, seed: int, folder: Path, progress: Progress) -> Semester:
    if (folder / "office.db").exists():
        raise Problem(f"there is an office in {folder} already; choose another folder")
    clock, tally = Clock(), Tally()
    chance = Random(f"semester {seed}")  # noqa: S311 - repeatable on purpose
    mishaps = payer_mishaps(Random(f"semester {seed} payer"), tally)  # noqa: S311 - as above
    office = open_office(folder, clock, choice=Choice(mishaps=mishaps))
    try:
        town = Town(office, clock, folder, chance)
        dealings = Dealings(office, town, tally, chance, seed)
        Life(office, town, dealings, students_of(students, days, seed), chance).live(days, progress)
        books = close_books(office, town, dealings)
    finally:
        close_office(office)
    tally.counts["metro and bus rides paid"] = town.told.rides.total()
    tally.counts["batches sent again"] = town.told.again
    for kind, fen in town.told.fares.items():
        tally.money[f"fares, {kind}"] = fen
    weeks = tuple(
        Week(on_cards, tally.topups[number], town.told.rides[number])
        for number, on_cards in enumerate(tally.on_cards)
    )
    return Semester(
        students,
        days,
        seed,
        dict(sorted(tally.counts.items())),
        dict(sorted(tally.money.items())),
        dict(sorted(tally.refusals.items())),
        town.told.records,
        town.told.batches,
        weeks,
        books,
    )

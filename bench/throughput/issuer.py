"""How fast cards are opened and topped up end to end, and whether that changes as the data grows.

Each is done on a real emulated card: rules, database, payer and every command. First with few
students on the roster, then with many, in the same database.
"""

import os
from collections.abc import Callable
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from time import perf_counter

from bench.office import blank_card, close_office, open_office
from bench.semester.people import GOOD_PHONE, PARTNER, SCHOOLS, claim_of, roster_line
from bench.semester.town import Clock
from emulator.card.env import SeededEnv
from issuer import accounts, roster
from issuer.database import transact
from issuer.office import Office
from issuer.openings import open_card
from issuer.refusal import Refusal
from issuer.roster_file import Roster
from issuer.topups import top_up
from reader.session import run
from reader.transport.inprocess import InProcess

TOP_UPS = 3
"""Top-ups of each card."""

FEN = 1000


@dataclass(frozen=True, slots=True)
class Speed:
    """Medians over runs, each of the runs' own medians. students: on the roster.

    opening_ms, top_up_ms: of one. opening_spread, top_up_spread: the fastest and the slowest run.
    """

    students: int
    opening_ms: float
    top_up_ms: float
    opening_spread: tuple[float, float]
    top_up_spread: tuple[float, float]


@dataclass(frozen=True, slots=True)
class IssuerFigures:
    """With few students and with many. database: its kind."""

    database: str
    few: Speed
    many: Speed

    @property
    def growth(self) -> tuple[float, float]:
        """How many times longer an opening and a top-up take with many students."""
        few, many = self.few, self.many
        return many.opening_ms / few.opening_ms, many.top_up_ms / few.top_up_ms


def measure(
    students: int, cards: int, runs: int, url: str | None = None, few: int = 10
) -> IssuerFigures:
    """Measure. students: the many; cards: opened in each run. url: a database of its own.

    few: students at first, or as many as cards are opened. Raises Problem, DatabaseError.
    """
    with TemporaryDirectory() as folder:
        office = open_office(Path(folder), Clock(), url)
        try:
            numbers = count()
            first = max(few, 1 + cards * runs)
            slow = _speed(office, first, cards, runs, numbers)
            fast = _speed(office, max(students, 2 * first), cards, runs, numbers)
            return IssuerFigures(office.engine.dialect.name, slow, fast)
        finally:
            close_office(office)


def _speed(office: Office, students: int, cards: int, runs: int, numbers: "count[int]") -> Speed:
    lines = tuple(roster_line(number, PARTNER) for number in range(students))
    roster.take(office.engine, office.documents, Roster("bench", SCHOOLS, lines))
    _card_of(office, next(numbers))  # the first of all makes what others find made
    opened: list[float] = []
    topped: list[float] = []
    for _ in range(runs):
        told = [_card_of(office, next(numbers)) for _ in range(cards)]
        opened.append(median(one for one, _ in told))
        topped.append(median(one for _, parts in told for one in parts))
    return Speed(
        students,
        median(opened),
        median(topped),
        (min(opened), max(opened)),
        (min(topped), max(topped)),
    )


def _card_of(office: Office, number: int) -> tuple[float, list[float]]:
    """Milliseconds of an opening, and of each top-up."""
    account = proven_account(office, number)
    card = blank_card(SeededEnv(f"bench {number}"))
    link = {"card": InProcess(card)}
    opened = _ms(lambda: run(open_card(office, account, "open", GOOD_PHONE), link))
    topped = [
        _ms(lambda key=f"topup-{n}": run(top_up(office, account, key, FEN), link))  # type: ignore[misc]
        for n in range(TOP_UPS)
    ]
    return opened, topped


def proven_account(office: Office, number: int) -> int:
    """The account of a student of the roster, who has proven who he or she is."""
    at = office.now()
    made = transact(office.engine, lambda s: accounts.log_in(s, f"bench{number}")).id
    token = transact(office.engine, lambda s: accounts.begin_check(s, made, at))
    claim = claim_of(number, PARTNER)
    said = transact(
        office.engine,
        lambda s: accounts.authenticate(s, office.documents, made, token, claim, at, office.policy),
    )
    if isinstance(said, Refusal):
        raise AssertionError(said.en)
    return made


def _ms(act: Callable[[], object]) -> float:
    begin = perf_counter()
    act()
    return (perf_counter() - begin) * 1000


def load_average() -> float:
    """How many programs want a processor, over the last minute."""
    return os.getloadavg()[0]

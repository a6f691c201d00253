"""How fast cards are opened and topped up end to end, and whether that changes as the data grows.

Each is done on a real emulated card: rules, database, payer and every command. First with few
students on the roster, then with many, in the same database.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from tempfile import TemporaryDirectory

from bench.office import blank_card, close_office, open_office
from bench.semester.people import GOOD_PHONE, PARTNER, SCHOOLS, claim_of, roster_line
from bench.semester.town import Clock
from bench.throughput.histogram import Measure, Spread
from bench.throughput.repeat import timed
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
    """What an opening and a top-up take, ms. students: on the roster."""

    students: int
    opening: Measure
    top_up: Measure


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
        return (
            many.opening.typical / few.opening.typical,
            many.top_up.typical / few.top_up.typical,
        )

    @property
    def measures(self) -> dict[str, Measure]:
        """Everything that can be compared, by name."""
        opening, top_up = self.growth
        return {
            "opening, few students": self.few.opening,
            "opening, many students": self.many.opening,
            "top-up, few students": self.few.top_up,
            "top-up, many students": self.many.top_up,
            "opening, many / few": Measure("ratio", (opening,)),
            "top-up, many / few": Measure("ratio", (top_up,)),
            **dict(self._rates()),
        }

    def _rates(self) -> Iterator[tuple[str, Measure]]:
        for name, one in (("openings", self.many.opening), ("top-ups", self.many.top_up)):
            rates = tuple(1000 / run for run in one.runs)
            yield f"{name} a second, many students", Measure("1/s", rates, "more", None, one.count)


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
            fewer = _speed(office, first, cards, runs, numbers)
            more = _speed(office, max(students, 2 * first), cards, runs, numbers)
            return IssuerFigures(office.engine.dialect.name, fewer, more)
        finally:
            close_office(office)


def _speed(office: Office, students: int, cards: int, runs: int, numbers: "count[int]") -> Speed:
    lines = tuple(roster_line(number, PARTNER) for number in range(students))
    roster.take(office.engine, office.documents, Roster("bench", SCHOOLS, lines))
    _card_of(office, next(numbers))  # the first of all makes what others find made
    opened, topped = Spread(), Spread()
    for _ in range(runs):
        told = [_card_of(office, next(numbers)) for _ in range(cards)]
        opened.add_run(one for one, _ in told)
        topped.add_run(one for _, parts in told for one in parts)
    return Speed(students, opened.measure("ms"), topped.measure("ms"))


def _card_of(office: Office, number: int) -> tuple[int, list[int]]:
    """Nanoseconds of an opening, and of each top-up."""
    account = proven_account(office, number)
    card = blank_card(SeededEnv(f"bench {number}"))
    link = {"card": InProcess(card)}
    keys = (f"topup-{n}" for n in range(TOP_UPS))
    opened = timed(lambda: run(open_card(office, account, "open", GOOD_PHONE), link), 1)
    topped = timed(lambda: run(top_up(office, account, next(keys), FEN), link), TOP_UPS)
    return opened[0], topped


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

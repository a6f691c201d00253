"""The students of a semester: who they are, what they have in mind, and their line of the roster.

Everybody is invented, documents too. What a student will do follows from the seed alone.
"""

from dataclasses import dataclass
from datetime import date, timedelta
from random import Random

from emulator.card.card import Card as Chip
from issuer.accounts import Claim
from issuer.cards_book import Card
from issuer.devices import Brand
from issuer.phones import Phone, System
from issuer.roster_file import Roster, SchoolLine, StudentLine

FIRST_DAY = date(2025, 9, 1)
"""The first day of the school year."""

PARTNER, STRANGER = "UCAS", "OTHER"
SCHOOLS = (
    SchoolLine(1, PARTNER, "中国科学院大学", "University of CAS", "普通高校", True),
    SchoolLine(2, STRANGER, "别处大学", "University of Elsewhere", "普通高校", False),
)

GOOD_PHONE = Phone(
    Brand.HUAWEI,
    System.HARMONYOS,
    model="HUAWEI P50 Pro",
    app="6.0.0.1",
    huawei_wallet="9.0.13.304",
    is_wallet_latest=True,
    has_nfc=True,
    is_nfc_on=True,
    is_wallet_logged_in=True,
    is_app_logged_in=True,
)
"""A phone that every rule is content with."""

OLD_APP = "1.0"
"""A version of the App that is too old."""

_WEIGHTS = (7, 9, 10, 5, 8, 4, 2, 1, 6, 3, 7, 9, 10, 5, 8, 4, 2)
_HABITS = ((2000, 2000), (2000, 5000), (3000, 10_000), (3000, 5000), (15_000, 20_000))
"""Below how much a student tops up, and by how much. Fen."""


@dataclass(frozen=True, slots=True)
class Plan:
    """What a student has in mind. Days are dates; None: never.

    rides:   the chance of a day with rides on a school day. low, amount: of top-ups, fen.
    renews:  by the year of the window. leaves: returns the card. loses: the phone.
    """

    opens: date
    rides: float
    low: int
    amount: int
    renews: dict[int, date | None]
    is_graduate: bool
    leaves: date | None
    loses: date | None
    wants_another: bool
    has_old_app: bool
    mistypes: bool


@dataclass(slots=True)
class Student:
    """A student and what has become of him or her.

    is_refused: the rules give no card, or none is wanted any more. opened: cards so far.
    chip: the card in the phone. card: the last one as the office knows it. found: the card in a
    phone that was lost. reported, settles: days of a loss that is not over. refusals: at gates,
    of a card that has expired. wishes: numbers keys.
    """

    number: int
    school: str
    plan: Plan
    account: int = 0
    is_proven: bool = False
    is_refused: bool = False
    opened: int = 0
    chip: Chip | None = None
    card: Card | None = None
    found: Chip | None = None
    reported: date | None = None
    settles: date | None = None
    refusals: int = 0
    wishes: int = 0

    @property
    def claim(self) -> Claim:
        """Who the student says to be."""
        return claim_of(self.number, self.school)

    def key(self, word: str) -> str:
        """A new idempotency key."""
        self.wishes += 1
        return f"{word}-{self.wishes}"


def claim_of(number: int, school: str) -> Claim:
    """Who a student says to be."""
    return Claim(school, student_number(number), name_of(number), document(number))


def name_of(number: int) -> str:
    """An invented name."""
    return f"Student {number:05d}"


def document(number: int) -> str:
    """The document of an invented person: of no region there is."""
    body = f"000000200001{number:05d}"
    total = sum(int(digit) * weight for digit, weight in zip(body, _WEIGHTS, strict=True))
    return body + "10X98765432"[total % 11]


def student_number(number: int) -> str:
    """The number a school has given."""
    return f"2025K{number:05d}"


def students_of(count: int, days: int, seed: int) -> list[Student]:
    """The students of a semester. The last of each 40 is of a school that does not cooperate."""
    made = []
    for number in range(count):
        chance = Random(f"semester {seed} student {number}")  # noqa: S311 - repeatable on purpose
        school = STRANGER if number % 40 == 39 else PARTNER
        made.append(Student(number, school, _plan(chance, days)))
    return made


def roster_of(students: list[Student], graduated: bool = False) -> Roster:
    """The roster; graduated: as it is after graduation."""
    lines = tuple(
        roster_line(one.number, one.school, graduated and one.plan.is_graduate) for one in students
    )
    return Roster("semester", SCHOOLS, lines)


def roster_line(number: int, school: str, has_graduated: bool = False) -> StudentLine:
    """A student's line."""
    status = "毕业" if has_graduated else "正式学籍"
    told = student_number(number), name_of(number), document(number)
    return StudentLine(number + 1, school, *told, "硕士", status, False)


def _plan(chance: Random, days: int) -> Plan:
    last = FIRST_DAY + timedelta(days=days)
    low, amount = chance.choice(_HABITS)
    is_graduate = chance.random() < 0.3
    leaves = date(FIRST_DAY.year + 1, 7, chance.randint(1, 20))
    return Plan(
        opens=FIRST_DAY + timedelta(days=min(int(chance.triangular(0, 25, 3)), days - 1)),
        rides=chance.uniform(0.1, 0.45),
        low=low,
        amount=amount,
        renews={year: _renews(chance, year) for year in range(FIRST_DAY.year, last.year + 1)},
        is_graduate=is_graduate,
        leaves=leaves if is_graduate and chance.random() < 0.85 else None,
        loses=_loses(chance),
        wants_another=chance.random() < 0.8,
        has_old_app=chance.random() < 0.06,
        mistypes=chance.random() < 0.04,
    )


def _renews(chance: Random, year: int) -> date | None:
    """In August most of them, some in September, some too late, some never."""
    when = chance.random()
    if when < 0.7:
        return date(year, 7, 30) + timedelta(days=chance.randint(0, 32))
    if when < 0.8:
        return date(year, 9, chance.randint(1, 30))
    late = date(year, 10, chance.randint(1, 25))
    return late if when < 0.94 or year == FIRST_DAY.year else None


def _loses(chance: Random) -> date | None:
    day = chance.randint(20, 380)
    return FIRST_DAY + timedelta(days=day) if chance.random() < 0.12 else None

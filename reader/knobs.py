"""What a knob of a policy may be set to: one class for each kind of value.

Each says what it expects, in words for people, and reads a value of a TOML file or of a program.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any, Protocol

Rows = tuple[tuple[int, int], ...]


class Values(Protocol):
    """The values a knob may have. read: the value in its one form, or None if it is not one."""

    @property
    def expected(self) -> str:
        """What is expected, for a sentence that ends with it."""

    def read(self, found: object) -> object | None:
        """The value in its one form, or None if the knob may not be set to it."""


@dataclass(frozen=True, slots=True)
class Whole:
    """A whole number, both ends included."""

    low: int
    high: int

    @property
    def expected(self) -> str:
        """The range in words."""
        return f"a whole number from {self.low} to {self.high}"

    def read(self, found: object) -> int | None:
        """The number, or None."""
        # bool is an int to Python, but true is no amount of anything.
        if not isinstance(found, int) or isinstance(found, bool):
            return None
        return found if self.low <= found <= self.high else None


@dataclass(frozen=True, slots=True)
class Flag:
    """True or false."""

    expected: str = "true or false"

    def read(self, found: object) -> bool | None:
        """The flag, or None."""
        return found if isinstance(found, bool) else None


@dataclass(frozen=True, slots=True)
class One:
    """One of some words."""

    words: tuple[str, ...]

    @property
    def expected(self) -> str:
        """The words."""
        return f"one of: {', '.join(self.words)}"

    def read(self, found: object) -> str | None:
        """The word, or None."""
        return found if isinstance(found, str) and found in self.words else None


@dataclass(frozen=True, slots=True)
class Some:
    """A list of some words, none of them twice; it may be empty."""

    words: tuple[str, ...]

    @property
    def expected(self) -> str:
        """The words."""
        return f"a list, without repetition, of: {', '.join(self.words)}"

    def read(self, found: object) -> tuple[str, ...] | None:
        """The words as a tuple, or None."""
        if not isinstance(found, list | tuple):
            return None
        read = tuple(word for word in found if isinstance(word, str) and word in self.words)
        return read if len(set(read)) == len(found) else None


@dataclass(frozen=True, slots=True)
class Rising:
    """A list of whole numbers from 1, each greater than the one before."""

    expected: str = "a list of whole numbers from 1, each greater than the one before"

    def read(self, found: object) -> tuple[int, ...] | None:
        """The numbers as a tuple, or None."""
        if not isinstance(found, list | tuple):
            return None
        number = Whole(1, 10**9)
        read = tuple(n for n in found if number.read(n) is not None)
        return read if len(read) == len(found) and _rises(read) else None


@dataclass(frozen=True, slots=True)
class Steps:
    """A list of pairs of an amount from 1 fen, ever greater, and a percentage."""

    expected: str = (
        "a list of pairs of an amount in fen, each greater than the one before, and 0 to 100 per"
        " cent, as in [[10000, 80]]"
    )

    def read(self, found: object) -> Rows | None:
        """The pairs as tuples, or None."""
        if not isinstance(found, list | tuple):
            return None
        amount, percent = Whole(1, 10**9), Whole(0, 100)
        rows = []
        for row in found:
            if not isinstance(row, list | tuple) or len(row) != 2:
                return None
            reached, then = amount.read(row[0]), percent.read(row[1])
            if reached is None or then is None:
                return None
            rows.append((reached, then))
        return tuple(rows) if _rises(tuple(reached for reached, _ in rows)) else None


def _rises(numbers: tuple[int, ...]) -> bool:
    return all(a < b for a, b in pairwise(numbers))


def shown(found: object) -> str:
    """A value for a message, as a TOML file has it where it can; cut where it is long.

    >>> shown([True, "up"])
    "[true, 'up']"
    """
    if isinstance(found, bool):
        return str(found).lower()
    text = f"[{', '.join(map(shown, found))}]" if isinstance(found, list | tuple) else repr(found)
    return text if len(text) <= 60 else f"{text[:57]}..."


@dataclass(frozen=True, slots=True)
class Knob:
    """A knob for people. unit: of the value, or empty. grade: how well the default is known."""

    name: str
    group: str
    default: object
    values: Values
    unit: str
    why: str
    grade: str
    source: str


Maker = Callable[..., Any]


def knob_maker(group: str) -> Maker:
    """A function that declares the knobs of one group as fields of a dataclass.

    Its arguments are those of `Knob`, the grade and the source in one text: "V-B, clause 3.2".
    """

    def make(default: object, values: Values, unit: str, why: str, known: str) -> Any:  # noqa: ANN401
        grade, _, source = known.partition(", ")
        said = {
            "group": group,
            "values": values,
            "unit": unit,
            "why": why,
            "grade": grade,
            "source": source,
        }
        return field(default=default, metadata=said)

    return make

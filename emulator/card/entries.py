"""Entries of a card file, strictly: how one value looks in JSON, and how it is read back.

A `Shape` says both ways of one value. An `Entry` is one JSON object that is taken apart name by
name, so that a missing, unknown or misshapen one is told with its place.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import Enum
from typing import Any, Generic, TypeVar

Json = Any
"""What `json` makes of a text."""

T = TypeVar("T")
E = TypeVar("E", bound=Enum)


class EntryError(ValueError):
    """An entry is wrong; the message names it, what it is and what was expected."""


@dataclass(frozen=True, slots=True)
class Shape(Generic[T]):
    """One value in JSON. wanted: what people read. load: raises ValueError, KeyError, TypeError.

    is_secret: a message never shows what was found.
    """

    wanted: str
    dump: Callable[[T], Json]
    load: Callable[[Json], T]
    is_secret: bool = False


def _exactly(kind: type[T]) -> Callable[[Json], T]:
    """A bool is no number here, whatever Python says."""

    def load(found: Json) -> T:
        if type(found) is not kind:
            raise TypeError
        return found

    return load


def _text(found: Json) -> str:
    text = _exactly(str)(found)
    text.encode()  # half a surrogate pair is a JSON string, and no text
    return text


TEXT: Shape[str] = Shape("a text", str, _text)
FLAG: Shape[bool] = Shape("true or false", bool, _exactly(bool))


def number(low: int, high: int) -> Shape[int]:
    """A whole number of a range."""

    def load(found: Json) -> int:
        if not low <= _exactly(int)(found) <= high:
            raise ValueError
        return int(found)

    return Shape(f"a whole number from {low} to {high}", int, load)


def hexed(low: int, high: int | None = None, *, is_secret: bool = False) -> Shape[bytes]:
    """Bytes in hexadecimal: so many, or from so many to so many."""
    most = low if high is None else high
    size = f"{low}" if low == most else f"{low} to {most}"

    def load(found: Json) -> bytes:
        data = bytes.fromhex(_exactly(str)(found))
        if not low <= len(data) <= most or len(found) != 2 * len(data):
            raise ValueError
        return data

    wanted = f"{size} bytes in hexadecimal"
    return Shape(wanted, lambda data: data.hex().upper(), load, is_secret)


def coded(size: int) -> Shape[int]:
    """A number people know in hexadecimal: a file id, an access byte."""
    inner = hexed(size)
    return Shape(
        f"{2 * size} hexadecimal digits",
        lambda value: f"{value:0{2 * size}X}",
        lambda found: int.from_bytes(inner.load(found), "big"),
    )


def choice(kinds: type[E]) -> Shape[E]:
    """A member of an enumeration by its name, in small letters."""
    known = {member.name.lower(): member for member in kinds}
    return Shape(f"one of {', '.join(known)}", lambda m: m.name.lower(), lambda found: known[found])


Shapes = Mapping[str, Shape[Any]]
"""The fields of a value class, in their order."""


def dump(shapes: Shapes, rec: object) -> dict[str, Json]:
    """The fields of a value as a JSON object."""
    return {name: shape.dump(getattr(rec, name)) for name, shape in shapes.items()}


class Entry:
    """One JSON object. where: its place, as messages show it."""

    __slots__ = ("_left", "where")

    def __init__(self, where: str, found: Json) -> None:
        if type(found) is not dict:
            raise EntryError(f"{where} is {shown(found)}; expected an object")
        self.where = where
        self._left: dict[str, Json] = dict(found)

    def __contains__(self, name: str) -> bool:
        return name in self._left

    def place(self, name: str) -> str:
        """An entry's place inside this one."""
        return f"{self.where}.{name}" if self.where else name

    def raw(self, name: str, wanted: str) -> Json:
        """Take what is there under a name. Raises EntryError if nothing is."""
        if name not in self._left:
            raise EntryError(f"{self.place(name)} is missing; expected {wanted}")
        return self._left.pop(name)

    def take(self, name: str, shape: Shape[T]) -> T:
        """Take one value. Raises EntryError."""
        found = self.raw(name, shape.wanted)
        try:
            return shape.load(found)
        except (ValueError, KeyError, TypeError):
            what = "something else" if shape.is_secret else shown(found)
            raise EntryError(f"{self.place(name)} is {what}; expected {shape.wanted}") from None

    def fields(self, shapes: Shapes) -> dict[str, Any]:
        """Take all fields of a value class."""
        return {name: self.take(name, shape) for name, shape in shapes.items()}

    def entry(self, name: str) -> "Entry":
        """Take an object."""
        return Entry(self.place(name), self.raw(name, "an object"))

    def entries(self, name: str) -> list["Entry"]:
        """Take a list of objects."""
        place = self.place(name)
        return [Entry(f"{place}[{i}]", one) for i, one in enumerate(self._list(name))]

    def several(self, name: str, shape: Shape[T]) -> list[T]:
        """Take a list of values."""
        found = {f"{name}[{i}]": one for i, one in enumerate(self._list(name))}
        each = Entry(self.where, found)
        return [each.take(place, shape) for place in found]

    def _list(self, name: str) -> list[Json]:
        found = self.raw(name, "a list")
        if type(found) is not list:
            raise EntryError(f"{self.place(name)} is {shown(found)}; expected a list")
        return found

    def nothing_left(self) -> None:
        """Raise EntryError for entries nobody took."""
        if self._left:
            names = ", ".join(sorted(map(self.place, self._left)))
            raise EntryError(f"{names} is unknown; expected nothing of that name")


def shown(found: Json) -> str:
    """A value in a message: never long."""
    if isinstance(found, dict | list):
        return "a list" if isinstance(found, list) else "an object"
    text = repr(found)
    return text if len(text) <= 20 else f"{text[:16]}.."

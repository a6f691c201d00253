"""Records: byte layouts declared once in construct, carried as dataclasses.

A record is a class whose fields name a construct and what they mean::

    @record
    class Offer(Record):
        balance: int = wire(Int32ub, "what the card can pay", Show.MONEY)
        random: bytes = wire(Bytes(4), "card random")

A layout of fixed size is *flattened* at import: the construct is walked, one `struct` format is
derived from it, and parsing and building run on that format. The declaration stays the only source.
construct's own compiler is not used: compiled constructs accept truncated input and build bytes
of the wrong length (docs/design.md). A layout of variable size is interpreted by construct behind a
gate on the length. construct itself never leaves this module and the modules that declare records.

Type checkers see frozen dataclasses. At run time the classes are plain slots, because a frozen
`__init__` costs more than the parse itself.
"""

import struct
from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields
from enum import Enum, auto
from functools import cache
from typing import Any, ClassVar, Self, TypeVar, dataclass_transform, overload

from construct import (
    Bytes,
    BytesInteger,
    Construct,
    ConstructError,
    FormatField,
    GreedyBytes,
    Int8ub,
    Int16ub,
    Int24ub,
    Int32ub,
    Struct,
)

__all__ = [
    "Bytes",
    "Field",
    "GreedyBytes",
    "Int8ub",
    "Int16ub",
    "Int24ub",
    "Int32ub",
    "Record",
    "Show",
    "WireError",
    "record",
    "wire",
]


class WireError(ValueError):
    """Bytes or values do not fit a record; the message says which and why."""


class Show(Enum):
    """How a field is shown to people (`apdu.trace`)."""

    HEX = auto()
    NUMBER = auto()
    MONEY = auto()
    DATE = auto()
    TIME = auto()
    MOMENT = auto()
    DIGITS = auto()
    SECRET = auto()


@dataclass(frozen=True, slots=True)
class Field:
    """One field of a record: its place on the wire and its meaning.

    offset, size: bytes; the size is None when the record's length varies.
    values:       names of single values, for codes.
    """

    name: str
    offset: int | None
    size: int | None
    meaning: str
    show: Show
    values: Mapping[int, str]


@dataclass(frozen=True, slots=True)
class _Wire:
    con: Construct
    meaning: str
    show: Show | None
    values: Mapping[int, str]


def wire(
    con: Construct, meaning: str = "", show: Show | None = None, values: Mapping[int, str] = {}
) -> Any:
    """Declare a field: its construct, what it means, and how people see it.

    Returns Any because it stands where type checkers read the annotation.
    """
    return _Wire(con, meaning, show, values)


class Record:
    """Base of all records. Use with `@record`; see the module's text."""

    __slots__ = ()

    FIELDS: ClassVar[tuple[Field, ...]] = ()
    SIZES: ClassVar[range] = range(0)
    STRUCT: ClassVar[Construct] = Struct()
    FORMAT: ClassVar[str | None] = None

    parse: ClassVar[Callable[[bytes], Any]]

    def build(self) -> bytes:
        """The record's bytes. Raises WireError if a value does not fit its field."""
        raise NotImplementedError

    @classmethod
    def size(cls) -> int:
        """Bytes of a fixed-size record. Raises WireError for a variable one."""
        if len(cls.SIZES) != 1:
            raise WireError(f"{cls.__name__} has no fixed size")
        return cls.SIZES[0]

    @classmethod
    def from_wire(cls, data: bytes) -> Self:
        """`parse` with a type; the hot paths call `parse` directly."""
        parsed: Self = cls.parse(data)
        return parsed


R = TypeVar("R", bound=type[Record])


@overload
def record(cls: R) -> R: ...
@overload
def record(*, sizes: range) -> Callable[[R], R]: ...
@dataclass_transform(field_specifiers=(wire,), frozen_default=True)
def record(cls: Any = None, *, sizes: range | None = None) -> Any:
    """Turn a class of `wire` fields into a record.

    sizes: the lengths a variable record may have; left out for fixed layouts.

    >>> @record
    ... class Pair(Record):
    ...     seq: int = wire(Int16ub, "sequence number")
    ...     tail: bytes = wire(Bytes(2), "two bytes")
    >>> Pair.parse(bytes.fromhex("0012abcd"))
    Pair(seq=18, tail=b'\\xab\\xcd')
    >>> Pair(18, b"xy").build().hex()
    '00127879'
    """
    if cls is None:
        return lambda decorated: _make(decorated, sizes)
    return _make(cls, sizes)


def _make(cls: type[Record], sizes: range | None) -> type[Record]:
    wires = {name: vars(cls)[name] for name in cls.__annotations__}
    for name in wires:
        delattr(cls, name)
    made: Any = dataclass(slots=True)(cls)
    made.STRUCT = Struct(*(name / w.con for name, w in wires.items()))
    parts = [_flat(w.con) for w in wires.values()]
    if sizes is None:
        if None in parts:
            raise TypeError(f"{cls.__name__}: a variable record needs sizes=range(...)")
        _install_flat(made, wires, [p for p in parts if p is not None])
    elif len(wires) == 1 and next(iter(wires.values())).con is GreedyBytes:
        _install_whole(made, sizes, next(iter(wires)))
    else:
        _install_interpreted(made, sizes)
    made.FIELDS = _describe(wires, parts)
    return made  # type: ignore[no-any-return]


@dataclass(frozen=True, slots=True)
class _Part:
    """A field in `struct` terms. is_int24: three bytes that struct has no letter for."""

    fmt: str
    size: int
    is_bytes: bool
    is_int24: bool


def _flat(con: Construct) -> _Part | None:
    """The `struct` form of one field's construct, or None if its size varies."""
    if isinstance(con, FormatField) and con.fmtstr[0] in ">B":
        return _Part(con.fmtstr[-1], con.length, False, False)
    if isinstance(con, BytesInteger) and con.length == 3 and not con.signed and not con.swapped:
        return _Part("3s", 3, False, True)
    if isinstance(con, Bytes) and isinstance(con.length, int):
        return _Part(f"{con.length}s", con.length, True, False)
    return None


def _install_flat(cls: Any, wires: Mapping[str, _Wire], parts: list[_Part]) -> None:
    layout = struct.Struct(">" + "".join(p.fmt for p in parts))
    cls.SIZES = range(layout.size, layout.size + 1)
    cls.FORMAT = layout.format
    names = list(wires)

    @cache
    def written() -> tuple[Callable[[bytes], Any], Callable[[Any], bytes]]:
        """When first used: most programs use few of the records there are."""
        parse, build = _write_flat(cls, layout, names, parts)
        cls.parse, cls.build = staticmethod(parse), build
        return parse, build

    # Whoever has taken these before still finds the functions behind them.
    cls.parse = staticmethod(lambda data: written()[0](data))
    cls.build = lambda self: written()[1](self)


_FLAT = """\
def parse(data):
    try:
        {locals}, = unpack(data)
    except StructError:
        raise misfit(data) from None
    return cls({taken})

def build(self):
    try:
        {read}
        {checked}
        return pack({packed})
    except (StructError, OverflowError, TypeError, AttributeError) as error:
        raise unfit(error) from error
"""


def _write_flat(
    cls: Any, layout: struct.Struct, names: list[str], parts: list[_Part]
) -> tuple[Callable[[bytes], Any], Callable[[Any], bytes]]:
    """A record's `parse` and `build`, written out field by field.

    Loops over fields cost more than what they do. Nothing of the text comes from outside: fields
    are numbered, and their names are identifiers of the class.
    """
    # struct would cut or fill a byte string of another length without a word.
    sized = [(i, p.size) for i, p in enumerate(parts) if p.is_bytes]
    source = _FLAT.format(
        locals=", ".join(f"f{i}" for i in range(len(parts))),
        taken=", ".join(
            f'from_bytes(f{i}, "big")' if p.is_int24 else f"f{i}" for i, p in enumerate(parts)
        ),
        read="; ".join(f"f{i} = self.{name}" for i, name in enumerate(names)),
        checked=f"if {' or '.join(f'len(f{i}) != {n}' for i, n in sized)}: raise cut(self)"
        if sized
        else "",
        packed=", ".join(
            f'f{i}.to_bytes(3, "big")' if p.is_int24 else f"f{i}" for i, p in enumerate(parts)
        ),
    )

    def misfit(data: bytes) -> WireError:
        return WireError(f"{cls.__name__} is {layout.size} bytes, got {len(data)}")

    def cut(record: Any) -> WireError:
        for i, n in sized:
            got = len(getattr(record, names[i]))
            if got != n:
                return WireError(f"{cls.__name__}.{names[i]} takes {n} bytes, got {got}")
        raise AssertionError("every field has its size")

    def unfit(error: Exception) -> WireError:
        return WireError(f"{cls.__name__} does not fit its wire form: {error}")

    made: dict[str, Any] = {
        "StructError": struct.error,
        "cls": cls,
        "cut": cut,
        "from_bytes": int.from_bytes,
        "misfit": misfit,
        "pack": layout.pack,
        "unfit": unfit,
        "unpack": layout.unpack,
    }
    exec(source, made)  # noqa: S102 - our own text, as dataclasses writes its __init__
    return made["parse"], made["build"]


def _gate(cls: Any, sizes: range, length: int) -> None:
    if length not in sizes:
        raise WireError(f"{cls.__name__} is {sizes[0]} to {sizes[-1]} bytes, got {length}")


def _install_whole(cls: Any, sizes: range, name: str) -> None:
    """One field of all the bytes there are: nothing to interpret, the gate is everything."""

    def parse(data: bytes) -> Any:
        _gate(cls, sizes, len(data))
        return cls(bytes(data))

    def build(self: Record) -> bytes:
        value = getattr(self, name)
        if not isinstance(value, bytes | bytearray):
            raise WireError(f"{cls.__name__}.{name} takes bytes, got {type(value).__name__}")
        _gate(cls, sizes, len(value))
        return bytes(value)

    cls.parse = staticmethod(parse)
    cls.build = build
    cls.SIZES = sizes


def _install_interpreted(cls: Any, sizes: range) -> None:
    name, con = cls.__name__, cls.STRUCT
    names = [f.name for f in fields(cls)]

    def parse(data: bytes) -> Any:
        _gate(cls, sizes, len(data))
        try:
            found = con.parse(data)
        except ConstructError as error:
            raise WireError(f"{name}: {error}") from error
        return cls(*(found[n] for n in names))

    def build(self: Record) -> bytes:
        try:
            built: bytes = con.build({n: getattr(self, n) for n in names})
        except (ConstructError, KeyError, TypeError) as error:
            raise WireError(f"{name} does not fit its wire form: {error}") from error
        _gate(cls, sizes, len(built))
        return built

    cls.parse = staticmethod(parse)
    cls.build = build
    cls.SIZES = sizes


def _describe(wires: Mapping[str, _Wire], parts: list[_Part | None]) -> tuple[Field, ...]:
    described: list[Field] = []
    offset: int | None = 0
    for (name, w), part in zip(wires.items(), parts, strict=True):
        size = part.size if part else None
        default = Show.HEX if part is None or part.is_bytes else Show.NUMBER
        described.append(Field(name, offset, size, w.meaning, w.show or default, w.values))
        offset = offset + size if offset is not None and size is not None else None
    return tuple(described)

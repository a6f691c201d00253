"""A recipe for one command: it becomes bytes when a desk knows what the card last offered.

A recipe can be kept, mutated and replayed on another card, where the random numbers and so the
MACs are others. `BENDS` are the ways to spoil the right command.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

from apdu.command import Command
from apdu.commands import READ_RECORD
from apdu.file_commands import READ_BINARY
from apdu.files import EF1A, FILES
from apdu.spec import BinaryRef, RecordRef
from bench.conformance.desk import Desk, Pair, Spec

RESET, NOISE = "reset", "noise"
"""Recipes that are no command: the field goes off and on, or bytes without any form."""


STALE = "stale"
"""A bend of what the command is made from: the challenge is an earlier one."""


class Fuzzer(Desk):
    """A desk that also remembers the last challenge after it was used up."""

    stale: bytes | None = None

    def send(self, command: bytes) -> bytes:
        """See Desk."""
        response = super().send(command)
        self.stale = self.challenge or self.stale
        return response


class Recipe(NamedTuple):
    """What to send.

    spec:   the command, or RESET or NOISE. pair: P1 and P2.
    amount: fen of a transaction, and the new limit.
    bend:   a name of BENDS, STALE, or nothing. place, value: where and how it bends.
    record: record number for records the desk writes. Also chooses a file now and then.
    """

    spec: Spec | str
    pair: Pair = (0, 0)
    amount: int = 100
    bend: str = ""
    place: int = 0
    value: int = 0
    record: int = 1


_SFIS = (*FILES, 5, 1)


def made(recipe: Recipe, desk: Desk) -> bytes:
    """The bytes for this desk's card as it stands; none for RESET."""
    spec = recipe.spec
    if isinstance(spec, str):
        size = recipe.value % 64 if recipe.place & 7 else recipe.value + recipe.place % 50
        return _noise(recipe, size) if spec == NOISE else b""
    pair = _elsewhere(recipe, spec)
    desk.amount = recipe.amount
    desk.limit = recipe.amount & 0xFFFFFF
    desk.record = recipe.record
    desk.filler = recipe.value & 0xFF
    if recipe.bend == STALE and isinstance(desk, Fuzzer):
        desk.challenge = desk.stale
    command = desk.request(spec, pair)
    return BENDS[recipe.bend](command, recipe) if recipe.bend in BENDS else command


def _noise(recipe: Recipe, size: int) -> bytes:
    word = (recipe.value * 0x9E3779B1 + recipe.place) & 0xFFFFFFFF
    return (word.to_bytes(4, "big") * (size // 4 + 1))[:size]


def _elsewhere(recipe: Recipe, spec: Spec) -> Pair:
    """Mostly the pair as it is; other records and files of the same command now and then."""
    p1, p2 = recipe.pair
    if isinstance(spec.params, RecordRef):
        if recipe.place % 5 == 0:
            p2 = _SFIS[recipe.value % len(_SFIS)] << 3 | p2 & 7
        if spec is READ_RECORD or (p1 and p2 >> 3 == EF1A.sfi):
            p1 = recipe.record if p1 else p1
    elif isinstance(spec.params, BinaryRef) and recipe.place % 5 == 0:
        p1 = 0x80 | _SFIS[recipe.value % len(_SFIS)]
        p2 = recipe.record if spec is READ_BINARY else p2
    return p1, p2


Bend = Callable[[bytes, Recipe], bytes]


def _flip(command: bytes, r: Recipe) -> bytes:
    at = r.place % len(command)
    return command[:at] + bytes((command[at] ^ (1 << (r.value & 7)),)) + command[at + 1 :]


def _set_at(command: bytes, at: int, value: int) -> bytes:
    return command[:at] + bytes((value & 0xFF,)) + command[at + 1 :]


def _mac(command: bytes, r: Recipe) -> bytes:
    """One bit in the last bytes of the data field, where a MAC is."""
    end = 5 + command[4] if len(command) > 5 else len(command)
    at = max(0, min(end, len(command)) - 1 - r.place % 4)
    return _set_at(command, at, command[at] ^ (1 << (r.value & 7)))


EDGES = (0x00, 0x01, 0x7F, 0x80, 0xFE, 0xFF)


def _field(command: bytes, r: Recipe) -> bytes:
    """One field of the declared record at an edge of its range. Its MAC is then wrong."""
    spec: Any = r.spec
    fields = spec.data.FIELDS if spec.data is not None else ()
    fields = [f for f in fields if f.offset is not None and f.size]
    if not fields or len(command) < 6:
        return _set_at(command, 2 + r.place % 2, r.value)
    field = fields[r.place % len(fields)]
    at: int = 5 + field.offset
    edge = EDGES[r.value % len(EDGES)]
    size: int = field.size
    fill = bytes((edge if edge in (0, 0xFF) else 0,)) * (size - 1) + bytes((edge,))
    return command[:at] + fill[: max(0, len(command) - at)] + command[at + size :]


def _relength(command: bytes, r: Recipe) -> bytes:
    """More or fewer bytes of data under an Lc that fits them."""
    if len(command) < 6:
        return command + bytes((r.value & 0xFF,))
    data = command[5 : 5 + command[4]]
    data = data[: r.place % (len(data) + 1)] if r.value & 1 else data + bytes(1 + r.place % 40)
    return Command(command[0], command[1], command[2], command[3], data[:255], None).build()


BENDS: dict[str, Bend] = {
    "flip": _flip,
    "set": lambda c, r: _set_at(c, r.place % len(c), r.value),
    "class": lambda c, r: _set_at(c, 0, c[0] ^ (0x04, 0x80, 0x84, 0x01)[r.value & 3]),
    "p1": lambda c, r: _set_at(c, 2, r.value),
    "p2": lambda c, r: _set_at(c, 3, r.value),
    "lc": lambda c, r: _set_at(c, min(4, len(c) - 1), EDGES[r.value % len(EDGES)]),
    "le": lambda c, r: _le(c, r.value % 20 if r.place & 1 else r.value),
    "cut": lambda c, r: c[: r.place % len(c)],
    "add": lambda c, r: c + bytes((r.value & 0xFF,)) * (1 + r.place % 40),
    "length": _relength,
    "field": _field,
    "mac": _mac,
    "twice": lambda c, r: c + c[: r.place % len(c)],
}
"""Ways to spoil a right command."""


def _le(command: bytes, le: int) -> bytes:
    """Another Le, or one where there is none."""
    if len(command) <= 5:
        return command[:4] + bytes((le & 0xFF,))
    return command[: 5 + command[4]] + bytes((le & 0xFF,))

"""What differs between two runs of the same transaction, and what should not.

Random numbers, cryptograms made with them, the terminal's own numbers and the time of day are new
in each run: fresh. All else is settled, and a comparison of recordings looks at that. Which fields
are fresh follows from the declarations of the records: from a field's unit, or its meaning.
"""

from collections.abc import Iterator
from typing import Any, Final

from apdu.codec import Field, Record, Show
from apdu.commands import SAM_TABLE, TABLE
from apdu.file_commands import GET_CHALLENGE, READ_BINARY_MAC, READ_RECORD_MAC
from apdu.files import FILES, BusTrip
from apdu.key_commands import INTERNAL_AUTHENTICATE
from apdu.records import Protected
from apdu.sam_commands import SAM_CIPHER
from apdu.secret import has_secret
from apdu.show import Line, hexed
from apdu.trace import explain_command, explain_response, find_call

_MEANINGS: Final = (
    "MAC",
    "TAC",
    "card random",
    "challenge",
    "secure-messaging MAC",
    "terminal transaction number",
    "trip serial",  # holds the terminal's transaction number (protocol reference 3.8)
)
_FRESH_ANSWERS: Final = frozenset(
    {GET_CHALLENGE, INTERNAL_AUTHENTICATE, READ_BINARY_MAC, READ_RECORD_MAC, SAM_CIPHER}
)
"""Commands whose whole answer is random or made with a key."""


def records() -> Iterator[type[Record]]:
    """Every layout the tables name."""
    for spec in (*TABLE, *SAM_TABLE):
        for layout in (spec.data, spec.reply):
            if layout is not None and issubclass(layout, Record):
                yield layout
    yield from (file.layout for file in FILES.values())
    yield BusTrip


def is_fresh(field: Field, layout: type[Record]) -> bool:
    """Whether a field of a record is new in every run."""
    if field.show in (Show.TIME, Show.MOMENT):
        return True
    if field.show is Show.DATE:  # with a time beside it, it is when something happened
        return any(other.show is Show.TIME for other in layout.FIELDS)
    return field.meaning.startswith(_MEANINGS)


FRESH: Final = frozenset(
    field.name for layout in records() for field in layout.FIELDS if is_fresh(field, layout)
)
"""Names of the fields that are fresh. No record uses one of them for something settled."""


def command_lines(command: bytes, fresh: bool = False) -> list[Line]:
    """A command's named values. fresh: those that differ in every run too."""
    found = find_call(command)
    lines = _leaves(explain_command(command).lines)
    if fresh or found is None:
        return lines
    if isinstance(found[1].data, Protected):
        lines = [_without_mac(line, found[1].data) for line in lines]
    return [line for line in lines if line.label not in FRESH]


def response_lines(command: bytes, response: bytes, fresh: bool = False) -> list[Line]:
    """An answer's named values, without the status word. fresh: see `command_lines`."""
    found = find_call(command)
    lines = _leaves(explain_response(response, command).lines)
    if fresh or found is None:
        return lines
    if found[0] in _FRESH_ANSWERS:
        return []
    return [line for line in lines if line.label not in FRESH]


def is_same_command(one: bytes, other: bytes) -> bool:
    """Whether two commands differ in fresh values at most.

    >>> debit = bytes.fromhex("805401000F 00000101 20250908073015 94E76395 08")
    >>> later = bytes.fromhex("805401000F 00000102 20250909101112 01020304 08")
    >>> is_same_command(debit, later)
    True
    """
    if one == other:
        return True
    if one[:4] != other[:4] or len(one) != len(other):
        return False
    if find_call(one) is None or has_secret(one):
        return False
    return command_lines(one) == command_lines(other)


def _leaves(lines: list[Line]) -> list[Line]:
    """Without the bytes of what is taken apart in the lines below it."""
    below = [line.depth for line in lines[1:]] + [0]
    return [line for line, depth in zip(lines, below, strict=False) if depth <= line.depth]


def _without_mac(line: Line, data: Any) -> Line:  # noqa: ANN401 - a record of the table
    return line._replace(value=hexed(data.content)) if line.label == "field" else line

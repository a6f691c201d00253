"""The stages of a tap, told from the commands a gate has sent.

What a command is for is looked up by its statement in the command tables; nothing is known here
about headers. Commands of one stage that follow each other are one `Stage`.
"""

from collections.abc import Iterable
from enum import Enum
from typing import Any

from apdu.commands import (
    DEBIT,
    GET_ALL_BALANCES,
    GET_BALANCE,
    GET_PROVE,
    INIT_CAPP,
    INIT_PURCHASE,
    READ_BINARY,
    READ_RECORD,
    SAM_CREDIT_EARLIER,
    SAM_CREDIT_PURCHASE,
    SAM_INIT_PURCHASE,
    SAM_TABLE,
    SELECT,
    SELECT_FILE,
    TABLE,
    UPDATE_CACHE,
)
from apdu.file_commands import GET_RESPONSE
from apdu.spec import CommandSpec
from apdu.value import value
from reader.transport.decorators import Exchange

_HEADER = 4
_TABLES = {"card": TABLE, "psam": SAM_TABLE}


class Part(Enum):
    """What a stage is for: its name, and the letter that stands for it without colour."""

    SELECT = ("select", "S")
    READ = ("read", "R")
    PROOF = ("proof", "V")
    OFFER = ("offer", "O")
    PSAM = ("PSAM", "P")
    RECORDS = ("records", "W")
    DEBIT = ("debit", "D")
    PSAM_CHECK = ("PSAM check", "C")
    OTHER = ("other", "X")

    def __init__(self, text: str, letter: str) -> None:
        self.text = text
        self.letter = letter


_PARTS: dict[CommandSpec[Any, Any], Part] = {
    SELECT: Part.SELECT,
    SELECT_FILE: Part.SELECT,
    READ_BINARY: Part.READ,
    READ_RECORD: Part.READ,
    GET_BALANCE: Part.READ,
    GET_ALL_BALANCES: Part.READ,
    GET_PROVE: Part.PROOF,
    INIT_PURCHASE: Part.OFFER,
    INIT_CAPP: Part.OFFER,
    SAM_INIT_PURCHASE: Part.PSAM,
    UPDATE_CACHE: Part.RECORDS,
    DEBIT: Part.DEBIT,
    SAM_CREDIT_PURCHASE: Part.PSAM_CHECK,
    SAM_CREDIT_EARLIER: Part.PSAM_CHECK,
}
"""What a gate asks for what. Everything else is OTHER."""


@value
class Stage:
    """Part of a tap, from its first command to its last answer. Times: monotonic ns."""

    part: Part
    start_ns: int
    end_ns: int

    @property
    def name(self) -> str:
        """What the stage is for."""
        return self.part.text

    @property
    def ms(self) -> float:
        """How long it took."""
        return (self.end_ns - self.start_ns) / 1e6


def stages(exchanges: Iterable[Exchange]) -> list[Stage]:
    """The stages in their order. A stage that comes again, as after a recovery, is another one.

    exchanges: of one tap, with card and PSAM, in the order in which they ended.
    """
    found: list[Stage] = []
    for exchange in exchanges:
        part = _part(exchange, found[-1].part if found else Part.OTHER)
        if found and found[-1].part is part:
            found[-1] = Stage(part, found[-1].start_ns, exchange.end_ns)
        else:
            found.append(Stage(part, exchange.start_ns, exchange.end_ns))
    return found


def total_ms(found: list[Stage]) -> float:
    """From the first command to the last answer, the gate's own time between them included."""
    return (found[-1].end_ns - found[0].start_ns) / 1e6 if found else 0.0


def longest(found: list[Stage]) -> Stage | None:
    """The stage that took longest, the first of several; None of none."""
    return max(found, key=lambda stage: stage.ms, default=None)


def _part(exchange: Exchange, before: Part) -> Part:
    header = exchange.command[:_HEADER]
    if TABLE.route(header) is GET_RESPONSE:  # of the PSAM too, whose table does not have it
        return before  # the rest of an answer belongs to its command
    table = _TABLES.get(exchange.to)
    spec = None if table is None else table.route(header)
    return _PARTS.get(spec, Part.OTHER) if isinstance(spec, CommandSpec) else Part.OTHER

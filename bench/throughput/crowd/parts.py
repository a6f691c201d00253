"""Where the time of a tap goes: what each exchange was for, in words."""

from functools import lru_cache

from apdu.commands import AID_PPSE, READ_BINARY, READ_RECORD, SAM_TABLE, SELECT, TABLE, UPDATE_CACHE
from apdu.spec import CommandSpec
from reader.transport.decorators import Exchange

FOUND = "found and activated"
"""Until the first command: the reader's search, the guard time, a phone's waking, activation."""

_TABLES = {"card": TABLE, "psam": SAM_TABLE}
_START = 20
"""Bytes of a command that tell what it is for: header and a name."""


def part_of(exchange: Exchange) -> str:
    """What an exchange was for.

    >>> part_of(Exchange("card", bytes.fromhex("00B0950000"), b"", 0, 0))
    'READ EF15'
    """
    return _named(exchange.to, exchange.command[:_START])


@lru_cache(maxsize=1024)
def _named(to: str, start: bytes) -> str:
    spec = _TABLES[to].route(start[:4])
    if not isinstance(spec, CommandSpec):
        return f"other {start[:4].hex().upper()}"
    if to == "psam":
        return f"PSAM {start[1]:02X} {spec.name}"
    if spec is SELECT:
        return "SELECT PPSE" if AID_PPSE in start else "SELECT purse"
    if spec is READ_BINARY:
        return f"READ EF{start[2] & 0x1F:02X}"
    if spec is READ_RECORD:
        return f"READ EF{start[3] >> 3:02X}"
    if spec is UPDATE_CACHE:
        return f"{spec.name} EF{start[3] >> 3:02X}"
    return spec.name

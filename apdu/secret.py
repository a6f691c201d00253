"""Which commands carry a PIN or a key, which is never shown and tells no two commands apart."""

from typing import Any, Final

from apdu.codec import Record, Show
from apdu.commands import SAM_TABLE, TABLE
from apdu.spec import CommandSpec

_INTERINDUSTRY: Final = 0x80
"""This bit of CLA is 0 in classes of ISO/IEC 7816-4."""
_ISO_PINS: Final = frozenset({0x20, 0x21, 0x24, 0x2C})
"""VERIFY, CHANGE REFERENCE DATA, RESET RETRY COUNTER, of cards other than ours too."""


def _holds_secret(spec: CommandSpec[Any, Any]) -> bool:
    record = spec.data
    if record is None or not issubclass(record, Record):
        return False
    return any(field.show is Show.SECRET for field in record.FIELDS)


_OURS: Final = frozenset(
    (spec.cla, spec.ins) for spec in (*TABLE, *SAM_TABLE) if _holds_secret(spec)
)


def has_secret(command: bytes) -> bool:
    """Whether a command is one of those, by its first bytes: parameters and length may be wrong.

    >>> has_secret(bytes.fromhex("0020000003123456")), has_secret(bytes.fromhex("805C000204"))
    (True, False)
    """
    if len(command) < 2:
        return False
    cla, ins = command[:2]
    return (cla, ins) in _OURS or (not cla & _INTERINDUSTRY and ins in _ISO_PINS)

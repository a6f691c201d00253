"""Which commands change nothing on a card."""

from apdu.commands import (
    GET_BALANCE,
    GET_PROVE,
    INIT_LIMIT,
    INIT_LOAD,
    READ_BINARY,
    READ_RECORD,
    SELECT,
)
from apdu.file_commands import GET_CHALLENGE, GET_DATA, GET_RESPONSE
from apdu.key_commands import INTERNAL_AUTHENTICATE

READING = frozenset(
    bytes((spec.cla, spec.ins))
    for spec in (
        SELECT,
        READ_BINARY,
        READ_RECORD,
        GET_BALANCE,
        GET_PROVE,
        GET_CHALLENGE,
        GET_RESPONSE,
        GET_DATA,
        INTERNAL_AUTHENTICATE,
        INIT_LOAD,  # INITIALIZE, of every kind: it opens a transaction, which a reset forgets
        INIT_LIMIT,
    )
)
"""Class and instruction. All else counts as writing: a wrong PIN or MAC costs a try, and what the
table does not know may do anything."""


def is_reading(command: bytes) -> bool:
    """Whether a command, right or wrong in the rest, changes nothing.

    >>> is_reading(bytes.fromhex("805C000204")), is_reading(bytes.fromhex("0020000003123456"))
    (True, False)
    """
    return command[:2] in READING

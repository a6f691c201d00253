"""What issuer and card must agree on to make an FMCOS card: types, access bytes and key ids.

"Annex" is the protocol reference's annex on FMCOS.
"""

from enum import IntEnum


class Kind(IntEnum):
    """File types of CREATE FILE, without their protection bits (annex 3.2)."""

    TRANSPARENT = 0x28
    LINEAR = 0x2A
    VARIABLE = 0x2C
    CYCLIC = 0x2E
    PURSE = 0x2F
    DIRECTORY = 0x38
    KEYS = 0x3F


class KeyKind(IntEnum):
    """Key types of WRITE KEY (annex 4.1), with the standard's names where it has them."""

    __hash__ = int.__hash__  # an enum's own is computed in Python, and keys are looked up by kind

    ENCRYPT = 0x30
    DECRYPT = 0x31
    MAC = 0x32
    TAC = 0x34  # DTK
    TAC_OTHER = 0x35
    MAINTENANCE = 0x36  # DAMK, DBK, DUBK, record protection: by id
    PIN_UNBLOCK = 0x37  # DPUK
    PIN_RELOAD = 0x38  # DRPK
    EXTERNAL = 0x39  # DACK
    PIN = 0x3A
    LIMIT = 0x3C  # DUK
    UNLOAD = 0x3D  # DULK
    PURCHASE = 0x3E  # DPK
    LOAD = 0x3F  # DLK


ALWAYS = 0xF0
"""The access byte that every state meets (annex 5.2)."""

NEVER = 0xEF
"""An access byte that no state meets."""

BY_MASTER = 0xAA
"""Only with the master file's key presented, in the master file; its successor state is A."""

BELOW_MASTER = 0x0A
"""Only with the master file's key presented, in a directory below it."""

MAINTENANCE_ID, BLOCK_ID, UNBLOCK_ID, RECORD_ID = 0, 1, 2, 3
"""Ids of the keys 36 on our cards: DAMK, DBK, DUBK and record protection (5.1)."""

KEY_INDEX = 1
"""The key index terminals name in INITIALIZE (4.13), and so the id of the purse's keys."""

"""The commands of the reader's PSAM, stated once (protocol reference 5.7).

The PSAM has a small machine of its own: a transaction waits for its MAC2, or a delivered key for
the data it shall work on. Any other command, and any refusal, ends what is under way.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum, IntEnum

from apdu.records import (
    SamCreditData,
    SamEarlierData,
    SamPurchaseData,
    SamPurchaseReply,
    SelectName,
)
from apdu.sam_records import (
    CipherData,
    DeliveryData,
    DeliveryFactor,
    SamSelectId,
)
from apdu.spec import A, BinaryRef, CommandSpec, CommandTable, Fixed, Q, Wild
from apdu.sw import SW


class SamState(Enum):
    """States of the PSAM (5.7)."""

    __hash__ = object.__hash__  # an enum's own is computed in Python, on every command

    IDLE = "idle"
    PURCHASE = "a transaction waits for MAC2"
    KEYED = "a key is delivered"


class KeyType(IntEnum):
    """The type in a usage byte: usage is the levels of diversification << 5 | type (5.7)."""

    PURCHASE = 2
    TAC = 4
    LOCK = 5


ANYTIME = frozenset(SamState)


@dataclass(frozen=True, slots=True)
class SamSpec(CommandSpec[Q, A]):
    """One command of the PSAM.

    legal: states in which it is accepted; elsewhere 6901.
    leads: state after success. Every refusal leads to IDLE, but those of `stays` change nothing.
    """

    legal: frozenset[SamState] = ANYTIME
    leads: SamState = SamState.IDLE
    stays: frozenset[SW] = frozenset()

    __hash__ = CommandSpec.__hash__


def usage(levels: int, kind: KeyType) -> int:
    """The usage byte of DELIVERY KEY.

    >>> f"{usage(2, KeyType.LOCK):02X}"
    '45'
    """
    return levels << 5 | kind


SAM_SELECT: SamSpec[SelectName, bytes] = SamSpec(
    "SAM SELECT",
    0x00,
    0xA4,
    Fixed(((0x04, 0x00),)),
    SelectName,
    bytes,
    "5.7",
    ne=256,
    errors={SW.FILE_NOT_FOUND: "no directory of that name"},
    grade="I",
)

SAM_SELECT_FILE: SamSpec[SamSelectId, bytes] = SamSpec(
    "SAM SELECT FILE",
    0x00,
    0xA4,
    Fixed(((0x00, 0x00),)),
    SamSelectId,
    bytes,
    "5.7",
    errors={SW.FILE_NOT_FOUND: "neither 3F00 nor 8011"},
)

SAM_READ_BINARY: SamSpec[None, bytes] = SamSpec(
    "SAM READ BINARY",
    0x00,
    0xB0,
    BinaryRef(),
    None,
    bytes,
    "5.7",
    ne=256,
    errors={
        SW.FILE_NOT_FOUND: "none of EF15, EF16 and EF17",
        SW.NO_CURRENT_EF: "no file is named: files are read by SFI",
        SW.OFFSET_OUTSIDE: "offset beyond the file",
    },
    le_rule=False,
)

SAM_GET_CHALLENGE: SamSpec[None, bytes] = SamSpec(
    "SAM GET CHALLENGE",
    0x00,
    0x84,
    Fixed(((0x00, 0x00),)),
    None,
    bytes,
    "4.9",
    ne=4,
    errors={SW.WRONG_LENGTH: "Le is neither 4 nor 8"},
    le_rule=False,
    grade="I",
)

SAM_INIT_PURCHASE: SamSpec[SamPurchaseData, SamPurchaseReply] = SamSpec(
    "INIT_SAM_FOR_PURCHASE",
    0x80,
    0x70,
    Fixed(((0x00, 0x00),)),
    SamPurchaseData,
    SamPurchaseReply,
    "5.7",
    ne=8,
    errors={
        SW.WRONG_DATA: "the type is neither 06 nor 09",
        SW.KEY_INDEX: "no purchase key of that version and algorithm",
        SW.COUNTER_AT_MAXIMUM: "transaction number at its maximum",
        SW.MEMORY_FAILURE: "the number cannot be kept; nothing is given out",
    },
    leads=SamState.PURCHASE,
)

SAM_CREDIT_PURCHASE: SamSpec[SamCreditData, bytes] = SamSpec(
    "CREDIT_SAM_FOR_PURCHASE",
    0x80,
    0x72,
    Fixed(((0x00, 0x00),)),
    SamCreditData,
    bytes,
    "5.7",
    errors={
        SW.MAC_INVALID: "MAC2 is not the card's; the transaction still waits",
        SW.WRONG_STATE: "no transaction is open",
        SW.MEMORY_FAILURE: "what became of it cannot be kept",
    },
    legal=frozenset({SamState.PURCHASE}),
    stays=frozenset({SW.MAC_INVALID}),
)

SAM_CREDIT_EARLIER: SamSpec[SamEarlierData, bytes] = SamSpec(
    "CREDIT_SAM_FOR_PURCHASE (earlier)",
    0x80,
    0x72,
    Fixed(((0x00, 0x01),)),
    SamEarlierData,
    bytes,
    "6.8 D",
    errors={
        SW.MAC_INVALID: "MAC2 is not the card's",
        SW.REFERENCE_NOT_FOUND: "no such transaction is open",
        SW.MEMORY_FAILURE: "what became of it cannot be kept",
    },
    grade="D",
)
"""Ours alone: the reference lets a software PSAM keep what is unresolved and names no command."""


def _usages(levels: int) -> Wild:
    first, *others = (usage(levels, kind) for kind in (KeyType.LOCK, KeyType.TAC, KeyType.PURCHASE))
    return Wild(
        (first, *others),
        None,
        ("usage", "version"),
        ((first, 0x02), *((one, 0x01) for one in others)),
    )


_DELIVERY_ERRORS: Mapping[SW, str] = {
    SW.KEY_INDEX: "no key of that type and version; the lock key takes any version (Q23)",
}

SAM_DELIVERY_KEY: SamSpec[DeliveryData, bytes] = SamSpec(
    "DELIVERY KEY",
    0x80,
    0x1A,
    _usages(2),
    DeliveryData,
    bytes,
    "5.7",
    errors=_DELIVERY_ERRORS,
    leads=SamState.KEYED,
)

SAM_DELIVERY_KEY_ONE: SamSpec[DeliveryFactor, bytes] = SamSpec(
    "DELIVERY KEY (one level)",
    0x80,
    0x1A,
    _usages(1),
    DeliveryFactor,
    bytes,
    "5.7",
    errors=_DELIVERY_ERRORS,
    leads=SamState.KEYED,
    grade="1",
)

SAM_CIPHER: SamSpec[CipherData, bytes] = SamSpec(
    "CIPHER/MAC",
    0x80,
    0xFA,
    Fixed(((0x05, 0x00),), {(0x05, 0x00): "last block of 8, whose first 4 bytes are the MAC"}),
    CipherData,
    bytes,
    "5.7, 6.7",
    errors={
        SW.WRONG_DATA: "the data are not whole blocks of 8",
        SW.WRONG_STATE: "no key is delivered",
        SW.CONDITIONS_OF_USE: "the purchase key makes MAC1 and nothing else",
    },
    legal=frozenset({SamState.KEYED}),
    leads=SamState.KEYED,
)

SAM_TABLE = CommandTable(
    (
        SAM_SELECT,
        SAM_SELECT_FILE,
        SAM_READ_BINARY,
        SAM_GET_CHALLENGE,
        SAM_INIT_PURCHASE,
        SAM_CREDIT_PURCHASE,
        SAM_CREDIT_EARLIER,
        SAM_DELIVERY_KEY,
        SAM_DELIVERY_KEY_ONE,
        SAM_CIPHER,
    )
)
"""The PSAM's commands."""

__all__ = [
    "SAM_CIPHER",
    "SAM_CREDIT_EARLIER",
    "SAM_CREDIT_PURCHASE",
    "SAM_DELIVERY_KEY",
    "SAM_DELIVERY_KEY_ONE",
    "SAM_GET_CHALLENGE",
    "SAM_INIT_PURCHASE",
    "SAM_READ_BINARY",
    "SAM_SELECT",
    "SAM_SELECT_FILE",
    "SAM_TABLE",
    "KeyType",
    "SamSpec",
    "SamState",
    "usage",
]

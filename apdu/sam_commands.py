"""The commands of the reader's PSAM, stated once (protocol reference 5.7)."""

from apdu.records import SamCreditData, SamEarlierData, SamPurchaseData, SamPurchaseReply
from apdu.spec import CommandSpec, CommandTable, Fixed
from apdu.sw import SW

SAM_INIT_PURCHASE: CommandSpec[SamPurchaseData, SamPurchaseReply] = CommandSpec(
    "INIT_SAM_FOR_PURCHASE",
    0x80,
    0x70,
    Fixed(((0x00, 0x00),)),
    SamPurchaseData,
    SamPurchaseReply,
    "5.7",
    ne=8,
    errors={
        SW.KEY_INDEX: "no purchase key of that version and algorithm",
        SW.COUNTER_AT_MAXIMUM: "transaction number at its maximum",
    },
)

SAM_CREDIT_PURCHASE: CommandSpec[SamCreditData, bytes] = CommandSpec(
    "CREDIT_SAM_FOR_PURCHASE",
    0x80,
    0x72,
    Fixed(((0x00, 0x00),)),
    SamCreditData,
    bytes,
    "5.7",
    errors={
        SW.MAC_INVALID: "MAC2 is not the card's",
        SW.WRONG_STATE: "no transaction is open",
    },
)

SAM_CREDIT_EARLIER: CommandSpec[SamEarlierData, bytes] = CommandSpec(
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
    },
    grade="D",
)
"""Ours alone: the reference lets a software PSAM keep what is unresolved and names no command."""

SAM_TABLE = CommandTable((SAM_INIT_PURCHASE, SAM_CREDIT_PURCHASE, SAM_CREDIT_EARLIER))
"""The PSAM's commands."""

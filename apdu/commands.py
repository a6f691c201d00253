"""The command table: every command of the transit purse and of the reader's PSAM, stated once.

Clauses are those of the protocol reference. Errors list what a handler answers on top of the
pipeline's own words (see `apdu.spec.CommandSpec`).
"""

from apdu.files import EF1A, EF1E, EF18
from apdu.records import (
    AllBalances,
    Balance,
    CacheData,
    CreditLoadData,
    DebitData,
    DebitReply,
    InitializeData,
    InitLoadReply,
    InitPurchaseReply,
    ProveData,
    ProveReply,
    SamCreditData,
    SamEarlierData,
    SamPurchaseData,
    SamPurchaseReply,
    SelectId,
    SelectName,
    TacReply,
)
from apdu.spec import BinaryRef, CommandSpec, CommandTable, Fixed, RecordRef, State
from apdu.sw import SW

AID_PURSE = bytes.fromhex("A000000632010105")
"""The T-Union electronic purse (2.2)."""

AID_PPSE = b"2PAY.SYS.DDF01"
"""Directory of contactless applications (2.1)."""

_NO_PURSE = "no purse in the selected application"

SELECT: CommandSpec[SelectName, bytes] = CommandSpec(
    "SELECT",
    0x00,
    0xA4,
    Fixed(((0x04, 0x00),)),
    SelectName,
    bytes,
    "4.4",
    ne=256,
    errors={
        SW.FILE_NOT_FOUND: "no such application",
        SW.BLOCKED: "application blocked, FCI returned",
    },
    if_blocked=True,
)

SELECT_FILE: CommandSpec[SelectId, bytes] = CommandSpec(
    "SELECT FILE",
    0x00,
    0xA4,
    Fixed(((0x00, 0x00),)),
    SelectId,
    bytes,
    "4.4",
    errors={SW.FILE_NOT_FOUND: "no such file in the selected application"},
    if_blocked=True,
)

READ_BINARY: CommandSpec[None, bytes] = CommandSpec(
    "READ BINARY",
    0x00,
    0xB0,
    BinaryRef(),
    None,
    bytes,
    "4.5",
    ne=256,
    errors={
        SW.WRONG_FILE_STRUCTURE: "the file holds records",
        SW.FILE_NOT_FOUND: "no such file in the selected application",
        SW.NO_CURRENT_EF: "no file is selected",
        SW.OFFSET_OUTSIDE: "offset beyond the file",
    },
    le_rule=False,
)

READ_RECORD: CommandSpec[None, bytes] = CommandSpec(
    "READ RECORD",
    0x00,
    0xB2,
    RecordRef((4,), {EF18.sfi: (4,), EF1E.sfi: (4,), EF1A.sfi: (4, 0)}),
    None,
    bytes,
    "4.7",
    ne=256,
    errors={
        SW.WRONG_FILE_STRUCTURE: "the file is transparent",
        SW.FILE_NOT_FOUND: "no such file in the selected application",
        SW.RECORD_NOT_FOUND: "no such record",
    },
    le_rule=False,
)

GET_CHALLENGE: CommandSpec[None, bytes] = CommandSpec(
    "GET CHALLENGE",
    0x00,
    0x84,
    Fixed(((0x00, 0x00),)),
    None,
    bytes,
    "4.9",
    ne=4,
    errors={SW.WRONG_LENGTH: "Le is neither 4 nor 8"},
    le_rule=False,
    if_blocked=True,
)

BALANCE_KINDS = {
    (0x00, 0x02): "available",
    (0x01, 0x02): "overdraft limit",
    (0x02, 0x02): "overdraft in use",
    (0x03, 0x02): "actual",
    (0x04, 0x02): "ceiling",
}
"""GET BALANCE by P1 (4.12). 04 is inferred."""

GET_BALANCE: CommandSpec[None, Balance] = CommandSpec(
    "GET BALANCE",
    0x80,
    0x5C,
    Fixed(tuple(BALANCE_KINDS), BALANCE_KINDS),
    None,
    Balance,
    "4.12",
    ne=4,
    errors={SW.FILE_NOT_FOUND: _NO_PURSE},
)

GET_ALL_BALANCES: CommandSpec[None, AllBalances] = CommandSpec(
    "GET BALANCE (all)",
    0x80,
    0x5C,
    Fixed(((0x05, 0x02),), {(0x05, 0x02): "actual, ceiling, overdraft in use, limit"}),
    None,
    AllBalances,
    "4.12",
    ne=16,
    errors={SW.FILE_NOT_FOUND: _NO_PURSE},
    grade="1, words 2 and 4 I",
)

_INIT_ERRORS = {
    SW.FILE_NOT_FOUND: _NO_PURSE,
    SW.KEY_INDEX: "no key of that index",
    SW.COUNTER_AT_MAXIMUM: "transaction number at its maximum",
}

INIT_LOAD: CommandSpec[InitializeData, InitLoadReply] = CommandSpec(
    "INITIALIZE FOR LOAD",
    0x80,
    0x50,
    Fixed(((0x00, 0x02),)),
    InitializeData,
    InitLoadReply,
    "4.13",
    ne=16,
    then=State.LOAD,
    errors=_INIT_ERRORS | {SW.CONDITIONS_OF_USE: "amount is zero or would pass the ceiling"},
)

CREDIT_LOAD: CommandSpec[CreditLoadData, TacReply] = CommandSpec(
    "CREDIT FOR LOAD",
    0x80,
    0x52,
    Fixed(((0x00, 0x00), (0x00, 0x02))),  # lab documents print P2 02 (Q19)
    CreditLoadData,
    TacReply,
    "4.13",
    ne=4,
    when=frozenset({State.LOAD}),
    errors={SW.MAC_INVALID: "MAC2 is not the host's"},
)

INIT_PURCHASE: CommandSpec[InitializeData, InitPurchaseReply] = CommandSpec(
    "INITIALIZE FOR PURCHASE",
    0x80,
    0x50,
    Fixed(((0x01, 0x02),)),
    InitializeData,
    InitPurchaseReply,
    "4.14",
    ne=15,
    then=State.PURCHASE,
    errors=_INIT_ERRORS | {SW.BALANCE_TOO_LOW: "amount exceeds the available balance"},
)

INIT_CAPP: CommandSpec[InitializeData, InitPurchaseReply] = CommandSpec(
    "INITIALIZE FOR CAPP PURCHASE",
    0x80,
    0x50,
    Fixed(((0x03, 0x02),)),
    InitializeData,
    InitPurchaseReply,
    "4.14",
    ne=15,
    then=State.CAPP_INIT,
    errors=_INIT_ERRORS | {SW.BALANCE_TOO_LOW: "amount exceeds the available balance"},
)

UPDATE_CACHE: CommandSpec[CacheData, bytes] = CommandSpec(
    "UPDATE CAPP DATA CACHE",
    0x80,
    0xDC,
    RecordRef((0,), {EF1A.sfi: (0,), EF1E.sfi: (0,)}, frozenset({EF1E.sfi})),
    CacheData,
    bytes,
    "4.15",
    when=frozenset({State.CAPP_INIT, State.CAPP_CACHED}),
    then=State.CAPP_CACHED,
    errors={
        SW.WRONG_LENGTH: "length is not the record's",
        SW.WRONG_DATA: "P1 and the record id in the data disagree",
        SW.WRONG_FILE_STRUCTURE: "the file takes no cached records",
        SW.FILE_NOT_FOUND: "no such file in the selected application",
        SW.RECORD_NOT_FOUND: "no such record",
        SW.NO_SPACE: "too long for the record, or too many cached records",
        SW.RECORD_LOCKED: "the stored record's lock byte is set",
    },
)

DEBIT: CommandSpec[DebitData, DebitReply] = CommandSpec(
    "DEBIT FOR PURCHASE",
    0x80,
    0x54,
    Fixed(((0x01, 0x00), (0x02, 0x00))),  # lab documents print P1 02 (Q19)
    DebitData,
    DebitReply,
    "4.16",
    ne=8,
    when=frozenset({State.PURCHASE, State.CAPP_INIT, State.CAPP_CACHED}),
    errors={SW.MAC_INVALID: "MAC1 is not a terminal's"},
)

PROVE_KINDS = {
    (0x00, 0x02): "load",
    (0x00, 0x03): "unload",
    (0x00, 0x06): "purchase",
    (0x00, 0x07): "overdraft limit change",
    (0x00, 0x09): "CAPP purchase",
}
"""GET TRANSACTION PROVE by P2 (4.20)."""

GET_PROVE: CommandSpec[ProveData, ProveReply] = CommandSpec(
    "GET TRANSACTION PROVE",
    0x80,
    0x5A,
    Fixed(tuple(PROVE_KINDS), PROVE_KINDS),
    ProveData,
    ProveReply,
    "4.20",
    ne=8,
    errors={
        SW.FILE_NOT_FOUND: _NO_PURSE,
        SW.PROOF_NOT_AVAILABLE: "no committed transaction of that type and number",
    },
)

TABLE = CommandTable(
    (
        SELECT,
        SELECT_FILE,
        READ_BINARY,
        READ_RECORD,
        GET_CHALLENGE,
        GET_BALANCE,
        GET_ALL_BALANCES,
        INIT_LOAD,
        CREDIT_LOAD,
        INIT_PURCHASE,
        INIT_CAPP,
        UPDATE_CACHE,
        DEBIT,
        GET_PROVE,
    )
)
"""The card's commands."""

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
        SW.COUNTER_AT_MAXIMUM: "terminal transaction number at its maximum",
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

"""The command table: every command of the card, stated once.

Commands of the purse are stated here, those on files and keys in `apdu.file_commands` and
`apdu.key_commands`, the PSAM's in `apdu.sam_commands`. Clauses are those of the protocol reference;
"annex" is its annex on FMCOS. Errors list what a handler answers on top of the pipeline's own
words (see `apdu.spec.CommandSpec`).
"""

from collections.abc import Mapping

from apdu.file_commands import (
    AID_PPSE,
    AID_PURSE,
    FILE_COMMANDS,
    GET_CHALLENGE,
    READ_BINARY,
    READ_RECORD,
    SELECT,
    SELECT_FILE,
)
from apdu.files import EF1A, EF1E
from apdu.key_commands import KEY_COMMANDS
from apdu.records import (
    AllBalances,
    Balance,
    CacheData,
    CreditLoadData,
    DebitData,
    DebitReply,
    InitializeData,
    InitLimitData,
    InitLimitReply,
    InitLoadReply,
    InitPurchaseReply,
    Mac3Reply,
    ProveData,
    ProveReply,
    TacReply,
    UpdateLimitData,
)
from apdu.sam_commands import (
    SAM_CREDIT_EARLIER,
    SAM_CREDIT_PURCHASE,
    SAM_INIT_PURCHASE,
    SAM_TABLE,
)
from apdu.spec import CommandSpec, CommandTable, Fixed, RecordRef, State
from apdu.sw import SW

__all__ = [
    "AID_PPSE",
    "AID_PURSE",
    "CREDIT_LOAD",
    "DEBIT",
    "DEBIT_UNLOAD",
    "ED",
    "EP",
    "GET_ALL_BALANCES",
    "GET_BALANCE",
    "GET_CHALLENGE",
    "GET_PROVE",
    "INIT_CAPP",
    "INIT_CASH",
    "INIT_LIMIT",
    "INIT_LOAD",
    "INIT_PURCHASE",
    "INIT_UNLOAD",
    "READ_BINARY",
    "READ_RECORD",
    "SAM_CREDIT_EARLIER",
    "SAM_CREDIT_PURCHASE",
    "SAM_INIT_PURCHASE",
    "SAM_TABLE",
    "SELECT",
    "SELECT_FILE",
    "TABLE",
    "UPDATE_CACHE",
    "UPDATE_LIMIT",
]

ED, EP = 0x01, 0x02
"""P2 of purse commands: the electronic deposit (passbook) and the electronic purse."""


def _purses(p1: int, *kinds: int) -> Fixed:
    names = {ED: "ED", EP: "EP"}
    return Fixed(tuple((p1, k) for k in kinds), {(p1, k): names[k] for k in kinds})


_NO_PURSE = {
    SW.FILE_NOT_FOUND: "no purse in the selected application",
    SW.WRONG_P1P2: "the application has no such purse",
    SW.SECURITY_STATUS: "the PIN has not been verified",
}

BALANCE_KINDS = {
    (0x00, 0x02): "available",
    (0x01, 0x02): "overdraft limit",
    (0x02, 0x02): "overdraft in use",
    (0x03, 0x02): "actual",
    (0x04, 0x02): "ceiling",
    (0x00, 0x01): "ED, available",
}
"""GET BALANCE by P1 and purse (4.12). 04 is inferred."""

GET_BALANCE: CommandSpec[None, Balance] = CommandSpec(
    "GET BALANCE",
    0x80,
    0x5C,
    Fixed(tuple(BALANCE_KINDS), BALANCE_KINDS),
    None,
    Balance,
    "4.12",
    ne=4,
    errors=_NO_PURSE,
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
    errors=_NO_PURSE,
    grade="1, words 2 and 4 I",
)

_INIT_ERRORS: Mapping[SW, str] = _NO_PURSE | {
    SW.KEY_INDEX: "no key of that index",
    SW.COUNTER_AT_MAXIMUM: "transaction number at its maximum",
}
_NO_TAC = {SW.KEY_INDEX: "the application has no TAC key"}
_TOO_LITTLE = {SW.BALANCE_TOO_LOW: "amount exceeds the available balance"}

INIT_LOAD: CommandSpec[InitializeData, InitLoadReply] = CommandSpec(
    "INITIALIZE FOR LOAD",
    0x80,
    0x50,
    _purses(0x00, EP, ED),
    InitializeData,
    InitLoadReply,
    "4.13",
    ne=16,
    then=State.LOAD,
    errors={**_INIT_ERRORS, SW.CONDITIONS_OF_USE: "amount is zero or would pass the ceiling"},
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
    errors={SW.MAC_INVALID: "MAC2 is not the host's", **_NO_TAC},
)

INIT_PURCHASE: CommandSpec[InitializeData, InitPurchaseReply] = CommandSpec(
    "INITIALIZE FOR PURCHASE",
    0x80,
    0x50,
    _purses(0x01, EP, ED),
    InitializeData,
    InitPurchaseReply,
    "4.14",
    ne=15,
    then=State.PURCHASE,
    errors={**_INIT_ERRORS, **_TOO_LITTLE},
)

INIT_CAPP: CommandSpec[InitializeData, InitPurchaseReply] = CommandSpec(
    "INITIALIZE FOR CAPP PURCHASE",
    0x80,
    0x50,
    _purses(0x03, EP),
    InitializeData,
    InitPurchaseReply,
    "4.14",
    ne=15,
    then=State.CAPP_INIT,
    errors={**_INIT_ERRORS, **_TOO_LITTLE},
)

INIT_CASH: CommandSpec[InitializeData, InitPurchaseReply] = CommandSpec(
    "INITIALIZE FOR CASH WITHDRAW",
    0x80,
    0x50,
    _purses(0x02, ED),
    InitializeData,
    InitPurchaseReply,
    "4.3, annex 7",
    ne=15,
    then=State.PURCHASE,
    errors={**_INIT_ERRORS, **_TOO_LITTLE},
)

INIT_UNLOAD: CommandSpec[InitializeData, InitLoadReply] = CommandSpec(
    "INITIALIZE FOR UNLOAD",
    0x80,
    0x50,
    _purses(0x05, EP, ED),
    InitializeData,
    InitLoadReply,
    "4.17",
    ne=16,
    then=State.UNLOAD,
    errors={**_INIT_ERRORS, **_TOO_LITTLE, SW.CONDITIONS_OF_USE: "amount is zero"},
)

INIT_LIMIT: CommandSpec[InitLimitData, InitLimitReply] = CommandSpec(
    "INITIALIZE FOR UPDATE",
    0x80,
    0x50,
    _purses(0x04, ED, EP),
    InitLimitData,
    InitLimitReply,
    "4.18",
    ne=19,
    then=State.UPDATE_LIMIT,
    errors=_INIT_ERRORS,
)

UPDATE_CACHE: CommandSpec[CacheData, bytes] = CommandSpec(
    "UPDATE CAPP DATA CACHE",
    0x80,
    0xDC,
    RecordRef((0, 4), {EF1A.sfi: (0, 4), EF1E.sfi: (0, 4)}, frozenset({EF1E.sfi})),
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
        SW.WRONG_P1P2: "this way of addressing is not the card's (dialect)",
        SW.CONDITIONS_OF_USE: "no CAPP purchase has begun (dialect)",
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
    errors={
        SW.MAC_INVALID: "MAC1 is not a terminal's",
        SW.WRONG_P1P2: "this P1 is not the card's (dialect)",
        **_NO_TAC,
    },
)

DEBIT_UNLOAD: CommandSpec[CreditLoadData, Mac3Reply] = CommandSpec(
    "DEBIT FOR UNLOAD",
    0x80,
    0x54,
    Fixed(((0x03, 0x00),)),
    CreditLoadData,
    Mac3Reply,
    "4.17",
    ne=4,
    when=frozenset({State.UNLOAD}),
    errors={SW.MAC_INVALID: "MAC2 is not the host's"},
)

UPDATE_LIMIT: CommandSpec[UpdateLimitData, TacReply] = CommandSpec(
    "UPDATE OVERDRAW LIMIT",
    0x80,
    0x58,
    Fixed(((0x00, 0x00),)),
    UpdateLimitData,
    TacReply,
    "4.18",
    ne=4,
    when=frozenset({State.UPDATE_LIMIT}),
    errors={
        SW.MAC_INVALID: "MAC2 is not the host's",
        SW.BALANCE_TOO_LOW: "the new limit is below the overdraft in use",
        SW.CONDITIONS_OF_USE: "ceiling and limit together pass FFFFFF",
        **_NO_TAC,
    },
)

PROVE_KINDS = {
    (0x00, 0x02): "load",
    (0x00, 0x03): "unload",
    (0x00, 0x06): "purchase",
    (0x00, 0x07): "overdraft limit change",
    (0x00, 0x09): "CAPP purchase",
    (0x00, 0x01): "ED load",
    (0x00, 0x04): "ED cash withdraw",
    (0x00, 0x05): "ED purchase",
}
"""GET TRANSACTION PROVE by P2 (4.20); the types of the ED beside those of the EP."""

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
        SW.FILE_NOT_FOUND: "no purse in the selected application",
        SW.PROOF_NOT_AVAILABLE: "no committed transaction of that type and number",
    },
)

TABLE = CommandTable(
    (
        *FILE_COMMANDS,
        *KEY_COMMANDS,
        GET_BALANCE,
        GET_ALL_BALANCES,
        INIT_LOAD,
        CREDIT_LOAD,
        INIT_UNLOAD,
        DEBIT_UNLOAD,
        INIT_PURCHASE,
        INIT_CAPP,
        INIT_CASH,
        UPDATE_CACHE,
        DEBIT,
        INIT_LIMIT,
        UPDATE_LIMIT,
        GET_PROVE,
    )
)
"""The card's commands."""

"""Commands on keys, PIN and life: authenticate, block, write keys (4.10, 4.11, 4.19, 4.21)."""

from apdu.records import (
    ChangePin,
    Cryptogram,
    InternalData,
    KeyData,
    OnlyMac,
    Pin,
    Protected,
    ReloadPin,
)
from apdu.spec import CommandSpec, Fixed, Wild
from apdu.sw import SW

_PIN_ERRORS = {
    SW.AUTHENTICATION_FAILED: "63Cx: wrong PIN, x tries left",
    SW.SECURITY_STATUS: "the PIN's usage right is not met",
    SW.METHOD_BLOCKED: "no tries left",
    SW.FILE_NOT_FOUND: "the directory has no key file",
    SW.KEY_INDEX: "there is no PIN of that id",
}
_MAC_ERRORS = {
    SW.MAC_WRONG: "the MAC is wrong",
    SW.RANDOM_UNUSABLE: "no challenge was asked for directly before",
    SW.KEY_INDEX: "there is no key for the MAC",
    SW.PERMANENTLY_BLOCKED: "the application is permanently blocked",
}

VERIFY_PIN: CommandSpec[Pin, bytes] = CommandSpec(
    "VERIFY PIN",
    0x00,
    0x20,
    Wild((0x00,), None, ("", "PIN id"), ((0x00, 0x00),)),
    Pin,
    bytes,
    "4.11",
    errors=_PIN_ERRORS,
)

CHANGE_PIN: CommandSpec[ChangePin, bytes] = CommandSpec(
    "CHANGE PIN",
    0x80,
    0x5E,
    Wild((0x01,), None, ("", "PIN id"), ((0x01, 0x00),)),
    ChangePin,
    bytes,
    "4.11",
    errors=_PIN_ERRORS | {SW.WRONG_DATA: "no FF between old and new PIN"},
)

RELOAD_PIN: CommandSpec[ReloadPin, bytes] = CommandSpec(
    "RELOAD PIN",
    0x80,
    0x5E,
    Wild((0x00,), None, ("", "PIN id"), ((0x00, 0x00),)),
    ReloadPin,
    bytes,
    "4.11",
    errors={
        SW.FILE_NOT_FOUND: "the directory has no key file",
        SW.KEY_INDEX: "there is no PIN of that id, or no reload key",
        SW.SECURITY_STATUS: "the reload key's usage right is not met",
        SW.METHOD_BLOCKED: "the reload key is locked",
        SW.MAC_INVALID: "the MAC is wrong",
    },
)

PIN_UNBLOCK: CommandSpec[Protected, bytes] = CommandSpec(
    "PIN UNBLOCK",
    0x84,
    0x24,
    Wild(None, (0x00, 0x01), ("PIN id", ""), ((0x00, 0x01), (0x00, 0x00))),
    Protected,
    bytes,
    "4.11",
    errors=_MAC_ERRORS
    | {
        SW.FILE_NOT_FOUND: "the directory has no key file",
        SW.SECURITY_STATUS: "the unblock key's usage right is not met",
        SW.METHOD_BLOCKED: "the unblock key is locked",
        SW.WRONG_LENGTH: "the enciphered PIN is not whole blocks",
    },
)

EXTERNAL_AUTHENTICATE: CommandSpec[Cryptogram, bytes] = CommandSpec(
    "EXTERNAL AUTHENTICATE",
    0x00,
    0x82,
    Wild((0x00,), None, ("", "key id"), ((0x00, 0x00),)),
    Cryptogram,
    bytes,
    "4.10",
    errors={
        SW.AUTHENTICATION_FAILED: "63Cx: wrong cryptogram, x tries left",
        SW.SECURITY_STATUS: "the key's usage right is not met",
        SW.METHOD_BLOCKED: "no tries left",
        SW.RANDOM_UNUSABLE: "no challenge was asked for directly before",
        SW.FILE_NOT_FOUND: "the directory has no key file",
        SW.REFERENCE_NOT_FOUND: "there is no key of that id",
    },
)

INTERNAL_AUTHENTICATE: CommandSpec[InternalData, bytes] = CommandSpec(
    "INTERNAL AUTHENTICATE",
    0x00,
    0x88,
    Wild((0x00, 0x01, 0x02), None, ("operation", "key id"), ((0x00, 0x00), (0x01, 0x00))),
    InternalData,
    bytes,
    "4.10",
    ne=256,
    errors={
        SW.SECURITY_STATUS: "the key's usage right is not met",
        SW.WRONG_LENGTH: "not whole blocks of 8 bytes",
        SW.WRONG_FILE_STRUCTURE: "the key of that id is for another operation",
        SW.FILE_NOT_FOUND: "the directory has no key file",
        SW.REFERENCE_NOT_FOUND: "there is no key of that type and id",
    },
    grade="1",
)

_BLOCK = {(0x00, 0x00): "temporary", (0x00, 0x01): "permanent"}

APPLICATION_BLOCK: CommandSpec[OnlyMac, bytes] = CommandSpec(
    "APPLICATION BLOCK",
    0x84,
    0x1E,
    Fixed(tuple(_BLOCK), _BLOCK),
    OnlyMac,
    bytes,
    "4.19",
    errors=_MAC_ERRORS,
    if_blocked=True,
)

APPLICATION_UNBLOCK: CommandSpec[OnlyMac, bytes] = CommandSpec(
    "APPLICATION UNBLOCK",
    0x84,
    0x18,
    Fixed(((0x00, 0x00),)),
    OnlyMac,
    bytes,
    "4.19",
    errors=_MAC_ERRORS,
    if_blocked=True,
)

CARD_BLOCK: CommandSpec[OnlyMac, bytes] = CommandSpec(
    "CARD BLOCK",
    0x84,
    0x16,
    Fixed(((0x00, 0x00),)),
    OnlyMac,
    bytes,
    "4.19",
    errors=_MAC_ERRORS,
    if_blocked=True,
)

_WRITE_KEY = Wild(None, tuple(range(0xFF)), ("operation", "key id"), ((0x01, 0x00), (0x01, 0x01)))
_KEY_ERRORS = {
    SW.SECURITY_STATUS: "the right to add or change is not met",
    SW.METHOD_BLOCKED: "the master key is locked",
    SW.FILE_NOT_FOUND: "the directory has no key file",
    SW.NO_SPACE: "the key file is full",
    SW.REFERENCE_NOT_FOUND: "no such key to change",
    SW.MAC_MISSING: "the key may be written under MAC only",
    SW.WRONG_P1P2: "the key exists",
    SW.WRONG_DATA: "unknown key type",
    SW.WRONG_LENGTH: "the key has another length",
}

WRITE_KEY: CommandSpec[KeyData, bytes] = CommandSpec(
    "WRITE KEY", 0x80, 0xD4, _WRITE_KEY, KeyData, bytes, "annex 4", errors=_KEY_ERRORS
)

WRITE_KEY_MAC: CommandSpec[Protected, bytes] = CommandSpec(
    "WRITE KEY with MAC",
    0x84,
    0xD4,
    _WRITE_KEY,
    Protected,
    bytes,
    "annex 4",
    errors=_KEY_ERRORS
    | {
        SW.MAC_INVALID: "the MAC or the enciphered key is wrong",
        SW.RANDOM_UNUSABLE: "no challenge was asked for directly before",
    },
)

_ALGORITHM = "the card has one algorithm (profile without dual_alg)"

GET_ALGORITHM: CommandSpec[None, bytes] = CommandSpec(
    "GET ALGORITHM",
    0x80,
    0xCD,
    Fixed(((0x00, 0x00),)),
    None,
    bytes,
    "4.21",
    ne=1,
    errors={SW.INS_UNKNOWN: _ALGORITHM},
    grade="1, D",
)

_CHANGE = {
    (p1, p2): f"to {name}"
    for p1 in (0x01, 0x02)
    for p2, name in ((0x00, "international"), (0x03, "SM"))
}
"""The values are not explained by their one source; their meaning here is inferred (4.21)."""

CHANGE_ALGORITHM: CommandSpec[None, bytes] = CommandSpec(
    "CHANGE ALGORITHM",
    0x80,
    0xCD,
    Fixed(tuple(_CHANGE), _CHANGE),
    None,
    bytes,
    "4.21",
    errors={
        SW.INS_UNKNOWN: _ALGORITHM,
        SW.CONDITIONS_OF_USE: "the algorithm is blocked",
    },
    grade="I",
)

_ALGORITHM_BLOCK = {(0x03, 0x01): "international", (0x03, 0x03): "SM"}

BLOCK_ALGORITHM: CommandSpec[OnlyMac, bytes] = CommandSpec(
    "BLOCK ALGORITHM",
    0x80,
    0xCD,
    Fixed(tuple(_ALGORITHM_BLOCK), _ALGORITHM_BLOCK),
    OnlyMac,
    bytes,
    "4.21",
    errors=_MAC_ERRORS | {SW.INS_UNKNOWN: _ALGORITHM},
    grade="I",
)

KEY_COMMANDS = (
    VERIFY_PIN,
    CHANGE_PIN,
    RELOAD_PIN,
    PIN_UNBLOCK,
    EXTERNAL_AUTHENTICATE,
    INTERNAL_AUTHENTICATE,
    APPLICATION_BLOCK,
    APPLICATION_UNBLOCK,
    CARD_BLOCK,
    WRITE_KEY,
    WRITE_KEY_MAC,
    GET_ALGORITHM,
    CHANGE_ALGORITHM,
    BLOCK_ALGORITHM,
)

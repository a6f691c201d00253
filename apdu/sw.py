"""Status words of the transit purse, one 16-bit value each (protocol reference 4.23)."""

from enum import IntEnum


class SW(IntEnum):
    """The fixed status words; 63Cx and 6Cxx carry a number (`retries_left`, `length_is`)."""

    OK = 0x9000
    WARNING = 0x6200
    DATA_MAY_BE_BAD = 0x6281
    END_OF_FILE = 0x6282
    FILE_INVALIDATED = 0x6283
    FCI_FORMAT = 0x6284
    AUTHENTICATION_FAILED = 0x6300
    STATE_UNCHANGED = 0x6400
    MEMORY_FAILURE = 0x6581
    WRONG_LENGTH = 0x6700
    SECURE_MESSAGING_NOT_SUPPORTED = 0x6882
    CANNOT_HANDLE = 0x6900
    WRONG_STATE = 0x6901
    WRONG_FILE_STRUCTURE = 0x6981
    SECURITY_STATUS = 0x6982
    METHOD_BLOCKED = 0x6983
    RANDOM_UNUSABLE = 0x6984
    CONDITIONS_OF_USE = 0x6985
    NO_CURRENT_EF = 0x6986
    MAC_MISSING = 0x6987
    MAC_WRONG = 0x6988
    WRONG_DATA = 0x6A80
    BLOCKED = 0x6A81
    FILE_NOT_FOUND = 0x6A82
    RECORD_NOT_FOUND = 0x6A83
    NO_SPACE = 0x6A84
    LENGTH_AGAINST_TLV = 0x6A85
    WRONG_P1P2 = 0x6A86
    REFERENCE_NOT_FOUND = 0x6A88
    OFFSET_OUTSIDE = 0x6B00
    INS_UNKNOWN = 0x6D00
    CLA_UNKNOWN = 0x6E00
    NO_DIAGNOSIS = 0x6F00
    FUNDS_SHORT = 0x9301
    MAC_INVALID = 0x9302
    PERMANENTLY_BLOCKED = 0x9303
    BALANCE_TOO_LOW = 0x9401
    COUNTER_AT_MAXIMUM = 0x9402
    KEY_INDEX = 0x9403
    PROOF_NOT_AVAILABLE = 0x9406
    RECORD_LOCKED = 0x9407
    GREY_LOCKED = 0x9408


_WORDS: dict[SW, str] = {
    SW.OK: "done",
    SW.WARNING: "warning, no information",
    SW.DATA_MAY_BE_BAD: "part of the data may be bad",
    SW.END_OF_FILE: "end of file reached early",
    SW.FILE_INVALIDATED: "selected file invalidated",
    SW.FCI_FORMAT: "FCI not in the standard's form",
    SW.AUTHENTICATION_FAILED: "authentication failed",
    SW.STATE_UNCHANGED: "state of memory unchanged",
    SW.MEMORY_FAILURE: "memory failure",
    SW.WRONG_LENGTH: "wrong length",
    SW.SECURE_MESSAGING_NOT_SUPPORTED: "secure messaging not supported",
    SW.CANNOT_HANDLE: "command cannot be handled",
    SW.WRONG_STATE: "command not accepted in this state",
    SW.WRONG_FILE_STRUCTURE: "command does not fit the file structure",
    SW.SECURITY_STATUS: "security status not satisfied",
    SW.METHOD_BLOCKED: "authentication method blocked",
    SW.RANDOM_UNUSABLE: "random number missing or used",
    SW.CONDITIONS_OF_USE: "conditions of use not satisfied",
    SW.NO_CURRENT_EF: "no current EF",
    SW.MAC_MISSING: "secure messaging MAC missing",
    SW.MAC_WRONG: "secure messaging MAC wrong",
    SW.WRONG_DATA: "wrong data field",
    SW.BLOCKED: "function not supported, or application or card blocked",
    SW.FILE_NOT_FOUND: "file or application not found",
    SW.RECORD_NOT_FOUND: "record not found",
    SW.NO_SPACE: "not enough space in the file",
    SW.LENGTH_AGAINST_TLV: "length does not fit the TLV structure",
    SW.WRONG_P1P2: "wrong P1 or P2",
    SW.REFERENCE_NOT_FOUND: "referenced data not found",
    SW.OFFSET_OUTSIDE: "offset outside the file",
    SW.INS_UNKNOWN: "instruction not supported",
    SW.CLA_UNKNOWN: "class not supported",
    SW.NO_DIAGNOSIS: "internal error, no diagnosis",
    SW.FUNDS_SHORT: "funds short",
    SW.MAC_INVALID: "transaction MAC wrong",
    SW.PERMANENTLY_BLOCKED: "application permanently blocked",
    SW.BALANCE_TOO_LOW: "balance too low",
    SW.COUNTER_AT_MAXIMUM: "transaction counter at its maximum",
    SW.KEY_INDEX: "key index not supported",
    SW.PROOF_NOT_AVAILABLE: "no such transaction proof",
    SW.RECORD_LOCKED: "record or application locked",
    SW.GREY_LOCKED: "purse grey locked",
}


def retries_left(n: int) -> int:
    """63Cn: verification failed, n tries left (0 to 15)."""
    return 0x63C0 | n


def length_is(n: int) -> int:
    """6Cnn: ask again with Le nn (256 is written 00)."""
    return 0x6C00 | (n & 0xFF)


def describe(sw: int) -> str:
    """What a status word says, in words, for any 16-bit value.

    >>> describe(0x9401)
    'balance too low'
    >>> describe(0x6C80)
    'wrong Le, 128 bytes are there'
    """
    if sw in SW._value2member_map_:
        return _WORDS[SW(sw)]
    high, low = sw >> 8, sw & 0xFF
    if high == 0x61:
        return f"done, {low or 256} more bytes waiting"
    if high == 0x6C:
        return f"wrong Le, {low or 256} bytes are there"
    if sw & 0xFFF0 == 0x63C0:
        return f"verification failed, {low & 0x0F} tries left"
    return "unknown status word"


def is_blocked(sw: int) -> bool:
    """Whether SELECT's answer means a blocked application (protocol reference 2.5, Q5)."""
    return sw in (SW.BLOCKED, SW.FILE_INVALIDATED, SW.FCI_FORMAT, SW.PERMANENTLY_BLOCKED)

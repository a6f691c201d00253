"""Commands on applications and files, stated once (protocol reference 4.4 to 4.9; FMCOS annex)."""

from apdu.files import EF1A, EF1E, EF18
from apdu.records import Content, CreateFileData, Protected, SelectId, SelectName
from apdu.spec import BinaryRef, CommandSpec, Fixed, RecordRef, Wild
from apdu.sw import SW

AID_PURSE = bytes.fromhex("A000000632010105")
"""The T-Union electronic purse (2.2)."""

AID_PPSE = b"2PAY.SYS.DDF01"
"""Directory of contactless applications (2.1)."""

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
        SW.FILE_INVALIDATED: "application blocked (dialect)",
        SW.PERMANENTLY_BLOCKED: "application permanently blocked (dialect)",
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
    "4.4, annex 9",
    errors={
        SW.FILE_NOT_FOUND: "no such file or directory here",
        SW.BLOCKED: "application blocked, FCI returned",
        SW.FILE_INVALIDATED: "application blocked (dialect)",
        SW.PERMANENTLY_BLOCKED: "application permanently blocked (dialect)",
    },
    if_blocked=True,
)

_FIND = {
    SW.FILE_NOT_FOUND: "no such file in the selected application",
    SW.NO_CURRENT_EF: "no file is selected",
    SW.SECURITY_STATUS: "the access right is not met",
}
_PLAIN = {SW.MAC_MISSING: "the file is protected and the command has no MAC"}
_MAC = {
    SW.MAC_WRONG: "the MAC is wrong",
    SW.RANDOM_UNUSABLE: "no challenge was asked for directly before",
    SW.PERMANENTLY_BLOCKED: "the third wrong MAC in a row blocks the application",
    SW.KEY_INDEX: "there is no key for the MAC",
    SW.SECURE_MESSAGING_NOT_SUPPORTED: "the file is not protected",
}
_MAC_TRIES = {SW.AUTHENTICATION_FAILED: "63Cx: the MAC is wrong, x tries left (dialect)"}
_READ_BINARY_ERRORS = _FIND | {
    SW.WRONG_FILE_STRUCTURE: "the file holds records",
    SW.OFFSET_OUTSIDE: "offset beyond the file",
    SW.DATA_MAY_BE_BAD: "the file was never written; its zeros come with the word",
    SW.MAC_MISSING: "reading is protected and the command has no MAC",
}
_READ_RECORD_ERRORS = _FIND | {
    SW.WRONG_FILE_STRUCTURE: "the file is transparent",
    SW.RECORD_NOT_FOUND: "no such record",
    SW.MAC_MISSING: "reading is protected and the command has no MAC",
}

READ_BINARY: CommandSpec[None, bytes] = CommandSpec(
    "READ BINARY",
    0x00,
    0xB0,
    BinaryRef(),
    None,
    bytes,
    "4.5",
    ne=256,
    errors=_READ_BINARY_ERRORS,
    le_rule=False,
)

READ_BINARY_MAC: CommandSpec[Protected, bytes] = CommandSpec(
    "READ BINARY with MAC",
    0x04,
    0xB0,
    BinaryRef(),
    Protected,
    bytes,
    "4.5, annex 6",
    ne=256,
    errors=_READ_BINARY_ERRORS | _MAC | _MAC_TRIES,
    le_rule=False,
    grade="1",
)

_RECORDS = {EF18.sfi: (4,), EF1E.sfi: (4,), EF1A.sfi: (4, 0)}

READ_RECORD: CommandSpec[None, bytes] = CommandSpec(
    "READ RECORD",
    0x00,
    0xB2,
    RecordRef((4, 0), _RECORDS, current=True),
    None,
    bytes,
    "4.7",
    ne=256,
    errors=_READ_RECORD_ERRORS,
    le_rule=False,
)

READ_RECORD_MAC: CommandSpec[Protected, bytes] = CommandSpec(
    "READ RECORD with MAC",
    0x04,
    0xB2,
    RecordRef((4, 0), _RECORDS, current=True),
    Protected,
    bytes,
    "5.6, annex 6",
    ne=256,
    errors=_READ_RECORD_ERRORS | _MAC | _MAC_TRIES,
    le_rule=False,
    grade="1",
)

_WRITE_BINARY_ERRORS = _FIND | {
    SW.WRONG_FILE_STRUCTURE: "the file holds records",
    SW.OFFSET_OUTSIDE: "beyond the file",
}
_WRITE_RECORD_ERRORS = _FIND | {
    SW.WRONG_FILE_STRUCTURE: "the file is transparent",
    SW.RECORD_NOT_FOUND: "no such record",
    SW.NO_SPACE: "too long for the record, or the file is full",
    SW.WRONG_LENGTH: "length is not the record's",
    SW.RECORD_LOCKED: "the application forbids it",
}

UPDATE_BINARY: CommandSpec[Content, bytes] = CommandSpec(
    "UPDATE BINARY",
    0x00,
    0xD6,
    BinaryRef(),
    Content,
    bytes,
    "4.6",
    errors=_WRITE_BINARY_ERRORS | _PLAIN,
)

UPDATE_BINARY_MAC: CommandSpec[Protected, bytes] = CommandSpec(
    "UPDATE BINARY with MAC",
    0x04,
    0xD6,
    BinaryRef(),
    Protected,
    bytes,
    "4.6",
    errors=_WRITE_BINARY_ERRORS | _MAC | _MAC_TRIES,
)

_WRITES = {EF1E.sfi: (4, 0, 1, 2, 3), EF1A.sfi: (4, 0, 1, 2, 3)}
_APPENDS = {EF1E.sfi: (0, 4), EF1A.sfi: (0, 4)}
_NEW = frozenset(range(0x1F))
"""An appended record has no number yet: P1 is 00 whatever the file (4.3)."""

UPDATE_RECORD: CommandSpec[Content, bytes] = CommandSpec(
    "UPDATE RECORD",
    0x00,
    0xDC,
    RecordRef((4, 0, 1, 2, 3), _WRITES, current=True),
    Content,
    bytes,
    "4.8",
    errors=_WRITE_RECORD_ERRORS | _PLAIN,
)

UPDATE_RECORD_MAC: CommandSpec[Protected, bytes] = CommandSpec(
    "UPDATE RECORD with MAC",
    0x04,
    0xDC,
    RecordRef((4, 0, 1, 2, 3), _WRITES, current=True),
    Protected,
    bytes,
    "4.8",
    errors=_WRITE_RECORD_ERRORS | _MAC | _MAC_TRIES,
)

APPEND_RECORD: CommandSpec[Content, bytes] = CommandSpec(
    "APPEND RECORD",
    0x00,
    0xE2,
    RecordRef((0, 4), _APPENDS, _NEW, current=True),
    Content,
    bytes,
    "4.8",
    errors=_WRITE_RECORD_ERRORS | _PLAIN,
)

APPEND_RECORD_MAC: CommandSpec[Protected, bytes] = CommandSpec(
    "APPEND RECORD with MAC",
    0x04,
    0xE2,
    RecordRef((0, 4), _APPENDS, _NEW, current=True),
    Protected,
    bytes,
    "4.8",
    errors=_WRITE_RECORD_ERRORS | _MAC | _MAC_TRIES,
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

GET_RESPONSE: CommandSpec[None, bytes] = CommandSpec(
    "GET RESPONSE",
    0x00,
    0xC0,
    Fixed(((0x00, 0x00),)),
    None,
    bytes,
    "4.1",
    ne=256,
    errors={SW.CONDITIONS_OF_USE: "nothing waits: 61xx is never answered"},
)

GET_DATA: CommandSpec[None, bytes] = CommandSpec(
    "GET DATA",
    0x80,
    0xCA,
    Wild(None, None, ("tag", "tag, low byte"), ((0x9F, 0x79), (0x00, 0x00))),
    None,
    bytes,
    "4.22",
    ne=256,
    errors={SW.REFERENCE_NOT_FOUND: "a purse has no data objects"},
)

ERASE_DF: CommandSpec[None, bytes] = CommandSpec(
    "ERASE DF",
    0x80,
    0x0E,
    Fixed(((0x00, 0x00),)),
    None,
    bytes,
    "annex 2",
    ne=256,
    errors={SW.SECURITY_STATUS: "the erase right is not met"},
    le_rule=False,
)

CREATE_FILE: CommandSpec[CreateFileData, bytes] = CommandSpec(
    "CREATE FILE",
    0x80,
    0xE0,
    Wild(None, None, ("file id", "file id, low byte"), ((0x00, 0x05), (0x3F, 0x05))),
    CreateFileData,
    bytes,
    "annex 3",
    errors={
        SW.SECURITY_STATUS: "the create right is not met",
        SW.WRONG_DATA: "unknown file type, fewer than 2 records, or too deep",
        SW.NO_SPACE: "no room in the directory",
        SW.WRONG_P1P2: "the file exists, or a key file comes too late",
    },
)

FILE_COMMANDS = (
    SELECT,
    SELECT_FILE,
    READ_BINARY,
    READ_BINARY_MAC,
    UPDATE_BINARY,
    UPDATE_BINARY_MAC,
    READ_RECORD,
    READ_RECORD_MAC,
    UPDATE_RECORD,
    UPDATE_RECORD_MAC,
    APPEND_RECORD,
    APPEND_RECORD_MAC,
    GET_CHALLENGE,
    GET_RESPONSE,
    GET_DATA,
    ERASE_DF,
    CREATE_FILE,
)

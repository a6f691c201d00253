"""Access bytes: what they ask of the two registers, and what sets those (annex 5).

Every case makes its own directory. The key 39 with id N has successor N: presenting it sets the
register to N, and 0 is what it is in a directory just entered (annex 5.1).
"""

from collections.abc import Callable, Iterator

from apdu.commands import INIT_LOAD, SELECT
from apdu.crypto import Key
from apdu.file_commands import (
    AID_PURSE,
    APPEND_RECORD,
    CREATE_FILE,
    ERASE_DF,
    GET_CHALLENGE,
    READ_BINARY,
    READ_RECORD,
    SELECT_FILE,
    UPDATE_BINARY,
    UPDATE_RECORD,
)
from apdu.fmcos import ALWAYS, NEVER, KeyKind, Kind
from apdu.key_commands import (
    EXTERNAL_AUTHENTICATE,
    INTERNAL_AUTHENTICATE,
    VERIFY_PIN,
    WRITE_KEY,
)
from apdu.personal import MF
from apdu.records import Content, InternalData, KeyData, SelectId, SelectName
from apdu.sw import SW
from bench.conformance.blank import (
    add_key,
    authenticate,
    enter_anew,
    open_directory,
    present,
    send_all,
)
from bench.conformance.case import Body, Case, Need
from bench.conformance.derive import made
from bench.conformance.desk import NEW_KEY
from bench.conformance.lab import Lab
from bench.conformance.registry import case, family
from bench.conformance.scenes import PAID, init_command, opened
from bench.conformance.scenes import TOP_UP as LOAD
from bench.conformance.service import step
from bench.conformance.words import Words
from bench.conformance.workshop import PURSE_DF, make_file

BLANK = PAID | {Need.BLANK}
FRESH = PAID | {Need.FRESH}

_FILE, _TRIES = 5, 0x33
_BINARY, _RECORD = (0x80 | _FILE, 0), (1, _FILE << 3 | 4)
_DATA = b"\1\2\3\4"


def register_key(number: int) -> Key:
    """The key 39 that sets the register to a number."""
    return Key(bytes((0x50 + 2 * number,)) * 16)  # the lowest bit of a byte is only parity


def add_register_keys(lab: Lab, *numbers: int) -> None:
    """WRITE KEY for the keys 39 that set the register to these numbers."""
    for number in numbers:
        attributes = (ALWAYS, ALWAYS, number, _TRIES)
        add_key(lab, KeyKind.EXTERNAL, number, attributes, register_key(number).expose())


def set_register(lab: Lab, number: int) -> None:
    """Present the key that sets the register of this directory."""
    lab.must(present(lab, register_key(number), number), clause="annex 5.4")


def _is_met(access: int, register: int) -> bool:
    """Whether XY with X other than 0 is met (annex 5.2)."""
    return access == ALWAYS or access & 0x0F <= register <= access >> 4


# Rights of files


def _read_and_write(lab: Lab, kind: Kind, word: int) -> None:
    """Reading and writing the file both answer this word."""
    if kind is Kind.TRANSPARENT:
        lab.must(lab.ask(READ_BINARY, pair=_BINARY), word)
        lab.must(lab.ask(UPDATE_BINARY, Content(_DATA), _BINARY), word)
        return
    lab.must(lab.ask(READ_RECORD, pair=_RECORD), word)
    lab.must(lab.ask(UPDATE_RECORD, Content(_DATA), _RECORD), word)
    if word != SW.OK:
        lab.must(lab.ask(APPEND_RECORD, Content(_DATA), (0, _FILE << 3)), word)


def _file_right(access: int, kind: Kind) -> Body:
    def body(lab: Lab) -> None:
        open_directory(lab)
        add_register_keys(lab, *range(16))
        size = (0, 4) if kind is Kind.TRANSPARENT else (3, 4)
        send_all(lab, make_file(_FILE, kind, *size, access, access, 0xFF, 0xFF))
        if kind is Kind.TRANSPARENT:
            lab.done_ok(UPDATE_BINARY, Content(_DATA), _BINARY)
        else:
            lab.done_ok(APPEND_RECORD, Content(_DATA), (0, _FILE << 3))
        enter_anew(lab)
        words = [SW.OK if _is_met(access, n) else SW.SECURITY_STATUS for n in range(16)]
        _read_and_write(lab, kind, words[0])
        for register in (*range(15, -1, -1), 4, 9):  # the register is set, and not raised
            set_register(lab, register)
            _read_and_write(lab, kind, words[register])

    return body


_BYTES = {
    0xF0: ("is met always", "始终满足"),
    0xF1: ("is met from register 1 on", "寄存器 1 起满足"),
    0xFA: ("is met from register A on", "寄存器 A 起满足"),
    0x53: ("is met by registers 3 to 5", "寄存器 3 至 5 满足"),
    0x41: ("is met by registers 1 to 4", "寄存器 1 至 4 满足"),
    0x11: ("is met by register 1 alone", "仅寄存器 1 满足"),
    0xAA: ("is met by register A alone", "仅寄存器 A 满足"),
    0x35: ("is never met", "永不满足"),
    NEVER: ("is never met", "永不满足"),
}
_KINDS = {
    "binary": (Kind.TRANSPARENT, "a transparent file", "透明文件", "4.5"),
    "record": (Kind.LINEAR, "a record file", "记录文件", "4.7"),
}


@family
def file_rights() -> Iterator[Case]:
    """Each access byte as the right to read and to write, in each of the 16 registers."""
    for access, (en, zh) in _BYTES.items():
        for name, (kind, of_en, of_zh, clause) in _KINDS.items():
            yield made(
                "RIGHTS",
                f"rights.{name}.{access:02X}",
                (f"Right {access:02X} of {of_en} {en}", f"{of_zh}的权限 {access:02X} {zh}"),
                ("annex 5.2", clause),
                _file_right(access, kind),
                BLANK,
            )


# Rights of everything else


_BETWEEN = 0x53


def _open_with(lab: Lab, create: int, erase: int, add: int) -> None:
    """The purse's directory with these rights, open, and the keys that set registers 2, 4, 9."""
    header = (Kind.DIRECTORY, 0x20, 0x00, create, erase, 0x95, 0xFF, 0xFF)
    keys = (Kind.KEYS, 1, 0, 0x95, add, 0xFF, 0xFF)
    send_all(lab, make_file(PURSE_DF, *header, name=AID_PURSE))
    lab.done_ok(SELECT, SelectName(AID_PURSE))
    send_all(lab, make_file(0, *keys))
    add_register_keys(lab, 2, 4, 9)
    add_key(lab, KeyKind.ENCRYPT, 0, (_BETWEEN, ALWAYS, 1, 0), bytes(16))
    add_key(lab, NEW_KEY, 0, (ALWAYS, _BETWEEN, 1, 0), bytes(16))
    enter_anew(lab)


def _key_field(value: int) -> KeyData:
    return KeyData(bytes((NEW_KEY, ALWAYS, _BETWEEN, 1, 0)) + bytes((value,)) * 16)


_RIGHTS: dict[str, tuple[Callable[[Lab], bytes], tuple[int, int, int], str, tuple[str, str]]] = {
    "create": (
        lambda lab: lab.ask(CREATE_FILE),
        (_BETWEEN, ALWAYS, ALWAYS),
        "annex 3.1",
        ("CREATE FILE", "CREATE FILE"),
    ),
    "erase": (
        lambda lab: lab.ask(ERASE_DF),
        (ALWAYS, _BETWEEN, ALWAYS),
        "annex 2",
        ("ERASE DF", "ERASE DF"),
    ),
    "add": (
        lambda lab: lab.ask(WRITE_KEY, _key_field(1), (1, 1)),
        (ALWAYS, ALWAYS, _BETWEEN),
        "annex 4.1",
        ("WRITE KEY for a new key", "WRITE KEY 增加密钥"),
    ),
    "change": (
        lambda lab: lab.ask(WRITE_KEY, _key_field(2), (NEW_KEY, 0)),
        (ALWAYS, ALWAYS, ALWAYS),
        "annex 4.1",
        ("WRITE KEY for a stored key", "WRITE KEY 修改密钥"),
    ),
    "use": (
        lambda lab: lab.ask(INTERNAL_AUTHENTICATE, InternalData(bytes(8)), (0, 0)),
        (ALWAYS, ALWAYS, ALWAYS),
        "annex 4.1",
        ("INTERNAL AUTHENTICATE", "INTERNAL AUTHENTICATE"),
    ),
}


def _other_right(act: Callable[[Lab], bytes], rights: tuple[int, int, int]) -> Body:
    def body(lab: Lab) -> None:
        _open_with(lab, *rights)
        lab.must(act(lab), SW.SECURITY_STATUS)
        for register in (2, 9):
            set_register(lab, register)
            lab.must(act(lab), SW.SECURITY_STATUS)
        set_register(lab, 4)
        lab.must(act(lab))

    return body


@family
def other_rights() -> Iterator[Case]:
    """Right 53 of a directory and of a key: below, above and between its bounds."""
    for name, (act, rights, clause, (en, zh)) in _RIGHTS.items():
        yield made(
            "RIGHTS",
            f"rights.{name}",
            (
                f"{en} with right 53 asks for register 3 to 5",
                f"{zh}：权限 53 要求寄存器 3 至 5",
            ),
            (clause, "annex 5.2"),
            _other_right(act, rights),
            BLANK,
        )


@case(
    "RIGHTS",
    "A right that wants the PIN first and a key then is met in that order alone",
    "先 PIN 后密钥的权限只按此顺序满足",
    "annex 5.2",
    needs=BLANK,
)
def pin_then_key(lab: Lab) -> None:
    """The worked case: a file F1 / F2, PIN to 1, a key with usage 11 and successor 2."""
    key = register_key(2)
    open_directory(lab)
    add_key(lab, KeyKind.EXTERNAL, 0, (0x11, ALWAYS, 2, _TRIES), key.expose())
    add_key(lab, KeyKind.PIN, 0, (ALWAYS, NEVER, 1, _TRIES), lab.pin)
    send_all(lab, make_file(_FILE, Kind.TRANSPARENT, 0, 4, 0xF1, 0xF2, 0xFF, 0xFF))
    enter_anew(lab)
    lab.must(present(lab, key), SW.SECURITY_STATUS)
    lab.must(lab.ask(READ_BINARY, pair=_BINARY), SW.SECURITY_STATUS)
    lab.done_ok(VERIFY_PIN)
    lab.must(lab.ask(READ_BINARY, pair=_BINARY), SW.DATA_MAY_BE_BAD)
    lab.must(lab.ask(UPDATE_BINARY, Content(_DATA), _BINARY), SW.SECURITY_STATUS)
    lab.must(present(lab, key))
    lab.done_ok(UPDATE_BINARY, Content(_DATA), _BINARY)


# The master file's register


def _below(access: int) -> Body:
    """A file in a directory below, with right 0Y: the master file's register counts alone."""

    def body(lab: Lab) -> None:
        send_all(lab, make_file(0, Kind.KEYS, 0, 0x60, 0x01, ALWAYS, 0xFF, 0xFF))
        add_register_keys(lab, 1, 3)
        open_directory(lab)
        add_register_keys(lab, 9)
        send_all(lab, make_file(_FILE, Kind.TRANSPARENT, 0, 4, access, access, 0xFF, 0xFF))
        lab.done_ok(UPDATE_BINARY, Content(_DATA), _BINARY)
        enter_anew(lab)
        free = access == 0x00
        _read_and_write(lab, Kind.TRANSPARENT, SW.OK if free else SW.SECURITY_STATUS)
        set_register(lab, 9)
        _read_and_write(lab, Kind.TRANSPARENT, SW.OK if free else SW.SECURITY_STATUS)
        for number in (1, 3):
            lab.done_ok(SELECT_FILE, SelectId(MF))
            set_register(lab, number)
            lab.must(lab.select())
            word = SW.OK if number >= access else SW.SECURITY_STATUS
            _read_and_write(lab, Kind.TRANSPARENT, word)

    return body


@family
def from_above() -> Iterator[Case]:
    """Rights 00, 02, 03 and 04 with the master file's register at 0, 1 and 3."""
    words = {
        0x00: ("is met always", "始终满足"),
        0x02: ("is met by the master file's register from 2 on", "由主文件寄存器 2 起满足"),
        0x03: ("is met by the master file's register from 3 on", "由主文件寄存器 3 起满足"),
        0x04: ("is met by the master file's register from 4 on", "由主文件寄存器 4 起满足"),
    }
    for access, (en, zh) in words.items():
        yield made(
            "RIGHTS",
            f"rights.above.{access:02X}",
            (f"Right {access:02X} in a directory {en}", f"下级目录的权限 {access:02X} {zh}"),
            ("annex 5.2", "annex 5.1"),
            _below(access),
            BLANK,
            grade="D" if access else "C",
        )


# What opens and what does not


@case(
    "RIGHTS",
    "A directory with a key file alone is closed when it is entered again",
    "仅有密钥文件的目录再次进入时为关闭状态",
    "annex 5.3",
    needs=BLANK,
)
def key_file_closes(lab: Lab) -> None:
    """The first file is a file, whatever its type: nothing is made or added any more."""
    header = (Kind.DIRECTORY, 0x04, 0x00, NEVER, NEVER, 0x95, 0xFF, 0xFF)
    send_all(lab, make_file(PURSE_DF, *header, name=AID_PURSE))
    lab.done_ok(SELECT, SelectName(AID_PURSE))
    send_all(lab, make_file(0, Kind.KEYS, 1, 0, 0x95, NEVER, 0xFF, 0xFF))
    enter_anew(lab)
    lab.must(lab.ask(CREATE_FILE), SW.SECURITY_STATUS)
    lab.must(lab.ask(WRITE_KEY), SW.SECURITY_STATUS)
    lab.must(lab.ask(ERASE_DF), SW.SECURITY_STATUS)


@case(
    "RIGHTS",
    "Nobody erases or fills the master file of a card in service",
    "使用中卡片的主文件不可擦除、不可建文件",
    "annex 2",
    "annex 3.1",
    grade="D",
    needs=FRESH,
)
def master_file_stays(lab: Lab) -> None:
    """A terminal must not be able to empty a passenger's card; the purse is there after it."""
    lab.done_ok(SELECT_FILE, SelectId(MF))
    lab.must(lab.ask(ERASE_DF), SW.SECURITY_STATUS)
    lab.must(lab.ask(CREATE_FILE), SW.SECURITY_STATUS)
    opened(lab)


@case(
    "RIGHTS",
    "A key presented is no PIN: a load that wants the PIN still wants it",
    "外部认证不代替 PIN：需 PIN 的充值仍需 PIN",
    "annex 7",
    "4.11",
    grade="D",
    needs=PAID,
    setup={"dialect": {"pin_for_load": True}},
)
def key_is_no_pin(lab: Lab) -> None:
    """The PIN's flag is independent of the register."""
    opened(lab)
    lab.done_ok(EXTERNAL_AUTHENTICATE)
    lab.must(lab.send(init_command(lab, LOAD, 100)), SW.SECURITY_STATUS)
    lab.done_ok(VERIFY_PIN)
    step(lab, INIT_LOAD)


@case(
    "RIGHTS",
    "A challenge does not outlive the field",
    "随机数在断场后失效",
    "4.9",
    "4.1",
    needs=BLANK | {Need.CUT},
)
def challenge_dies_with_the_field(lab: Lab) -> None:
    """Of a card with a key in its master file, which is selected when the field comes back."""
    send_all(lab, make_file(0, Kind.KEYS, 0, 0x60, 0x01, ALWAYS, 0xFF, 0xFF))
    add_register_keys(lab, 3)
    key = register_key(3)
    challenge = lab.done_ok(GET_CHALLENGE)
    lab.reset()
    lab.must(authenticate(lab, key, challenge, 3), SW.RANDOM_UNUSABLE)
    lab.must(present(lab, key, 3), why=Words("a fresh one is taken", "新随机数可用"))

"""A blank card is personalised by APDUs, and then takes every command (annex 1 to 10)."""

from collections.abc import Callable, Iterator

from apdu.command import Command
from apdu.commands import EP, GET_BALANCE, READ_RECORD, SELECT, TABLE
from apdu.crypto import Key
from apdu.file_commands import (
    CREATE_FILE,
    ERASE_DF,
    READ_BINARY,
    SELECT_FILE,
    UPDATE_BINARY,
)
from apdu.files import EF1A
from apdu.fmcos import ALWAYS, NEVER, KeyKind, Kind
from apdu.key_commands import (
    EXTERNAL_AUTHENTICATE,
    INTERNAL_AUTHENTICATE,
    VERIFY_PIN,
    WRITE_KEY,
    WRITE_KEY_MAC,
)
from apdu.order import fresh_trip, public_info
from apdu.personal import (
    MF,
    Script,
    bare_script,
    change_master,
    present_master,
    stock_script,
    transport_script,
)
from apdu.purse import secure_messaging_encrypt
from apdu.records import Content, InternalData, KeyData, Protected, SelectId, SelectName
from apdu.sw import SW
from bench.conformance.blank import enter_anew, make_application, open_directory, send_all
from bench.conformance.case import Body, Case, Level, Need
from bench.conformance.derive import NEVER_TAKEN, clauses_of, home, made, slug
from bench.conformance.desk import NEW_KEY, Spec
from bench.conformance.lab import Lab
from bench.conformance.registry import family
from bench.conformance.service import BY_PROFILE, ready, send_right
from bench.conformance.words import Words
from bench.conformance.workshop import (
    INTERNAL,
    MAC,
    MAC_KEY,
    SECRET_FILE,
    directory,
    key_file,
    make_file,
    write_key,
)
from bench.conformance.writes import STRANGE
from emulator.card.personalise import order_of

NEEDS = frozenset({Need.KEYS, Need.WRITE, Need.BLANK})
_ABLE = {"dialect": {"dual_alg": True, "protected_reads": True}, "has_ed": True}
"""A profile that refuses no command for want of a switch."""

_HEAD_FREE = (ALWAYS, ALWAYS, 0xFF, 0xFF)
_TRIES = 0x33


@family
def every_command() -> Iterator[Case]:
    """One case for each command that a purse can take at all."""
    for spec in TABLE:
        if spec in NEVER_TAKEN:
            continue
        yield made(
            "PERS",
            f"blank.takes.{slug(spec)}",
            (
                f"A card personalised by APDUs takes {spec.name}",
                f"由 APDU 个人化的卡片接受 {spec.name}",
            ),
            clauses_of(spec),
            _takes(spec),
            NEEDS,
            grade=spec.grade[:1],
            setup=_ABLE if spec in BY_PROFILE else {},
        )


def _takes(spec: Spec) -> Body:
    def body(lab: Lab) -> None:
        make_application(lab, 0 if spec.data is Content else MAC)
        ready(lab, spec, home(spec))
        parsed = lab.must(send_right(lab, spec))
        size = parsed.data if spec.reply is bytes else bytes(spec.reply.size())
        wanted = Words(f"{len(size)} bytes", f"{len(size)} 字节")
        lab.require(len(parsed.data) == len(size), wanted, f"{len(parsed.data)} bytes")

    return body


# The issuer's scripts


def _play(lab: Lab, script: Script) -> None:
    try:
        command = next(script)
        while True:
            response = lab.send(command)
            lab.must(response)
            command = script.send(response)
    except StopIteration:
        return


def _is_in_service(lab: Lab) -> None:
    lab.reset()
    answer = lab.must(lab.select())
    info = public_info(order_of(lab.declared)).build()
    lab.require(info in answer.data, Words("EF15 in the FCI", "FCI 含 EF15"), answer.data.hex())
    lab.require(lab.balance() == 0, Words("no money", "余额为零"), lab.said[-1].response)
    lab.must(lab.ask(CREATE_FILE), SW.SECURITY_STATUS)
    lab.must(lab.ask(ERASE_DF), SW.SECURITY_STATUS)
    lab.must(lab.ask(WRITE_KEY), SW.SECURITY_STATUS)


def _bare(lab: Lab) -> None:
    _play(lab, bare_script(order_of(lab.declared), lab.keys))
    _is_in_service(lab)


def _stock(lab: Lab) -> None:
    transport, master = Key(b"\xff" * 16), STRANGE
    _play(lab, transport_script(transport))
    lab.done_ok(SELECT_FILE, SelectId(MF))
    for key in (transport, master):
        _present(lab, key)
        if key is transport:
            _play(lab, change_master(transport, master))
    _play(lab, stock_script(order_of(lab.declared), lab.keys, master))
    _is_in_service(lab)


def _present(lab: Lab, key: Key) -> None:
    script = present_master(key)
    lab.must(response := lab.send(next(script)))
    lab.must(lab.send(script.send(response)))


# Files (annex 2, 3, 5)


def _file(fid: int, *header: int, name: bytes = b"") -> Callable[[Lab], bytes]:
    return lambda lab: lab.send(make_file(fid, *header, name=name))


_TRANSPARENT = (Kind.TRANSPARENT, 0, 4, *_HEAD_FREE)
_DF = (Kind.DIRECTORY, 0x01, 0x00, ALWAYS, ALWAYS, 0x95, 0xFF, 0xFF)
_BAD_FILES: dict[str, tuple[Callable[[Lab], bytes], int, tuple[str, str]]] = {
    "again": (_file(5, *_TRANSPARENT), SW.WRONG_P1P2, ("a file that exists", "已存在的文件")),
    "key-file-late": (
        _file(0, Kind.KEYS, 1, 0, 0x95, ALWAYS, 0xFF, 0xFF),
        SW.WRONG_P1P2,
        ("a second key file", "第二个密钥文件"),
    ),
    "kind": (_file(6, 0x21, 0, 4, *_HEAD_FREE), SW.WRONG_DATA, ("an unknown type", "未知类型")),
    "one-record": (
        _file(6, Kind.CYCLIC, 1, 23, *_HEAD_FREE),
        SW.WRONG_DATA,
        ("a file of one record", "仅一条记录的文件"),
    ),
    "no-room": (
        _file(6, Kind.TRANSPARENT, 0xFF, 0, *_HEAD_FREE),
        SW.NO_SPACE,
        ("more than the directory's room", "超出目录空间"),
    ),
    "same-name": (
        _file(0x3F09, *_DF, name=b"A0000"),
        SW.WRONG_P1P2,
        ("a directory of a name that is taken", "重名目录"),
    ),
    "length": (
        _file(6, Kind.TRANSPARENT, 0, 4, *_HEAD_FREE, 0x00),
        SW.WRONG_LENGTH,
        ("a header one byte too long", "文件头多一字节"),
    ),
}


@family
def files() -> Iterator[Case]:
    """What CREATE FILE refuses, and what a new file is like."""
    for name, (send, word, (en, zh)) in _BAD_FILES.items():
        yield made(
            "PERS",
            f"blank.file.{name}",
            (f"CREATE FILE refuses {en}", f"CREATE FILE 拒绝{zh}"),
            ("annex 3.4", "annex 3"),
            _bad_file(send, word),
            NEEDS,
        )


def _bad_file(send: Callable[[Lab], bytes], word: int) -> Body:
    def body(lab: Lab) -> None:
        open_directory(lab)
        send_all(lab, make_file(5, *_TRANSPARENT), make_file(0x3F08, *_DF, name=b"A0000"))
        lab.must(send(lab), word)

    return body


def _new_file(lab: Lab) -> None:
    open_directory(lab)
    send_all(lab, make_file(5, *_TRANSPARENT))
    answer = lab.must(lab.ask(READ_BINARY, pair=(0x85, 0)), SW.DATA_MAY_BE_BAD)
    lab.must_be(answer.data, bytes(4), Words("its zeros", "全零内容"))
    lab.done_ok(UPDATE_BINARY, Content(b"\1\2"), (0x85, 1))
    found = lab.done_ok(READ_BINARY, pair=(0x85, 0))
    lab.must_be(found, bytes((0, 1, 2, 0)), Words("what was written", "写入的内容"))


def _erased(lab: Lab) -> None:
    make_application(lab, MAC)
    lab.done_ok(ERASE_DF)
    lab.must(lab.ask(READ_BINARY, pair=(0x95, 0)), SW.FILE_NOT_FOUND)
    lab.must(lab.ask(GET_BALANCE, pair=(0, EP)), SW.FILE_NOT_FOUND)
    send_all(lab, key_file(), make_file(5, *_TRANSPARENT))


def _not_erased(lab: Lab) -> None:
    open_directory(lab, erase=NEVER)
    send_all(lab, make_file(5, *_TRANSPARENT))
    enter_anew(lab)
    lab.must(lab.ask(ERASE_DF), SW.SECURITY_STATUS)
    lab.must(lab.ask(READ_BINARY, pair=(0x85, 0)), SW.DATA_MAY_BE_BAD)


def _closed(lab: Lab) -> None:
    """Entered empty a directory is open; left and entered again, its rights hold."""
    shut = (Kind.DIRECTORY, 0x04, 0x00, NEVER, NEVER, 0x95, 0xFF, 0xFF)
    send_all(lab, make_file(0x3F03, *shut, name=b"shut!"))
    lab.done_ok(SELECT, SelectName(b"shut!"))
    secret = (Kind.TRANSPARENT, 0, 4, NEVER, NEVER, 0xFF, 0xFF)
    send_all(lab, make_file(5, *secret))
    lab.done_ok(UPDATE_BINARY, Content(b"\1\2\3\4"), (0x85, 0))
    lab.done_ok(SELECT_FILE, SelectId(MF))
    lab.done_ok(SELECT, SelectName(b"shut!"))
    lab.must(lab.send(make_file(6, *secret)), SW.SECURITY_STATUS)
    lab.must(lab.ask(UPDATE_BINARY, Content(b"\0"), (0x85, 0)), SW.SECURITY_STATUS)
    lab.must(lab.ask(READ_BINARY, pair=(0x85, 0)), SW.SECURITY_STATUS)


def _too_deep(lab: Lab) -> None:
    for fid, name, space in ((0x3F03, b"one..", 8), (0x3F04, b"two..", 4)):
        deeper = (Kind.DIRECTORY, space, 0x00, ALWAYS, ALWAYS, 0x95, 0xFF, 0xFF)
        send_all(lab, make_file(fid, *deeper, name=name))
        lab.done_ok(SELECT, SelectName(name))
    lab.must(lab.send(make_file(0x3F05, *_DF, name=b"three")), SW.WRONG_DATA)


def _after_pin(lab: Lab) -> None:
    make_application(lab, MAC)
    enter_anew(lab)
    pair = (0x80 | SECRET_FILE, 0)
    lab.must(lab.ask(READ_BINARY, pair=pair), SW.SECURITY_STATUS)
    lab.must(lab.ask(UPDATE_BINARY, Content(b"\1"), pair), SW.SECURITY_STATUS)
    lab.done_ok(VERIFY_PIN)
    lab.done_ok(UPDATE_BINARY, Content(b"\1"), pair)
    found = lab.done_ok(READ_BINARY, pair=pair)
    lab.must_be(found[:1], b"\1", Words("what was written", "写入的内容"))
    enter_anew(lab)
    lab.must(lab.ask(READ_BINARY, pair=pair), SW.SECURITY_STATUS)


# Keys (annex 4, 5.4)


def _wrong_keys() -> dict[str, tuple[bytes, int, tuple[str, str]]]:
    free, value = (ALWAYS, ALWAYS, 1, 0), bytes(16)
    absent = KeyData(bytes((NEW_KEY, *free)) + value)
    guarded = bytes((0xC0 | NEW_KEY, *free)) + value
    return {
        "again": (
            write_key(KeyKind.TAC, 0, free, value),
            SW.WRONG_P1P2,
            ("a key that exists", "已存在的密钥"),
        ),
        "kind": (
            WRITE_KEY.command(KeyData(bytes((0x33, *free)) + value), 1, 7),
            SW.WRONG_DATA,
            ("an unknown key type", "未知密钥类型"),
        ),
        "length": (
            WRITE_KEY.command(KeyData(bytes((NEW_KEY, *free)) + bytes(9)), 1, 7),
            SW.WRONG_LENGTH,
            ("a key of 9 bytes", "9 字节的密钥"),
        ),
        "absent": (
            WRITE_KEY.command(absent, NEW_KEY, 7),
            SW.REFERENCE_NOT_FOUND,
            ("a change of a key that is not there", "修改不存在的密钥"),
        ),
        "clear": (
            WRITE_KEY.command(KeyData(guarded), 1, 7),
            SW.MAC_MISSING,
            ("a protected key in the clear", "明文写受保护密钥"),
        ),
    }


@family
def keys() -> Iterator[Case]:
    """What WRITE KEY refuses."""
    for name, (command, word, (en, zh)) in _wrong_keys().items():
        yield made(
            "PERS",
            f"blank.key.{name}",
            (f"WRITE KEY refuses {en}", f"WRITE KEY 拒绝{zh}"),
            ("annex 4.1", "annex 4.2"),
            _bad_key(command, word),
            NEEDS,
            grade="D",
        )


def _bad_key(command: bytes, word: int) -> Body:
    def body(lab: Lab) -> None:
        make_application(lab, MAC)
        lab.must(lab.send(command), word)

    return body


def _no_key_file(lab: Lab) -> None:
    send_all(lab, *directory(), make_file(5, *_TRANSPARENT))
    lab.must(lab.ask(WRITE_KEY), SW.FILE_NOT_FOUND)
    lab.must(lab.ask(EXTERNAL_AUTHENTICATE), SW.FILE_NOT_FOUND)


def _full_key_file(lab: Lab) -> None:
    send_all(lab, *directory(), make_file(0, Kind.KEYS, 0, 30, 0x95, ALWAYS, 0xFF, 0xFF))
    lab.done_ok(WRITE_KEY, pair=(1, 0))  # 24 of 30 bytes
    lab.must(lab.ask(WRITE_KEY, pair=(1, 1)), SW.NO_SPACE)


def _hidden_key(lab: Lab, key: Key | None = None) -> bytes:
    """WRITE KEY with MAC for a new key, as it is sent. key: instead of the master key."""
    hidden = secure_messaging_encrypt(lab.keys.dack, lab.key_record(1))
    mac = lab.sm_mac(key or lab.keys.dack, WRITE_KEY_MAC, 1, 0, hidden)
    return WRITE_KEY_MAC.command(Protected(hidden + mac), 1, 0)


def _wrong_master(lab: Lab) -> None:
    make_application(lab, MAC)
    lab.prepare(WRITE_KEY_MAC)
    lab.must(lab.send(_hidden_key(lab, STRANGE)), SW.MAC_INVALID)
    lab.must(lab.send(_hidden_key(lab)), SW.RANDOM_UNUSABLE)
    lab.prepare(WRITE_KEY_MAC)
    lab.must(lab.send(_hidden_key(lab)))


def _changed_key(lab: Lab) -> None:
    make_application(lab, MAC)
    field = bytes((KeyKind.EXTERNAL, ALWAYS, ALWAYS, 0x44, _TRIES)) + STRANGE.expose()
    lab.done_ok(WRITE_KEY, KeyData(field), (KeyKind.EXTERNAL, 0))
    lab.must(lab.ask(EXTERNAL_AUTHENTICATE), 0x63C2)
    _present(lab, STRANGE)


_BLOCK16 = bytes(range(16))


def _internal(lab: Lab) -> None:
    make_application(lab, MAC)
    for p1, kind in ((0, KeyKind.ENCRYPT), (1, KeyKind.DECRYPT)):
        key = INTERNAL[kind]
        wanted = key.decrypt(_BLOCK16) if p1 else key.encrypt(_BLOCK16)
        found = lab.done_ok(INTERNAL_AUTHENTICATE, InternalData(_BLOCK16), (p1, 0))
        lab.must_be(found, wanted, Words("the block under the key", "密钥运算结果"))
    found = lab.done_ok(INTERNAL_AUTHENTICATE, InternalData(b"\1\2\3"), (2, 0))
    lab.must_be(found, MAC_KEY.retail_mac(b"\1\2\3"), Words("the MAC", "MAC"))
    lab.must(lab.send(_internal_command(0, 0, bytes(7))), SW.WRONG_LENGTH)
    lab.must(lab.send(_internal_command(0, 9, bytes(8))), SW.REFERENCE_NOT_FOUND)
    enter_anew(lab)
    lab.must(lab.send(_internal_command(2, 0, bytes(8))), SW.SECURITY_STATUS)


def _internal_command(p1: int, kid: int, data: bytes) -> bytes:
    spec = INTERNAL_AUTHENTICATE
    return Command(spec.cla, spec.ins, p1, kid, data, 256).build()


def _wrong_internal(lab: Lab) -> None:
    open_directory(lab)
    send_all(lab, write_key(KeyKind.ENCRYPT, 0, (ALWAYS, ALWAYS, 1, 0), bytes(16)))
    lab.must(lab.send(_internal_command(1, 0, bytes(8))), SW.WRONG_FILE_STRUCTURE)


def _free_trip(lab: Lab) -> None:
    """The records that were appended are there, and one more is not."""
    make_application(lab, MAC)
    found = lab.done_ok(READ_RECORD, pair=(1, EF1A.sfi << 3 | 4))
    lab.must_be(found, fresh_trip(1), Words("the record appended", "追加的记录"))
    lab.must(lab.ask(READ_RECORD, pair=(2, EF1A.sfi << 3 | 4)), SW.RECORD_NOT_FOUND)


_ONE: dict[str, tuple[Callable[[Lab], None], tuple[str, ...], tuple[str, str]]] = {
    "script": (
        _bare,
        ("annex 12", "3.1"),
        ("The issuer's script makes a card in service", "发行脚本制成可用卡"),
    ),
    "stock": (
        _stock,
        ("annex 4.2", "annex 1"),
        ("A card with a transport key becomes a card in service", "带传输密钥的卡片制成可用卡"),
    ),
    "new-file": (
        _new_file,
        ("annex 10", "4.5"),
        ("A new file reads 6281 until written", "新文件写入前应答 6281"),
    ),
    "erased": (_erased, ("annex 2",), ("ERASE DF empties the application", "擦除目录清空应用")),
    "not-erased": (
        _not_erased,
        ("annex 2",),
        ("Without the right nothing is erased", "无权限不可擦除"),
    ),
    "closed": (
        _closed,
        ("annex 5.3",),
        ("A directory is open until it is left", "目录离开前为开放状态"),
    ),
    "deep": (_too_deep, ("annex 3.1",), ("There are three levels of directories", "目录最多三层")),
    "after-pin": (
        _after_pin,
        ("annex 5.2", "4.11"),
        ("Right F1 wants the PIN", "权限 F1 需验证 PIN"),
    ),
    "no-key-file": (
        _no_key_file,
        ("annex 1", "annex 11"),
        ("Without a key file it is 6A82", "无密钥文件应答 6A82"),
    ),
    "full": (
        _full_key_file,
        ("annex 4.1",),
        ("A full key file answers 6A84", "密钥文件已满应答 6A84"),
    ),
    "master": (
        _wrong_master,
        ("annex 4.2",),
        ("A wrong MAC of the master key is 9302", "主控密钥 MAC 错误应答 9302"),
    ),
    "changed": (
        _changed_key,
        ("annex 4", "4.10"),
        ("A changed key is the one that counts", "修改后的密钥生效"),
    ),
    "internal": (
        _internal,
        ("annex 5.4", "4.10"),
        ("INTERNAL AUTHENTICATE computes", "内部认证运算正确"),
    ),
    "internal-other": (
        _wrong_internal,
        ("annex 5.4",),
        ("A key serves its own operation alone", "密钥只用于其自身运算"),
    ),
    "trips": (
        _free_trip,
        ("annex 10", "4.8"),
        ("Appended records are there, in order", "追加的记录存在且有序"),
    ),
}


@family
def single() -> Iterator[Case]:
    """How a card comes into service, and what guards it on the way."""
    for key, (body, clauses, title) in _ONE.items():
        level = Level.BASIC if key == "script" else Level.FULL
        needs = NEEDS | ({Need.CUT} if key in ("script", "stock") else set())
        yield made("PERS", f"blank.{key}", title, clauses, body, needs, level=level)

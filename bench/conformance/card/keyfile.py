"""Keys and PINs: what changes them, what counts, and what is only padding (annex 4, annex 8)."""

from collections.abc import Callable, Iterator

from apdu.crypto import Key
from apdu.file_commands import GET_CHALLENGE
from apdu.fmcos import ALWAYS, NEVER, KeyKind
from apdu.key_commands import (
    CHANGE_PIN,
    INTERNAL_AUTHENTICATE,
    PIN_UNBLOCK,
    RELOAD_PIN,
    VERIFY_PIN,
    WRITE_KEY,
)
from apdu.purse import reload_pin_mac, secure_messaging_encrypt
from apdu.records import ChangePin, InternalData, KeyData, Pin, Protected, ReloadPin
from apdu.sw import SW
from bench.conformance.blank import (
    add_key,
    enter_anew,
    hidden_key,
    make_application,
    open_directory,
    present,
)
from bench.conformance.case import Case, Need, NotApplicable
from bench.conformance.derive import made
from bench.conformance.desk import NEW_KEY
from bench.conformance.lab import Lab
from bench.conformance.registry import case, family
from bench.conformance.scenes import PAID, opened
from bench.conformance.words import Words
from bench.conformance.workshop import MAC
from bench.conformance.writes import STRANGE

BLANK = PAID | {Need.BLANK}

_TRIES, _BOTH = 0x33, 0xC0
_ABSENT = 0x7D
"""A key id that no card of ours has."""

_MASTER = Key(b"K" * 16)
_OLD, _NEW = b"A" * 16, b"R" * 16
_BLOCK = bytes(range(8))


# WRITE KEY


def _field(kind: int, value: bytes, change: int = ALWAYS) -> bytes:
    return bytes((kind, ALWAYS, change, 1, 0)) + value


def _with_key(lab: Lab, kind: int, change: int = ALWAYS, value: bytes = _OLD) -> None:
    """A directory with a master key and a key of this type byte, entered again."""
    open_directory(lab)
    add_key(lab, KeyKind.EXTERNAL, 0, (ALWAYS, ALWAYS, 4, _TRIES), _MASTER.expose())
    lab.must(hidden_key(lab, 1, 0, _field(kind, value, change), _MASTER))
    enter_anew(lab)


def _enciphers_with(lab: Lab, value: bytes) -> None:
    """The key 30 id 00 has this value."""
    found = lab.done_ok(INTERNAL_AUTHENTICATE, InternalData(_BLOCK), (0, 0))
    wanted = Key(value).encrypt(_BLOCK)
    lab.must_be(found, wanted, Words("the block under the key", "密钥运算结果"))


@case(
    "KEYS",
    "A key stored enciphered and under MAC is not changed in the clear",
    "加密加 MAC 保护的密钥不可明文修改",
    "annex 4.2",
    grade="D",
    needs=BLANK,
)
def guarded_in_the_clear(lab: Lab) -> None:
    """6987, whether it would keep its protection or lose it; under MAC the change is taken."""
    kind = KeyKind.ENCRYPT | _BOTH
    _with_key(lab, kind)
    for wanted in (kind, KeyKind.ENCRYPT):
        answer = lab.ask(WRITE_KEY, KeyData(_field(wanted, _NEW)), (kind, 0))
        lab.must(answer, SW.MAC_MISSING)
        _enciphers_with(lab, _OLD)
    lab.must(hidden_key(lab, kind, 0, _field(kind, _NEW), _MASTER))
    _enciphers_with(lab, _NEW)


@case(
    "KEYS",
    "A key with change right EF is not changed",
    "修改权限为 EF 的密钥不可修改",
    "annex 4.1",
    "annex 5.2",
    needs=BLANK,
)
def change_right(lab: Lab) -> None:
    """6982 in the clear and under MAC; the old key still counts."""
    _with_key(lab, KeyKind.ENCRYPT, NEVER)
    field = _field(KeyKind.ENCRYPT, _NEW)
    answer = lab.ask(WRITE_KEY, KeyData(field), (KeyKind.ENCRYPT, 0))
    lab.must(answer, SW.SECURITY_STATUS)
    lab.must(hidden_key(lab, KeyKind.ENCRYPT, 0, field, _MASTER), SW.SECURITY_STATUS)
    _enciphers_with(lab, _OLD)


def _other_length(was: int, new: int) -> Callable[[Lab], None]:
    def body(lab: Lab) -> None:
        _with_key(lab, KeyKind.ENCRYPT, value=_OLD[:was])
        field = _field(KeyKind.ENCRYPT, _NEW[:new])
        answer = lab.ask(WRITE_KEY, KeyData(field), (KeyKind.ENCRYPT, 0))
        lab.must(answer, SW.WRONG_LENGTH)
        lab.must(hidden_key(lab, KeyKind.ENCRYPT, 0, field, _MASTER), SW.WRONG_LENGTH)
        _enciphers_with(lab, _OLD[:was])

    return body


@family
def lengths() -> Iterator[Case]:
    """A key of 16 bytes stays one, and so does a key of 8."""
    for was, new in ((16, 8), (8, 16)):
        yield made(
            "KEYS",
            f"keyfile.length.{was}",
            (
                f"A key of {was} bytes is not changed to one of {new}",
                f"{was} 字节的密钥不可改为 {new} 字节",
            ),
            ("annex 4.1",),
            _other_length(was, new),
            BLANK,
        )


@case(
    "KEYS",
    "EXTERNAL AUTHENTICATE takes the key it names and no other",
    "外部认证只用所指标识的密钥",
    "4.10",
    "annex 5.4",
    needs=PAID,
)
def named_key(lab: Lab) -> None:
    """An id that is not there is 6A88, though the cryptogram is that of key 00."""
    opened(lab)
    lab.must(present(lab, lab.keys.dack, _ABSENT), SW.REFERENCE_NOT_FOUND)
    lab.must(present(lab, lab.keys.dack))


@case(
    "KEYS",
    "Two keys 39 are told apart by their ids",
    "两把 39 号密钥按标识区分",
    "4.10",
    "annex 4",
    needs=BLANK,
)
def two_keys(lab: Lab) -> None:
    """Each passes with its own id alone."""
    open_directory(lab)
    keys = {1: Key(_OLD), 2: Key(_NEW)}
    for kid, key in keys.items():
        add_key(lab, KeyKind.EXTERNAL, kid, (ALWAYS, ALWAYS, kid, _TRIES), key.expose())
    for kid, key in keys.items():
        lab.must(present(lab, keys[3 - kid], kid), 0x63C2)
        lab.must(present(lab, key, kid))


# PINs


def _other_pin(lab: Lab) -> bytes:
    return lab.pin[:-1] + bytes((lab.pin[-1] ^ 0x11,))


@case(
    "KEYS",
    "FF behind a PIN is padding",
    "PIN 后的 FF 为填充",
    "annex 4.1",
    "4.11",
    grade="1",
    needs=PAID,
)
def pin_padding(lab: Lab) -> None:
    """As much as fits into six bytes; another byte is a wrong PIN."""
    room = 6 - len(lab.pin)
    if room < 1:
        raise NotApplicable("the card's PIN has six bytes", "卡片 PIN 为六字节")
    opened(lab)
    for count in range(1, room + 1):
        lab.must(lab.ask(VERIFY_PIN, Pin(lab.pin + b"\xff" * count)))
    tries = lab.ask(VERIFY_PIN, Pin(lab.pin + b"\0"))
    lab.require(tries[:1] == b"\x63", Words("63Cx, a wrong PIN", "63Cx PIN 错误"), tries.hex())
    lab.done_ok(VERIFY_PIN)


_NO_MARK: dict[str, tuple[Callable[[Lab], bytes], tuple[str, str]]] = {
    "other": (
        lambda lab: lab.pin + b"\0" + _other_pin(lab),
        ("with another byte than FF between the PINs", "新旧 PIN 间不是 FF"),
    ),
    "none": (
        lambda lab: lab.pin + _other_pin(lab),
        ("with nothing between the PINs", "新旧 PIN 间无分隔"),
    ),
}


@family
def no_mark() -> Iterator[Case]:
    """CHANGE PIN is old PIN, FF, new PIN; the word for anything else is not written anywhere."""
    for name, (data, (en, zh)) in _NO_MARK.items():

        def body(lab: Lab, data: Callable[[Lab], bytes] = data) -> None:
            opened(lab)
            answer = lab.ask(CHANGE_PIN, ChangePin(data(lab)))
            lab.must(answer, 0x63C2, SW.WRONG_DATA)
            lab.done_ok(VERIFY_PIN)

        yield made(
            "KEYS",
            f"keyfile.change-pin.{name}",
            (
                f"CHANGE PIN {en} is refused and the PIN stays",
                f"CHANGE PIN：{zh}时拒绝且 PIN 不变",
            ),
            ("annex 8", "4.11"),
            body,
            PAID,
            grade="D",
        )


def _reload(lab: Lab, key: Key) -> bytes:
    new = _other_pin(lab)
    return lab.ask(RELOAD_PIN, ReloadPin(new + reload_pin_mac(key, new)))


def _unblock(lab: Lab, key: Key, block: bytes | None = None) -> bytes:
    """PIN UNBLOCK. key: of its MAC. block: instead of the right one, in the clear."""
    own = lab.keys.dpuk
    hidden = secure_messaging_encrypt(own, _other_pin(lab))
    if block is not None:
        hidden = own.encrypt(block)
    lab.done_ok(GET_CHALLENGE)
    mac = lab.sm_mac(key, PIN_UNBLOCK, 0, 1, hidden)
    return lab.send(PIN_UNBLOCK.command(Protected(hidden + mac), 0, 1))


@case(
    "KEYS",
    "Three wrong MACs lock the PIN reload key",
    "三次 MAC 错误锁定 PIN 重装密钥",
    "annex 8",
    "annex 4.1",
    "4.11",
    grade="I",
    needs=BLANK,
)
def reload_key_locks(lab: Lab) -> None:
    """The right one is 6983 then, and the PIN is as it was."""
    make_application(lab, MAC)
    for _ in range(3):
        lab.must(_reload(lab, STRANGE), SW.MAC_INVALID, SW.MAC_WRONG)
    lab.must(_reload(lab, lab.keys.drpk), SW.METHOD_BLOCKED)
    lab.done_ok(VERIFY_PIN)


@case(
    "KEYS",
    "Three wrong MACs lock the PIN unblock key",
    "三次 MAC 错误锁定 PIN 解锁密钥",
    "annex 8",
    "4.11",
    grade="I",
    needs=BLANK,
)
def unblock_key_locks(lab: Lab) -> None:
    """The right one is 6983 then, and the PIN is as it was."""
    make_application(lab, MAC)
    for _ in range(3):
        lab.must(_unblock(lab, STRANGE), SW.MAC_WRONG)
    lab.must(_unblock(lab, lab.keys.dpuk), SW.METHOD_BLOCKED)
    lab.done_ok(VERIFY_PIN)


@case(
    "KEYS",
    "A right MAC sets the count of wrong ones back",
    "MAC 正确后错误计数复位",
    "annex 4.1",
    "annex 8",
    grade="I",
    needs=BLANK,
)
def counts_in_a_row(lab: Lab) -> None:
    """Twice wrong and once right, twice over, for both keys."""
    make_application(lab, MAC)
    for act, own in ((_reload, lab.keys.drpk), (_unblock, lab.keys.dpuk)):
        for key in (STRANGE, STRANGE, own) * 2:
            words = (SW.OK,) if key is own else (SW.MAC_INVALID, SW.MAC_WRONG)
            lab.must(act(lab, key), *words)


_BAD_BLOCKS: dict[str, tuple[bytes, tuple[str, str]]] = {
    "no-mark": (bytes.fromhex("0365432100000000"), ("without 80", "缺少 80")),
    "tail": (bytes.fromhex("0365432180000001"), ("with more behind 80", "80 后有其他内容")),
    "short": (bytes.fromhex("0265432180000000"), ("at another place", "补位位置不符")),
    "long": (bytes.fromhex("0765432112345678"), ("around a PIN of 7 bytes", "PIN 为 7 字节")),
}


@family
def bad_padding() -> Iterator[Case]:
    """PIN UNBLOCK under a right MAC, whose deciphered block is none."""
    for name, (block, (en, zh)) in _BAD_BLOCKS.items():

        def body(lab: Lab, block: bytes = block) -> None:
            opened(lab)
            lab.must(_unblock(lab, lab.keys.dpuk, block), SW.MAC_WRONG)
            lab.done_ok(VERIFY_PIN)
            lab.must(_unblock(lab, lab.keys.dpuk))

        yield made(
            "KEYS",
            f"keyfile.unblock.{name}",
            (
                f"PIN UNBLOCK with padding {en} is 6988 and the PIN stays",
                f"PIN UNBLOCK 补位{zh}时应答 6988 且 PIN 不变",
            ),
            ("annex 8", "5.6"),
            body,
            PAID,
            grade="D",
        )


@case(
    "KEYS",
    "A key of another type and the same id is another key",
    "类型不同、标识相同为不同密钥",
    "annex 4",
    needs=BLANK,
)
def types_are_apart(lab: Lab) -> None:
    """Changing the one leaves the other."""
    open_directory(lab)
    for kind in (KeyKind.ENCRYPT, NEW_KEY):
        add_key(lab, kind, 0, (ALWAYS, ALWAYS, 1, 0), _OLD)
    lab.done_ok(WRITE_KEY, KeyData(_field(NEW_KEY, _NEW)), (NEW_KEY, 0))
    _enciphers_with(lab, _OLD)

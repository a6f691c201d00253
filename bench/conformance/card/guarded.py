"""Files under line protection: which key, which form, and never in the clear (annex 3.3, 6)."""

from collections.abc import Callable, Iterator

from apdu.crypto import Key
from apdu.file_commands import (
    APPEND_RECORD,
    GET_CHALLENGE,
    READ_BINARY,
    READ_BINARY_MAC,
    READ_RECORD,
    READ_RECORD_MAC,
    UPDATE_BINARY,
    UPDATE_BINARY_MAC,
)
from apdu.fmcos import ALWAYS, KeyKind, Kind
from apdu.purse import secure_messaging_encrypt
from apdu.records import Content
from apdu.sw import SW
from bench.conformance.blank import add_key, open_directory, send_all
from bench.conformance.case import Case, Need
from bench.conformance.derive import made
from bench.conformance.desk import Pair, Spec
from bench.conformance.lab import Lab
from bench.conformance.registry import case, family
from bench.conformance.scenes import PAID
from bench.conformance.words import Words
from bench.conformance.workshop import MAC, make_file
from bench.conformance.writes import mac_words, plain, sealed, under_mac

BLANK = PAID | {Need.BLANK}

_FILE, _TRIES = 5, 0x33
_PAIR: Pair = (0x80 | _FILE, 0)
_DATA = b"\1\2\3\4"
_CIPHER = 0x40
_MUST_READ, _FREE = 0x7F, 0xFF
"""Protection bytes: reading under MAC only, or free; key 36 id 00 both ways (annex 3.3)."""


def _key(kid: int) -> Key:
    return Key(bytes((0x30 + 2 * kid,)) * 16)  # the lowest bit of a byte is only parity


def _open_with(lab: Lab, *kids: int) -> None:
    """An open directory with these keys 36."""
    open_directory(lab)
    for kid in kids:
        attributes = (ALWAYS, ALWAYS, 0xFF, _TRIES)
        add_key(lab, KeyKind.MAINTENANCE, kid, attributes, _key(kid).expose())


def _write(lab: Lab, content: bytes, key: Key, pair: Pair = _PAIR) -> bytes:
    """UPDATE BINARY under MAC, after a challenge that must be given. Returns the answer."""
    lab.done_ok(GET_CHALLENGE)
    return under_mac(lab, UPDATE_BINARY_MAC, pair, content, key, fresh=False)


def _make(lab: Lab, kind: int, protection: int, fid: int = _FILE) -> None:
    size = (0, 0x20) if kind & 0x3F == Kind.TRANSPARENT else (2, 4)
    send_all(lab, make_file(fid, kind, *size, ALWAYS, ALWAYS, 0xFF, protection))


@family
def writing_keys() -> Iterator[Case]:
    """The two low bits of the protection byte: 11 names key 00, 10 key 01, and so on."""
    for kid in range(4):
        yield made(
            "GUARD",
            f"guarded.key.{kid:02X}",
            (
                f"Protection byte {0xFF - kid:02X} wants the MAC of key 36 id {kid:02X}",
                f"保护字节 {0xFF - kid:02X} 要求 36 号密钥 {kid:02X} 的 MAC",
            ),
            ("annex 3.3", "annex 6"),
            _writing_key(kid),
            BLANK,
        )


def _writing_key(kid: int) -> Callable[[Lab], None]:
    def body(lab: Lab) -> None:
        _open_with(lab, *range(4))
        _make(lab, Kind.TRANSPARENT | MAC, 0xFF - kid)
        wrong, *_ = mac_words(lab.declared)
        for other in range(4):
            content = bytes((other,)) * 4
            lab.must(_write(lab, content, _key(other)), SW.OK if other == kid else wrong)
            if other != kid:  # a right one between: three wrong ones in a row would block
                lab.must(_write(lab, _DATA, _key(kid)))
        found = lab.done_ok(READ_BINARY, pair=_PAIR)
        held = bytes((kid,)) * 4 if kid == 3 else _DATA
        lab.must_be(found[:4], held, Words("what its own key wrote", "本密钥写入的内容"))

    return body


def _reading(spec: Spec, pair: Pair, kid: int) -> Callable[[Lab], None]:
    """A file that must be read under MAC: 6987 in the clear; data and MAC under the key."""

    def body(lab: Lab) -> None:
        is_binary = spec is READ_BINARY_MAC
        _open_with(lab, *range(4))
        _make(lab, Kind.TRANSPARENT if is_binary else Kind.LINEAR, _MUST_READ - 4 * kid)
        if is_binary:
            lab.done_ok(UPDATE_BINARY, Content(_DATA * 8), pair)
        else:
            lab.done_ok(APPEND_RECORD, Content(_DATA), (0, _FILE << 3))
        lab.must(lab.ask(READ_BINARY if is_binary else READ_RECORD, pair=pair), SW.MAC_MISSING)
        iv = (lab.done_ok(GET_CHALLENGE) + bytes(8))[:8]
        key, held = _key(kid), _DATA * 8 if is_binary else _DATA
        found = lab.must(lab.send(sealed(lab, spec, pair, b"", key))).data
        lab.must_be(found[:-4], held, Words("the data", "数据"))
        wanted = key.retail_mac(held, iv)
        lab.must_be(found[-4:], wanted, Words("their MAC", "其 MAC"), at=len(held))

    return body


@family
def must_be_read_under_mac() -> Iterator[Case]:
    """Bit 8 of the protection byte is 0; bits 4 and 3 name the key."""
    kinds: tuple[tuple[str, Spec, Pair, str, str], ...] = (
        ("binary", READ_BINARY_MAC, _PAIR, "READ BINARY", "4.5"),
        ("record", READ_RECORD_MAC, (1, _FILE << 3 | 4), "READ RECORD", "4.7"),
    )
    for name, spec, pair, called, clause in kinds:
        for kid in range(4):
            byte = _MUST_READ - 4 * kid
            yield made(
                "GUARD",
                f"guarded.read.{name}.{kid:02X}",
                (
                    f"{called} under protection {byte:02X} wants the MAC of key 36 id {kid:02X}",
                    f"保护字节 {byte:02X}：{called} 要求 36 号密钥 {kid:02X} 的 MAC",
                ),
                ("annex 6", "annex 3.3", clause),
                _reading(spec, pair, kid),
                BLANK,
                grade="D",
            )


def _enciphered(size: int, *, always: bool) -> Callable[[Lab], None]:
    """always: with a block of padding where none is needed."""

    def body(lab: Lab) -> None:
        _open_with(lab, 0)
        _make(lab, Kind.TRANSPARENT | MAC | _CIPHER, _FREE)
        data = bytes(range(0x41, 0x41 + size))
        sealed_data = secure_messaging_encrypt(_key(0), data)
        if always:
            block = bytes((size,)) + data + b"\x80"
            sealed_data = _key(0).encrypt(block + bytes(-len(block) % 8))
        lab.must(_write(lab, sealed_data, _key(0)))
        found = lab.done_ok(READ_BINARY, pair=_PAIR)
        whole = data + bytes(0x20 - size)
        lab.must_be(found, whole, Words("the data, deciphered", "解密后的数据"))

    return body


@family
def enciphered() -> Iterator[Case]:
    """What is written enciphered is stored deciphered, in both forms of padding."""
    for size in (1, 6, 7, 8, 15):
        fits = (1 + size) % 8 == 0
        for always in (False, True) if fits else (False,):
            form = "with a block of padding" if always else "as the manual pads it"
            zh = "多补一块" if always else "按手册补位"
            yield made(
                "GUARD",
                f"guarded.cipher.{size}{'.padded' if always else ''}",
                (
                    f"{size} bytes written enciphered, {form}, are read as they were",
                    f"加密写入 {size} 字节（{zh}）后读出原文",
                ),
                ("annex 6", "5.6"),
                _enciphered(size, always=always),
                BLANK,
                grade="D" if always else "1",
            )


@case(
    "GUARD",
    "Protection binds in an open directory too",
    "目录开放时线路保护仍有效",
    "annex 6",
    grade="D",
    needs=BLANK,
)
def binds_in_an_open_directory(lab: Lab) -> None:
    """A plain write is 6987, though every right is waived."""
    _open_with(lab, 0)
    for fid, guard in ((5, MAC), (6, MAC | _CIPHER)):
        _make(lab, Kind.TRANSPARENT | guard, _FREE, fid)
        answer = plain(lab, UPDATE_BINARY, (0x80 | fid, 0), _DATA)
        lab.must(answer, SW.MAC_MISSING)


@case(
    "GUARD",
    "A directory with one key 36 uses it for every protection byte",
    "仅有一把 36 号密钥时所有保护字节均用它",
    "annex 3.3",
    grade="D",
    needs=BLANK,
)
def one_key_for_all(lab: Lab) -> None:
    """The key named is not there: key 00 serves instead."""
    _open_with(lab, 0)
    for kid in range(4):
        _make(lab, Kind.TRANSPARENT | MAC, 0xFF - kid, _FILE + kid)
        pair = (0x80 | _FILE + kid, 0)
        lab.must(_write(lab, _DATA, _key(0), pair))

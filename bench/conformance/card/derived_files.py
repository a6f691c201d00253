"""Who may read and write each file, and what guards it (3.1, 4.5 to 4.8)."""

from collections.abc import Callable, Iterator

from apdu.commands import EP, GET_BALANCE, READ_RECORD, UPDATE_CACHE
from apdu.file_commands import (
    APPEND_RECORD,
    APPEND_RECORD_MAC,
    GET_CHALLENGE,
    READ_BINARY,
    SELECT_FILE,
)
from apdu.files import EF1A, EF1E, FILES, FileSpec
from apdu.records import CacheData, SelectId
from apdu.spec import State
from apdu.sw import SW
from bench.conformance.card.derived_states import stands
from bench.conformance.case import Body, Case, Level, Need, NotApplicable
from bench.conformance.derive import made
from bench.conformance.lab import Lab
from bench.conformance.registry import family
from bench.conformance.service import choose_trip, enter, go, right_pair
from bench.conformance.words import Words
from bench.conformance.writes import (
    STRANGE,
    altered,
    command_for,
    is_binary,
    is_writable,
    mac_words,
    place,
    plain,
    read,
    sealed,
    under_mac,
    write_place,
)

Act = Callable[[Lab, FileSpec], None]

_KEYS, _WRITE = frozenset({Need.KEYS}), frozenset({Need.KEYS, Need.WRITE})
_SPOIL = frozenset({Need.KEYS, Need.WRITE, Need.FRESH})
_UNCHANGED = Words("the content unchanged", "内容不变")
_WRITTEN = Words("the content written", "写入的内容")


def _reads(lab: Lab, file: FileSpec) -> None:
    read(lab, file, None if is_binary(file) else _last_kept(lab, file))


def _last_kept(lab: Lab, file: FileSpec) -> int:
    """A record that is there: any of EF1A; a log may hold none (unused_records)."""
    if file is not EF1A and lab.declared.dialect.unused_records == "6A83":
        spec = command_for(file, "read")
        if lab.ask(spec, pair=place(spec, file.sfi))[-2:] == b"\x6a\x83":
            raise NotApplicable("the log is empty", "记录文件为空")
    return 1


def _reads_under_mac(lab: Lab, file: FileSpec) -> None:
    spec = command_for(file, "read-mac")
    at = None if is_binary(file) or not is_writable(file) else _last_kept(lab, file)
    response = lab.ask(spec, pair=place(spec, file.sfi, at))
    if not (lab.declared.dialect.protected_reads and is_writable(file)):
        lab.must(response, SW.SECURE_MESSAGING_NOT_SUPPORTED, clause="4.23")
        return
    asked = next(s for s in reversed(lab.said) if s.command[1] == GET_CHALLENGE.ins)
    assert asked.response is not None
    data = lab.must(response).data
    iv = (asked.response[:-2] + bytes(8))[:8]
    mac = lab.keys.damk.retail_mac(data[:-4], iv)
    lab.must_be(data[-4:], mac, Words("the MAC over the data", "数据的 MAC"), at=file.size)
    lab.must_be(data[:-4], read(lab, file, at), Words("what a plain read gives", "与明文读一致"))


def _wrong_structure(lab: Lab, file: FileSpec) -> None:
    for what in ("read", "write"):
        spec = command_for(file, what, fits=False)
        pair = place(spec, file.sfi)
        response = lab.ask(spec, pair=pair) if what == "read" else plain(lab, spec, pair, b"\0\0")
        lab.must(response, SW.WRONG_FILE_STRUCTURE)


def _wrong_structure_mac(lab: Lab, file: FileSpec) -> None:
    spec = command_for(file, "write-mac", fits=False)
    lab.must(under_mac(lab, spec, place(spec, file.sfi), b"\0\0"), SW.WRONG_FILE_STRUCTURE)


def _selected(lab: Lab, file: FileSpec) -> None:
    number = None if is_binary(file) else _last_kept(lab, file)
    by_sfi = read(lab, file, number)
    lab.done_ok(SELECT_FILE, SelectId(file.sfi.to_bytes(2, "big")))
    if is_binary(file):
        found = lab.done_ok(READ_BINARY, pair=(0, 0))
    else:
        found = lab.done_ok(READ_RECORD, pair=(1, 4))
    lab.must_be(found, by_sfi, Words("what the file holds", "文件内容"))


def _plain_write(lab: Lab, file: FileSpec) -> None:
    spec, before = command_for(file, "write"), _held(lab, file)
    refused = SW.MAC_MISSING if is_writable(file) else SW.SECURITY_STATUS
    response = plain(lab, spec, write_place(lab, file), altered(lab, file))
    lab.must(response, refused)
    _same(lab, file, before)


def _held(lab: Lab, file: FileSpec) -> bytes:
    """The answer to a read where `altered` would be written; an empty log answers 6A83."""
    spec = command_for(file, "read")
    return lab.ask(spec, pair=place(spec, file.sfi, None if is_binary(file) else lab.record))


def _same(lab: Lab, file: FileSpec, before: bytes) -> None:
    lab.must_be(_held(lab, file), before, _UNCHANGED)


def _mac_write(lab: Lab, file: FileSpec) -> None:
    spec, pair = command_for(file, "write-mac"), write_place(lab, file)
    if not is_writable(file):
        refused = under_mac(lab, spec, pair, lab.content(file.sfi))
        lab.must(refused, SW.SECURITY_STATUS)
        return
    before, new = _held(lab, file), altered(lab, file)
    lab.must(under_mac(lab, spec, pair, new))
    now = _held(lab, file)[:-2]
    lab.must_be(now[-len(new) :], new, _WRITTEN)
    if is_binary(file):
        lab.must(under_mac(lab, spec, pair, before[:-2][-1:]))  # as it was
        _same(lab, file, before)


def _wrong_key(lab: Lab, file: FileSpec) -> None:
    spec, pair, before = command_for(file, "write-mac"), write_place(lab, file), _held(lab, file)
    new = altered(lab, file)
    if not is_writable(file):
        lab.must(under_mac(lab, spec, pair, new, STRANGE), SW.SECURITY_STATUS)
        return
    lab.must(under_mac(lab, spec, pair, new, STRANGE), mac_words(lab.declared)[0])
    _same(lab, file, before)


def _changed_on_the_way(lab: Lab, file: FileSpec) -> None:
    spec, pair, before = command_for(file, "write-mac"), write_place(lab, file), _held(lab, file)
    new = altered(lab, file)
    lab.prepare(spec)
    right = sealed(lab, spec, pair, new)
    lab.must(lab.send(right[:5] + bytes((right[5] ^ 1,)) + right[6:]), mac_words(lab.declared)[0])
    _same(lab, file, before)
    lab.prepare(spec)
    right = sealed(lab, spec, pair, new)
    lab.must(lab.send(right[:-1] + bytes((right[-1] ^ 1,))), mac_words(lab.declared)[1])
    _same(lab, file, before)


def _other_place(lab: Lab, file: FileSpec) -> None:
    """The MAC covers the header: made for another place it is wrong."""
    spec, pair, before = command_for(file, "write-mac"), write_place(lab, file), _held(lab, file)
    other = (pair[0], pair[1] - 1) if is_binary(file) else (pair[0] + 1, pair[1])
    new = altered(lab, file)
    lab.prepare(spec)
    moved = sealed(lab, spec, other, new)
    lab.must(lab.send(moved[:2] + bytes(pair) + moved[4:]), mac_words(lab.declared)[0])
    _same(lab, file, before)


def _no_challenge(lab: Lab, file: FileSpec) -> None:
    spec, pair = command_for(file, "write-mac"), write_place(lab, file)
    new = altered(lab, file)
    lab.must(under_mac(lab, spec, pair, new, fresh=False), SW.RANDOM_UNUSABLE)


def _used_challenge(lab: Lab, file: FileSpec) -> None:
    spec, pair = command_for(file, "write-mac"), write_place(lab, file)
    new = altered(lab, file)
    lab.prepare(spec)
    late = sealed(lab, spec, pair, new)
    lab.balance()
    lab.must(lab.send(late), SW.RANDOM_UNUSABLE, clause="4.9")


def _replayed(lab: Lab, file: FileSpec) -> None:
    spec, pair = command_for(file, "write-mac"), write_place(lab, file)
    before = _held(lab, file)[:-2]
    same = before[-1:] if is_binary(file) else altered(lab, file)
    lab.prepare(spec)
    once = sealed(lab, spec, pair, same)
    lab.must(lab.send(once))
    lab.must(lab.send(once), SW.RANDOM_UNUSABLE, clause="4.9")
    lab.prepare(spec)
    lab.must(lab.send(once), mac_words(lab.declared)[0])


def _three_wrong(lab: Lab, file: FileSpec) -> None:
    spec, pair = command_for(file, "write-mac"), write_place(lab, file)
    new = altered(lab, file)
    for word in mac_words(lab.declared):
        lab.must(under_mac(lab, spec, pair, new, STRANGE), word)
    lab.must(lab.ask(GET_BALANCE, pair=(0, EP)), SW.PERMANENTLY_BLOCKED, clause="4.19")


def _set_back(lab: Lab, file: FileSpec) -> None:
    spec, pair = command_for(file, "write-mac"), write_place(lab, file)
    new, words = altered(lab, file), mac_words(lab.declared)
    for key, word in 2 * ((STRANGE, words[0]), (STRANGE, words[1]), (None, SW.OK)):
        lab.must(under_mac(lab, spec, pair, new, key), word)


def _append(lab: Lab, file: FileSpec) -> None:
    refused = SW.MAC_MISSING if is_writable(file) else SW.SECURITY_STATUS
    wanted = SW.WRONG_FILE_STRUCTURE if is_binary(file) else refused
    content = bytes(file.size)
    lab.must(plain(lab, APPEND_RECORD, (0, file.sfi << 3), content), wanted)


def _append_mac(lab: Lab, file: FileSpec) -> None:
    words = {EF1E.sfi: SW.OK, EF1A.sfi: SW.NO_SPACE}
    refused = SW.WRONG_FILE_STRUCTURE if is_binary(file) else SW.SECURITY_STATUS
    content = lab.content(file.sfi)
    response = under_mac(lab, APPEND_RECORD_MAC, (0, file.sfi << 3), content)
    lab.must(response, words.get(file.sfi, refused))
    if file is EF1E:
        lab.must_be(read(lab, file, 1), content, Words("record 1, the newest", "记录 1 为最新"))


def _cached(lab: Lab, file: FileSpec) -> None:
    choose_trip(lab)
    go(lab, State.CAPP_INIT)
    mode = 4 if lab.declared.dialect.cache_address == "number" else 0
    pair = right_pair(lab, UPDATE_CACHE) if file is EF1A else (0, file.sfi << 3 | mode)
    data = CacheData(lab.content(file.sfi) if file.caches else bytes(file.size))
    response = lab.ask(UPDATE_CACHE, data, pair=pair)
    lab.must(response, SW.OK if file.caches else SW.WRONG_FILE_STRUCTURE)
    stands(lab, State.CAPP_CACHED if file.caches else State.IDLE, State.CAPP_INIT)


def _elsewhere(lab: Lab, file: FileSpec) -> None:
    lab.must(lab.ask(SELECT_FILE, SelectId(b"\x3f\x00")))
    spec = command_for(file, "read")
    lab.must(lab.ask(spec, pair=place(spec, file.sfi)), SW.FILE_NOT_FOUND)


_WRITABLE = is_writable
_ANY: Callable[[FileSpec], bool] = lambda file: True  # noqa: E731

_ACTS: tuple[tuple[str, Act, frozenset[Need], Callable[[FileSpec], bool], tuple[str, str]], ...] = (
    ("read", _reads, frozenset(), _ANY, ("is read freely", "可自由读取")),
    ("read-mac", _reads_under_mac, _KEYS, _ANY, ("read under MAC", "带 MAC 读取")),
    ("structure", _wrong_structure, frozenset(), _ANY, ("keeps to its structure", "结构不符被拒")),
    (
        "structure-mac",
        _wrong_structure_mac,
        _KEYS,
        _ANY,
        ("keeps to its structure under MAC", "带 MAC 时结构不符被拒"),
    ),
    (
        "select",
        _selected,
        frozenset(),
        _ANY,
        ("is the current file once selected", "选择后为当前文件"),
    ),
    ("elsewhere", _elsewhere, frozenset(), _ANY, ("is in the purse alone", "仅在钱包应用内")),
    ("write", _plain_write, frozenset(), _ANY, ("is not written without MAC", "无 MAC 不可写")),
    ("write-mac", _mac_write, _WRITE, _ANY, ("write under MAC", "带 MAC 写入")),
    ("wrong-key", _wrong_key, _WRITE, _ANY, ("a MAC of a strange key", "密钥错误的 MAC")),
    (
        "changed",
        _changed_on_the_way,
        _WRITE,
        _WRITABLE,
        ("a byte changed under the MAC", "报文被篡改"),
    ),
    ("moved", _other_place, _WRITE, _WRITABLE, ("a MAC made for another place", "其他位置的 MAC")),
    (
        "no-challenge",
        _no_challenge,
        _WRITE,
        _WRITABLE,
        ("a MAC without a challenge", "未取随机数的 MAC"),
    ),
    ("late", _used_challenge, _WRITE, _WRITABLE, ("a challenge that has lapsed", "随机数已失效")),
    ("replay", _replayed, _WRITE, _WRITABLE, ("a command sent again", "重放的命令")),
    (
        "three-wrong",
        _three_wrong,
        _SPOIL,
        _WRITABLE,
        ("three wrong MACs in a row", "连续三次 MAC 错误"),
    ),
    (
        "set-back",
        _set_back,
        _SPOIL,
        _WRITABLE,
        ("a right MAC sets the count of wrong ones back", "正确 MAC 使错误计数复位"),
    ),
    ("append", _append, frozenset(), _ANY, ("takes no append without MAC", "无 MAC 不可追加")),
    ("append-mac", _append_mac, _WRITE, _ANY, ("append under MAC", "带 MAC 追加")),
    ("cache", _cached, frozenset(), _ANY, ("in the cache of a CAPP purchase", "复合消费缓存")),
)
"""What is tried with each file: key, act, needs, for which files, title."""

_CLAUSES = {"read": "4.5", "cache": "4.15", "append": "4.8", "append-mac": "4.8"}


@family
def rights() -> Iterator[Case]:
    """One case for each file and access."""
    for file in FILES.values():
        for key, act, needs, fits, (en, zh) in _ACTS:
            if not fits(file):
                continue
            yield made(
                "FILE",
                f"files.{file.sfi:02x}.{key}",
                (f"EF{file.sfi:02X} ({file.name}): {en}", f"EF{file.sfi:02X}：{zh}"),
                (_CLAUSES.get(key, "4.6" if is_binary(file) else "4.8"), "3.1"),
                _inside(act, file),
                needs,
                level=Level.BASIC if key == "read" else Level.FULL,
            )


def _inside(act: Act, file: FileSpec) -> Body:
    def body(lab: Lab) -> None:
        enter(lab)
        act(lab, file)

    return body


_ISSUERS_OWN = {0x05, 0x06, 0x07, 0x08, 0x19, 0x1B}
"""Files that issuers may have beside the purse's own (3.1)."""

_ABSENT = sorted(set(range(1, 0x1F)) - set(FILES) - {EP, 0x01})


@family
def absent() -> Iterator[Case]:
    """One case for each short id without a file."""
    for sfi in _ABSENT:
        yield made(
            "FILE",
            f"files.{sfi:02x}.absent",
            (f"There is no EF{sfi:02X}", f"不存在 EF{sfi:02X}"),
            ("4.5", "3.1"),
            _is_absent(sfi),
        )


def _is_absent(sfi: int) -> Body:
    def body(lab: Lab) -> None:
        enter(lab)
        response = lab.ask(READ_BINARY, pair=(0x80 | sfi, 0))
        if sfi in _ISSUERS_OWN and response[-2:] != b"\x6a\x82":
            raise NotApplicable("the issuer has a file of its own there", "发行方自有文件")
        lab.must(response, SW.FILE_NOT_FOUND)
        lab.must(lab.ask(READ_RECORD, pair=(1, sfi << 3 | 4)), SW.FILE_NOT_FOUND, clause="4.7")
        selected = lab.ask(SELECT_FILE, SelectId(sfi.to_bytes(2, "big")))
        lab.must(selected, SW.FILE_NOT_FOUND, clause="4.4")

    return body

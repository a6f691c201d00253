"""Record numbers 0, 1, last, last + 1 and FF of each record file, in each way to name them."""

from collections.abc import Iterator
from itertools import pairwise

import fixtures
from apdu.command import Command
from apdu.commands import DEBIT, READ_RECORD, UPDATE_CACHE
from apdu.file_commands import SELECT_FILE, UPDATE_RECORD_MAC
from apdu.files import EF1A, EF1E, FILES, FileSpec
from apdu.records import CacheData, SelectId
from apdu.spec import State
from apdu.sw import SW, length_is
from bench.conformance.card.derived_states import stands
from bench.conformance.case import Body, Case, Need, NotApplicable
from bench.conformance.derive import made
from bench.conformance.desk import Pair
from bench.conformance.lab import Lab
from bench.conformance.registry import family
from bench.conformance.service import choose_trip, enter, go, refusal, right_pair, zeros
from bench.conformance.words import Words
from bench.conformance.writes import is_binary, is_writable, read, under_mac

OF_RECORDS = [file for file in FILES.values() if not is_binary(file)]


def numbers(file: FileSpec) -> dict[str, int]:
    """The numbers at the edges of a file, by what they are called in keys."""
    return {"0": 0, "1": 1, "last": file.count, "after": file.count + 1, "ff": 0xFF}


def _is_there(file: FileSpec, number: int) -> bool:
    return 1 <= number <= file.count


# Reading


def _ways(file: FileSpec) -> dict[str, int]:
    """Modes of P2; records of EF1A are also named by id, the low byte of 27NN (4.7)."""
    return {"number": 4, "id": 0} if file is EF1A else {"number": 4}


@family
def reads() -> Iterator[Case]:
    """One case for each file, way and number."""
    for file in OF_RECORDS:
        for way, mode in _ways(file).items():
            for name, number in numbers(file).items():
                yield made(
                    "REC",
                    f"records.{file.sfi:02x}.read-{way}-{name}",
                    (
                        f"EF{file.sfi:02X}: record {number:02X} by {way}",
                        f"EF{file.sfi:02X}：读取记录 {number:02X}",
                    ),
                    ("4.7",),
                    _reads(file, number, file.sfi << 3 | mode),
                )
        for name in ("0", "1", "after"):
            number = numbers(file)[name]
            yield made(
                "REC",
                f"records.{file.sfi:02x}.read-current-{name}",
                (
                    f"EF{file.sfi:02X}: record {number:02X} of the current file",
                    f"EF{file.sfi:02X}：当前文件记录 {number:02X}",
                ),
                ("4.7", "annex 10"),
                _reads(file, number, 4),
            )


def _reads(file: FileSpec, number: int, p2: int) -> Body:
    def body(lab: Lab) -> None:
        enter(lab)
        if p2 >> 3 == 0:
            lab.done_ok(SELECT_FILE, SelectId(file.sfi.to_bytes(2, "big")))
        response = lab.ask(READ_RECORD, pair=(number, p2))
        if not _is_there(file, number):
            lab.must(response, SW.RECORD_NOT_FOUND)
            return
        may_lack = file is not EF1A and lab.declared.dialect.unused_records == "6A83"
        parsed = lab.must(response, SW.OK, *((SW.RECORD_NOT_FOUND,) if may_lack else ()))
        if parsed.sw == SW.OK:
            wanted = Words(f"{file.size} bytes", f"{file.size} 字节")
            lab.require(len(parsed.data) == file.size, wanted, f"{len(parsed.data)} bytes")

    return body


@family
def lengths() -> Iterator[Case]:
    """A record read with a Le that is not its length."""
    for file in OF_RECORDS:
        for step, name in ((-1, "less"), (1, "more")):
            yield made(
                "REC",
                f"records.{file.sfi:02x}.le-{name}",
                (
                    f"EF{file.sfi:02X}: Le one too {'small' if step < 0 else 'large'} is 6Cxx",
                    f"EF{file.sfi:02X}：Le {'少' if step < 0 else '多'}一应答 6Cxx",
                ),
                ("4.1", "4.7"),
                _le(file, step),
                grade="1",
            )


def _le(file: FileSpec, step: int) -> Body:
    def body(lab: Lab) -> None:
        enter(lab)
        command = Command(0x00, READ_RECORD.ins, 1, file.sfi << 3 | 4, b"", file.size + step)
        words = [length_is(file.size)]
        if file is not EF1A and lab.declared.dialect.unused_records == "6A83":
            words.append(SW.RECORD_NOT_FOUND)
        lab.must(lab.send(command.build()), *words)

    return body


@family
def unused() -> Iterator[Case]:
    """Records of logs that were never written, and the ids of EF1A's."""
    for file in OF_RECORDS:
        if file is EF1A:
            continue
        yield made(
            "REC",
            f"records.{file.sfi:02x}.unused",
            (
                f"EF{file.sfi:02X}: records never written read as the profile says, at the end",
                f"EF{file.sfi:02X}：未写记录按声明应答，且位于末尾",
            ),
            ("4.7", "3.5"),
            _unused(file),
        )
    yield made(
        "REC",
        "records.1a.ids",
        ("EF1A: record N has the id 27NN", "EF1A：第 N 条记录标识为 27NN"),
        ("4.7", "3.8"),
        _ids,
        grade="I",
    )


def _ids(lab: Lab) -> None:
    enter(lab)
    for number in range(1, EF1A.count + 1):
        found = read(lab, EF1A, number)
        lab.must_be(found[:2], bytes((0x27, number)), Words("the record's id", "记录标识"))


def _unused(file: FileSpec) -> Body:
    def body(lab: Lab) -> None:
        enter(lab)
        style = lab.declared.dialect.unused_records
        answers = [
            lab.ask(READ_RECORD, pair=(number, file.sfi << 3 | 4))
            for number in range(1, file.count + 1)
        ]
        fillers = {"zeros": bytes(file.size), "FF": b"\xff" * file.size, "6A83": None}
        empty = [_is_unused(answer, file) for answer in answers]
        for at, answer in enumerate(answers):
            if empty[at]:
                mine = fillers[style]
                wanted = b"\x6a\x83" if mine is None else mine + b"\x90\x00"
                shown = Words(f"an unused record as {style}", f"未写记录为 {style}")
                lab.require(
                    answer == wanted, shown, answer.hex()[:16], at=at + len(lab.said) - file.count
                )
        in_order = all(not before or after for before, after in pairwise(empty))
        lab.require(in_order, Words("used records first", "已写记录在前"), empty)

    return body


def _is_unused(answer: bytes, file: FileSpec) -> bool:
    return answer[-2:] != b"\x90\x00" or answer[:-2] in (bytes(file.size), b"\xff" * file.size)


# Writing under MAC


@family
def writes() -> Iterator[Case]:
    """UPDATE RECORD with MAC at each number, and with lengths that are not the record's."""
    for file in OF_RECORDS:
        if not is_writable(file):
            continue
        for name, number in numbers(file).items():
            yield made(
                "REC",
                f"records.{file.sfi:02x}.write-{name}",
                (
                    f"EF{file.sfi:02X}: record {number:02X} written under MAC",
                    f"EF{file.sfi:02X}：带 MAC 写记录 {number:02X}",
                ),
                ("4.8", "annex 10"),
                _writes(file, number),
                {Need.KEYS, Need.WRITE},
            )
        for step, name in ((-1, "shorter"), (1, "longer")):
            yield made(
                "REC",
                f"records.{file.sfi:02x}.write-{name}",
                (
                    f"EF{file.sfi:02X}: a record one byte {name} is refused",
                    f"EF{file.sfi:02X}：记录长度{'少' if step < 0 else '多'}一被拒",
                ),
                ("4.8",),
                _writes_length(file, step),
                {Need.KEYS, Need.WRITE},
            )


def _held(lab: Lab, file: FileSpec, number: int) -> bytes:
    return lab.ask(READ_RECORD, pair=(number, file.sfi << 3 | 4))


def _writes(file: FileSpec, number: int) -> Body:
    def body(lab: Lab) -> None:
        enter(lab)
        content = lab.content(file.sfi)
        is_new = file is EF1E and number == 0  # 00 adds a record to a cyclic file (annex 10)
        is_used = is_new or number == 1 or not _is_unused(_held(lab, file, number), file)
        pair = (number, file.sfi << 3 | 4)
        response = under_mac(lab, UPDATE_RECORD_MAC, pair, content)
        lab.must(response, SW.OK if is_used else SW.RECORD_NOT_FOUND)
        if is_used:
            now = read(lab, file, number or 1)
            lab.must_be(now, content, Words("the record as written", "写入的记录"))

    return body


def _writes_length(file: FileSpec, step: int) -> Body:
    def body(lab: Lab) -> None:
        enter(lab)
        before = _held(lab, file, 1)
        content = lab.content(file.sfi)[: file.size + step].ljust(file.size + step, b"\0")
        pair = (1, file.sfi << 3 | 4)
        response = under_mac(lab, UPDATE_RECORD_MAC, pair, content)
        lab.must(response, SW.WRONG_LENGTH if step < 0 else SW.NO_SPACE)
        lab.must_be(_held(lab, file, 1), before, Words("the record unchanged", "记录不变"))

    return body


# The cache of a CAPP purchase


_TRIP_IDS = {"0": 0x2700, "after": 0x2700 + EF1A.count + 1, "ff": 0x27FF, "other": 0x2801}
"""Ids of records that EF1A does not have."""

_NAMED = {
    "by-id": (1, 0, "用标识"),
    "by-zero": (0, 0, "用零"),
    "by-number": (1, 4, "用标识和记录号模式"),
    "by-zero-number": (0, 4, "用零和记录号模式"),
}
"""Ways to name the trip record: whether P1 is its id, the mode of P2, and both in Chinese."""


@family
def caches() -> Iterator[Case]:
    """UPDATE CAPP DATA CACHE: which record it may name, how, and with how many bytes."""
    for name, fid in _TRIP_IDS.items():
        yield made(
            "REC",
            f"records.1a.cache-id-{name}",
            (f"The cache takes no record {fid:04X}", f"缓存拒绝记录标识 {fid:04X}"),
            ("4.15",),
            _bad_id(fid),
            grade="D",
        )
    for name, (is_id, mode, zh) in _NAMED.items():
        yield made(
            "REC",
            f"records.1a.cache-{name}",
            (
                f"The cache takes a trip record named {name.replace('-', ' ')}, as declared",
                f"缓存时{zh}指定行程记录，按声明应答",
            ),
            ("4.15",),
            _named(bool(is_id), mode),
            grade="D",
        )
    for mode in (0, 4):
        yield made(
            "REC",
            f"records.1e.cache-mode-{mode}",
            (
                f"The cache takes a new trip log with P2 mode {mode}, as declared",
                f"缓存新行程日志 P2 模式 {mode} 符合声明",
            ),
            ("4.15",),
            _new_log(mode),
        )
    for file in (EF1A, EF1E):
        for step, name in ((-1, "shorter"), (1, "longer")):
            yield made(
                "REC",
                f"records.{file.sfi:02x}.cache-{name}",
                (
                    f"The cache takes no record of EF{file.sfi:02X} one byte {name}",
                    f"缓存拒绝长度{'少' if step < 0 else '多'}一的 EF{file.sfi:02X} 记录",
                ),
                ("4.15",),
                _cached_length(file, step),
            )


def _begin(lab: Lab) -> None:
    enter(lab)
    choose_trip(lab)
    go(lab, State.CAPP_INIT)


def _cache(lab: Lab, pair: Pair, content: bytes, *words: int) -> None:
    lab.must(lab.ask(UPDATE_CACHE, CacheData(content), pair=pair), *words)
    is_taken = lab.said[-1].response == b"\x90\x00"
    stands(lab, State.CAPP_CACHED if is_taken else State.IDLE, State.CAPP_INIT)


def _trip_pair(lab: Lab, number: int) -> Pair:
    """P1 and P2 of a trip record in this card's way."""
    p1, p2 = right_pair(lab, UPDATE_CACHE)
    return (number if p1 else 0, p2)


def _bad_id(fid: int) -> Body:
    def body(lab: Lab) -> None:
        _begin(lab)
        content = fid.to_bytes(2, "big") + lab.content(EF1A.sfi)[2:]
        words = [SW.RECORD_NOT_FOUND]
        if fid >> 8 != 0x27:
            words.append(SW.WRONG_DATA)  # it is no trip record at all: no source says which word
        _cache(lab, _trip_pair(lab, fid & 0xFF), content, *words)

    return body


def _named(is_id: bool, mode: int) -> Body:
    def body(lab: Lab) -> None:
        _begin(lab)
        pair = (lab.record if is_id else 0, EF1A.sfi << 3 | mode)
        refused = refusal(UPDATE_CACHE, lab.declared, pair)
        _cache(lab, pair, lab.content(EF1A.sfi), SW.OK if refused is None else refused.sw)

    return body


def _new_log(mode: int) -> Body:
    def body(lab: Lab) -> None:
        _begin(lab)
        pair = (0, EF1E.sfi << 3 | mode)
        refused = refusal(UPDATE_CACHE, lab.declared, pair)
        _cache(lab, pair, lab.content(EF1E.sfi), SW.OK if refused is None else refused.sw)

    return body


def _cached_length(file: FileSpec, step: int) -> Body:
    def body(lab: Lab) -> None:
        _begin(lab)
        content = lab.content(file.sfi)[: file.size + step].ljust(file.size + step, b"\0")
        pair = _trip_pair(lab, lab.record)
        if file is EF1E:
            pair = (0, EF1E.sfi << 3 | pair[1] & 7)
        _cache(lab, pair, content, SW.WRONG_LENGTH if step < 0 else SW.NO_SPACE)

    return body


@family
def several_cached() -> Iterator[Case]:
    """Single cases of the cache."""
    yield made(
        "REC",
        "records.1a.cache-mismatch",
        ("P1 and the id in the data must agree", "P1 与数据中标识须一致"),
        ("4.15",),
        _mismatch,
        grade="D",
    )
    yield made(
        "REC",
        "records.1a.cache-locked",
        ("A trip record whose lock byte is set is 9407", "锁定的行程记录应答 9407"),
        ("4.15", "3.8"),
        _locked,
        setup={"trip_record": fixtures.load_profile("student-trip-locked").trip_record},
    )
    yield made(
        "REC",
        "records.1a.cache-four",
        ("Four records wait in one purchase", "一次消费可缓存四条记录"),
        ("4.15",),
        _four,
        grade="D",
    )
    yield made(
        "REC",
        "records.1a.cache-then-debit",
        ("Nothing is written before the debit", "扣款前不写入任何记录"),
        ("4.15", "6.9"),
        _nothing_yet,
    )


def _mismatch(lab: Lab) -> None:
    if lab.declared.dialect.cache_address == "zero":
        raise NotApplicable("P1 is always 00 (cache_address)", "P1 恒为 00")
    _begin(lab)
    number = lab.record
    pair = _trip_pair(lab, number % EF1A.count + 1)
    _cache(lab, pair, lab.content(EF1A.sfi), SW.WRONG_DATA)


def _locked(lab: Lab) -> None:
    enter(lab)
    go(lab, State.CAPP_INIT)
    lab.record = 1
    content = lab.content(EF1A.sfi)
    _cache(lab, _trip_pair(lab, 1), content, SW.RECORD_LOCKED)


def _four(lab: Lab) -> None:
    _begin(lab)
    mode = _trip_pair(lab, 1)[1] & 7
    for _ in range(2):
        lab.done_ok(UPDATE_CACHE, CacheData(lab.content(EF1A.sfi)), _trip_pair(lab, lab.record))
    for filler in (1, 2, 3):
        lab.filler = filler
        log = CacheData(lab.content(EF1E.sfi))
        lab.done_ok(UPDATE_CACHE, log, (0, EF1E.sfi << 3 | mode))
    stands(lab, State.CAPP_CACHED)


def _nothing_yet(lab: Lab) -> None:
    enter(lab)
    choose_trip(lab)
    before = read(lab, EF1A, lab.record)
    go(lab, State.CAPP_CACHED)
    lab.must(lab.send(zeros(DEBIT, right_pair(lab, DEBIT))), SW.MAC_INVALID, clause="4.16")
    lab.must_be(read(lab, EF1A, lab.record), before, Words("the record unchanged", "记录不变"))

"""Record files as they grow: variable, cyclic, and a trip log cached twice (annex 10, 4.15)."""

from apdu.file_commands import APPEND_RECORD, READ_RECORD, UPDATE_RECORD
from apdu.files import EF1E
from apdu.fmcos import ALWAYS, Kind
from apdu.records import Content
from apdu.sw import SW
from bench.conformance.blank import open_directory, send_all
from bench.conformance.case import Need
from bench.conformance.lab import Lab
from bench.conformance.pictures import picture, same
from bench.conformance.registry import case
from bench.conformance.scenes import PAID, TRIP, begin, cache, finish, ready, trip_log
from bench.conformance.words import Words
from bench.conformance.workshop import make_file

BLANK = PAID | {Need.BLANK}

_SFI = 6
_FREE = (ALWAYS, ALWAYS, 0xFF, 0xFF)
_ONE, _OTHER, _LAST = b"\x70\2\1\1", b"\x71\2\2\2", b"\x70\2\3\3"
"""Records of tag, length and value; the first and the last have the same tag."""


def _at(number: int, mode: int = 4) -> tuple[int, int]:
    """P1 and P2: by number, or with P1 a tag in modes 0 to 3."""
    return number, _SFI << 3 | mode


def _append(lab: Lab, record: bytes, *words: int) -> None:
    lab.must(lab.ask(APPEND_RECORD, Content(record), (0, _SFI << 3)), *words)


def _update(lab: Lab, record: bytes, pair: tuple[int, int], *words: int) -> None:
    lab.must(lab.ask(UPDATE_RECORD, Content(record), pair), *words)


def _holds(lab: Lab, *records: bytes) -> None:
    """The file has these records, by number, and no other."""
    for number, record in enumerate(records, 1):
        found = lab.done_ok(READ_RECORD, pair=_at(number))
        lab.must_be(found, record, Words(f"record {number}", f"第 {number} 条记录"))
    lab.must(lab.ask(READ_RECORD, pair=_at(len(records) + 1)), SW.RECORD_NOT_FOUND)


def _variable(lab: Lab, *records: bytes, size: int = 40) -> None:
    """A file of variable records with these in it."""
    open_directory(lab)
    send_all(lab, make_file(_SFI, Kind.VARIABLE, 0, size, *_FREE))
    for record in records:
        _append(lab, record)


@case(
    "RECS",
    "A variable record read by its tag is the first of that tag",
    "按标签读变长记录得到该标签的第一条",
    "annex 10",
    grade="D",
    needs=BLANK,
)
def first_by_tag(lab: Lab) -> None:
    """Mode 000; that it is the first is what the same mode means for UPDATE RECORD."""
    _variable(lab, _ONE, _OTHER, _LAST)
    for record in (_ONE, _OTHER):
        found = lab.done_ok(READ_RECORD, pair=_at(record[0], 0))
        lab.must_be(found, record, Words("the first of its tag", "该标签第一条"))
    lab.must(lab.ask(READ_RECORD, pair=_at(0x72, 0)), SW.RECORD_NOT_FOUND)
    _holds(lab, _ONE, _OTHER, _LAST)


@case(
    "RECS",
    "UPDATE RECORD by tag writes the first of a tag, or the last",
    "按标签更新变长记录：首条或末条",
    "annex 10",
    needs=BLANK,
)
def first_and_last(lab: Lab) -> None:
    """Mode 000 the first, mode 001 the last; the others keep what they hold."""
    _variable(lab, _ONE, _OTHER, _LAST)
    first, last = b"\x70\2\x0a\x0a", b"\x70\2\x0b\x0b"
    _update(lab, first, _at(0x70, 0))
    _holds(lab, first, _OTHER, _LAST)
    _update(lab, last, _at(0x70, 1))
    _holds(lab, first, _OTHER, last)


@case(
    "RECS",
    "A variable record keeps its length",
    "变长记录更新时长度不变",
    "annex 10",
    grade="D",
    needs=BLANK,
)
def length_stays(lab: Lab) -> None:
    """A shorter one and a longer one are 6A84 and change nothing."""
    _variable(lab, _ONE, _OTHER)
    for record in (b"\x70\1\x0a", b"\x70\0", b"\x70\3\x0a\x0a\x0a"):
        for pair in (_at(1), _at(0x70, 0)):
            _update(lab, record, pair, SW.NO_SPACE)
    _holds(lab, _ONE, _OTHER)


@case(
    "RECS",
    "A variable record is tag, length and value",
    "变长记录须为标签、长度和值",
    "annex 10",
    "4.8",
    grade="D",
    needs=BLANK,
)
def tag_length_value(lab: Lab) -> None:
    """What is not is refused: as a wrong length, or as one that its TLV contradicts (4.23)."""
    _variable(lab, _ONE)
    words = (SW.WRONG_LENGTH, SW.LENGTH_AGAINST_TLV)
    for record in (b"\x70\3\x0a\x0a", b"\x70\1\x0a\x0a", b"\x70"):
        _append(lab, record, *words)
        _update(lab, record, _at(1), *words)
        _update(lab, record, _at(0, 2), *words)
    _holds(lab, _ONE)


@case(
    "RECS",
    "A variable file can be filled to its last byte",
    "变长文件可写满到最后一字节",
    "annex 10",
    "annex 3.2",
    grade="D",
    needs=BLANK,
)
def filled(lab: Lab) -> None:
    """12 bytes hold three records of 4; the least one more is 6A84."""
    _variable(lab, _ONE, _OTHER, size=12)
    _append(lab, b"\x70\3\3\3\3", SW.NO_SPACE)
    _append(lab, _LAST)
    _append(lab, b"\x70\0", SW.NO_SPACE)
    _holds(lab, _ONE, _OTHER, _LAST)


@case(
    "RECS",
    "A new variable record comes with P1 00 and mode 010",
    "P1 00、模式 010 追加变长记录",
    "annex 10",
    needs=BLANK,
)
def new_by_update(lab: Lab) -> None:
    """The way of the user manual: UPDATE RECORD, and not APPEND RECORD."""
    _variable(lab)
    for record in (_ONE, _OTHER, _LAST):
        _update(lab, record, _at(0, 2))
    _holds(lab, _ONE, _OTHER, _LAST)


@case(
    "RECS",
    "A record appended to a cyclic file is record 1, and the oldest goes",
    "追加到循环文件的记录为第 1 条，最旧的被覆盖",
    "annex 10",
    "4.8",
    needs=BLANK,
)
def cyclic_grows_on_top(lab: Lab) -> None:
    """Three records in a file of two, with both modes of APPEND RECORD."""
    open_directory(lab)
    send_all(lab, make_file(_SFI, Kind.CYCLIC, 2, 4, *_FREE))
    for mode, record in ((0, _ONE), (4, _OTHER), (0, _LAST)):
        lab.must(lab.ask(APPEND_RECORD, Content(record), (0, _SFI << 3 | mode)))
        found = lab.done_ok(READ_RECORD, pair=_at(1))
        lab.must_be(found, record, Words("the newest record", "最新记录"))
    _holds(lab, _LAST, _OTHER)


@case(
    "RECS",
    "A record appended to a fixed file is the last one, and a full file is 6A84",
    "追加到定长文件的记录在末尾，写满后应答 6A84",
    "annex 10",
    "4.8",
    needs=BLANK,
)
def linear_grows_behind(lab: Lab) -> None:
    """Two records in a file of two; the third does not go in."""
    open_directory(lab)
    send_all(lab, make_file(_SFI, Kind.LINEAR, 2, 4, *_FREE))
    for record in (_ONE, _OTHER):
        _append(lab, record)
    _append(lab, _LAST, SW.NO_SPACE)
    _holds(lab, _ONE, _OTHER)


@case(
    "RECS",
    "A trip log cached twice in one purchase is one record, the later",
    "同一交易缓存两次 EF1E 只写一条，取后者",
    "4.15",
    "4.16",
    grade="D",
    needs=PAID,
)
def log_cached_twice(lab: Lab) -> None:
    """All ten records: the earlier one is nowhere."""
    ready(lab, TRIP)
    before = picture(lab, deep=True)
    q = begin(lab, TRIP)
    later = (EF1E.sfi, trip_log(0x62))
    cache(lab, (EF1E.sfi, trip_log(0x61)), later)
    finish(lab, TRIP, q)
    same(lab, before.after(TRIP, q, [later]), deep=True)

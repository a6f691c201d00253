"""CREATE FILE and ERASE DF at their limits (annex 2, annex 3)."""

from collections.abc import Iterator

from apdu.commands import SELECT
from apdu.file_commands import AID_PURSE, ERASE_DF, SELECT_FILE
from apdu.fmcos import ALWAYS, Kind
from apdu.personal import MF
from apdu.records import SelectId, SelectName
from apdu.sw import SW
from bench.conformance.blank import enter_anew, open_directory, send_all
from bench.conformance.case import Case, Need
from bench.conformance.derive import made
from bench.conformance.lab import Lab
from bench.conformance.registry import case, family
from bench.conformance.scenes import PAID
from bench.conformance.workshop import PURSE_DF, key_file, make_file

BLANK = PAID | {Need.BLANK}

_FREE = (ALWAYS, ALWAYS, 0xFF, 0xFF)
_HEADER = 11
"""What a file takes of its directory beside its content (annex 3.2)."""

_LONGEST = 248
"""Bytes of the longest record (annex 3.2)."""


def _sized(lab: Lab, space: int) -> None:
    """The purse's directory with this much space, entered for the first time."""
    header = (Kind.DIRECTORY, space >> 8, space & 0xFF, ALWAYS, ALWAYS, 0x95, 0xFF, 0xFF)
    send_all(lab, make_file(PURSE_DF, *header, name=AID_PURSE))
    lab.done_ok(SELECT, SelectName(AID_PURSE))


def _transparent(fid: int, size: int) -> bytes:
    return make_file(fid, Kind.TRANSPARENT, size >> 8, size & 0xFF, *_FREE)


@case(
    "MAKE",
    "A directory can be filled to its last byte",
    "目录空间可用到最后一字节",
    "annex 3.2",
    "annex 3.4",
    grade="D",
    needs=BLANK,
)
def filled_exactly(lab: Lab) -> None:
    """A key file and a file of 20 bytes; one byte more than there is room for is 6A84."""
    _sized(lab, 2 * _HEADER + 0x100 + 20)
    send_all(lab, make_file(0, Kind.KEYS, 1, 0, 0x95, ALWAYS, 0xFF, 0xFF))
    lab.must(lab.send(_transparent(5, 21)), SW.NO_SPACE)
    lab.must(lab.send(_transparent(5, 20)))
    lab.must(lab.send(_transparent(6, 1)), SW.NO_SPACE)


@case(
    "MAKE",
    "The key file is the first file of its directory",
    "密钥文件须为目录中第一个文件",
    "annex 3.2",
    "annex 3.4",
    grade="D",
    needs=BLANK,
)
def key_file_comes_first(lab: Lab) -> None:
    """Behind another file it is 6A86."""
    _sized(lab, 0x400)
    send_all(lab, _transparent(5, 4))
    lab.must(lab.send(key_file()), SW.WRONG_P1P2)


def _record_size(kind: Kind, size: int) -> bytes:
    return make_file(5, kind, 2, size, *_FREE)


@family
def record_sizes() -> Iterator[Case]:
    """The longest record of each kind of file, and every longer one."""
    for kind, en, zh in ((Kind.LINEAR, "fixed", "定长"), (Kind.CYCLIC, "cyclic", "循环")):

        def body(lab: Lab, kind: Kind = kind) -> None:
            open_directory(lab)
            for size in range(_LONGEST + 1, 0x100):
                lab.must(lab.send(_record_size(kind, size)), SW.WRONG_DATA)
            lab.must(lab.send(_record_size(kind, _LONGEST)))

        yield made(
            "MAKE",
            f"making.longest.{en}",
            (
                f"A {en} record has at most {_LONGEST} bytes",
                f"{zh}记录最长 {_LONGEST} 字节",
            ),
            ("annex 3.2", "annex 3.4"),
            body,
            BLANK,
            grade="D",
        )


@case(
    "MAKE",
    "ERASE DF takes the directories below with it",
    "擦除目录同时清除下级目录",
    "annex 2",
    needs=BLANK,
)
def erased_below(lab: Lab) -> None:
    """Neither by its name nor by its id; both are free for a new one."""
    below = make_file(
        0x3F07, Kind.DIRECTORY, 0, 0x40, *(ALWAYS, ALWAYS, 0x95, 0xFF, 0xFF), name=b"below"
    )
    open_directory(lab)
    send_all(lab, below)
    lab.done_ok(SELECT, SelectName(b"below"))
    send_all(lab, _transparent(5, 4))
    enter_anew(lab)
    lab.done_ok(ERASE_DF)
    lab.must(lab.ask(SELECT, SelectName(b"below")), SW.FILE_NOT_FOUND)
    lab.must(lab.ask(SELECT_FILE, SelectId(b"\x3f\x07")), SW.FILE_NOT_FOUND)
    send_all(lab, below)


@case(
    "MAKE",
    "ERASE DF leaves the directory itself, and those beside it",
    "擦除目录保留目录自身及同级目录",
    "annex 2",
    needs=BLANK,
)
def erased_alone(lab: Lab) -> None:
    """It can be entered by its name as before."""
    beside = (Kind.DIRECTORY, 0, 0x40, ALWAYS, ALWAYS, 0x95, 0xFF, 0xFF)
    send_all(lab, make_file(0x3F07, *beside, name=b"beside"))
    open_directory(lab)
    enter_anew(lab)
    lab.done_ok(ERASE_DF)
    lab.done_ok(SELECT_FILE, SelectId(MF))
    lab.done_ok(SELECT, SelectName(b"beside"))
    lab.must(lab.select())

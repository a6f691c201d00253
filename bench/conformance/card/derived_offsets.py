"""Offsets at the edges of transparent files (4.5, 4.6)."""

from collections.abc import Iterator

from apdu.command import Command
from apdu.commands import READ_BINARY
from apdu.file_commands import SELECT_FILE, UPDATE_BINARY_MAC
from apdu.files import FILES, FileSpec
from apdu.records import SelectId
from apdu.sw import SW, length_is
from bench.conformance.case import Body, Case, Need
from bench.conformance.derive import made
from bench.conformance.lab import Lab
from bench.conformance.registry import family
from bench.conformance.service import enter
from bench.conformance.words import Words
from bench.conformance.writes import is_binary, read, under_mac

TRANSPARENT = [file for file in FILES.values() if is_binary(file)]
_FROM_THERE = Words("the file from there on", "该偏移之后的内容")
_UNCHANGED = Words("the content unchanged", "内容不变")


def _names(file: FileSpec) -> dict[int, str]:
    size = file.size
    return {0: "0", 1: "1", size - 1: "last", size: "end", size + 1: "beyond", 0xFF: "ff"}


def _long_names(file: FileSpec) -> dict[int, str]:
    size = file.size
    return {0: "0", size - 1: "last", size: "end", 0x100: "0100", 0x7FFF: "7fff"}


@family
def reads() -> Iterator[Case]:
    """A read from each edge, by short id and of the current file."""
    for file in TRANSPARENT:
        for is_current, names in ((False, _names(file)), (True, _long_names(file))):
            for offset, name in names.items():
                way = "as the current file" if is_current else "by its short id"
                yield made(
                    "OFFS",
                    f"offsets.{file.sfi:02x}.{'current' if is_current else 'sfi'}-{name}",
                    (
                        f"EF{file.sfi:02X} read {way} from offset {offset}",
                        f"EF{file.sfi:02X} 从偏移 {offset} 读取"
                        + ("（当前文件）" if is_current else ""),
                    ),
                    ("4.5",),
                    _read_from(file, offset, is_current),
                )


def _read_from(file: FileSpec, offset: int, is_current: bool) -> Body:
    def body(lab: Lab) -> None:
        enter(lab)
        whole = read(lab, file)
        pair = (0x80 | file.sfi, offset)
        if is_current:
            lab.done_ok(SELECT_FILE, SelectId(file.sfi.to_bytes(2, "big")))
            pair = (offset >> 8, offset & 0xFF)
        response = lab.ask(READ_BINARY, pair=pair)
        if offset >= file.size:
            lab.must(response, SW.OFFSET_OUTSIDE)
            return
        lab.must_be(lab.must(response).data, whole[offset:], _FROM_THERE)

    return body


@family
def le_at_the_end() -> Iterator[Case]:
    """A read of exactly what is left, and of one byte more (4.1)."""
    for file in TRANSPARENT:
        for offset, name in ((0, "0"), (file.size - 1, "last")):
            for more in (0, 1):
                yield made(
                    "OFFS",
                    f"offsets.{file.sfi:02x}.le-{name}-{'more' if more else 'exact'}",
                    (
                        f"EF{file.sfi:02X} from offset {offset}, Le "
                        + ("one too large" if more else "exact"),
                        f"EF{file.sfi:02X} 偏移 {offset}，Le" + ("多一" if more else "恰好"),
                    ),
                    ("4.1", "4.5"),
                    _read_so_many(file, offset, more),
                    grade="D",
                )


def _read_so_many(file: FileSpec, offset: int, more: int) -> Body:
    def body(lab: Lab) -> None:
        enter(lab)
        whole, left = read(lab, file), file.size - offset
        spec = READ_BINARY
        pair = (0x80 | file.sfi, offset)
        response = lab.send(Command(spec.cla, spec.ins, *pair, b"", left + more).build())
        if more:
            lab.must(response, length_is(left))
            return
        lab.must_be(lab.must(response).data, whole[offset:], _FROM_THERE)

    return body


_WRITES = {
    "first": (0, 1, (SW.OK,)),
    "last": (-1, 1, (SW.OK,)),
    "whole": (0, 0, (SW.OK,)),
    "end": (0x100, 1, (SW.OFFSET_OUTSIDE,)),
    "ff": (0xFF, 1, (SW.OFFSET_OUTSIDE,)),
    # No source says which word: the offset is right and the length is not, or both are.
    "across": (-1, 2, (SW.WRONG_LENGTH, SW.OFFSET_OUTSIDE)),
}
"""Offset (negative: from the end, 100: the end), bytes (0: all), and the words."""


@family
def writes() -> Iterator[Case]:
    """A write under MAC at each edge, of what is there already."""
    for file in TRANSPARENT:
        for name, (start, count, words) in _WRITES.items():
            offset = file.size if start == 0x100 else start % file.size if start < 0 else start
            size = count or file.size
            yield made(
                "OFFS",
                f"offsets.{file.sfi:02x}.write-{name}",
                (
                    f"EF{file.sfi:02X} written at offset {offset}, {size} bytes",
                    f"EF{file.sfi:02X} 偏移 {offset} 写入 {size} 字节",
                ),
                ("4.6",),
                _write_at(file, offset, size, words),
                {Need.KEYS, Need.WRITE},
            )


def _write_at(file: FileSpec, offset: int, size: int, words: tuple[int, ...]) -> Body:
    def body(lab: Lab) -> None:
        enter(lab)
        whole = read(lab, file)
        content = whole[offset : offset + size].ljust(size, b"\0")
        response = under_mac(lab, UPDATE_BINARY_MAC, (0x80 | file.sfi, offset), content)
        lab.must(response, *words)
        lab.must_be(read(lab, file), whole, _UNCHANGED)

    return body

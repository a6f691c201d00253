"""Inputs that a robust card survives (4.22)."""

from collections.abc import Callable, Iterator

from apdu.files import EF15
from bench.conformance.case import Case
from bench.conformance.lab import Lab
from bench.conformance.pictures import picture, same
from bench.conformance.registry import case, family
from bench.conformance.scenes import (
    PAID,
    RIDE,
    begin,
    final_command,
    finish,
    opened,
    read_binary,
    ready,
    refused,
)
from bench.conformance.words import Words


def _is_purse(lab: Lab) -> None:
    """The purse is selected: its EF15 can be read."""
    data = lab.must(lab.send(read_binary(EF15.sfi)), clause="4.5").data
    lab.require(len(data) == EF15.size, Words("30 bytes", "30 字节"), f"{len(data)}")


_INPUTS: dict[str, tuple[str, tuple[int, ...]]] = {
    "get-data": ("80CA9F7900", (0x6A88,)),
    "get-data-df": ("80CADF7100", (0x6A88,)),
    "ff": ("FF00000000", (0x6E00, 0x6A82)),
    "old-card": ("00B0840020", (0x6A82,)),
    "grey-lock": ("E07A080207013000890001950F", (0x6E00,)),
    "get-response": ("00C0000000", (0x6985, 0x6D00, 0x6700)),
    "photo": ("00B09B0000", (0x6A82,)),
    "second-currency": ("805013020B01000000003000890001950F", (0x6A86,)),
    "zero": ("00000000", (0x6D00, 0x6E00, 0x6A86)),
    "logical-channel": ("0170000001", (0x6E00, 0x6881)),
    "extended": ("00B0950000001E", (0x6700,)),
    "lc-too-long": ("00A40400FFA000000632", (0x6700,)),
    "lc-too-short": ("00A4040002A000000632010105", (0x6700,)),
}


def _survived(text: str, sws: tuple[int, ...]) -> Callable[[Lab], None]:
    def body(lab: Lab) -> None:
        opened(lab)
        answer = lab.must(lab.send(bytes.fromhex(text)), *sws)
        lab.must_be(answer.data, b"", Words("no data", "无数据"))
        _is_purse(lab)

    return body


@family
def survived() -> Iterator[Case]:
    """Inputs of readers that look for other cards (4.22)."""
    for name, (text, sws) in _INPUTS.items():
        title = Words(
            f"{text} is refused, and the purse stays selected", f"{text} 被拒绝，钱包仍处于选中状态"
        )
        yield Case(f"sel.input.{name}", "SEL", title, ("4.22", "4.1"), _survived(text, sws), "D")


@case(
    "SEL",
    "A reader that walks all files and records stops at none",
    "遍历所有文件和记录不使卡片异常",
    "4.22",
    grade="D",
)
def walked(lab: Lab) -> None:
    """Thirty SFIs as a file and as records 0, 1, 31 and 255: words, never silence."""
    fci = opened(lab)
    for sfi in range(1, 0x1F):
        lab.send(read_binary(sfi))
        for number in (0, 1, 31, 255):
            answer = lab.send(bytes((0x00, 0xB2, number, sfi << 3 | 4, 0x00)))
            lab.require(len(answer) >= 2, Words("a status word", "状态字"), answer.hex())
    lab.must_be(opened(lab), fci, Words("FCI", "FCI"))


@case(
    "SEL",
    "Nothing moves under inputs that are refused",
    "被拒绝的输入不改变任何数据",
    "4.22",
    needs=PAID,
)
def inputs_move_nothing(lab: Lab) -> None:
    """All of them in a row, and a purchase after them."""
    ready(lab, RIDE)
    before = picture(lab)
    for text, _ in _INPUTS.values():
        lab.send(bytes.fromhex(text))
    same(lab, before)
    q = begin(lab, RIDE)
    lab.send(bytes.fromhex("FF00000000"))
    refused(lab, final_command(lab, RIDE, q), 0x6901, clause="4.2")
    finish(lab, RIDE, begin(lab, RIDE))

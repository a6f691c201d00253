"""DEBIT with the P1 of another dialect: where that stands among the checks (4.1, Q19)."""

from collections.abc import Callable, Iterator

from bench.conformance.case import Case
from bench.conformance.derive import made
from bench.conformance.lab import Lab
from bench.conformance.registry import family
from bench.conformance.scenes import PAID, RIDE, begin, opened, prove, raw, ready, refused
from bench.conformance.words import Words

_SIZE = 15
"""Bytes of DEBIT's data."""

_WAYS: dict[str, tuple[bool, int, tuple[str, str]]] = {
    "length": (True, _SIZE - 1, ("its length", "长度")),
    "state": (False, _SIZE, ("the state", "状态")),
    "both": (False, _SIZE + 1, ("its length and the state", "长度和状态")),
}


def _early(under_way: bool, size: int, p1: int) -> Callable[[Lab], None]:
    def body(lab: Lab) -> None:
        if under_way:
            ready(lab, RIDE)
            q = begin(lab, RIDE)
        else:
            opened(lab)
        refused(lab, raw(0x80, 0x54, 3 - p1, 0x00, bytes(size), 8), 0x6A86)
        refused(lab, raw(0x80, 0x54, p1, 0x00, bytes(_SIZE), 8), 0x6901, clause="4.2")
        if under_way:
            unpaid = prove(lab, RIDE.kind, q.seq + 1).sw == 0x9406
            lab.require(unpaid, Words("9406, nothing was paid", "9406 未扣款"), "a proof")

    return body


@family
def other_p1() -> Iterator[Case]:
    """DEBIT with the P1 that is another card's, on cards declared to take one of them alone."""
    for p1 in (0x01, 0x02):
        for name, (under_way, size, (en, zh)) in _WAYS.items():
            yield made(
                "DIAL",
                f"debits.{p1:02X}.{name}",
                (
                    f"A card of DEBIT P1 {p1:02X} refuses the other one before {en}",
                    f"只接受 DEBIT P1 {p1:02X} 的卡片先检查 P1 再检查{zh}",
                ),
                ("4.1", "4.16"),
                _early(under_way, size, p1),
                PAID,
                grade="D",
                setup={"dialect": {"debit_p1": f"{p1:02X}"}},
            )

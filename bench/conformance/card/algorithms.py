"""The algorithm commands of a card with two (4.21). What their values mean is inferred there."""

from collections.abc import Callable, Iterator

from apdu.key_commands import BLOCK_ALGORITHM, CHANGE_ALGORITHM, GET_ALGORITHM
from apdu.sw import SW
from bench.conformance.case import Case, Need
from bench.conformance.derive import made
from bench.conformance.lab import Lab
from bench.conformance.registry import family
from bench.conformance.scenes import PAID, opened
from bench.conformance.words import Words

TWO = {"dialect": {"dual_alg": True}}
NAMES = {0x00: ("international", "国际算法"), 0x03: ("SM", "国密算法")}
_TO_BLOCK = {0x00: 0x01, 0x03: 0x03}
"""P2 of BLOCK ALGORITHM for each P2 of CHANGE ALGORITHM."""


def _in_force(lab: Lab, wanted: int) -> None:
    found = lab.done_ok(GET_ALGORITHM)
    lab.must_be(found, bytes((wanted,)), Words("the algorithm", "当前算法"))


def _change(p1: int) -> Callable[[Lab], None]:
    def body(lab: Lab) -> None:
        opened(lab)
        for wanted in (0x03, 0x03, 0x00, 0x03):
            lab.done_ok(CHANGE_ALGORITHM, pair=(p1, wanted))
            _in_force(lab, wanted)

    return body


def _survives(lab: Lab) -> None:
    opened(lab)
    lab.done_ok(CHANGE_ALGORITHM, pair=(0x01, 0x03))
    lab.reset()
    opened(lab)
    _in_force(lab, 0x03)


def _block(blocked: int) -> Callable[[Lab], None]:
    def body(lab: Lab) -> None:
        other = 0x03 - blocked
        opened(lab)
        lab.done_ok(CHANGE_ALGORITHM, pair=(0x01, other))
        lab.done_ok(BLOCK_ALGORITHM, pair=(0x03, _TO_BLOCK[blocked]))
        for p1 in (0x01, 0x02):
            lab.must(lab.ask(CHANGE_ALGORITHM, pair=(p1, blocked)), SW.CONDITIONS_OF_USE)
            _in_force(lab, other)
            lab.done_ok(CHANGE_ALGORITHM, pair=(p1, other))

    return body


@family
def two_algorithms() -> Iterator[Case]:
    """Change and block, on a card declared to have two algorithms."""
    for p1 in (0x01, 0x02):
        yield made(
            "ALGO",
            f"algorithms.change.{p1:02X}",
            (
                f"CHANGE ALGORITHM {p1:02X} puts in force what GET ALGORITHM then tells",
                f"CHANGE ALGORITHM {p1:02X} 后 GET ALGORITHM 返回新算法",
            ),
            ("4.21",),
            _change(p1),
            PAID,
            grade="D",
            setup=TWO,
        )
    yield made(
        "ALGO",
        "algorithms.survives",
        ("The algorithm in force outlives the field", "当前算法在断场后不变"),
        ("4.21", "6.9"),
        _survives,
        PAID | {Need.CUT},
        grade="D",
        setup=TWO,
    )
    for algorithm, (en, zh) in NAMES.items():
        yield made(
            "ALGO",
            f"algorithms.block.{algorithm:02X}",
            (
                f"BLOCK ALGORITHM of the {en} one forbids that one and no other",
                f"锁定{zh}后仅该算法不可切换",
            ),
            ("4.21",),
            _block(algorithm),
            PAID,
            grade="D",
            setup=TWO,
        )

"""What a conformance case is, and what can become of it."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import Enum
from typing import Any

from bench.conformance.words import Words


class Need(Enum):
    """What a case takes that not every stand has. words: why it is left out without it."""

    KEYS = Words(
        "the card's keys are not known; name them with --keys FILE",
        "卡片密钥未知；用 --keys FILE 给出",
    )
    WRITE = Words(
        "it changes the card for good; allow it with --write", "会永久改变卡片；用 --write 允许"
    )
    FRESH = Words(
        "it needs a card made for it, which it may spoil; only the bench's own cards are",
        "需要专门制作、可能被用坏的卡片；只有本台自己的卡片可以",
    )
    CUT = Words("this road cannot switch the field off", "这条通路不能断开射频场")
    FRAMES = Words("this road does not show frames", "这条通路看不到帧")
    BLANK = Words("it needs a blank card to personalise", "需要一张可个人化的空白卡")
    CODE = Words("this gate does not tell why it refuses", "该闸机不给出拒绝原因")
    POST = Words("this gate cannot be set up from here", "无法在此设置该闸机")
    CLOCK = Words("this gate's clock cannot be set from here", "无法在此设置该闸机的时钟")
    RECORDS = Words("this gate's records cannot be read from here", "无法在此读取该闸机的记录")
    PACE = Words("taps cannot follow one another within seconds here", "此处无法在数秒内连续刷卡")
    PAIR = Words("two cards cannot be held in its field here", "此处无法同时放置两张卡")
    TIME = Words("times on this road are not the card's", "这条通路上的时间不是卡片的时间")

    @property
    def words(self) -> Words:
        """The reason for a skipped case."""
        words: Words = self.value
        return words


class Level(Enum):
    """How much of the suite: the basic part takes a card through its ordinary life."""

    BASIC = "basic"
    FULL = "full"


class Verdict(Enum):
    """What became of a case."""

    PASSED = "passed"
    FAILED = "failed"
    SKIPPED = "skipped"


Body = Callable[[Any], None]
"""The case itself, over a `bench.conformance.lab.Lab`."""


@dataclass(frozen=True, slots=True)
class Case:
    """One case of the suite.

    key:     what it is, in words that never change; the ledger gives it its number.
    group:   the middle of its id, such as CAPP.
    clauses: sections of the protocol reference, the first the one it is about.
    grade:   how well the requirement is known (protocol reference 0.1).
    setup:   fields of the card's profile to replace (`emulator.card.profile.Profile`; "dialect"
             takes a mapping of switches). A case with a setup needs FRESH.
    """

    key: str
    group: str
    title: Words
    clauses: tuple[str, ...]
    body: Body
    grade: str = "C"
    needs: frozenset[Need] = frozenset()
    level: Level = Level.FULL
    setup: Mapping[str, Any] = field(default_factory=dict)


class NotApplicable(Exception):
    """The case asks for something this card does not have. words: what, for people."""

    def __init__(self, en: str, zh: str) -> None:
        super().__init__(en)
        self.words = Words(en, zh)


class Broken(Exception):
    """The card broke a requirement.

    at:     index into what was said, of the exchange that shows it; None if no single one does.
    where:  which bytes of that answer, status word included; None for all of it.
    """

    def __init__(
        self,
        expected: Words,
        came: str,
        clause: str = "",
        at: int | None = None,
        where: tuple[int, int] | None = None,
    ) -> None:
        super().__init__(f"expected {expected}, came {came}")
        self.expected = expected
        self.came = came
        self.clause = clause
        self.at = at
        self.where = where

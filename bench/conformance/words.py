"""What the laboratory says to people, in both languages."""

import re
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Words:
    """One sentence or title. zh: Chinese, for the report's other half.

    >>> str(Words("the balance", "余额"))
    'the balance'
    """

    en: str
    zh: str

    def __str__(self) -> str:
        return self.en


_EDGE = re.compile("(?<=[\u4e00-\u9fff])(?=[0-9A-Za-z])|(?<=[0-9A-Za-z])(?=[\u4e00-\u9fff])")


def spaced(zh: str) -> str:
    """A Chinese title made of parts: Chinese and Latin apart, and what a name says in English.

    >>> spaced("READ BINARY with MAC 拒绝Lc 为 00")
    'READ BINARY（带 MAC）拒绝 Lc 为 00'
    """
    zh = re.sub(" with MAC ?", "（带 MAC）", zh)
    return _EDGE.sub(" ", re.sub(r" \(all\) ?", "（全部）", zh))

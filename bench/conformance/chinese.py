"""The Chinese of what decoded exchanges say; its words are in `page/zh.toml`.

A case has its words in both languages. Names, fields and status words of an exchange come from the
decoder, which speaks English: here each is looked up. What has no small letters is a name or a
number, and is said alike in both.
"""

import re
import tomllib
from collections.abc import Callable, Mapping
from functools import cache, lru_cache
from importlib.resources import files

from bench.conformance import page
from bench.conformance.words import Words

_NUMBER = re.compile(r"\d+(?:\.\d+)?")
_SMALL = re.compile("[a-z]")

_STATUS = re.compile(r"([0-9A-F]{4}) (.+)")
_NOTED = re.compile(r"([^ ]+) \((.+)\)")
_UNKNOWN = re.compile(r"([0-9A-F]*), not in the table")
_SAME = re.compile(r'[0-9A-F]+ ".*"|[0-9A-F]{2} x \d+')
"""A text's own bytes, and bytes that repeat."""
_ENDED = re.compile(r"(.+), at ([A-Z]+-[A-Z0-9]+-\d+)")


@cache
def terms() -> Mapping[str, str]:
    """All words, with # for numbers. Raises ValueError if one is said in two ways."""
    found: dict[str, str] = {}
    tables = tomllib.loads(files(page).joinpath("zh.toml").read_text("utf-8"))
    for table in tables.values():
        for english, chinese in table.items():
            if found.setdefault(english, chinese) != chinese:
                raise ValueError(f"'{english}' is said in two ways")
    return found


@lru_cache(maxsize=65536)
def chinese(text: str) -> str | None:
    """The same in Chinese; None if nobody has said it yet.

    >>> chinese("63C1 verification failed, 1 tries left"), chinese("2 (EP)"), chinese("MAC1")
    ('63C1 验证失败，剩余 1 次', '2 (EP)', 'MAC1')
    """
    if not _SMALL.search(text) or _SAME.fullmatch(text):
        return text
    if text in terms():
        return terms()[text]
    found = terms().get(_NUMBER.sub("#", text))
    if found is not None:
        numbers = iter(_NUMBER.findall(text))
        return re.sub("#", lambda _: next(numbers), found)
    return next((said for form in _FORMS if (said := form(text)) is not None), None)


def both_of(text: str) -> Words:
    """A text of the decoder in both languages, in English alone if it has no Chinese."""
    return Words(text, chinese(text) or text)


def _form(pattern: re.Pattern[str], made: str) -> Callable[[str], str | None]:
    """A text of two parts, of which what follows a known beginning is looked up."""

    def form(text: str) -> str | None:
        match = pattern.fullmatch(text)
        if match is None:
            return None
        parts = [chinese(part) for part in match.groups()]
        return None if None in parts else made.format(*parts)

    return form


def _name(text: str) -> str | None:
    """A command's name, which is English in Chinese standards too, and what it is about."""
    said = text.replace(" with MAC", "（带 MAC）").replace(" current EF", " 当前 EF")
    said = said.replace("SELECT purse", "SELECT 电子钱包").replace(" (all)", "（全部）")
    return None if _SMALL.search(said) else said


_FORMS = (
    _form(_STATUS, "{0} {1}"),
    _form(_NOTED, "{0}（{1}）"),
    _form(_UNKNOWN, "{0}，不在命令表中"),
    _form(_ENDED, "{0}，位置 {1}"),
    _name,
)

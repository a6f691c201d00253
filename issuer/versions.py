"""Version numbers of apps and systems, compared number by number.

Source: domain facts 1.2.
"""

import re
from functools import cache

Version = tuple[int, ...]

_DOTTED = re.compile(r"[0-9]{1,9}(?:\.[0-9]{1,9}){0,7}")
_BUILD = re.compile(r"[0-9]{1,2}\.[0-9]{1,2}\.[0-9]{1,2}")


def parse(text: str) -> Version | None:
    """The numbers of a dotted version, or None if it is not one.

    Zeros in front of a number mean nothing, and numbers that are missing at the end are 0.

    >>> parse("21.08.09.1") == parse("21.8.9.1"), parse("13.4") == parse("13.4.0"), parse("V12.5")
    (True, True, None)
    """
    stripped = text.strip()
    if not _DOTTED.fullmatch(stripped):
        return None
    numbers = [int(part) for part in stripped.split(".")]
    while numbers and numbers[-1] == 0:
        numbers.pop()
    return tuple(numbers)


@cache
def floor(text: str) -> Version:
    """The numbers of a version this project writes down. Raises ValueError if it is not one."""
    numbers = parse(text)
    if numbers is None:
        raise ValueError(f"{text!r} is not a dotted version")
    return numbers


def is_at_least(found: str, least: str) -> bool | None:
    """Whether a version is not below another; None if what was found is not a dotted version.

    >>> is_at_least("13.10", "13.4"), is_at_least("6.0", "6.0.0.1"), is_at_least("latest", "6.0")
    (True, False, None)
    """
    numbers = parse(found)
    return None if numbers is None else numbers >= floor(least)


def is_dev_build(text: str) -> bool:
    """Whether a text is the version of a MIUI developer build: year, month, day, as in 21.7.27.

    Years were 1 to 9 up to 2019 and have two digits from 20 on. Numbers from 10 to 19 in front are
    stable versions (12.5.6), which are never compared with a build; those of HyperOS (1.0.3) have
    no month.

    >>> is_dev_build("21.7.3"), is_dev_build("V12.5.6.0"), is_dev_build("12.5.6")
    (True, False, False)
    """
    if not _BUILD.fullmatch(text.strip()):
        return False
    year, month, day = map(int, text.split("."))
    return (1 <= year <= 9 or year >= 20) and 1 <= month <= 12 and 1 <= day <= 31

"""The white list: which issuers' cards a gate takes, as pairs of issuer code and IIN.

The laboratory's form (protocol reference 6.10): text, a header line, then one pair a line: issuer
code, spaces, IIN, 8 digits each.
"""

import os
import re
from collections.abc import Iterable

from reader.whole import read_whole

WhiteList = frozenset[tuple[str, str]]
"""Pairs of issuer code (8 digits) and IIN (8 digits)."""

_PAIR = re.compile(r"\s*([0-9]{8})\s+([0-9]{8})\s*")


class WhiteListError(ValueError):
    """A white list cannot be used; the message is one sentence that names the line."""


def parse_white_list(lines: Iterable[str], name: str = "white list") -> WhiteList:
    """The pairs of a white list. Empty lines and repeated pairs do no harm.

    name: what the message calls the list. Raises WhiteListError: for a line that is no pair, a
    first line that is one (it would be taken for the header and lost), and a list without pairs
    (it would refuse every card). Source: protocol reference 6.10; what is refused, D.

    >>> sorted(parse_white_list(["issuer IIN", "01011000    31051700"]))
    [('01011000', '31051700')]
    """
    pairs = set()
    for number, line in enumerate(lines, 1):
        pair = _PAIR.fullmatch(line)
        if number == 1:
            if pair:
                raise WhiteListError(f"{name} line 1: expected a header line, found a pair")
        elif pair:
            pairs.add((pair[1], pair[2]))
        elif line.strip():
            raise WhiteListError(
                f"{name} line {number}: expected two numbers of 8 digits, "
                f"found {line.strip()[:30]!a}"
            )
    if not pairs:
        raise WhiteListError(
            f"{name}: expected a header line and pairs of issuer and IIN, found no pair"
        )
    return frozenset(pairs)


def read_white_list(path: str | os.PathLike[str]) -> WhiteList:
    """The pairs in a file. Raises WhiteListError, also if it cannot be read.

    The header may be in any encoding that keeps ASCII, such as GBK.
    """
    name = os.fspath(path)
    try:
        data = read_whole(name)
    except OSError as error:
        raise WhiteListError(f"white list {name} cannot be read: {error.strerror}") from error
    lines = (line.decode("ascii", "replace") for line in data.splitlines())
    return parse_white_list(lines, f"white list {name}")

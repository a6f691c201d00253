"""Blacklists and their updates as text (docs/lists.md). The format is tapbench's own (D).

A first line names kind and version, then one serial a line, then a last line with their count and
the SHA-256 of all lines before it. The check notices damage, not forgery.
"""

import os
import re
from hashlib import sha256

from apdu.bcd import digits
from reader.blacklist import (
    Blacklist,
    BlacklistError,
    BlacklistIncrement,
    BlacklistUpdate,
)
from reader.whole import read_whole

MARK = b"TAPBENCH BLACKLIST "
"""How every such file begins."""

_FULL = re.compile(rb"TAPBENCH BLACKLIST 1 full ([1-9][0-9]{0,9})")
_STEP = re.compile(rb"TAPBENCH BLACKLIST 1 from (0|[1-9][0-9]{0,9}) to ([1-9][0-9]{0,9})")
_LAST = re.compile(rb"end (0|[1-9][0-9]{0,9}) ([0-9a-f]{64})")
_LISTED = re.compile(rb"()([0-9]{20})")
_CHANGED = re.compile(rb"([+-])([0-9]{20})")


def build_update(update: BlacklistUpdate) -> bytes:
    """The text of a full list or an increment, serials in ascending order.

    Raises ValueError for version 0, which is the lack of a list.
    """
    if update.version == 0:
        raise ValueError("version 0 is the lack of a blacklist and has no text")
    if isinstance(update, Blacklist):
        head = b"TAPBENCH BLACKLIST 1 full %d" % update.version
        lines = [digits(serial).encode() for serial in sorted(update.serials)]
    else:
        head = b"TAPBENCH BLACKLIST 1 from %d to %d" % (update.base, update.version)
        lines = [b"+" + digits(serial).encode() for serial in sorted(update.added)]
        lines += [b"-" + digits(serial).encode() for serial in sorted(update.removed)]
    body = b"".join(line + b"\n" for line in (head, *lines))
    return body + b"end %d %s\n" % (len(lines), sha256(body).hexdigest().encode())


def parse_update(data: bytes) -> BlacklistUpdate:
    """The full list or increment in a text. Raises BlacklistError."""
    head, *lines = _checked(data)
    full, step = _FULL.fullmatch(head), _STEP.fullmatch(head)
    if full:
        return Blacklist(int(full[1]), _serials(lines)[b""])
    if step and int(step[2]) == int(step[1]) + 1:
        changes = _serials(lines, _CHANGED)
        return BlacklistIncrement(int(step[1]), changes[b"+"], changes[b"-"])
    raise BlacklistError(
        "expected a first line such as 'TAPBENCH BLACKLIST 1 full 7' or "
        f"'TAPBENCH BLACKLIST 1 from 7 to 8', found {_shown(head)}"
    )


def read_update(path: str | os.PathLike[str]) -> BlacklistUpdate:
    """The full list or increment in a file. Raises BlacklistError, also if it cannot be read."""
    name = os.fspath(path)
    try:
        data = read_whole(name)
    except OSError as error:
        raise BlacklistError(f"blacklist {name} cannot be read: {error.strerror}") from error
    try:
        return parse_update(data)
    except BlacklistError as error:
        raise BlacklistError(f"blacklist {name}: {error}") from error


def _checked(data: bytes) -> list[bytes]:
    """Every line but the last, which proves them. Raises BlacklistError."""
    if not data.startswith(MARK):
        found = _shown(data.partition(b"\n")[0]) if data else "nothing"
        raise BlacklistError(
            f"expected a blacklist, which begins with {MARK.decode().strip()!r}, found {found}"
        )
    end = data.rfind(b"\n", 0, -1) + 1
    last = _LAST.fullmatch(data[end:-1]) if data.endswith(b"\n") else None
    if last is None:
        raise BlacklistError(
            "it is cut off or changed: expected a last line with count and SHA-256, "
            f"found {_shown(data[end:])}; fetch it again"
        )
    lines = data[: end - 1].split(b"\n")
    if int(last[1]) != len(lines) - 1:
        raise BlacklistError(
            f"expected {int(last[1])} serials, as the last line says, found {len(lines) - 1}; "
            "fetch it again"
        )
    if sha256(data[:end]).hexdigest().encode() != last[2]:
        raise BlacklistError(
            "it was changed on its way: the SHA-256 in its last line is of other lines; "
            "fetch it again"
        )
    return lines


def _serials(
    lines: list[bytes], form: re.Pattern[bytes] = _LISTED
) -> dict[bytes, frozenset[bytes]]:
    """The serials, by the sign before them. Raises BlacklistError for one that is there twice."""
    found: dict[bytes, set[bytes]] = {b"": set(), b"+": set(), b"-": set()}
    for number, line in enumerate(lines, 2):
        match = form.fullmatch(line)
        if match is None:
            sign = "" if form is _LISTED else "+ or - and "
            raise BlacklistError(
                f"line {number}: expected {sign}a serial of 20 digits, found {_shown(line)}"
            )
        serial = bytes.fromhex(match[2].decode())
        if serial in found[match[1]]:
            raise BlacklistError(f"line {number}: card {digits(serial)} is there twice")
        found[match[1]].add(serial)
    return {sign: frozenset(serials) for sign, serials in found.items()}


def _shown(line: bytes) -> str:
    return ascii(line[:50].decode("latin-1"))

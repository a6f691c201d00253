"""`tapbench lists show|apply`."""

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from apdu.bcd import digits
from bench.problem import Problem
from reader.blacklist import Blacklist, BlacklistIncrement
from reader.blacklist_file import BlacklistFile
from reader.blacklist_text import MARK, read_update
from reader.white_list import WhiteList, read_white_list
from reader.whole import read_whole

LINES_SHOWN = 20
"""Lines of a list on a terminal; a blacklist has thousands."""


def show(path: Path, as_json: bool) -> None:
    """Print what a file lists. Raises BlacklistError, WhiteListError, Problem."""
    if _is_blacklist(path):
        update = read_update(path)
        told, title, lines = (
            _told_list(update) if isinstance(update, Blacklist) else _told_increment(update)
        )
    else:
        told, title, lines = _told_white(read_white_list(path))
    if as_json:
        print(json.dumps(told, indent=2))
        return
    print(title)
    for line in lines[:LINES_SHOWN]:
        print(f"  {line}")
    if len(lines) > LINES_SHOWN:
        print(f"  ... and {len(lines) - LINES_SHOWN} more; --json has all.")


def apply_update(held: Path, update: Path, as_json: bool) -> None:
    """Apply an update to a gate's blacklist and say what it changed. Raises BlacklistError."""
    file = BlacklistFile(held)
    before = file.blacklist
    is_changed = file.take(update)
    now = file.blacklist
    added, removed = now.serials - before.serials, before.serials - now.serials
    if as_json:
        told: dict[str, Any] = {"is_changed": is_changed, "before": before.version}
        told |= {"version": now.version, "cards": len(now)}
        told |= {"added": _sorted(added), "removed": _sorted(removed)}
        print(json.dumps(told, indent=2))
    elif is_changed:
        print(
            f"blacklist version {before.version} -> {now.version}: "
            f"{len(added)} added, {len(removed)} removed, {_cards(now)} listed."
        )
    else:
        print(f"blacklist version {now.version} is in force already; nothing changed.")


def _is_blacklist(path: Path) -> bool:
    """By how the file begins. Raises Problem if it cannot be read."""
    try:
        return read_whole(path).startswith(MARK)
    except OSError as error:
        raise Problem(f"{path} cannot be read: {error.strerror}") from error


def _told_list(found: Blacklist) -> tuple[dict[str, Any], str, list[str]]:
    serials = _sorted(found.serials)
    told = {"kind": "blacklist", "version": found.version, "serials": serials}
    return told, f"blacklist version {found.version}: {_cards(found)} listed.", serials


def _told_increment(found: BlacklistIncrement) -> tuple[dict[str, Any], str, list[str]]:
    added, removed = _sorted(found.added), _sorted(found.removed)
    told = {"kind": "increment", "from": found.base, "version": found.version}
    told |= {"added": added, "removed": removed}
    title = (
        f"update of a blacklist from version {found.base} to {found.version}: "
        f"{len(added)} added, {len(removed)} removed."
    )
    return told, title, [f"+{one}" for one in added] + [f"-{one}" for one in removed]


def _told_white(found: WhiteList) -> tuple[dict[str, Any], str, list[str]]:
    pairs = [{"issuer": issuer, "iin": iin} for issuer, iin in sorted(found)]
    lines = [f"{one['issuer']}  {one['iin']}" for one in pairs]
    title = f"white list: {len(pairs)} {'pair' if len(pairs) == 1 else 'pairs'} of issuer and IIN."
    return {"kind": "white list", "pairs": pairs}, title, lines


def _sorted(serials: Iterable[bytes]) -> list[str]:
    return sorted(digits(serial) for serial in serials)


def _cards(found: Blacklist) -> str:
    return f"{len(found)} {'card' if len(found) == 1 else 'cards'}"

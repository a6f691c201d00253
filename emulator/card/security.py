"""Access rights, secure messaging and the counting of failures.

Rights follow the annex on FMCOS, section 5; secure messaging protocol reference 5.6 and annex 6.
"""

from dataclasses import replace
from typing import Any

from apdu.crypto import Key, compare_digest
from apdu.fmcos import ALWAYS as ALWAYS
from apdu.fmcos import BLOCK_ID as BLOCK_ID
from apdu.fmcos import MAINTENANCE_ID as MAINTENANCE_ID
from apdu.fmcos import NEVER as NEVER
from apdu.fmcos import RECORD_ID as RECORD_ID
from apdu.fmcos import UNBLOCK_ID as UNBLOCK_ID
from apdu.purse import secure_messaging_mac
from apdu.spec import Call, Refuse
from apdu.sw import SW, retries_left
from emulator.card.state import (
    Blocked,
    CardState,
    Chip,
    Directory,
    KeyEntry,
    KeyKind,
    Standing,
    at_rest,
    kept,
)

GUARD_MAC, GUARD_CIPHER = 0x80, 0x40
"""Protection bits of a file's or key's type byte (annex 3.2)."""


def is_met(card: CardState, access: int) -> bool:
    """Whether the security state meets an access byte XY (annex 5.2)."""
    standing = card.standing
    if access == ALWAYS or standing.is_open:
        return True
    x, y = access >> 4, access & 0x0F
    return standing.mf_register >= y if x == 0 else y <= standing.register <= x


def demand(card: CardState, access: int) -> None:
    """Raise Refuse(6982) unless the right is met."""
    if access != ALWAYS and not is_met(card, access):
        raise Refuse(SW.SECURITY_STATUS)


def key_of(directory: Directory, kind: KeyKind, kid: int, missing: SW) -> KeyEntry:
    """A key of the directory. Raises Refuse: 6A82 without a key file, `missing` without the key."""
    if not directory.has_key_file:
        raise Refuse(SW.FILE_NOT_FOUND)
    entry = directory.keys.get((kind, kid))
    if entry is None:
        raise Refuse(missing)
    return entry


def maintenance_key(directory: Directory, kid: int) -> KeyEntry:
    """A key 36 by its id; a directory with one such key uses it for everything (annex 3.3)."""
    keys = directory.keys
    entry = keys.get((KeyKind.MAINTENANCE, kid)) or keys.get((KeyKind.MAINTENANCE, 0))
    if entry is None:
        raise Refuse(SW.KEY_INDEX)
    return entry


def secret_of(entry: KeyEntry) -> Key:
    """The key's value, of a key that is no PIN."""
    assert entry.secret is not None
    return entry.secret


def with_keys(directory: Directory, *entries: KeyEntry) -> Directory:
    """The directory with keys added or replaced."""
    keys = dict(directory.keys)
    keys.update({(entry.kind, entry.kid): entry for entry in entries})
    return replace(directory, keys=keys)


def header(call: Call[Any], length: int) -> bytes:
    """The command's first five bytes, as the MAC covers them."""
    return bytes((call.spec.cla, call.spec.ins, call.p1, call.p2, length))


def mac_is_right(
    card: CardState,
    call: Call[Any],
    key: Key,
    content: bytes,
    mac: bytes,
) -> bool:
    """Check a secure-messaging MAC. Raises Refuse(6984) if no challenge was asked for just now."""
    if card.challenge is None:
        raise Refuse(SW.RANDOM_UNUSABLE)
    covered = header(call, len(content) + 4) + content
    return compare_digest(secure_messaging_mac(key, card.challenge, covered), mac)


def check_mac(
    card: CardState,
    call: Call[Any],
    entry: KeyEntry,
    content: bytes,
    mac: bytes,
    chip: Chip,
) -> Directory:
    """Check the MAC of a protected file command and count failures.

    Returns the directory with the count set back. A wrong MAC is 6988 or 63Cx by dialect, and the
    third in a row blocks the application for good, 9303 (4.6, Q15). Failures are committed.
    """
    directory = card.directory
    if mac_is_right(card, call, secret_of(entry), content, mac):
        return directory if directory.strikes == 0 else replace(directory, strikes=0)
    strikes, most = directory.strikes + 1, entry.algorithm >> 4 or 3
    if strikes >= most:
        blocked = replace(directory, strikes=strikes, blocked=Blocked.PERMANENT)
        raise Refuse(SW.PERMANENTLY_BLOCKED, after=kept(card, blocked))
    left = retries_left(most - strikes)
    sw = SW.MAC_WRONG if chip.dialect.wrong_mac == "6988" else left
    raise Refuse(sw, after=kept(card, replace(directory, strikes=strikes)))


def fail_try(card: CardState, entry: KeyEntry, sw: int | None = None) -> Refuse:
    """A key or PIN failed: one try less, committed. sw: instead of 63Cx."""
    left = max(entry.tries_left - 1, 0)
    after = kept(card, with_keys(card.directory, entry.with_tries(left)))
    return Refuse(retries_left(left) if sw is None else sw, after=after)


def demand_tries(entry: KeyEntry) -> None:
    """Raise Refuse(6983) for a locked key."""
    if entry.tries_left == 0:
        raise Refuse(SW.METHOD_BLOCKED)


def succeeded(card: CardState, entry: KeyEntry, pin: bool) -> CardState:
    """The state after a PIN or external authentication: the register *is* the successor (5.1)."""
    restored = entry.restored()
    after = at_rest(card) if restored is entry else kept(card, with_keys(card.directory, restored))
    register = entry.version & 0x0F
    before = card.standing
    mf_register = register if card.at == 0 else before.mf_register
    standing = Standing(register, mf_register, before.is_open, before.pin_ok or pin)
    return replace(after, standing=standing)

"""Keys for a card that is not ours: a file of root keys, or of the card's own.

    [roots]                                    [card]
    PMK = "00112233445566778899AABBCCDDEEFF"   DPK = "00112233445566778899AABBCCDDEEFF"

Roots have the names of protocol reference 5.8 and are diversified by the card's issuer code and
serial number; a card's own keys have those of 5.1. A table is complete, and no key is ever shown.
"""

import stat
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import fixtures
from apdu.crypto import Key
from apdu.order import ROOTS, SM4_KEYS, Secrets, card_secrets
from apdu.sm4 import Sm4Key
from bench.problem import Problem

OURS = "test"
"""What names the project's own test keys instead of a file."""

_SIZE = 16
_ROOT_NAMES = tuple(sorted(set(ROOTS.values())))
_CARD_NAMES = tuple(name.upper() for name in ROOTS)
_OTHERS = stat.S_IRWXG | stat.S_IRWXO


@dataclass(frozen=True)
class KeyRing:
    """Keys of a file. keys: by name. notices: what its owner should know, one sentence each."""

    keys: Mapping[str, Key]
    are_roots: bool
    notices: tuple[str, ...] = ()

    def of(self, issuer: bytes, serial: bytes, *, sm4: bool = False) -> Secrets:
        """The keys of one card. issuer: 8 bytes, serial: 10 bytes, both of EF15."""
        if self.are_roots:
            return card_secrets(issuer, serial, self.keys, sm4=sm4)
        own: dict[str, Any] = {name: self.keys[name.upper()] for name in ROOTS}
        if sm4:
            own |= {name: Sm4Key(own[name].expose()) for name in SM4_KEYS}
        return Secrets(**own)


def load_keys(where: str) -> KeyRing:
    """The keys a --keys option names: a file, or `test`. Raises Problem with one sentence."""
    if where == OURS:
        return KeyRing(fixtures.load_roots(), True)
    table, mode = _read(Path(where))
    kind = next((name for name in ("roots", "card") if name in table), None)
    if kind is None or len(table) != 1 or not isinstance(table[kind], dict):
        raise Problem(f"keys file {where}: expected one table, [roots] or [card], and nothing else")
    names = _ROOT_NAMES if kind == "roots" else _CARD_NAMES
    unknown = sorted(set(table[kind]) - set(names))
    if unknown:
        raise Problem(
            f"keys file {where}: [{kind}] has no key {unknown[0]}; expected {', '.join(names)}"
        )
    keys = {name: _key(where, kind, name, table[kind]) for name in names}
    return KeyRing(keys, kind == "roots", tuple(_notices(where, kind, keys, mode)))


def _read(path: Path) -> tuple[dict[str, Any], int]:
    try:
        mode = path.stat().st_mode
        return tomllib.loads(path.read_text("utf-8")), mode
    except OSError as error:
        raise Problem(f"keys file {path} cannot be read: {error.strerror}") from error
    except ValueError:  # not UTF-8, or not TOML; what was read may be a key, so it is not quoted
        raise Problem(f"keys file {path} is not TOML; expected a table [roots] or [card]") from None


def _key(where: str, kind: str, name: str, table: Mapping[str, Any]) -> Key:
    """One key. What the file has instead is not repeated: it may be a key."""
    wanted = f"expected {2 * _SIZE} hexadecimal digits"
    if name not in table:
        raise Problem(f"keys file {where}: [{kind}] lacks {name}; {wanted}")
    text = table[name]
    try:
        value = bytes.fromhex(text)
    except (TypeError, ValueError):
        raise Problem(f"keys file {where}: {name} is not hexadecimal; {wanted}") from None
    if len(value) != _SIZE:
        raise Problem(f"keys file {where}: {name} has {len(value)} bytes; {wanted}")
    return Key(value)


def _notices(where: str, kind: str, keys: Mapping[str, Key], mode: int) -> list[str]:
    notices = []
    if mode & _OTHERS:
        notices.append(f"others can read the keys file {where}; chmod 600 {where}")
    ours = {key.check_value for key in fixtures.load_roots().values()}
    if kind == "card" or any(key.check_value not in ours for key in keys.values()):
        notices.append(
            f"NOTICE: the keys of {where} are not the project's test keys; they are used on this"
            " card alone and shown nowhere"
        )
    return notices

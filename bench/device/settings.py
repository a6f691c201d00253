"""The file that says what a terminal is: TOML, every key declared once, an unknown one an error.

    direction = "entry"
    station = "Yongtaizhuang"
    journal = "yongtaizhuang.journal"

    [policy]
    passback_s = 3

Paths are taken from the folder of the file.
"""

import difflib
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from datetime import date
from pathlib import Path
from typing import Any

from fixtures.policy import load_policy, policy_names, read_policy
from reader.gate import Emergency
from reader.knobs import One, Some, Values, Whole, shown
from reader.modes import Mode
from reader.policy import Policy, PolicyError

RAIL_WAYS, BUS_WAYS = ("entry", "exit"), ("board", "alight", "single")
WAYS = RAIL_WAYS + BUS_WAYS
"""Directions of gates, and what validators on buses do."""

HEADINGS = ("up", "down")
_NAME_SIZE, _TERMINAL_DIGITS = 8, 12


class SettingsError(ValueError):
    """A terminal's file is wrong; the message is one sentence that names the key."""


@dataclass(frozen=True, slots=True)
class Text:
    """A text. size: its length, 0 for any but none. is_digits: whether it is decimal digits."""

    size: int = 0
    is_digits: bool = False

    @property
    def expected(self) -> str:
        """The kind of text in words."""
        what = "digits" if self.is_digits else "ASCII characters"
        return f"a text of {self.size} {what}" if self.size else "a text"

    def read(self, found: object) -> str | None:
        """The text, or None."""
        if not isinstance(found, str) or not found:
            return None
        fits = not self.size or (len(found) == self.size and found.isascii())
        return found if fits and (not self.is_digits or found.isdecimal()) else None


@dataclass(frozen=True, slots=True)
class Days:
    """A list of tables with the first and the last day of an emergency release."""

    expected: str = "a list of tables, each with the days `began` and `ended`, the later not first"

    def read(self, found: object) -> tuple[Emergency, ...] | None:
        """The releases, or None."""
        if not isinstance(found, list | tuple):
            return None
        read = [self._one(entry) for entry in found]
        return None if None in read else tuple(one for one in read if one is not None)

    def _one(self, entry: object) -> Emergency | None:
        if isinstance(entry, Emergency):
            return entry
        if not isinstance(entry, dict) or set(entry) != {"began", "ended"}:
            return None
        began, ended = entry["began"], entry["ended"]
        if type(began) is not date or type(ended) is not date or ended < began:
            return None
        return Emergency(began, ended)


def _key(values: Values, what: str, default: object = None) -> Any:  # noqa: ANN401 - a field
    return field(default=default, metadata={"values": values, "what": what})


@dataclass(frozen=True, slots=True)
class Settings:
    """What a terminal is. Raises SettingsError if a value does not fit its key."""

    direction: str = _key(One(WAYS), "entry or exit of a station; board, alight or single on a bus")
    name: str | None = _key(
        Text(_NAME_SIZE), "the device's own name in records; the terminal's last digits if left out"
    )
    network: str | None = _key(Text(), "a network file; the sample if left out")
    station: str | None = _key(Text(), "name or code of the station; for entry and exit")
    line: int | None = _key(Whole(0, 0xFFFF), "the bus line's number")
    stop: int | None = _key(Whole(0, 0xFF), "the stop the bus is at; the first if left out")
    heading: str = _key(One(HEADINGS), "which way the bus goes", "up")
    vehicle: str = _key(Text(_NAME_SIZE), "the bus", "BUS00001")
    modes: tuple[str, ...] | None = _key(
        Some(tuple(mode.value for mode in Mode)), "modes in force; the policy's if left out"
    )
    white_list: str | None = _key(
        Text(), "a white list file; the laboratory's one pair if left out"
    )
    blacklist: str | None = _key(Text(), "the gate's copy of the blacklist")
    journal: str | None = _key(Text(), "where its records are kept")
    psam: str | None = _key(Text(), "the PSAM's file; beside the journal if left out")
    psam_reader: str | None = _key(Text(), "a PC/SC reader with a PSAM in it, instead of a file")
    terminal: str | None = _key(
        Text(_TERMINAL_DIGITS, is_digits=True), "the terminal number of a new PSAM"
    )
    emergencies: tuple[Emergency, ...] = _key(Days(), "releases whose open trips are accepted", ())
    policy: Policy = field(
        default_factory=load_policy,
        metadata={"values": None, "what": "a policy by name, its file, or a table of its knobs"},
    )

    def __post_init__(self) -> None:
        for key in fields(self):
            found, values = getattr(self, key.name), key.metadata["values"]
            if values is None or (found is None and key.name != "direction"):
                continue
            read = values.read(found)
            if read is None:
                raise SettingsError(
                    f"'{key.name}' is {shown(found)}; expected {values.expected}"
                    if found is not None
                    else f"'{key.name}' is missing; expected {values.expected}"
                )
            object.__setattr__(self, key.name, read)
        self._demand_place()

    def _demand_place(self) -> None:
        rail = self.direction in RAIL_WAYS
        needed, other = ("station", "line") if rail else ("line", "station")
        if getattr(self, needed) is None:
            raise SettingsError(f"direction '{self.direction}' needs a '{needed}'; name one")
        if getattr(self, other) is not None:
            raise SettingsError(
                f"direction '{self.direction}' has no '{other}'; leave it out or choose one of:"
                f" {', '.join(BUS_WAYS if rail else RAIL_WAYS)}"
            )
        if self.psam is not None and self.psam_reader is not None:
            raise SettingsError("'psam' and 'psam_reader' are both there; keep one")

    @property
    def is_rail(self) -> bool:
        """Whether it is a metro gate, or else a validator on a bus."""
        return self.direction in RAIL_WAYS


PATHS = ("network", "white_list", "blacklist", "journal", "psam")
"""Keys that name files."""


def read_settings(path: Path, **over: object) -> Settings:
    """The terminal of a file.

    over: keys of the command line, which win where they are not None. Raises SettingsError.
    """
    try:
        table = tomllib.loads(path.read_text("utf-8"))
    except OSError as error:
        raise SettingsError(f"the file {path} cannot be read: {error.strerror}") from None
    except UnicodeDecodeError:
        raise SettingsError(f"the file {path} is not a text in UTF-8") from None
    except tomllib.TOMLDecodeError as broken:
        raise SettingsError(f"the file {path} is not TOML: {broken}") from None
    try:
        found = _known(table) | {"policy": _policy(table.get("policy"), path.parent)}
        for name in PATHS:
            if isinstance(found.get(name), str):
                found[name] = str(path.parent / found[name])
        return make_settings(found, **over)
    except (SettingsError, PolicyError) as wrong:
        raise SettingsError(f"the file {path}: {wrong}") from None


def make_settings(found: Mapping[str, Any], **over: object) -> Settings:
    """Settings from values by key; `over` wins where it is not None. Raises SettingsError."""
    merged = dict(found) | {key: value for key, value in over.items() if value is not None}
    return Settings(**merged)


def keys() -> tuple[tuple[str, str, str, object], ...]:
    """Every key: its name, what is expected, what it is for, and its default."""
    rows = []
    for key in fields(Settings):
        values = key.metadata["values"]
        expected = "a text or a table" if values is None else values.expected
        default = None if values is None else key.default
        rows.append((key.name, expected, key.metadata["what"], default))
    return tuple(rows)


def _known(table: Mapping[str, Any]) -> dict[str, Any]:
    names = [key.name for key in fields(Settings)]
    for name in table:
        if name not in names:
            close = difflib.get_close_matches(name, names)
            hint = f"close: {', '.join(close)}" if close else f"there is {', '.join(names)}"
            raise SettingsError(f"there is no key '{name}'; {hint}")
    return dict(table)


def _policy(found: object, folder: Path) -> Policy:
    if found is None:
        return load_policy()
    if isinstance(found, dict):
        return Policy.from_table("of its own", found)
    if not isinstance(found, str):
        raise SettingsError(f"'policy' is {shown(found)}; expected a name, a file or a table")
    return load_policy(found) if found in policy_names() else read_policy(folder / found)

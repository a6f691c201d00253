"""What every policy is made of: a frozen dataclass whose fields are knobs, and its TOML files.

The knobs themselves are in `reader.policy` (gates and money) and `issuer.policy` (the back office).
"""

import difflib
import tomllib
from collections.abc import Mapping
from dataclasses import fields
from typing import Any, Self

from reader.knobs import Knob, shown


class PolicyError(ValueError):
    """A policy is wrong; the message is one sentence that names the knob and what is expected."""


class Knobbed:
    """The base of a policy. Its fields are declared with `reader.knobs.knob_maker`."""

    __slots__ = ()

    @classmethod
    def knobs(cls) -> tuple[Knob, ...]:
        """Every knob, in the order of declaration."""
        declared = fields(cls)  # type: ignore[arg-type] # the classes that have fields are below
        return tuple(Knob(f.name, default=f.default, **f.metadata) for f in declared)

    def __post_init__(self) -> None:
        """Bring each value into its one form. Raises PolicyError."""
        for knob in self.knobs():
            found = getattr(self, knob.name)
            read = knob.values.read(found)
            if read is None:
                raise PolicyError(
                    f"knob '{knob.name}' is {shown(found)}; expected {knob.values.expected}"
                )
            object.__setattr__(self, knob.name, read)

    @classmethod
    def from_table(cls, name: str, table: Mapping[str, Any]) -> Self:
        """From a parsed TOML file: a value for each knob it names, defaults for the others.

        name: of the policy or its file, for the message. Raises PolicyError.
        """
        known = [knob.name for knob in cls.knobs()]
        for entry in table:
            if entry not in known:
                raise PolicyError(
                    f"policy {name}: there is no knob '{entry}'{_close_to(entry, known)}"
                )
        try:
            return cls(**table)
        except PolicyError as wrong:
            raise PolicyError(f"policy {name}: {wrong}") from None

    @classmethod
    def from_toml(cls, name: str, text: str) -> Self:
        """From the text of a TOML file. Raises PolicyError."""
        try:
            table = tomllib.loads(text)
        except tomllib.TOMLDecodeError as broken:
            raise PolicyError(f"policy {name}: expected TOML; {broken}") from None
        return cls.from_table(name, table)


def _close_to(entry: str, names: list[str]) -> str:
    close = difflib.get_close_matches(entry, names)
    return f"; close: {', '.join(close)}" if close else "; docs/policy.md lists all"

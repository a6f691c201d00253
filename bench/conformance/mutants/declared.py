"""The declared lies of `fixtures/mutants`, one table each. Imports nothing that can be patched."""

import tomllib
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from importlib.resources import files
from typing import Any, get_origin

from bench.problem import Problem

KINDS = ("card", "gate")
"""What is broken: each kind has its file in `fixtures/mutants`."""


@dataclass(frozen=True, slots=True)
class Mutant:
    """One lie.

    id:      M-CARD-001 or M-GATE-001; never used for another.
    title, title_zh: what the broken card or gate does, as a sentence.
    clause:  section of the protocol reference it breaks.
    module:  whose source is changed.
    find:    text that is there once; or `occurrence` (from 1) says which one is meant.
    replace: what stands there instead.
    needs:   "frames" if APDUs cannot show it: it is judged by the cases for frames alone.
    profile: of the card that shows it, if the student's does not (`fixtures.profiles`).
    setup:   fields of that profile to replace, as in `bench.conformance.case.Case`.
    equivalent: why nothing a reader can do shows it; empty if something must.
    """

    id: str
    title: str
    title_zh: str
    clause: str
    module: str
    find: str
    replace: str
    occurrence: int = 0
    needs: str = ""
    profile: str = ""
    setup: dict[str, Any] = field(default_factory=dict)
    equivalent: str = ""

    def to_json(self) -> dict[str, Any]:
        """For the child that runs it."""
        return asdict(self)

    @property
    def kind(self) -> str:
        """Which of KINDS it breaks."""
        return self.id.split("-")[1].lower()


def load(kind: str) -> dict[str, Mutant]:
    """All mutants of a kind by id, in their order. Raises Problem."""
    if kind not in KINDS:
        raise Problem(f"there are no mutants of a '{kind}'; choose one of: {', '.join(KINDS)}")
    path = files("fixtures.mutants").joinpath(f"{kind}.toml")
    if not path.is_file():
        raise Problem(f"no broken {kind} is declared: fixtures/mutants/{kind}.toml is not there")
    return parsed(path.read_text("utf-8"), f"{kind}.toml")


def parsed(text: str, name: str) -> dict[str, Mutant]:
    """Mutants from a text. name: of the file, for messages. Raises Problem."""
    try:
        tables = tomllib.loads(text).get("mutant", [])
    except tomllib.TOMLDecodeError as broken:
        raise Problem(f"{name} is not TOML: {broken}") from None
    found: dict[str, Mutant] = {}
    for table in tables:
        mutant = _mutant(table, name)
        if mutant.id in found:
            raise Problem(f"{name}: {mutant.id} is there twice; give one of them the next number")
        found[mutant.id] = mutant
    return found


_SHAPE = {one.name: get_origin(one.type) or one.type for one in fields(Mutant)}
_WORDS: dict[Any, str] = {str: "a text", int: "a whole number", dict: "a table"}
_NEEDED = {"id", "title", "title_zh", "clause", "module", "find", "replace"}


def _mutant(table: Mapping[str, Any], name: str) -> Mutant:
    who = f"{name}: {table.get('id', 'a mutant without id')}"
    for entry, found in table.items():
        if entry not in _SHAPE:
            raise Problem(f"{who} has '{entry}'; expected one of: {', '.join(_SHAPE)}")
        if type(found) is not _SHAPE[entry]:
            raise Problem(f"{who}: '{entry}' is {found!r}; expected {_WORDS[_SHAPE[entry]]}")
    missing = sorted(_NEEDED - table.keys())
    if missing:
        raise Problem(f"{who} has no '{missing[0]}'")
    return Mutant(**table)

"""The transaction machine as rows, derived from the command statements (protocol reference 4.2).

Where a command is legal and where it leads stands in its `CommandSpec` and nowhere else. The
picture `docs/states.svg`, the table in `docs/commands.md` and tests read these rows.
"""

from collections.abc import Iterable
from typing import Any

from apdu.spec import ANY, CommandSpec, State
from apdu.value import value

REFUSED = State.IDLE
"""Where every refusal leads: the transaction is over and cached records are dropped (4.2)."""


@value
class Transition:
    """One command in one state. ok: state after success, None where the command is illegal."""

    state: State
    spec: CommandSpec[Any, Any]
    ok: State | None
    refused: State


def transitions(specs: Iterable[CommandSpec[Any, Any]]) -> tuple[Transition, ...]:
    """Every command in every state."""
    return tuple(
        Transition(state, spec, spec.then if state in spec.when else None, REFUSED)
        for spec in specs
        for state in State
    )


@value
class Edge:
    """An arrow of the picture. source: None stands for every state."""

    source: State | None
    target: State
    names: tuple[str, ...]


def edges(rows: Iterable[Transition]) -> tuple[Edge, ...]:
    """The rows as arrows, without those of commands that are legal everywhere and lead to rest."""
    drawn: dict[tuple[State | None, State], list[str]] = {}
    for row in rows:
        if row.ok is None:
            continue
        if row.spec.when == ANY:
            if row.ok is State.IDLE:
                continue
            _note(drawn.setdefault((None, row.ok), []), row.spec.name)
        else:
            _note(drawn.setdefault((row.state, row.ok), []), row.spec.name)
    return tuple(Edge(source, target, tuple(names)) for (source, target), names in drawn.items())


def _note(names: list[str], name: str) -> None:
    if name not in names:
        names.append(name)


def bystanders(rows: Iterable[Transition]) -> tuple[str, ...]:
    """Commands that are legal everywhere and lead to rest: what `edges` leaves out."""
    found: list[str] = []
    for row in rows:
        if row.spec.when == ANY and row.ok is State.IDLE:
            _note(found, row.spec.name)
    return tuple(found)

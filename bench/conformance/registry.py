"""How a case enters the suite: by the decorator `case`, or many at once by a `family`."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

from bench.conformance.case import Body, Case, Level, Need
from bench.conformance.words import Words

_CASES: dict[str, Case] = {}
_FAMILIES: list[Callable[[], Iterable[Case]]] = []


def case(
    group: str,
    en: str,
    zh: str,
    *clauses: str,
    needs: Iterable[Need] = (),
    grade: str = "C",
    level: Level = Level.FULL,
    setup: Mapping[str, Any] | None = None,
) -> Callable[[Body], Body]:
    """Register a function as a case. Its key is its module and name: neither may be changed.

    clauses: sections of the protocol reference, the first the one it is about.
    """

    def register(body: Body) -> Body:
        key = f"{body.__module__.rsplit('.', 1)[-1]}.{body.__name__}"
        add(
            Case(
                key,
                group,
                Words(en, zh),
                clauses,
                body,
                grade,
                frozenset(needs),
                level,
                dict(setup or {}),
            )
        )
        return body

    return register


def family(make: Callable[[], Iterable[Case]]) -> Callable[[], Iterable[Case]]:
    """Register a function that derives cases from a declaration."""
    _FAMILIES.append(make)
    return make


def add(made: Case) -> None:
    """Put one case into the suite. Raises ValueError if its key is taken."""
    if made.key in _CASES:
        raise ValueError(f"there are two cases with the key {made.key}")
    _CASES[made.key] = made


def registered() -> Iterator[Case]:
    """All cases registered so far; families are worked out once."""
    while _FAMILIES:
        for made in _FAMILIES.pop(0)():
            add(made)
    yield from _CASES.values()

"""How a case enters the suite: by the decorator `case`, or many at once by a `family`."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import replace
from typing import Any, TypedDict, Unpack

from bench.conformance.case import Body, Case, Level, Need
from bench.conformance.words import Words, spaced

_CASES: dict[str, Case] = {}
_FAMILIES: list[Callable[[], Iterable[Case]]] = []
_PLACES: dict[str, tuple[bool, str]] = {}
"""By key: whether it is one of a family, and the module. The order of imports is no order."""


class How(TypedDict, total=False):
    """What else is said of a case. See `Case`."""

    needs: Iterable[Need]
    grade: str
    level: Level
    setup: Mapping[str, Any]


def described(body: Body, group: str, title: Words, clauses: tuple[str, ...], how: How) -> Case:
    """A function as a case. Its key is its module and name."""
    return Case(
        f"{body.__module__.rsplit('.', 1)[-1]}.{body.__name__}",
        group,
        title,
        clauses,
        body,
        how.get("grade", "C"),
        frozenset(how.get("needs", ())),
        how.get("level", Level.FULL),
        dict(how.get("setup", {})),
    )


def case(group: str, en: str, zh: str, *clauses: str, **how: Unpack[How]) -> Callable[[Body], Body]:
    """Register a function as a case. Its key is its module and name: neither may be changed.

    clauses: sections of the protocol reference, the first the one it is about.
    """

    def register(body: Body) -> Body:
        add(described(body, group, Words(en, zh), clauses, how), (False, body.__module__))
        return body

    return register


def family(make: Callable[[], Iterable[Case]]) -> Callable[[], Iterable[Case]]:
    """Register a function that derives cases from a declaration."""
    _FAMILIES.append(make)
    return make


def add(made: Case, place: tuple[bool, str]) -> None:
    """Put one case into the suite. place: see `_PLACES`. Raises ValueError if its key is taken."""
    if made.key in _CASES:
        raise ValueError(f"there are two cases with the key {made.key}")
    _CASES[made.key] = replace(made, title=Words(made.title.en, spaced(made.title.zh)))
    _PLACES[made.key] = place


def registered() -> Iterator[Case]:
    """All cases registered so far; families are worked out once.

    Those written one by one come first, each module's in the order it has them.
    """
    while _FAMILIES:
        make = _FAMILIES.pop(0)
        for made in make():
            add(made, (True, make.__module__))
    yield from sorted(_CASES.values(), key=lambda one: _PLACES[one.key])

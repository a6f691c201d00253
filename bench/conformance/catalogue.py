"""The suite's cases and their numbers.

A case is registered by the decorator `case`, or made in numbers by a function under `family`. What
identifies it for ever is its key; its number comes from the ledger `fixtures/conformance/ids.json`,
which only grows: `python -m bench.conformance.catalogue` gives new cases the next numbers of their
groups. A number is never used for another case.
"""

import fnmatch
import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import cache
from importlib import import_module
from importlib.resources import files
from pathlib import Path
from typing import Any

from bench.conformance.case import Body, Case, Level, Need
from bench.conformance.words import Words

CARD_MODULES: tuple[str, ...] = ("bench.conformance.card.ladders",)
"""Modules with cases for cards, in the order of the suite."""

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


@cache
def card_cases() -> dict[str, Case]:
    """All cases for cards by id, in the order of the suite. Raises LookupError without a number."""
    numbers = _ledger()
    found: dict[str, Case] = {}
    for made in _collected():
        if made.key not in numbers:
            raise LookupError(
                f"{made.key} has no number; run python -m bench.conformance.catalogue"
            )
        found[numbers[made.key]] = made
    return found


def _collected() -> Iterator[Case]:
    for module in CARD_MODULES:
        import_module(module)
    while _FAMILIES:
        for made in _FAMILIES.pop(0)():
            add(made)
    yield from _CASES.values()


def chosen(
    cases: Mapping[str, Case], pattern: str = "", level: Level = Level.FULL
) -> dict[str, Case]:
    """The cases whose id, key or clause fits a shell pattern, or several with commas."""
    patterns = pattern.split(",") if pattern else ["*"]
    return {
        number: one
        for number, one in cases.items()
        if (level is Level.FULL or one.level is Level.BASIC)
        and any(_fits(number, one, wanted) for wanted in patterns)
    }


def _fits(number: str, one: Case, pattern: str) -> bool:
    names = (number, one.key, *one.clauses)
    return any(fnmatch.fnmatchcase(name, pattern) for name in names)


def _ledger() -> dict[str, str]:
    text = files("fixtures.conformance").joinpath("ids.json").read_text("utf-8")
    numbers: dict[str, str] = json.loads(text)
    return numbers


def number_new() -> list[str]:
    """Give each case without a number the next one of its group. Returns the new ids."""
    numbers = _ledger()
    last: dict[str, int] = {}
    for number in numbers.values():
        head, _, tail = number.rpartition("-")
        last[head] = max(last.get(head, 0), int(tail))
    new = []
    for made in _collected():
        if made.key not in numbers:
            head = f"CARD-{made.group}"
            last[head] = last.get(head, 0) + 1
            numbers[made.key] = f"{head}-{last[head]:03d}"
            new.append(numbers[made.key])
    path = Path(str(files("fixtures.conformance").joinpath("ids.json")))
    path.write_text(json.dumps(numbers, indent=0, ensure_ascii=False) + "\n", "utf-8")
    return new


if __name__ == "__main__":
    from bench.conformance import catalogue

    print("\n".join(catalogue.number_new()) or "every case has its number")  # noqa: T201

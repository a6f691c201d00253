"""The suites of cards and of gates: all cases and their numbers.

Cases are registered by the modules of `bench.conformance.card` and `bench.conformance.gate.cases`
(see `registry`). What identifies a case for ever is its key; its number comes from its group's
ledger in `fixtures/conformance`, those of gates in its folder `gate`. Ledgers only grow:
`python -m bench.conformance.suite` gives new cases the next numbers of their groups. A number is
never used for another case.
"""

import fnmatch
import json
from collections.abc import Iterator, Mapping
from functools import cache
from importlib import import_module
from importlib.resources import files
from pathlib import Path
from pkgutil import iter_modules
from types import ModuleType

from bench.conformance import card
from bench.conformance.case import Case, Level
from bench.conformance.gate import cases as gate_modules
from bench.conformance.registry import registered

GATE_GROUPS = {
    "JBGN": "basic functions (基本功能)",
    "TJJY": "trips (行程交易)",
    "LJJY": "interrupted transactions (中断交易)",
    "WDX": "stability (稳定性)",
    "JYSJ": "transaction data (交易数据)",
}
"""The groups of the published terminal test plan (domain facts 4.2); all others are of cards."""


@cache
def card_cases() -> dict[str, Case]:
    """All cases for cards by id, in the order of the suite. Raises LookupError without a number."""
    return _numbered(one for one in _collected(card) if one.group not in GATE_GROUPS)


@cache
def gate_cases() -> dict[str, Case]:
    """All cases for gates by id, in the order of their numbers. Raises LookupError without one."""
    found = _numbered(one for one in _collected(gate_modules) if one.group in GATE_GROUPS)
    order = list(GATE_GROUPS)
    return dict(sorted(found.items(), key=lambda one: (order.index(one[1].group), one[0])))


def _numbered(cases: Iterator[Case]) -> dict[str, Case]:
    ledgers: dict[str, dict[str, int]] = {}
    found: dict[str, Case] = {}
    for made in cases:
        if made.group not in ledgers:
            ledgers[made.group] = _ledger(made.group)
        number = ledgers[made.group].get(made.key)
        if number is None:
            raise LookupError(f"{made.key} has no number; run python -m bench.conformance.suite")
        found[_id(made.group, number)] = made
    return found


def _collected(*packages: ModuleType) -> Iterator[Case]:
    for package in packages:
        for module in sorted(found.name for found in iter_modules(package.__path__)):
            import_module(f"{package.__name__}.{module}")
    yield from registered()


def chosen(
    cases: Mapping[str, Case], pattern: str = "", level: Level = Level.FULL
) -> dict[str, Case]:
    """The cases whose id, key or clause fits a shell pattern, or several with commas."""
    patterns = patterns_of(pattern) or ["*"]
    return {
        number: one
        for number, one in cases.items()
        if (level is Level.FULL or one.level is Level.BASIC)
        and any(_fits(number, one, wanted) for wanted in patterns)
    }


def patterns_of(text: str) -> list[str]:
    """The patterns of a text with commas.

    >>> patterns_of("CARD-LOAD-*, 4.20")
    ['CARD-LOAD-*', '4.20']
    """
    return [one.strip() for one in text.split(",") if one.strip()]


def unfit(cases: Mapping[str, Case], pattern: str) -> list[str]:
    """Which of the patterns fit no case, of whatever level."""
    return [
        wanted
        for wanted in patterns_of(pattern)
        if not any(_fits(number, one, wanted) for number, one in cases.items())
    ]


def _fits(number: str, one: Case, pattern: str) -> bool:
    names = (number, one.key, *one.clauses)
    return any(fnmatch.fnmatchcase(name.lower(), pattern.lower()) for name in names)


def _id(group: str, number: int) -> str:
    kind = "GATE" if group in GATE_GROUPS else "CARD"
    return f"{kind}-{group}-{number:03d}"


def _path(group: str) -> Path:
    folder = Path(str(files("fixtures.conformance")))
    return (folder / "gate" if group in GATE_GROUPS else folder) / f"{group}.json"


def _ledger(group: str) -> dict[str, int]:
    path = _path(group)
    numbers: dict[str, int] = json.loads(path.read_text("utf-8")) if path.exists() else {}
    return numbers


def number_new() -> list[str]:
    """Give each case without a number the next one of its group. Returns the new ids."""
    groups: dict[str, list[Case]] = {}
    for made in _collected(card, gate_modules):
        groups.setdefault(made.group, []).append(made)
    new = []
    for group, members in groups.items():
        numbers = _ledger(group)
        last = max(numbers.values(), default=0)
        for made in members:
            if made.key not in numbers:
                last += 1
                numbers[made.key] = last
                new.append(_id(group, last))
        text = json.dumps(numbers, indent=0, ensure_ascii=False)
        _path(group).write_text(text + "\n", "utf-8")
    return new


if __name__ == "__main__":
    from bench.conformance import suite

    print("\n".join(suite.number_new()) or "every case has its number")  # noqa: T201

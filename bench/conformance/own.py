"""Cases that are not of the suite: a user's own, played beside it by the pytest plugin."""

from collections.abc import Callable
from typing import Unpack

from bench.conformance.case import Body, Case
from bench.conformance.registry import How, described
from bench.conformance.words import Words

_CASES: dict[Body, Case] = {}


def case(group: str, en: str, zh: str, *clauses: str, **how: Unpack[How]) -> Callable[[Body], Body]:
    """Make a function a case of one's own. It has no number; pytest calls it by its name.

    clauses: what it rests on; the first is named when it fails.
    """

    def register(body: Body) -> Body:
        _CASES[body] = described(body, group, Words(en, zh), clauses or ("-",), how)
        return body

    return register


def own_case(found: object) -> Case | None:
    """The case that a function was made into."""
    return _CASES.get(found) if callable(found) else None

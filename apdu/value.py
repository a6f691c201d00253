"""Values: small classes that are made on the hot path and never changed.

Type checkers see frozen dataclasses; at run time they are plain slots classes, because a frozen
`__init__` costs several times as much (docs/design.md).
"""

from collections.abc import Callable
from dataclasses import dataclass, fields
from functools import cache
from operator import attrgetter
from typing import Any, TypeVar, dataclass_transform

T = TypeVar("T")


@dataclass_transform(frozen_default=True)
def value(cls: type[T]) -> type[T]:
    """Make a value class.

    >>> @value
    ... class Pair:
    ...     left: int
    ...     right: int = 0
    >>> Pair(1) == Pair(1, 0)
    True
    """
    return dataclass(slots=True)(cls)


def changed(one: T, **changes: Any) -> T:  # noqa: ANN401 - as many types as there are fields
    """A value, or another dataclass, with some fields changed: `dataclasses.replace`, much faster.

    Fields that follow from others (`init=False`) are worked out again. Raises TypeError for a field
    that is no argument of its class.

    >>> @value
    ... class Pair:
    ...     left: int
    ...     right: int = 0
    >>> changed(Pair(1, 2), right=3)
    Pair(left=1, right=3)
    """
    cls: Any = type(one)
    of, at = _shape(cls)
    values = list(of(one))
    for name, new in changes.items():
        place = at.get(name)
        if place is None:
            raise TypeError(f"{cls.__name__} takes no field {name}")
        values[place] = new
    made: T = cls(*values)
    return made


@cache
def _shape(cls: Any) -> tuple[Callable[[Any], tuple[Any, ...]], dict[str, int]]:  # noqa: ANN401
    """What reads all arguments of a class at once, and the place of each among them."""
    names = [one.name for one in fields(cls) if one.init]
    of: Callable[[Any], Any] = attrgetter(*names)
    if len(names) == 1:  # then it reads the bare value
        return (lambda one: (of(one),)), {names[0]: 0}
    return of, {name: place for place, name in enumerate(names)}

"""Values: small classes that are made on the hot path and never changed.

Type checkers see frozen dataclasses; at run time they are plain slots classes, because a frozen
`__init__` costs several times as much (docs/design.md).
"""

from dataclasses import dataclass
from typing import TypeVar, dataclass_transform

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

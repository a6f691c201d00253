"""What a check runs of a long sweep: a seeded slice. `make cuts` runs the whole (`--whole`)."""

from collections.abc import Callable, Hashable, Iterable
from random import Random
from typing import TypeVar
from zlib import crc32

SEED = 1
ONE_IN = 4
"""Of the tests that say nothing new on another database, how many run there in a slice."""

C = TypeVar("C")
Kinds = Callable[[C], Iterable[Hashable]]
"""What a case stands for: of each such thing a slice has one case or more."""


def no_kind(case: object) -> tuple[()]:
    return ()


def parts(case: Iterable[Hashable]) -> Iterable[Hashable]:
    """Each part of a case in its place: of two cuts, each first and each second one."""
    return enumerate(case)


def slice_of(cases: Iterable[C], most: int, kinds: Kinds[C] = no_kind, seed: int = SEED) -> list[C]:
    """A seeded slice of cases, in their order: first what covers every kind, then any up to `most`.

    Longer than `most` if the kinds need it.
    """
    told = list(cases)
    order = Random(seed).sample(range(len(told)), len(told))
    seen: set[Hashable] = set()
    taken: set[int] = set()
    for at in order:
        stands_for = set(kinds(told[at]))
        if not stands_for <= seen:
            seen |= stands_for
            taken.add(at)
    spare = [at for at in order if at not in taken]
    taken.update(spare[: max(most - len(taken), 0)])
    return [told[at] for at in sorted(taken)]


def is_drawn(name: str) -> bool:
    """Whether a name is in the slice of one in `ONE_IN`: whatever other names there are."""
    return crc32(f"{SEED} {name}".encode()) % ONE_IN == 0


class Some:
    """Takes a slice of cases, or all of them: the fixture `some`."""

    def __init__(self, is_whole: bool) -> None:
        self.is_whole = is_whole

    def __call__(self, cases: Iterable[C], most: int, kinds: Kinds[C] = no_kind) -> list[C]:
        return list(cases) if self.is_whole else slice_of(cases, most, kinds)

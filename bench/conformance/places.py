"""What the options of a suite mean: where it is played, and how much of it."""

from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from functools import partial

from bench.conformance.case import Level
from bench.conformance.reader_stand import ROADS as READERS
from bench.conformance.reader_stand import Leave, reader_stand
from bench.conformance.stand import Stand, own_stand
from bench.problem import Problem
from bench.roads import FIELDS

USUAL_PROFILE = "student"


def parsed_level(name: str) -> Level:
    """The level of a --level option. Raises Problem."""
    try:
        return Level(name)
    except ValueError:
        levels = " or ".join(one.value for one in Level)
        raise Problem(f"there is no level '{name}'; choose {levels}") from None


def names_of(via: str) -> list[str]:
    """The places a --via option names, each once."""
    names = FIELDS if via == "all" else map(str.strip, via.split(","))
    return list(dict.fromkeys(names))


@dataclass(frozen=True, slots=True)
class Place:
    """A road or a reader. open: the stand there, when it is needed. is_ours: it makes cards."""

    name: str
    open: Callable[[], AbstractContextManager[Stand]]
    is_ours: bool


def places(via: str, leave: Leave, seed: int) -> list[Place]:
    """The places of a --via option: several with commas, `all` for every road to our own card.

    Raises Problem.
    """
    found = [_place(name, leave, seed) for name in names_of(via)]
    if leave.keys is not None and all(place.is_ours for place in found):
        raise Problem("--keys is for a card on a reader; the bench knows its own cards' keys")
    return found


def _place(name: str, leave: Leave, seed: int) -> Place:
    if name in FIELDS:
        profile = leave.profile or USUAL_PROFILE
        return Place(name, partial(own_stand, name, profile, seed), True)
    if name.partition(":")[0] in READERS and ":" in name:
        return Place(name, partial(reader_stand, name, leave), False)
    raise Problem(
        f"there is no road '{name}'; choose one of: {', '.join(FIELDS)}, all, pcsc:READER,"
        " nfc:DEVICE"
    )

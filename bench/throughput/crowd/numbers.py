"""Numbers that people give: rates, shares, times. A wrong one is a `Problem` in one sentence."""

from collections.abc import Mapping
from typing import TypeVar

from bench.problem import Problem

T = TypeVar("T")

SECOND_NS = 1_000_000_000


def in_range(what: str, number: float, least: float, most: float) -> float:
    """The number, if it is one from `least` to `most`. Raises Problem."""
    if not least <= number <= most:  # no nan is
        raise Problem(f"{what} is {_short(number)}; expected {least:g} to {most:g}")
    return number


def _short(number: float) -> str:
    """A number that may be a whole one of hundreds of digits, which no float holds."""
    try:
        return f"{number:g}"
    except OverflowError:
        return f"{str(number)[:12]}..."


def read_number(what: str, text: str, least: float, most: float) -> float:
    """A number of a text. Raises Problem.

    >>> read_number("the rate", "30", 1, 600)
    30.0
    """
    try:
        number = float(text)
    except ValueError:
        raise Problem(f"{what} is '{text}'; expected a number from {least:g} to {most:g}") from None
    return in_range(what, number, least, most)


def read_weights(what: str, text: str) -> dict[str, float]:
    """Names with weights, as `student=9,senior=1`; a single name weighs 1. Raises Problem.

    >>> read_weights("the mix", "student=9,senior=1")
    {'student': 9.0, 'senior': 1.0}
    """
    weights: dict[str, float] = {}
    for entry in text.split(","):
        name, has_weight, weight = entry.strip().partition("=")
        if not name or name in weights:
            said = f"'{name}' is there twice" if name else "an entry has no name"
            raise Problem(f"{what} is '{text}', where {said}; expected NAME=WEIGHT with commas")
        weights[name] = (
            read_number(f"the weight of {name} in {what}", weight, 0, 1e6) if has_weight else 1.0
        )
    if not sum(weights.values()):
        raise Problem(f"{what} is '{text}', where nothing has a weight above 0")
    return weights


def choose_by(draw: float, weights: Mapping[T, float]) -> T:
    """The name at a place in the weights. draw: 0 up to, and not including, 1.

    >>> [choose_by(draw, {"a": 3.0, "b": 1.0}) for draw in (0.0, 0.74, 0.76)]
    ['a', 'a', 'b']
    """
    left = draw * sum(weights.values())
    last = None
    for name, weight in weights.items():
        if weight > 0:
            last = name
            if left < weight:
                return name
            left -= weight
    assert last is not None
    return last

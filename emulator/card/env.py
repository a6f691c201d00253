"""The outside world a card may see: randomness. A card has no clock of its own."""

import os
import random as _random
from collections import deque
from collections.abc import Iterable
from typing import Protocol


class Env(Protocol):
    """What is handed in, so that a run replays from a seed."""

    def random(self, n: int) -> bytes:
        """n random bytes."""
        ...


class SystemEnv:
    """The operating system's randomness."""

    def random(self, n: int) -> bytes:
        """See Env."""
        return os.urandom(n)


class SeededEnv:
    """Repeatable randomness: the same seed gives the same card answers.

    >>> SeededEnv(1).random(4) == SeededEnv(1).random(4)
    True
    """

    def __init__(self, seed: int | str) -> None:
        self._source = _random.Random(seed)  # noqa: S311 - repeatable on purpose

    def random(self, n: int) -> bytes:
        """See Env."""
        return self._source.randbytes(n)


class ScriptedEnv:
    """Random numbers given in advance, as in the printed ladders (protocol reference 6)."""

    def __init__(self, numbers: Iterable[bytes]) -> None:
        self._numbers = deque(numbers)

    def random(self, n: int) -> bytes:
        """The next number of the script. Raises ValueError if it has another length or is gone."""
        if not self._numbers:
            raise ValueError("the script has no random number left")
        number = self._numbers.popleft()
        if len(number) != n:
            raise ValueError(f"the card wants {n} random bytes, the script has {len(number)}")
        return number

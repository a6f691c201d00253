"""What goes wrong on the air: stated as values, made by a seed, replayed from a list.

A `Fault` names what happens and where: at the n-th frame on the air, both directions counted from
0, or at an instant. A `Script` plays given faults. `Noise` draws them from a seed and keeps those
that happened, so that any noisy run can be played again as a script, from a file if need be.
"""

import json
import random
from collections.abc import Iterable, Sequence
from enum import StrEnum
from typing import Any, Final, Protocol

from apdu.value import value


class FaultKind(StrEnum):
    """What may happen."""

    LOST = "lost"  # the frame does not arrive
    FLIPPED = "flipped"  # bit `bit` of the frame arrives wrong, and `width` - 1 after it
    TRUNCATED = "truncated"  # only the first `bit` bits arrive
    DUPLICATED = "duplicated"  # a copy follows: see `Air`
    DELAYED = "delayed"  # a card's answer begins `ns` later
    LEAVES = "leaves"  # the card leaves the field, at bit `bit` of the frame or at the instant
    RETURNS = "returns"  # the card comes back before the frame, or at the instant
    WEAK = "weak"  # the field is too weak for the card from this frame on, for `count` frames
    JOINS = "joins"  # a second card comes into the field before the frame, or at the instant


@value
class Fault:
    """One thing that goes wrong. frame: the n-th frame on the air, or None where `at_ns` counts.

    bit: data bits from the start of the frame.  width: how many bits are flipped.
    ns: a delay.  count: how many frames it lasts.
    """

    kind: FaultKind
    frame: int | None = None
    at_ns: int | None = None
    bit: int = 0
    width: int = 1
    ns: int = 0
    count: int = 1


NOISE: Final = (FaultKind.LOST, FaultKind.FLIPPED, FaultKind.TRUNCATED, FaultKind.DUPLICATED)
"""What a bad air does to frames while the card stays where it is."""


class Faults(Protocol):
    """Where an air asks what goes wrong."""

    def at_frame(self, index: int, bits: int) -> Sequence[Fault]:
        """What happens to the frame of this number. bits: its length."""
        ...

    def due(self, now_ns: int) -> Sequence[Fault]:
        """What was to happen at an instant up to now; each is told once, in order."""
        ...

    def next_leave_ns(self) -> int | None:
        """The instant at which the card leaves next, if one is set."""
        ...


class Script:
    """Given faults, each once."""

    def __init__(self, faults: Iterable[Fault] = ()) -> None:
        listed = list(faults)
        for fault in listed:
            if (fault.frame is None) == (fault.at_ns is None):
                raise ValueError(f"a fault is at a frame or at an instant, one of them: {fault}")
        self._frames: dict[int, list[Fault]] = {}
        for fault in listed:
            if fault.frame is not None:
                self._frames.setdefault(fault.frame, []).append(fault)
        timed = [fault for fault in listed if fault.at_ns is not None]
        self._timed = sorted(timed, key=lambda fault: fault.at_ns or 0)

    def at_frame(self, index: int, bits: int) -> Sequence[Fault]:
        """See Faults."""
        return self._frames.get(index, ())

    def due(self, now_ns: int) -> Sequence[Fault]:
        """See Faults."""
        if not self._timed or (self._timed[0].at_ns or 0) > now_ns:
            return ()
        due = [fault for fault in self._timed if (fault.at_ns or 0) <= now_ns]
        self._timed = self._timed[len(due) :]
        return due

    def next_leave_ns(self) -> int | None:
        """See Faults."""
        for fault in self._timed:
            if fault.kind is FaultKind.LEAVES:
                return fault.at_ns
        return None


class Noise:
    """Faults drawn from a seed: each frame suffers with probability `rate`.

    kinds: what may happen, all equally likely. most_ns: the longest delay.
    happened: what was drawn so far, for `Script`.
    """

    def __init__(
        self,
        seed: int | str,
        rate: float,
        kinds: Sequence[FaultKind] = NOISE,
        most_ns: int = 100_000_000,
    ) -> None:
        self.happened: list[Fault] = []
        self._random = random.Random(seed)  # noqa: S311 - repeatable on purpose
        self._rate = rate
        self._kinds = kinds
        self._most_ns = most_ns

    def at_frame(self, index: int, bits: int) -> Sequence[Fault]:
        """See Faults."""
        draw = self._random
        if draw.random() >= self._rate:
            return ()
        kind = draw.choice(self._kinds)
        fault = Fault(
            kind,
            index,
            bit=draw.randrange(max(bits, 1)),  # a frame may be empty
            width=draw.randint(1, 3),
            ns=draw.randrange(self._most_ns),
        )
        self.happened.append(fault)
        return (fault,)

    def due(self, now_ns: int) -> Sequence[Fault]:
        """See Faults."""
        return ()

    def next_leave_ns(self) -> int | None:
        """See Faults."""
        return None


def dump_faults(faults: Iterable[Fault]) -> str:
    """Faults as JSON Lines, default values left out.

    >>> dump_faults([Fault(FaultKind.LOST, 4)])
    '{"kind": "lost", "frame": 4}\\n'
    """
    return "".join(json.dumps(_told(fault)) + "\n" for fault in faults)


def load_faults(text: str) -> list[Fault]:
    """Read JSON Lines. Raises ValueError with the line that is wrong and what was expected."""
    faults = []
    for number, line in enumerate(text.splitlines(), 1):
        if not line.strip():
            continue
        try:
            table = json.loads(line)
            fault = Fault(**{**table, "kind": FaultKind(table["kind"])})
            if not all(_fits(name, getattr(fault, name)) for name in _NUMBERS):
                raise ValueError("its numbers are whole and not negative")
            Script([fault])
        except (ValueError, TypeError, KeyError, RecursionError) as error:
            raise ValueError(
                f"line {number} of the faults is none: expected a JSON object with kind and frame "
                f"or at_ns ({error})"
            ) from None
        faults.append(fault)
    return faults


_PLACES = ("frame", "at_ns")
_NUMBERS = (*_PLACES, "bit", "width", "ns", "count")
_DEFAULTS = Fault(FaultKind.LOST)


def _fits(name: str, number: object) -> bool:
    if number is None:
        return name in _PLACES
    return type(number) is int and number >= 0


def _told(fault: Fault) -> dict[str, Any]:
    told: dict[str, Any] = {"kind": fault.kind.value}
    for name in _NUMBERS:
        if getattr(fault, name) != getattr(_DEFAULTS, name):
            told[name] = getattr(fault, name)
    return told

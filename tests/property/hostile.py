"""Well-formed commands of the table, and the same bent out of shape.

Noise alone stays at the door (6E00), so most requests are what a terminal would send, with right
cryptograms, and some have one thing wrong. The same recipe is drawn by Hypothesis, which shrinks
it, and by a seeded generator, which is fast (`tests.property.campaign`).
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

from apdu.command import Command
from apdu.commands import TABLE
from apdu.spec import ANY, CommandSpec, RecordRef, State
from tests.cards import PATHS, Desk

T = TypeVar("T")
Pick = Callable[[Sequence[T]], T]
Number = Callable[[int, int], int]

AMOUNTS = (0, 0, 1, 1, 100, 100, 350, 499, 5000, 5001, 95_000, 0xFFFFFF, 0xFFFFFFFF)
LENGTHS = (None, 1, 3, 4, 7, 8, 15, 16, 128, 256)
BENDS = (*["none"] * 14, "flip", "flip", "set", "cut", "add", "drop", "twice", "swap")
MEMBERS = {
    state: [s for s in TABLE if state in s.when and s.when != ANY]
    or [s for s in TABLE if s.then is not State.IDLE and state in s.when]
    for state in PATHS
}
"""Commands that carry a transaction on from each state."""


@dataclass(frozen=True)
class Request:
    """A recipe for one command. It becomes bytes when a desk knows what the card last offered.

    spec: None for a command that carries the transaction on, whatever the state is.
    """

    spec: CommandSpec[Any, Any] | None
    choice: int
    amount: int
    ne: int | None
    is_usual: bool
    bend: str
    place: int
    value: int

    def __repr__(self) -> str:
        name = "next" if self.spec is None else self.spec.name
        return (
            f"Request({name}, {self.amount}, Le {self.ne}, {self.bend} {self.place} {self.value})"
        )

    def bytes_for(self, desk: Desk) -> bytes:
        """The command for this desk's card as it stands."""
        members = MEMBERS[desk.card.state]
        spec = self.spec or members[self.choice % len(members)]
        examples = spec.params.examples()
        p1, p2 = examples[self.choice // 7 % len(examples)]
        if isinstance(spec.params, RecordRef) and self.choice & 32:
            p1 = 0  # a cyclic file caches its newest record under number 0 (4.15)
        record = 1 if self.place % 4 else 1 + self.choice % 18
        desk.amount, desk.record, desk.filler = self.amount, record, self.value
        ne = spec.ne if self.is_usual else self.ne
        command = Command(spec.cla, spec.ins, p1, p2, desk.data(spec, p1, p2), ne).build()
        return bent(command, self.bend, self.place, self.value)


def bent(command: bytes, bend: str, place: int, value: int) -> bytes:
    """The command with one thing wrong."""
    at = place % len(command)
    match bend:
        case "flip":
            changed = command[at] ^ (1 << value % 8)
            return command[:at] + bytes((changed,)) + command[at + 1 :]
        case "set":
            return command[:at] + bytes((value,)) + command[at + 1 :]
        case "cut":
            return command[:at]
        case "add":
            return command + bytes((value,)) * (place % 40)
        case "drop":
            return command[:at] + command[at + 1 :]
        case "twice":
            return command[:at] + command
        case "swap":
            return command[at:] + command[:at]
    return command


def make_request(pick: Pick[Any], number: Number) -> Request:
    """Draw one recipe."""
    return Request(
        spec=pick((*[None] * 25, *TABLE.specs)),
        choice=number(0, 255),
        amount=pick(AMOUNTS),
        ne=pick(LENGTHS),
        is_usual=number(0, 9) > 0,
        bend=pick(BENDS),
        place=number(0, 300),
        value=number(0, 255),
    )

"""Well-formed commands of the table, and the same bent out of shape.

Noise alone stays at the door (6E00), so most requests are what a terminal would send, with right
cryptograms, and some have one thing wrong. The same recipe is drawn by Hypothesis, which shrinks
it, and by a seeded generator, which is fast (`tests.property.campaign`).
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

from apdu.command import Command
from apdu.commands import ED, TABLE
from apdu.file_commands import ERASE_DF, GET_CHALLENGE, READ_BINARY
from apdu.files import FILES
from apdu.key_commands import (
    APPLICATION_BLOCK,
    APPLICATION_UNBLOCK,
    CARD_BLOCK,
    INTERNAL_AUTHENTICATE,
    VERIFY_PIN,
)
from apdu.records import InitializeData, InitLimitData, Pin
from apdu.spec import ANY, BinaryRef, CommandSpec, RecordRef, State
from emulator.card.state import Blocked
from tests.cards import needs_challenge
from tests.desk import PATHS, Desk
from tests.workshop import PIN, SECRET_FILE

T = TypeVar("T")
Pick = Callable[[Sequence[T]], T]
Number = Callable[[int, int], int]

AMOUNTS = (0, 0, 1, 1, 100, 100, 350, 499, 5000, 5001, 95_000, 0xFFFFFF, 0xFFFFFFFF)
LENGTHS = (None, 1, 3, 4, 7, 8, 15, 16, 128, 256)
BENDS = (*["none"] * 24, "flip", "flip", "set", "cut", "add", "drop", "twice", "swap")
LETHAL = (CARD_BLOCK, APPLICATION_BLOCK, ERASE_DF)
"""Commands after which a card has little more to say: drawn less often."""

POOL = (*[None] * 260, *[s for s in TABLE if s not in LETHAL] * 3, *LETHAL)
PAID = [s for s in TABLE if s.when == ANY and s.then is not State.IDLE]
PAID += [s for s in PAID if s.then is State.CAPP_INIT] * 4
MEMBERS = {
    state: [s for s in TABLE if state in s.when and s.when != ANY] or PAID for state in PATHS
}
"""Commands that carry a transaction on from each state."""

PLACES = (*FILES, SECRET_FILE)
PINS = (PIN, PIN, PIN, PIN, bytes.fromhex("123457"), bytes.fromhex("12345F"), b"\x12\x34")


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
            f"Request({name}, {self.choice}, {self.amount}, Le {self.ne},"
            f" {self.bend} {self.place} {self.value})"
        )

    def steps(self, desk: Desk) -> Iterator[bytes]:
        """The command for this desk's card as it stands, and what it needs directly before.

        Each is made when the answer to the one before is known.
        """
        spec = self._spec(desk)
        examples = spec.params.examples()
        p1, p2 = examples[self.choice // 7 % len(examples)]
        if spec.data in (InitializeData, InitLimitData) and p2 == ED and self.choice & 8:
            yield VERIFY_PIN.command(Pin(desk.pin))
        if needs_challenge(spec) and self.place % 6:
            yield GET_CHALLENGE.command(None)[:4] + bytes((4 + 4 * (self.value % 3 == 0),))
            if self.place % 11 == 0:  # a MAC under a challenge that another command used up
                stale = desk.challenge
                yield READ_BINARY.command(None)
                desk.challenge = stale
        yield self._command(desk, spec, p1, p2)

    def _spec(self, desk: Desk) -> CommandSpec[Any, Any]:
        if self.spec is not None:
            return self.spec
        members = MEMBERS[desk.card.state]
        here = desk.card._card.directory
        if here.blocked is Blocked.TEMPORARY:
            return APPLICATION_UNBLOCK
        return members[self.choice % len(members)]

    def _elsewhere(self, spec: CommandSpec[Any, Any], p1: int, p2: int) -> tuple[int, int]:
        """Another file or key than the usual one, now and then."""
        is_other, sfi = self.place % 9 == 0, PLACES[self.choice % len(PLACES)]
        if spec is INTERNAL_AUTHENTICATE:
            return self.choice % 3, p2
        if isinstance(spec.params, BinaryRef) and is_other:
            return 0x80 | sfi, p2
        if isinstance(spec.params, RecordRef):
            # A cyclic file caches its newest record under number 0 (4.15).
            return 0 if self.choice & 32 else p1, (sfi << 3 | p2 & 7 if is_other else p2)
        return p1, p2

    def _command(self, desk: Desk, spec: CommandSpec[Any, Any], p1: int, p2: int) -> bytes:
        p1, p2 = self._elsewhere(spec, p1, p2)
        record = 1 if self.place % 4 else 1 + self.choice % 18
        desk.amount, desk.record, desk.filler = self.amount, record, self.value
        desk.limit = self.amount & 0xFFF
        ne = spec.ne if self.is_usual else self.ne
        right, desk.pin = desk.pin, PINS[self.value % len(PINS)]
        command = Command(spec.cla, spec.ins, p1, p2, desk.data(spec, p1, p2), ne).build()
        desk.pin = right
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
        spec=pick(POOL),
        choice=number(0, 255),
        amount=pick(AMOUNTS),
        ne=pick(LENGTHS),
        is_usual=number(0, 9) > 0,
        bend=pick(BENDS),
        place=number(0, 300),
        value=number(0, 255),
    )

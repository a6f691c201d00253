"""The card that plays: ours, with knobs that change what it shows while it is in the field."""

from collections.abc import Callable
from dataclasses import dataclass
from time import sleep

from apdu.commands import DEBIT, GET_BALANCE
from apdu.sw import SW
from bench.conformance.lab import Said
from emulator.picc import Contactless, Picc
from reader.transport.decorators import CutPoint

OK = int(SW.OK).to_bytes(2, "big")


@dataclass(frozen=True, slots=True)
class Cut:
    """Lose the card at the n-th command (from 1) with this header after it was armed."""

    cla: int
    ins: int
    point: CutPoint
    nth: int = 1


@dataclass(frozen=True, slots=True)
class Mutation:
    """Change answers to a command: xor from a place on, or another answer whole.

    at: offset, from the end if negative. xor: applied there. answer: instead, status word included.
    """

    cla: int
    ins: int
    at: int = 0
    xor: bytes = b""
    answer: bytes | None = None

    def applied(self, response: bytes) -> bytes:
        """The changed answer."""
        if self.answer is not None:
            return self.answer
        at = self.at % len(response) if self.at < 0 else self.at
        changed = bytearray(response)
        for n, bits in enumerate(self.xor):
            if at + n < len(changed):
                changed[at + n] ^= bits
        return bytes(changed)


@dataclass
class Knobs:
    """What can be turned while the card is in the field; all off is the card itself.

    debit_delay_s:  the answer to DEBIT comes that much later (protocol reference 6.10, 7).
    forced_balance: fen that GET BALANCE answers, whatever the purse holds.
    """

    debit_delay_s: float = 0.0
    forced_balance: int | None = None
    mutations: tuple[Mutation, ...] = ()
    cut: Cut | None = None


class PlayedCard:
    """A card before a gate (`emulator.picc.Picc`).

    seen: every exchange as the card saw it, before any knob changed the answer on its way.
    """

    def __init__(self, card: Picc, now_ns: Callable[[], int]) -> None:
        self.knobs = Knobs()
        self.seen: list[Said] = []
        self._now_ns = now_ns
        self.put(card)

    def put(self, card: Picc) -> None:
        """Another card takes its place: nothing is turned and nothing was seen."""
        self.card = card
        self.contactless: Contactless = card.contactless
        self.knobs = Knobs()
        self.seen = []

    def power_on(self) -> bytes:
        """See Picc."""
        return self.card.power_on()

    def power_off(self) -> None:
        """See Picc."""
        self.card.power_off()

    def process(self, command: bytes) -> bytes:
        """See Picc."""
        start = self._now_ns()
        response = self.card.process(command)
        self.seen.append(Said(command, response, self._now_ns() - start))
        return self._turned(command, response)

    def _turned(self, command: bytes, response: bytes) -> bytes:
        knobs = self.knobs
        is_balance = _is(command, GET_BALANCE.cla, GET_BALANCE.ins) and len(response) == 6
        if knobs.forced_balance is not None and is_balance:
            response = knobs.forced_balance.to_bytes(4, "big") + OK
        for mutation in knobs.mutations:
            if _is(command, mutation.cla, mutation.ins):
                response = mutation.applied(response)
        if knobs.debit_delay_s and _is(command, DEBIT.cla, DEBIT.ins):
            sleep(knobs.debit_delay_s)
        return response


def _is(command: bytes, cla: int, ins: int) -> bool:
    return command[:2] == bytes((cla, ins))

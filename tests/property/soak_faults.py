"""What goes wrong at the soak's gate: how often, and how."""

from collections.abc import Callable
from dataclasses import dataclass
from random import Random

from apdu.commands import DEBIT, GET_PROVE, SAM_CREDIT_PURCHASE, SAM_INIT_PURCHASE
from reader.transport.base import Transport
from reader.transport.decorators import CutPoint

LEAVES_BEFORE = "the card leaves before a command"
LEAVES_AFTER = "the card leaves after a command"
CUT_SHORT = "an answer is cut short"
FLIPPED = "a bit of an answer is flipped"
SWAPPED = "another card takes its place"
DEAF_AT_70, MUTE_AT_70 = "the PSAM does not hear 8070", "the PSAM's answer to 8070 is lost"
DEAF_AT_72, MUTE_AT_72 = "the PSAM does not hear 8072", "the PSAM's answer to 8072 is lost"
PSAM_OFF, PSAM_ANEW = "the PSAM is powered off and on", "the PSAM starts anew"
GATE_ANEW, GATE_REVERSED = "the gate starts anew", "the gate is reversed"
CLOCK_BACK = "the clock goes back some seconds"
FULL_AT_PROMISE = "the disk is full at the promise"
FULL_AT_RECORD = "the disk is full at the record"

FAULTS = {
    LEAVES_BEFORE: 0.010,
    LEAVES_AFTER: 0.010,
    CUT_SHORT: 0.004,
    FLIPPED: 0.004,
    SWAPPED: 0.004,
    DEAF_AT_70: 0.001,
    MUTE_AT_70: 0.001,
    DEAF_AT_72: 0.001,
    MUTE_AT_72: 0.001,
    PSAM_OFF: 0.001,
    PSAM_ANEW: 0.001,
    GATE_ANEW: 0.002,
    GATE_REVERSED: 0.002,
    CLOCK_BACK: 0.001,
    FULL_AT_PROMISE: 0.001,
    FULL_AT_RECORD: 0.001,
}
"""At most one a tap, each with its probability."""

CUTS = {LEAVES_BEFORE: CutPoint.BEFORE, LEAVES_AFTER: CutPoint.AFTER}
SILENT = {
    DEAF_AT_70: (SAM_INIT_PURCHASE.ins, CutPoint.BEFORE),
    MUTE_AT_70: (SAM_INIT_PURCHASE.ins, CutPoint.AFTER),
    DEAF_AT_72: (SAM_CREDIT_PURCHASE.ins, CutPoint.BEFORE),
    MUTE_AT_72: (SAM_CREDIT_PURCHASE.ins, CutPoint.AFTER),
}
FULL = {FULL_AT_PROMISE: "promise", FULL_AT_RECORD: "taken"}
BETWEEN = frozenset({PSAM_OFF, PSAM_ANEW, GATE_ANEW, GATE_REVERSED, CLOCK_BACK})
"""What happens between two taps."""

SPOILS = frozenset({CUT_SHORT, FLIPPED, SWAPPED})
"""After these a card may seem to refuse."""


def drawn(rng: Random) -> str:
    """The fault of a tap, by its name; "" for none."""
    left = rng.random()
    for fault, probability in FAULTS.items():
        left -= probability
        if left < 0:
            return fault
    return ""


@dataclass
class Bending:
    """Changes the n-th answer (from 1), once. is_bent: whether there was one."""

    link: Transport
    at: int
    bend: Callable[[bytes, bytes], bytes]
    count: int = 0
    is_bent: bool = False

    def transmit(self, command: bytes) -> bytes:
        self.count += 1
        response = self.link.transmit(command)
        if self.count != self.at:
            return response
        self.is_bent = True
        return self.bend(command, response)


@dataclass
class Swapping:
    """From the n-th command on (from 1) another card answers."""

    link: Transport
    other: Transport
    at: int
    count: int = 0

    def transmit(self, command: bytes) -> bytes:
        self.count += 1
        return (self.link if self.count < self.at else self.other).transmit(command)


def cut_short(rng: Random) -> Callable[[bytes, bytes], bytes]:
    return lambda command, response: response[: rng.randrange(len(response))]


def flipped(rng: Random) -> Callable[[bytes, bytes], bytes]:
    """One bit of what a gate can check itself: status words, and MAC2 of a debit or a proof.

    The rest of an answer has CRC_A alone, which the air's campaigns bend.
    """

    def bend(command: bytes, response: bytes) -> bytes:
        size = len(response)
        places = [size - 2, size - 1]
        if size == 10 and command[1] in (DEBIT.ins, GET_PROVE.ins):
            places += range(4, 8) if command[1] == DEBIT.ins else range(4)
        bent = bytearray(response)
        bent[rng.choice(places)] ^= 1 << rng.randrange(8)
        return bytes(bent)

    return bend


BENDS = {CUT_SHORT: cut_short, FLIPPED: flipped}

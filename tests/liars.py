"""Cards that lie, to see whether a suite notices: a right card whose answers are changed."""

from collections.abc import Callable

import fixtures
from emulator.card.card import Card

Lie = Callable[[bytes, bytes], bytes]
"""From a command and the right answer to the one that is given."""

BALANCE = b"\x80\x5c\x00\x02"


class Liar:
    """A card (`emulator.picc.Picc`). seen: every command it got."""

    def __init__(self, lie: Lie, card: Card | None = None) -> None:
        self.card = card or fixtures.card("student")
        self.contactless = self.card.contactless
        self.lie = lie
        self.seen: list[bytes] = []

    def power_on(self) -> bytes:
        return self.card.power_on()

    def power_off(self) -> None:
        self.card.power_off()

    def process(self, command: bytes) -> bytes:
        self.seen.append(command)
        return self.lie(command, self.card.process(command))


def honest(command: bytes, answer: bytes) -> bytes:
    return answer


def penniless(command: bytes, answer: bytes) -> bytes:
    """What can be spent is always nothing."""
    return bytes(4) + answer[-2:] if command[:4] == BALANCE else answer

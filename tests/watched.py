"""A gate's whole tap, with everything it said to card and PSAM."""

from collections.abc import Callable

from reader.gate import Gate, Outcome
from reader.session import run
from reader.transport.base import Transport
from reader.transport.decorators import Exchange, Recording


def watched(
    gate: Gate, card: Transport, now_ns: Callable[[], int]
) -> tuple[Outcome, list[Exchange]]:
    seen: list[Exchange] = []
    links = {
        "card": Recording(card, now_ns, "card", seen),
        "psam": Recording(gate.psam, now_ns, "psam", seen),
    }
    return run(gate.tap(), links), seen

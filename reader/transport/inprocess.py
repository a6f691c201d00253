"""A card in the same process: the road without a road."""

from typing import Protocol


class Answering(Protocol):
    """Anything that answers commands: our card, our PSAM."""

    def process(self, command: bytes) -> bytes:
        """Answer a C-APDU with an R-APDU."""
        ...


class InProcess:
    """A transport straight into `process`."""

    def __init__(self, card: Answering) -> None:
        self.transmit = card.process
        """See Transport."""

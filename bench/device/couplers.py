"""Where a gate's cards come from: readers, or cards of this process one after another."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from bench.problem import Problem
from bench.rig.air import AirCoupler, AirTransport
from emulator.picc import Picc
from emulator.radio.air import Air
from emulator.radio.station import Station
from fixtures.timing import Timing
from reader.transport.base import Coupler, NoCard, Transport
from reader.transport.inprocess import InProcess

READERS, LOCAL = ("pcsc", "nfc"), ("inproc", "air")
ROADS = READERS + LOCAL
"""pcsc, nfc: a reader, real or virtual. inproc, air: cards in this process."""


class Queue:
    """Cards of this process, each presented once, without a radio (`Coupler`)."""

    def __init__(self, cards: Sequence[Picc]) -> None:
        self._waiting = list(cards)
        self._here: Picc | None = None

    def wait_card(self, timeout_s: float) -> Transport:
        """See Coupler."""
        self.wait_gone(0)
        if not self._waiting:
            raise NoCard("No card is left.")
        self._here = self._waiting.pop(0)
        self._here.power_on()
        return InProcess(self._here)

    def wait_gone(self, timeout_s: float) -> bool:
        """See Coupler: the card goes at once."""
        if self._here is not None:
            self._here.power_off()
            self._here = None
        return True

    def close(self) -> None:
        """See Coupler."""
        self.wait_gone(0)


class AirQueue:
    """Cards of this process, each once in the field of a simulated air (`Coupler`)."""

    def __init__(self, cards: Sequence[Picc], timing: Timing | None = None) -> None:
        times = timing.card if timing else None
        self._waiting = [Station(card, times) for card in cards]
        self._here: Station | None = None
        self.air = Air()
        self._coupler = AirCoupler(self.air)

    def wait_card(self, timeout_s: float) -> AirTransport:
        """See Coupler."""
        self.wait_gone(0)
        if not self._waiting:
            raise NoCard("No card is left.")
        self._here = self._waiting.pop(0)
        self.air.bring(self._here)
        return self._coupler.wait_card(timeout_s)

    def wait_gone(self, timeout_s: float) -> bool:
        """See Coupler: the card is taken away."""
        if self._here is not None:
            self.air.take_away(self._here)
            self._here = None
        return self._coupler.wait_gone(timeout_s)

    def close(self) -> None:
        """See Coupler."""
        self._coupler.close()


@contextmanager
def reader_of(via: str, reader: str | None, device: str) -> Iterator[Coupler]:
    """A reader, to be given back. Raises Problem, ReaderFault."""
    coupler: Coupler
    if via == "pcsc":
        from reader.transport.pcsc import PcscCoupler

        coupler = PcscCoupler(reader)
    elif via == "nfc":
        from reader.transport.nfc import NfcCoupler

        coupler = NfcCoupler(device)
    else:
        raise Problem(f"there is no road '{via}' for a gate; choose one of: {', '.join(ROADS)}")
    try:
        yield coupler
    finally:
        coupler.close()

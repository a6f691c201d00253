"""Where a gate's cards come from: readers, or cards of this process one after another."""

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

from bench.problem import Problem
from bench.recording import Recorder
from bench.rig.air import AirCoupler, AirTransport, SlowPsam
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
    """Cards of this process, each presented once, without a radio (`Coupler`).

    every_s: how long the gate waits for each, so that people can look.
    """

    def __init__(self, cards: Sequence[Picc], every_s: float = 0.0) -> None:
        self._waiting = list(cards)
        self._every_s = every_s
        self._here: Picc | None = None

    def wait_card(self, timeout_s: float) -> Transport:
        """See Coupler."""
        self.wait_gone(0)
        if not self._waiting:
            raise NoCard("No card is left.")
        time.sleep(self._every_s)
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
    """Cards of this process, each once in the field of a simulated air. See `Queue`."""

    def __init__(
        self, cards: Sequence[Picc], timing: Timing | None = None, every_s: float = 0.0
    ) -> None:
        self._every_s = every_s
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
        time.sleep(self._every_s)
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


@dataclass(frozen=True, slots=True)
class Site:
    """Where a gate stands.

    now_ns: the clock its taps are timed by. around_psam: what slows its PSAM as the air does.
    """

    coupler: Coupler
    now_ns: Callable[[], int] = time.perf_counter_ns
    around_psam: Callable[[Transport], Transport] | None = None

    def recorder(self, recorder: Recorder | None = None) -> Recorder:
        """A recorder by this site's clock: a new one, or this one before it has recorded."""
        made = recorder or Recorder()
        if self.now_ns is not time.perf_counter_ns:
            made.keep_time(self.now_ns)
        if self.around_psam is not None:
            made.around_psam = self.around_psam
        return made


@contextmanager
def local_site(
    via: str, cards: Sequence[Picc], timing: Timing | None = None, every_s: float = 0.0
) -> Iterator[Site]:
    """Cards of this process, one after another, over `inproc` or `air`."""
    if via == "inproc":
        queue = Queue(cards, every_s)
        yield Site(queue)
        queue.close()
        return
    air = AirQueue(cards, timing, every_s)
    around = None if timing is None else (lambda psam: SlowPsam(psam, air.air, timing.psam))
    yield Site(air, air.air.clock.now_ns, around)
    air.close()


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

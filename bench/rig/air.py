"""A gate's coupler on the simulated air: raw frames, our own block machine, no driver between."""

import time
from collections.abc import Iterator
from contextlib import contextmanager

from emulator.picc import Picc
from emulator.radio.air import Air
from emulator.radio.medium import Guest, drive
from emulator.radio.pcd import Found, LinkDead, PcdIsoDep, find
from emulator.radio.station import Service, Station
from reader.transport.base import CardLost, NoCard, Transport

ISO_DEP = 0x20
"""SAK bit 6: the card speaks ISO/IEC 14443-4."""

_SEARCH_NS = 20_000_000
_PRESENCE_NS = 50_000_000


class AirTransport:
    """A card that an AirCoupler has activated. card: how it introduced itself."""

    def __init__(self, air: Air, isodep: PcdIsoDep, card: Found) -> None:
        self.card = card
        self.isodep = isodep
        self._air = air

    def transmit(self, command: bytes) -> bytes:
        """Send one command. Raises CardLost; ValueError for an empty command."""
        try:
            response = drive(self.isodep.transmit(command), self._air)
        except LinkDead as dead:
            raise CardLost(f"The card left the field or fell silent: {dead}.") from dead
        if len(response) < 2:
            raise CardLost("The card sent an answer without a status word.")
        return response

    def is_present(self) -> bool:
        """Ask the card whether it is still there, without an APDU."""
        return drive(self.isodep.is_present(), self._air)


class AirCoupler:
    """A reader on an air (`reader.transport.base.Coupler`).

    fsdi, cid, tries: of the block machine. rate: 0 .. 3 for 106 .. 848 kbit/s both ways, taken if
    the card offers it.
    """

    def __init__(
        self, air: Air, fsdi: int = 8, cid: int | None = None, rate: int = 0, tries: int = 3
    ) -> None:
        self._air = air
        self._fsdi, self._cid, self._rate, self._tries = fsdi, cid, rate, tries
        self._card: AirTransport | None = None

    def wait_card(self, timeout_s: float) -> AirTransport:
        """See Coupler. The field goes off and on before each try."""
        clock = self._air.clock
        deadline_ns = clock.now_ns() + int(timeout_s * 1e9)
        while True:
            self._air.field_off()
            self._air.field_on()
            card = self._search()
            if card is not None:
                self._card = card
                return card
            if clock.now_ns() >= deadline_ns:
                raise NoCard(f"No card came into the air within {timeout_s:g} s.")
            self._wait(_SEARCH_NS)

    def wait_gone(self, timeout_s: float) -> bool:
        """See Coupler."""
        deadline_ns = self._air.clock.now_ns() + int(timeout_s * 1e9)
        while self._card is not None and self._card.is_present():
            if self._air.clock.now_ns() >= deadline_ns:
                return False
            self._wait(_PRESENCE_NS)
        self._card = None
        return True

    def close(self) -> None:
        """See Coupler: a card that is still there is deselected first."""
        if self._card is not None:
            drive(self._card.isodep.deselect(), self._air)
            self._card = None
        self._air.field_off()

    def _search(self) -> AirTransport | None:
        card = drive(find(), self._air)
        if card is None or not card.sak & ISO_DEP:
            return None
        isodep = PcdIsoDep(self._fsdi, self._cid, self._tries)
        if drive(isodep.activate(), self._air) is None:
            return None
        if not self._sets_rate(isodep):
            return None
        return AirTransport(self._air, isodep, card)

    def _sets_rate(self, isodep: PcdIsoDep) -> bool:
        """PPS where it is wanted and offered. Returns whether both sides know the bit rate."""
        rate = self._rate
        if not rate or not isodep.ats.offers(rate, rate):
            return True
        # Without an answer the card may have changed its rate or not: ask at the old one.
        return drive(isodep.pps(rate, rate), self._air) or drive(isodep.is_present(), self._air)

    def _wait(self, duration_ns: int) -> None:
        if self._air.clock.is_timed:
            self._air.pause(duration_ns)
        else:
            time.sleep(duration_ns / 1e9)


class SlowPsam:
    """A PSAM that takes the air's time. times: how long each command takes it.

    took_ns: what it has taken so far.
    """

    took_ns = 0

    def __init__(self, psam: Transport, air: Air, times: Service) -> None:
        self._psam = psam
        self._air = air
        self._times = times

    def transmit(self, command: bytes) -> bytes:
        """See Transport."""
        due_ns = self._times.time_ns(command)
        self.took_ns += due_ns
        self._air.pause(due_ns)
        return self._psam.transmit(command)


@contextmanager
def in_the_air(
    picc: Picc, air: Air | None = None, guest: Guest | None = None
) -> Iterator[Transport]:
    """A card in an air of its own, virtual and perfect unless one is given, and a coupler to it."""
    air = Air() if air is None else air
    air.bring(Station(picc) if guest is None else guest)
    coupler = AirCoupler(air)
    try:
        yield coupler.wait_card(1.0)
    finally:
        coupler.close()

"""A gate's coupler on the simulated air: raw frames, our own block machine, no driver between."""

import time
from collections.abc import Iterator
from contextlib import contextmanager

from emulator.picc import Picc
from emulator.radio.air import Air
from emulator.radio.medium import Guest, Radio, drive
from emulator.radio.pcd import Found, LinkDead, PcdIsoDep, find, halt, poll
from emulator.radio.station import Service, Station
from reader.transport.base import CardLost, NoCard, Transport

ISO_DEP = 0x20
"""SAK bit 6: the card speaks ISO/IEC 14443-4."""

MOST_CARDS = 8
"""How many cards are told apart; Shanghai's gates must tell four (domain facts 4.2)."""

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
        self._has_sleepers = False  # cards that only WUPA wakes

    def wait_card(self, timeout_s: float) -> AirTransport:
        """See Coupler. The field goes off and on before each try."""
        clock = self._air.clock
        deadline_ns = clock.now_ns() + int(timeout_s * 1e9)
        self._has_sleepers = False
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

    def cards_in_field(self) -> int:
        """How many cards answer, up to MOST_CARDS, with or without ISO-DEP.

        The activated one goes on; the others sleep until the field goes off.
        """
        others = drive(_halt_all(MOST_CARDS - 1), self._air)
        self._has_sleepers = self._has_sleepers or others > 0
        return (self._card is not None) + others

    def next_card(self) -> AirTransport | None:
        """Put the activated card to sleep and activate another that is awake. None if none is.

        What is awake has come since the field went on, and has not been activated yet.
        """
        if self._card is not None:
            drive(self._card.isodep.deselect(), self._air)
            self._has_sleepers = True
        self._card = self._search()
        return self._card

    def wait_gone(self, timeout_s: float) -> bool:
        """See Coupler. Where there were several cards, until none of them answers."""
        deadline_ns = self._air.clock.now_ns() + int(timeout_s * 1e9)
        while self._is_anyone():
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

    def _is_anyone(self) -> bool:
        if self._card is not None and self._card.is_present():
            return True
        return self._has_sleepers and drive(_is_there(), self._air)

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


def _halt_all(most: int) -> Radio[int]:
    """Put every card that is awake to sleep. Returns how many, up to `most`."""
    count = 0
    while count < most and (yield from poll()) is not None:
        count += 1
        yield from halt()  # a card that is asked once more without this does not answer
        if (yield from find()) is None:
            break  # it answers, but keeps to no protocol
        yield from halt()
    return count


def _is_there() -> Radio[bool]:
    """Whether any card answers, asleep or awake; each is left as it was."""
    if (yield from poll(wake=True)) is None:
        return False
    yield from halt()
    return True


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

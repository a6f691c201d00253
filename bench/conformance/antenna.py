"""Where frames are seen and made: beside the coupler, for the radio cases of the card suite."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Protocol

from apdu.event import Event, Layer, Source
from bench.rig.air import AirCoupler
from emulator.picc import ContactlessOf, Picc
from emulator.radio.air import Air
from emulator.radio.medium import Ask, Heard
from emulator.radio.station import Station


@dataclass(frozen=True, slots=True)
class Aired:
    """What a frame came to. heard: the answer, or why there is none.

    delay_ns: from the last bit of the reader's frame to the first of the answer; None in silence.
    """

    heard: Heard
    delay_ns: int | None = None


class Antenna(Protocol):
    """A reader's, frame by frame."""

    def field(self, is_on: bool) -> None:
        """Switch the field on or off, and nothing else."""
        ...

    def exchange(self, ask: Ask) -> Aired:
        """Send one frame and listen. The field is on."""
        ...

    def slow(self, time_ns: int) -> None:
        """Make each command take the card that long, until the next is placed. Needs FRESH."""
        ...


class _Pace:
    """How long each command takes the card (`emulator.radio.station.Service`)."""

    each_ns = 0

    def time_ns(self, command: bytes) -> int:
        """See Service."""
        return self.each_ns


class AirAntenna:
    """The antenna of the simulated air, in virtual time (`Antenna`)."""

    def __init__(self, air: Air, pace: _Pace) -> None:
        self._air = air
        self._pace = pace
        self._last: dict[Source, Event] = {}
        air.observer = self._observe

    def field(self, is_on: bool) -> None:
        """See Antenna."""
        if is_on:
            self._air.field_on()
        else:
            self._air.field_off()

    def exchange(self, ask: Ask) -> Aired:
        """See Antenna."""
        self._last.clear()
        heard = self._air.exchange(ask)
        asked, came = self._last.get(Source.PCD), self._last.get(Source.PICC)
        if asked is None or came is None:
            return Aired(heard)
        return Aired(heard, came.t_ns - asked.t_ns - asked.duration_ns)

    def slow(self, time_ns: int) -> None:
        """See Antenna."""
        self._pace.each_ns = time_ns

    def _observe(self, event: Event) -> None:
        if event.layer is Layer.RF:
            self._last[event.source] = event


@contextmanager
def air_antenna(
    card: Picc, contactless_of: ContactlessOf
) -> Iterator[tuple[AirCoupler, AirAntenna]]:
    """A card in an air of its own: its coupler, and the antenna of that coupler."""
    air, pace = Air(), _Pace()
    air.bring(Station(card, pace, contactless_of))
    coupler = AirCoupler(air)
    try:
        yield coupler, AirAntenna(air, pace)
    finally:
        coupler.close()

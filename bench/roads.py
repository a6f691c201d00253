"""The roads between a card and a gate.

Each is a context around a coupler with the card in its field; `ROADS` are the same roads for those
who want no more than a transport.
"""

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Protocol

from apdu.event import Observer
from bench.problem import Problem
from bench.recording import Recorder
from emulator.picc import ContactlessOf, Picc
from emulator.radio.faults import Faults
from fixtures.timing import Timing
from reader.transport.base import Coupler, Transport
from reader.transport.inprocess import InProcess

WAIT_S = 10.0
"""How long a road waits for the card to come into its own reader's field."""


class Road(Protocol):
    """A way to a card. watch: records what the road shows below the APDUs, if it shows anything."""

    def __call__(
        self, card: Picc, watch: Recorder | None = None
    ) -> AbstractContextManager[Transport]:
        """The card in the field of a reader, as a transport."""
        ...


class Field(Protocol):
    """A road as a coupler, which finds the card anew as often as it is asked to.

    contactless_of: how the card answers in each field; left out, as it does in the first.
    """

    def __call__(
        self,
        card: Picc,
        watch: Recorder | None = None,
        contactless_of: ContactlessOf | None = None,
    ) -> AbstractContextManager[Coupler]:
        """A reader with the card before it."""
        ...


class InProcessCoupler:
    """A reader without a road (`reader.transport.base.Coupler`)."""

    def __init__(self, card: Picc) -> None:
        self._card = card

    def wait_card(self, timeout_s: float) -> InProcess:
        """See Coupler: the field goes off and on."""
        self._card.power_off()
        self._card.power_on()
        return InProcess(self._card)

    def wait_gone(self, timeout_s: float) -> bool:
        """See Coupler: such a card never leaves."""
        return False

    def close(self) -> None:
        """See Coupler."""
        self._card.power_off()


@contextmanager
def in_process_field(
    card: Picc, watch: Recorder | None = None, contactless_of: ContactlessOf | None = None
) -> Iterator[Coupler]:
    """Straight into the card."""
    coupler = InProcessCoupler(card)
    yield coupler
    coupler.close()


def air_field(timing: Timing | None = None, faults: Faults | None = None) -> Field:
    """Raw frames over the simulated air, in virtual time, with our own block machines.

    timing: how long card and PSAM compute, at once if left out. faults: what goes wrong.
    """

    @contextmanager
    def over_air(
        card: Picc, watch: Recorder | None = None, contactless_of: ContactlessOf | None = None
    ) -> Iterator[Coupler]:
        from bench.rig.air import AirCoupler, SlowPsam
        from emulator.radio.air import Air
        from emulator.radio.faults import Script
        from emulator.radio.station import Station

        air = Air(faults=faults or Script(), observer=_observer(watch))
        if watch is not None:
            watch.keep_time(air.clock.now_ns)
            if timing is not None:
                watch.around_psam = lambda psam: SlowPsam(psam, air, timing.psam)
        air.bring(Station(card, timing.card if timing else None, contactless_of))
        coupler = AirCoupler(air)
        try:
            yield coupler
        finally:
            coupler.close()

    return over_air


@contextmanager
def udp_field(
    card: Picc, watch: Recorder | None = None, contactless_of: ContactlessOf | None = None
) -> Iterator[Coupler]:
    """Unmodified nfcpy over its UDP air, on a free loopback port."""
    from emulator.frontends.udp import UdpFrontend
    from reader.transport.nfc import NfcCoupler

    front = UdpFrontend(card, port=0, contactless_of=contactless_of, observe=_observer(watch))
    with front.running():
        host, port = front.address
        coupler = NfcCoupler(f"udp:{host}:{port}")
        try:
            yield coupler
        finally:
            coupler.close()


@contextmanager
def pn532_field(
    card: Picc, watch: Recorder | None = None, contactless_of: ContactlessOf | None = None
) -> Iterator[Coupler]:
    """Unmodified nfcpy and its PN532 driver, to a virtual chip with the card in its field."""
    from bench.rig.pn532 import VirtualPn532
    from emulator.radio.air import Air
    from emulator.radio.clock import Unpaced
    from emulator.radio.station import Station
    from reader.transport.nfc import NfcCoupler

    clock = Unpaced()
    air = Air(clock, observer=None if watch is None else watch.observer(clock.now_ns))
    air.bring(Station(card, contactless_of=contactless_of))
    with VirtualPn532(air) as chip:
        with chip.as_nfcpy_device() as device:
            coupler = NfcCoupler(device)
        try:
            yield coupler
        finally:
            coupler.close()


@contextmanager
def pcsc_field(
    card: Picc, watch: Recorder | None = None, contactless_of: ContactlessOf | None = None
) -> Iterator[Coupler]:
    """pyscard, a private pcscd and the vpcd driver."""
    from bench.rig.pcscd import PrivatePcscd
    from emulator.frontends.vpcd import VpcdFrontend
    from reader.transport.pcsc import PcscCoupler

    with (
        PrivatePcscd() as rig,
        rig.in_process(),
        VpcdFrontend(card, rig.port, observe=_observer(watch)).running(),
        PcscCoupler(rig.reader_names[0]) as coupler,
    ):
        yield coupler


def _observer(watch: Recorder | None) -> Observer | None:
    return None if watch is None else watch.observe


FIELDS: dict[str, Field] = {
    "inproc": in_process_field,
    "air": air_field(),
    "udp": udp_field,
    "pn532": pn532_field,
    "pcsc": pcsc_field,
}


def _road(field: Field) -> Road:
    @contextmanager
    def road(card: Picc, watch: Recorder | None = None) -> Iterator[Transport]:
        with field(card, watch) as coupler:
            yield coupler.wait_card(WAIT_S)

    return road


ROADS: dict[str, Road] = {name: _road(field) for name, field in FIELDS.items()}
in_process = ROADS["inproc"]


def air_road(timing: Timing | None = None, faults: Faults | None = None) -> Road:
    """See `air_field`."""
    return _road(air_field(timing, faults))


def choose(via: str) -> list[str]:
    """The roads a --via option means: `all`, or names with commas. Raises Problem."""
    if via == "all":
        return list(ROADS)
    names = via.split(",")
    for name in names:
        if name not in ROADS:
            raise Problem(f"there is no road '{name}'; choose one of: {', '.join(ROADS)}, all")
    return names

"""The roads between a card and a gate, each as a context that yields a transport."""

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Protocol

from apdu.event import Observer
from bench.problem import Problem
from bench.recording import Recorder
from emulator.picc import Picc
from emulator.radio.faults import Faults
from fixtures.timing import Timing
from reader.transport.base import Transport
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


@contextmanager
def in_process(card: Picc, watch: Recorder | None = None) -> Iterator[Transport]:
    """Straight into the card."""
    card.power_on()
    yield InProcess(card)
    card.power_off()


def air_road(timing: Timing | None = None, faults: Faults | None = None) -> Road:
    """Raw frames over the simulated air, in virtual time, with our own block machines.

    timing: how long card and PSAM compute, at once if left out. faults: what goes wrong.
    """

    def over_air(card: Picc, watch: Recorder | None = None) -> AbstractContextManager[Transport]:
        from bench.rig.air import SlowPsam, in_the_air
        from emulator.radio.air import Air
        from emulator.radio.faults import Script
        from emulator.radio.station import Station

        air = Air(faults=faults or Script(), observer=_observer(watch))
        if watch is not None:
            watch.keep_time(air.clock.now_ns)
            if timing is not None:
                watch.around_psam = lambda psam: SlowPsam(psam, air, timing.psam)
        return in_the_air(card, air, Station(card, timing.card if timing else None))

    return over_air


@contextmanager
def over_udp(card: Picc, watch: Recorder | None = None) -> Iterator[Transport]:
    """Unmodified nfcpy over its UDP air, on a free loopback port."""
    from emulator.frontends.udp import UdpFrontend
    from reader.transport.nfc import NfcCoupler

    with UdpFrontend(card, port=0, observe=_observer(watch)).running() as front:
        host, port = front.address
        coupler = NfcCoupler(f"udp:{host}:{port}")
        try:
            yield coupler.wait_card(WAIT_S)
        finally:
            coupler.close()


@contextmanager
def over_pn532(card: Picc, watch: Recorder | None = None) -> Iterator[Transport]:
    """Unmodified nfcpy and its PN532 driver, to a virtual chip with the card in its field."""
    from bench.rig.pn532 import VirtualPn532
    from emulator.radio.air import Air
    from emulator.radio.clock import Unpaced
    from emulator.radio.station import Station
    from reader.transport.nfc import NfcCoupler

    clock = Unpaced()
    air = Air(clock, observer=None if watch is None else watch.observer(clock.now_ns))
    air.bring(Station(card))
    with VirtualPn532(air) as chip:
        with chip.as_nfcpy_device() as device:
            coupler = NfcCoupler(device)
        try:
            yield coupler.wait_card(WAIT_S)
        finally:
            coupler.close()


@contextmanager
def over_pcsc(card: Picc, watch: Recorder | None = None) -> Iterator[Transport]:
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
        yield coupler.wait_card(WAIT_S)


def _observer(watch: Recorder | None) -> Observer | None:
    return None if watch is None else watch.observe


ROADS: dict[str, Road] = {
    "inproc": in_process,
    "air": air_road(),
    "udp": over_udp,
    "pn532": over_pn532,
    "pcsc": over_pcsc,
}


def choose(via: str) -> list[str]:
    """The roads a --via option means: `all`, or names with commas. Raises Problem."""
    if via == "all":
        return list(ROADS)
    names = via.split(",")
    for name in names:
        if name not in ROADS:
            raise Problem(f"there is no road '{name}'; choose one of: {', '.join(ROADS)}, all")
    return names

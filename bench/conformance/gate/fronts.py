"""Ways to hold the card that plays in the field of a gate that is not ours.

They are those of `tapbench emulate`: nfcpy's UDP air, a reader that can listen, a virtual PN532,
and a virtual PC/SC reader.
"""

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from threading import Event, Thread

from bench.conformance.gate.played import PlayedCard, PlayedTimes
from bench.problem import Problem
from emulator.frontends.errors import FrontendError

FRONTS = ("udp", "nfc", "pn532", "pcsc", "vpcd")
_POLL_S = 0.1
_AWAY_S = 1.2
"""How long a card is out of its slot at least: pcscd looks every 0.4 s."""

Tell = Callable[[str], object]
"""Says something to the operator."""


@contextmanager
def held(via: str, played: PlayedCard, tell: Tell) -> Iterator[None]:
    """The card in somebody's field, as long as the block lasts.

    via: `udp` or `udp:PORT`, `nfc:DEVICE`, `pn532`, `pcsc` for a pcscd of our own, `vpcd` or
    `vpcd:PORT` for one that runs. tell: hears where the gate finds it.
    Raises Problem, FrontendError, RigError.
    """
    road, _, where = via.partition(":")
    if road not in FRONTS:
        raise Problem(f"no gate can be reached over '{road}'; choose one of: {', '.join(FRONTS)}")
    played.plays_cuts = played.stays_away = True
    with _FRONTS[road](played, where, tell):
        yield


@contextmanager
def _udp(played: PlayedCard, where: str, tell: Tell) -> Iterator[None]:
    from emulator.frontends.udp import UDP_PORT, UdpFrontend

    front = UdpFrontend(
        played,
        port=_port(where, UDP_PORT),
        contactless_of=played.shown,
        service=PlayedTimes(played),
    )
    played.on_away = front.leave
    with front.running():
        host, port = front.address
        tell(f"The card is on nfcpy's UDP air; the gate's reader is udp:{host}:{port}")
        yield


@contextmanager
def _nfc(played: PlayedCard, where: str, tell: Tell) -> Iterator[None]:
    from emulator.frontends.nfc_target import NfcTarget

    device = where or "usb"
    front = NfcTarget(played, device, contactless_of=played.shown, service=PlayedTimes(played))
    played.on_away = front.leave
    with front.running():
        tell(f"The card is the reader {device}, in listen mode. {front.changes}".rstrip())
        yield


@contextmanager
def _pn532(played: PlayedCard, where: str, tell: Tell) -> Iterator[None]:
    from bench.rig.pn532 import VirtualPn532
    from emulator.radio.air import Air
    from emulator.radio.clock import WallClock
    from emulator.radio.station import Station

    air = Air(clock=WallClock())
    station = Station(played, PlayedTimes(played), played.shown)
    played.on_away = station.leave
    air.bring(station)
    with VirtualPn532(air) as chip:
        tell(
            f"The card is in the field of a virtual PN532; nfcpy finds it as {chip.nfcpy_path},"
            f" libnfc as LIBNFC_DEVICE={chip.libnfc_device}"
        )
        yield


@contextmanager
def _pcsc(played: PlayedCard, where: str, tell: Tell) -> Iterator[None]:
    from bench.rig.pcscd import PrivatePcscd

    with PrivatePcscd(where or "tapbench") as rig, _slot(played, rig.port):
        tell(
            f"The card is in the reader '{rig.reader_names[0]}' of a private pcscd; start the gate"
            f" with PCSCLITE_CSOCK_NAME={rig.socket_path}"
        )
        yield


@contextmanager
def _vpcd(played: PlayedCard, where: str, tell: Tell) -> Iterator[None]:
    from emulator.frontends.vpcd import VPCD_PORT

    port = _port(where, VPCD_PORT)
    with _slot(played, port):
        tell(f"The card is in the vpcd reader on port {port}")
        yield


@contextmanager
def _slot(played: PlayedCard, port: int) -> Iterator[None]:
    """In a slot of vpcd whenever it is not away. Raises FrontendError if there is none."""
    from emulator.frontends.slow import SlowPicc
    from emulator.frontends.vpcd import VpcdFrontend

    card, ended, out = SlowPicc(played, PlayedTimes(played)), Event(), Event()
    played.on_away = out.set

    def stay(stack: ExitStack) -> VpcdFrontend:
        return stack.enter_context(VpcdFrontend(card, port).running())

    def work() -> None:
        while not ended.is_set():
            out.clear()  # before the look: who takes the card away says so first and then sets it
            if played.is_away:
                ended.wait(_POLL_S)
                continue
            with suppress(FrontendError), ExitStack() as stack:
                front = stay(stack)
                while not (ended.is_set() or out.is_set() or front.is_over):
                    ended.wait(_POLL_S)
            ended.wait(_AWAY_S)

    with ExitStack() as stack:
        stay(stack)  # told at once where there is no slot
    thread = Thread(target=work, name="vpcd slot", daemon=True)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()


_FRONTS = {"udp": _udp, "nfc": _nfc, "pn532": _pn532, "pcsc": _pcsc, "vpcd": _vpcd}


def _port(where: str, usual: int) -> int:
    if not where:
        return usual
    if not where.isdecimal() or int(where) > 0xFFFF:
        raise Problem(f"'{where}' is no port; expected a number from 0 to 65535")
    return int(where)

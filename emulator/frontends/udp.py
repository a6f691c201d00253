"""The card on nfcpy's UDP air: what a reader opened as `udp:<host>:<port>` finds in its field.

nfcpy's `udp` driver is a reader without an antenna. A frame is one datagram of ASCII, technology
and hexadecimal bytes without CRC: `106A 26` is REQA. `RFOFF` says that the field is off; a field
that comes on is not announced, the first REQA is the sign.

nfcpy opens a new socket for every search, so an address is one field. REQA or WUPA from a new
address is a new field, and the old one is gone: a reader takes over from one that died without
RFOFF, and a late RFOFF or block from the old address changes nothing. From the same address
they mean a new field too, unless the card waits for them in IDLE or HALT. There ISO/IEC 14443-3
wants silence and a fall back to IDLE; but a reader asks again only after it has switched its
field off, which real cards notice and a lost datagram hides.

A card that computes does not listen. What arrives while the card is late for its answer, in
practice the reader's R(NAK), is thrown away; answered afterwards it would look like the answer to
the next command. RFOFF and REQA, which are about the field, still count.
"""

import logging
import socket
import threading
import time
from binascii import Error as HexError
from binascii import hexlify, unhexlify
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from errno import EACCES, EADDRINUSE
from typing import Self

from apdu.frame import REQA, WUPA
from emulator.frontends.errors import FrontendError
from emulator.frontends.watched import OnExchange, Watched
from emulator.picc import ContactlessOf, Picc
from emulator.radio.activation import State
from emulator.radio.isodep import PiccLink

__all__ = ["UDP_PORT", "FrontendError", "UdpFrontend"]

UDP_PORT = 54321  # nfcpy's default

_MAX_DATAGRAM = 9000  # "106A ", the longest frame of ISO/IEC 14443-4 in hexadecimal, and to spare
_TECHNOLOGY = b"106A "
_FIELD_OFF = b"RFOFF"
_POLLS = frozenset({REQA, WUPA})
_POLL_DATAGRAMS = frozenset(_TECHNOLOGY + hexlify(frame) for frame in _POLLS)

_log = logging.getLogger(__name__)

Address = tuple[str, int]


class UdpFrontend:
    """One card on one UDP port, for as long as `serve` runs.

    The port is taken at once; port 0 takes a free one, see `address`. The object is used once:
    after `stop` it is done. `on_exchange` sees each command and response before the response
    leaves; it runs in the serving thread and must not raise. An exception in the card is logged
    and answered 6F00. `contactless_of` is asked at each field, for a card that shows another UID
    each time, or none.

    Raises FrontendError if the port cannot be taken.
    """

    def __init__(
        self,
        picc: Picc,
        host: str = "127.0.0.1",
        port: int = UDP_PORT,
        on_exchange: OnExchange | None = None,
        contactless_of: ContactlessOf | None = None,
    ) -> None:
        self._card = Watched(picc, on_exchange)
        self._contactless_of = contactless_of
        self._link = PiccLink(self._card, picc.contactless)
        self._socket = _bind(host, port)
        self._peer: Address | None = None
        self._fields = 0  # how many have ended
        self._stopped = threading.Event()

    @property
    def address(self) -> Address:
        """Host and port the card answers on."""
        host, port = self._socket.getsockname()
        return host, port

    def serve(self) -> None:
        """Answer readers until `stop`, in this thread. The field is off afterwards."""
        try:
            while not self._stopped.is_set():
                datagram, peer = self._socket.recvfrom(_MAX_DATAGRAM)
                self._answer(datagram, peer)
        finally:
            self._field_off()

    def stop(self) -> None:
        """Make `serve` return. May be called from any thread, more than once, and before it."""
        self._stopped.set()
        with suppress(OSError):
            self._socket.sendto(b"", self.address)  # wakes recvfrom

    def close(self) -> None:
        """Give the port back."""
        self._socket.close()

    @contextmanager
    def running(self) -> Iterator[Self]:
        """Serve in a thread of its own; stop and close on the way out."""
        thread = threading.Thread(target=self.serve, name="udp-air", daemon=True)
        thread.start()
        try:
            yield self
        finally:
            self.stop()
            thread.join()
            self.close()

    def _answer(self, datagram: bytes, peer: Address) -> None:
        try:
            frame = self._frame(datagram, peer)
            if frame is None:
                return
            field, started_s = self._fields, time.monotonic()
            answer = self._link.receive(frame)
            if answer is None:
                return
            if time.monotonic() - started_s > self._link.isodep.waiting_time_s:
                self._skip_missed(peer)
            if field == self._fields:  # the reader that asked is still there
                self._socket.sendto(_TECHNOLOGY + hexlify(answer), peer)
        except Exception:  # noqa: BLE001 - one bad exchange must not take the card off the air
            # A bug in power_on, power_off or the observer, or a peer that cannot be reached.
            _log.exception("no answer to %r", datagram)

    def _frame(self, datagram: bytes, peer: Address) -> bytes | None:
        """The frame for the card, with the field it came in set up; None if there is none."""
        if not datagram.startswith(_TECHNOLOGY):
            self._on_other(datagram, peer)
            return None
        try:
            frame = unhexlify(datagram[len(_TECHNOLOGY) :].strip())
        except HexError:
            frame = b""
        if not frame:
            _log.debug("not a frame in hexadecimal: %r", datagram)
            return None
        if len(frame) == 1 and frame in _POLLS:
            self._on_poll(peer)
        elif peer != self._peer:
            _log.debug("%s:%d has no field: %r", *peer, datagram)
            return None
        return frame

    def _on_poll(self, peer: Address) -> None:
        if peer != self._peer or self._link.activation.state not in (State.IDLE, State.HALT):
            self._field_off()
            self._peer = peer
            self._field_on()

    def _on_other(self, datagram: bytes, peer: Address) -> None:
        if not datagram.startswith(_FIELD_OFF):
            _log.debug("nothing for a card of type A: %r", datagram)
        elif peer == self._peer:
            self._field_off()

    def _field_on(self) -> None:
        if self._contactless_of is not None:
            contactless = self._contactless_of()
            if contactless is None:
                return  # without a field the card answers nothing
            self._link = PiccLink(self._card, contactless)
        self._link.field_on()

    def _field_off(self) -> None:
        self._peer = None
        self._fields += 1
        self._link.field_off()

    def _skip_missed(self, peer: Address) -> None:
        """Drop the blocks that came while the card computed; obey what came about the field."""
        field = self._fields
        with suppress(BlockingIOError):
            while field == self._fields:
                datagram, sender = self._socket.recvfrom(_MAX_DATAGRAM, socket.MSG_DONTWAIT)
                if sender == peer and not _is_about_field(datagram):
                    _log.debug("the card was busy and missed %r", datagram)
                else:
                    self._answer(datagram, sender)


def _is_about_field(datagram: bytes) -> bool:
    return datagram.startswith(_FIELD_OFF) or datagram in _POLL_DATAGRAMS


def _bind(host: str, port: int) -> socket.socket:
    air = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    try:
        air.bind((host, port))
        while port == 0 and _has_name(air.getsockname()[1]):
            air.close()
            air = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
            air.bind((host, port))
    except (OSError, OverflowError) as error:
        air.close()
        raise FrontendError(_why_not(host, port, error)) from error
    return air


def _has_name(port: int) -> bool:
    """Whether a service is named for the port: nfcpy would take that name for the number."""
    with suppress(OSError):
        socket.getservbyport(port)
        return True
    return False


def _why_not(host: str, port: int, error: Exception) -> str:
    code = error.errno if isinstance(error, OSError) else None
    if code == EADDRINUSE:
        return f"UDP port {port} on {host} is taken by another program: stop it or choose another."
    if code == EACCES:
        return f"UDP port {port} on {host} needs privileges: choose one above 1023."
    return f"Cannot listen on UDP {host} port {port}: {error}."

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

A card that computes does not listen. What has arrived before the card answers, in practice the
reader's R(NAK), is thrown away, whether the card was late or its process got no time; answered
afterwards it would look like the answer to the next command. RFOFF and REQA, which are about the
field, still count.

`observe` is told of every frame and of the field, as it happens. This air carries no checksums:
frames that have one are reported as having lost it.
"""

import logging
import select
import socket
import threading
import time
from binascii import Error as HexError
from binascii import hexlify, unhexlify
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from errno import EACCES, EADDRINUSE
from typing import Self

from apdu.event import Event, Layer, Observer, Source
from apdu.frame import REQA, SHORT_BITS, WUPA, asks_without_crc
from emulator.frontends.errors import FrontendError
from emulator.frontends.watched import OnExchange, Watched
from emulator.picc import ContactlessOf, Picc
from emulator.radio.activation import State
from emulator.radio.station import Service, Station

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
    each time, or none. `observe` gets frames and field changes at the time of `perf_counter_ns`.
    `service` says how long the card computes; it then answers that late, with S(WTX) where it must.

    Raises FrontendError if the port cannot be taken.
    """

    def __init__(
        self,
        picc: Picc,
        host: str = "127.0.0.1",
        port: int = UDP_PORT,
        on_exchange: OnExchange | None = None,
        contactless_of: ContactlessOf | None = None,
        observe: Observer | None = None,
        service: Service | None = None,
    ) -> None:
        self._card = Station(Watched(picc, on_exchange), service, contactless_of)
        self._observe = observe
        self._socket = _bind(host, port)
        self._arrived = select.poll()
        self._arrived.register(self._socket, select.POLLIN)
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

    def leave(self) -> None:
        """Take the card out of the field it is in; the next field is asked about. Any thread."""
        self._card.leave()

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
            self._report(Source.PCD, frame, frame)
            field, started_s = self._fields, time.monotonic()
            reply = self._card.receive_body(frame)
            if reply is None:
                return
            answer, after_ns = reply
            if after_ns:
                self._stopped.wait(after_ns / 1e9 - (time.monotonic() - started_s))
            if self._arrived.poll(0):
                self._skip_missed(peer)
            if field == self._fields:  # the reader that asked is still there
                self._report(Source.PICC, answer, frame)
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
        if peer != self._peer or self._card.link.activation.state not in (State.IDLE, State.HALT):
            self._field_off()
            self._peer = peer
            self._card.field_on()
            self._report_field(is_on=True)

    def _on_other(self, datagram: bytes, peer: Address) -> None:
        if not datagram.startswith(_FIELD_OFF):
            _log.debug("nothing for a card of type A: %r", datagram)
        elif peer == self._peer:
            self._field_off()

    def _field_off(self) -> None:
        if self._peer is not None:
            self._report_field(is_on=False)
        self._peer = None
        self._fields += 1
        self._card.field_off()

    def _report_field(self, is_on: bool) -> None:
        if self._observe is not None:
            at_ns = time.perf_counter_ns()
            self._observe(Event(at_ns, Source.FIELD, Layer.RF, bytes((is_on,))))

    def _report_missed(self, datagram: bytes) -> None:
        with suppress(HexError):
            frame = unhexlify(datagram.removeprefix(_TECHNOLOGY).strip())
            self._report(Source.PCD, frame, frame, "the card was busy and missed it")

    def _report(self, source: Source, frame: bytes, asked: bytes, note: str = "") -> None:
        """Tell the observer of a frame. asked: the reader's, which settles whether it has a CRC."""
        if self._observe is None:
            return
        is_poll = asked in _POLLS
        self._observe(
            Event(
                time.perf_counter_ns(),
                source,
                Layer.RF,
                frame,
                tail=SHORT_BITS if is_poll and source is Source.PCD else 8,
                has_crc=False if is_poll or asks_without_crc(asked) else None,
                note=note,
            )
        )

    def _skip_missed(self, peer: Address) -> None:
        """Drop the blocks that came before the answer; obey what came about the field."""
        field = self._fields
        with suppress(BlockingIOError):
            while field == self._fields:
                datagram, sender = self._socket.recvfrom(_MAX_DATAGRAM, socket.MSG_DONTWAIT)
                if sender == peer and not _is_about_field(datagram):
                    _log.debug("the card was busy and missed %r", datagram)
                    self._report_missed(datagram)
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

"""The card in a PC/SC reader: a client of the vpcd driver.

vpcd (package vsmartcard-vpcd) is a reader driver that pcscd loads. It listens on one TCP port per
slot; who connects is the card in that slot. Connecting is inserting the card, closing is taking it
away; pcscd notices either within 0.4 s, its polling period.

Every message in both directions is a 2-byte big-endian length and that many bytes. A message of
one byte is for the slot: power off, power on, reset (none is answered), or "give the ATR". All
others are C-APDUs, each answered by one R-APDU. vpcd asks for the ATR at every poll to see
whether the card is still there, between any two APDUs.

vpcd writes length and body apart and leaves Nagle's algorithm on. Unless this side acknowledges
the length at once the body waits for the kernel's delayed acknowledgement, 40 ms. Linux forgets
TCP_QUICKACK after a while, so it is armed again before every receive.
"""

import logging
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from enum import IntEnum
from functools import reduce
from operator import xor
from typing import Self

from apdu.event import Event, Layer, Observer, Source
from emulator.frontends.errors import FrontendError
from emulator.picc import CardGone, ContactCard, Picc

__all__ = ["VPCD_PORT", "Control", "FrontendError", "VpcdFrontend", "contactless_atr", "frames"]

VPCD_PORT = 0x8C7B  # 35963, where Debian's reader.conf.d/vpcd puts the first slot

# pcscd polls every 0.4 s, so a slot that says nothing this long is not serving us.
_FIRST_MESSAGE_S = 5.0
_CHUNK = 4096
_LENGTH = 2
_NO_DIAGNOSIS = b"\x6f\x00"

_log = logging.getLogger(__name__)

OnExchange = Callable[[bytes, bytes], None]


class Control(IntEnum):
    """The one-byte messages of vpcd."""

    POWER_OFF = 0x00
    POWER_ON = 0x01
    RESET = 0x02
    GET_ATR = 0x04


def contactless_atr(historical: bytes) -> bytes:
    """The ATR a PC/SC reader makes up for an ISO 14443-4 card, so that contact software works.

    historical: 0 to 15 bytes, the historical bytes of the ATS.
    Returns 3B 8n 80 01, the historical bytes and the check byte.
    Raises ValueError if there are more than 15: T0 has four bits for their number.
    Source: PC/SC Part 3, 3.1.3.2.3.1.

    >>> contactless_atr(b"").hex(" ")
    '3b 80 80 01 01'
    """
    if len(historical) > 15:
        raise ValueError(f"an ATR holds at most 15 historical bytes, not {len(historical)}")
    body = bytes((0x80 | len(historical), 0x80, 0x01)) + historical
    return b"\x3b" + body + bytes((reduce(xor, body),))


def frames(link: socket.socket) -> Iterator[bytes]:
    """The messages that arrive on a connection, whole, until the other side closes it.

    A message cut off by the end of the connection is dropped.
    """
    is_tcp = link.family in (socket.AF_INET, socket.AF_INET6)
    pending = b""
    while True:
        if is_tcp:
            link.setsockopt(socket.IPPROTO_TCP, socket.TCP_QUICKACK, 1)
        chunk = link.recv(_CHUNK)
        if not chunk:
            return
        pending += chunk
        while len(pending) >= _LENGTH:
            end = _LENGTH + int.from_bytes(pending[:_LENGTH], "big")
            if len(pending) < end:
                break
            message, pending = pending[_LENGTH:end], pending[end:]
            yield message


class VpcdFrontend:
    """One card in one slot of vpcd, from insertion to removal.

    A contactless card is shown with the ATR that PC/SC makes up for it, a card with contacts with
    its own.

    The object is one stay in the slot: after `stop` it is done, and inserting the same card again
    takes a new one. `on_exchange` sees each command and response before the response leaves, so
    whoever has the answer can rely on it being recorded; it runs in the serving thread and must
    not raise. `observe` is told when the slot is powered and unpowered, the most of the air that
    this road shows, at the time of `perf_counter_ns`.
    """

    def __init__(
        self,
        picc: Picc | ContactCard,
        port: int = VPCD_PORT,
        host: str = "127.0.0.1",
        on_exchange: OnExchange | None = None,
        observe: Observer | None = None,
    ) -> None:
        self._picc = picc
        self._peer = (host, port)
        self._on_exchange = on_exchange
        self._observe = observe
        self._is_powered = False
        self._link: socket.socket | None = None
        self._stopped = threading.Event()

    def insert(self) -> socket.socket:
        """Put the card into the slot, for `attend`. Raises FrontendError if there is no slot."""
        return self._connect()

    def serve(self) -> None:
        """Insert the card and answer until `stop`. Raises FrontendError if vpcd goes away."""
        self.attend(self.insert())

    def stop(self) -> None:
        """Take the card away. Safe from another thread or a signal handler, and more than once."""
        self._stopped.set()
        if self._link is not None:
            with suppress(OSError):  # closed or lost already
                self._link.shutdown(socket.SHUT_RDWR)

    @contextmanager
    def running(self) -> Iterator[Self]:
        """Serve in a thread for the length of a `with` block.

        Raises FrontendError on entry if the card cannot be inserted, and on exit whatever ended
        the serving before its time, unless the block already raised.
        """
        link = self._connect()
        failures: list[Exception] = []

        def work() -> None:
            try:
                self.attend(link)
            except Exception as error:  # noqa: BLE001 - carried to the thread that can be told
                failures.append(error)

        thread = threading.Thread(target=work, name="vpcd card", daemon=True)
        thread.start()
        try:
            yield self
        finally:
            self.stop()
            thread.join()
        if failures:
            raise failures[0]

    def attend(self, link: socket.socket) -> None:
        """Answer vpcd on a connection that is already there, and close it in the end."""
        with link:
            self._link = link
            if self._stopped.is_set():  # set before `stop` could see the link
                return
            try:
                self._answer_until_closed(link)
            except CardGone:
                self._stopped.set()
            except TimeoutError as error:
                raise FrontendError(
                    f"vpcd at {self._where} took the card but does not use it; "
                    "another card is in that slot, take it out first."
                ) from error
            except OSError as error:
                if not self._stopped.is_set():
                    raise self._gone() from error
            finally:
                self._power(is_on=False)
        if not self._stopped.is_set():
            raise self._gone()

    @property
    def is_over(self) -> bool:
        """Whether the card is out of the slot: it was taken, or it left by itself."""
        return self._stopped.is_set()

    @property
    def _where(self) -> str:
        return f"{self._peer[0]}:{self._peer[1]}"

    def _gone(self) -> FrontendError:
        return FrontendError(
            f"vpcd at {self._where} closed the connection; start pcscd again and insert the card."
        )

    def _connect(self) -> socket.socket:
        try:
            link = socket.create_connection(self._peer, timeout=_FIRST_MESSAGE_S)
        except OSError as error:
            raise FrontendError(
                f"no vpcd answers at {self._where}; install pcscd and vsmartcard-vpcd and start "
                "pcscd (running pcsc_scan once does)."
            ) from error
        link.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return link

    def _answer_until_closed(self, link: socket.socket) -> None:
        messages = frames(link)
        link.settimeout(_FIRST_MESSAGE_S)
        first = next(messages, None)
        if first is None:
            return
        link.settimeout(None)
        self._answer(link, first)
        for message in messages:
            self._answer(link, message)

    def _answer(self, link: socket.socket, message: bytes) -> None:
        if len(message) == 1:
            # A one-byte command cannot be told from these; no reader sends one.
            match message[0]:
                case Control.GET_ATR:
                    return _send(link, self._atr())
                case Control.POWER_OFF:
                    return self._power(is_on=False)
                case Control.POWER_ON | Control.RESET:
                    self._power(is_on=False)
                    return self._power(is_on=True)
        response = self._process(message)
        if self._on_exchange is not None:
            self._on_exchange(message, response)
        _send(link, response)
        return None

    def _atr(self) -> bytes:
        picc = self._picc
        if isinstance(picc, ContactCard):
            return picc.atr
        return contactless_atr(picc.contactless.historical)

    def _power(self, is_on: bool) -> None:
        if self._observe is not None and is_on != self._is_powered:
            at_ns = time.perf_counter_ns()
            self._observe(Event(at_ns, Source.FIELD, Layer.RF, bytes((is_on,))))
        self._is_powered = is_on
        if is_on:
            self._picc.power_on()
        else:
            self._picc.power_off()

    def _process(self, command: bytes) -> bytes:
        """The card's answer; its bugs become 6F00 and a traceback in the log."""
        try:
            response = self._picc.process(command)
            if not 2 <= len(response) <= 0xFFFF:
                raise ValueError(f"a response has 2 to 65535 bytes, not {len(response)}")
        except CardGone:
            raise  # the card is out of the slot
        except Exception:  # noqa: BLE001 - our bug must not take the reader down
            # The header only: the data may hold a key or a PIN.
            _log.exception("the card failed on %s and answered 6F00", command[:4].hex(" "))
            return _NO_DIAGNOSIS
        return response


def _send(link: socket.socket, message: bytes) -> None:
    link.sendall(len(message).to_bytes(_LENGTH, "big") + message)

"""Floors of roads: the least that can answer a reader, to measure our card against.

On UDP a socket and a table: activation is canned, an I-block gets its own PCB back and always the
same answer. In a slot of vpcd the same without activation. No state, no checks, no card. What a
command takes with them is the reader's, the driver's and the kernel's.
"""

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from emulator.frontends.vpcd import Control, frames
from emulator.picc import Contactless
from emulator.radio.activation import cascade

_STOP = b"stop"


def _canned(contactless: Contactless) -> dict[bytes, bytes]:
    """Activation of a card with a UID of one cascade level, datagram by datagram."""
    (level,) = cascade(contactless.uid)
    frames = {
        b"\x26": contactless.atqa,
        b"\x93\x20": level,
        b"\x93\x70" + level: bytes([contactless.sak]),
    }
    said = {_datagram(ask): _datagram(answer) for ask, answer in frames.items()}
    return said | {b"106A e0": _datagram(contactless.ats)}  # RATS, whatever its parameter


def _datagram(frame: bytes) -> bytes:
    return b"106A " + frame.hex().encode()


@contextmanager
def udp_floor(contactless: Contactless, response: bytes) -> Iterator[str]:
    """Answer nfcpy on a free loopback port. Yields the device path.

    response: what every command is answered.
    """
    canned, tail = _canned(contactless), response.hex().encode()
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as air:
        air.bind(("127.0.0.1", 0))

        def work() -> None:
            while True:
                datagram, peer = air.recvfrom(9000)
                if datagram == _STOP:
                    return
                answer = canned.get(datagram) or canned.get(datagram[:7])
                if answer is None and datagram[5:7] in (b"02", b"03"):
                    answer = datagram[:7] + tail
                if answer is not None:
                    air.sendto(answer, peer)

        thread = threading.Thread(target=work, name="udp floor", daemon=True)
        thread.start()
        host, port = air.getsockname()
        try:
            yield f"udp:{host}:{port}"
        finally:
            air.sendto(_STOP, air.getsockname())
            thread.join()


@contextmanager
def vpcd_floor(port: int, atr: bytes, response: bytes) -> Iterator[None]:
    """A card in a slot of vpcd that says one thing, for the length of a `with` block.

    port: of the slot. atr: what it answers to reset. response: what every command is answered.
    It listens as our card's front end does; without its acknowledging at once the floor would be
    forty milliseconds.
    """
    told = len(response).to_bytes(2, "big") + response
    atr_told = len(atr).to_bytes(2, "big") + atr
    with socket.create_connection(("127.0.0.1", port)) as link:
        link.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

        def work() -> None:
            with suppress(OSError):  # vpcd goes first, or in the middle of a message
                for message in frames(link):
                    if len(message) > 1:
                        link.sendall(told)
                    elif message[0] == Control.GET_ATR:
                        link.sendall(atr_told)

        thread = threading.Thread(target=work, name="vpcd floor", daemon=True)
        thread.start()
        try:
            yield
        finally:
            with suppress(OSError):
                link.shutdown(socket.SHUT_RDWR)
            thread.join()

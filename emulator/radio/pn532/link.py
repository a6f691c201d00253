"""The PN532's host protocol on its serial line: frames out of bytes, and answers into frames.

A frame is preamble, start code 00 FF, length, length checksum, TFI, data, data checksum and
postamble (UM0701-02, 6.2.1):

========== =====================================================
normal     00 00 FF LEN LCS TFI PD0 .. PDn DCS 00, LEN + LCS = 0
extended   00 00 FF FF FF LENM LENL LCS TFI PD0 .. PDn DCS 00
ACK        00 00 FF 00 FF 00
NACK       00 00 FF FF 00 00
error      00 00 FF 01 FF 7F 81 00
========== =====================================================

TFI is D4 from the host and D5 from the chip; sums are modulo 256. Preamble and postamble are for
synchronisation only: what is not a frame is skipped, so any bytes may come. A frame with a wrong
checksum is no frame, and the chip stays silent: the host waits for its ACK in vain and repeats.

Where a frame was begun and not ended, its bytes are looked through once more: on a wrong checksum,
or when the line was idle for `GAP_NS`. So no garbage swallows the command that follows it.

The line has a bit rate. Bytes at another rate are noise. A new rate holds from the host's ACK for
the answer to SetSerialBaudRate. That ACK counts at either rate, and so does any byte at the new
rate: a host may change its rate, or throw away what is in its output buffer, before we have read.

In power-down the chip counts rising edges and hears nothing until the fifth. An idle line is high
and so is a stop bit: each 00 brings one edge, and 55 brings five.
"""

from collections.abc import Iterator
from enum import Enum, auto
from typing import Final

from apdu.value import value

ACK: Final = bytes.fromhex("0000FF00FF00")
NACK: Final = bytes.fromhex("0000FFFF0000")
ERROR: Final = bytes.fromhex("0000FF01FF7F8100")
"""Application level error: the command is unknown or its parameters are malformed."""
TFI_HOST: Final = 0xD4
TFI_CHIP: Final = 0xD5
MAX_DATA: Final = 264
"""Bytes after TFI in the longest frame, command code included."""
RATES: Final = (9600, 19200, 38400, 57600, 115200, 230400, 460800, 921600, 1288000)
"""Baud by the parameter of SetSerialBaudRate."""
FIRST_RATE: Final = 115200
GAP_NS: Final = 100_000_000
"""Silence after which a frame that was begun is given up (decided; hosts wait that for an ACK)."""

_START = b"\x00\xff"
_EXTENDED = b"\xff\xff"
_WAKING_EDGES = 5


def _rising_edges(byte: int) -> int:
    """Rising edges of one byte on the line: start bit low, bits, stop bit high."""
    levels = byte << 1 | 0x200
    return (~levels & levels >> 1 & 0x1FF).bit_count()


_EDGES = bytes(map(_rising_edges, range(256)))


class Signal(Enum):
    """Frames without data."""

    ACK = auto()
    NACK = auto()


@value
class Command:
    """A command of the host. code: PD0. parameters: the rest."""

    code: int
    parameters: bytes


HostFrame = Command | Signal

_SIGNALS = {ACK[3:5]: Signal.ACK, NACK[3:5]: Signal.NACK}


class _More(Exception):
    """The frame is not complete yet."""


class _Bad(Exception):
    """No frame begins here."""


class HostLink:
    """The chip's end of the serial line."""

    def __init__(self) -> None:
        self.rate = FIRST_RATE
        self.is_bare = False
        """Answers go without preamble and postamble (fRemovePrePostAmble)."""
        self._next_rate: int | None = None
        self._buffer = b""
        self._heard_at_ns = 0
        self._edges_left = 0
        self._wakes_by_line = True
        self._last = b""

    @property
    def is_asleep(self) -> bool:
        """Whether the chip is in power-down."""
        return self._edges_left > 0

    @property
    def is_unsettled(self) -> bool:
        """Whether the host's bit rate may have changed: it has asked for another, or is away."""
        return self._next_rate is not None or self._edges_left > 0

    def sleep(self, *, wakes_by_line: bool) -> None:
        """Go to power-down, until the host wakes the chip if it can."""
        self._edges_left = _WAKING_EDGES
        self._wakes_by_line = wakes_by_line
        self._buffer = b""

    def wake(self) -> None:
        """Leave power-down for another reason."""
        self._edges_left = 0

    def change_rate(self, rate: int) -> None:
        """Take a new bit rate once the host has acknowledged the answer."""
        self._next_rate = rate

    def can_hear(self, rate: int) -> bool:
        """Whether bytes at a bit rate would ever reach the chip."""
        is_deaf = self.is_asleep and not self._wakes_by_line
        return not is_deaf and rate in (self.rate, self._next_rate)

    def forget(self) -> None:
        """The host has gone: what it began to say will not be completed."""
        self._buffer = b""

    def receive(self, chunk: bytes, rate: int, now_ns: int) -> Iterator[HostFrame]:
        """Take bytes that came at a bit rate; yields the frames they complete."""
        if not self._hears(rate):
            return
        if self._buffer and now_ns - self._heard_at_ns > GAP_NS:
            yield from self._frames(is_over=True)
        self._heard_at_ns = now_ns
        self._buffer += self._awake(chunk)
        for frame in self._frames(is_over=False):
            self._settle_rate(frame)
            yield frame

    def answer(self, code: int, data: bytes) -> bytes:
        """The frame that answers a command. Raises ValueError if it is too long for the chip."""
        body = bytes([TFI_CHIP, code + 1]) + data
        size = len(body)
        if size > MAX_DATA + 1:
            raise ValueError(f"{size} bytes do not fit a frame of the chip")
        if size < 0x100:
            head = bytes([size, -size & 0xFF])
        else:
            head = _EXTENDED + bytes([size >> 8, size & 0xFF, -((size >> 8) + size) & 0xFF])
        frame = _START + head + body + bytes([-sum(body) & 0xFF])
        self._last = frame if self.is_bare else b"\0" + frame + b"\0"
        return self._last

    def error(self) -> bytes:
        """The frame for a command that is unknown or malformed."""
        self._last = ERROR[1:-1] if self.is_bare else ERROR
        return self._last

    def again(self) -> bytes:
        """The last answer once more, for a NACK; nothing if there was none."""
        return self._last

    def _hears(self, rate: int) -> bool:
        if rate == self._next_rate:
            self.rate, self._next_rate = rate, None
        return rate == self.rate

    def _settle_rate(self, frame: HostFrame) -> None:
        if self._next_rate is not None:
            if frame is Signal.ACK:
                self.rate = self._next_rate
            self._next_rate = None

    def _awake(self, chunk: bytes) -> bytes:
        """The bytes that the chip hears; in power-down the first ones only wake it."""
        for at, byte in enumerate(chunk):
            if self._edges_left <= 0:
                return chunk[at:]
            if self._wakes_by_line:
                self._edges_left -= _EDGES[byte]
        return b""

    def _frames(self, is_over: bool) -> Iterator[HostFrame]:
        """The frames in the buffer. is_over: nothing will complete the one that was begun."""
        while True:
            at = self._buffer.find(_START)
            if at < 0:
                self._buffer = self._buffer[-1:] if self._buffer.endswith(b"\0") else b""
                return
            self._buffer = self._buffer[at:]
            try:
                frame, size = _parse(self._buffer)
            except _Bad:
                self._buffer = self._buffer[1:]
                continue
            except _More:
                if not is_over:
                    return
                self._buffer = self._buffer[1:]
                continue
            self._buffer = self._buffer[size:]
            yield frame


def _parse(buffer: bytes) -> tuple[HostFrame, int]:
    """The frame that a buffer begins with at its start code, and its size without postamble."""
    length = buffer[2:4]
    if length in _SIGNALS:
        return _SIGNALS[length], 4
    at = 4
    if length == _EXTENDED:
        length, at = buffer[4:7], 7
    if len(buffer) < at:
        raise _More
    size = int.from_bytes(length[:-1], "big")
    if sum(length) & 0xFF or not 2 <= size <= MAX_DATA + 1:
        raise _Bad
    body = buffer[at : at + size + 1]
    if len(body) <= size:
        raise _More
    if sum(body) & 0xFF or body[0] != TFI_HOST:
        raise _Bad
    return Command(body[1], body[2:-1]), at + size + 1

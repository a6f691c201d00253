"""A virtual PN532 on a pseudo terminal: unmodified drivers open it as a serial port.

`VirtualPn532` puts the chip into an air and serves its line from a thread. What the drivers and
the kernel make of a pseudo terminal, as seen on Linux 6 with nfcpy 1.0.4 and libnfc 1.8:

- nfcpy finds serial ports by their names in /dev itself, so /dev/pts/7 cannot be said. We make a
  symbolic link /dev/tapbench7. Where /dev is not ours, there is one more name that leads to a
  terminal of our choice: /dev/stdin, for a program whose standard input is the terminal.
- A host changes its bit rate by closing and opening the port, and may throw away what it has
  just written; see `emulator.radio.pn532.link`.
- A killed driver leaves the chip at its own bit rate, without preambles, or asleep. When the next
  user of a port that everybody has closed could not get on with it, the chip is started afresh, as
  if its plug had been pulled.
- The line is read when bytes come, in the chunks that the host wrote: nothing is polled.
"""

import logging
import os
import select
import termios
import threading
import tty
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from errno import EIO
from pathlib import Path
from time import monotonic_ns
from typing import Self

from bench.rig.errors import RigError
from emulator.radio.air import Air
from emulator.radio.pn532.chip import Pn532
from emulator.radio.pn532.link import FIRST_RATE, RATES

__all__ = ["RigError", "VirtualPn532"]

_CHUNK = 4096
_RATE_OF = {getattr(termios, f"B{rate}", None): rate for rate in RATES}
_SPEED_IN, _SPEED_OUT = 4, 5  # places in what tcgetattr returns

_PATIENCE_NS = 50_000_000
"""Time for a host that plays a card (decided): a process under load is slower than RATS allows, and
nfcpy on the other side gives every frame 100 ms more than its timeout."""

_log = logging.getLogger(__name__)


class VirtualPn532:
    """A chip in an air, on a pseudo terminal, for the length of a `with` block.

    devices: where nfcpy looks for ports, and where it is given a name.
    Raises RigError on entry if there is no pseudo terminal to be had.
    """

    path: str
    """The terminal, such as /dev/pts/7."""

    def __init__(self, air: Air, devices: Path = Path("/dev")) -> None:
        self.air = air
        self._devices = devices
        self._chip = Pn532(air)
        self._chip.antenna.least_wait_ns = _PATIENCE_NS
        self._turn = threading.Lock()
        self._is_stopping = False
        self._was_let_go = True
        self._rate = FIRST_RATE
        self._link: Path | None = None

    def __enter__(self) -> Self:
        if not hasattr(select, "epoll"):
            raise RigError("a virtual PN532 needs the pseudo terminals of Linux.")
        try:
            self._master, slave = os.openpty()
        except OSError as error:
            raise RigError(
                f"no pseudo terminal can be opened ({error.strerror}); mount /dev/pts, or end "
                "programs that hold too many."
            ) from error
        self.path = os.ttyname(slave)
        tty.setraw(slave)
        self._set_rate(slave)
        os.close(slave)
        os.set_blocking(self._master, False)
        self._news = os.eventfd(0, os.EFD_NONBLOCK | os.EFD_CLOEXEC)
        self._poll = select.epoll()
        # Edge-triggered: a terminal that nobody has open is hung up all the time.
        self._poll.register(self._master, select.EPOLLIN | select.EPOLLET)
        self._poll.register(self._news, select.EPOLLIN)
        self._chip.on_news(self._tell)
        self._link = self._linked()
        self.air.bring(self._chip.antenna)
        self._thread = threading.Thread(target=self._serve, name="pn532", daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *exc_info: object) -> None:
        self._is_stopping = True
        self._tell()
        self._chip.antenna.stop()  # a reader that waits for an answer need not
        self._thread.join()
        self._chip.reset()
        self.air.take_away(self._chip.antenna)
        if self._link is not None:
            self._link.unlink(missing_ok=True)
        self._poll.close()
        os.close(self._news)
        os.close(self._master)

    @property
    def nfcpy_path(self) -> str:
        """The device path for nfcpy."""
        return f"tty:{self._link.name if self._link else 'stdin'}:pn532"

    @property
    def nfcpy_remark(self) -> str:
        """What a program has to be started with for `nfcpy_path` to lead here; often nothing."""
        return "" if self._link else f" < {self.path}"

    @property
    def libnfc_device(self) -> str:
        """The value of LIBNFC_DEVICE."""
        return f"pn532_uart:{self.path}:{FIRST_RATE}"

    @property
    def rate(self) -> int:
        """The bit rate of the chip's end of the line, in baud."""
        return self._chip.link.rate

    @property
    def is_free(self) -> bool:
        """Whether nobody has the terminal open, as far as the chip has noticed."""
        return self._was_let_go

    @contextmanager
    def as_nfcpy_device(self) -> Iterator[str]:
        """The device path, for an nfcpy of this process that opens it inside the block."""
        if self._link is not None:
            yield self.nfcpy_path
            return
        terminal = os.open(self.path, os.O_RDWR | os.O_NOCTTY)
        kept = os.dup(0)
        os.dup2(terminal, 0)
        os.close(terminal)
        try:
            yield self.nfcpy_path
        finally:
            os.dup2(kept, 0)
            os.close(kept)

    @contextmanager
    def at_rest(self) -> Iterator[None]:
        """Hold the chip still while its air is changed by another thread."""
        with self._turn:
            yield

    def _serve(self) -> None:
        while not self._is_stopping:
            chip = self._chip
            pause_ns = chip.pause_ns if chip.is_busy else None
            events = self._poll.poll(None if pause_ns is None else pause_ns / 1e9)
            with self._turn:
                try:
                    self._take(events)
                except Exception:  # noqa: BLE001 - one bad command must not take the chip away
                    _log.exception("the chip failed and answered nothing")

    def _take(self, events: list[tuple[int, int]]) -> None:
        goes_on = not events
        for descriptor, what in events:
            if descriptor == self._news:
                os.eventfd_read(self._news)
                goes_on = True
            else:
                self._listen(bool(what & select.EPOLLHUP))
        if goes_on and self._chip.is_busy:
            self._say(self._chip.resume())

    def _listen(self, is_let_go: bool) -> None:
        """Take what the host has said. is_let_go: and has closed, which is told only once."""
        if is_let_go and not self._is_closed():
            self._let_go()  # the next host is here already; what is there to read may be of it
            is_let_go = False
        while chunk := self._read(is_let_go):
            link = self._chip.link
            if self._was_let_go or link.is_unsettled or link.rate != self._rate:
                self._look_at_rate()
            for piece in self._chip.receive(chunk, self._rate, monotonic_ns()):
                self._say(piece)
            if len(chunk) < _CHUNK and (not is_let_go or not self._is_closed()):
                return  # the next host may have said this: nothing is forgotten

    def _read(self, is_let_go: bool) -> bytes:
        """What is there to be read, b"" for nothing."""
        try:
            return os.read(self._master, _CHUNK)
        except BlockingIOError:
            if is_let_go:  # the next host has come in this moment
                self._let_go()
        except OSError as error:
            if error.errno != EIO:
                raise
            self._let_go()
        return b""

    def _let_go(self) -> None:
        """Everybody has closed the terminal."""
        self._was_let_go = True
        self._chip.link.forget()

    def _is_closed(self) -> bool:
        line = select.poll()
        line.register(self._master, 0)  # a hang-up is told unasked
        return any(what & select.POLLHUP for _, what in line.poll(0))

    def _say(self, piece: bytes) -> None:
        if piece:
            with suppress(BlockingIOError):  # nobody reads: the bytes are lost, as on a wire
                os.write(self._master, piece)

    def _look_at_rate(self) -> None:
        """See what bit rate the host has set. It changes when it opens the line or has asked."""
        speed = termios.tcgetattr(self._master)[_SPEED_OUT]
        # A rate that has no name here was set by its number: the chip's highest.
        self._rate = _RATE_OF.get(speed, RATES[-1])
        link = self._chip.link
        if self._was_let_go and (link.is_bare or not link.can_hear(self._rate)):
            self._chip.reset()
        self._was_let_go = False

    def _set_rate(self, slave: int) -> None:
        settings = termios.tcgetattr(slave)
        settings[_SPEED_IN] = settings[_SPEED_OUT] = termios.B115200
        termios.tcsetattr(slave, termios.TCSANOW, settings)

    def _linked(self) -> Path | None:
        """A name in /dev for nfcpy; None if we may not make one."""
        link = self._devices / f"tapbench{self.path.rsplit('/', 1)[-1]}"
        try:
            for name in self._devices.glob("tapbench*"):
                if name.is_symlink() and (name == link or not name.exists()):
                    name.unlink(missing_ok=True)  # of a program that was killed
            link.symlink_to(self.path)
        except OSError:
            return None
        return link

    def _tell(self) -> None:
        os.eventfd_write(self._news, 1)

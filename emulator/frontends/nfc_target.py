"""The card on a reader that can also listen: PN532, PN533 and RC-S380 hardware over nfcpy.

The reader's chip plays ISO/IEC 14443-3: it answers REQA and anticollision with what it was given,
and hands over what comes after SELECT. ISO-DEP above it is `emulator.radio.isodep`, as everywhere.

What nfcpy 1.0.4's drivers fix, and what is done about it:

- The chips show UIDs of 4 bytes that begin with 08 and no others, and send at 106 kbit/s alone.
  `as_shown` makes of a card what such a chip can show, and `changes` says what is different.
- The drivers for PN53x and RC-S380 answer RATS themselves, with the ATS they are given, and hand
  over the block after it (`tt4_cmd`). The RC-S380's tells what the RATS was. The PN53x's does not,
  though FSD and CID are in it, so it is overheard on its way into the driver. The `udp` driver
  hands RATS over unanswered.
- The first block may be anything; a DESELECT in its place is answered inside the driver.
- The chip falls out of the reader's field: BrokenLinkError. Nothing comes in time: TimeoutError,
  and the wait goes on, for a reader may be silent as long as it likes. A frame with a bad CRC or
  worse: TransmissionError, and the card is silent as ISO-DEP wants it.
- PN53x drivers cannot wait without a time limit (None is a TypeError inside them).
- After S(DESELECT) a card is in HALT and hears WUPA alone. The chip starts afresh and hears REQA
  too; the halted card it plays would stay silent.
- The `udp` driver takes every frame from everywhere: a poll within a session is another reader's.
  A datagram that is no frame fails inside it with ValueError or IndexError.

Which readers listen is in docs/hardware.md.
"""

import logging
import socket
import threading
import time
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from errno import EACCES, EADDRINUSE, EBUSY, ENODEV, EPERM
from typing import Any, Self

from apdu.ats import FRAME_SIZES, Ats
from apdu.blocks import RATS
from apdu.crc import CRC_SIZE
from apdu.frame import REQA, WUPA
from emulator.frontends.errors import FrontendError
from emulator.frontends.watched import ExchangeObserver, Watched
from emulator.picc import Contactless, Picc
from emulator.radio.isodep import IsoDep

__all__ = ["FrontendError", "NfcTarget", "as_shown", "changes"]

_TECHNOLOGY = "106A"
_ISO_DEP = 0x20  # SAK bit 6
_NFC_DEP = 0x40  # SAK bit 7: the drivers would wait for a peer instead
_UID_NOT_COMPLETE = 0x04
_RANDOM_UID = b"\x08"  # the first byte of every UID a chip shows
_SINGLE_SIZE = 0x3F  # ATQA without the bits for the size of the UID

_LISTEN_S = 0.5
"""How long one search or wait takes, nfcpy's least; `stop` is heard no later."""
_SILENCE_S = 30.0
"""A reader that says nothing for so long has gone, and the chip has not noticed."""
_DAMAGED = 20
"""So many bad frames in a row: the chip is not in a session any more."""
_FAILURES = 5
"""So many searches in a row that fail inside the driver: the reader is of no more use."""
_TOO_SOON_S = 0.01
_PAUSE_S = 0.1

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class _Selected:
    """A reader has selected the card. first: the block after RATS, if the driver answered RATS."""

    rats: bytes
    first: bytes | None


class _FieldLost(Exception):
    """The session is over: the reader's field is gone, or its frames are of no more use."""


class NfcTarget:
    """One card on one nfcpy reader in listen mode, for as long as `serve` runs.

    device: nfcpy's path, such as `usb`, `usb:054c:06c3`, `tty:USB0:pn532`. The reader is opened at
    once and held until `close`. The object is used once. `on_exchange` sees each command and
    response before the response leaves; it runs in the serving thread and must not raise. An
    exception in the card is logged and answered 6F00.

    Raises FrontendError if the reader cannot be opened, cannot listen, or cannot show this card.
    """

    def __init__(
        self, picc: Picc, device: str, on_exchange: ExchangeObserver | None = None
    ) -> None:
        self._chip = _Chip(device)
        try:
            self.shown = self._chip.prepare(picc.contactless)
        except FrontendError:
            self._chip.close()
            raise
        self.changes = changes(picc.contactless, self.shown)
        self._isodep = IsoDep(Watched(picc, on_exchange), self.shown)
        self._stopped = threading.Event()

    def serve(self) -> None:
        """Answer readers until `stop`, in this thread. The card is powered off afterwards.

        Raises FrontendError if the reader goes away.
        """
        try:
            while not self._stopped.is_set():
                started_s = time.monotonic()
                selected = self._chip.listen(_LISTEN_S)
                if selected is not None:
                    self._session(selected)
                elif time.monotonic() - started_s < _TOO_SOON_S:
                    self._stopped.wait(_PAUSE_S)  # a port that is taken, for one
        finally:
            self._isodep.reset()

    def stop(self) -> None:
        """Make `serve` return, within half a second. May be called from any thread, and before."""
        self._stopped.set()

    def close(self) -> None:
        """Give the reader back. A second call does nothing."""
        self._chip.close()

    @contextmanager
    def running(self) -> Iterator[Self]:
        """Serve in a thread of its own; stop and close on the way out.

        Raises FrontendError on exit if the reader went away, unless the block already raised.
        """
        failures: list[FrontendError] = []

        def work() -> None:
            try:
                self.serve()
            except FrontendError as error:
                failures.append(error)

        thread = threading.Thread(target=work, name="nfc target", daemon=True)
        thread.start()
        try:
            yield self
        finally:
            self.stop()
            thread.join()
            self.close()
        if failures:
            raise failures[0]

    def _session(self, selected: _Selected) -> None:
        """Serve one reader. Whatever happens to it, the program goes on."""
        try:
            self._talk(selected)
        except _FieldLost as reason:
            _log.debug("the session is over: %s", reason)
        except FrontendError:
            raise
        except Exception:  # noqa: BLE001 - a bug in power_on, power_off or the observer
            _log.exception("the session is over")

    def _talk(self, selected: _Selected) -> None:
        """From RATS until the field goes, or S(DESELECT)."""
        try:
            answer = self._isodep.activate(selected.rats)
            if selected.first is not None:
                answer = self._isodep.receive(selected.first)
            while self._isodep.is_open:
                answer = self._isodep.receive(self._next(answer))
            self._chip.send(answer)
        finally:
            self._isodep.reset()

    def _next(self, answer: bytes | None) -> bytes:
        """Send an answer, or nothing, and wait for the reader's next frame. Raises _FieldLost."""
        silent_s = 0.0
        while not self._stopped.is_set() and silent_s < _SILENCE_S:
            frame = self._chip.exchange(answer, _LISTEN_S)
            if frame in (REQA, WUPA):
                raise _FieldLost("another reader polls")
            if frame is not None:
                return frame
            answer = None
            silent_s += _LISTEN_S
        raise _FieldLost("nothing more comes")


def as_shown(contactless: Contactless, largest: int = 256) -> Contactless:
    """What a listening chip can show of a card.

    largest: bytes of the longest frame, with CRC, that the chip takes and sends.
    Raises FrontendError for a card without ISO-DEP.
    """
    if not contactless.sak & _ISO_DEP:
        raise FrontendError(
            f"The card's SAK {contactless.sak:02X} does not offer ISO-DEP (bit 20), and readers in "
            "listen mode play no other card: choose another card or set its SAK to 20."
        )
    return Contactless(
        atqa=bytes([contactless.atqa[0] & _SINGLE_SIZE]) + contactless.atqa[1:],
        sak=contactless.sak & ~(_UID_NOT_COMPLETE | _NFC_DEP),
        uid=_RANDOM_UID + contactless.uid[1:4],
        ats=_kept_by_chip(contactless.ats, largest),
    )


def changes(card: Contactless, shown: Contactless) -> str:
    """One sentence about what readers see in the place of the card's own, "" if nothing differs."""
    pairs = (
        ("UID", card.uid, shown.uid),
        ("ATQA", card.atqa, shown.atqa),
        ("SAK", bytes([card.sak]), bytes([shown.sak])),
        ("ATS", card.ats, shown.ats),
    )
    told = [
        f"{name} {there.hex().upper()} instead of {own.hex().upper()}"
        for name, own, there in pairs
        if own != there
    ]
    return f"This reader cannot show all of the card; seen is {', '.join(told)}." if told else ""


def _kept_by_chip(ats: bytes, largest: int) -> bytes:
    """An ATS that promises no frame and no rate that the chip cannot keep."""
    promised = Ats.parse(ats)
    kept = bytearray(ats)
    if len(ats) > 1 and promised.fsc > largest:
        kept[1] = kept[1] & 0xF0 | _size_code(largest)
    if len(ats) > 1 and ats[1] & 0x10:
        kept[2] = 0x80  # TA: 106 kbit/s both ways
    return bytes(kept)


def _size_code(largest: int) -> int:
    """FSCI or FSDI of the largest frame that is no longer."""
    return max(code for code, size in enumerate(FRAME_SIZES) if size <= largest)


class _Chip:
    """An nfcpy reader in listen mode, its errors sorted into ours."""

    def __init__(self, device: str) -> None:
        self._device = device
        self._rats: bytes | None = None
        self._damaged = 0
        self._failures = 0
        self._reader = _open(device)
        self._nfc = _nfcpy()
        self._overhear_rats()

    def prepare(self, contactless: Contactless) -> Contactless:
        """What readers will see of a card. Raises FrontendError if the reader cannot listen."""
        driver = self._reader.device
        limits = driver.get_max_recv_data_size(None), driver.get_max_send_data_size(None)
        self._size_code = _size_code(min(*limits, 256) + CRC_SIZE)
        shown = as_shown(contactless, FRAME_SIZES[self._size_code])
        if address := getattr(driver, "addr", None):  # the udp driver shows any UID
            shown = replace(shown, uid=contactless.uid, atqa=contactless.atqa)
            _demand_free(address[1])
        self._card = {
            "sens_res": bytearray(shown.atqa),
            "sdd_res": bytearray(shown.uid),
            "sel_res": bytearray([shown.sak]),
            "rats_res": bytearray(shown.ats),
        }
        try:
            # No time to listen: it is only seen whether the driver would.
            self._reader.listen(self._nfc.clf.LocalTarget(_TECHNOLOGY, **self._card), 0)
        except self._nfc.clf.UnsupportedTargetError as error:
            raise FrontendError(
                f"The reader {self._device} cannot listen as a card with ISO-DEP: use a PN532, "
                "PN533 or RC-S380 (docs/hardware.md has a table)."
            ) from error
        except OSError as error:
            raise FrontendError(_why_not(self._device, error)) from error
        return shown

    def listen(self, timeout_s: float) -> _Selected | None:
        """Wait to be selected by a reader. Raises FrontendError if the chip is gone."""
        self._rats = None
        self._damaged = 0
        try:
            target = self._reader.listen(
                self._nfc.clf.LocalTarget(_TECHNOLOGY, **self._card), timeout_s
            )
        except OSError as error:
            raise FrontendError(_why_not(self._device, error)) from error
        except Exception as error:
            self._failures += 1
            if self._failures >= _FAILURES:
                raise FrontendError(
                    f"The reader {self._device} fails in its driver ({error!r}): replug it."
                ) from error
            _log.debug("nfcpy failed while it listened", exc_info=True)
            return None
        self._failures = 0
        return self._selected(target) if target is not None and target.tt4_cmd else None

    def exchange(self, answer: bytes | None, timeout_s: float) -> bytes | None:
        """Send an answer, if any, and return the next frame; None if nothing good came in time.

        Raises _FieldLost; FrontendError if the chip is gone.
        """
        errors = self._nfc.clf
        try:
            frame = self._reader.exchange(None if answer is None else bytearray(answer), timeout_s)
        except errors.TimeoutError:
            return None
        except errors.BrokenLinkError as error:
            raise _FieldLost(str(error)) from error
        except OSError as error:
            raise FrontendError(_why_not(self._device, error)) from error
        except Exception as error:
            self._damaged += 1
            if self._damaged >= _DAMAGED:
                raise _FieldLost(f"the frames are of no use: {error!r}") from error
            _log.debug("a frame that nfcpy could not take", exc_info=True)
            return None
        self._damaged = 0
        return bytes(frame) if frame else None

    def send(self, answer: bytes | None) -> None:
        """Send a last answer and wait for nothing. Raises FrontendError if the chip is gone."""
        if answer is not None:
            with suppress(_FieldLost):
                self.exchange(answer, 0)

    def close(self) -> None:
        self._reader.close()

    def _selected(self, target: Any) -> _Selected:  # noqa: ANN401 - nfcpy has no types
        first: bytes | None = bytes(target.tt4_cmd)
        assert first is not None
        rats = target.rats_cmd or self._rats
        if rats is None:
            rats, first = first, None  # the driver has not answered it
        size_code = min(rats[1] >> 4, self._size_code) if len(rats) == 2 else 0
        return _Selected(bytes([RATS, size_code << 4 | rats[-1] & 0x0F]), first)

    def _overhear_rats(self) -> None:
        """Keep the RATS that a PN53x driver answers without telling."""
        driver = self._reader.device
        wait = getattr(driver, "_init_as_target", None)
        if wait is None:
            return

        def overheard(*arguments: Any) -> Any:  # noqa: ANN401 - nfcpy has no types
            mode_and_frame = wait(*arguments)
            frame = bytes(mode_and_frame[1:]) if mode_and_frame else b""
            self._rats = frame if frame[:1] == bytes([RATS]) else None
            return mode_and_frame

        driver._init_as_target = overheard


def _nfcpy() -> Any:  # noqa: ANN401 - nfcpy has no types
    """nfcpy, imported when it is needed, without the hold it takes on Python's warnings."""
    showwarning = warnings.showwarning
    import nfc
    import nfc.clf

    if warnings.showwarning is not showwarning:
        logging.captureWarnings(False)
    return nfc


def _open(device: str) -> Any:  # noqa: ANN401 - nfcpy has no types
    if not device:
        raise FrontendError("No reader is named; give a device path such as usb or tty:USB0:pn532.")
    try:
        nfc = _nfcpy()
    except (OSError, ImportError) as error:  # libusb is not there
        raise FrontendError(f"nfcpy cannot be loaded: {error}.") from error
    try:
        return nfc.ContactlessFrontend(device)
    except Exception as error:  # a path that means nothing raises what it happens to hit
        raise FrontendError(_why_not(device, error)) from error


def _demand_free(port: int) -> None:
    """The udp driver waits in silence for a port that is taken. Raises FrontendError."""
    try:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
            probe.bind(("0.0.0.0", port))  # noqa: S104 - where the driver listens
    except (OSError, OverflowError) as error:
        is_taken = isinstance(error, OSError) and error.errno == EADDRINUSE
        raise FrontendError(
            f"UDP port {port} is taken by another program: stop it or choose another."
            if is_taken
            else f"Cannot listen on UDP port {port}: {error}."
        ) from error


def _why_not(device: str, error: Exception) -> str:
    code = error.errno if isinstance(error, OSError) else None
    if code == ENODEV:
        return (
            f"No NFC reader answers on {device}: plug it in, check the path, and see that your "
            "user may open it (on Linux a udev rule; without one a bare usb path finds nothing)."
        )
    if code in (EACCES, EPERM):
        return (
            f"Your user may not open the reader {device}: install a udev rule for it, "
            "or for a serial reader join the group dialout."
        )
    if code == EBUSY:
        return (
            f"The reader {device} is used by another program: stop it (pcscd is the usual one), "
            "or unload the kernel module pn533_usb."
        )
    return f"The reader {device} cannot be used: {error}."

"""A reader's chip in listen mode, through the drivers of nfcpy, and what it can show of a card.

What nfcpy 1.0.4's drivers fix, and what is done about it:

- The chips show UIDs of 4 bytes that begin with 08 and no others, and send at 106 kbit/s alone.
  `as_shown` makes of a card what such a chip can show.
- The drivers for PN53x and RC-S380 answer RATS themselves, with the ATS they are given, and hand
  over the block after it (`tt4_cmd`). The RC-S380's tells what the RATS was. The PN53x's does not,
  though FSD and CID are in it, so it is overheard on its way into the driver. The `udp` driver
  hands RATS over unanswered.
- The first block may be anything; a DESELECT in its place is answered inside the driver.
- PN53x drivers cannot wait without a time limit: None is a TypeError inside them.
- The `udp` driver shows any UID. A port that is taken makes it return at once, as if nobody came;
  a datagram that is no frame fails inside it with ValueError or IndexError.
- A serial port becomes the terminal of a program that has none, such as a service; see `_look_at`.

nfcpy is imported when the first chip is opened: that takes 50 ms, which other front ends save.
"""

import logging
import os
import socket
import warnings
from dataclasses import dataclass, replace
from errno import EACCES, EADDRINUSE, EBUSY, EIO, ENODEV, EPERM, ETIMEDOUT
from typing import Any

from apdu.ats import FRAME_SIZES, Ats
from apdu.blocks import RATS
from apdu.crc import CRC_SIZE
from emulator.frontends.errors import FrontendError
from emulator.picc import Contactless

__all__ = ["FieldLost", "ListeningChip", "Selected", "as_shown"]

_TECHNOLOGY = "106A"
_ISO_DEP = 0x20  # SAK bit 6
_NFC_DEP = 0x40  # SAK bit 7: the drivers would wait for a peer instead
_UID_NOT_COMPLETE = 0x04
_RANDOM_UID = b"\x08"  # the first byte of every UID a chip shows
_SINGLE_SIZE = 0x3F  # ATQA without the bits for the size of the UID
_LARGEST = 256  # bytes of the longest frame that FSCI 8 stands for; above is not for every reader

_DAMAGED = 20
"""So many bad frames in a row: the chip is not in a session any more."""
_FAILURES = 5
"""So many searches in a row that fail inside the driver: the reader is of no more use."""
_LAST_S = 0.05
"""How long a PN53x listens after the last answer. Not 0: its driver leaves a command open then, and
takes its answer, which comes when the field goes, for the acknowledgement of the next."""
_OUT_OF_STEP = (EIO, ETIMEDOUT)
"""Host and chip have misunderstood each other once; the next command puts it right."""

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Selected:
    """A reader has selected the card and sent RATS.

    rats:  with an FSDI that the chip can keep.
    first: the block after RATS, if the driver has answered that; None if it is still to answer.
    """

    rats: bytes
    first: bytes | None


class FieldLost(Exception):
    """The session is over: the reader's field is gone, or its frames are of no more use."""


class ListeningChip:
    """An nfcpy reader in listen mode. device: its path. Held until `close`.

    Raises FrontendError if it cannot be opened or cannot listen.
    """

    def __init__(self, device: str) -> None:
        self._device = device
        self._rats: bytes | None = None  # overheard
        self._damaged = 0
        self._failures = 0
        self._reader = _open(device)
        self._nfc = _nfcpy()
        self._overhear_rats()
        try:
            self._demand_listening()
        except FrontendError:
            self.close()
            raise

    def shows(self, contactless: Contactless) -> Contactless:
        """What readers will see of a card. Raises FrontendError for a card without ISO-DEP."""
        shown = as_shown(contactless, FRAME_SIZES[self._size_code()])
        if self._udp_port is None:
            return shown
        return replace(shown, uid=contactless.uid, atqa=contactless.atqa)

    def listen(self, shown: Contactless, timeout_s: float) -> Selected | None:
        """Wait to be selected by a reader. Raises FrontendError if the chip is gone."""
        self._rats = None
        self._damaged = 0
        try:
            target = self._reader.listen(self._local_target(shown), timeout_s)
        except Exception as error:  # noqa: BLE001 - the drivers let many kinds through
            self._endure(error)
            return None
        self._failures = 0
        return self._selected(target) if target is not None and target.tt4_cmd else None

    def exchange(self, answer: bytes | None, timeout_s: float) -> bytes | None:
        """Send an answer, if any, and return the next frame; None if nothing good came in time.

        Raises FieldLost; FrontendError if the chip is gone.
        """
        errors = self._nfc.clf
        try:
            frame = self._reader.exchange(None if answer is None else bytearray(answer), timeout_s)
        except errors.TimeoutError:
            return None
        except errors.BrokenLinkError as error:
            raise FieldLost(str(error)) from error
        except OSError as error:
            self._endure(error)
            raise FieldLost(f"the chip is out of step: {error}") from error
        except Exception as error:  # TransmissionError, and what the drivers let through
            self._damaged += 1
            if self._damaged >= _DAMAGED:
                raise FieldLost(f"the frames are of no use: {error!r}") from error
            _log.debug("a frame that nfcpy could not take", exc_info=True)
            return None
        self._damaged = 0
        return bytes(frame) if frame else None

    def send(self, answer: bytes) -> None:
        """Send a last answer. Raises as `exchange` does; FieldLost if the field goes after it."""
        self.exchange(answer, _LAST_S if self._is_pn53x else 0)

    def close(self) -> None:
        """Give the reader back, if it is still there. A second call does nothing."""
        try:
            self._reader.close()
        except Exception:  # noqa: BLE001 - pyserial lets through what a terminal says that is gone
            _log.debug("the reader could not be given back", exc_info=True)

    @property
    def _is_pn53x(self) -> bool:
        return hasattr(self._reader.device, "_init_as_target")

    @property
    def _udp_port(self) -> int | None:
        """The port of the udp driver, None for any other."""
        address = getattr(self._reader.device, "addr", None)
        return None if address is None else int(address[1])

    def _size_code(self) -> int:
        """FSCI and FSDI of the longest frame that the chip takes and sends."""
        driver = self._reader.device
        bodies = driver.get_max_recv_data_size(None), driver.get_max_send_data_size(None)
        return _size_code(min(_LARGEST, *(size + CRC_SIZE for size in bodies)))

    def _endure(self, error: Exception) -> None:
        """Go on after a failure of the driver, some times. Raises FrontendError."""
        self._failures += 1
        if isinstance(error, OSError) and error.errno not in _OUT_OF_STEP:
            raise FrontendError(_why_not(self._device, error)) from error
        if self._failures >= _FAILURES:
            raise FrontendError(
                f"The reader {self._device} fails in its driver ({error!r}): replug it."
            ) from error
        _log.debug("nfcpy failed", exc_info=True)

    def _local_target(self, shown: Contactless) -> Any:  # noqa: ANN401 - nfcpy has no types
        return self._nfc.clf.LocalTarget(
            _TECHNOLOGY,
            sens_res=bytearray(shown.atqa),
            sdd_res=bytearray(shown.uid),
            sel_res=bytearray([shown.sak]),
            rats_res=bytearray(shown.ats),
        )

    def _demand_listening(self) -> None:
        """Raise FrontendError unless the driver would listen; there is no time for it to."""
        if self._udp_port is not None:
            _demand_free(self._udp_port)
        any_card = Contactless(b"\x04\x00", _ISO_DEP, _RANDOM_UID + bytes(3), b"\x02\x00")
        try:
            self._reader.listen(self._local_target(any_card), 0)
        except self._nfc.clf.UnsupportedTargetError as error:
            raise FrontendError(
                f"The reader {self._device} cannot listen as a card with ISO-DEP: use a PN532, "
                "PN533 or RC-S380 (docs/hardware.md has a table)."
            ) from error
        except OSError as error:
            raise FrontendError(_why_not(self._device, error)) from error

    def _selected(self, target: Any) -> Selected | None:  # noqa: ANN401 - nfcpy has no types
        first = bytes(target.tt4_cmd)
        heard = target.rats_cmd or self._rats
        rats = first if heard is None else bytes(heard)
        if len(rats) != 2:
            return None  # the drivers look at its first byte alone
        size_code = min(rats[1] >> 4, self._size_code())  # no longer than the chip can send
        kept = bytes([RATS, size_code << 4 | rats[1] & 0x0F])
        return Selected(kept, None if heard is None else first)

    def _overhear_rats(self) -> None:
        """Keep the RATS that a PN53x driver answers without telling."""
        driver = self._reader.device
        if not self._is_pn53x:
            return
        wait = driver._init_as_target

        def overheard(*arguments: Any) -> Any:  # noqa: ANN401 - nfcpy has no types
            mode_and_frame = wait(*arguments)
            frame = bytes(mode_and_frame[1:]) if mode_and_frame else b""
            self._rats = frame if frame[:1] == bytes([RATS]) else None
            return mode_and_frame

        driver._init_as_target = overheard


def as_shown(contactless: Contactless, largest: int = _LARGEST) -> Contactless:
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
        ats=_ats_kept(contactless.ats, largest),
    )


def _ats_kept(ats: bytes, largest: int) -> bytes:
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


def _nfcpy() -> Any:  # noqa: ANN401 - nfcpy has no types
    """nfcpy, imported when it is needed, without the hold it takes on Python's warnings."""
    showwarning = warnings.showwarning
    import nfc
    import nfc.clf

    if warnings.showwarning is not showwarning:
        logging.captureWarnings(False)
    nfc.clf.transport.open = _look_at
    return nfc


def _look_at(path: str) -> Any:  # noqa: ANN401 - a file
    """Open a port without becoming its session: when it hangs up, SIGHUP would end a service."""
    return open(path, opener=lambda name, flags: os.open(name, flags | os.O_NOCTTY))


def _open(device: str) -> Any:  # noqa: ANN401 - nfcpy has no types
    if not device:
        raise FrontendError("No reader is named; give a device path such as usb or tty:USB0:pn532.")
    _demand_port(device)
    try:
        nfc = _nfcpy()
    except (OSError, ImportError) as error:  # libusb is not there
        raise FrontendError(f"nfcpy cannot be loaded: {error}.") from error
    try:
        return nfc.ContactlessFrontend(device)
    except Exception as error:  # a path that means nothing raises what it happens to hit
        raise FrontendError(_why_not(device, error)) from error


def _demand_port(device: str) -> None:
    """nfcpy cuts a port to 16 bits, and lets the system choose for 0. Raises FrontendError."""
    kind, *rest = device.split(":")
    port = rest[1] if kind == "udp" and len(rest) > 1 else ""
    if port.isdecimal() and not 1 <= int(port) <= 65535:
        raise FrontendError(
            f"There is no UDP port {port} to listen on: choose one from 1 to 65535."
        )


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
    if code in (ENODEV, ETIMEDOUT):
        return (
            f"No NFC reader answers on {device}: plug it in, check the path, and see that your "
            "user may open it (on Linux a udev rule; without one a bare usb path finds nothing)."
        )
    if code in (EACCES, EPERM):
        return (
            f"Your user may not open the reader {device}: install a udev rule for it, for a serial "
            "reader join the group dialout, or for a virtual one be the user who started it."
        )
    if code == EBUSY:
        return (
            f"The reader {device} is used by another program: stop it (pcscd is the usual one), "
            "or unload the kernel module pn533_usb."
        )
    if code == EIO or (isinstance(error, OSError) and code is None):  # pyserial's has no number
        return f"The reader {device} has gone or talks nonsense: replug it and check the path."
    if isinstance(error, (IndexError, AssertionError, TypeError)):
        return f"What answers on {device} is not the reader that its path names: check the path."
    return f"The reader {device} cannot be used: {error}."

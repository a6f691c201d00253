"""A reader that nfcpy drives: USB and serial NFC readers, and the UDP air for tests.

nfcpy is imported when the first coupler is made: that takes 50 ms, which a gate on PC/SC saves.

What is worked around here, all seen in nfcpy 1.0.4:

- importing it redirects Python's warnings into logging for the whole process; undone here.
- an empty command fails inside it with UnboundLocalError; refused here.
- an ATS without TA or TB fails inside it with IndexError, a cut block likewise; such a card is
  passed over, or lost.
- it looks at a serial port with an open that makes the port the terminal of a program that has
  none, as a service has none; opened without that here.
- on the UDP air a search that finds nothing takes one second, so `wait_card` may be that late.
"""

import logging
import os
import time
import warnings
from contextlib import suppress
from dataclasses import dataclass
from errno import EACCES, EBUSY, EIO, ENODEV, EPERM, ETIMEDOUT
from typing import Any

from reader.transport.base import CardLost, NoCard, ReaderFault

__all__ = ["Identity", "NfcCoupler", "NfcTransport"]

_TECHNOLOGY = "106A"
_SEARCH_INTERVAL_S = 0.02
_PRESENCE_INTERVAL_S = 0.05
_ISO_DEP = 0x20  # SAK bit 6: the card speaks ISO/IEC 14443-4

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Identity:
    """How a card introduced itself.

    atqa: 2 bytes as they came on air, low byte first.   sak: 1 byte value.   uid: 4, 7 or 10 bytes.
    """

    atqa: bytes
    sak: int
    uid: bytes


class NfcTransport:
    """A card that an NfcCoupler has activated, until it leaves or the coupler searches again.

    tag: nfcpy's Type4Tag.
    """

    def __init__(self, tag: Any, identity: Identity, device: str) -> None:  # noqa: ANN401
        self.identity = identity
        self._nfc = _nfcpy()
        self._tag = tag
        self._device = device

    def transmit(self, command: bytes) -> bytes:
        """Send one command. Returns data and status word.

        Raises CardLost, ReaderFault; ValueError for an empty command, which ISO-DEP cannot carry.
        """
        if not command:
            raise ValueError("an empty command cannot be sent to a contactless card")
        try:
            response = self._tag.transceive(command)
        except self._nfc.tag.TagCommandError as error:
            raise CardLost(_why_lost(self._nfc, error)) from error
        except self._nfc.clf.CommunicationError as error:
            raise CardLost("The card left the field before it answered.") from error
        except IndexError as error:
            raise CardLost("The card broke the ISO-DEP protocol with a cut block.") from error
        except _line_errors(self._nfc) as error:
            raise ReaderFault(_why_not(self._device, error)) from error
        if response is None or len(response) < 2:
            raise CardLost("The card sent an answer without a status word.")
        return bytes(response)

    def is_present(self) -> bool:
        """Ask the card whether it is still there, without an APDU. Raises ReaderFault."""
        try:
            return bool(self._tag.is_present)
        except _line_errors(self._nfc) as error:
            raise ReaderFault(_why_not(self._device, error)) from error


class NfcCoupler:
    """An NFC reader, by nfcpy's device path.

    device: `usb`, `usb:054c:06c3`, `usb:001:023`, `tty:USB0:pn532`, `udp:127.0.0.1:54321`.
    Raises ReaderFault if it cannot be opened.
    """

    def __init__(self, device: str) -> None:
        self._device = device
        self._card: NfcTransport | None = None
        self._reader = _open(device)

    def wait_card(self, timeout_s: float) -> NfcTransport:
        """Wait for a card of type A that speaks ISO-DEP, and activate it.

        The field goes off and on first: a card that lies on the reader starts afresh, and the
        transport of an earlier call is of no more use. Raises NoCard, ReaderFault.
        """
        self._card = None
        deadline_s = time.monotonic() + timeout_s
        while True:
            card = self._search()
            if card is not None:
                self._card = card
                return card
            left_s = deadline_s - time.monotonic()
            if left_s <= 0:
                raise NoCard(f"No card came to {self._device} within {timeout_s:g} s.")
            time.sleep(min(_SEARCH_INTERVAL_S, left_s))

    def wait_gone(self, timeout_s: float) -> bool:
        """Wait until the card has left the field. Returns whether it has. Raises ReaderFault."""
        deadline_s = time.monotonic() + timeout_s
        while self._card is not None and self._card.is_present():
            left_s = deadline_s - time.monotonic()
            if left_s <= 0:
                return False
            time.sleep(min(_PRESENCE_INTERVAL_S, left_s))
        self._card = None
        return True

    def close(self) -> None:
        """Switch the field off and give the reader back. A second call does nothing."""
        self._card = None
        with suppress(*_line_errors(_nfcpy())):  # it has gone already
            self._reader.close()

    def _search(self) -> NfcTransport | None:
        nfc = _nfcpy()
        try:
            target = self._reader.sense(nfc.clf.RemoteTarget(_TECHNOLOGY))
            if target is None or not target.sel_res or not target.sel_res[0] & _ISO_DEP:
                return None
            tag = nfc.tag.activate(self._reader, target)
        except nfc.clf.UnsupportedTargetError as error:
            raise ReaderFault(f"The reader {self._device} cannot read cards of type A.") from error
        except _line_errors(nfc) as error:
            raise ReaderFault(_why_not(self._device, error)) from error
        except IndexError:
            _log.debug("nfcpy cannot read the ATS of this card", exc_info=True)
            return None
        if tag is None:
            return None
        identity = Identity(bytes(target.sens_res), target.sel_res[0], bytes(target.sdd_res))
        return NfcTransport(tag, identity, self._device)


def _nfcpy() -> Any:  # noqa: ANN401 - nfcpy has no types
    showwarning = warnings.showwarning
    import nfc
    import nfc.clf
    import nfc.tag

    if warnings.showwarning is not showwarning:
        logging.captureWarnings(False)
    nfc.clf.transport.open = _look_at
    return nfc


def _look_at(path: str) -> Any:  # noqa: ANN401 - a file
    """Open a port without becoming its session: when it hangs up, SIGHUP would end a service."""
    return open(path, opener=lambda name, flags: os.open(name, flags | os.O_NOCTTY))


def _open(device: str) -> Any:  # noqa: ANN401 - nfcpy has no types
    if not device:
        raise ReaderFault("No reader is named; give a device path such as usb or tty:USB0:pn532.")
    try:
        nfc = _nfcpy()
    except (OSError, ImportError) as error:  # libusb is not there
        raise ReaderFault(f"nfcpy cannot be loaded: {error}.") from error
    try:
        return nfc.ContactlessFrontend(device)
    except Exception as error:  # the drivers let many kinds through
        raise ReaderFault(_why_not(device, error)) from error


def _line_errors(nfc: Any) -> tuple[type[Exception], ...]:  # noqa: ANN401 - nfcpy has no types
    """What a reader that goes away raises: pyserial lets through what the terminal says."""
    termios = getattr(nfc.clf.transport, "termios", None)
    return (OSError,) if termios is None else (OSError, termios.error)


def _why_lost(nfc: Any, error: Any) -> str:  # noqa: ANN401 - nfcpy has no types
    if error.errno == nfc.tag.TIMEOUT_ERROR:
        return "The card stopped answering; it has probably left the field."
    if error.errno == nfc.tag.RECEIVE_ERROR:
        return "The card's answers arrive damaged; it is probably at the edge of the field."
    return f"The card broke the ISO-DEP protocol ({error})."


def _why_not(device: str, error: Exception) -> str:
    code = error.errno if isinstance(error, OSError) else error.args[0] if error.args else None
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
    if code == EIO:
        return f"The reader {device} has gone or talks nonsense: replug it and check the path."
    if isinstance(error, (IndexError, AssertionError)):
        return f"What answers on {device} is not the reader that its path names: check the path."
    return f"The reader {device} cannot be used: {error}."

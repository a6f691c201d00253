"""The card on a reader that can also listen: PN532, PN533 and RC-S380 hardware over nfcpy.

The reader's chip (`nfc_chip`) plays ISO/IEC 14443-3: it answers REQA and anticollision with what it
was given, and hands over what comes after SELECT. ISO-DEP above it is `emulator.radio`'s, as
everywhere; the card is led through REQA and SELECT once more, so that it stands where the chip
says it is.

How a session goes and ends:

- The chip falls out of the reader's field: the card is powered off, and the chip listens again.
- Nothing comes for a while: the wait goes on, for a reader may be silent. After half a minute it
  is taken to be gone, in case a chip has not noticed.
- A frame with a bad checksum or worse: the card is silent, as ISO-DEP wants it.
- After S(DESELECT) a card is in HALT and hears WUPA alone. The chip starts afresh and hears REQA
  too; the halted card it plays would stay silent.
- A card that has left, before the chip was selected or in a session, is not played any further,
  and whoever says what is shown is asked before the chip listens again.
- nfcpy's `udp` driver takes frames from everywhere: a poll within a session is another reader's.

Which readers listen is in docs/hardware.md.
"""

import logging
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Self

from apdu.event import Event, Layer, Observer, Source
from apdu.frame import REQA, SELECT_CODES, SELECT_NVB, WUPA
from emulator.frontends.errors import FrontendError
from emulator.frontends.nfc_chip import FieldLost, ListeningChip, Selected
from emulator.frontends.watched import OnExchange, Watched
from emulator.picc import Contactless, ContactlessOf, Picc
from emulator.radio.activation import State, cascade
from emulator.radio.station import Service, Station

__all__ = ["FrontendError", "NfcTarget", "changes"]

_LISTEN_S = 0.5
"""How long one search or wait takes, nfcpy's least; `stop` is heard no later."""
_SILENCE_S = 30.0
"""A reader that says nothing for so long has gone, and the chip has not noticed."""
_TOO_SOON_S = 0.01
_PAUSE_S = 0.1

_log = logging.getLogger(__name__)


class NfcTarget:
    """One card on one nfcpy reader in listen mode, for as long as `serve` runs.

    device: nfcpy's path, such as `usb`, `usb:054c:06c3`, `tty:USB0:pn532`. The reader is opened at
    once and held until `close`. The object is used once. `on_exchange` sees each command and
    response before the response leaves; it runs in the serving thread and must not raise. An
    exception in the card is logged and answered 6F00.
    contactless_of: asked before each search, for a card that shows another UID each time, or none;
    not after S(DESELECT), which leaves the field on.
    observe: gets the field and what comes after SELECT, without checksums, at the time of
    `perf_counter_ns`. service: how long the card computes, waited for in real time.

    `shown` is what readers see of the card, `changes` a sentence about what is not the card's own.
    Raises FrontendError if the reader cannot be opened, cannot listen, or cannot show this card.
    """

    def __init__(
        self,
        picc: Picc,
        device: str,
        on_exchange: OnExchange | None = None,
        contactless_of: ContactlessOf | None = None,
        observe: Observer | None = None,
        service: Service | None = None,
    ) -> None:
        self._chip = ListeningChip(device)
        try:
            self.shown = self._chip.shows(picc.contactless)
        except FrontendError:
            self._chip.close()
            raise
        self.changes = changes(picc.contactless, self.shown)
        self._contactless_of = contactless_of
        self._card = Station(Watched(picc, on_exchange), service, lambda: self.shown)
        self._observe = observe
        self._stopped = threading.Event()
        self._has_left = False  # since it was last asked what is shown

    def serve(self) -> None:
        """Answer readers until `stop`, in this thread. The card is powered off afterwards.

        Raises FrontendError if the reader goes away.
        """
        is_same_field = False
        while not self._stopped.is_set():
            if not is_same_field:
                self._has_left = False
                if not self._is_shown():
                    self._stopped.wait(_LISTEN_S)  # a phone that is off
                    continue
            started_s = time.monotonic()
            selected = self._chip.listen(self.shown, _LISTEN_S)
            is_same_field = selected is not None and self._session(selected)
            if selected is None and time.monotonic() - started_s < _TOO_SOON_S:
                self._stopped.wait(_PAUSE_S)  # a UDP port that is taken, for one

    def stop(self) -> None:
        """Make `serve` return, within half a second. May be called from any thread, and before."""
        self._stopped.set()

    def leave(self) -> None:
        """Take the card out of the field it is in; the next field is asked about. Any thread."""
        self._has_left = True
        self._card.leave()

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

    def _is_shown(self) -> bool:
        """Whether there is a card for the next reader; `shown` is what it sees."""
        if self._contactless_of is None:
            return True
        contactless = self._contactless_of()
        if contactless is not None:
            self.shown = self._chip.shows(contactless)
        return contactless is not None

    def _session(self, selected: Selected) -> bool:
        """Serve one reader. Whatever happens to it, the program goes on.

        Returns whether the reader let go of the card in a field that is still on.
        """
        try:
            self._talk(selected)
            return True
        except FieldLost as reason:
            _log.debug("the session is over: %s", reason)
        except FrontendError:
            raise
        except Exception:  # noqa: BLE001 - a bug in power_on, power_off or the observer
            _log.exception("the session is over")
        return False

    def _talk(self, selected: Selected) -> None:
        """From RATS until the field goes, or S(DESELECT)."""
        card = self._card
        try:
            card.field_on()  # whoever leaves from here on is heard by the card itself
            self._report(Source.FIELD, b"\x01")
            if self._has_left:
                raise FieldLost("the card left while the chip listened")
            for frame in _selection(self.shown):
                card.receive_body(frame)
            answer = self._answer(selected.rats)
            if selected.first is not None:
                answer = self._answer(selected.first)
            while card.link.isodep.is_open:
                answer = self._answer(self._next(answer))
            if answer is not None:
                self._chip.send(answer)
            if card.link.activation.state is State.POWER_OFF:
                raise FieldLost("the card has left")
        finally:
            card.field_off()
            self._report(Source.FIELD, b"\x00")

    def _answer(self, frame: bytes) -> bytes | None:
        """The card's answer, at the time it is due; None for silence."""
        self._report(Source.PCD, frame)
        started_s = time.monotonic()
        reply = self._card.receive_body(frame)
        if reply is None:
            return None
        answer, after_ns = reply
        if after_ns:
            self._stopped.wait(after_ns / 1e9 - (time.monotonic() - started_s))
        self._report(Source.PICC, answer)
        return answer

    def _report(self, source: Source, data: bytes) -> None:
        if self._observe is not None:
            has_crc = False if source is Source.FIELD else None
            now_ns = time.perf_counter_ns()
            self._observe(Event(now_ns, source, Layer.RF, data, has_crc=has_crc))

    def _next(self, answer: bytes | None) -> bytes:
        """Send an answer, or nothing, and wait for the reader's next frame. Raises FieldLost."""
        silent_s = 0.0
        while not self._stopped.is_set() and silent_s < _SILENCE_S:
            frame = self._chip.exchange(answer, _LISTEN_S)
            if frame in (REQA, WUPA):
                raise FieldLost("another reader polls")
            if frame is not None:
                return frame
            answer = None
            silent_s += _LISTEN_S
        raise FieldLost("nothing more comes")


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


def _selection(shown: Contactless) -> list[bytes]:
    """The frames that lead a card from IDLE to ACTIVE."""
    levels = zip(SELECT_CODES, cascade(shown.uid), strict=False)
    return [REQA, *(bytes([code, SELECT_NVB]) + level for code, level in levels)]

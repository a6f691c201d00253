"""What every front end puts between itself and the card: an observer, and a net for our bugs."""

import logging
from collections.abc import Callable

from emulator.picc import CardGone, Contactless, Picc

__all__ = ["OnExchange", "Watched"]

OnExchange = Callable[[bytes, bytes], None]
"""Sees each command and response before the response leaves. Must not raise."""

_NO_DIAGNOSIS = b"\x6f\x00"

_log = logging.getLogger(__name__)


class Watched:
    """The card, with its exchanges shown to an observer and its bugs turned into 6F00."""

    def __init__(self, picc: Picc, on_exchange: OnExchange | None) -> None:
        self.contactless: Contactless = picc.contactless
        self.power_on = picc.power_on
        self.power_off = picc.power_off
        self._process = picc.process
        self._on_exchange = on_exchange

    def process(self, command: bytes) -> bytes:
        """See Picc."""
        try:
            response = self._process(command)
        except CardGone:
            raise  # no answer is no bug
        except Exception:  # noqa: BLE001 - the bug is logged, and the reader gets its answer
            # The header alone: the data may hold a key or a PIN.
            _log.exception("the card failed on %s and answered 6F00", command[:4].hex(" "))
            response = _NO_DIAGNOSIS
        if self._on_exchange is not None:
            self._on_exchange(command, response)
        return response

"""A card that takes real time, where the road has no S(WTX): a contact reader simply waits."""

import time

from emulator.picc import Picc
from emulator.radio.station import Service


class SlowPicc:
    """A card whose answers come after the time it would compute. service: how long that is."""

    def __init__(self, picc: Picc, service: Service) -> None:
        self.contactless = picc.contactless
        self.power_on = picc.power_on
        self.power_off = picc.power_off
        self._process = picc.process
        self._service = service

    def process(self, command: bytes) -> bytes:
        """See Picc. The state changes when the time is over."""
        time.sleep(self._service.time_ns(command) / 1e9)
        return self._process(command)

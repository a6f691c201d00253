"""How long a card, or a PSAM, computes: a table of commands and times.

Times come from data (`fixtures.timing`). A measured one is what a reader saw from command to
answer, so what the exchange spent on air is taken off here, by the arithmetic of `timing`.
"""

from collections.abc import Iterable
from functools import lru_cache
from typing import Final

from apdu.frame import Frame
from apdu.value import value
from emulator.radio.timing import card_delay, card_periods, ns, reader_periods

_BLOCK_OVERHEAD: Final = 1  # PCB; the checksum is added by `Frame.whole`


@value
class ServiceTime:
    """What one command takes. prefix: its first bytes; the longest that fits counts.

    took_ns:  compute time, without writing.
    writes:   pages of non-volatile memory it writes; each takes the table's `write_ns` more.
    """

    prefix: bytes
    name: str
    took_ns: int
    writes: int = 0


class ServiceTimes:
    """A card's times (`station.Service`). default_ns: of commands not listed."""

    def __init__(
        self, title: str, times: Iterable[ServiceTime], default_ns: int, write_ns: int = 0
    ) -> None:
        self.title = title
        self._default_ns = default_ns
        self._times = sorted(times, key=lambda time: -len(time.prefix))
        self._write_ns = write_ns
        longest = max((len(time.prefix) for time in self._times), default=0)
        self._by_start = lru_cache(maxsize=4096)(self._look_up)
        self._longest = longest

    def time_ns(self, command: bytes) -> int:
        """See Service."""
        return self._by_start(command[: self._longest])

    def _look_up(self, start: bytes) -> int:
        for time in self._times:
            if start.startswith(time.prefix):
                return time.took_ns + time.writes * self._write_ns
        return self._default_ns


def air_time_ns(sends: int, answers: int) -> int:
    """What one APDU exchange spends on air at 106 kbit/s, in one block each way, no CID.

    sends, answers: bytes of the command and of the response, status word included.
    """
    asked = Frame.whole(bytes(_BLOCK_OVERHEAD + sends))
    said = Frame.whole(bytes(_BLOCK_OVERHEAD + answers))
    return ns(reader_periods(asked) + card_delay(asked) + card_periods(said))

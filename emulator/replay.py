"""A recorded card: it answers a reader with what was recorded, in its order.

A reader that asks exactly what was asked then gets exactly what was answered. Readers differ in
random numbers, times and serial numbers, and may start again from the beginning, so the next
answer is looked for in this order, always from where the last one was found:

1. the same command, further on;
2. the same but for what is fresh in every run (`apdu.fresh`), further on;
3. the same command anywhere, then the same but for what is fresh anywhere.

A command that was never recorded is answered `NOT_RECORDED`. Cryptograms are answered as recorded:
they are right for a reader whose random numbers are those of the recording, and for no other.
"""

from collections.abc import Callable, Iterable
from typing import Final

from apdu.event import Event, Source
from apdu.fresh import is_same_command
from apdu.rf import FrameReader
from emulator.picc import Contactless

NOT_RECORDED: Final = b"\x6f\x00"
"""No precise diagnosis (protocol reference 4.23): no card's own answer to a command it knows."""

TYPICAL: Final = Contactless(
    b"\x04\x00", 0x20, bytes.fromhex("08A1B2C3"), bytes.fromhex("0578807002")
)
"""How a recorded card shows itself where its activation was not recorded: as a phone would."""

Recorded = tuple[bytes, bytes]
"""A command and its answer."""


class ReplayPicc:
    """A card made of recorded exchanges (`emulator.picc.Picc`).

    unmatched: the commands that were not recorded, as they came.
    """

    def __init__(self, recorded: Iterable[Recorded], contactless: Contactless = TYPICAL) -> None:
        self.contactless = contactless
        self.unmatched: list[bytes] = []
        self._recorded = list(recorded)
        self._next = 0

    def __len__(self) -> int:
        return len(self._recorded)

    def power_on(self) -> bytes:
        """See Picc. The place in the recording stays: a reader may look twice before it taps."""
        return self.contactless.historical

    def power_off(self) -> None:
        """See Picc."""

    def process(self, command: bytes) -> bytes:
        """See Picc."""
        at = self._find(command)
        if at is None:
            self.unmatched.append(command)
            return NOT_RECORDED
        self._next = at + 1
        return self._recorded[at][1]

    def _find(self, command: bytes) -> int | None:
        ahead = range(self._next, len(self._recorded))
        for places in (ahead, range(len(self._recorded))):
            for is_it in (bytes.__eq__, is_same_command):
                found = self._first(places, command, is_it)
                if found is not None:
                    return found
        return None

    def _first(
        self, places: range, command: bytes, is_it: Callable[[bytes, bytes], bool]
    ) -> int | None:
        return next((at for at in places if is_it(self._recorded[at][0], command)), None)


def shown_in(frames: Iterable[Event]) -> Contactless | None:
    """How a card introduced itself in the frames of a recording; None if that is not there."""
    reader = FrameReader()
    atqa = sak = uid = None
    for event in frames:
        words = reader.read(event)
        if event.source is not Source.PICC or words.faults:
            continue
        if words.title == "ATQA":
            atqa = event.data
        elif words.title == "SAK" and words.uid:
            sak, uid = event.data[0], words.uid
        elif words.title == "ATS" and atqa and sak is not None and uid:
            return Contactless(atqa, sak, uid, event.data[: event.data[0]])
    return None

"""What a file of bare bytes does not say of a frame, told by what was sent before it.

pcap keeps neither the bits of a frame that is no multiple of eight nor whether it has a checksum;
Proxmark3 keeps the bits in a duration. ISO/IEC 14443-3 fixes both for every frame of the
activation: REQA and WUPA are short, they and anticollision and their answers have no checksum,
and NVB counts the bits of a split byte (protocol reference 1.2).
"""

from dataclasses import dataclass
from typing import Final, NamedTuple

from apdu.crc import CRC_SIZE
from apdu.event import Source
from apdu.frame import REQA, SHORT_BITS, WUPA, asks_without_crc


class Shape(NamedTuple):
    """See Frame and Event for the fields."""

    tail: int = 8
    head: int = 0
    has_crc: bool = True


_WHOLE: Final = Shape()


@dataclass(slots=True)
class Guess:
    """Fed with every frame in order. expected: the shape of an answer to the reader's last one."""

    expected: Shape = _WHOLE

    def field(self) -> None:
        """The field goes on or off: nobody waits for an answer."""
        self.expected = _WHOLE

    def shape(self, source: Source, data: bytes) -> Shape:
        """The shape of the next frame."""
        if source is not Source.PCD:
            return self.expected._replace(has_crc=self.expected.has_crc and len(data) > CRC_SIZE)
        asked = _asked(data)
        head = asked.tail % 8 if asks_without_crc(data) else 0
        self.expected = Shape(8, head, asked.has_crc)
        return asked._replace(has_crc=asked.has_crc and len(data) > CRC_SIZE)


def _asked(data: bytes) -> Shape:
    if data in (REQA, WUPA):
        return Shape(SHORT_BITS, 0, has_crc=False)
    if asks_without_crc(data):
        count, bits = data[1] >> 4, data[1] & 0x0F
        is_split = bits in range(1, 8) and len(data) == count + 1
        return Shape(bits if is_split else 8, 0, has_crc=False)
    return _WHOLE

"""One frame of ISO/IEC 14443-3 type A as it is on air: bits, parity and checksum.

Whole bytes carry an odd parity bit each. Short frames have 7 bits and none. In bit-oriented
anticollision a byte is split between reader and card: each sends its own bits of it, at their own
places, and the other bits are 0 here.
"""

from typing import Final

from apdu.crc import append_crc, strip_crc
from apdu.value import value

SHORT_BITS: Final = 7
REQA: Final = b"\x26"
WUPA: Final = b"\x52"
HLTA: Final = b"\x50\x00"
SELECT_CODES: Final = (0x93, 0x95, 0x97)
"""SEL of the three cascade levels."""
SELECT_NVB: Final = 0x70
CASCADE_TAG: Final = 0x88

_ODD = bytes(1 - (byte.bit_count() & 1) for byte in range(256))


def odd_parity(data: bytes) -> bytes:
    """The parity bit of each byte, 0 or 1, that makes nine bits odd.

    >>> odd_parity(bytes.fromhex("260003")).hex()
    '000101'
    """
    return data.translate(_ODD)


@value
class Frame:
    """A frame on air.

    data:   the bytes, with CRC_A where the frame has one.
    tail:   bits of the last byte that are on air, 1 to 8; 7 in a short frame.
    head:   low bits of the first byte that are not on air: the reader sent them.
    parity: the parity bits as sent, 0 or 1 a byte; None if all are right.
    rate:   0 is 106 kbit/s, 1 is 212, 2 is 424, 3 is 848.
    """

    data: bytes
    tail: int = 8
    head: int = 0
    parity: bytes | None = None
    rate: int = 0

    @classmethod
    def whole(cls, body: bytes, has_crc: bool = True, rate: int = 0) -> "Frame":
        """A frame of whole bytes."""
        return cls(append_crc(body) if has_crc else body, rate=rate)

    @property
    def bits(self) -> int:
        """Data bits on air, parity not counted."""
        return 8 * len(self.data) - (8 - self.tail) - self.head

    @property
    def has_right_parity(self) -> bool:
        """Whether every whole byte has its odd parity bit.

        A last byte that is cut has none. The one behind a split byte is ignored: it covers bits
        that the other side sent (6.2.3.3).
        """
        if self.parity is None:
            return True
        first, end = self.head > 0, len(self.data) - (self.tail < 8)
        return self.parity[first:end] == odd_parity(self.data)[first:end]

    def body(self) -> bytes | None:
        """The bytes without their checksum; None if parity or checksum are wrong."""
        if self.tail != 8 or self.head or not self.has_right_parity:
            return None
        return strip_crc(self.data)

    def bit_values(self) -> list[int]:
        """The data bits in the order they are sent: least significant first."""
        bits = [byte >> n & 1 for byte in self.data for n in range(8)]
        return bits[self.head : 8 * len(self.data) - (8 - self.tail)]


def asks_without_crc(data: bytes) -> bool:
    """Whether a reader's frame of whole bytes is anticollision, which has no checksum.

    NVB tells: 70 is SELECT and has a CRC, 20 to 67 ask for the rest of a UID (6.5.3.2).
    """
    return len(data) >= 2 and data[0] in SELECT_CODES and data[1] != SELECT_NVB

"""How long things take on air: bit times, frames, delays. Integers of carrier periods, 1/fc.

The arithmetic, for one frame at bit rate 106 * 2^D kbit/s:

- a bit lasts 128 / 2^D carrier periods; a byte is nine bits, its parity included; a short frame
  has seven bits and no parity;
- reader to card, and card to reader at 106 kbit/s: one start bit, then the bits;
- card to reader at higher rates: 32 subcarrier cycles of 16 carrier periods, then the bits;
- the end of communication lies within the delay that follows and is not counted twice.

The frame delay time is counted from the end of the last bit. ISO/IEC 14443-3, 6.2.1.1 counts it
from the reader's last pause, 1236 after a one and 1172 after a zero; the two pauses lie 64 apart,
so in both cases the card starts 1172 after the last bit.

Source: ISO/IEC 14443-2 and -3, general knowledge (grade K); the sums agree with the reference's
figures for air time to 2 % (performance reference 1).
"""

from typing import Final

from apdu.frame import Frame

FC_HZ: Final = 13_560_000
BIT: Final = 128
"""Carrier periods of a bit at 106 kbit/s."""
SUBCARRIER_START: Final = 512
"""Start of the card's communication above 106 kbit/s: 32 subcarrier cycles."""
FDT_CARD: Final = 1172
"""From the reader's last bit to the card's first, at 106 kbit/s (6.2.1.1)."""
FDT_CARD_FAST: Final = 1116
"""The same where the reader's frame was faster than 106 kbit/s."""
FDT_READER: Final = 1172
"""From the card's last bit to the reader's first (6.2.1.2)."""
DELTA_FWT: Final = 49_152
"""What a reader waits beyond the frame waiting time (ISO/IEC 14443-4, 7.2)."""
GUARD_NS: Final = 5_100_000
"""From the field coming up to the first REQA: 5 ms (ISO/IEC 14443-3, 5) and to spare."""
RATES_KBIT: Final = (106, 212, 424, 848)


def ns(periods: int) -> int:
    """Carrier periods as nanoseconds, rounded.

    >>> ns(65536)
    4833038
    """
    return (periods * 50_000 + 339) // 678


def frame_bits(frame: Frame) -> int:
    """Bits of a frame with parity, without start and end.

    Each whole byte has a parity bit; so has a first byte that lacks its head. A last byte that is
    cut has none.
    """
    whole = len(frame.data) if frame.tail == 8 else len(frame.data) - 1
    return frame.bits + whole


def reader_periods(frame: Frame) -> int:
    """Carrier periods of a reader's frame."""
    return (1 + frame_bits(frame)) * (BIT >> frame.rate)


def card_periods(frame: Frame) -> int:
    """Carrier periods of a card's frame."""
    start = SUBCARRIER_START if frame.rate else BIT
    return start + frame_bits(frame) * (BIT >> frame.rate)


def card_delay(asked: Frame) -> int:
    """Carrier periods from a reader's frame to the earliest answer."""
    return FDT_CARD_FAST if asked.rate else FDT_CARD

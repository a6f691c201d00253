"""Frames whose parity bits the host handles: nine bits a byte, packed without gaps."""

from apdu.frame import Frame, odd_parity


def without_parity(packed: bytes, last_bits: int) -> Frame:
    """The frame in a host's bits. Up to eight bits are a short frame, which has no parity.

    last_bits: of the last byte, 1 to 8. What is left after the last parity bit is dropped.
    """
    count = 8 * len(packed) - 8 + last_bits
    if count <= 8:
        return Frame(bytes([packed[0] & (1 << count) - 1]), count)
    stream = int.from_bytes(packed, "little")
    nines = [stream >> at & 0x1FF for at in range(0, count - 8, 9)]
    return Frame(bytes(nine & 0xFF for nine in nines), parity=bytes(nine >> 8 for nine in nines))


def with_parity(data: bytes) -> tuple[bytes, int]:
    """Bytes with the parity bits they have on air, packed, and the bits of the last byte."""
    stream = 0
    for at, (byte, parity) in enumerate(zip(data, odd_parity(data), strict=True)):
        stream |= (byte | parity << 8) << 9 * at
    count = 9 * len(data)
    return stream.to_bytes((count + 7) // 8, "little"), count % 8 or 8

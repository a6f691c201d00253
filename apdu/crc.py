"""CRC_A of ISO/IEC 14443-3: what a medium with a checksum adds to a frame, and takes off again.

The state machines beside this module speak frames without CRC. Only a front end whose medium
carries one (a chip that leaves it to the host, a recorded trace) needs these functions.
"""

from binascii import crc_hqx

CRC_SIZE = 2

# CRC_A runs least significant bit first; crc_hqx is the same polynomial, 1021, run most significant
# bit first. Mirroring the bits of each byte on the way in and out turns the one into the other,
# and the loop over the bytes stays in C.
_MIRROR = bytes(int(f"{byte:08b}"[::-1], 2) for byte in range(256))
_INITIAL = 0xC6C6  # 6363 mirrored


def crc_a(data: bytes) -> bytes:
    """The checksum of a frame as it goes on air, low byte first.

    Polynomial x^16 + x^12 + x^5 + 1, initial value 6363, no final xor.
    Source: ISO/IEC 14443-3, 6.2.4 and annex B; protocol reference 1.2.

    >>> crc_a(bytes.fromhex("5000")).hex()
    '57cd'
    """
    return crc_hqx(data.translate(_MIRROR), _INITIAL).to_bytes(2, "big").translate(_MIRROR)


def append_crc(frame: bytes) -> bytes:
    """A frame followed by its checksum."""
    return frame + crc_a(frame)


def strip_crc(frame: bytes) -> bytes | None:
    """A frame without its checksum, or None if the checksum is missing or wrong."""
    body = frame[:-CRC_SIZE]
    return body if len(frame) > CRC_SIZE and crc_a(body) == frame[-CRC_SIZE:] else None

"""What arrives of a frame: bent, cut, laid over others; and what a reader makes of it."""

from apdu.frame import Frame, odd_parity
from emulator.radio.medium import Ask, Heard, Trouble


def received(frame: Frame, ask: Ask) -> Heard:
    """One frame as a reader takes it: bit rate, parity, whole bytes, checksum."""
    if frame.rate != ask.rates[1]:
        return Heard(b"", Trouble.FRAMING)
    if not frame.has_right_parity:
        return Heard(b"", Trouble.PARITY)
    if frame.tail != 8:
        return Heard(b"", Trouble.FRAMING)
    if not ask.wants_crc:
        return Heard(frame.data)
    body = frame.body()
    return Heard(b"", Trouble.CRC) if body is None else Heard(body)


def overlaid(frames: list[Frame], ask: Ask) -> Heard:
    """Several frames that begin together: what is equal is heard, then a collision.

    Where one bit differs a reader sees both halves of it modulated (Manchester code, 6.1.1).
    """
    if any(frame.rate != ask.rates[1] for frame in frames):
        return Heard(b"", Trouble.FRAMING)
    bits = [frame.bit_values() for frame in frames]
    shortest = min(map(len, bits))
    longest = max(map(len, bits))
    at = next((n for n in range(shortest) if len({one[n] for one in bits}) > 1), shortest)
    if at == longest:
        return received(frames[0], ask)
    head = frames[0].head
    value = sum(bit << n for n, bit in enumerate(bits[0][:at])) << head
    known = value.to_bytes((head + at + 7) // 8, "little")
    return Heard(known, Trouble.COLLISION, at)


def flipped(frame: Frame, bit: int, width: int) -> Frame:
    """Some bits wrong, the parity bits as they were sent."""
    data = bytearray(frame.data)
    parity = odd_parity(frame.data) if frame.parity is None else frame.parity
    for n in range(bit, min(bit + width, frame.bits)):
        at = n + frame.head
        data[at >> 3] ^= 1 << (at & 7)
    return Frame(bytes(data), frame.tail, frame.head, parity, frame.rate)


def truncated(frame: Frame, bits: int) -> Frame | None:
    """The first bits of a frame; None if there are none."""
    if bits <= 0 or frame.bits <= 0:
        return None
    end = min(frame.head + bits, frame.head + frame.bits)
    size, tail = (end + 7) // 8, (end - 1) % 8 + 1
    data = bytearray(frame.data[:size])
    data[-1] &= (1 << tail) - 1
    parity = None if frame.parity is None else frame.parity[:size]
    return Frame(bytes(data), tail, frame.head, parity, frame.rate)

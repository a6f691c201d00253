"""BER-TLV as far as smart cards use it: tags of up to three bytes, definite lengths.

A `Tlv` *is* its encoding and parses itself when made, so a held one is well-formed.
"""

from collections.abc import Iterator
from typing import Self

from apdu.codec import WireError

DEEPEST = 128
"""Levels of nesting followed: as many as the longest answer can hold; an FCI has five."""


class Tlv(bytes):
    """One data object.

    >>> fci = Tlv(bytes.fromhex("6f09 8407a0000000032010"))
    >>> f"{fci.tag:X}", fci.is_constructed, fci.first(0x84).value.hex()
    ('6F', True, 'a0000000032010')
    """

    tag: int
    value: bytes

    def __new__(cls, data: bytes) -> Self:
        """Parse exactly one data object. Raises WireError if bytes are missing or left over."""
        tag, value, end = _split(data, 0)
        if end != len(data):
            raise WireError(f"{len(data) - end} bytes after data object {tag:X}")
        self = super().__new__(cls, data)
        self.tag, self.value = tag, value
        return self

    @classmethod
    def make(cls, tag: int, *parts: bytes) -> Self:
        """Encode a tag around its value, given in parts.

        >>> Tlv.make(0x9F08, b"\\x02").hex()
        '9f080102'
        """
        value = b"".join(parts)
        n = len(value)
        if n < 0x80:
            length = bytes((n,))
        else:
            size = (n.bit_length() + 7) // 8
            length = bytes((0x80 | size,)) + n.to_bytes(size, "big")
        return cls(tag.to_bytes((tag.bit_length() + 7) // 8 or 1, "big") + length + value)

    @property
    def is_constructed(self) -> bool:
        """Whether the value is itself made of data objects (bit 6 of the first tag byte)."""
        return bool(self[0] & 0x20)

    def children(self) -> list["Tlv"]:
        """The data objects inside. Raises WireError if the value is not well-formed."""
        return list(parse_all(self.value))

    def first(self, tag: int) -> "Tlv | None":
        """The first data object with that tag inside this one, at any depth.

        Raises WireError if the value is not well-formed or nested too deep.
        """
        return self._first(tag, DEEPEST)

    def _first(self, tag: int, depth: int) -> "Tlv | None":
        demand_depth(depth)
        for child in self.children():
            if child.tag == tag:
                return child
            if child.is_constructed and (deeper := child._first(tag, depth - 1)) is not None:
                return deeper
        return None

    def get(self, tag: int) -> bytes | None:
        """The value of `first`, or None."""
        found = self.first(tag)
        return None if found is None else found.value


def parse_all(data: bytes) -> Iterator[Tlv]:
    """The data objects of a sequence. Filler bytes 00 between objects are skipped (ISO 7816-4).

    Some cards fill the FCI's A5 with four zero bytes (protocol reference 2.4).
    """
    at = 0
    while at < len(data):
        if data[at] == 0:
            at += 1
            continue
        _, _, end = _split(data, at)
        yield Tlv(data[at:end])
        at = end


def demand_depth(left: int) -> None:
    """Raise WireError when no level is left: hostile input may nest without end."""
    if left < 0:
        raise WireError(f"data objects are nested deeper than {DEEPEST}")


def value_of(data: bytes, tag: int, depth: int = DEEPEST) -> bytes | None:
    """The value of the first data object with that tag, at any depth; None if there is none.

    The same walk as `Tlv.first` without making an object of every step.
    Raises WireError if what is walked is not well-formed.

    >>> value_of(bytes.fromhex("6f09 8407a0000000032010"), 0x84).hex()
    'a0000000032010'
    """
    demand_depth(depth)
    at = 0
    while at < len(data):
        first = data[at]
        if first == 0:
            at += 1
            continue
        found, value, at = _split(data, at)
        if found == tag:
            return value
        if first & 0x20:
            deeper = value_of(value, tag, depth - 1)
            if deeper is not None:
                return deeper
    return None


def _split(data: bytes, at: int) -> tuple[int, bytes, int]:
    try:
        first = at
        at += 1
        if data[first] & 0x1F == 0x1F:
            while data[at] & 0x80 and at - first < 2:
                at += 1
            at += 1
        tag = int.from_bytes(data[first:at], "big")
        length = data[at]
        at += 1
        if length & 0x80:
            size = length & 0x7F
            if not 1 <= size <= 3:
                raise WireError(f"data object {tag:X}: {size} length bytes are not supported")
            length = int.from_bytes(data[at : at + size], "big")
            at += size
    except IndexError:
        raise WireError("data object is cut off before its value") from None
    if at + length > len(data):
        raise WireError(f"data object {tag:X} says {length} bytes, {len(data) - at} are there")
    return tag, data[at : at + length], at + length

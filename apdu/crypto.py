"""Two-key triple DES, single-DES MAC and retail MAC, as the transit purse composes them.

Everything the protocol reference writes as `T`, `E1` and "MAC" is here; what goes *into* a MAC
is `apdu.purse`. Cipher contexts of static keys are made once and reused: an ECB context for a
triple-DES key, a CBC context carried from message to message for a MAC key (see `MacKey`).

Key objects hold running cipher contexts, so one object must not be shared between threads.
"""

from hmac import compare_digest
from typing import ClassVar

from cryptography.hazmat.decrepit.ciphers.algorithms import TripleDES
from cryptography.hazmat.primitives.ciphers import Cipher, CipherContext
from cryptography.hazmat.primitives.ciphers.modes import CBC, ECB

__all__ = ["Key", "MacKey", "compare_digest", "pad", "xor"]

_number = int.from_bytes
_ZERO = bytes(8)
_ONES = b"\xff" * 8
_CBC_ZERO = CBC(_ZERO)
_ECB = ECB()
_PADDING = [b"\x80" + bytes(7 - n) for n in range(8)]
"""By the bytes of the last block that are there already."""


def xor(left: bytes, right: bytes) -> bytes:
    """Bitwise exclusive or of two strings of one length.

    >>> xor(b"\\x0f\\xf0", b"\\xff\\xff").hex()
    'f00f'
    """
    n = len(left)
    return (int.from_bytes(left, "big") ^ int.from_bytes(right, "big")).to_bytes(n, "big")


def pad(data: bytes) -> bytes:
    """ISO/IEC 9797-1 padding method 2 to blocks of 8: always at least the byte 80.

    >>> pad(bytes(8)).hex()
    '00000000000000008000000000000000'
    """
    return data + _PADDING[len(data) & 7]


class MacKey:
    """A single-DES key that makes 4-byte transaction MACs and TACs (protocol reference 5.4).

    ISO/IEC 9797-1 algorithm 1, IV zero, padding method 2, leftmost 4 bytes of the last block.
    One CBC context serves all messages: the next message's first block is xored with the block
    the context still carries, which undoes it and so starts again from IV zero.
    """

    __slots__ = ("_carry", "_update")

    def __init__(self, key: bytes) -> None:
        if len(key) != 8:
            raise ValueError(f"a MAC key is 8 bytes, got {len(key)}")
        self._update = Cipher(TripleDES(key * 3), _CBC_ZERO).encryptor().update
        self._carry = b""

    def mac(self, data: bytes) -> bytes:
        """Four bytes over any data.

        Source: protocol reference 5.4; vector V1 of 5.8.

        >>> key = MacKey(bytes.fromhex("003238ABC57659DD"))
        >>> key.mac(bytes.fromhex("00001000 06 001122334455 20120229 135100")).hex()
        'f15cab75'
        """
        padded = data + _PADDING[len(data) & 7]
        carry = self._carry
        if carry:
            size = len(padded)
            padded = (_number(padded) ^ _number(carry) << 8 * size - 64).to_bytes(size)
        self._carry = last = self._update(padded)[-8:]
        return last[:4]


class Key:
    """A static key of 16 bytes (two-key triple DES, K1 K2 K1) or 8 bytes (single DES).

    Raises ValueError for any other size. The key's value is never shown; `repr` gives its
    check value. Two keys are equal if their values are.

    >>> Key(bytes(16))
    Key(check value 8CA64DE9)
    """

    __slots__ = ("_ecb", "_folded", "_value")

    ALGORITHMS: ClassVar[tuple[int, ...]] = (0x00, 0x01)
    """Algorithm ids that mean this cipher: captures show 00, one FMCOS card 01 (5.8, V4)."""

    def __init__(self, value: bytes) -> None:
        if len(value) not in (8, 16):
            raise ValueError(f"a key is 8 or 16 bytes, got {len(value)}")
        self._value = bytes(value)
        # Contexts are made when first used: many keys of a card never are.
        self._ecb: CipherContext | None = None
        self._folded: MacKey | None = None

    def __repr__(self) -> str:
        return f"Key(check value {self.check_value.hex().upper()})"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Key) and compare_digest(self._value, other._value)

    def __hash__(self) -> int:
        return hash(self._value)

    def expose(self) -> bytes:
        """The key's value, for storing it and for nothing else: never print or log it."""
        return self._value

    @property
    def check_value(self) -> bytes:
        """The first 4 bytes of eight zero bytes encrypted."""
        return self.encrypt(_ZERO)[:4]

    def encrypt(self, blocks: bytes) -> bytes:
        """`T(k, x)`: ECB over whole 8-byte blocks. Raises ValueError for other lengths."""
        if len(blocks) % 8:
            raise ValueError(f"ECB takes whole blocks of 8 bytes, got {len(blocks)}")
        ecb = self._ecb
        if ecb is None:
            ecb = self._ecb = Cipher(TripleDES(_k24(self._value)), _ECB).encryptor()
        return ecb.update(blocks)

    def decrypt(self, blocks: bytes) -> bytes:
        """The inverse of `encrypt`."""
        if len(blocks) % 8:
            raise ValueError(f"ECB takes whole blocks of 8 bytes, got {len(blocks)}")
        return Cipher(TripleDES(_k24(self._value)), _ECB).decryptor().update(blocks)

    def diversify(self, factor: bytes) -> "Key":
        """The key one level down: `T(k, f) || T(k, ~f)` (protocol reference 5.2, vector V5).

        factor: 8 bytes: the issuer code, then the low 8 bytes of the serial.
        """
        if len(factor) != 8:
            raise ValueError(f"a diversification factor is 8 bytes, got {len(factor)}")
        return Key(self.encrypt(factor + xor(factor, _ONES)))

    def session(self, block: bytes) -> MacKey:
        """Session key of a transaction: `T(k, block)` (protocol reference 5.3). block: 8 bytes."""
        ecb = self._ecb
        if ecb is None or len(block) != 8:
            return MacKey(self.encrypt(block))
        return MacKey(ecb.update(block))  # once a tap on either side: no second call

    def halves_xored(self) -> bytes:
        """Left half xor right half, the single-DES form of a TAC or PIN-reload key."""
        if len(self._value) == 8:
            return self._value
        return xor(self._value[:8], self._value[8:])

    @property
    def folded(self) -> MacKey:
        """The MAC key made of `halves_xored`: DTK for every TAC, DRPK for RELOAD PIN."""
        if self._folded is None:
            self._folded = MacKey(self.halves_xored())
        return self._folded

    def retail_mac(self, data: bytes, iv: bytes = _ZERO) -> bytes:
        """Secure-messaging MAC: ISO/IEC 9797-1 algorithm 3, 4 bytes (protocol reference 5.6).

        data: unpadded. iv: 8 bytes, the challenge followed by zeros. An 8-byte key gives the
        plain DES-CBC MAC. Source: vector V6 of 5.8.

        >>> key = Key(bytes.fromhex("00112233445566778899AABBCCDDEEFF"))
        >>> cipher = "DCC0BB5793ABFCA2CA8C1624822F6E01A86A0B5CBED191DD"
        >>> key.retail_mac(bytes.fromhex("84D400001C" + cipher),
        ...                bytes.fromhex("5D72B3FD00000000")).hex()
        '8a9d4adb'
        """
        return self.retail_block(pad(data), iv)[:4]

    def retail_block(self, padded: bytes, iv: bytes = _ZERO) -> bytes:
        """The last block of `retail_mac`, whole, over data that is padded already.

        Raises ValueError for anything but whole blocks of 8, at least one.
        """
        if not padded or len(padded) % 8:
            raise ValueError(f"expected whole blocks of 8 bytes, got {len(padded)}")
        left = self._value[:8]
        chained = Cipher(TripleDES(left * 3), CBC(iv)).encryptor().update(padded)
        if len(self._value) == 8:
            return chained[-8:]
        # Last block: CBC under K1 so far, then decrypt K2, encrypt K1 = one EDE on its input.
        before = chained[-16:-8] if len(chained) > 8 else iv
        return self.encrypt(xor(before, padded[-8:]))


def _k24(value: bytes) -> bytes:
    """The 24-byte form: shorter keys make the library warn that they will be refused."""
    return value * 3 if len(value) == 8 else value + value[:8]

"""Experimental SM4 purse keys (protocol reference 5.9): invented, NOT interoperable.

T-Union has SM4 purses, but no public text gives their diversification, session key or MAC. This
module puts SM4 where the 3DES purse has DES and triple DES, so that a reader's handling of another
cipher can be tried. No card or gate in service computes these values.
"""

from typing import ClassVar

from cryptography.hazmat.primitives.ciphers import Cipher
from cryptography.hazmat.primitives.ciphers.algorithms import SM4
from cryptography.hazmat.primitives.ciphers.modes import CBC, ECB

from apdu.crypto import Key, MacKey, xor

BLOCK = 16
_IV = CBC(bytes(BLOCK))


class Sm4MacKey(MacKey):
    """A 16-byte SM4 key that makes 4-byte MACs: CBC, IV zero, padding method 2 to 16."""

    __slots__ = ("_key",)

    def __init__(self, key: bytes) -> None:
        if len(key) != BLOCK:
            raise ValueError(f"an SM4 key is {BLOCK} bytes, got {len(key)}")
        self._key = SM4(key)

    def mac(self, data: bytes) -> bytes:
        """Four bytes over any data.

        Source: invented, protocol reference 5.9; vector sm4_experimental.json#mac1.

        >>> key = Sm4MacKey(bytes.fromhex("656FC81BD795944E503411085AECDA31"))
        >>> key.mac(bytes.fromhex("000000000930008900019520250908073015")).hex()
        '35f1a757'
        """
        padded = data + b"\x80" + bytes(-(len(data) + 1) % BLOCK)
        return Cipher(self._key, _IV).encryptor().update(padded)[-BLOCK:][:4]


class Sm4Key(Key):
    """A static purse key under SM4. It has no secure messaging: 5.9 gives none.

    >>> Sm4Key(bytes.fromhex("77CB7477C3ACE8F90C4FB5F7A25F3261")).diversify(
    ...     bytes.fromhex("5228009900000017")).expose().hex()
    '585ef9700f315e59ba4942944c7621e8'
    """

    __slots__ = ()

    ALGORITHMS: ClassVar[tuple[int, ...]] = (0x03,)
    """Ours: 03 is what 80 CD seems to call SM (4.21, inferred). It keeps 3DES terminals away."""

    def __init__(self, value: bytes) -> None:
        if len(value) != BLOCK:
            raise ValueError(f"an SM4 key is {BLOCK} bytes, got {len(value)}")
        super().__init__(value)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Sm4Key) and super().__eq__(other)

    __hash__ = Key.__hash__

    @property
    def check_value(self) -> bytes:
        """The first 4 bytes of sixteen zero bytes encrypted."""
        return self.encrypt(bytes(BLOCK))[:4]

    def encrypt(self, blocks: bytes) -> bytes:
        """SM4 in ECB over whole 16-byte blocks. Raises ValueError for other lengths."""
        _whole(blocks)
        return Cipher(SM4(self._value), ECB()).encryptor().update(blocks)  # noqa: S305 - 5.9

    def decrypt(self, blocks: bytes) -> bytes:
        """The inverse of `encrypt`."""
        _whole(blocks)
        return Cipher(SM4(self._value), ECB()).decryptor().update(blocks)  # noqa: S305 - 5.9

    def diversify(self, factor: bytes) -> "Sm4Key":
        """The key one level down: `SM4(k, f || ~f)`. factor: 8 bytes."""
        return Sm4Key(self.encrypt(_complemented(factor)))

    def session(self, block: bytes) -> Sm4MacKey:
        """Session key of 16 bytes: `SM4(k, i || ~i)` with the 8-byte input of 5.3."""
        return Sm4MacKey(self.encrypt(_complemented(block)))

    @property
    def folded(self) -> Sm4MacKey:
        """The TAC key: DTK whole."""
        return Sm4MacKey(self._value)

    def retail_mac(self, data: bytes, iv: bytes = bytes(8)) -> bytes:
        """Raises ValueError: no form of secure messaging under SM4 is known or invented."""
        return self.retail_block(data, iv)

    def retail_block(self, padded: bytes, iv: bytes = bytes(8)) -> bytes:
        """Raises ValueError, as `retail_mac` does."""
        raise ValueError("SM4 keys have no secure messaging here (protocol reference 5.9)")


def _whole(blocks: bytes) -> None:
    if len(blocks) % BLOCK:
        raise ValueError(f"SM4 takes whole blocks of {BLOCK} bytes, got {len(blocks)}")


def _complemented(half: bytes) -> bytes:
    if len(half) != BLOCK // 2:
        raise ValueError(f"expected {BLOCK // 2} bytes, got {len(half)}")
    return half + xor(half, b"\xff" * 8)

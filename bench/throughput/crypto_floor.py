"""The floor of a purchase's cryptograms: OpenSSL through `cryptography`, and nothing else.

The same bytes as `apdu.purse` makes (protocol reference 5.3 to 5.5), with contexts of static keys
made once, messages laid out and padded in advance, one fresh context for the session key, and MAC2
and TAC by carry. What the card takes beyond this is ours.
"""

from collections.abc import Callable

from cryptography.hazmat.decrepit.ciphers.algorithms import TripleDES
from cryptography.hazmat.primitives.ciphers import Cipher
from cryptography.hazmat.primitives.ciphers.modes import CBC, ECB

Cryptograms = tuple[bytes, bytes, bytes]
"""MAC1, MAC2 and TAC, 4 bytes each."""

_IV = CBC(bytes(8))
_ECB = ECB()  # noqa: S305 - the standard prescribes it (protocol reference 5.3)


def purchase_floor(
    dpk: bytes, dtk: bytes, block: bytes, spent: bytes, amount: bytes, proof: bytes
) -> Callable[[], Cryptograms]:
    """A function that makes one purchase's cryptograms each time it is called.

    dpk, dtk: 16 bytes. block: 8 bytes that the session key is made of. spent, amount, proof: what
    MAC1, MAC2 and TAC are over, unpadded.
    """
    to_session = Cipher(TripleDES(dpk + dpk[:8]), _ECB).encryptor().update
    folded = (int.from_bytes(dtk[:8], "big") ^ int.from_bytes(dtk[8:], "big")).to_bytes(8, "big")
    to_proof = Cipher(TripleDES(folded * 3), _IV).encryptor().update
    spent, amount, proof = (_padded(one) for one in (spent, amount, proof))
    first_of_amount = int.from_bytes(amount, "big")
    first_of_proof, rest_of_proof = int.from_bytes(proof[:8], "big"), proof[8:]
    carried = bytes(8)
    number = int.from_bytes

    def purchase() -> Cryptograms:
        nonlocal carried
        session = Cipher(TripleDES(to_session(block) * 3), _IV).encryptor().update
        mac1 = session(spent)[-8:]
        mac2 = session((first_of_amount ^ number(mac1, "big")).to_bytes(8, "big"))
        first = (first_of_proof ^ number(carried, "big")).to_bytes(8, "big")
        carried = to_proof(first + rest_of_proof)[-8:]
        return mac1[:4], mac2[:4], carried[:4]

    return purchase


def _padded(message: bytes) -> bytes:
    """ISO/IEC 9797-1 padding method 2."""
    return message + b"\x80" + bytes(-(len(message) + 1) % 8)

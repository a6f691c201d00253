"""APPLICATION BLOCK of a listed card, with the lock key in the gate's PSAM (6.7).

The purse is blocked for a time and its money stays on it: the issuer can unblock it (Q30).
"""

from apdu.crypto import pad
from apdu.file_commands import GET_CHALLENGE
from apdu.key_commands import APPLICATION_BLOCK
from apdu.records import OnlyMac
from apdu.sam_commands import SAM_CIPHER, SAM_DELIVERY_KEY
from apdu.sam_records import CipherData, DeliveryData
from reader.session import ProtocolError, Txn, ask
from reader.transactions import AnyView

_MAC_SIZE = 4
_CHALLENGE_SIZE = 4


def block_card(view: AnyView, *, is_permanent: bool = False) -> Txn[None]:
    """Block the selected purse. Raises StatusError, ProtocolError.

    is_permanent: for good; a gate does not do that (4.19, 6.7).
    """
    info = view.info
    challenge = yield from ask("card", GET_CHALLENGE, None)
    if len(challenge) != _CHALLENGE_SIZE:
        raise ProtocolError(f"GET CHALLENGE gave {len(challenge)} bytes, expected 4")
    # The usual P1 and P2 of DELIVERY KEY are those of the lock key.
    yield from ask("psam", SAM_DELIVERY_KEY, DeliveryData(info.serial[-8:], info.issuer))
    p2 = int(is_permanent)
    head = bytes((APPLICATION_BLOCK.cla, APPLICATION_BLOCK.ins, 0x00, p2, _MAC_SIZE))
    # Initial value, then the padded command header (6.7).
    blocks = CipherData(challenge + bytes(8 - _CHALLENGE_SIZE) + pad(head))
    made = yield from ask("psam", SAM_CIPHER, blocks)
    if len(made) < _MAC_SIZE:
        raise ProtocolError(f"CIPHER/MAC gave {len(made)} bytes, expected a MAC of 4")
    yield from ask("card", APPLICATION_BLOCK, OnlyMac(made[:_MAC_SIZE]), 0x00, p2)

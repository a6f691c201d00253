"""What a foreign card counts against us: wrong MACs, PINs and cryptograms.

Three wrong MACs block an application for good (protocol reference 4.6), and nobody here can unblock
it. So after one that the card has counted no more of that kind is sent, until a right one has
cleared the count.
"""

from apdu.key_commands import EXTERNAL_AUTHENTICATE
from apdu.secret import has_secret
from apdu.sw import SW

_PROTECTED = 0x04
"""This bit of CLA: the command carries a secure-messaging MAC."""
_DONE = b"\x90\x00"
_COUNTED = (int(SW.MAC_WRONG), int(SW.METHOD_BLOCKED))
_TRIES_LEFT = 0x63C0


def kind_of(command: bytes) -> str:
    """Which count a command may run down; nothing if none.

    >>> kind_of(bytes.fromhex("04D69500065A5A")), kind_of(bytes.fromhex("0020000003123456"))
    ('MAC', 'PIN')
    """
    if command[:1] and command[0] & _PROTECTED:
        return "MAC"
    if has_secret(command):
        return "PIN"
    is_proof = command[:2] == bytes((EXTERNAL_AUTHENTICATE.cla, EXTERNAL_AUTHENTICATE.ins))
    return "cryptogram" if is_proof else ""


class Tries:
    """The counts of one card, as far as this session has seen them."""

    def __init__(self) -> None:
        self._spent: set[str] = set()

    def hear(self, command: bytes, answer: bytes) -> None:
        """Take note of an answer."""
        kind = kind_of(command)
        if not kind:
            return
        sw = int.from_bytes(answer[-2:], "big")
        if answer[-2:] == _DONE:
            self._spent.discard(kind)
        elif sw in _COUNTED or sw & 0xFFF0 == _TRIES_LEFT:
            self._spent.add(kind)

    def spent(self, command: bytes) -> str:
        """What the card has counted that this command could run down further; mostly nothing."""
        kind = kind_of(command)
        return kind if kind in self._spent else ""

"""What a foreign card counts against us: wrong MACs, PINs and cryptograms.

The third in a row blocks it for good (protocol reference 4.6, 4.19), and nobody here could undo
that. So a wrong one is sent only while the card is known to have counted one at most: none since a
right one was taken. What earlier sessions left behind is not known, so it starts with two.
"""

from apdu.crypto import Key
from apdu.file_commands import GET_CHALLENGE
from apdu.key_commands import APPLICATION_UNBLOCK, EXTERNAL_AUTHENTICATE, PIN_UNBLOCK
from apdu.order import Secrets
from apdu.purse import external_authenticate, secure_messaging_mac
from apdu.secret import has_secret
from apdu.sw import SW

MOST = 2
"""How many wrong ones in a row a card forgives."""

_PROTECTED = 0x04
"""This bit of CLA: the command carries a secure-messaging MAC."""
_MAC = 4
_PIN_SIZES = range(2, 7)
_HEADER = 5
_DONE = b"\x90\x00"
_COUNTED = (int(SW.MAC_WRONG), int(SW.METHOD_BLOCKED))
_TRIES_LEFT = 0x63C0
_OWN_COUNTS = {APPLICATION_UNBLOCK.ins: "MAC of UNBLOCK", PIN_UNBLOCK.ins: "MAC of PIN UNBLOCK"}


def kind_of(command: bytes) -> str:
    """Which count a command may run down; nothing if none.

    >>> kind_of(bytes.fromhex("04D69500065A5A")), kind_of(bytes.fromhex("0020000003123456"))
    ('MAC', 'PIN')
    """
    if command[:1] and command[0] & _PROTECTED:
        return _OWN_COUNTS.get(command[1] if len(command) > 1 else 0, "MAC")
    if has_secret(command):
        return "PIN"
    is_proof = command[:2] == bytes((EXTERNAL_AUTHENTICATE.cla, EXTERNAL_AUTHENTICATE.ins))
    return "cryptogram" if is_proof else ""


class Tries:
    """The counts of one card. keys: its own, None if they are not known. pin: as declared."""

    def __init__(self, keys: Secrets | None, pin: bytes) -> None:
        self._keys = keys
        self._pin = pin
        self._wrong: dict[str, int] = {}
        self._challenge = b""

    def hear(self, command: bytes, answer: bytes) -> None:
        """Take note of an answer."""
        is_done = answer[-2:] == _DONE
        is_challenge = command[:2] == bytes((GET_CHALLENGE.cla, GET_CHALLENGE.ins))
        self._challenge = answer[:-2] if is_done and is_challenge else b""
        kind = kind_of(command)
        if not kind:
            return
        sw = int.from_bytes(answer[-2:], "big")
        if is_done:
            self._wrong[kind] = 0
        elif sw in _COUNTED or sw & 0xFFF0 == _TRIES_LEFT:
            self._wrong[kind] = self._wrong.get(kind, MOST) + 1

    def last(self, command: bytes) -> str:
        """What a command could spend the last try of; nothing if it is right or there are more."""
        kind = kind_of(command)
        if not kind or self._wrong.get(kind, MOST) < MOST or self._is_right(kind, command):
            return ""
        return kind

    def _is_right(self, kind: str, command: bytes) -> bool:
        if kind == "PIN":
            return bool(self._pin) and self._pin in command[_HEADER:]
        if self._keys is None or not self._challenge:
            return False
        if kind == "cryptogram":
            wanted = external_authenticate(self._keys.dack, self._challenge)
            return command[_HEADER : _HEADER + len(wanted)] == wanted
        if kind == _OWN_COUNTS[PIN_UNBLOCK.ins] and not self._has_block(command):
            return False
        keys = self._keys
        used = (keys.damk, keys.record, keys.dbk, keys.dubk, keys.dack, keys.dpuk)
        return any(self._has_mac(command, key) for key in used)

    def _has_block(self, command: bytes) -> bool:
        """Whether what PIN UNBLOCK carries is a PIN: under a right MAC too the card counts others
        (protocol reference 4.11).
        """
        content = command[_HEADER:-_MAC]
        if self._keys is None or len(content) not in (8, 16):
            return False
        plain = self._keys.dpuk.decrypt(content)
        end = 1 + plain[0]
        return plain[0] in _PIN_SIZES and plain[end:].rstrip(b"\0") == b"\x80"

    def _has_mac(self, command: bytes, key: Key) -> bool:
        size = command[_HEADER - 1] if len(command) >= _HEADER else 0
        end = _HEADER + size
        if size < _MAC or len(command) < end:
            return False
        made = secure_messaging_mac(key, self._challenge, command[: end - _MAC])
        return made == command[end - _MAC : end]

"""What a foreign card counts against us: wrong MACs, PINs and cryptograms.

The third in a row blocks it for good (protocol reference 4.6, 4.19), and nobody here could undo
that. So a wrong one is sent only while the card is known to have counted one at most: none since a
right one was taken. What earlier sessions left behind is not known, so it starts with two.

What is right is known from the keys and the PIN that the user gives. Once the card has refused
something made with one of them, that one is doubted, and nothing made with it is right any more.
"""

from apdu.crypto import Key
from apdu.file_commands import APPEND_RECORD_MAC, GET_CHALLENGE, UPDATE_RECORD_MAC
from apdu.key_commands import (
    APPLICATION_BLOCK,
    APPLICATION_UNBLOCK,
    CHANGE_PIN,
    EXTERNAL_AUTHENTICATE,
    PIN_UNBLOCK,
    RELOAD_PIN,
    VERIFY_PIN,
    WRITE_KEY_MAC,
)
from apdu.order import Secrets
from apdu.purse import external_authenticate, reload_pin_mac, secure_messaging_mac
from apdu.secret import has_secret
from apdu.sw import SW
from bench.conformance.desk import Spec

MOST = 2
"""How many wrong ones in a row a card forgives."""

PIN = "PIN"

_PROTECTED = 0x04
"""This bit of CLA: the command carries a secure-messaging MAC."""
_MAC = 4
_PIN_SIZES = range(2, 7)
_HEADER = 5
_DONE = b"\x90\x00"
_PADDING = b"\xff"
_COUNTED = (0x6300, int(SW.MAC_WRONG), int(SW.METHOD_BLOCKED), int(SW.MAC_INVALID))
"""What a card says when it has counted one: not verified, MAC wrong of either sort, or locked."""
_BLOCKED = int(SW.PERMANENTLY_BLOCKED)
_TRIES_LEFT = 0x63C0

_MAC_KEYS: dict[int, tuple[str, str]] = {
    UPDATE_RECORD_MAC.ins: ("RECORD", "MAC"),
    APPEND_RECORD_MAC.ins: ("RECORD", "MAC"),
    APPLICATION_BLOCK.ins: ("DBK", "MAC"),
    APPLICATION_UNBLOCK.ins: ("DUBK", "MAC of UNBLOCK"),
    PIN_UNBLOCK.ins: ("DPUK", "MAC of PIN UNBLOCK"),
    WRITE_KEY_MAC.ins: ("DACK", "MAC"),
}
"""By instruction: the key of the MAC, and what it is called. DAMK makes those of all others."""


def _is(command: bytes, *specs: Spec) -> bool:
    return any(command[:2] == bytes((spec.cla, spec.ins)) for spec in specs)


def key_of(command: bytes) -> tuple[str, str]:
    """Whose count a command may run down, and what the count is of; nothing twice if none.

    >>> key_of(bytes.fromhex("04D69500065A5A")), key_of(bytes.fromhex("0020000003123456"))
    (('DAMK', 'MAC'), ('PIN', 'PIN'))
    """
    if command[:1] and command[0] & _PROTECTED:
        return _MAC_KEYS.get(command[1] if len(command) > 1 else 0, ("DAMK", "MAC"))
    if _is(command, RELOAD_PIN):
        return "DRPK", "MAC of RELOAD PIN"
    if has_secret(command):
        return PIN, PIN
    return ("DACK", "cryptogram") if _is(command, EXTERNAL_AUTHENTICATE) else ("", "")


class Tries:
    """The counts of one card. keys: its own, None if they are not known. pin: as declared.

    A card may count for each key by itself or all MACs together, so both are kept.
    """

    def __init__(self, keys: Secrets | None, pin: bytes) -> None:
        self._keys = keys
        self._pin = pin
        self._wrong: dict[str, int] = {}
        self._challenge = b""
        self._doubted: set[str] = set()
        self._proved: set[str] = set()

    @property
    def is_pin_proved(self) -> bool:
        """Whether the card has taken the declared PIN, and refused it never."""
        return PIN in self._proved and PIN not in self._doubted

    @property
    def has_wrong_pins(self) -> bool:
        """Whether the card has counted wrong PINs since the last right one."""
        return self._wrong.get(PIN, 0) > 0

    @property
    def pin(self) -> bytes:
        """The PIN that the card has now, if the declared one was right."""
        return self._pin

    def hear(self, command: bytes, answer: bytes | None) -> None:
        """Take note of an answer, None if it was lost: then the card may have counted."""
        key, kind = key_of(command)
        was_right = bool(key) and self._is_right(key, command)
        said = answer or b""
        is_done = said[-2:] == _DONE
        self._challenge = said[:-2] if is_done and _is(command, GET_CHALLENGE) else b""
        if not key:
            return
        if is_done:
            self._took(command, key, kind)
        elif answer is None or _has_counted(said):
            for count in {key, kind}:
                self._wrong[count] = self._wrong.get(count, MOST) + 1
            if was_right and answer is not None:
                self._doubted.add(key)

    def _took(self, command: bytes, key: str, kind: str) -> None:
        self._wrong[key] = self._wrong[kind] = 0
        self._proved.add(key)
        if _is(command, CHANGE_PIN):
            self._pin = _data(command)[len(self._pin) + 1 :]
        elif _is(command, RELOAD_PIN):
            self._pin = _data(command)[:-_MAC]

    def last(self, command: bytes) -> str:
        """What a command could spend the last try of; nothing if it is right or there are more."""
        key, kind = key_of(command)
        if not key or (key not in self._doubted and self._is_right(key, command)):
            return ""
        return kind if max(self._wrong.get(one, MOST) for one in (key, kind)) >= MOST else ""

    def doubted(self, command: bytes) -> str:
        """The key, or the PIN, that a command is made with and that the card has refused."""
        key, _ = key_of(command)
        return key if key in self._doubted else ""

    def _is_right(self, key: str, command: bytes) -> bool:
        if key == PIN:
            return self._is_right_pin(command)
        keys, data = self._keys, _data(command)
        if keys is None:
            return False
        if key == "DRPK":
            return data[-_MAC:] == reload_pin_mac(keys.drpk, data[:-_MAC])
        if not self._challenge:
            return False
        if _is(command, EXTERNAL_AUTHENTICATE):
            return data == external_authenticate(keys.dack, self._challenge)
        if _is(command, PIN_UNBLOCK) and not _is_pin_block(keys.dpuk, data[:-_MAC]):
            return False
        return self._has_mac(command, getattr(keys, key.lower()))

    def _is_right_pin(self, command: bytes) -> bool:
        data = _data(command)
        if not self._pin:
            return False
        if _is(command, CHANGE_PIN):
            return data.startswith(self._pin + _PADDING)
        return _is(command, VERIFY_PIN) and data.rstrip(_PADDING) == self._pin.rstrip(_PADDING)

    def _has_mac(self, command: bytes, key: Key) -> bool:
        data = _data(command)
        if len(data) < _MAC:
            return False
        head = command[:_HEADER] + data[:-_MAC]
        return secure_messaging_mac(key, self._challenge, head) == data[-_MAC:]


def _is_pin_block(dpuk: Key, content: bytes) -> bool:
    """Whether what PIN UNBLOCK carries is a PIN: the card counts others under a right MAC too
    (protocol reference 4.11).
    """
    if len(content) not in (8, 16):
        return False
    plain = dpuk.decrypt(content)
    end = 1 + plain[0]
    return plain[0] in _PIN_SIZES and plain[end:].rstrip(b"\0") == b"\x80"


def _has_counted(answer: bytes) -> bool:
    sw = int.from_bytes(answer[-2:], "big")
    return sw in (*_COUNTED, _BLOCKED) or sw & 0xFFF0 == _TRIES_LEFT


def _data(command: bytes) -> bytes:
    """The data field, nothing if it is not whole."""
    size = command[_HEADER - 1] if len(command) > _HEADER else 0
    data = command[_HEADER : _HEADER + size]
    return data if len(data) == size else b""

"""What a card may take only from who knows: MACs under secure messaging, PINs, challenges."""

from collections.abc import Callable

from apdu.commands import TABLE
from apdu.crypto import Key
from apdu.key_commands import (
    APPLICATION_BLOCK,
    APPLICATION_UNBLOCK,
    CHANGE_PIN,
    PIN_UNBLOCK,
    RELOAD_PIN,
    VERIFY_PIN,
    WRITE_KEY_MAC,
)
from apdu.purse import reload_pin_mac
from apdu.records import OnlyMac, Protected
from bench.conformance.desk import Desk, Spec, needs_challenge
from bench.conformance.fuzz.breach import Breach, Rule

NEEDS_CHALLENGE = frozenset(spec for spec in TABLE if needs_challenge(spec))
MAC_SIZE = 4
_PAD = b"\xff"


class Seals:
    """Judges commands that were taken. pin: the card's now, as far as accepted commands tell."""

    def __init__(self, desk: Desk, pin: bytes) -> None:
        self._desk = desk
        self.pin = pin

    def taken(self, spec: Spec, command: bytes, challenge: bytes | None) -> None:
        """The purse took a command. challenge: had directly before. Raises Breach."""
        if spec in NEEDS_CHALLENGE and challenge is None:
            raise Breach(Rule.SEAL, f"{spec.name} directly after GET CHALLENGE alone", "9000")
        data = command[5 : 5 + command[4]] if len(command) > 5 else b""
        check = _CHECKS.get(spec)
        if check is not None:
            check(self, spec, data)
        elif spec.data in (Protected, OnlyMac) and challenge is not None:
            self._mac(spec, command, data, challenge)
            if spec is PIN_UNBLOCK:
                plain = self._desk.keys.dpuk.decrypt(data[:-MAC_SIZE])
                self.pin = plain[1 : 1 + plain[0]]

    def _mac(self, spec: Spec, command: bytes, data: bytes, challenge: bytes) -> None:
        desk, before = self._desk, self._desk.challenge
        desk.challenge = challenge
        content = data[:-MAC_SIZE]
        right = desk.sm_mac(self._key(spec), spec, command[2], command[3], content)
        desk.challenge = before
        if data[-MAC_SIZE:] != right:
            raise Breach(Rule.SEAL, f"{spec.name} with MAC {right.hex()}", data[-MAC_SIZE:].hex())

    def _key(self, spec: Spec) -> Key:
        keys = self._desk.keys
        if spec.data is OnlyMac:
            own: dict[Spec, Key] = {APPLICATION_BLOCK: keys.dbk, APPLICATION_UNBLOCK: keys.dubk}
            return own.get(spec, keys.damk)
        own = {PIN_UNBLOCK: keys.dpuk, WRITE_KEY_MAC: keys.dack}
        return own.get(spec) or self._desk.file_key(spec)

    def _verified(self, spec: Spec, data: bytes) -> None:
        if data.rstrip(_PAD) != self.pin.rstrip(_PAD):
            raise Breach(Rule.SEAL, "the right PIN alone", f"{len(data)} other bytes taken")

    def _changed(self, spec: Spec, data: bytes) -> None:
        old, mark, new = data.partition(_PAD)
        if not mark or old != self.pin.rstrip(_PAD):
            raise Breach(Rule.SEAL, "the right old PIN alone", "another taken")
        self.pin = new

    def _reloaded(self, spec: Spec, data: bytes) -> None:
        new, mac = data[:-MAC_SIZE], data[-MAC_SIZE:]
        if mac != reload_pin_mac(self._desk.keys.drpk, new):
            raise Breach(Rule.SEAL, f"{spec.name} with a right MAC alone", mac.hex())
        self.pin = new


_CHECKS: dict[Spec, Callable[[Seals, Spec, bytes], None]] = {
    VERIFY_PIN: Seals._verified,
    CHANGE_PIN: Seals._changed,
    RELOAD_PIN: Seals._reloaded,
}

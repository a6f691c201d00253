"""A phone with a card in it, as readers meet it. What phone, and why so, is `emulator.phone`."""

from apdu.commands import AID_PPSE
from apdu.sw import SW
from apdu.tlv import Tlv
from emulator.card.env import Env
from emulator.phone import Phone, Sight
from emulator.picc import Contactless, Picc

__all__ = ["Handset"]

_OK = b"\x90\x00"
_SELECT_BY_NAME = b"\x00\xa4\x04"
_NAME_AT, _SHORTEST_SELECT = 5, 10
_ISO_DEP_ONLY = 0x20
"""SAK of every phone (protocol reference 1.1): no MIFARE area beside the card."""
_RANDOM_UID = b"\x08"


class Handset:
    """A phone with a card in it (`emulator.picc.Picc`).

    env: where random UIDs come from. Front ends take `contactless_of` beside the handset itself;
    one that does not ask it shows `contactless`, which is that of the latest field.
    """

    def __init__(self, phone: Phone, card: Picc, env: Env) -> None:
        self.phone = phone
        self.contactless = card.contactless
        self._card = card
        self._env = env
        self._is_reachable = phone.sight is Sight.CARD
        self._shows()

    def contactless_of(self) -> Contactless | None:
        """How the phone shows itself in the field that comes up now; None if it does not."""
        if self.phone.sight is Sight.SILENCE:
            return None
        self._shows()
        return self.contactless

    def power_on(self) -> bytes:
        """See Picc."""
        if self._is_reachable:
            self._card.power_on()
        return self.contactless.historical

    def power_off(self) -> None:
        """See Picc."""
        if self._is_reachable:
            self._card.power_off()

    def process(self, command: bytes) -> bytes:
        """See Picc. A card that cannot be reached is a phone that answers for itself."""
        if self._is_reachable:
            return self._card.process(command)
        return _without_purse(command, self.phone.other_aids)

    def _shows(self) -> None:
        phone, own = self.phone, self._card.contactless
        self.contactless = Contactless(
            atqa=phone.atqa or own.atqa,
            sak=_ISO_DEP_ONLY,
            uid=_RANDOM_UID + self._env.random(3) if phone.shows_random_uid else own.uid,
            ats=phone.ats or own.ats,
        )


def _without_purse(command: bytes, aids: tuple[bytes, ...]) -> bytes:
    """What a phone answers whose default wallet has other applications, or none.

    An unknown name is 6A82; a command to no application is 6F00, and so is SELECT of a name that is
    cut or has less than 5 bytes: AOSP's HostEmulationManager.
    """
    name = command[_NAME_AT : _NAME_AT + command[4]] if len(command) >= _SHORTEST_SELECT else b""
    if command[:3] != _SELECT_BY_NAME or not name or len(name) < command[4]:
        return SW.NO_DIAGNOSIS.to_bytes(2, "big")
    if name == AID_PPSE and aids:
        entries = [Tlv.make(0x61, Tlv.make(0x4F, aid), Tlv.make(0x87, b"\x01")) for aid in aids]
        return _fci(name, Tlv.make(0xBF0C, *entries)) + _OK
    if name in aids:
        return _fci(name) + _OK
    return SW.FILE_NOT_FOUND.to_bytes(2, "big")


def _fci(name: bytes, *proprietary: Tlv) -> Tlv:
    return Tlv.make(0x6F, Tlv.make(0x84, name), Tlv.make(0xA5, *proprietary))

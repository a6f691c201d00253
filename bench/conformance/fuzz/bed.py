"""Where cards are fuzzed: ours in process, made anew quickly; any other stand as it is."""

from dataclasses import dataclass
from typing import Protocol

import fixtures
from apdu.file_commands import CREATE_FILE
from apdu.key_commands import (
    BLOCK_ALGORITHM,
    CHANGE_ALGORITHM,
    CHANGE_PIN,
    PIN_UNBLOCK,
    RELOAD_PIN,
    WRITE_KEY,
    WRITE_KEY_MAC,
)
from apdu.order import Secrets
from bench.conformance.case import Need, NotApplicable
from bench.conformance.desk import Spec
from bench.conformance.fuzz.grammar import LETHAL
from bench.conformance.fuzz.inside import Inside
from bench.conformance.reading import READING
from bench.conformance.stand import Stand
from emulator.card.card import Card
from emulator.card.env import SeededEnv
from emulator.card.personalise import card_secrets, new_image
from emulator.card.profile import Profile
from emulator.card.state import Chip, Image
from emulator.card.store import MemoryStore
from reader.transport.base import Transport


class Bed(Protocol):
    """A place for one card after another.

    declared, keys: of the card that lies there. inside: a look into it, if it can be had.
    kinds: names of the cards there are. is_fresh: each `lay` makes a new card.
    """

    link: Transport
    declared: Profile
    keys: Secrets | None
    inside: Inside | None
    kinds: tuple[str, ...]
    is_fresh: bool

    def lay(self, kind: str) -> None:
        """A card of that kind in the field, the same each time. Raises TransportError."""
        ...

    def reset(self) -> None:
        """The field goes off and on. Raises TransportError."""
        ...

    def allows(self, spec: Spec) -> bool:
        """Whether this command may be sent to this card."""
        ...


@dataclass(frozen=True, slots=True)
class _Kind:
    profile: Profile
    image: Image
    keys: Secrets


class OwnBed:
    """Our own card in process. Breakdowns come out as they are. See Bed."""

    is_fresh = True

    def __init__(self, kinds: tuple[str, ...], seed: int) -> None:
        self.kinds = kinds
        self._seed = seed
        self._made: dict[str, _Kind] = {}
        self.lay(kinds[0])

    def _kind(self, name: str) -> _Kind:
        if name not in self._made:
            profile, roots = fixtures.load_profile(name), fixtures.load_roots()
            image = new_image(profile, roots)
            self._made[name] = _Kind(profile, image, card_secrets(profile, roots))
        return self._made[name]

    def lay(self, kind: str) -> None:
        """See Bed."""
        made = self._kind(kind)
        env = SeededEnv(f"card {self._seed}")  # as `tapbench trace replay` makes its cards
        chip = Chip(made.profile.dialect, env, {})
        self._card = Card(chip, MemoryStore(made.image), made.profile.contactless)
        self._card.power_on()
        self.link: Transport = _Direct(self._card)
        self.declared: Profile = made.profile
        self.keys: Secrets | None = made.keys
        self.inside: Inside | None = Inside(self._card)

    def reset(self) -> None:
        """See Bed."""
        self._card.power_off()
        self._card.power_on()

    def allows(self, spec: Spec) -> bool:
        """See Bed."""
        return True


class _Direct:
    def __init__(self, card: Card) -> None:
        self.transmit = card.process


KEPT = (
    *LETHAL,
    *(CHANGE_PIN, RELOAD_PIN, PIN_UNBLOCK, WRITE_KEY, WRITE_KEY_MAC),
    *(CREATE_FILE, CHANGE_ALGORITHM, BLOCK_ALGORITHM),
)
"""What a card that is not ours is never sent, bent or not: it would be another card afterwards."""
_KEPT_INS = frozenset(spec.ins for spec in KEPT)


class _Careful:
    """In front of a card that is not ours. A bent command may have become another one."""

    def __init__(self, link: Transport) -> None:
        self._link = link

    def transmit(self, command: bytes) -> bytes:
        if command[1] in _KEPT_INS:
            raise NotApplicable("it would be another card afterwards", "会使卡片永久改变")
        return self._link.transmit(command)


class StandBed:
    """Whatever lies on a stand (`bench.conformance.stand`). See Bed."""

    inside: Inside | None = None
    link: Transport
    declared: Profile
    keys: Secrets | None

    def __init__(self, stand: Stand) -> None:
        self._stand = stand
        self.kinds: tuple[str, ...] = (stand.declared.name,)
        self.is_fresh = Need.FRESH in stand.abilities
        self._is_reading = Need.WRITE not in stand.abilities
        self._is_laid = False
        self.lay(self.kinds[0])

    def lay(self, kind: str) -> None:
        """See Bed: a card that is not ours stays, and the field goes off and on."""
        if self.is_fresh or not self._is_laid:
            self._stand.place({})
            self._is_laid = True
        else:
            self._stand.reset()
        self._take()

    def reset(self) -> None:
        """See Bed."""
        self._stand.reset()
        self._take()

    def _take(self) -> None:
        self.link = self._stand.link if self.is_fresh else _Careful(self._stand.link)
        self.declared, self.keys = self._stand.declared, self._stand.keys

    def allows(self, spec: Spec) -> bool:
        """See Bed: of a card that is not ours, what reads, or what cannot spoil it for good."""
        if self.is_fresh:
            return True
        if self._is_reading or self.keys is None:
            return bytes((spec.cla, spec.ins)) in READING and _needs_no_key(spec)
        return spec not in KEPT


def _needs_no_key(spec: Spec) -> bool:
    return not spec.cla & 0x04

"""Live cards for a crowd: each passenger gets one in the state its profile says.

A card is lent, tapped, and given back; then its memory is put back as it was. One that a gate still
has an open debit of is not lent again: the gate would ask it about a past it no longer has.
"""

from collections import deque
from dataclasses import replace

import fixtures
from bench.throughput.air import fast
from bench.throughput.crowd.people import PLASTIC, CardKind, Phones, profile_of
from emulator.card.card import Card
from emulator.card.env import SeededEnv
from emulator.card.personalise import new_image, personalise
from emulator.card.state import Image
from emulator.card.store import MemoryStore
from emulator.handset import Handset
from emulator.radio.station import Service, Station
from fixtures.phones import load_phone
from reader.terminal import Terminal

LEAST_FREE = 8
"""How many cards of a kind rest before one is lent again: gates remember who has just passed."""

_FIRST_NUMBER = 500_001
_HAS_TA = 0x10


class Lent:
    """A card in somebody's hand."""

    def __init__(self, kind: CardKind, serial: bytes, card: Card, store: MemoryStore) -> None:
        self.kind, self.serial, self.card = kind, serial, card
        self._store = store
        self._image: Image = store.load()

    def put_back(self) -> None:
        """The card as its profile says, outside of any field."""
        self._store.commit(self._image)
        self.card.power_off()


class Deck:
    """Cards of every kind that is asked for. seed: of their challenges."""

    def __init__(self, seed: int | str) -> None:
        self.listed: set[bytes] = set()
        """Serials for the gates' blacklist: of cards whose profile is on it."""
        self.terminals: list[Terminal] = []
        """Where the cards are tapped."""
        self._seed = seed
        self._free: dict[CardKind, deque[Lent]] = {}
        self._held: dict[int, Lent] = {}
        self._made = 0

    def held(self, holder: int) -> Lent | None:
        """The card of a passenger, by number, who has one."""
        return self._held.get(holder)

    def lend(self, holder: int, kind: CardKind) -> Lent:
        """A card of this kind that nobody holds. Raises ProfileError."""
        free = self._free.setdefault(kind, deque())
        lent = free.popleft() if len(free) > LEAST_FREE else self._make(kind)
        self._held[holder] = lent
        return lent

    def give_back(self, holder: int) -> None:
        """The passenger has gone. Nothing happens if they never tapped."""
        lent = self._held.pop(holder, None)
        if lent is None or any(lent.serial in one.unresolved for one in self.terminals):
            return
        lent.put_back()
        self._free[lent.kind].append(lent)

    def _make(self, kind: CardKind) -> Lent:
        own = profile_of(kind)
        number = f"{_FIRST_NUMBER + self._made:06d}"
        self._made += 1
        serial = own.serial[:-3] + bytes.fromhex(number)
        if own.serial in fixtures.BLACKLIST:
            self.listed.add(serial)
        profile = replace(own, serial=serial)
        store = MemoryStore(new_image(profile, fixtures.load_roots()))
        env = SeededEnv(f"card {number} {self._seed}")
        card = personalise(profile, fixtures.load_roots(), env, store)
        if own.contactless.ats[1:2] and own.contactless.ats[1] & _HAS_TA:
            card.contactless = fast(card.contactless)
        return Lent(kind, serial, card, store)


class _Later:
    """A card's times, and more for each command. service: None computes at once."""

    def __init__(self, service: Service | None, more_ns: int) -> None:
        self._service = service
        self._more_ns = more_ns

    def time_ns(self, command: bytes) -> int:
        """See Service."""
        own_ns = 0 if self._service is None else self._service.time_ns(command)
        return own_ns + self._more_ns


def guest(card: Card, carrier: str, service: Service | None, phones: Phones) -> Station:
    """A card, or a phone with it, as it comes into a field."""
    if carrier == PLASTIC:
        return Station(card, service)
    handset = Handset(load_phone(carrier), card, SeededEnv(carrier))
    more_ns = phones.delays_ns(carrier)[1]
    times = _Later(service, more_ns) if more_ns else service
    return Station(handset, times, handset.contactless_of)

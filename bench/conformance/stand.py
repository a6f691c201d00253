"""Where cards are judged: our own card on any road, or whatever lies on a reader."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from typing import Any, Protocol

import fixtures
from apdu.crypto import Key
from apdu.order import Secrets
from bench.conformance.antenna import AirAntenna, Antenna, air_antenna
from bench.conformance.case import Need
from bench.roads import FIELDS, WAIT_S
from emulator.card.card import Card
from emulator.card.dialect import Dialect
from emulator.card.env import Env, SeededEnv
from emulator.card.personalise import blank_image, card_secrets, personalise
from emulator.card.profile import Profile
from emulator.card.state import Chip
from emulator.card.store import MemoryStore
from emulator.frontends.watched import Watched
from emulator.picc import Contactless, Picc
from reader.transport.base import Coupler, Transport


class Stand(Protocol):
    """A place with a card on it.

    name:      for reports, such as a road.
    declared:  what the card there says it is.
    keys:      its own keys, if they are known.
    abilities: what cases may ask for.
    link:      the card in the field, after `place`.
    """

    name: str
    declared: Profile
    keys: Secrets | None
    abilities: frozenset[Need]
    link: Transport

    def place(self, setup: Mapping[str, Any]) -> None:
        """A card for the next case, freshly in the field. setup: see `Case`; only with FRESH.

        Raises TransportError if there is none.
        """
        ...

    def reset(self) -> None:
        """Switch the field off and on. Raises TransportError."""
        ...


class BlankStand(Stand, Protocol):
    """A stand that can lay down a blank card, for cases with `Need.BLANK`."""

    def place_blank(self, setup: Mapping[str, Any]) -> None:
        """A card with an empty master file, all rights free (annex 1, state BLANK).

        keys: those of the card that the declared profile would become. Raises TransportError.
        """
        ...


class FrameStand(Stand, Protocol):
    """A stand whose road shows frames, for cases with `Need.FRAMES`."""

    antenna: Antenna


class Slot:
    """A place in the field for one card after another (`emulator.picc.Picc`)."""

    def __init__(self, card: Picc) -> None:
        self.put(card)

    def put(self, card: Picc) -> None:
        """Take the card away and lay another in its place. A bug of the card's is 6F00."""
        self.card = Watched(card, None)
        self.contactless: Contactless = card.contactless

    def power_on(self) -> bytes:
        """See Picc."""
        return self.card.power_on()

    def power_off(self) -> None:
        """See Picc."""
        self.card.power_off()

    def process(self, command: bytes) -> bytes:
        """See Picc."""
        return self.card.process(command)


OWN_ABILITIES = frozenset({Need.KEYS, Need.WRITE, Need.FRESH, Need.CUT, Need.BLANK})


class OwnStand:
    """Our own card, made anew for each case (`Stand`). antenna: where the road shows frames."""

    def __init__(
        self,
        name: str,
        profile: Profile,
        seed: int,
        slot: Slot,
        coupler: Coupler,
        antenna: AirAntenna | None = None,
    ) -> None:
        self.name = name
        self.abilities = OWN_ABILITIES if antenna is None else OWN_ABILITIES | {Need.FRAMES}
        self.antenna = antenna
        self.declared = profile
        self.keys: Secrets | None = None
        self._profile = profile
        self._seed = seed
        self._slot = slot
        self._coupler = coupler
        self.link: Transport

    def place(self, setup: Mapping[str, Any]) -> None:
        """See Stand."""
        self._lay(setup, lambda roots, env: personalise(self.declared, roots, env))

    def place_blank(self, setup: Mapping[str, Any]) -> None:
        """See BlankStand."""
        self._lay(setup, lambda roots, env: blank_card(self.declared, env))

    def _lay(
        self, setup: Mapping[str, Any], make: Callable[[Mapping[str, Key], Env], Picc]
    ) -> None:
        self.declared = changed(self._profile, setup)
        if self.antenna is not None:
            self.antenna.slow(0)
        roots = fixtures.load_roots()
        self.keys = card_secrets(self.declared, roots)
        self._slot.power_off()
        env = SeededEnv(f"card {self._seed}")  # as `tapbench trace replay` makes its cards
        self._slot.put(make(roots, env))
        self.reset()

    def reset(self) -> None:
        """See Stand."""
        self.link = self._coupler.wait_card(WAIT_S)


def blank_card(profile: Profile, env: Env) -> Card:
    """A card with an empty master file in the body of that profile's card (annex 1)."""
    chip = Chip(profile.dialect, env, {})
    return Card(chip, MemoryStore(blank_image()), profile.contactless)


def changed(profile: Profile, setup: Mapping[str, Any]) -> Profile:
    """A profile with other fields; "dialect" changes switches one by one. Raises ProfileError."""
    if not setup:
        return profile
    fields = dict(setup)
    if "dialect" in fields:
        switches = {name: getattr(profile.dialect, name) for name in Dialect.__slots__}
        fields["dialect"] = Dialect(**(switches | dict(fields["dialect"])))
    made = replace(profile, **fields)
    made.check()
    return made


@contextmanager
def own_stand(
    road: str = "inproc",
    profile: str = "student",
    seed: int = 1,
    *,
    setup: Mapping[str, Any] | None = None,
) -> Iterator[OwnStand]:
    """Our own card on one of `bench.roads.FIELDS`. Raises ProfileError, and what the road raises.

    setup: fields of the profile to replace, see `changed`.

    >>> with own_stand() as stand:
    ...     stand.place({})
    ...     stand.link.transmit(bytes.fromhex("00A4040008A000000632010105"))[-2:].hex()
    '9000'
    """
    declared = changed(fixtures.load_profile(profile), setup or {})
    slot = Slot(fixtures.card(profile))
    if road == "air":
        with air_antenna(slot, lambda: slot.contactless) as (coupler, antenna):
            yield OwnStand(road, declared, seed, slot, coupler, antenna)
        return
    with FIELDS[road](slot, None, lambda: slot.contactless) as coupler:
        yield OwnStand(road, declared, seed, slot, coupler)

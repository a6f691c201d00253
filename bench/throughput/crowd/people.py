"""Passengers: who they are, what they carry and how they walk, all of it from a seed."""

from dataclasses import dataclass, field
from functools import cache
from random import Random
from typing import NamedTuple

import fixtures
from bench.problem import Problem
from bench.throughput.crowd.numbers import (
    SECOND_NS,
    choose_by,
    in_range,
    read_number,
    read_weights,
)
from emulator.card.profile import Profile, ProfileError
from emulator.phone import Carrier, PhoneError
from fixtures.phones import load_phone

PLASTIC = "plastic"
"""The carrier that is no phone."""

MOST_YUAN = 100_000

_LEAST_SPREAD = 1e-6
"""Below it everybody walks alike: it is less than a microsecond of a second."""


class CardKind(NamedTuple):
    """A card of the library. balance: fen, None for the profile's own."""

    profile: str
    balance: int | None = None

    @property
    def said(self) -> str:
        """As it is written in a mix, such as `student:50`."""
        return self.profile if self.balance is None else f"{self.profile}:{self.balance / 100:g}"


class Passenger(NamedTuple):
    """One person on the way through a gate.

    card, carrier: what is held against the reader. direction: entry, exit, board, alight, single.
    walk_ns:  from the moment the gate is free for them until the card is in its field.
    phase:    where the reader is in its search for cards then, 0 to 1.
    hold_ns:  how long the card stays at the first try; None: as long as the gate needs.
    draw:     0 to 1, for what a model draws of this person.
    """

    number: int
    direction: str
    card: CardKind
    carrier: str
    walk_ns: int
    phase: float
    hold_ns: int | None
    draw: float
    arrived_ns: int = 0

    @property
    def kind(self) -> tuple[str, str, str, bool]:
        """What decides how long the taps take, but for chance."""
        return self.direction, self.card.said, self.carrier, self.hold_ns is not None


@dataclass(frozen=True, slots=True)
class Phones:
    """What a phone takes longer than a plastic card. Assumed: nothing is published.

    wake_ms:    from the field to the answer to REQA.
    secure_ms:  more for each command, for a card in a secure element or a SIM.
    app_ms:     more for each command, for a card in an app.
    """

    wake_ms: float = 100.0
    secure_ms: float = 10.0
    app_ms: float = 25.0

    def __post_init__(self) -> None:
        for name in ("wake_ms", "secure_ms", "app_ms"):
            in_range(f"the phones' {name}", getattr(self, name), 0, 10_000)

    def delays_ns(self, carrier: str) -> tuple[int, int]:
        """To wake up, and for each command."""
        if carrier == PLASTIC:
            return 0, 0
        is_app = load_phone(carrier).carrier is Carrier.HCE
        return round(self.wake_ms * 1e6), round((self.app_ms if is_app else self.secure_ms) * 1e6)


@dataclass(frozen=True, slots=True)
class Pace:
    """How people move, seconds. Assumed; together with a tap they make a gate's published rates.

    gap:      from one person to the next at the reader, the mean; spread: its standard deviation
              as a share of it.
    open:     the barrier's motion. walk: through an open barrier, until the sensor is free.
    back_out: after a refusal, until the place at the reader is free.
    retap:    until the card is held against the reader again.
    tries:    taps after which somebody gives up.
    """

    gap: float = 0.8
    spread: float = 0.3
    open: float = 0.3
    walk: float = 0.7
    back_out: float = 2.5
    retap: float = 1.0
    tries: int = 3

    def __post_init__(self) -> None:
        for name in ("gap", "open", "walk", "back_out", "retap"):
            in_range(f"the time '{name.replace('_', '-')}'", getattr(self, name), 0, 600)
        in_range("the spread of the gap", self.spread, 0, 2)
        in_range("the number of tries", self.tries, 1, 20)


@dataclass(frozen=True, slots=True)
class Habits:
    """Who comes. cards, carriers: weights. early: the share that takes the card away early.

    hold: seconds; who is early holds the card for no longer than this, any time equally likely.
    """

    cards: dict[CardKind, float] = field(default_factory=lambda: {CardKind("student", 5000): 1.0})
    carriers: dict[str, float] = field(default_factory=lambda: {PLASTIC: 1.0})
    early: float = 0.0
    hold: float = 0.3

    def __post_init__(self) -> None:
        in_range("the share of early removals", self.early, 0, 1)
        in_range("the time 'hold'", self.hold, 0, 60)


class People:
    """Passengers one after another. The same seed gives the same people, whatever happens.

    first: the number of the first one.
    """

    def __init__(self, habits: Habits, pace: Pace, seed: int | str, first: int = 1) -> None:
        self._habits = habits
        self._pace = pace
        self._chance = Random(f"people {seed}")  # noqa: S311 - repeatable on purpose
        self._number = first - 1

    def next(self, direction: str, arrived_ns: int, said: "Said | None" = None) -> Passenger:
        """The next one. said: what a trace file says of them."""
        chance, habits = self._chance, self._habits
        draws = [chance.random() for _ in range(5)]
        card = choose_by(draws[0], habits.cards)
        carrier = choose_by(draws[1], habits.carriers)
        if said is not None:
            card, carrier = said.card or card, said.carrier or carrier
        walk_ns = round(self._gap() * SECOND_NS)
        is_early = chance.random() < habits.early
        hold_ns = round(draws[2] * habits.hold * SECOND_NS) if is_early else None
        self._number += 1
        return Passenger(
            self._number,
            direction,
            card,
            carrier,
            walk_ns,
            draws[3],
            hold_ns,
            draws[4],
            arrived_ns,
        )

    def _gap(self) -> float:
        """Gamma distributed: never negative, and the mean is the knob's."""
        mean, spread = self._pace.gap, self._pace.spread
        if spread < _LEAST_SPREAD:
            return mean
        shape = 1 / spread**2
        return mean * self._chance.gammavariate(shape, spread**2)


class Said(NamedTuple):
    """What a trace says of a passenger; None where it is silent."""

    card: CardKind | None = None
    carrier: str | None = None


def read_cards(text: str) -> dict[CardKind, float]:
    """A mix of cards, `student:50=90,student-low-balance=10`; yuan behind the colon.

    Raises Problem, ProfileError.
    """
    weights = read_weights("the mix of cards", text)
    return {read_card(entry): weight for entry, weight in weights.items()}


def read_card(text: str) -> CardKind:
    """One card of a mix. Raises Problem, ProfileError."""
    name, has_money, yuan = text.partition(":")
    profile = profile_of(CardKind(name))
    if not has_money:
        return CardKind(name)
    fen = round(read_number(f"the balance of {name}", yuan, 0, MOST_YUAN) * 100)
    if fen > profile.ceiling:
        raise Problem(
            f"the balance of {name} is {yuan}; expected yuan from 0 to {profile.ceiling / 100:g}"
        )
    return CardKind(name, fen)


def read_carriers(text: str) -> dict[str, float]:
    """A mix of carriers, `plastic=4,huawei-ese=6`. Raises Problem, PhoneError."""
    weights = read_weights("the mix of carriers", text)
    for name in weights:
        check_carrier(name)
    return weights


def check_carrier(name: str) -> str:
    """The name, if it is `plastic` or a phone's. Raises PhoneError."""
    if name != PLASTIC:
        try:
            load_phone(name)
        except PhoneError as error:
            raise PhoneError(f"{error}, or {PLASTIC}") from None
    return name


@cache
def profile_of(kind: CardKind) -> Profile:
    """The profile of a card, with its money. Raises ProfileError."""
    profile = fixtures.load_profile(kind.profile)
    return profile if kind.balance is None else profile.with_balance(kind.balance)


__all__ = [
    "PLASTIC",
    "CardKind",
    "Habits",
    "Pace",
    "Passenger",
    "People",
    "Phones",
    "ProfileError",
    "Said",
    "check_carrier",
    "profile_of",
    "read_card",
    "read_cards",
    "read_carriers",
]

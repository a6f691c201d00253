"""A desk at a card of the tests' own, and cards settled in any state of the command table.

The desk itself is the laboratory's (`bench.conformance.desk`).
"""

from dataclasses import replace
from functools import cache
from typing import Any

from apdu.commands import EP, SELECT, SELECT_FILE
from apdu.key_commands import VERIFY_PIN
from apdu.records import Content
from apdu.spec import State
from bench.conformance.desk import FINALS, KINDS, PATHS, PIN, WAYS, Offer, Pair, Spec, Step, Way
from bench.conformance.desk import Desk as AnyDesk
from bench.conformance.desk import way_id as way_id
from emulator.card.card import Card
from emulator.card.personalise import Secrets
from reader.transport.inprocess import InProcess
from tests.cards import new_card, student_keys
from tests.workshop import DIALECT, KEYS, workshop_card


class Desk(AnyDesk):
    """A desk that also holds the card in its hand."""

    def __init__(self, card: Card, keys: Secrets | None = None, pin: bytes = PIN) -> None:
        super().__init__(InProcess(card), keys or student_keys(), pin)
        self._card = card

    @property
    def card(self) -> Card:
        """The card; another may be laid in its place."""
        return self._card

    @card.setter
    def card(self, card: Card) -> None:
        self._card, self.link = card, InProcess(card)


PRELUDE = (SELECT, VERIFY_PIN, SELECT_FILE)
"""The purse is selected, the PIN verified (the ED asks for it), and EF15 the current file."""


def is_plain_write(spec: Spec) -> bool:
    """Whether the command needs a file without protection to succeed."""
    return spec.data is Content


def shop_desk(spec: Spec | None = None) -> Desk:
    """A desk with a workshop card on which the command can succeed, in nobody's hands yet."""
    guarded = spec is None or not is_plain_write(spec)
    return Desk(workshop_card(guarded), KEYS)


@cache
def _settled(guarded: bool) -> tuple[Any, dict[int, int]]:
    desk = Desk(workshop_card(guarded), KEYS)
    desk.run(*PRELUDE)
    for way in WAYS:
        desk.run(*way)
    return desk.card.image, desk.done


def settled(spec: Spec | None = None) -> Desk:
    """A desk whose card has made every transaction of the table, and has a proof of each."""
    desk = shop_desk(spec)
    image, done = _settled(spec is None or not is_plain_write(spec))
    desk.card._store.commit(image)
    desk.card.power_on()
    desk.done = dict(done)
    return desk


def ready(state: State, spec: Spec | None = None) -> Desk:
    """A settled desk in a state, everything selected and verified."""
    desk = settled(spec)
    desk.run(*PRELUDE, *PATHS[state])
    assert desk.card.state is state
    return desk


def desk_in(state: State, card: Card | None = None) -> Desk:
    """A desk whose card (a student's) stands in this state, reached by real commands."""
    desk = Desk(card or new_card())
    desk.run(SELECT, *PATHS[state])
    assert desk.card.state is state
    return desk


def desk_of(change: Any = None, **card: Any) -> Desk:
    """A student's card, changed, with the purse selected. card: as for `new_card`."""
    desk = Desk(new_card(change, **card))
    desk.run(SELECT)
    return desk


__all__ = [
    "DIALECT",
    "EP",
    "FINALS",
    "KINDS",
    "PATHS",
    "PRELUDE",
    "WAYS",
    "Desk",
    "Offer",
    "Pair",
    "Spec",
    "Step",
    "Way",
    "desk_in",
    "desk_of",
    "ready",
    "replace",
    "settled",
    "shop_desk",
    "way_id",
]

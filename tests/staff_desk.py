"""A staff desk and the cards that need it: what the desk's tests share."""

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import datetime
from enum import Enum
from typing import Any

from apdu.files import EF1A, RailTrip
from emulator.card.card import Card
from emulator.card.state import Blocked
from reader.gate import Direction, GateConfig, Outcome
from reader.journal import TapJournal
from reader.policy import Policy
from reader.psam import Psam
from reader.session import Txn
from reader.staff import Desk
from reader.transport.base import Transport
from reader.transport.inprocess import InProcess
from tests.cards import both, content_of, new_card, with_blocked, with_trip
from tests.gates import AWAY, HOME, INSIDE, NETWORK, NOW, OUTSIDE, WHITE_LIST, psam

LONG_INSIDE = replace(INSIDE, entry_time=bytes.fromhex("20250908040141"))
"""Entered one second more than four hours ago."""


class Operation(Enum):
    """What a desk does."""

    MISSING_ENTRY = "missing entry"
    MISSING_EXIT = "missing exit"
    OVER_TIME = "over time"


RUN: dict[Operation, Callable[[Desk], Txn[Outcome]]] = {
    Operation.MISSING_ENTRY: lambda desk: desk.missing_entry(HOME),
    Operation.MISSING_EXIT: lambda desk: desk.missing_exit(),
    Operation.OVER_TIME: lambda desk: desk.over_time(),
}
TRIPS = {
    Operation.MISSING_ENTRY: OUTSIDE,
    Operation.MISSING_EXIT: INSIDE,
    Operation.OVER_TIME: LONG_INSIDE,
}
CHARGES = {Operation.MISSING_ENTRY: 0, Operation.MISSING_EXIT: 300, Operation.OVER_TIME: 300}
"""Fen, with the default policy."""
STATES = {Operation.MISSING_ENTRY: 3, Operation.MISSING_EXIT: 4, Operation.OVER_TIME: 3}
"""EF1A[14] afterwards (protocol reference 3.8)."""


def desk(
    journal: TapJournal | None = None,
    sam: Psam | None = None,
    at: datetime = NOW,
    policy: Policy | None = None,
    **config: Any,
) -> Desk:
    settings = {"white_list": WHITE_LIST, "policy": policy or Policy()} | config
    made = GateConfig(NETWORK, AWAY, Direction.EXIT, **settings)
    return Desk(made, sam or psam(), lambda: at, journal)


def served(at: Desk, operation: Operation, card: Card) -> Outcome:
    outcome = served_over(at, operation, InProcess(card))
    card.power_off()
    return outcome


def served_over(at: Desk, operation: Operation, link: Transport) -> Outcome:
    return at.serve_card(RUN[operation](at), link)


@dataclass
class Need:
    """A card that needs an operation, in the making."""

    operation: Operation
    trip: RailTrip
    blocked: Blocked = Blocked.NO
    profile: dict[str, Any] = field(default_factory=dict)
    config: dict[str, Any] = field(default_factory=dict)

    def card(self) -> Card:
        return new_card(self._change, **self.profile)

    def _change(self, image: Any) -> Any:
        return both(with_trip(self.trip.build()), with_blocked(self.blocked))(image)

    def desk(self, journal: TapJournal | None = None, sam: Psam | None = None) -> Desk:
        return desk(journal, sam, **self.config)


def need(operation: Operation) -> Need:
    return Need(operation, TRIPS[operation])


def rail_trip_of(image: Any) -> RailTrip:
    return RailTrip.parse(content_of(image, EF1A.sfi)[0])

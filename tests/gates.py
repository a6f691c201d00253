"""A gate and a card in the making: what the gate's tests share."""

from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import fixtures
from apdu.bcd import Moment
from apdu.files import RailTrip
from emulator.card.card import Card
from emulator.card.state import Blocked
from fixtures.network import load_network
from reader.gate import Direction, Gate, GateConfig, Outcome
from reader.policy import Policy
from reader.psam import Psam
from reader.transport.inprocess import InProcess
from reader.trips import Place, entered
from tests.cards import both, new_card, with_blocked, with_trip

NOW = datetime(2025, 9, 8, 8, 1, 42)
ENTERED_AT = datetime(2025, 9, 8, 7, 30, 15)
TERMINAL = bytes.fromhex("300089000340")
NETWORK = load_network()
HOME, AWAY = NETWORK.station("080013"), NETWORK.station("080019")
FARE = NETWORK.fare(HOME, AWAY)
WHITE_LIST = frozenset({("09981001", "31052280")})
SERIAL = bytes.fromhex("03105228009900000017")

PLACE = Place(NETWORK.city, NETWORK.institution, NETWORK.operator, HOME.line, HOME.code, 900)
INSIDE = entered(PLACE, 0x101, 5000, Moment.of(ENTERED_AT))
OUTSIDE = RailTrip.parse(bytes.fromhex("27017D0101") + bytes(123))


def psam(seq: int = 1) -> Psam:
    return Psam(TERMINAL, {1: fixtures.load_roots()["PMK"]}, seq)


NO_PASSBACK = Policy(passback_s=0)
"""For tests in which a card taps twice while the clock stands still."""


def gate_at(direction: Direction, **config: Any) -> Gate:
    station = HOME if direction is Direction.ENTRY else AWAY
    settings = {"white_list": WHITE_LIST, "max_fare": 900, "policy": NO_PASSBACK} | config
    return Gate(GateConfig(NETWORK, station, direction, **settings), psam(), lambda: NOW)


@dataclass
class Case:
    """A card and a gate in the making."""

    direction: Direction
    trip: RailTrip
    blocked: Blocked = Blocked.NO
    profile: dict[str, Any] = field(default_factory=dict)
    config: dict[str, Any] = field(default_factory=dict)

    def card(self) -> Card:
        return new_card(self._change, **self.profile)

    def _change(self, image: Any) -> Any:
        return both(with_trip(self.trip.build()), with_blocked(self.blocked))(image)

    def gate(self) -> Gate:
        return gate_at(self.direction, **self.config)


def case(direction: Direction) -> Case:
    return Case(direction, OUTSIDE if direction is Direction.ENTRY else INSIDE)


def passed(gate: Gate, card: Card) -> Outcome:
    return gate.pass_(InProcess(card))

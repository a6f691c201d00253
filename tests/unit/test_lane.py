"""The field rules around one tap, with real cards over the simulated air and in process."""

import itertools
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

import pytest

from apdu.frame import Frame
from bench.recording import Recorder
from bench.rig.air import MOST_CARDS, AirCoupler
from emulator.card.card import Card
from emulator.radio.air import Air
from emulator.radio.faults import Fault, FaultKind, Script
from emulator.radio.station import Station
from reader.gate import Direction, Gate
from reader.lane import FIRST_REST_S, LONGEST_REST_S, SLICE_S, Lane, Served
from reader.modes import Mode
from reader.outcome import Reject
from reader.policy import Policy
from reader.session import ProtocolError
from reader.transport.base import CardLost, NoCard, ReaderFault, Transport
from reader.transport.inprocess import InProcess
from tests.gates import case, gate_at
from tests.unit.guests import Parrot
from tests.unit.pcd import PHONE, EchoCard

REFUSE, ONE_BY_ONE = Policy(), Policy(two_cards="one_by_one")
each_policy = pytest.mark.parametrize("policy", [REFUSE, ONE_BY_ONE], ids=["refuse", "one by one"])
UIDS = [bytes((8, 0, 0, n)) for n in range(1, 9)]


def transit_card(uid: bytes = UIDS[0]) -> Card:
    card = case(Direction.ENTRY).card()
    card.contactless = replace(card.contactless, uid=uid)
    return card


@dataclass
class Field:
    """An air with a lane at it; every command to a card is counted."""

    policy: Policy = REFUSE
    gate: Gate = field(default_factory=lambda: gate_at(Direction.ENTRY))
    faults: list[Fault] = field(default_factory=list)
    commands: int = 0
    taps: int = 0

    def __post_init__(self) -> None:
        self.air = Air(faults=Script(self.faults))
        self.coupler = AirCoupler(self.air)
        self.guests: dict[Any, Station] = {}
        clock = self.air.clock
        self.lane = Lane(
            self.pass_,
            self.coupler,
            self.policy,
            now_ns=clock.now_ns,
            sleep=lambda seconds: self.air.pause(round(seconds * 1e9)),
            is_serving=lambda: self.gate.is_serving,
        )

    def pass_(self, card: Transport) -> Any:
        self.taps += 1
        return self.gate.pass_(Counted(card, self))

    def put(self, *cards: Any) -> None:
        for card in cards:
            self.guests[id(card)] = Station(card)
            self.air.bring(self.guests[id(card)])

    def take(self, *cards: Any) -> None:
        for card in cards:
            self.air.take_away(self.guests.pop(id(card)))

    def serve(self) -> Served | None:
        return self.lane.serve_one(0.5)

    def verdict(self) -> str | None:
        served = self.serve()
        return None if served is None or served.outcome is None else served.outcome.verdict.name


@dataclass
class Counted:
    link: Transport
    field: Field

    def transmit(self, command: bytes) -> bytes:
        self.field.commands += 1
        return self.link.transmit(command)


def entries(card: Card) -> int:
    """How often the card has been let in: purchases it has counted."""
    return card.purse.offline_seq - transit_card().purse.offline_seq


# One card


@each_policy
def test_a_card_is_served_and_its_time_taken(policy: Policy):
    lane = Field(policy)
    lane.put(transit_card())
    served = lane.serve()
    assert served is not None
    assert served.outcome is not None
    assert (served.outcome.verdict.name, served.said) == ("PASS", "")
    assert 10 < served.took_ms < 200, "what some ten commands take on air"


@each_policy
def test_nobody_is_nobody(policy: Policy):
    assert Field(policy).serve() is None


@each_policy
def test_a_card_that_stays_is_one_card(policy: Policy):
    lane, card = Field(policy), transit_card()
    lane.put(card)
    assert lane.verdict() == "PASS"
    commands = lane.commands
    assert [lane.serve() for _ in range(4)] == [None] * 4
    assert (lane.taps, lane.commands, entries(card)) == (1, commands, 1)


@each_policy
def test_a_card_that_leaves_and_returns_is_a_new_presentation(policy: Policy):
    lane, card = Field(policy), transit_card()
    lane.put(card)
    lane.serve()
    for taps in (2, 3):
        lane.take(card)
        lane.put(card)
        assert lane.serve() is not None
        assert lane.taps == taps
        assert lane.serve() is None
    lane.take(card)
    assert lane.serve() is None


@each_policy
def test_the_next_card_is_served_when_the_last_has_gone(policy: Policy):
    lane, first, second = Field(policy), transit_card(), transit_card(UIDS[1])
    lane.put(first)
    lane.serve()
    assert lane.serve() is None
    lane.take(first)
    lane.put(second)
    assert lane.verdict() == "PASS"
    assert [entries(card) for card in (first, second)] == [1, 1]


# Several cards


@pytest.mark.parametrize("count", [2, 3, 4])
def test_too_many_cards_are_refused_and_no_command_goes_to_any(count: int):
    lane = Field(REFUSE)
    cards = [transit_card(uid) for uid in UIDS[:count]]
    lane.put(*cards)
    served = lane.serve()
    assert served is not None
    assert served.outcome is not None
    assert served.outcome.reason is Reject.TOO_MANY_CARDS
    assert served.outcome.detail == f"{count} cards in the field"
    assert (lane.taps, lane.commands) == (0, 0)
    assert lane.serve() is None, "it is said once"


@pytest.mark.parametrize("mode", [Mode.EMERGENCY, Mode.CLOSED])
def test_a_gate_that_asks_no_card_does_not_count_them(mode: Mode):
    lane = Field(REFUSE)
    lane.gate.modes = {mode}
    lane.put(*[transit_card(uid) for uid in UIDS[:2]])
    served = lane.serve()
    assert served is not None
    assert served.outcome is not None
    assert served.outcome.reason is mode.rule.stops
    assert lane.commands == 0


def test_of_too_many_cards_none_is_served_until_all_have_gone():
    lane = Field(REFUSE)
    cards = [transit_card(uid) for uid in UIDS[:2]]
    lane.put(*cards)
    lane.serve()
    for card in cards:
        lane.take(card)
        assert lane.serve() is None
        assert lane.taps == 0
    lane.put(cards[0])
    assert lane.verdict() == "PASS"
    assert entries(cards[1]) == 0


def test_a_card_that_comes_beside_one_that_was_served_waits_its_turn():
    lane, first, second = Field(REFUSE), transit_card(), transit_card(UIDS[1])
    lane.put(first)
    lane.serve()
    lane.put(second)
    assert lane.serve() is None
    lane.take(first)
    assert lane.verdict() == "PASS"
    assert [entries(first), entries(second)] == [1, 1]


@pytest.mark.parametrize("count", [2, 4, 8])
def test_one_by_one_serves_each_once_and_nobody_twice(count: int):
    lane = Field(ONE_BY_ONE)
    cards = [transit_card(uid) for uid in UIDS[:count]]
    lane.put(*cards)
    assert [lane.verdict() for _ in cards] == ["PASS"] * count
    assert [lane.serve() for _ in range(3)] == [None] * 3
    assert [entries(card) for card in cards] == [1] * count
    lane.take(*cards)
    assert lane.serve() is None
    assert lane.taps == count


def test_a_crowd_that_has_gone_is_forgotten():
    lane = Field(REFUSE)
    first, second = transit_card(), transit_card(UIDS[1])
    lane.put(first, second)
    lane.serve()
    lane.take(first, second)
    assert lane.serve() is None
    lane.put(first)
    lane.serve()
    lane.put(second)
    lane.take(first)
    assert lane.verdict() == "PASS"


def test_one_by_one_serves_who_comes_beside_and_who_comes_back():
    lane, first, second = Field(ONE_BY_ONE), transit_card(), transit_card(UIDS[1])
    lane.put(first)
    lane.serve()
    lane.put(second)
    assert lane.verdict() == "PASS"
    lane.take(first)
    assert lane.serve() is None, "the other one stays"
    lane.put(first)
    assert lane.serve() is not None
    assert lane.taps == 3
    assert entries(second) == 1


def test_one_by_one_a_lost_card_does_not_bring_back_the_served():
    lane = Field(ONE_BY_ONE)
    first, second = transit_card(), transit_card(UIDS[1])
    lane.put(first)
    lane.serve()
    lane.put(second)
    passes = lane.gate.pass_

    def lost(card: Transport) -> Any:
        raise CardLost("gone")

    lane.gate.pass_ = lost
    served = lane.serve()
    assert served is not None
    assert served.outcome is None
    lane.gate.pass_ = passes
    assert [lane.serve() for _ in range(3)] == [None] * 3
    assert entries(first) == 1
    lane.take(first, second)
    assert lane.serve() is None
    lane.put(second)
    lane.gate.pass_ = lost
    lane.serve()
    lane.gate.pass_ = passes
    assert lane.verdict() == "PASS", "alone again, it is served after the rest"


# How the air tells


@pytest.mark.parametrize("others", range(5))
def test_the_air_counts_cards_and_the_activated_one_goes_on(others: int):
    air = Air()
    cards = [EchoCard(replace(PHONE, uid=uid)) for uid in UIDS[: others + 1]]
    for card in cards:
        air.bring(Station(card))
    coupler = AirCoupler(air)
    assert coupler.cards_in_field() == 0, "the field is off"
    link = coupler.wait_card(1.0)
    link.transmit(b"\x01")
    assert coupler.cards_in_field() == others + 1
    assert link.transmit(b"\x02") == b"\x02\x90\x00"
    assert sorted(len(card.seen) for card in cards) == [0] * others + [2]


def test_the_air_counts_memory_cards_and_cards_of_long_uids():
    air = Air()
    contactless = [
        PHONE,
        replace(PHONE, uid=UIDS[0], sak=0x08),
        replace(PHONE, uid=bytes.fromhex("04112233445566")),
    ]
    for one in contactless:
        air.bring(Station(EchoCard(one)))
    coupler = AirCoupler(air)
    coupler.wait_card(1.0)
    assert coupler.cards_in_field() == 3


def test_the_air_counts_no_further_than_it_must():
    air = Air()
    for n in range(MOST_CARDS + 3):
        air.bring(Station(EchoCard(replace(PHONE, uid=bytes((8, 1, 0, n))))))
    coupler = AirCoupler(air)
    coupler.wait_card(1.0)
    assert coupler.cards_in_field() == MOST_CARDS


def test_a_card_that_answers_nonsense_is_counted_too():
    air = Air()
    air.bring(Station(EchoCard()))
    coupler = AirCoupler(air)
    coupler.wait_card(1.0)
    air.bring(Parrot(Frame(PHONE.atqa)))
    assert coupler.cards_in_field() == 2


def test_the_next_card_of_the_air_is_one_that_has_not_been_there():
    air = Air()
    cards = [EchoCard(replace(PHONE, uid=uid)) for uid in UIDS[:3]]
    for card in cards:
        air.bring(Station(card))
    coupler = AirCoupler(air)
    found = [coupler.wait_card(1.0), coupler.next_card(), coupler.next_card()]
    assert {link.card.uid for link in found if link} == set(UIDS[:3])
    assert coupler.next_card() is None
    assert coupler.wait_gone(0.1) is False
    assert coupler.next_card() is None, "looking for who is there wakes nobody for good"


# Failures


@dataclass
class Desk:
    """A coupler in process: what lies on it is the card. time_s: of its own."""

    card: Any = None
    time_s: float = 0.0
    given: int = 0
    slept: list[float] = field(default_factory=list)

    def now_ns(self) -> int:
        return round(self.time_s * 1e9)

    def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.time_s += seconds

    def wait_card(self, timeout_s: float) -> Transport:
        if self.card is None:
            self.time_s += timeout_s
            raise NoCard("none")
        self.given += 1
        return InProcess(self.card)

    def wait_gone(self, timeout_s: float) -> bool:
        if self.card is not None:
            self.time_s += timeout_s
        return self.card is None

    def close(self) -> None:
        self.card = None

    def lane(self, pass_: Callable[[Transport], Any], policy: Policy = REFUSE) -> Lane:
        return Lane(pass_, self, policy, now_ns=self.now_ns, sleep=self.sleep)


class Flickering(Desk):
    """What lies on it is gone whenever it is looked for, and back at once."""

    def wait_gone(self, timeout_s: float) -> bool:
        return True


def raising(error: Exception) -> Callable[[Transport], Any]:
    def pass_(card: Transport) -> Any:
        raise error

    return pass_


@each_policy
def test_a_coupler_that_cannot_count_has_one_card(policy: Policy):
    desk = Desk(transit_card())
    lane = desk.lane(gate_at(Direction.ENTRY).pass_, policy)
    served = lane.serve_one(0.5)
    assert served is not None
    assert served.outcome is not None
    assert served.outcome.verdict.name == "PASS"
    assert lane.serve_one(0.5) is None
    assert desk.given == 1


def test_a_lost_card_is_told_and_served_again_if_it_is_still_there():
    desk = Desk(transit_card())
    gate = gate_at(Direction.ENTRY)
    ways: list[Callable[[Transport], Any]] = [raising(CardLost("the card left")), gate.pass_]
    lane = desk.lane(lambda card: ways.pop(0)(card))
    served = lane.serve_one(0.5)
    assert served is not None
    assert (served.outcome, served.said) == (None, "nothing charged: the card left")
    again = lane.serve_one(0.5)
    assert again is not None
    assert again.outcome is not None
    assert again.outcome.verdict.name == "PASS"


def test_a_card_that_is_lost_every_time_does_not_spin():
    desk = Desk(transit_card())
    lane = desk.lane(raising(CardLost("the card left")))
    at = []
    for _ in range(9):
        assert lane.serve_one(0.5) is not None
        at.append(desk.time_s)
    rests = [round(b - a, 6) for a, b in itertools.pairwise(at)]
    assert rests == [0.1, 0.2, 0.4, 0.8, 1.6, 1.6, 1.6, 1.6]
    assert (rests[0], rests[-1]) == (FIRST_REST_S, LONGEST_REST_S)


def test_a_card_that_flickers_does_not_spin_either():
    desk = Flickering(transit_card())
    lane = desk.lane(raising(CardLost("the card left")))
    for _ in range(7):
        lane.serve_one(0.5)
    assert desk.slept == [0.1, 0.2, 0.4, 0.8, 1.6, 1.6]


def test_rests_begin_anew_when_nobody_has_come():
    desk = Desk(transit_card())
    lane = desk.lane(raising(CardLost("the card left")))
    lane.serve_one(0.5)
    lane.serve_one(0.5)
    desk.card = None
    assert lane.serve_one(0.5) is None
    desk.card = transit_card()
    lane.serve_one(0.5)
    before_s = desk.time_s
    lane.serve_one(0.5)
    assert desk.time_s - before_s == pytest.approx(FIRST_REST_S)


def test_rests_begin_anew_when_a_card_has_passed():
    desk, gate = Flickering(transit_card()), gate_at(Direction.ENTRY)
    broken = raising(CardLost("the card left"))
    ways = [broken, broken, gate.pass_, broken, broken]
    lane = desk.lane(lambda card: ways.pop(0)(card))
    for _ in range(5):
        lane.serve_one(0.5)
    assert desk.slept == [0.1, 0.2, 0.1]


def test_a_card_that_breaks_the_protocol_is_told_and_must_leave_first():
    desk = Desk(transit_card())
    lane = desk.lane(raising(ProtocolError("nonsense")))
    served = lane.serve_one(0.5)
    assert served is not None
    assert (served.outcome, served.said) == (None, "card refused: nonsense")
    assert [lane.serve_one(0.5) for _ in range(3)] == [None] * 3
    desk.card = None
    assert lane.serve_one(0.5) is None
    desk.card = transit_card()
    assert lane.serve_one(0.5) is not None
    assert desk.given == 2


@pytest.mark.parametrize("error", [ReaderFault("unplugged"), RuntimeError("ours")])
def test_what_is_not_the_cards_fault_comes_out_and_the_card_is_not_tapped_again(error: Exception):
    desk = Desk(transit_card())
    lane = desk.lane(raising(error))
    with pytest.raises(type(error)):
        lane.serve_one(0.5)
    assert lane.serve_one(0.5) is None
    assert desk.given == 1


def test_a_card_lost_on_air_is_served_when_it_comes_back():
    lane = Field(REFUSE, faults=[Fault(FaultKind.LEAVES, 14), Fault(FaultKind.RETURNS, 30)])
    card = transit_card()
    lane.put(card)
    served = lane.serve()
    assert served is not None
    assert served.said.startswith("nothing charged: ")
    assert served.outcome is None
    assert entries(card) == 0
    verdicts = [lane.verdict() for _ in range(3)]
    assert verdicts.count("PASS") == 1
    assert entries(card) == 1


# Around it


def test_a_tap_may_be_recorded():
    recorder, desk, gate = Recorder(), Desk(transit_card()), gate_at(Direction.ENTRY)
    lane = desk.lane(lambda card: recorder.pass_(gate, card))
    assert lane.serve_one(0.5) is not None
    assert {exchange.to for exchange in recorder.exchanges} == {"card", "psam"}


def test_a_card_is_announced_before_its_time_begins():
    desk = Desk(transit_card())

    def announce() -> None:
        desk.time_s += 100

    def pass_(card: Transport) -> Any:
        desk.time_s += 0.25
        return gate_at(Direction.ENTRY).pass_(card)

    lane = Lane(pass_, desk, REFUSE, announce, desk.now_ns, desk.sleep)
    served = lane.serve_one(0.5)
    assert served is not None
    assert served.took_ms == 250.0
    assert desk.time_s == 100.25


def test_a_lane_looks_for_the_next_card_at_least_once_however_short_the_wait():
    lane = Field(ONE_BY_ONE)
    lane.put(*(transit_card(uid) for uid in UIDS[:2]))
    assert SLICE_S > 0
    assert lane.lane.serve_one(0.0) is not None
    assert lane.lane.serve_one(0.0) is not None
    assert lane.lane.serve_one(0.0) is None

"""The gate: every reason in its order, and exactly one passage however often the card is lost."""

from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import date, datetime
from itertools import combinations
from typing import Any

import pytest

import fixtures
from apdu.bcd import Moment
from apdu.commands import DEBIT
from apdu.files import EF1A, EF1E, RailTrip, TripLog
from emulator.card.card import Card
from emulator.card.state import Blocked
from fixtures.network import load_network
from issuer.clearing import tac_is_right
from reader import gate as gate_module
from reader.gate import Direction, Gate, GateConfig, Outcome, Reject, Verdict, parse_white_list
from reader.psam import Psam
from reader.session import ProtocolError, StatusError
from reader.transport.base import CardLost, ReaderFault, TransportError
from reader.transport.decorators import CutPoint, Cutting, Recording
from reader.transport.inprocess import InProcess
from reader.trips import ENTERED, ENTRY_CORRECTED, EXITED, Place, entered
from tests.cards import new_card

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


def gate_at(direction: Direction, **config: Any) -> Gate:
    station = HOME if direction is Direction.ENTRY else AWAY
    settings = {"white_list": WHITE_LIST, "max_fare": 900} | config
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
        trips = (self.trip.build(), *image.files[EF1A.sfi][1:])
        return replace(image, files={**image.files, EF1A.sfi: trips}, blocked=self.blocked)

    def gate(self) -> Gate:
        return gate_at(self.direction, **self.config)


def case(direction: Direction) -> Case:
    return Case(direction, OUTSIDE if direction is Direction.ENTRY else INSIDE)


def passed(gate: Gate, card: Card) -> Outcome:
    return gate.pass_(InProcess(card))


# Passing


def test_a_good_card_enters_and_leaves_for_the_fare():
    card, way_in, way_out = (
        new_card(),
        gate_at(Direction.ENTRY),
        gate_at(Direction.EXIT),
    )
    assert passed(way_in, card).verdict is Verdict.PASS
    assert card.image.purse.actual == 5000
    outcome = passed(way_out, card)
    assert (outcome.verdict, outcome.fare) == (Verdict.PASS, FARE)
    assert card.image.purse.actual == 5000 - FARE == outcome.receipt.balance
    kinds = [TripLog.parse(r).trip_kind for r in card.image.files[EF1E.sfi]]
    assert kinds == [4, 3]


@pytest.mark.parametrize("direction", Direction, ids=lambda d: d.name)
def test_the_receipt_s_tac_is_the_card_s(direction):
    made = case(direction)
    receipt = passed(made.gate(), made.card()).receipt
    assert tac_is_right(receipt, fixtures.load_roots()["TMK"])
    assert not receipt.recovered


def test_staff_may_open_a_trip():
    made = case(Direction.EXIT)
    made.trip = replace(INSIDE, state=ENTRY_CORRECTED)
    assert passed(made.gate(), made.card()).verdict is Verdict.PASS


# Reasons

Fault = Callable[[Case], None]


def of_profile(**fields: Any) -> Fault:
    return lambda made: made.profile.update(fields)


def of_config(**fields: Any) -> Fault:
    return lambda made: made.config.update(fields)


def of_trip(**fields: Any) -> Fault:
    return lambda made: setattr(made, "trip", replace(made.trip, **fields))


COMMON: dict[Reject, Fault] = {
    Reject.BLOCKED: lambda made: setattr(made, "blocked", Blocked.TEMPORARY),
    Reject.ISSUER_UNKNOWN: of_config(white_list=frozenset({("01011000", "31052280")})),
    Reject.IIN_MISMATCH: of_config(white_list=frozenset({("09981001", "31051700")})),
    Reject.NOT_ENABLED: of_profile(enabled=0),
    Reject.NOT_YET_VALID: of_profile(start_date=date(2025, 9, 9)),
    Reject.EXPIRED: of_profile(end_date=date(2025, 9, 7)),
    Reject.BLACKLISTED: of_config(blacklist=frozenset({SERIAL})),
    Reject.NOT_INTEROPERABLE: of_profile(city=bytes.fromhex("2900"), interop=False),
    Reject.TRIP_LOCKED: of_trip(lock=1),
    Reject.CARD_REFUSED: of_profile(offline_seq=0xFFFF),
}
ENTRY = COMMON | {
    Reject.ALREADY_ENTERED: of_trip(state=ENTERED),
    Reject.BALANCE_IMPLAUSIBLE: of_profile(balance=100_001, ceiling=200_000),
    Reject.ZERO_BALANCE: of_profile(balance=0),
    Reject.BALANCE_TOO_LOW: of_profile(balance=NETWORK.min_fare - 1),
}
EXIT = COMMON | {
    Reject.NOT_ENTERED: of_trip(state=EXITED),
    Reject.STATION_UNKNOWN: of_trip(entry_line=0xEE),
    Reject.BALANCE_TOO_LOW: of_profile(balance=FARE - 1),
}
FAULTS = {Direction.ENTRY: ENTRY, Direction.EXIT: EXIT}
SINGLE = [(d, r) for d in Direction for r in Reject if r in FAULTS[d]]
ALIKE = [
    {Reject.ISSUER_UNKNOWN, Reject.IIN_MISMATCH},
    {Reject.BALANCE_IMPLAUSIBLE, Reject.ZERO_BALANCE, Reject.BALANCE_TOO_LOW},
]
"""Faults of one value, which a card cannot have together."""
PAIRS = [
    (direction, first, second)
    for direction in Direction
    for first, second in combinations([r for r in Reject if r in FAULTS[direction]], 2)
    if not any({first, second} <= group for group in ALIKE)
    # At exit the card itself judges both, its counter before its money (4.1).
    and (direction, first) != (Direction.EXIT, Reject.BALANCE_TOO_LOW)
]


def test_every_reason_is_tried():
    # The others need a card that is none of ours, or a PSAM that forgets: test_gate_attacks.py.
    elsewhere = {Reject.NOT_OUR_CARD, Reject.UNPROVEN}
    assert set(ENTRY) | set(EXIT) | elsewhere == set(Reject)


@pytest.mark.parametrize("reason", Reject, ids=lambda r: r.name)
def test_every_reason_says_what_to_do_in_both_languages(reason):
    assert reason.zh
    assert reason.en.isascii()
    assert reason.code in (None, 2449, 5469, 2731)


@pytest.mark.parametrize(
    ("direction", "reason"), SINGLE, ids=[f"{d.value}-{r.name}" for d, r in SINGLE]
)
def test_a_card_built_for_a_reason_is_refused_for_it_and_keeps_everything(direction, reason):
    made = case(direction)
    FAULTS[direction][reason](made)
    card = made.card()
    before = card.image
    outcome = passed(made.gate(), card)
    assert (outcome.verdict, outcome.reason) == (Verdict.REJECT, reason)
    assert (outcome.fare, outcome.receipt) == (0, None)
    assert card.image is before


@pytest.mark.parametrize(
    ("direction", "first", "second"),
    PAIRS,
    ids=[f"{d.value}-{a.name}-{b.name}" for d, a, b in PAIRS],
)
def test_of_two_reasons_the_one_declared_first_is_given(direction, first, second):
    made = case(direction)
    FAULTS[direction][first](made)
    FAULTS[direction][second](made)
    assert passed(made.gate(), made.card()).reason is first


@pytest.mark.parametrize("how", [Blocked.TEMPORARY, Blocked.PERMANENT])
def test_a_blocked_card_is_refused_before_anything_is_read(how):
    made = case(Direction.ENTRY)
    made.blocked = how
    link = Recording(InProcess(made.card()), lambda: 0)
    assert made.gate().pass_(link).reason is Reject.BLOCKED
    assert len(link.seen) == 2


@pytest.mark.parametrize(
    ("start", "end", "reason"),
    [
        (date(2025, 9, 8), date(2025, 9, 8), None),
        (date(2025, 9, 9), date(2026, 9, 30), Reject.NOT_YET_VALID),
        (date(2025, 9, 1), date(2025, 9, 7), Reject.EXPIRED),
    ],
)
def test_both_ends_of_the_validity_belong_to_it(start, end, reason):
    made = case(Direction.ENTRY)
    made.profile = {"start_date": start, "end_date": end}
    assert passed(made.gate(), made.card()).reason is reason


def test_a_card_that_expires_during_the_trip_gets_out():
    made = case(Direction.EXIT)
    made.profile = {"end_date": date(2025, 9, 8)}
    gate, card = made.gate(), made.card()
    gate._clock = lambda: datetime(2025, 9, 9, 0, 10)
    assert passed(gate, card).verdict is Verdict.PASS


@pytest.mark.parametrize(
    ("offset", "raw", "reason"),
    [
        (20, "FFFFFFFF", Reject.NOT_YET_VALID),
        (20, "2025090A", Reject.NOT_YET_VALID),
        (24, "FFFFFFFF", Reject.EXPIRED),
        (24, "2026093A", Reject.EXPIRED),
        (24, "00000000", Reject.EXPIRED),
    ],
)
def test_a_date_that_is_no_digits_lets_nobody_in(offset, raw, reason):
    def change(image):
        ef15 = image.files[0x15]
        broken = ef15[:offset] + bytes.fromhex(raw) + ef15[offset + 4 :]
        return replace(image, files={**image.files, 0x15: broken})

    assert passed(gate_at(Direction.ENTRY), new_card(change)).reason is reason


def test_a_foreign_card_with_interoperation_gets_in():
    made = case(Direction.ENTRY)
    made.profile = {"city": bytes.fromhex("2900"), "interop": True}
    assert passed(made.gate(), made.card()).verdict is Verdict.PASS


def test_the_least_balance_to_enter_is_the_lowest_fare():
    made = case(Direction.ENTRY)
    made.profile = {"balance": NETWORK.min_fare}
    assert passed(made.gate(), made.card()).verdict is Verdict.PASS


# The card leaves the field

POINTS = list(CutPoint)


def commands(direction: Direction) -> list[bytes]:
    """What a whole tap sends to the card."""
    made = case(direction)
    link = Recording(InProcess(made.card()), lambda: 0)
    assert made.gate().pass_(link).verdict is Verdict.PASS
    return [e.command for e in link.seen]


COMMANDS = {direction: commands(direction) for direction in Direction}
CUTS = [(d, n, p) for d in Direction for n in range(1, len(COMMANDS[d]) + 1) for p in POINTS]
each_cut = pytest.mark.parametrize(
    ("direction", "at", "point"), CUTS, ids=[f"{d.value}-{n}-{p.name}" for d, n, p in CUTS]
)


def lose(gate: Gate, card: Card, at: int, point: CutPoint) -> Outcome | None:
    """One tap cut at a command. None if the gate learnt only that the card is gone."""

    def leave() -> None:
        card.power_off()
        card.power_on()

    try:
        return gate.pass_(Cutting(InProcess(card), at, point, leave))
    except CardLost:
        return None


def assert_passed_once(direction: Direction, card: Card, start: Any) -> None:
    """The trip record is right, one number is used, one trip is logged, one fare is paid."""
    purse = card.image.purse
    assert purse.offline_seq == start.purse.offline_seq + 1
    assert len(card.image.files[EF1E.sfi]) == len(start.files[EF1E.sfi]) + 1
    trip = RailTrip.parse(card.image.files[EF1A.sfi][0])
    if direction is Direction.ENTRY:
        assert (purse.actual, trip.state) == (start.purse.actual, ENTERED)
    else:
        assert (purse.actual, trip.state) == (start.purse.actual - FARE, EXITED)


def test_every_tap_ends_with_the_debit():
    for sent in COMMANDS.values():
        assert [c[1] == DEBIT.ins for c in sent] == [False] * (len(sent) - 1) + [True]


@each_cut
def test_after_the_next_tap_the_passenger_has_passed_exactly_once(direction, at, point):
    made = case(direction)
    gate, card = made.gate(), made.card()
    start = card.image
    first = lose(gate, card, at, point)
    is_debit = at == len(COMMANDS[direction])
    assert (first is not None) == is_debit
    if first is not None:
        assert first.verdict is Verdict.TAP_AGAIN
        assert list(gate.unresolved) == [SERIAL]
    assert (card.image is not start) == (is_debit and point is CutPoint.AFTER)
    second = passed(gate, card)
    assert second.verdict is Verdict.PASS
    assert second.receipt.recovered == (is_debit and point is CutPoint.AFTER)
    assert tac_is_right(second.receipt, fixtures.load_roots()["TMK"])
    assert second.receipt.balance == card.image.purse.actual
    assert gate.unresolved == {}
    assert_passed_once(direction, card, start)


@each_cut
def test_a_third_tap_charges_nothing_and_opens_nothing(direction, at, point):
    made = case(direction)
    gate, card = made.gate(), made.card()
    lose(gate, card, at, point)
    assert passed(gate, card).verdict is Verdict.PASS
    after = card.image
    third = passed(gate, card)
    expected = Reject.ALREADY_ENTERED if direction is Direction.ENTRY else Reject.NOT_ENTERED
    assert third.reason is expected
    assert card.image is after


@each_cut
def test_losing_the_card_twice_in_a_row_changes_nothing_of_that(direction, at, point):
    for second_at in range(1, len(COMMANDS[direction]) + 3):
        for second_point in POINTS:
            made = case(direction)
            gate, card = made.gate(), made.card()
            start = card.image
            lose(gate, card, at, point)
            second = lose(gate, card, second_at, second_point)
            if second is None or second.verdict is not Verdict.PASS:
                assert passed(gate, card).verdict is Verdict.PASS
            assert_passed_once(direction, card, start)
            assert gate.unresolved == {}


@each_cut
def test_another_gate_does_not_charge_again(direction, at, point):
    made = case(direction)
    gate, other, card = made.gate(), made.gate(), made.card()
    start = card.image
    lose(gate, card, at, point)
    paid = card.image is not start
    outcome = passed(other, card)
    assert (outcome.verdict is Verdict.PASS) != paid
    assert_passed_once(direction, card, start)


@pytest.mark.parametrize("direction", Direction, ids=lambda d: d.name)
def test_a_lost_debit_that_another_gate_has_overtaken_is_forgotten(direction):
    """The first gate's DEBIT never reached the card, so the other gate's got its number.

    The first gate then finds a proof under that number, which is not its own: nothing of its own
    was taken.
    """
    made = case(direction)
    gate, other, card = made.gate(), made.gate(), made.card()
    start = card.image
    lose(gate, card, len(COMMANDS[direction]), CutPoint.BEFORE)
    assert passed(other, card).verdict is Verdict.PASS
    assert passed(gate, card).verdict is Verdict.REJECT
    assert gate.unresolved == {}
    assert_passed_once(direction, card, start)


@pytest.mark.parametrize("direction", Direction, ids=lambda d: d.name)
def test_a_debt_of_one_card_is_not_asked_of_another(direction):
    made = case(direction)
    gate, lost = made.gate(), made.card()
    lose(gate, lost, len(COMMANDS[direction]), CutPoint.AFTER)
    made.profile["serial"] = bytes.fromhex("03105228009900000018")
    other = made.card()
    outcome = passed(gate, other)
    assert outcome.verdict is Verdict.PASS
    assert not outcome.receipt.recovered
    assert list(gate.unresolved) == [SERIAL]
    assert passed(gate, lost).receipt.recovered


def test_the_oldest_lost_debit_is_forgotten_first(monkeypatch):
    monkeypatch.setattr(gate_module, "MOST_UNRESOLVED", 2)
    made = case(Direction.ENTRY)
    gate = made.gate()
    serials = [SERIAL[:-1] + bytes((n,)) for n in (1, 2, 3)]
    for serial in serials:
        made.profile["serial"] = serial
        lose(gate, made.card(), len(COMMANDS[Direction.ENTRY]), CutPoint.AFTER)
    assert list(gate.unresolved) == serials[1:]


@pytest.mark.parametrize("many", [1, 15, 16, 40])
def test_a_lost_debit_is_resolved_however_many_cards_came_and_went_since(many):
    made = case(Direction.EXIT)
    gate, card = made.gate(), made.card()
    last = len(COMMANDS[Direction.EXIT])
    lose(gate, card, last, CutPoint.AFTER)
    for n in range(many):
        made.profile["serial"] = SERIAL[:-1] + bytes.fromhex(f"{30 + n}")
        lose(gate, made.card(), last - 1, CutPoint.BEFORE)
    assert passed(gate, card).receipt.recovered


@dataclass
class Broken:
    """Breaks the n-th answer in a way of its own; the card has acted."""

    card: Card
    at: int
    how: Callable[[bytes], bytes]
    count: int = 0

    def transmit(self, command: bytes) -> bytes:
        self.count += 1
        response = self.card.process(command)
        return self.how(response) if self.count == self.at else response


def fault(response: bytes) -> bytes:
    raise ReaderFault("the reader was pulled out")


@pytest.mark.parametrize(
    "how", [lambda r: r[:5] + r[-2:], lambda r: b"", fault], ids=["cut short", "empty", "fault"]
)
def test_a_debit_whose_answer_is_spoilt_is_recovered_too(how):
    made = case(Direction.EXIT)
    gate, card = made.gate(), made.card()
    with suppress(ProtocolError, TransportError):
        gate.pass_(Broken(card, len(COMMANDS[Direction.EXIT]), how))
    card.power_off()
    outcome = passed(gate, card)
    assert outcome.verdict is Verdict.PASS, outcome.reason
    assert outcome.receipt.recovered


@each_cut
def test_a_spoilt_answer_never_costs_two_fares(direction, at, point):
    made = case(direction)
    gate, card = made.gate(), made.card()
    start = card.image
    with suppress(ProtocolError, StatusError):
        gate.pass_(Broken(card, at, lambda r: r[:1]))
    card.power_off()
    passed(gate, card)
    assert_passed_once(direction, card, start)


def test_a_card_with_a_foreign_key_is_refused_and_not_passed():
    made = case(Direction.ENTRY)
    gate = made.gate()
    gate.psam = Psam(TERMINAL, {1: fixtures.load_roots()["LMK"]})
    outcome = passed(gate, made.card())
    assert (outcome.verdict, outcome.reason) == (Verdict.REJECT, Reject.CARD_REFUSED)
    assert "9302" in outcome.detail


# White list


def test_a_white_list_is_read_line_by_line():
    text = ["issuer    IIN", "01011000    31051700", "", "09981001 31052280"]
    assert parse_white_list(text) == {("01011000", "31051700"), ("09981001", "31052280")}


@pytest.mark.parametrize("line", ["01011000", "01011000 3105170", "0101100A 31051700", "a b c"])
def test_a_wrong_line_of_a_white_list_is_named(line):
    with pytest.raises(ValueError, match="line 2"):
        parse_white_list(["header", line])

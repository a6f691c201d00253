"""Money through real gates: months, stays too long, airport lines, one station, missing exits."""

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from itertools import cycle

import pytest

from apdu.bcd import Moment
from apdu.files import EF1A, EF1E, RailTrip, TripLog
from emulator.card.card import Card
from fixtures.network import load_network
from reader.fares.month import MonthTotal
from reader.gate import Direction, Gate, GateConfig, Outcome, Reject, Verdict
from reader.journal import MemoryJournal
from reader.modes import Mode
from reader.months import MonthBook
from reader.policy import Policy
from reader.psam import Psam
from reader.staff import Desk
from reader.taprecord import Mark
from reader.transport.decorators import CutPoint, Cutting
from reader.transport.inprocess import InProcess
from reader.trips import ENTERED, EP_ADJUST, EP_ENTRY, Place, entered
from tests.cards import content_of, new_card, purse_in, with_trip
from tests.gates import SERIAL, TERMINAL, WHITE_LIST, passed
from tests.vectors.ladders import sam_keys

NETWORK = load_network()
NEAR, FAR = "F00000", "F00005"  # 22 km: 5.00 yuan
DEBIT = 9  # PPSE, purse, EF15, EF17, EF1A, INITIALIZE, two records, DEBIT
FIRST = datetime(2025, 9, 1, 5, 0)
HALF_AN_HOUR = timedelta(minutes=30)


@dataclass
class Line:
    """Gates of one operator that share what cards have paid, and a clock."""

    policy: Policy = field(default_factory=lambda: Policy(passback_s=0))
    now: datetime = FIRST

    def __post_init__(self) -> None:
        self.months = MonthBook(NETWORK, self.policy)
        self.journals: list[MemoryJournal] = []

    def gate(self, direction: Direction, code: str) -> Gate:
        number = len(self.journals)
        terminal = TERMINAL[:-1] + bytes((number,))
        journal = MemoryJournal(b"GATE%04d" % number)
        self.journals.append(journal)
        config = GateConfig(
            NETWORK, NETWORK.station(code), direction, WHITE_LIST, policy=self.policy
        )
        return Gate(
            config, Psam(terminal, sam_keys()), lambda: self.now, journal, months=self.months
        )

    def ride(self, card: Card, way_in: Gate, way_out: Gate, stay=HALF_AN_HOUR) -> Outcome:
        """In now, out after a while; the card leaves the field in between."""
        assert passed(way_in, card).verdict is Verdict.PASS
        card.power_off()
        self.now += stay
        outcome = passed(way_out, card)
        card.power_off()
        return outcome

    def trip(self, card: Card, near: str = NEAR, far: str = FAR, stay=HALF_AN_HOUR) -> Outcome:
        """A ride through gates of its own."""
        way_in, way_out = self.gate(Direction.ENTRY, near), self.gate(Direction.EXIT, far)
        return self.ride(card, way_in, way_out, stay)

    def records(self):
        """What every gate keeps, in the order of the taps."""
        kept = [record for journal in self.journals for record in journal.records]
        return sorted(kept, key=lambda record: record.when)

    def total(self) -> MonthTotal:
        return self.months.total(SERIAL)


def rich(balance: int = 90_000, *changes) -> Card:
    return new_card(*changes, balance=balance)


def open_trip(at: datetime, code: str) -> bytes:
    station = NETWORK.station(code)
    place = Place(
        NETWORK.city, NETWORK.institution, NETWORK.operator, station.line, station.code, 900
    )
    return entered(place, 0x101, 90_000, Moment.of(at)).build()


def inside_since(at: datetime, code: str, balance: int = 90_000) -> Card:
    return rich(balance, with_trip(open_trip(at, code)))


# The month (domain facts 3.2)


def table_of_the_month(ride: int) -> int:
    """What the n-th ride of 5 yuan costs, as the table has it."""
    return 500 if ride <= 20 or ride >= 134 else 400 if ride <= 33 else 250


def ridden(line: Line, card: Card, count: int) -> list[int]:
    way_in = line.gate(Direction.ENTRY, NEAR)
    ways_out = cycle([line.gate(Direction.EXIT, FAR) for _ in range(3)])
    fares = []
    for _ in range(count):
        fares.append(line.ride(card, way_in, next(ways_out)).fare)
        line.now += timedelta(hours=4)
    return fares


def test_a_month_of_five_yuan_rides_costs_what_the_table_says():
    line, card = Line(), rich()
    fares = ridden(line, card, 134)
    assert line.now.month == 9
    assert fares == [table_of_the_month(ride) for ride in range(1, 135)]
    paid = {ride: sum(fares[:ride]) for ride in (20, 33, 133, 134)}
    assert paid == {20: 10_000, 33: 15_200, 133: 40_200, 134: 40_700}
    assert purse_in(card.image).actual == 90_000 - 40_700
    assert line.total() == MonthTotal(202509, 40_700)


def test_a_book_made_again_from_the_journals_knows_the_same():
    line = Line()
    ridden(line, rich(), 40)
    again = MonthBook(NETWORK, line.policy)
    again.note_all(line.records())
    assert again.total(SERIAL) == line.total() == MonthTotal(202509, 15_200 + 7 * 250)


def test_gates_that_start_anew_with_the_book_of_their_journals_go_on_with_the_discount():
    line, card = Line(), rich()
    ridden(line, card, 20)
    anew = Line(now=line.now)
    anew.months.note_all(line.records())
    assert anew.trip(card).fare == 400


def test_a_card_has_a_month_of_its_own():
    line, card = Line(), rich()
    ridden(line, card, 21)
    other = new_card(balance=5000, serial=bytes.fromhex("03105228009900000018"))
    assert line.trip(other).fare == 500
    assert line.trip(card).fare == 400


@pytest.mark.parametrize(
    ("entered_at", "exited_at", "knob", "fare"),
    [
        ((30, 23, 29, 59), (30, 23, 59, 59), "exit_time", 250),
        ((30, 23, 30, 0), (31, 0, 0, 0), "exit_time", 500),  # 1 October: a new month
        ((30, 23, 30, 0), (31, 0, 0, 0), "operating_day", 250),
        ((31, 3, 30, 0), (31, 4, 0, 0), "operating_day", 500),
    ],
)
def test_the_month_ends_at_midnight_or_with_the_operating_day(entered_at, exited_at, knob, fare):
    def at(day, *clock):
        return datetime(2025, 9, 1, *clock) + timedelta(days=day - 1)

    line, card = Line(Policy(passback_s=0, accumulate_at=knob)), rich()
    ridden(line, card, 33)
    before = line.total().paid
    line.now = at(*entered_at)
    outcome = line.trip(card, stay=at(*exited_at) - at(*entered_at))
    assert outcome.fare == fare
    assert line.total().paid == (before + fare if fare == 250 else fare)


def test_a_free_ride_counts_for_nothing():
    line, card = Line(), rich()
    ridden(line, card, 20)
    way_in, way_out = line.gate(Direction.ENTRY, NEAR), line.gate(Direction.EXIT, FAR)
    way_out.modes = {Mode.FARE_FREE}
    assert line.ride(card, way_in, way_out).fare == 0
    assert line.total() == MonthTotal(202509, 10_000)


@pytest.mark.parametrize(
    ("point", "is_recovered"), [(CutPoint.AFTER, True), (CutPoint.BEFORE, False)]
)
def test_a_lost_debit_counts_once_or_not_at_all(point, is_recovered):
    line, card = Line(), inside_since(FIRST, NEAR)
    way_out = line.gate(Direction.EXIT, FAR)
    line.now += HALF_AN_HOUR
    link = Cutting(InProcess(card), DEBIT, point, card.power_off)
    assert way_out.pass_(link).verdict is Verdict.TAP_AGAIN
    assert line.total().paid == 0
    outcome = passed(way_out, card)
    assert (outcome.verdict, outcome.receipt.recovered) == (Verdict.PASS, is_recovered)
    assert line.total() == MonthTotal(202509, 500)
    assert purse_in(card.image).actual == 90_000 - 500
    again = MonthBook(NETWORK, line.policy)
    again.note_all(line.records())
    assert again.total(SERIAL) == line.total()
    marks = [record.mark for record in line.records()]
    assert marks == ([Mark.TAKEN] if is_recovered else [Mark.VOID, Mark.TAKEN])


def test_a_gate_that_starts_anew_counts_what_it_recovers_once():
    line, card = Line(), inside_since(FIRST, NEAR)
    before = line.gate(Direction.EXIT, FAR)
    before.pass_(Cutting(InProcess(card), DEBIT, CutPoint.AFTER, card.power_off))
    journal = line.journals[0]
    after = Gate(before.config, before.psam, lambda: line.now, journal, months=line.months)
    assert passed(after, card).receipt.recovered
    assert line.total() == MonthTotal(202509, 500)
    assert passed(after, card).reason is Reject.NOT_ENTERED
    assert line.total() == MonthTotal(202509, 500)


def test_what_a_recovery_finds_after_the_month_belongs_to_the_ride_s_own_month():
    line = Line(now=datetime(2025, 9, 30, 23, 50))
    card = inside_since(datetime(2025, 9, 30, 23, 20), NEAR)
    way_out = line.gate(Direction.EXIT, FAR)
    way_out.pass_(Cutting(InProcess(card), DEBIT, CutPoint.AFTER, card.power_off))
    line.now = datetime(2025, 10, 1, 0, 5)
    assert passed(way_out, card).receipt.recovered
    assert line.total() == MonthTotal(202509, 500)


# Too long a stay (3.2, 4.1 D)

FOUR_HOURS = timedelta(hours=4)
SECOND = timedelta(seconds=1)


@pytest.mark.parametrize("at", ["desk", "gate"])
def test_four_hours_to_the_second_are_not_too_long(at):
    line = Line(Policy(overtime_at=at))
    card = inside_since(FIRST, NEAR)
    line.now += FOUR_HOURS
    assert passed(line.gate(Direction.EXIT, FAR), card).fare == 500


def test_a_gate_sends_a_stay_that_was_too_long_to_the_desk_and_lets_out_afterwards():
    line, card = Line(), inside_since(FIRST, NEAR)
    way_out = line.gate(Direction.EXIT, FAR)
    line.now += FOUR_HOURS + SECOND
    before = card.image
    outcome = passed(way_out, card)
    assert (outcome.reason, outcome.reason.code % 10) == (Reject.OVER_TIME, 4)
    assert card.image is before
    desk = Desk(
        way_out.config,
        Psam(TERMINAL, sam_keys()),
        lambda: line.now,
    )
    assert desk.serve_card(desk.over_time(), InProcess(card)).fare == 300
    assert passed(way_out, card).fare == 500
    assert purse_in(card.image).actual == 90_000 - 800
    assert line.total() == MonthTotal(202509, 500)


@pytest.mark.parametrize(("counts", "total"), [(False, 500), (True, 800)])
def test_a_gate_that_takes_it_itself_adds_three_yuan(counts, total):
    line = Line(Policy(overtime_at="gate", overtime_in_month=counts))
    card = inside_since(FIRST, NEAR)
    line.now += FOUR_HOURS + SECOND
    outcome = passed(line.gate(Direction.EXIT, FAR), card)
    assert (outcome.verdict, outcome.fare) == (Verdict.PASS, 800)
    assert line.total() == MonthTotal(202509, total)
    again = MonthBook(NETWORK, line.policy)
    again.note_all(line.records())
    assert again.total(SERIAL) == line.total()


def test_the_month_s_discount_is_not_of_the_three_yuan():
    line, card = Line(Policy(overtime_at="gate", passback_s=0)), rich()
    ridden(line, card, 21)
    outcome = line.trip(card, stay=FOUR_HOURS + SECOND)
    assert outcome.fare == 400 + 300
    assert line.total() == MonthTotal(202509, 10_800)


def test_with_too_little_for_the_three_yuan_nobody_gets_out():
    line = Line(Policy(overtime_at="gate"))
    card = inside_since(FIRST, NEAR, balance=799)
    line.now += FOUR_HOURS + SECOND
    assert passed(line.gate(Direction.EXIT, FAR), card).reason is Reject.BALANCE_TOO_LOW


# Airport lines (3.2)

BEIXINQIAO, TERMINAL_3 = "620013", "62001B"
CAOQIAO, DAXING_AIRPORT = "580017", "58001B"


@pytest.mark.parametrize(
    ("near", "far", "fare"),
    [(BEIXINQIAO, TERMINAL_3, 2500), (CAOQIAO, DAXING_AIRPORT, 3500)],
)
def test_an_airport_line_has_no_discount_and_counts_for_nothing(near, far, fare):
    line, card = Line(), rich()
    ridden(line, card, 34)
    before = line.total()
    assert line.trip(card, near, far).fare == fare
    assert line.total() == before
    assert line.trip(card).fare == 250


@pytest.mark.parametrize(("balance", "reason"), [(2499, Reject.BALANCE_TOO_LOW), (2500, None)])
def test_a_dearer_line_asks_for_its_own_lowest_fare_at_the_entry(balance, reason):
    line = Line()
    assert passed(line.gate(Direction.ENTRY, BEIXINQIAO), rich(balance)).reason is reason


@pytest.mark.parametrize(("near", "far"), [(NEAR, TERMINAL_3), (BEIXINQIAO, FAR)])
def test_no_paid_way_leads_from_one_tariff_into_another(near, far):
    line, card = Line(), inside_since(FIRST, near)
    line.now += HALF_AN_HOUR
    assert passed(line.gate(Direction.EXIT, far), card).reason is Reject.STATION_UNKNOWN


# In and out at one station (3.2, 9)

TEN_MINUTES = timedelta(minutes=10)
XIDAN = ("01000F", "040035")


@pytest.mark.parametrize("far", XIDAN, ids=["one platform", "the other line's"])
@pytest.mark.parametrize(
    ("knob", "stay", "fare"),
    [
        ("refund", TEN_MINUTES, 300),
        ("charge", TEN_MINUTES, 300),
        ("free", TEN_MINUTES, 0),
        ("free", TEN_MINUTES + SECOND, 300),
    ],
)
def test_who_turns_back_pays_what_the_knob_says(knob, stay, fare, far):
    line, card = Line(Policy(same_station=knob)), rich()
    outcome = line.trip(card, XIDAN[0], far, stay)
    assert (outcome.verdict, outcome.fare) == (Verdict.PASS, fare)
    assert line.total().paid == fare
    assert TripLog.parse(content_of(card.image, EF1E.sfi)[0]).amount == fare


def test_turning_back_has_the_month_s_discount():
    line, card = Line(), rich()
    ridden(line, card, 20)
    assert line.trip(card, NEAR, NEAR).fare == 240


# A trip without an exit (3.2, 9)

CHARGE = Policy(missing_exit_rail="charge", passback_s=0)


def logs(card: Card) -> list[int]:
    return [TripLog.parse(record).trip_kind for record in content_of(card.image, EF1E.sfi)]


def test_a_gate_that_charges_closes_the_old_trip_and_begins_the_new_one():
    line, card = Line(CHARGE), inside_since(FIRST, NEAR)
    line.now += timedelta(days=1)
    outcome = passed(line.gate(Direction.ENTRY, FAR), card)
    assert (outcome.verdict, outcome.fare, outcome.missed.amount) == (Verdict.PASS, 0, 300)
    assert outcome.charged == 300
    assert purse_in(card.image).actual == 90_000 - 300
    trip = RailTrip.parse(content_of(card.image, EF1A.sfi)[0])
    assert (trip.state, trip.entry_time) == (ENTERED, Moment.of(line.now).both)
    assert logs(card) == [EP_ENTRY, EP_ADJUST]
    closing, opening = line.records()
    assert (closing.trip, closing.amount, closing.origin_when) == (
        EP_ADJUST,
        300,
        Moment.of(FIRST).both,
    )
    assert (opening.trip, opening.amount) == (EP_ENTRY, 0)
    assert line.total().paid == 0  # no ride


@pytest.mark.parametrize(("balance", "reason"), [(599, Reject.BALANCE_TOO_LOW), (600, None)])
def test_both_the_old_trip_and_the_new_must_be_affordable(balance, reason):
    line, card = Line(CHARGE), inside_since(FIRST, NEAR, balance)
    before = card.image
    assert passed(line.gate(Direction.ENTRY, FAR), card).reason is reason
    assert (card.image is before) is (reason is not None)


def test_by_default_staff_close_it():
    line, card = Line(), inside_since(FIRST, NEAR)
    assert passed(line.gate(Direction.ENTRY, FAR), card).reason is Reject.ALREADY_ENTERED


@pytest.mark.parametrize(
    "mode", [Mode.FARE_FREE, Mode.TRAIN_FAULT, Mode.ORDER_FREE], ids=lambda mode: mode.value
)
def test_where_the_trip_or_its_fare_does_not_matter_nothing_is_charged_for_it(mode):
    line, card = Line(CHARGE), inside_since(FIRST, NEAR)
    gate = line.gate(Direction.ENTRY, FAR)
    gate.modes = {mode}
    outcome = passed(gate, card)
    assert (outcome.verdict, outcome.charged) == (Verdict.PASS, 0)
    assert logs(card) == [EP_ENTRY]


@pytest.mark.parametrize("point", CutPoint, ids=lambda point: point.name)
@pytest.mark.parametrize("at", [DEBIT + 1, DEBIT + 5], ids=["closing", "entering"])
def test_a_lost_answer_never_charges_the_old_trip_twice(at, point):
    line, card = Line(CHARGE), inside_since(FIRST, NEAR)
    gate = line.gate(Direction.ENTRY, FAR)
    link = Cutting(InProcess(card), at, point, card.power_off)
    assert gate.pass_(link).verdict is Verdict.TAP_AGAIN
    assert passed(gate, card).verdict is Verdict.PASS
    assert purse_in(card.image).actual == 90_000 - 300
    assert logs(card) == [EP_ENTRY, EP_ADJUST]
    taken = [record for record in line.records() if record.mark == Mark.TAKEN]
    assert [(record.trip, record.amount) for record in taken] == [(EP_ADJUST, 300), (EP_ENTRY, 0)]


def test_a_card_that_closed_its_last_trip_tells_what_it_paid():
    line = Line(CHARGE)
    card = new_card(
        with_trip(open_trip(FIRST, NEAR)),
        balance=5000,
        offline_seq=0xFFFE,
    )
    outcome = passed(line.gate(Direction.ENTRY, FAR), card)
    assert (outcome.verdict, outcome.reason) == (Verdict.REJECT, Reject.CARD_REFUSED)
    assert outcome.charged == outcome.missed.amount == 5000 - purse_in(card.image).actual == 300


# What is in the purse (protocol reference 4.12, 6.10)


@pytest.mark.parametrize("direction", Direction, ids=lambda direction: direction.value)
@pytest.mark.parametrize(
    ("balance", "reason"), [(100_000, None), (100_001, Reject.BALANCE_IMPLAUSIBLE)]
)
def test_a_purse_is_implausible_by_its_money_and_not_by_its_overdraft_limit(
    direction, balance, reason
):
    line = Line()
    change = with_trip(open_trip(FIRST, NEAR)) if direction is Direction.EXIT else None
    card = new_card(change, balance=balance, ceiling=200_000, overdraft_limit=500_000)
    assert passed(line.gate(direction, FAR), card).reason is reason


def test_time_free_is_free_of_the_three_yuan_alone():
    line = Line(Policy(overtime_at="gate"))
    card = inside_since(FIRST, NEAR)
    line.now += FOUR_HOURS + SECOND
    way_out = line.gate(Direction.EXIT, FAR)
    way_out.modes = {Mode.TIME_FREE}
    assert passed(way_out, card).fare == 500
    assert line.total() == MonthTotal(202509, 500)

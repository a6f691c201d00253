"""The last day of a card at a gate: the rows of domain facts 1.4 that a gate decides."""

from datetime import date, datetime, timedelta

import pytest

from apdu.bcd import Moment
from reader.gate import Direction, Gate, GateConfig, Reject
from reader.trips import entered
from tests.gates import AWAY, FARE, HOME, NETWORK, OUTSIDE, PLACE, WHITE_LIST, Case, passed, psam

LAST_DAY = date(2025, 9, 30)
SECOND = timedelta(seconds=1)
MIDNIGHT = datetime(2025, 10, 1)


def tap(direction: Direction, at: datetime, trip=OUTSIDE):
    """What a gate whose clock says so makes of a card that is valid to 30 September."""
    made = Case(direction, trip, profile={"end_date": LAST_DAY})
    station = HOME if direction is Direction.ENTRY else AWAY
    config = GateConfig(NETWORK, station, direction, WHITE_LIST, max_fare=900)
    return passed(Gate(config, psam(), lambda: at), made.card())


def inside_since(at: datetime):
    return entered(PLACE, 0x101, 5000, Moment.of(at))


@pytest.mark.rule("R26")
@pytest.mark.parametrize(
    ("at", "reason"),
    [
        (datetime(2025, 9, 30, 0, 0, 0), None),
        (datetime(2025, 9, 30, 23, 59, 59, 999_000), None),
        (datetime(2025, 10, 1, 0, 0, 0), Reject.EXPIRED),
        (datetime(2026, 1, 10, 12), Reject.EXPIRED),
    ],
)
def test_a_card_lets_in_to_the_last_second_of_30_september(at, reason):
    assert tap(Direction.ENTRY, at).reason is reason


@pytest.mark.rule("R26")
def test_who_entered_before_midnight_leaves_after_it():
    trip = inside_since(datetime(2025, 9, 30, 23, 50))
    outcome = tap(Direction.EXIT, datetime(2025, 10, 1, 0, 20), trip)
    assert (outcome.reason, outcome.fare) == (None, FARE)


@pytest.mark.rule("R26")
def test_who_entered_on_1_october_does_not_leave():
    trip = inside_since(MIDNIGHT)
    assert tap(Direction.EXIT, MIDNIGHT + timedelta(minutes=20), trip).reason is Reject.EXPIRED


@pytest.mark.rule("R26")
@pytest.mark.parametrize("minutes", [1, 10, 59])
def test_a_wrong_clock_near_midnight_refuses_or_accepts_wrongly(minutes):
    wrong = timedelta(minutes=minutes)
    assert tap(Direction.ENTRY, MIDNIGHT - SECOND + wrong).reason is Reject.EXPIRED
    assert tap(Direction.ENTRY, MIDNIGHT + SECOND - wrong).reason is None

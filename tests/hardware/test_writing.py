"""What a gate and a top-up machine do to a test card with the test keys. Charges it."""

from datetime import date, datetime, time

import pytest

import fixtures
from apdu.bcd import Moment
from apdu.files import PublicInfo
from bench.scenario import (
    ENTRY_STATION,
    ENTRY_TERMINAL,
    EXIT_STATION,
    EXIT_TERMINAL,
    LOAD_TERMINAL,
    make_gate,
)
from issuer.loads import SoftLoadHost
from issuer.tac import tac_is_right
from reader.gate import Direction, Outcome, Reject, Verdict
from reader.loading import load
from reader.session import run
from reader.transactions import balance, select_purse
from tests.hardware.guard import Guard

TOP_UP = 1000


def valid_moment(info: PublicInfo) -> datetime:
    """Noon today, or on the nearest day on which the card is valid."""
    first, last = (date.fromisoformat(packed.hex()) for packed in (info.start_date, info.end_date))
    return datetime.combine(min(max(date.today(), first), last), time(12))


def passage(card: Guard, direction: Direction, seq: int) -> Outcome:
    is_entry = direction is Direction.ENTRY
    place = (ENTRY_STATION, ENTRY_TERMINAL) if is_entry else (EXIT_STATION, EXIT_TERMINAL)
    return make_gate(direction, *place, valid_moment(card.info), seq).pass_(card)


def money(card: Guard) -> int:
    run(select_purse(), {"card": card})
    return run(balance(), {"card": card})


@pytest.fixture
def outside(writable: Guard) -> Guard:
    """A card that has no open trip, and money."""
    if money(writable) < TOP_UP:
        top_up(writable)
    outcome = passage(writable, Direction.EXIT, 1)
    assert outcome.verdict is Verdict.PASS or outcome.reason is Reject.NOT_ENTERED
    return writable


def top_up(card: Guard) -> None:
    roots = fixtures.load_roots()
    host = SoftLoadHost(roots["LMK"], roots["TMK"])
    info = run(select_purse(), {"card": card})
    at = Moment.of(valid_moment(info))
    run(load(info, TOP_UP, host, LOAD_TERMINAL, at), {"card": card})


def test_a_top_up_adds_its_amount(writable: Guard) -> None:
    before = money(writable)
    top_up(writable)
    assert money(writable) == before + TOP_UP


def test_entry_and_exit_charge_the_fare_with_right_tacs(outside: Guard) -> None:
    before = money(outside)
    entered = passage(outside, Direction.ENTRY, 2)
    assert entered.verdict is Verdict.PASS, entered
    left = passage(outside, Direction.EXIT, 3)
    assert left.verdict is Verdict.PASS, left
    assert money(outside) == before - left.fare
    for outcome in (entered, left):
        assert outcome.receipt is not None
        assert tac_is_right(outcome.receipt, fixtures.load_roots()["TMK"])


def test_a_second_entry_is_rejected_and_charges_nothing(outside: Guard) -> None:
    assert passage(outside, Direction.ENTRY, 4).verdict is Verdict.PASS
    before = money(outside)
    assert passage(outside, Direction.ENTRY, 5).reason is Reject.ALREADY_ENTERED
    assert money(outside) == before

"""Time of the office: the zone counts on the way in, and Shanghai's day is the day."""

from datetime import UTC, date, datetime

import pytest

from issuer import clearing
from issuer.moments import SHANGHAI, day_of, moment_of, seconds_of

MIDNIGHT = datetime(2025, 10, 1, tzinfo=SHANGHAI)


def test_a_moment_comes_back_whatever_zone_it_was_told_in():
    told = MIDNIGHT.astimezone(UTC)
    assert told.date() == date(2025, 9, 30)
    assert moment_of(seconds_of(told)) == MIDNIGHT
    assert day_of(told) == date(2025, 10, 1)


def test_the_last_instant_of_a_day_belongs_to_it():
    last = datetime(2025, 9, 30, 23, 59, 59, 999_999, tzinfo=SHANGHAI)
    assert day_of(last) == date(2025, 9, 30)
    assert seconds_of(MIDNIGHT) - seconds_of(last) == 1


def test_seconds_are_those_of_clearing():
    assert seconds_of(MIDNIGHT) == clearing.seconds_of(MIDNIGHT.replace(tzinfo=None))


def test_a_time_without_its_zone_is_refused():
    with pytest.raises(ValueError, match="with its zone"):
        seconds_of(datetime(2025, 10, 1))

"""Three ways for time to pass on the air."""

import time

import pytest

from emulator.radio.clock import Unpaced, VirtualClock, WallClock


def test_virtual_time_passes_by_being_waited_for():
    clock = VirtualClock()
    assert clock.is_timed
    assert clock.now_ns() == clock.now_ns() == 0
    clock.wait_until(10**15)
    assert clock.now_ns() == 10**15


@pytest.mark.parametrize("clock_type", [VirtualClock, WallClock, Unpaced])
def test_no_clock_goes_back(clock_type: type):
    clock = clock_type()
    clock.wait_until(1000)
    before = clock.now_ns()
    clock.wait_until(0)
    clock.wait_until(-5)
    assert clock.now_ns() >= before


def test_the_wall_clock_waits():
    clock = WallClock()
    before_ns = time.monotonic_ns()
    clock.wait_until(clock.now_ns() + 5_000_000)
    assert time.monotonic_ns() - before_ns >= 5_000_000
    assert clock.is_timed


def test_the_unpaced_clock_is_read_and_never_waits():
    clock = Unpaced()
    assert not clock.is_timed
    clock.wait_until(10**18)  # thirty years
    assert 0 <= clock.now_ns() < 10**18
    earlier = clock.now_ns()
    assert clock.now_ns() >= earlier


def test_a_clock_begins_at_its_making():
    assert 0 <= WallClock().now_ns() < 10**10

"""Runs of crowds for tests: short, and all that matters said."""

from dataclasses import replace

from bench.throughput.crowd.arrivals import Saturated
from bench.throughput.crowd.gate import GateRun
from bench.throughput.crowd.people import Habits, Pace, read_cards, read_carriers
from bench.throughput.crowd.taps import Gear
from bench.throughput.crowd.terminals import Post
from fixtures.timing import load_timing
from reader.policy import Policy

MIXED = (
    "student:50=70,student-low-balance=10,student-blacklisted=5,student-expired=5,"
    "student-blocked=5,student-open-trip=5"
)
CARRIERS = "plastic=5,huawei-ese=3,android-hce=2"

STEADY = Pace(spread=0)
"""Everybody walks alike."""


def gear(*, barrier="normally_closed", timing="measured", seed=1, **more) -> Gear:
    times = None if timing == "none" else load_timing(timing)
    return Gear(times, policy=replace(Policy(), barrier=barrier), seed=seed, **more)


def habits(cards="student:50", carriers="plastic", early=0.0) -> Habits:
    return Habits(read_cards(cards), read_carriers(carriers), early)


def gate_run(persons=40, *, direction="entry", who=None, arrivals=None, **more) -> GateRun:
    """A gate. more: fields of GateRun, or of the gear."""
    of_run = {name: more.pop(name) for name in list(more) if name in GateRun.__dataclass_fields__}
    made = gear(**more)
    come = Saturated(persons) if arrivals is None else arrivals
    return GateRun(Post(direction), made, come, who or habits(), **of_run)

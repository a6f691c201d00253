"""A station under a crowd: queues, failures, an emergency."""

from collections import Counter
from dataclasses import replace
from datetime import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bench.problem import Problem
from bench.throughput.crowd.hall import KINDS, kinds_of
from bench.throughput.crowd.runs import StationResults
from bench.throughput.crowd.station import Emergency, Outage, StationRun, arrivals, simulate_station
from bench.throughput.crowd.station_result import gate_rows, measures, station_parts
from fixtures.crowds import Crowd, Step
from reader.fare import UnknownStation
from reader.modes import Mode
from tests.crowds import CARRIERS, MIXED, gear, habits


def crowd(*steps: Step, station="Xidan", minutes=3, gates=None) -> Crowd:
    weights = gates or {"entry": 1, "exit": 1, "both": 0}
    known = steps or (Step(0, 30, 40),)
    mixes = "student:50", "plastic"
    return Crowd(
        "test", "Test", "ASSUMED", station, time(8), minutes, *mixes, 0, known, weights
    )  # fmt: skip


def station(*steps: Step, gates=4, who=None, model=False, **more) -> StationRun:
    of_run = {name: more.pop(name) for name in list(more) if name in StationRun.__slots__}
    made = gear(seed=more.pop("seed", 1), barrier=more.pop("barrier", "normally_closed"))
    return StationRun(
        crowd(*steps, **more), made, who or habits(), gates, is_model=model, samples=5, **of_run
    )


def is_conserved(result) -> bool:
    whole = result.tally
    halls = Counter()
    for hall in result.halls:
        own = hall.tally
        if own.arrived != own.passed + own.refused + hall.still:
            return False
        halls["passed"] += own.passed
        halls["arrived"] += own.arrived
        if own.passed != sum(place.tally.passed for place in hall.places):
            return False
    told = whole.arrived, whole.passed
    return told == (halls["arrived"], halls["passed"]) and (
        whole.arrived == whole.passed + whole.refused + result.still
    )


WHENS = st.tuples(st.floats(0, 3), st.floats(0.1, 2))


@given(
    st.integers(1, 4),
    st.lists(st.tuples(st.integers(1, 4), WHENS), max_size=3),
    st.none() | WHENS,
    st.booleans(),
    st.integers(0, 5),
)
@settings(max_examples=15, deadline=None)
def test_nobody_is_lost_whatever_happens(gates, outages, emergency, model, seed):
    run = station(
        gates=gates,
        lines=("Line 1",),
        who=habits(MIXED, CARRIERS, early=0.1),
        outages=tuple(Outage(min(gate, gates), *when) for gate, when in outages),
        emergency=None if emergency is None else Emergency(*emergency),
        model=model,
        seed=seed,
    )
    result = simulate_station(run)
    assert is_conserved(result)
    assert result.took_ns == 180 * 10**9
    for hall in result.halls:
        for place in hall.places:
            assert 0 <= place.aisle.down_ns <= result.took_ns


def test_the_same_seed_gives_the_same_station():
    first, again = (
        simulate_station(station(who=habits(MIXED, CARRIERS), seed=3)) for _ in range(2)
    )
    assert gate_rows(first) == gate_rows(again)
    assert first.tally.field_ns == again.tally.field_ns
    other = simulate_station(station(who=habits(MIXED, CARRIERS), seed=4))
    assert other.tally.passes_ns != first.tally.passes_ns


def test_a_station_has_the_gates_of_every_line_that_stops_there():
    result = simulate_station(station(minutes=1))
    assert [hall.line for hall in result.halls] == ["Line 1", "Line 4"]
    assert [p.number for hall in result.halls for p in hall.places] == list(range(1, 9))
    one = simulate_station(station(minutes=1, lines=("4号线",)))
    assert [hall.line for hall in one.halls] == ["Line 4"]


def test_people_queue_where_fewest_stand():
    result = simulate_station(station(Step(0, 0, 150), gates=4, lines=("Line 1",)))
    out = [p for p in result.halls[0].places if p.kind == "exit"]
    assert all(place.tally.passed for place in out)
    assert abs(out[0].aisle.people - out[1].aisle.people) <= 1
    assert max(p.aisle.length.longest for p in out) > 10


def test_the_queue_of_a_gate_that_fails_goes_over_to_the_others_and_comes_back():
    busy = station(Step(0, 0, 200), gates=4, lines=("Line 1",), minutes=6)
    failing = replace(busy, outages=(Outage(3, 2.0, 2.0),))
    result = simulate_station(failing)
    down, other = (p for p in result.halls[0].places if p.kind == "exit")
    assert down.number == 3
    assert down.aisle.down_ns == 120 * 10**9

    def people(place, at_min):
        return next(n for at, n in reversed(place.aisle.length.points) if at <= at_min * 60e9)

    assert people(down, 1.9) > 5
    # Whoever taps when it fails still may; nobody else stays.
    assert people(down, 2.1) <= 1
    assert people(down, 3.9) == 0
    assert people(other, 2.1) > people(other, 1.9) + 5
    assert abs(people(down, 4.05) - people(other, 4.05)) <= 2
    # Nobody walks through a gate that is down.
    assert not [at for at in down.tally.passes_ns if 125e9 < at < 240e9]
    assert is_conserved(result)


def test_a_gate_that_fails_again_while_it_is_down_is_down_until_both_are_over():
    twice = Outage(1, 0.5, 1.0), Outage(1, 1.0, 1.5), Outage(2, 0.2, 0.1)
    result = simulate_station(station(outages=twice, lines=("Line 1",)))
    first, second = (place.aisle for place in result.halls[0].places[:2])
    assert (first.down_ns, second.down_ns) == (2 * 60 * 10**9, 6 * 10**9)


def test_a_gate_is_busy_with_whom_it_serves_at_the_end():
    result = simulate_station(station(Step(0, 200, 0), gates=2, lines=("Line 1",)))
    aisle = result.halls[0].places[0].aisle
    assert aisle.serving is not None
    idle_ns = aisle.length.points[1][0]  # until the first one came
    assert aisle.busy_ns == result.took_ns - idle_ns


def test_where_every_gate_has_failed_people_wait():
    run = station(Step(0, 0, 30), gates=1, lines=("Line 1",), outages=(Outage(1, 0.5, 1.0),))
    result = simulate_station(run)
    assert is_conserved(result)
    assert result.tally.waiting.longest > 10
    assert [at for at in result.tally.passes_ns if at > 95e9]


def test_in_an_emergency_who_is_inside_leaves_and_nobody_taps():
    run = station(Step(0, 30, 30), emergency=Emergency(0.0, 3.0), lines=("Line 1",))
    result = simulate_station(run)
    tally = result.tally
    assert tally.taps == 0
    assert tally.released == tally.passed > 60
    assert set(tally.rejected) == {"emergency release, do not enter"}
    assert is_conserved(result)
    # All barriers are open, so people leave through gates for the way in too.
    assert any(place.kind == "entry" and place.tally.passed for place in result.halls[0].places)


def test_after_an_emergency_gates_work_as_before():
    run = station(Step(0, 40, 40), emergency=Emergency(1.0, 1.0), lines=("Line 1",))
    result = simulate_station(run)
    tally = result.tally
    assert 0 < tally.released < tally.passed
    assert tally.taps > 60
    for place in result.halls[0].places:
        assert place.aisle.modes == frozenset()
        assert place.aisle.barrier.position().hold.value == "none"
        for reader in place.aisle.readers.values():
            assert reader.terminal.is_serving


def test_an_outage_within_an_emergency_outlasts_it():
    run = station(
        Step(0, 40, 40),
        emergency=Emergency(0.5, 1.0),
        outages=(Outage(1, 1.0, 5 / 3),),
        lines=("Line 1",),
    )
    result = simulate_station(run)
    place = result.halls[0].places[0]
    assert place.aisle.down_ns == pytest.approx((1 + 5 / 3 - 1.5) * 60e9, abs=1)
    assert place.aisle.modes == frozenset()
    assert Mode.EMERGENCY not in result.halls[0].places[1].aisle.modes


def test_a_gate_for_both_ways_serves_both():
    result = simulate_station(station(Step(0, 8, 8), gates=1, lines=("Line 1",), minutes=5))
    place = result.halls[0].places[0]
    assert place.kind == "both"
    assert set(place.aisle.readers) == {"entry", "exit"}
    assert result.tally.passed > 60


def test_a_model_of_a_station_agrees_with_live_taps():
    live, model = (
        simulate_station(station(who=habits(MIXED, CARRIERS), lines=("Line 1",), model=model))
        for model in (False, True)
    )
    assert model.per_minute == pytest.approx(live.per_minute, rel=0.02)


def test_a_crowd_comes_as_its_steps_say():
    run = station(Step(0, 60, 0), Step(30, 120, 10), minutes=60, scale=2.0)
    entries = list(arrivals(run, "entry", "1"))
    first = sum(at < 30 * 60e9 for at in entries)
    assert first == pytest.approx(2 * 30 * 60, rel=0.06)
    assert len(entries) - first == pytest.approx(2 * 30 * 120, rel=0.06)
    exits = list(arrivals(run, "exit", "1"))
    assert min(exits) >= 30 * 60e9
    assert entries == sorted(entries)


@given(st.integers(1, 64), st.fixed_dictionaries(dict.fromkeys(KINDS, st.integers(0, 9))))
def test_gates_are_as_many_as_wanted_and_serve_both_ways(gates, weights):
    kinds = kinds_of(gates, weights)
    assert len(kinds) == gates
    served = {way for kind in kinds for way in KINDS[kind]}
    assert served == {"entry", "exit"}


@pytest.mark.parametrize(
    ("more", "said"),
    [
        ({"gates": 0}, "the number of gates is 0"),
        ({"gates": -1}, "the number of gates is -1"),
        ({"gates": 1000}, "the number of gates is 1000"),
        ({"scale": float("nan")}, "the scale is nan"),
        ({"scale": 0.0}, "the scale is 0"),
        ({"scale": 1e9}, "the scale is 1e+09"),
        ({"lines": ("Line 2",)}, "no line 'Line 2' stops at Xidan; choose of: Line 1, Line 4"),
        ({"outages": (Outage(9, 0, 1),)}, "the number of a gate that fails is 9; expected 1 to 8"),
        ({"outages": (Outage(10**400, 0, 1),)}, "the number of a gate that fails is 1000000"),
        ({"outages": (Outage(0, 0, 1),)}, "the number of a gate that fails is 0"),
        ({"outages": (Outage(1, 99, 1),)}, "a minute at which something happens is 99"),
        ({"emergency": Emergency(1, 0)}, "how many minutes it lasts is 0"),
    ],
)
def test_nonsense_is_refused_in_one_sentence(more, said):
    with pytest.raises(Problem) as problem:
        station(**more)
    assert said in str(problem.value)


def test_an_unknown_station_is_refused():
    with pytest.raises(UnknownStation, match="has no station 'Nowhere'"):
        station(station="Nowhere")


def test_a_station_that_is_stopped_says_so():
    gone = iter(range(10))

    def stop():
        if next(gone, None) is None:
            raise KeyboardInterrupt

    result = simulate_station(station(), stop)
    assert not result.is_whole
    assert result.took_ns < 180 * 10**9
    assert 10 <= result.tally.ended <= 11


@pytest.mark.parametrize("gates", [1, 4])
def test_charts_show_every_gate(gates):
    result = simulate_station(station(gates=gates, outages=(Outage(1, 1, 1),)))
    svgs = "".join(getattr(part, "svg", "") for part in station_parts(StationResults.of([result])))
    for place in (place for hall in result.halls for place in hall.places):
        assert f"{place.number} {place.kind}" in svgs or f"gate {place.number}, " in svgs
    for words in ("time, minutes", "people", "time in the field, ms", "gate 1 out of service"):
        assert words in svgs
    assert measures([result])["persons a minute"].typical == result.per_minute

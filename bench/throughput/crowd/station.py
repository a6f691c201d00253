"""A station's gates under a crowd: halls, failures, an emergency."""

import time
from collections.abc import Callable, Generator, Iterable, Mapping
from dataclasses import dataclass, field
from random import Random
from typing import Any, NamedTuple

import simpy

from bench.problem import Problem
from bench.throughput.crowd.deck import Deck
from bench.throughput.crowd.hall import KINDS, Hall, Place, kinds_of
from bench.throughput.crowd.model import SAMPLES, ModelReader, Samples, gather
from bench.throughput.crowd.numbers import SECOND_NS, in_range
from bench.throughput.crowd.people import Habits, Pace, People
from bench.throughput.crowd.tally import Tally
from bench.throughput.crowd.taps import Gear, LiveReader, Reader
from bench.throughput.crowd.terminals import ENTRY, EXIT, Post
from bench.throughput.crowd.virtual import Virtual
from fixtures.crowds import Crowd
from fixtures.network import load_network
from reader.fare import Line, Station
from reader.modes import Mode

MOST_GATES = 64
"""Gates of one line."""

_PEOPLE_A_STREAM = 10_000_000
_MINUTE_NS = 60 * SECOND_NS

Process = Generator[simpy.Event, Any, None]


class Outage(NamedTuple):
    """A gate is out of service. gate: its number in the station, from 1. Times: minutes."""

    gate: int
    at_min: float
    lasts_min: float

    @property
    def until_min(self) -> float:
        """When it works again."""
        return self.at_min + self.lasts_min


class Emergency(NamedTuple):
    """All barriers are open. Times: minutes."""

    at_min: float
    lasts_min: float


@dataclass(frozen=True, slots=True)
class StationRun:
    """What is to be simulated.

    gates: of each line. lines: by English or Chinese name; all that stop there if empty.
    scale: how many times the crowd's people come.
    """

    crowd: Crowd
    gear: Gear
    habits: Habits
    gates: int = 8
    lines: tuple[str, ...] = ()
    pace: Pace = field(default_factory=Pace)
    scale: float = 1.0
    outages: tuple[Outage, ...] = ()
    emergency: Emergency | None = None
    is_model: bool = False
    samples: int = SAMPLES

    def __post_init__(self) -> None:
        in_range("the number of gates", self.gates, 1, MOST_GATES)
        in_range("the scale", self.scale, 0.01, 100)
        in_range("the number of samples", self.samples, 1, 10_000)
        most = self.gates * len(self.stations)
        for outage in self.outages:
            in_range("the number of a gate that fails", outage.gate, 1, most)
            self._check_when(outage.at_min, outage.lasts_min)
        if self.emergency is not None:
            self._check_when(*self.emergency)

    def _check_when(self, at_min: float, lasts_min: float) -> None:
        in_range("a minute at which something happens", at_min, 0, self.crowd.minutes)
        in_range("how many minutes it lasts", lasts_min, 0.01, self.crowd.minutes)

    @property
    def stations(self) -> tuple[tuple[Line, Station], ...]:
        """Each line with its own platform here. Raises UnknownStation, Problem."""
        network = load_network()
        name = network.station(self.crowd.station).name_en
        here = {s.line: s for s in network.stations if s.name_en == name}
        found = [(line, here[line.code]) for line in network.lines if line.code in here]
        known = {word: line.name_en for line, _ in found for word in (line.name_en, line.name_zh)}
        for wanted in self.lines:
            if wanted not in known:
                stop = ", ".join(line.name_en for line, _ in found)
                raise Problem(f"no line '{wanted}' stops at {name}; choose of: {stop}")
        chosen = {known[wanted] for wanted in self.lines}
        return tuple(pair for pair in found if not chosen or pair[0].name_en in chosen)


@dataclass(frozen=True, slots=True)
class StationResult:
    """What came of it. took_ns: simulated. is_whole: nobody stopped it."""

    run: StationRun
    halls: tuple[Hall, ...]
    tally: Tally
    took_ns: int
    cpu_s: float
    is_whole: bool

    @property
    def still(self) -> int:
        """People who are still at the gates, counted one by one."""
        return sum(hall.still for hall in self.halls)

    @property
    def ratio(self) -> float:
        """Simulated time over processor time."""
        return self.took_ns / 1e9 / self.cpu_s if self.cpu_s else 0.0

    @property
    def per_minute(self) -> float:
        """Persons through all gates."""
        return self.tally.passed * 60e9 / self.took_ns if self.took_ns else 0.0


def simulate_station(run: StationRun, tick: Callable[[], None] = lambda: None) -> StationResult:
    """Simulate a crowd. tick: called whenever somebody has gone. Ctrl-C ends it early."""
    env, whole = Virtual(), Tally()
    readers = _Readers(run)
    begin_s = time.process_time()
    halls = [_hall(env, run, whole, readers, index) for index in range(len(run.stations))]
    whole.on_end = tick
    for number, hall in enumerate(halls):
        for direction in (ENTRY, EXIT):
            env.process(_come(env, run, hall, direction, number))
    for outage in joined(run.outages):
        env.process(_fail(env, halls, outage))
    if run.emergency is not None:
        env.process(_release(env, halls, run.emergency))
    is_whole = True
    try:
        env.run(until=run.crowd.minutes * _MINUTE_NS)
    except KeyboardInterrupt:
        is_whole = False
    for hall in halls:
        for place in hall.places:
            place.aisle.finish()
    cpu_s = time.process_time() - begin_s
    return StationResult(run, tuple(halls), whole, env.now_ns, cpu_s, is_whole)


class _Readers:
    """Makes the readers of gates, live or of a model that is measured first."""

    def __init__(self, run: StationRun) -> None:
        self._run = run
        self._deck = Deck(run.gear.seed)
        self._samples: Mapping[str, Samples] = {}
        if run.is_model:
            station = run.stations[0][1].key
            self._samples = {
                way: gather(Post(way, station), run.gear, run.habits, run.pace.tries, run.samples)
                for way in (ENTRY, EXIT)
            }

    def make(self, direction: str, station: Station, number: int) -> Reader:
        post = Post(direction, station.key, number)
        if self._run.is_model:
            return ModelReader(post, self._run.gear, self._samples[direction])
        return LiveReader(post, self._run.gear, self._deck)


def _hall(env: Virtual, run: StationRun, whole: Tally, readers: _Readers, index: int) -> Hall:
    line, station = run.stations[index]
    hall = Hall(env, line.name_en, whole)
    for at, kind in enumerate(kinds_of(run.gates, run.crowd.gates)):
        number = 1 + index * run.gates + at
        # Both sides of a gate have a terminal of their own.
        ways = {
            way: readers.make(way, station, 2 * number + i) for i, way in enumerate(KINDS[kind])
        }
        hall.add(number, kind, ways, run.gear.policy, run.pace)
    return hall


def _come(env: Virtual, run: StationRun, hall: Hall, direction: str, number: int) -> Process:
    """People who come one way, at the rate of each step."""
    seed = f"{run.gear.seed} {hall.line} {direction}"
    first = 1 + _PEOPLE_A_STREAM * (2 * number + (direction == EXIT))
    people = People(run.habits, run.pace, seed, first)
    for at_ns in arrivals(run, direction, seed):
        yield env.timeout(at_ns - env.now_ns)
        hall.comes(people.next(direction, env.now_ns))


def arrivals(run: StationRun, direction: str, seed: str) -> Iterable[int]:
    """When people come, ns: Poisson, with the rate of each step. Rises."""
    chance = Random(f"arrivals {seed}")  # noqa: S311 - repeatable on purpose
    steps = run.crowd.steps
    ends = [step.at_min for step in steps[1:]] + [run.crowd.minutes]
    for step, end_min in zip(steps, ends, strict=True):
        rate = (step.entry if direction == ENTRY else step.exit) * run.scale
        at_min = float(step.at_min)
        while rate and (at_min := at_min + chance.expovariate(rate)) < end_min:
            yield round(at_min * _MINUTE_NS)


def _fail(env: Virtual, halls: list[Hall], outage: Outage) -> Process:
    hall, place = next(
        (hall, place) for hall in halls for place in hall.places if place.number == outage.gate
    )
    yield env.after(outage.at_min * 60)
    _change(hall, [place], Mode.FAULT, on=True)
    yield env.after(outage.lasts_min * 60)
    _change(hall, [place], Mode.FAULT, on=False)


def joined(outages: Iterable[Outage]) -> list[Outage]:
    """The same failures, those of one gate that overlap or touch as one; by gate and time."""
    found: list[Outage] = []
    for outage in sorted(outages):
        last = found[-1] if found else None
        if last is None or last.gate != outage.gate or outage.at_min > last.until_min:
            found.append(outage)
        else:
            until_min = max(last.until_min, outage.until_min)
            found[-1] = last._replace(lasts_min=until_min - last.at_min)
    return found


def _release(env: Virtual, halls: list[Hall], emergency: Emergency) -> Process:
    yield env.after(emergency.at_min * 60)
    for hall in halls:
        _change(hall, hall.places, Mode.EMERGENCY, on=True)
    yield env.after(emergency.lasts_min * 60)
    for hall in halls:
        _change(hall, hall.places, Mode.EMERGENCY, on=False)


def _change(hall: Hall, places: list[Place], mode: Mode, on: bool) -> None:
    """Set a mode at some gates, or take it off; they keep what else they have."""
    hall.set_modes(
        {
            place.number: place.aisle.modes | {mode} if on else place.aisle.modes - {mode}
            for place in places
        }
    )

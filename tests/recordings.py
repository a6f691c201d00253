"""Recordings of real conversations for the tests of everything that reads them."""

from collections.abc import Callable
from contextlib import suppress
from functools import cache

from apdu.event import Event, Layer, Source, Trace
from bench.recording import Recorder
from bench.rig.air import in_the_air
from bench.roads import ROADS
from bench.scenario import fresh_card, play
from emulator.radio.air import Air
from emulator.radio.faults import Fault, Script
from emulator.radio.station import Station
from fixtures.timing import load_timing
from reader.transport.base import CardLost


@cache
def scenario(road: str = "inproc", seed: int = 1) -> Trace:
    """Top-up, entry and exit over a road. Do not change it: it is shared."""
    recorder = Recorder(f"over {road}")
    with ROADS[road](fresh_card(seed), recorder) as link:
        play(link, seed, recorder=recorder)
    return recorder.trace()


def on_bad_air(*faults: Fault, slow: bool = False) -> Trace:
    """The same on an air with faults; it may end early. slow: the card takes a real one's time."""
    recorder = Recorder("bad air")
    card = fresh_card(1)
    air = Air(observer=recorder.observe, faults=Script(faults))
    recorder.keep_time(air.clock.now_ns)
    guest = Station(card, load_timing("measured").card if slow else None)
    with in_the_air(card, air, guest) as link, suppress(CardLost):
        play(link, 1, recorder=recorder)
    return recorder.trace()


def frame_number(trace: Trace, is_wanted: Callable[[Event], bool]) -> int:
    """Which frame on the air it is that is wanted, from 0, for a fault there."""
    frames = [e for e in trace.events if e.layer is Layer.RF and e.source is not Source.FIELD]
    return next(n for n, event in enumerate(frames) if is_wanted(event))


def commands_of(trace: Trace, to: str = "card") -> list[bytes]:
    """The commands recorded, as they came."""
    return [
        e.data
        for e in trace.events
        if e.layer is Layer.APDU and e.source is Source.PCD and e.to == to
    ]

"""Recordings of real conversations for the tests of everything that reads them."""

from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import timedelta
from functools import cache

import fixtures
from apdu.event import Event, Layer, Source, Trace
from bench.recording import Recorder
from bench.rig.air import AirCoupler, in_the_air
from bench.roads import ROADS
from bench.scenario import (
    ENTERED_AT,
    ENTRY_STATION,
    ENTRY_TERMINAL,
    fresh_card,
    make_gate,
    play,
)
from emulator.card.card import Card
from emulator.radio.air import Air
from emulator.radio.faults import Fault, Faults, Script
from emulator.radio.station import Service, Station
from fixtures.timing import load_timing
from reader.gate import Direction
from reader.session import run
from reader.transport.base import CardLost
from reader.transport.decorators import Exchange, Recording

STARTED = ENTERED_AT + timedelta(microseconds=123_456)
GATE = "A1"


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


@dataclass(frozen=True)
class Tap:
    """A tap on air. trace: frames, what went to the PSAM, stage and decision. said: the APDUs."""

    trace: Trace
    said: list[Exchange]


class Slow:
    """A card that computes for 45 ms, which is past the share of FWI 7 it may take silently."""

    def time_ns(self, command: bytes) -> int:
        return 45_000_000


def tap_on_air(
    fsdi: int = 8,
    cid: int | None = None,
    rate: int = 0,
    faults: Faults | None = None,
    service: Service | None = None,
    card: Card | None = None,
) -> Tap:
    """One entry tap, seen on the air and by the gate."""
    events: list[Event] = []
    said: list[Exchange] = []
    air = Air(faults=faults or Script(), observer=lambda event: events.append(event))
    air.bring(Station(card or fixtures.card("student", balance=5000), service))
    gate = make_gate(Direction.ENTRY, ENTRY_STATION, ENTRY_TERMINAL, ENTERED_AT, 1)
    coupler = AirCoupler(air, fsdi, cid, rate)
    now_ns = air.clock.now_ns
    card_link = Recording(coupler.wait_card(1.0), now_ns, "card", said)
    psam_link = Recording(gate.psam, now_ns, "psam", said)
    events.append(Event(now_ns(), Source.STAGE, Layer.GATE, name="entry"))
    outcome = run(gate.tap(), {"card": card_link, "psam": psam_link})
    decision = Event(now_ns(), Source.DECISION, Layer.GATE, name=outcome.verdict.name, note="进站")
    events.append(decision)
    coupler.close()
    for x in said:
        if x.to == "psam" and x.response is not None:
            events.append(Event(x.start_ns, Source.PCD, Layer.APDU, x.command, to="psam"))
            events.append(Event(x.end_ns, Source.PICC, Layer.APDU, x.response, to="psam"))
    events.sort(key=lambda event: event.t_ns)
    marked = [replace(event, tap=1, gate=GATE) for event in events]
    return Tap(Trace(marked, STARTED, "an entry tap"), said)


def said_to(tap: Tap, peer: str = "card") -> list[tuple[bytes, bytes | None]]:
    return [(x.command, x.response) for x in tap.said if x.to == peer]

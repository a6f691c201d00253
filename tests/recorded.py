"""Recordings for the tests of traces: one entry tap, seen on the air and by the gate."""

from dataclasses import dataclass, replace
from datetime import timedelta

import fixtures
from apdu.event import Event, Layer, Source, Trace
from bench.rig.air import AirCoupler
from bench.scenario import ENTERED_AT, ENTRY_STATION, ENTRY_TERMINAL, make_gate
from emulator.card.card import Card
from emulator.radio.air import Air
from emulator.radio.faults import Faults, Script
from emulator.radio.station import Service, Station
from reader.gate import Direction
from reader.session import run
from reader.transport.decorators import Exchange, Recording

STARTED = ENTERED_AT + timedelta(microseconds=123_456)
GATE = "A1"


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
    events: list[Event] = []
    said: list[Exchange] = []
    air = Air(faults=faults or Script(), observer=lambda event: events.append(event))
    air.bring(Station(card or fixtures.card("student", balance=5000), service))
    gate = make_gate(Direction.ENTRY, ENTRY_STATION, ENTRY_TERMINAL, ENTERED_AT, 1)
    coupler = AirCoupler(air, fsdi, cid, rate)
    now_ns = air.clock.now_ns
    card_link = Recording(coupler.wait_card(1.0), now_ns, "card", said)
    psam_link = Recording(_Answers(gate.psam.process), now_ns, "psam", said)
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


@dataclass(frozen=True)
class _Answers:
    process: object

    def transmit(self, command: bytes) -> bytes:
        return self.process(command)


def said_to(tap: Tap, peer: str = "card") -> list[tuple[bytes, bytes | None]]:
    return [(x.command, x.response) for x in tap.said if x.to == peer]

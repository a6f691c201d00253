"""What a tap takes on air, at each bit rate: simulated time, frame by frame.

The tap is the gate's entry of protocol reference 6.1 over the simulated air, with the machines
that every other road uses; only the clock is virtual. Card and PSAM take no time unless a timing
is given.
"""

from dataclasses import dataclass, replace

import fixtures
from apdu.event import Event, Source
from bench.rig.air import AirCoupler, SlowPsam
from bench.scenario import ENTERED_AT, ENTRY_STATION, ENTRY_TERMINAL, make_gate
from emulator.picc import Contactless
from emulator.radio.air import Air
from emulator.radio.clock import VirtualClock
from emulator.radio.station import Station
from emulator.radio.timing import GUARD_NS, RATES_KBIT
from fixtures.timing import Timing
from reader.gate import Direction, Verdict
from reader.session import run

FAST_TA = 0x77
"""TA of a card that offers every bit rate, each way on its own."""


@dataclass(frozen=True, slots=True)
class AirTap:
    """One entry tap in simulated time, nanoseconds.

    kbit:       the bit rate, both ways, after PPS.
    activation: from the first REQA to the last frame before the first block.
    blocks:     the APDUs, with all that card, PSAM and reader wait.
    frames:     every frame, in order.   psam: time the PSAM took, within `blocks`.
    """

    kbit: int
    activation: int
    blocks: int
    frames: tuple[Event, ...]
    psam: int

    @property
    def whole(self) -> int:
        """From the first REQA to the end of the last answer."""
        return self.activation + self.blocks

    @property
    def on_air(self) -> int:
        """Time in which something was sent."""
        return sum(frame.duration_ns for frame in self.frames)

    @property
    def taps_per_minute(self) -> float:
        """One tap after the other, the field off and on between them."""
        return 60e9 / (self.whole + GUARD_NS)

    def bytes_of(self, source: Source) -> int:
        """Bytes of one side's frames, checksums included."""
        return sum(len(frame.data) for frame in self.frames if frame.source is source)


def fast(contactless: Contactless) -> Contactless:
    """The same card, offering every bit rate in its TA."""
    ats = bytearray(contactless.ats)
    if len(ats) < 3 or not ats[1] & 0x10:
        raise ValueError(f"the ATS {contactless.ats.hex()} has no TA to change")
    ats[2] = FAST_TA
    return replace(contactless, ats=bytes(ats))


def air_tap(rate: int, timing: Timing | None = None) -> AirTap:
    """One entry tap of a student's card. rate: 0 .. 3 for 106 .. 848 kbit/s."""
    seen: list[Event] = []
    air = Air(VirtualClock(), observer=seen.append)
    card = fixtures.card("student", balance=5000)
    card.contactless = fast(card.contactless)
    air.bring(Station(card, timing.card if timing else None))
    gate = make_gate(Direction.ENTRY, ENTRY_STATION, ENTRY_TERMINAL, ENTERED_AT, 1)
    link = AirCoupler(air, rate=rate).wait_card(1.0)
    frames = [event for event in seen if event.source is not Source.FIELD]
    start_ns, active_ns = frames[0].t_ns, air.clock.now_ns()
    psam = SlowPsam(gate.psam, air, _Nothing() if timing is None else timing.psam)
    outcome = run(gate.tap(), {"card": link, "psam": psam})
    if outcome.verdict is not Verdict.PASS:
        raise AssertionError(f"the gate did not open: {outcome.reason} {outcome.detail}")
    frames = [event for event in seen if event.source is not Source.FIELD]
    end_ns = air.clock.now_ns()
    return AirTap(
        RATES_KBIT[rate], active_ns - start_ns, end_ns - active_ns, tuple(frames), psam.took_ns
    )


class _Nothing:
    """A PSAM that computes at once: the sums show the air alone."""

    def time_ns(self, command: bytes) -> int:
        return 0

"""Taps whose card is torn from the field, and what the gate makes of it, from a seed.

    python -m tests.property.torn --count 10000 --seed 1

Each trip is an entry and an exit over the simulated air with our own block machines. In each of
the two taps the card leaves: at a frame boundary, every one in turn; within a frame, at a random
bit; or at a random instant, while card or PSAM compute. It comes back after some frames, and in
some trips is torn away again, while the gate recovers. The passenger taps until the gate opens.
A cut answer may by chance end in a checksum that fits; the gate then refuses the card, and the
passenger taps again.

What holds after each trip: the gate opened once at entry and once at exit, both receipts have a
right TAC, the card counts two transactions and no third, its money is less by the fare, and the
gate has nothing unresolved.
"""

import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cache
from random import Random

import fixtures
from apdu.event import Event, Source
from apdu.files import EF1A, RailTrip
from bench.rig.air import AirCoupler, SlowPsam
from bench.scenario import (
    ENTERED_AT,
    ENTRY_STATION,
    ENTRY_TERMINAL,
    EXIT_STATION,
    EXIT_TERMINAL,
    make_gate,
)
from bench.throughput.air import fast
from emulator.card.card import Card
from emulator.card.env import SeededEnv
from emulator.card.personalise import new_image, personalise
from emulator.card.store import MemoryStore
from emulator.radio.air import UNNOTICED, Air
from emulator.radio.clock import VirtualClock
from emulator.radio.faults import Fault, FaultKind, Script
from emulator.radio.station import Station
from fixtures.timing import load_timing
from issuer.tac import tac_is_right
from reader.gate import Direction, Gate, Outcome, Reject, Verdict
from reader.months import MonthBook
from reader.session import run
from reader.transport.base import CardLost, NoCard
from tests.campaigns import run_campaign
from tests.cards import content_of

BALANCE, FARE = 5000, 400
ENTERED, EXITED = 0x01, 0x02
MOST_ATTEMPTS = 12
CUT = FaultKind.LEAVES.value
"""What the air notes on a frame in which the card left."""


@dataclass
class Result:
    """What a run saw. where: what the first tear interrupted. boundaries: (setting, frame)."""

    taps: int = 0
    torn_again: int = 0
    recovered: int = 0
    refused: int = 0
    where: Counter[str] = field(default_factory=Counter)
    attempts: Counter[int] = field(default_factory=Counter)
    boundaries: set[tuple["Setting", int]] = field(default_factory=set)


class Bench:
    """A card that can be put back, and two gates that remember."""

    def __init__(self) -> None:
        profile = fixtures.load_profile("student").with_balance(BALANCE)
        self._image = new_image(profile, fixtures.load_roots())
        self._store = MemoryStore(self._image)
        self.card = personalise(profile, fixtures.load_roots(), SeededEnv("torn"), self._store)
        self.card.contactless = fast(self.card.contactless)
        self.entry = make_gate(Direction.ENTRY, ENTRY_STATION, ENTRY_TERMINAL, ENTERED_AT, 1)
        self.exit = make_gate(Direction.EXIT, EXIT_STATION, EXIT_TERMINAL, ENTERED_AT, 1)

    def put_back(self) -> None:
        self._store.commit(self._image)
        self.card.power_off()  # the card takes up what the store has
        self.entry.walked()
        self.exit.walked()
        # The card is new to the month's accumulation too.
        self.exit.months = MonthBook(self.exit.config.network, self.exit.policy)


@dataclass(frozen=True)
class Setting:
    """How a tap is made: bit rate, frame size, CID, timing."""

    rate: int
    fsdi: int
    cid: int | None
    timing: str | None

    @classmethod
    def some(cls, rng: Random) -> "Setting":
        timing = rng.choice((None, "budget", "measured"))
        return cls(rng.randrange(4), rng.choice((0, 2, 8, 8)), rng.choice((None, 3)), timing)


@cache
def clean(setting: Setting) -> tuple[int, int]:
    """How many frames an entry tap has that goes well, and how long it takes."""
    bench, seen = Bench(), []
    tap(bench, bench.entry, setting, [], Result(), seen)
    frames = [event for event in seen if event.source is not Source.FIELD]
    return len(frames), frames[-1].t_ns


def tap(
    bench: Bench,
    gate: Gate,
    setting: Setting,
    faults: list[Fault],
    result: Result,
    seen: list[Event],
) -> Outcome:
    """Tap until the gate decides. Raises AssertionError if it never does."""
    air = Air(VirtualClock(), Script(faults), seen.append)
    timing = load_timing(setting.timing) if setting.timing else None
    air.bring(Station(bench.card, timing.card if timing else None))
    coupler = AirCoupler(air, setting.fsdi, setting.cid, setting.rate)
    psam = SlowPsam(gate.psam, air, timing.psam) if timing else gate.psam
    attempt = 0
    try:
        for attempt in range(1, MOST_ATTEMPTS + 1):
            try:
                link = coupler.wait_card(1.0)
                outcome = run(gate.tap(), {"card": link, "psam": psam})
            except (NoCard, CardLost):
                continue
            if outcome.reason is Reject.CARD_REFUSED and any(UNNOTICED in e.note for e in seen):
                result.refused += 1
                continue
            if outcome.verdict is not Verdict.TAP_AGAIN:
                result.attempts[attempt] += 1
                return outcome
        raise AssertionError("the gate never decides")
    finally:
        air.field_off()
        result.where[torn_at(seen, attempt)] += 1


def torn_at(seen: list[Event], attempt: int) -> str:
    """What the first tear interrupted, by the last command before it."""
    last = "activation"
    for event in seen:
        if event.note.startswith(CUT):
            side = "command" if event.source is Source.PCD else "answer"
            return f"{side} of {last}" if last.isupper() else last
        at = 2 if event.data[:1] and event.data[0] & 0x08 else 1
        name = NAMES.get(event.data[at : at + 2])
        if event.source is Source.PCD and name:
            last = name
    return "between frames" if attempt > 1 else "after the tap, or too short to notice"


NAMES = {
    bytes.fromhex("00A4"): "SELECT",
    bytes.fromhex("00B0"): "READ BINARY",
    bytes.fromhex("00B2"): "READ RECORD",
    bytes.fromhex("805C"): "GET BALANCE",
    bytes.fromhex("8050"): "INITIALIZE",
    bytes.fromhex("80DC"): "UPDATE CAPP DATA CACHE",
    bytes.fromhex("8054"): "DEBIT",
    bytes.fromhex("805A"): "GET TRANSACTION PROVE",
}


def some_faults(rng: Random, number: int, setting: Setting, result: Result) -> list[Fault]:
    """The tears of one tap. number: of the tap."""
    frames, duration_ns = clean(setting)
    how, back = number % 3, rng.randint(1, 12)
    frame = number // 3 % frames
    if how == 2:
        at_ns = rng.randrange(duration_ns)
        back_ns = at_ns + rng.randrange(20_000_000)
        faults = [
            Fault(FaultKind.LEAVES, at_ns=at_ns),
            Fault(FaultKind.RETURNS, at_ns=back_ns),
        ]
    else:
        if how == 0:
            result.boundaries.add((setting, frame))
        bit = 0 if how == 0 else rng.randrange(1100)
        faults = [
            Fault(FaultKind.LEAVES, frame, bit=bit),
            Fault(FaultKind.RETURNS, frame + back),
        ]
    if rng.random() < 0.4:
        again = frame + back + rng.randint(1, 2 * frames)
        faults.append(Fault(FaultKind.LEAVES, again, bit=rng.choice((0, rng.randrange(1100)))))
        faults.append(Fault(FaultKind.RETURNS, again + rng.randint(1, 12)))
        result.torn_again += 1
    return faults


def trip_state(card: Card) -> int:
    return RailTrip.parse(content_of(card.image, EF1A.sfi)[0]).state


def trip(bench: Bench, rng: Random, number: int, result: Result) -> None:
    """One entry and one exit, both torn. Raises AssertionError where a promise is broken."""
    bench.put_back()
    setting = Setting.some(rng)
    dtk = fixtures.load_roots()["TMK"]
    seq = bench.card.purse.offline_seq
    for gate, fare, state in ((bench.entry, 0, ENTERED), (bench.exit, FARE, EXITED)):
        before = bench.card.purse.actual
        faults = some_faults(rng, number, setting, result)
        outcome = tap(bench, gate, setting, faults, result, [])
        assert outcome.verdict is Verdict.PASS, f"{outcome.reason}: {outcome.detail}"
        assert outcome.receipt is not None
        assert tac_is_right(outcome.receipt, dtk)
        assert outcome.receipt.amount == fare
        seq += 1
        assert outcome.receipt.seq == bench.card.purse.offline_seq == seq, "charged twice"
        assert bench.card.purse.actual == before - fare == outcome.receipt.balance
        assert trip_state(bench.card) == state, "a free ride"
        assert not gate.unresolved
        result.recovered += outcome.receipt.recovered
        result.taps += 1
        number += 1


def campaign(count: int, seed: int, say: Callable[[str], object] | None = None) -> Result:
    """`count` torn taps or one more, from one seed. Raises AssertionError, noting the trip."""
    master, result, start = Random(seed), Result(), time.monotonic()
    bench, next_word = Bench(), count // 10
    while result.taps < count:
        one = master.getrandbits(64)
        try:
            trip(bench, Random(one), result.taps, result)
        except Exception as error:
            error.add_note(f"campaign seed {seed}, trip seed {one}, tap {result.taps}")
            raise
        if say is not None and result.taps >= next_word:
            next_word += max(count // 10, 1)
            say(f"{result.taps:>7} taps, {time.monotonic() - start:6.1f} s")
    return result


def report(result: Result) -> str:
    """The counts, in words."""
    where = "".join(f"\n{n:>9}  {place}" for place, n in result.where.most_common())
    tries = ", ".join(f"{n} at attempt {k}" for k, n in sorted(result.attempts.items()))
    settings = len({setting for setting, _ in result.boundaries})
    return (
        f"{result.taps} taps, each torn, {result.torn_again} of them again; torn at:{where}\n"
        f"the gate opened: {tries}; {result.recovered} by recovery of a lost answer\n"
        f"{result.refused} cut answers passed for whole and were refused\n"
        f"{len(result.boundaries)} frame boundaries in {settings} settings; "
        "no double charge, no free ride"
    )


if __name__ == "__main__":
    run_campaign("Torn taps over the simulated air.", 10_000, campaign, report)

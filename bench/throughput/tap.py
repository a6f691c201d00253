"""What one APDU and one whole entry tap cost on each road, and where the time goes in process.

A tap is the entry of protocol reference 6.1: 10 card APDUs and 2 of the PSAM, both ends, all
checks, outcome and receipt. Before each tap the card's memory is put back as it was, outside the
measured time.
"""

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from statistics import median, quantiles
from time import perf_counter_ns
from typing import Any

import fixtures
from apdu.codec import Record
from apdu.commands import AID_PURSE, GET_BALANCE, SAM_TABLE, SELECT, TABLE
from apdu.purse import card_key, purchase_session, spend_mac1, spend_mac2, spend_tac
from apdu.records import SelectName
from apdu.spec import CommandSpec, CommandTable
from bench.recording import Recorder
from bench.roads import ROADS, WAIT_S
from bench.scenario import ENTERED_AT, ENTRY_STATION, ENTRY_TERMINAL, make_gate
from bench.throughput.floor import udp_floor
from emulator.card.env import SeededEnv
from emulator.card.personalise import new_image, personalise
from emulator.card.store import MemoryStore
from reader.gate import Direction, Gate, Verdict
from reader.session import run
from reader.transport.base import Transport
from reader.transport.decorators import Exchange, Recording
from reader.transport.inprocess import InProcess
from reader.transport.nfc import NfcCoupler

_WARM_UP = 20


@dataclass(frozen=True, slots=True)
class Figures:
    """Microseconds. spread: the least and the greatest median of a run, to judge the noise."""

    p50: float
    p90: float
    spread: tuple[float, float]

    @classmethod
    def of(cls, runs: list[list[int]]) -> "Figures":
        """From nanoseconds of each repetition, run by run."""
        everything = [ns / 1000 for one in runs for ns in one]
        medians = [median(one) / 1000 for one in runs]
        return cls(
            median(everything), quantiles(everything, n=10)[-1], (min(medians), max(medians))
        )


@dataclass(frozen=True, slots=True)
class RoadFigures:
    """One road: a single small APDU, and a whole entry tap."""

    apdu: Figures
    tap: Figures

    @property
    def taps_per_second(self) -> float:
        """By the median."""
        return 1e6 / self.tap.p50


class Bench:
    """A card that can be put back, and its gate."""

    def __init__(self) -> None:
        self._profile = fixtures.load_profile("student").with_balance(5000)
        self._image = new_image(self._profile, fixtures.load_roots())
        self._store = MemoryStore(self._image)
        self.card = personalise(
            self._profile, fixtures.load_roots(), SeededEnv("bench"), self._store
        )
        self.gate: Gate = make_gate(Direction.ENTRY, ENTRY_STATION, ENTRY_TERMINAL, ENTERED_AT, 1)

    def put_back(self) -> None:
        """The card as issued, outside of any transaction."""
        self._store.commit(self._image)
        self.card.power_off()
        self.gate.walked()  # or the same card passes again without a transaction

    def tap(self, link: Transport) -> None:
        """One entry. Raises AssertionError if the gate does not open: the figure would be false."""
        outcome = run(self.gate.tap(), {"card": link, "psam": self.gate.psam})
        if outcome.verdict is not Verdict.PASS or outcome.receipt is None:
            raise AssertionError(f"the gate did not open: {outcome.reason} {outcome.detail}")


@contextmanager
def one_processor(wanted: bool = True) -> Iterator[int | None]:
    """Keep this thread, and the threads and services it starts, on one processor.

    Yields its number, or None where that is not wanted or not possible. On two processors most of
    a road's time is the waking of the other one, and the figures say more about the scheduler than
    about the road.
    """
    if not wanted or not hasattr(os, "sched_setaffinity"):
        yield None
        return
    before = os.sched_getaffinity(0)
    chosen = max(before)
    os.sched_setaffinity(0, {chosen})
    try:
        yield chosen
    finally:
        os.sched_setaffinity(0, before)


def measure(name: str, count: int, runs: int, tick: Callable[[], None]) -> RoadFigures:
    """Time a road. count: taps a run. tick: called after each run, for a progress bar."""
    bench = Bench()
    with ROADS[name](bench.card) as link:
        command = GET_BALANCE.command(None)
        for _ in range(_WARM_UP):
            bench.put_back()
            bench.tap(link)
        apdus, taps = [], []
        for _ in range(runs):
            apdus.append(_time(lambda: link.transmit(command), count))
            taps.append(_time(lambda: bench.tap(link), count, bench.put_back))
            tick()
    return RoadFigures(Figures.of(apdus), Figures.of(taps))


def _time(
    action: Callable[[], object], count: int, before: Callable[[], None] | None = None
) -> list[int]:
    took = []
    for _ in range(count):
        if before is not None:
            before()
        start = perf_counter_ns()
        action()
        took.append(perf_counter_ns() - start)
    return took


@dataclass(frozen=True, slots=True)
class Shares:
    """Microseconds of one tap in process: all of it, its codec work, its cryptograms."""

    tap: float
    codec: float
    crypto: float

    @property
    def rest(self) -> float:
        """Decisions, state, files, and calling."""
        return self.tap - self.codec - self.crypto


def shares(count: int) -> Shares:
    """Split a tap in process by running its codec work and its cryptograms alone, again."""
    bench = Bench()
    bench.put_back()
    seen: list[Exchange] = []
    psam = Recording(bench.gate.psam, perf_counter_ns, "psam", seen)
    card = Recording(InProcess(bench.card), perf_counter_ns, "card", seen)
    run(bench.gate.tap(), {"card": card, "psam": psam})
    codec = [work for exchange in seen for work in _codec_work(exchange)]
    link = InProcess(bench.card)
    whole = median(_time(lambda: bench.tap(link), count, bench.put_back))
    coded = median(_time(lambda: [work() for work in codec], count))
    ciphered = median(_time(_crypto_work(), count))
    return Shares(whole / 1000, coded / 1000, ciphered / 1000)


@dataclass(frozen=True, slots=True)
class RecordingCost:
    """Microseconds of one tap in process, without and with everything recorded."""

    without: float
    recorded: float

    @property
    def share(self) -> float:
        """What recording adds, as a part of the tap without."""
        return self.recorded / self.without - 1


def recording_cost(count: int) -> RecordingCost:
    """Time taps with and without a recorder in turn, so that both have the same machine.

    The recorder keeps everything, as that of a gate does; making events of it comes later and is
    not part of a tap.
    """
    bench = Bench()
    link = InProcess(bench.card)
    recorder = Recorder()
    took: tuple[list[int], list[int]] = ([], [])
    for _ in range(count):
        took[0].extend(_time(lambda: bench.tap(link), 1, bench.put_back))
        took[1].extend(_time(lambda: recorder.pass_(bench.gate, link), 1, bench.put_back))
    return RecordingCost(median(took[0]) / 1000, median(took[1]) / 1000)


@dataclass(frozen=True, slots=True)
class UdpCost:
    """Microseconds of one APDU over nfcpy's UDP air: our card, and a canned responder."""

    ours: float
    floor: float

    @property
    def ratio(self) -> float:
        """Ours against the floor (performance target T8: 1.45 at most)."""
        return self.ours / self.floor


def udp_cost(count: int) -> UdpCost:
    """Time GET BALANCE over the same nfcpy, to our card and to the floor, in turn."""
    bench = Bench()
    bench.card.process(SELECT.command(SelectName(AID_PURSE)))
    command = GET_BALANCE.command(None)
    said = bench.card.process(command)
    took: tuple[list[int], list[int]] = ([], [])
    with ROADS["udp"](bench.card) as ours, udp_floor(bench.card.contactless, said) as device:
        ours.transmit(SELECT.command(SelectName(AID_PURSE)))
        coupler = NfcCoupler(device)
        try:
            floor = coupler.wait_card(WAIT_S)
            if not ours.transmit(command) == floor.transmit(command) == said:
                raise AssertionError("card and floor answer differently: the figure would be false")
            for _ in range(count):
                took[0].extend(_time(lambda: ours.transmit(command), 1))
                took[1].extend(_time(lambda: floor.transmit(command), 1))
        finally:
            coupler.close()
    return UdpCost(median(took[0]) / 1000, median(took[1]) / 1000)


def _codec_work(exchange: Exchange) -> list[Callable[[], object]]:
    """What both ends do to one exchange's bytes: build, route, parse; build, parse."""
    table = TABLE if exchange.to == "card" else SAM_TABLE
    spec = table.route(exchange.command[:4])
    assert isinstance(spec, CommandSpec)
    assert exchange.response is not None
    call = CommandTable.shape(spec, exchange.command)
    command, data = exchange.command, exchange.response[:-2]
    work: list[Callable[[], object]] = [
        lambda: table.route(command[:4]),
        lambda: CommandTable.shape(spec, command),
        lambda: spec.parse_reply(data),
    ]
    if isinstance(call.data, Record):
        work.append(lambda: spec.command(call.data, call.p1, call.p2))
    reply: Any = spec.parse_reply(data)
    if isinstance(reply, Record):
        work.append(reply.build)
    return work


def _crypto_work() -> Callable[[], object]:
    """The cryptograms of one tap, PSAM's and card's, with static contexts reused."""
    roots = fixtures.load_roots()
    profile = fixtures.load_profile("student")
    issuer_key = roots["PMK"].diversify(profile.issuer)
    dpk = card_key(roots["PMK"], profile.issuer, profile.serial)
    dtk = card_key(roots["TMK"], profile.issuer, profile.serial)
    random, when, terminal = bytes(4), bytes(7), ENTRY_TERMINAL
    spend_tac(dtk, 0, 9, terminal, 1, when)

    def work() -> None:
        session = purchase_session(issuer_key.diversify(profile.serial[-8:]), random, 1, 1)
        spend_mac1(session, 0, 9, terminal, when)
        spend_mac2(session, 0)
        session = purchase_session(dpk, random, 1, 1)
        spend_mac1(session, 0, 9, terminal, when)
        spend_mac2(session, 0)
        spend_tac(dtk, 0, 9, terminal, 1, when)

    return work

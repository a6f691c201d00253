"""What single things cost, always against something measured in turn with it.

Codec and cryptograms of a tap, recording, our card on a road against a canned answer on the same
road. Taking turns gives both sides the same noise; a figure is the ratio of one run's medians.
"""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from statistics import median
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
from bench.scenario import ENTRY_TERMINAL
from bench.throughput.beside import Beside, beside
from bench.throughput.floor import udp_floor, vpcd_floor
from bench.throughput.histogram import Measure, Spread
from bench.throughput.repeat import timed, turns
from bench.throughput.seven import SevenTap
from bench.throughput.tap import Bench, Plan
from reader.session import run
from reader.transport.base import Transport
from reader.transport.decorators import Exchange, Recording
from reader.transport.inprocess import InProcess
from reader.transport.nfc import NfcCoupler

TURN = 10
"""Repetitions of one side before it is the other's turn."""


def in_turn(
    ours: Callable[[], object],
    floor: Callable[[], object],
    plan: Plan,
    before: Callable[[], None] | None = None,
) -> Beside:
    """Time two actions, some repetitions of one and then of the other, run by run."""
    runs: tuple[list[list[int]], list[list[int]]] = ([], [])
    for _ in range(plan.runs):
        for side in runs:
            side.append([])
        for size in turns(plan.count, TURN):
            for side, action in zip(runs, (ours, floor), strict=True):
                side[-1].extend(timed(action, size, before))
    return beside(*runs)


def shares(plan: Plan) -> dict[str, Measure]:
    """Split a tap in process by running its codec work and its cryptograms alone, in turn with it.

    Microseconds by run of `codec`, `cryptograms` and `rest`: decisions, state, files and calling.
    """
    bench = Bench()
    bench.put_back()
    seen: list[Exchange] = []
    psam = Recording(bench.gate.psam, perf_counter_ns, "psam", seen)
    card = Recording(InProcess(bench.card), perf_counter_ns, "card", seen)
    run(bench.gate.tap(), {"card": card, "psam": psam})
    codec = [work for exchange in seen for work in _codec_work(exchange)]
    link = InProcess(bench.card)
    actions: tuple[tuple[Callable[[], object], Callable[[], None] | None], ...] = (
        (lambda: bench.tap(link), bench.put_back),
        (lambda: [work() for work in codec], None),
        (_crypto_work(), None),
    )
    for action, before in actions:
        timed(action, plan.warm_up, before)
    split: list[tuple[float, float, float]] = []
    for _ in range(plan.runs):
        took: list[list[int]] = [[] for _ in actions]
        for size in turns(plan.count, TURN):
            for times, (action, before) in zip(took, actions, strict=True):
                times.extend(timed(action, size, before))
        whole, coded, ciphered = (median(times) / 1000 for times in took)
        split.append((coded, ciphered, whole - coded - ciphered))
    runs = zip(*split, strict=True)
    count = plan.runs * plan.count
    return {
        name: Measure("us", one, count=count)
        for name, one in zip(("codec", "cryptograms", "rest"), runs, strict=True)
    }


def recording_cost(plan: Plan) -> Beside:
    """Taps with a recorder against taps without.

    The recorder keeps everything, as that of a gate does; making events of it comes later and is
    not part of a tap.
    """
    bench = Bench()
    link = InProcess(bench.card)
    for _ in range(plan.warm_up):
        bench.put_back()
        bench.tap(link)

    def recorded() -> None:
        Recorder().pass_(bench.gate, link)

    return in_turn(recorded, lambda: bench.tap(link), plan, bench.put_back)


def road_cost(road: str, plan: Plan) -> Beside:
    """GET BALANCE to our card against a canned answer on the same road: `udp` or `pcsc`.

    Raises RigError, FrontendError, ReaderFault where the road is not there.
    """
    bench = Bench()
    bench.card.process(SELECT.command(SelectName(AID_PURSE)))
    command = GET_BALANCE.command(None)
    said = bench.card.process(command)
    with _PAIRS[road](bench, said) as (ours, floor):
        ours.transmit(SELECT.command(SelectName(AID_PURSE)))
        if not ours.transmit(command) == floor.transmit(command) == said:
            raise AssertionError("card and floor answer differently: the figure would be false")
        for _ in range(plan.warm_up):
            ours.transmit(command)
            floor.transmit(command)
        return in_turn(lambda: ours.transmit(command), lambda: floor.transmit(command), plan)


def seven_over_pcsc(plan: Plan) -> Measure:
    """Milliseconds of the tap of seven APDUs over PC/SC. Raises as `road_cost` does."""
    seven = SevenTap()
    with ROADS["pcsc"](seven.card) as link:
        spread = Spread()

        def act() -> None:
            for command in seven.commands:
                link.transmit(command)

        timed(act, plan.warm_up, seven.put_back)
        for _ in range(plan.runs):
            spread.add_run(timed(act, plan.count, seven.put_back))
    return spread.measure("ms")


@contextmanager
def _udp_pair(bench: Bench, said: bytes) -> Iterator[tuple[Transport, Transport]]:
    with ROADS["udp"](bench.card) as ours, udp_floor(bench.card.contactless, said) as device:
        coupler = NfcCoupler(device)
        try:
            yield ours, coupler.wait_card(WAIT_S)
        finally:
            coupler.close()


@contextmanager
def _pcsc_pair(bench: Bench, said: bytes) -> Iterator[tuple[Transport, Transport]]:
    """One pcscd with our card in its first slot and the floor in its second."""
    from bench.rig.pcscd import PrivatePcscd
    from emulator.frontends.vpcd import VpcdFrontend, contactless_atr
    from reader.transport.pcsc import PcscCoupler

    atr = contactless_atr(bench.card.contactless.historical)
    with (
        PrivatePcscd() as rig,
        rig.in_process(),
        VpcdFrontend(bench.card, rig.ports[0]).running(),
        vpcd_floor(rig.ports[1], atr, said),
        PcscCoupler(rig.reader_names[0]) as ours,
        PcscCoupler(rig.reader_names[1]) as floor,
    ):
        yield ours.wait_card(WAIT_S), floor.wait_card(WAIT_S)


_PAIRS = {"udp": _udp_pair, "pcsc": _pcsc_pair}
FLOORED: Mapping[str, str] = {"udp": "an echo responder", "pcsc": "an echo card"}
"""Roads that have a floor, and what it is."""


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

"""A card that is not ours on a reader: what its commands and taps take.

Without leave the card is only read: the commands with which a gate begins. With leave, and if its
issuer is a test one, it is tapped: entry and exit in turn, each of which writes, and the exit costs
the fare. The laboratory's guard stands between, as it does for the conformance suite.
"""

from collections.abc import Callable
from dataclasses import dataclass
from time import perf_counter_ns

from apdu.commands import GET_BALANCE
from bench.clock import now
from bench.conformance.case import NotApplicable
from bench.conformance.reader_stand import Leave, ReaderStand, reader_stand
from bench.problem import Problem
from bench.scenario import ENTRY_STATION, ENTRY_TERMINAL, EXIT_STATION, EXIT_TERMINAL, make_gate
from bench.throughput.histogram import Measure, Spread
from bench.throughput.repeat import timed
from bench.throughput.tap import Plan, Taken
from reader.gate import Direction, Gate, Verdict
from reader.session import ProtocolError, StatusError, Txn, run
from reader.transactions import balance, read_card, select_purse
from reader.transport.base import Transport, TransportError
from reader.transport.decorators import Exchange, Recording
from reader.trips import is_inside

READING = "reading"
_WAYS = {
    Direction.ENTRY: (ENTRY_STATION, ENTRY_TERMINAL),
    Direction.EXIT: (EXIT_STATION, EXIT_TERMINAL),
}


@dataclass(frozen=True, slots=True)
class ReaderFigures:
    """measures: by name. incomplete: why it ended early, empty if it did not."""

    measures: dict[str, Measure]
    incomplete: str


def measure_reader(
    via: str, plan: Plan, leave: Leave, tick: Callable[[], None] = lambda: None
) -> ReaderFigures:
    """Time the card on a reader. via: `pcsc:READER` or `nfc:DEVICE`.

    What ends the work early after a first whole run is told in `incomplete`.
    Raises Problem, TransportError.
    """
    with reader_stand(via, leave) as stand:
        taps = _Taps(stand) if leave.may_write else _Readings(stand)
        taps.begin()
        try:
            for _ in range(plan.warm_up):
                taps.one(None)
            return _measured(via, plan, taps, tick)
        except (TransportError, StatusError, ProtocolError, NotApplicable) as error:
            raise Problem(f"the card on {via} cannot be measured: {error}") from error


def _measured(via: str, plan: Plan, taps: "_Readings", tick: Callable[[], None]) -> ReaderFigures:
    apdus, incomplete, done = Spread(), "", 0
    command = GET_BALANCE.command(None)
    try:
        for _ in range(plan.runs):
            apdu = timed(lambda: taps.link.transmit(command), plan.count)
            for _ in range(plan.count):
                taps.one(taps.taken)
            apdus.add_run(apdu)
            taps.end_run()
            done += 1
            tick()
    except (TransportError, StatusError, ProtocolError, NotApplicable, Problem) as error:
        if not done:
            raise
        incomplete = f"{done} of {plan.runs} runs, then {error}"
    return ReaderFigures({f"{via} APDU": apdus.measure()} | taps.measures(via), incomplete)


class _Readings:
    """The reading half of a tap: nothing on the card changes."""

    def __init__(self, stand: ReaderStand) -> None:
        self.link: Transport = stand.link
        self.taken = Taken()
        self._whole: dict[str, Spread] = {}
        self._run: dict[str, list[int]] = {}

    def begin(self) -> None:
        """Bring the card to where the first repetition finds it."""
        run(select_purse(), {"card": self.link})

    def one(self, taken: Taken | None) -> None:
        """One repetition. taken: where its times go, nowhere if it does not count."""
        self._time(READING, _reading, taken)

    def end_run(self) -> None:
        """Count what was taken since the last."""
        self.taken.end_run()
        for name, took in self._run.items():
            self._whole.setdefault(name, Spread()).add_run(took)
        self._run = {}

    def measures(self, via: str) -> dict[str, Measure]:
        """By names that begin with the road's."""
        whole = {f"{via} {name}": one.measure("ms") for name, one in self._whole.items()}
        parts = {f"{via} part {name}": one for name, one in self.taken.parts.items()}
        return whole | parts | {f"{via} command {n}": one for n, one in self.taken.commands.items()}

    def _time(
        self,
        name: str,
        action: Callable[[dict[str, Transport]], None],
        taken: Taken | None,
        psam: Transport | None = None,
    ) -> None:
        seen: list[Exchange] = []
        links: dict[str, Transport] = {"card": Recording(self.link, perf_counter_ns, "card", seen)}
        if psam is not None:
            links["psam"] = Recording(psam, perf_counter_ns, "psam", seen)
        start = perf_counter_ns()
        action(links)
        took = perf_counter_ns() - start
        if taken is not None:
            taken.add_tap(took, seen, None)
            self._run.setdefault(name, []).append(took)


def _reading(links: dict[str, Transport]) -> None:
    def business() -> Txn[None]:
        yield from select_purse()
        yield from read_card()
        yield from balance()

    run(business(), links)


class _Taps(_Readings):
    """Entries and exits in turn."""

    def __init__(self, stand: ReaderStand) -> None:
        super().__init__(stand)
        self._gates = {
            direction: make_gate(direction, *where, now(), 1) for direction, where in _WAYS.items()
        }
        self._next = Direction.ENTRY

    def begin(self) -> None:
        """See _Readings: a card that is inside leaves first."""
        super().begin()
        view = run(read_card(), {"card": self.link})
        if is_inside(view.trip):
            self._next = Direction.EXIT

    def one(self, taken: Taken | None) -> None:
        """See _Readings."""
        direction = self._next
        gate = self._gates[direction]
        self._time(direction.value, lambda links: _pass(gate, links), taken, gate.psam)
        gate.walked()
        self._next = Direction.EXIT if direction is Direction.ENTRY else Direction.ENTRY


def _pass(gate: Gate, links: dict[str, Transport]) -> None:
    outcome = run(gate.tap(), links)
    if outcome.verdict is not Verdict.PASS:
        reason = outcome.reason.en if outcome.reason else outcome.detail
        raise Problem(f"the gate refused the card: {reason}; use a card that may ride, with money")

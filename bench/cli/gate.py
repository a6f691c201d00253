"""`tapbench gate` and `tapbench desk`: a terminal waits for cards and serves them."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, ExitStack, contextmanager, nullcontext
from dataclasses import dataclass, field
from datetime import datetime
from datetime import time as time_of_day
from pathlib import Path

import fixtures
from bench.cli.air_options import find_timing
from bench.cli.gate_show import Lines, Show, display, title_of
from bench.cli.options import parse_moment, parse_yuan
from bench.clock import SHANGHAI, now
from bench.device.build import Device, desk, device
from bench.device.couplers import LOCAL, Site, local_site, reader_of
from bench.device.settings import Settings, make_settings, read_settings
from bench.problem import Problem
from bench.recording import Recorder
from emulator.card.card import Card
from reader.blacklist import BlacklistError
from reader.journal import JournalError
from reader.lane import Lane
from reader.modes import Mode
from reader.outcome import Outcome, Verdict
from reader.session import StatusError, Txn
from reader.staff import Desk
from reader.terminal import Terminal
from reader.transport.base import NoCard, Transport
from reader.transport.decorators import Exchange

POLL_S = 2.0
"""How long one search for a card lasts, so that Ctrl-C is heard."""


MORNING = time_of_day(8)
"""When a gate with cards of its own begins its day."""


@dataclass(frozen=True, slots=True)
class RoadOptions:
    """Where cards come from.

    profiles: of cards in this process. balance: yuan on each. every_s: seconds before each.
    """

    via: str
    reader: str | None = None
    device: str = "usb"
    profiles: tuple[str, ...] = ()
    balance: str | None = None
    timing: str = "none"
    every_s: float = 0.0


@dataclass(frozen=True, slots=True)
class GateOptions:
    """What the command line says. cards: stop after so many, 0 for never. over: settings' keys."""

    road: RoadOptions
    config: Path | None = None
    over: Mapping[str, object] = field(default_factory=dict)
    cards: int = 0
    wait_s: float = 60.0
    at: str = ""
    as_json: bool = False
    display: bool = False
    trace: Path | None = None


def gate(options: GateOptions) -> int:
    """Serve cards until Ctrl-C or the count is reached. Returns 0 if the last one passed."""
    try:
        return _serve(options)
    except KeyboardInterrupt:
        return 0


def _serve(options: GateOptions) -> int:
    settings = _settings(options)
    with ExitStack() as stack:
        made = stack.enter_context(device(settings, _clock(options)))
        recorder = stack.enter_context(_recorder(options, title_of(made)))
        site = stack.enter_context(_site(options.road))
        show: Show
        if options.display:
            show = stack.enter_context(display(made))
        else:
            show = Lines(options.as_json)
            show.begin(made)
        return _Serving(made, site, options, recorder, show).run()


@dataclass(frozen=True, slots=True)
class DeskOptions:
    """An operation of a staff desk. origin: where the passenger came in; entered: when."""

    operation: str
    gate: GateOptions
    origin: str | None = None
    entered: str = ""


def staff(options: DeskOptions) -> int:
    """Put one card right. Returns 0 if it was done."""
    settings, clock = _settings(options.gate), _clock(options.gate)
    with ExitStack() as stack:
        made, operation = _at_work(options, settings, clock, stack)
        recorder = stack.enter_context(_recorder(options.gate, f"desk at {made.where}"))
        site = stack.enter_context(_site(options.gate.road))
        turn = site.recorder(recorder)
        pass_ = _passing(made, turn, lambda: operation)
        lane = Lane(pass_, site.coupler, settings.policy, now_ns=site.now_ns)
        served = lane.serve_one(options.gate.wait_s)
        if served is None:
            raise lane.no_card or NoCard("No card came.")
        Lines(options.gate.as_json).served(served, turn.exchanges)
        return 0 if served.outcome and served.outcome.verdict is Verdict.PASS else 1


def _at_work(
    options: DeskOptions, settings: Settings, clock: Callable[[], datetime], stack: ExitStack
) -> tuple[Terminal, Txn[Outcome]]:
    """Who serves the card, and how: a desk, or for `prove` the gate that has lost a debit."""
    if options.operation != "prove":
        made = stack.enter_context(desk(settings, clock))
        return made, _operation(made, options)
    if options.gate.config is None or settings.journal is None:
        raise Problem("prove needs --config, the file of the gate that refused, with its journal")
    gate = stack.enter_context(device(settings, clock)).terminal
    return gate, gate.prove()


def _operation(made: Desk, options: DeskOptions) -> Txn[Outcome]:
    if options.operation == "missing-exit":
        return made.missing_exit()
    if options.operation == "over-time":
        return made.over_time()
    if options.operation != "missing-entry":
        raise Problem(
            f"there is no operation '{options.operation}'; choose missing-entry, missing-exit,"
            " over-time or prove"
        )
    if options.origin is None:
        raise Problem("missing-entry needs --origin, the station where the passenger came in")
    entered = parse_moment(options.entered) if options.entered else None
    return made.missing_entry(made.config.network.station(options.origin), entered)


def _settings(options: GateOptions) -> Settings:
    if options.config is not None:
        return read_settings(options.config, **options.over)
    if options.over.get("direction") is None:
        raise Problem("give --direction and --station, or --config with a file that names them")
    return make_settings({}, **options.over)


def _clock(options: GateOptions) -> Callable[[], datetime]:
    if options.at:
        standing = parse_moment(options.at)
        return lambda: standing
    if options.road.via not in LOCAL:
        return now
    # What a profile says of its days is true on the profiles' day, which runs on from its morning.
    ahead = datetime.combine(fixtures.STANDING_DAY, MORNING, SHANGHAI) - now()
    return lambda: now() + ahead


def _recorder(options: GateOptions, title: str) -> AbstractContextManager[Recorder | None]:
    if options.trace is None:
        return nullcontext()
    from bench.cli.trace_files import recorded_to  # 25 ms that most gates save

    return recorded_to(options.trace, title)


@contextmanager
def _site(road: RoadOptions) -> Iterator[Site]:
    if road.via not in LOCAL:
        if road.profiles or road.every_s:
            raise Problem(
                f"--profile and --every are for cards of its own; give --via {' or '.join(LOCAL)}"
            )
        with reader_of(road.via, road.reader, road.device) as coupler:
            yield Site(coupler)
        return
    cards = [_card(name, road.balance) for name in road.profiles or ("student",)]
    timing = find_timing(road.timing)
    if timing is not None and road.via != "air":
        raise Problem("--timing is the simulated air's; give --via air")
    with local_site(road.via, cards, timing, road.every_s) as site:
        yield site


def _card(name: str, balance: str | None) -> Card:
    profile = fixtures.load_profile(name)
    fen = None if balance is None else parse_yuan(balance, profile.ceiling)
    return fixtures.card(name, balance=fen)


def _passing(
    terminal: Terminal, recorder: Recorder, business: Callable[[], Txn[Outcome]]
) -> Callable[[Transport], Outcome]:
    """What a lane does with a card, recorded."""
    return lambda card: recorder.pass_(terminal, card, business())


class _Serving:
    """A gate at work."""

    def __init__(
        self,
        made: Device,
        site: Site,
        options: GateOptions,
        recorder: Recorder | None,
        show: Show,
    ) -> None:
        self._made, self._site, self._options, self._show = made, site, options, show
        self._recorder = None if recorder is None else site.recorder(recorder)
        self._exchanges: list[Exchange] = []
        is_local = options.road.via in LOCAL
        self._count = options.cards or (len(options.road.profiles or "1") if is_local else 0)

    def run(self) -> int:
        """Until the count is reached. Returns 0 if the last card passed, 2 if the gate broke."""
        terminal, site = self._made.terminal, self._site
        lane = Lane(
            self._pass,
            site.coupler,
            terminal.policy,
            self._show.busy,
            site.now_ns,
            is_serving=lambda: terminal.is_serving,
        )
        done, code = 0, 0
        while not self._count or done < self._count:
            self._relist()
            self._show.waiting()
            self._exchanges = []  # a lane may refuse without a command
            try:
                served = lane.serve_one(self._options.wait_s if self._count else POLL_S)
            except (JournalError, StatusError) as broken:
                self._fail(broken)
                done, code = done + 1, 2
                continue
            if served is None and self._count and lane.no_card is not None:
                raise lane.no_card
            if served is None:
                continue
            self._show.served(served, self._exchanges)
            if served.outcome is not None:
                done += 1
                passed = served.outcome.verdict is Verdict.PASS
                code = 2 if code == 2 else int(not passed)
        return code

    def _fail(self, broken: Exception) -> None:
        """PSAM or journal has failed: the gate is out of order (domain facts 4.2)."""
        terminal = self._made.terminal
        terminal.modes |= {Mode.FAULT}
        if not self._show.failed(str(broken), terminal.modes):
            raise broken

    def _relist(self) -> None:
        """Take over what `tapbench lists apply` has done to the gate's copy since."""
        lists = self._made.lists
        try:
            if lists is not None and lists.reload():
                self._show.listed(lists.blacklist.version)
        except BlacklistError as error:
            self._show.said(f"{error}; version {self._made.blacklist.version} stays in force")

    def _pass(self, card: Transport) -> Outcome:
        terminal = self._made.terminal
        # Without a file to write, one recording a tap: a gate runs for days.
        turn = self._recorder or self._site.recorder()
        begin = len(turn.exchanges) if self._recorder else 0
        try:
            return _passing(terminal, turn, terminal.tap)(card)
        finally:
            self._exchanges = turn.exchanges[begin:]

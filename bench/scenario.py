"""The main job: a fresh card is topped up, enters, and exits, with every cryptogram checked.

The clock is simulated and the random numbers come from a seed, so a run is the same, byte for byte,
on every road.
"""

from dataclasses import dataclass, field
from datetime import datetime

import fixtures
from apdu.bcd import Moment
from bench.clock import SHANGHAI
from bench.recording import Recorder
from emulator.card.card import Card
from emulator.card.env import SeededEnv
from fixtures.network import load_network
from issuer.loads import SoftLoadHost
from issuer.tac import tac_is_right
from reader.gate import Direction, Gate, GateConfig, Outcome, Verdict
from reader.loading import load
from reader.psam import Psam
from reader.psam_keys import SamKeys
from reader.session import Txn, run
from reader.transactions import Receipt, balance, select_purse
from reader.transport.base import Transport
from reader.transport.decorators import Exchange

LAB_WHITE_LIST = frozenset({("09981001", "31052280")})
"""The lab-only pair of issuer and IIN: the only one our gates accept by default (Q2)."""

TOP_UP = 5000
"""50.00 yuan."""

LOAD_TERMINAL = bytes.fromhex("100000000001")
ENTRY_TERMINAL = bytes.fromhex("300089000195")
EXIT_TERMINAL = bytes.fromhex("300089000340")
BUS_TERMINAL = bytes.fromhex("100000000002")
ENTRY_STATION, EXIT_STATION = "080013", "080019"

_LOADED = datetime(2025, 9, 8, 7, 0, 0, tzinfo=SHANGHAI)
ENTERED_AT = datetime(2025, 9, 8, 7, 30, 15, tzinfo=SHANGHAI)
LEFT_AT = datetime(2025, 9, 8, 8, 1, 42, tzinfo=SHANGHAI)


def fresh_card(seed: int) -> Card:
    """A student's card as issued: empty purse, repeatable randomness."""
    return fixtures.card("student", env=SeededEnv(f"card {seed}"))


def sam_keys() -> SamKeys:
    """The project's test keys, as a gate's PSAM holds them: purchase, TAC and lock."""
    roots = fixtures.load_roots()
    return SamKeys({1: roots["PMK"]}, {1: roots["TMK"]}, roots["BMK"])


def make_gate(direction: Direction, station: str, terminal: bytes, at: datetime, seq: int) -> Gate:
    """A gate of the sample network with test keys and a standing clock."""
    network = load_network()
    config = GateConfig(network, network.station(station), direction, LAB_WHITE_LIST)
    return Gate(config, Psam(terminal, sam_keys(), seq), lambda: at)


@dataclass(frozen=True, slots=True)
class Step:
    """One exchange of the scenario. part: top-up, entry or exit."""

    part: str
    exchange: Exchange


@dataclass
class Run:
    """What happened. balances: fen before and after each part, as the card says."""

    steps: list[Step] = field(default_factory=list)
    outcomes: dict[str, Outcome] = field(default_factory=dict)
    balances: dict[str, tuple[int, int]] = field(default_factory=dict)
    tacs: dict[str, tuple[bytes, bool]] = field(default_factory=dict)
    failure: str = ""

    @property
    def is_good(self) -> bool:
        """Whether the card passed both gates, every TAC is right and no fen is missing."""
        passed = [o.verdict is Verdict.PASS for o in self.outcomes.values()]
        fare = sum(o.fare for o in self.outcomes.values())
        return (
            not self.failure
            and passed == [True, True]
            and len(self.tacs) == 3
            and all(right for _, right in self.tacs.values())
            and self.balances["top-up"][1] == TOP_UP
            and self.balances["exit"][1] == TOP_UP - fare
        )

    def transcript(self) -> list[tuple[str, str, str]]:
        """Peer, command and response of every exchange, in hexadecimal."""
        return [
            (x.to, x.command.hex().upper(), (x.response or b"").hex().upper())
            for x in (step.exchange for step in self.steps)
        ]


def _reading() -> Txn[int]:
    yield from select_purse(directory=False)
    return (yield from balance())


def play(
    card: Transport, seed: int, played: Run | None = None, recorder: Recorder | None = None
) -> Run:
    """Top-up, entry and exit over a transport.

    played:   filled as it goes, so that what was done before an error can be shown.
    recorder: records it all, the readings of the balance between the parts too.
    Raises TransportError, ProtocolError, StatusError.
    """
    played = Run() if played is None else played
    recorder = Recorder() if recorder is None else recorder
    link = recorder.link(card)
    before = _balance(link, recorder)
    for part, action in (("top-up", _top_up), ("entry", _entry), ("exit", _exit)):
        begin = len(recorder.exchanges)
        played.balances[part] = (before, before)
        try:
            receipt = action(card, recorder, seed, played)
        finally:
            played.steps += [Step(part, exchange) for exchange in recorder.exchanges[begin:]]
        after = _balance(link, recorder)
        played.balances[part] = (before, after)
        before = after
        if receipt is not None and part != "top-up":
            right = tac_is_right(receipt, fixtures.load_roots()["TMK"])
            played.tacs[part] = (receipt.tac, right)
    return played


def _balance(link: Transport, recorder: Recorder) -> int:
    recorder.stage("balance")
    return run(_reading(), {"card": link})


def _top_up(card: Transport, recorder: Recorder, seed: int, played: Run) -> Receipt:
    roots = fixtures.load_roots()
    host = SoftLoadHost(roots["LMK"], roots["TMK"])

    def loading() -> Txn[Receipt]:
        info = yield from select_purse()
        return (yield from load(info, TOP_UP, host, LOAD_TERMINAL, Moment.of(_LOADED)))

    recorder.stage("top-up", begins_tap=True)
    receipt = run(loading(), {"card": recorder.link(card)})
    played.tacs["top-up"] = (receipt.tac, True)  # the host has checked it, or raised
    return receipt


def _entry(card: Transport, recorder: Recorder, seed: int, played: Run) -> Receipt | None:
    gate = make_gate(Direction.ENTRY, ENTRY_STATION, ENTRY_TERMINAL, ENTERED_AT, 1 + seed % 9000)
    played.outcomes["entry"] = outcome = recorder.pass_(gate, card)
    return outcome.receipt


def _exit(card: Transport, recorder: Recorder, seed: int, played: Run) -> Receipt | None:
    gate = make_gate(Direction.EXIT, EXIT_STATION, EXIT_TERMINAL, LEFT_AT, 10001 + seed % 9000)
    played.outcomes["exit"] = outcome = recorder.pass_(gate, card)
    return outcome.receipt

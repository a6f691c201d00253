"""`tapbench gate`: wait for cards and pass them."""

import json
import secrets
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from time import perf_counter_ns

import fixtures
from apdu.bcd import digits
from bench.cli.options import parse_moment
from bench.clock import now
from bench.problem import Problem
from bench.recording import Recorder, outcome_words
from bench.scenario import ENTRY_TERMINAL, EXIT_TERMINAL, LAB_WHITE_LIST
from fixtures.network import load_network
from reader.gate import Direction, Gate, GateConfig, Outcome, Verdict
from reader.psam import Psam
from reader.session import ProtocolError
from reader.transport.base import CardLost, Coupler, NoCard

POLL_S = 2.0
"""How long one search for a card lasts, so that Ctrl-C is heard."""


@dataclass(frozen=True, slots=True)
class GateOptions:
    """What the command line says. cards: stop after so many, 0 for never."""

    via: str
    direction: str
    station: str
    reader: str | None
    device: str
    cards: int
    wait_s: float
    at: str
    as_json: bool
    trace: Path | None = None


def gate(options: GateOptions) -> int:
    """Pass cards until Ctrl-C or the count is reached. Returns 0 if the last one passed."""
    made = _make_gate(options)
    with _recorder(options, _title(made)) as recorder, _coupler(options) as coupler:
        if not options.as_json:
            print(f"{_title(made)}; waiting for cards.")
        try:
            return _serve(made, coupler, options, recorder)
        except KeyboardInterrupt:
            return 0


def _make_gate(options: GateOptions) -> Gate:
    try:
        direction = Direction(options.direction)
    except ValueError:
        raise Problem(
            f"there is no direction '{options.direction}'; choose entry or exit"
        ) from None
    network = load_network()
    config = GateConfig(network, network.station(options.station), direction, LAB_WHITE_LIST)
    terminal = ENTRY_TERMINAL if direction is Direction.ENTRY else EXIT_TERMINAL
    # A PSAM's numbers never repeat. This one has no memory between runs: it starts anywhere.
    psam = Psam(terminal, {1: fixtures.load_roots()["PMK"]}, 1 + secrets.randbelow(1 << 31))
    return Gate(config, psam, _clock(options.at))


def _title(made: Gate) -> str:
    return f"{made.config.direction.value} gate at {made.config.station.name_en}"


def _clock(at: str) -> Callable[[], datetime]:
    if not at:
        return now
    standing = parse_moment(at)
    return lambda: standing


def _recorder(options: GateOptions, title: str) -> AbstractContextManager[Recorder | None]:
    if options.trace is None:
        return nullcontext()
    from bench.cli.trace_files import recorded_to  # 25 ms that most gates save

    return recorded_to(options.trace, title)


@contextmanager
def _coupler(options: GateOptions) -> Iterator[Coupler]:
    coupler: Coupler
    if options.via == "pcsc":
        from reader.transport.pcsc import PcscCoupler

        coupler = PcscCoupler(options.reader)
    elif options.via == "nfc":
        from reader.transport.nfc import NfcCoupler

        coupler = NfcCoupler(options.device)
    else:
        raise Problem(f"there is no road '{options.via}' for a gate; choose one of: pcsc, nfc")
    try:
        yield coupler
    finally:
        coupler.close()


def _serve(made: Gate, coupler: Coupler, options: GateOptions, recorder: Recorder | None) -> int:
    served, code = 0, 0
    while not options.cards or served < options.cards:
        try:
            card = coupler.wait_card(options.wait_s if options.cards else POLL_S)
        except NoCard:
            if options.cards:
                raise
            continue
        start = perf_counter_ns()
        try:
            outcome = made.pass_(card) if recorder is None else recorder.pass_(made, card)
        except CardLost as lost:
            _say(options, f"nothing charged: {lost}")
            continue
        except ProtocolError as error:
            _say(options, f"card refused: {error}")
            coupler.wait_gone(POLL_S)
            continue
        served += 1
        code = 0 if outcome.verdict is Verdict.PASS else 1
        _print(options, outcome, (perf_counter_ns() - start) / 1e6)
        # A card that stays in the field is one card (protocol reference 7).
        while served != options.cards and not coupler.wait_gone(POLL_S):
            pass
    return code


def _say(options: GateOptions, text: str) -> None:
    if options.as_json:
        print(json.dumps({"error": text}, ensure_ascii=False), flush=True)
    else:
        print(text, flush=True)


def _print(options: GateOptions, outcome: Outcome, took_ms: float) -> None:
    receipt, reason = outcome.receipt, outcome.reason
    if options.as_json:
        shown = {
            "verdict": outcome.verdict.value,
            "reason": reason.name if reason else None,
            "code": reason.code if reason else None,
            "text_zh": reason.zh if reason else None,
            "text_en": reason.en if reason else None,
            "fare_fen": outcome.fare,
            "balance_fen": receipt.balance if receipt else None,
            "serial": digits(receipt.serial) if receipt else None,
            "tac": receipt.tac.hex().upper() if receipt else None,
            "recovered": receipt.recovered if receipt else False,
            "ms": round(took_ms, 3),
        }
        print(json.dumps(shown, ensure_ascii=False), flush=True)
        return
    said = "; ".join([outcome.verdict.value.upper(), *outcome_words(outcome)])
    print(f"{said}  ({took_ms:.1f} ms)", flush=True)

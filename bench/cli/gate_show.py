"""Where a gate on the command line shows its outcomes: lines, JSON, or the live display."""

import json
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from time import monotonic
from typing import TYPE_CHECKING

from apdu.bcd import digits
from bench.device.build import Device
from bench.problem import Problem
from bench.recording import outcome_words
from bench.stages import stages
from reader.barrier import Barrier
from reader.lane import Served
from reader.modes import Mode
from reader.outcome import Outcome
from reader.transport.decorators import Exchange

if TYPE_CHECKING:
    from bench.cli.panel import Panel


def title_of(made: Device) -> str:
    """Which gate it is, for people."""
    where = made.place[1]
    stage = made.terminal.stage
    return f"{stage} gate at {where}" if stage in ("entry", "exit") else f"{stage}, {where}"


class Show:
    """Where outcomes are shown: lines of text or JSON, or the display."""

    def waiting(self) -> None:
        """A card is waited for."""

    def busy(self) -> None:
        """A card is there."""

    def listed(self, version: int) -> None:
        """Another version of the blacklist is in force."""

    def said(self, text: str) -> None:
        """Something else that staff should know."""
        raise NotImplementedError

    def failed(self, text: str, modes: frozenset[Mode]) -> bool:
        """The gate is broken and serves nobody more. Returns whether it stays on to show that."""
        return False

    def served(self, served: Served, exchanges: list[Exchange]) -> None:
        """A card has had its turn. exchanges: with card and PSAM, of this turn."""
        raise NotImplementedError


class Lines(Show):
    """Lines for people, or one JSON object a line."""

    def __init__(self, as_json: bool) -> None:
        self._as_json = as_json

    def begin(self, made: Device) -> None:
        """Say which gate this is."""
        if self._as_json:
            return
        modes = ", ".join(sorted(mode.rule.en for mode in made.terminal.modes))
        kept = "" if made.journal is None else f"; {len(made.terminal.unresolved)} unresolved"
        lists = "" if made.lists is None else f"; blacklist version {made.blacklist.version}"
        modes = modes and f"; {modes}"
        print(f"{title_of(made)}; waiting for cards{kept}{lists}{modes}.", flush=True)

    def listed(self, version: int) -> None:
        """See Show."""
        if not self._as_json:
            print(f"blacklist version {version} is in force.", flush=True)

    def said(self, text: str) -> None:
        """See Show."""
        print(json.dumps({"error": text}, ensure_ascii=False) if self._as_json else text)
        sys.stdout.flush()

    def served(self, served: Served, exchanges: list[Exchange]) -> None:
        """See Show."""
        if served.outcome is None:
            self.said(served.said)
        elif self._as_json:
            print(json.dumps(_as_json(served, served.outcome, exchanges), ensure_ascii=False))
        else:
            outcome = served.outcome
            said = "; ".join([outcome.verdict.value.upper(), *outcome_words(outcome)])
            print(f"{said}  ({served.took_ms:.1f} ms)")
        sys.stdout.flush()


def _as_json(served: Served, outcome: Outcome, exchanges: list[Exchange]) -> dict[str, object]:
    receipt, reason = outcome.receipt, outcome.reason
    text_zh, text_en = outcome.text
    return {
        "verdict": outcome.verdict.value,
        "lamp": outcome.verdict.lamp.value,
        "reason": reason.name if reason else None,
        "code": reason.code if reason else None,
        "lab_code": reason.lab if reason else None,
        "text_zh": text_zh,
        "text_en": text_en,
        "detail": outcome.detail,
        "fare_fen": outcome.fare,
        "missed_fen": outcome.missed.amount if outcome.missed else 0,
        "balance_fen": receipt.balance if receipt else None,
        "serial": digits(outcome.card) if outcome.card else None,
        "tac": receipt.tac.hex().upper() if receipt else None,
        "recovered": receipt.recovered if receipt else False,
        "repeated": outcome.repeated,
        "released": outcome.released,
        "ms": round(served.took_ms, 3),
        "stages_ms": [[stage.name, round(stage.ms, 3)] for stage in stages(exchanges)],
    }


@contextmanager
def display(made: Device) -> Iterator[Show]:
    """The live display of a gate. Raises Problem if there is no terminal to draw on."""
    from rich.console import Console

    from bench.cli.panel import Panel, Title

    console = Console()
    if not console.is_terminal:
        raise Problem("--display needs a terminal; leave it out, or give --json for programs")
    terminal = made.terminal
    barrier = Barrier.of(terminal.policy, monotonic)
    barrier.follow(terminal.modes)
    shown = Title(made.name, *made.place, terminal.stage)
    panel = Panel(
        console,
        shown,
        terminal.policy,
        terminal.now,
        barrier.position,
        lambda: len(terminal.unresolved),
    )
    panel.modes(terminal.modes)
    panel.blacklist(str(made.blacklist.version))
    with panel:
        yield _Display(panel, barrier)


class _Display(Show):
    """The live display and the barrier behind it."""

    def __init__(self, panel: "Panel", barrier: Barrier) -> None:
        self._panel = panel
        self._barrier = barrier

    def waiting(self) -> None:
        """See Show."""
        self._panel.waiting()

    def busy(self) -> None:
        """See Show."""
        self._panel.busy()

    def listed(self, version: int) -> None:
        """See Show."""
        self._panel.blacklist(str(version))

    def said(self, text: str) -> None:
        """See Show."""
        self._panel.said(text)

    def failed(self, text: str, modes: frozenset[Mode]) -> bool:
        """See Show: until Ctrl-C."""
        self._barrier.follow(modes)
        self._panel.modes(modes)
        self._panel.said(text)
        return True

    def served(self, served: Served, exchanges: list[Exchange]) -> None:
        """See Show."""
        if served.outcome is None:
            self._panel.said(served.said)
            return
        self._barrier.decided(served.outcome)
        self._panel.tapped(served.outcome, exchanges, served.took_ms)

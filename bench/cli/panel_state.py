"""What a gate's display knows, as one value, and how a tap changes it.

Of a card it keeps the last four digits of its serial and nothing else; hexadecimal text that could
be a serial, a key or a cryptogram is taken out of every sentence.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from datetime import datetime
from enum import Enum
from typing import Final

from apdu.bcd import digits
from bench.stages import Stage, stages
from reader.barrier import Position
from reader.modes import Mode
from reader.outcome import Outcome, Reject, Verdict
from reader.policy import Policy
from reader.transport.decorators import Exchange

MOST_TAPS: Final = 60
"""Taps a display keeps: more than any screen has rows for."""
SERIAL_SHOWN: Final = 4
_LONG_HEX: Final = re.compile(r"(?<![0-9A-Fa-f])[0-9A-Fa-f]{12,}(?![0-9A-Fa-f])")


class Phase(Enum):
    """What the passenger is to do."""

    WAITING = "waiting"
    BUSY = "busy"
    SHOWN = "shown"


class Pace(Enum):
    """Whether a tap was in time (domain facts 4.3)."""

    OK = "ok"
    SLOW = "slow"
    FAIL = "fail"

    @classmethod
    def of(cls, took_ms: float, policy: Policy) -> "Pace":
        """By the policy's limits, which are themselves in time."""
        if took_ms <= policy.latency_ok_ms:
            return cls.OK
        return cls.SLOW if took_ms <= policy.latency_limit_ms else cls.FAIL


@dataclass(frozen=True, slots=True)
class Title:
    """Which gate this is. direction: `entry`, `exit`, or for a bus `board`, `alight`."""

    gate: str
    station_zh: str
    station_en: str
    direction: str


@dataclass(frozen=True, slots=True)
class Tap:
    """One tap as people may see it. charged, missed, balance: fen; card: its last digits."""

    at: datetime
    card: str
    verdict: Verdict
    reason: Reject | None
    text: tuple[str, str]
    charged: int
    missed: int
    balance: int | None
    is_recovered: bool
    took_ms: float
    pace: Pace
    stages: tuple[Stage, ...] = ()

    @classmethod
    def of(
        cls,
        outcome: Outcome,
        exchanges: Iterable[Exchange],
        took_ms: float,
        policy: Policy,
        at: datetime,
    ) -> "Tap":
        """From what became of it. exchanges: with card and PSAM, in the order they ended."""
        receipt, missed = outcome.receipt, outcome.missed
        return cls(
            at,
            _last_digits(outcome),
            outcome.verdict,
            outcome.reason,
            outcome.text,
            outcome.charged,
            missed.amount if missed else 0,
            receipt.balance if receipt else None,
            bool(receipt and receipt.recovered),
            took_ms,
            Pace.of(took_ms, policy),
            tuple(stages(exchanges)),
        )


@dataclass(frozen=True, slots=True)
class Counts:
    """Taps so far. refused: by reason, in the order of decisions."""

    passed: int = 0
    again: int = 0
    refused: tuple[tuple[Reject, int], ...] = ()

    def and_(self, outcome: Outcome) -> "Counts":
        """With one tap more."""
        if outcome.verdict is Verdict.PASS:
            return replace(self, passed=self.passed + 1)
        if outcome.verdict is Verdict.TAP_AGAIN or outcome.reason is None:
            return replace(self, again=self.again + 1)
        known = dict(self.refused)
        known[outcome.reason] = known.get(outcome.reason, 0) + 1
        ordered = sorted(known.items(), key=lambda counted: counted[0].code)
        return replace(self, refused=tuple(ordered))


@dataclass(frozen=True, slots=True)
class PanelState:
    """Everything on the display.

    blacklist:  the version in force, in words.
    taps:       the newest first.
    said:       one sentence for the tester.
    unresolved: debits of which the gate does not know whether they were taken.
    """

    title: Title
    policy: Policy
    now: datetime
    blacklist: str = ""
    modes: tuple[Mode, ...] = ()
    phase: Phase = Phase.WAITING
    barrier: Position | None = None
    counts: Counts = field(default_factory=Counts)
    taps: tuple[Tap, ...] = ()
    said: str = ""
    unresolved: int = 0

    def tapped(
        self, outcome: Outcome, exchanges: Iterable[Exchange], took_ms: float
    ) -> "PanelState":
        """After a tap."""
        tap = Tap.of(outcome, exchanges, took_ms, self.policy, self.now)
        return replace(
            self,
            phase=Phase.SHOWN,
            taps=(tap, *self.taps)[:MOST_TAPS],
            counts=self.counts.and_(outcome),
            said=masked(outcome.detail),
        )


def masked(text: str) -> str:
    """A sentence on one line without long hexadecimal numbers.

    >>> masked("card 03105228009900000017 refused 9302")
    'card … refused 9302'
    """
    return " ".join(_LONG_HEX.sub("…", text).split())


def _last_digits(outcome: Outcome) -> str:
    """The end of the serial of whose card it was; empty if nobody's."""
    return "" if outcome.card is None else digits(outcome.card)[-SERIAL_SHOWN:]

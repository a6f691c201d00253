"""Outcomes of taps without a tap, for tests of what comes after one."""

from dataclasses import replace
from typing import Any

from apdu.bcd import Moment
from reader.outcome import Outcome, Reject, Verdict
from reader.transactions import Receipt
from tests.gates import NOW, SERIAL, TERMINAL

RECEIPT = Receipt(
    serial=SERIAL,
    issuer=bytes.fromhex("0998100100000000"),
    seq=0x101,
    amount=300,
    balance=4700,
    kind=9,
    terminal=TERMINAL,
    terminal_seq=1,
    when=Moment.of(NOW),
    tac=bytes.fromhex("DEADBEEF"),
)


def receipt(**changes: Any) -> Receipt:
    return replace(RECEIPT, **changes)


def passed(card: bytes | None = SERIAL, **changes: Any) -> Outcome:
    """card: whose tap it was; None for an outcome that does not say."""
    return Outcome(Verdict.PASS, receipt=card and receipt(serial=card), **changes)


def repeated(card: bytes | None = SERIAL) -> Outcome:
    return passed(card, repeated=True)


def refused(reason: Reject, **changes: Any) -> Outcome:
    return Outcome(Verdict.REJECT, reason, **changes)


def again(**changes: Any) -> Outcome:
    return Outcome(Verdict.TAP_AGAIN, **changes)

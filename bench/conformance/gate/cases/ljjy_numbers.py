"""Interrupted: card numbers that two gates have used."""

from apdu.commands import DEBIT
from bench.conformance.gate.cases.ljjy import BEFORE, CUT, WAYS, begin, numbers_differ
from bench.conformance.gate.lab import GateLab
from bench.conformance.gate.post import entry, exit_
from bench.conformance.registry import case
from reader.outcome import Reject

G = "LJJY"


@case(
    G,
    "A number that another gate used is no proof, and keeps nobody out",
    "序号已被其他闸机用掉的扣款视为未成功，不影响以后通行",
    "6.8",
    "5.5",
    grade="D",
    needs=CUT,
)
def other_gates_debit_is_no_proof(lab: GateLab) -> None:
    before = begin(lab, WAYS[1])
    lab.cut_at(DEBIT, BEFORE)
    lab.taps_again(lab.tap(exit_()))
    lab.wait(seconds=20)
    lab.passes(lab.tap(exit_(vehicle="GATE0002")))
    lab.wait(seconds=20)
    lab.refuses(lab.tap(exit_()), Reject.NOT_ENTERED)
    lab.paid(before, 400)
    lab.wait(minutes=30)
    lab.passes(lab.ride(entry(), exit_()))
    lab.paid(before, 800)
    numbers_differ(lab)

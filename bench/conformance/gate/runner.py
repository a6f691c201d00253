"""Playing cases at a gate, one result each."""

from collections.abc import Callable
from time import perf_counter_ns

from bench.conformance.case import Case, Verdict
from bench.conformance.gate.lab import GateLab
from bench.conformance.gate.stand import GateStand
from bench.conformance.runner import Interrupted, Result, Violation, judged, missing
from bench.conformance.words import Words
from reader.transport.base import CardLost, TransportError

_LOST = Words("a gate that ends its tap with a verdict", "闸机以结论结束刷卡")


def run_gate_case(
    case: Case, stand: GateStand, now_ns: Callable[[], int] = perf_counter_ns
) -> Result:
    """Play one case. Raises Interrupted when there is no gate any more."""
    need = missing(case, stand)
    if need is not None:
        return Result(case, Verdict.SKIPPED, why=need.words)
    try:
        stand.place(case.setup)
    except TransportError as error:
        raise Interrupted(str(error)) from error

    def lost(error: CardLost) -> Violation:
        return Violation(_LOST, str(error), case.clauses[0])

    return judged(case, GateLab(stand, now_ns), lost, now_ns)

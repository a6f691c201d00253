"""The gate suite at several places, one run each, as `bench.conformance.playing` for cards."""

from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from functools import partial
from time import perf_counter_ns

from bench.conformance.case import Case, Verdict
from bench.conformance.gate.foreign import Operator, foreign_gates
from bench.conformance.gate.fronts import FRONTS
from bench.conformance.gate.runner import run_gate_case
from bench.conformance.gate.stand import GateStand, own_gates
from bench.conformance.lab import Said
from bench.conformance.places import names_of
from bench.conformance.playing import STOPPED, Told
from bench.conformance.report import Run
from bench.conformance.runner import Interrupted, Result
from bench.conformance.script import steps_of, text_of
from bench.problem import Problem
from bench.rig.errors import RigError
from bench.roads import FIELDS
from emulator.frontends.errors import FrontendError
from reader.transport.base import TransportError

MOST_SAID = 60
"""Exchanges of a case that a report shows: a case may be a hundred rides."""
FOREIGN = "gate:"
"""What a --via begins with for a gate that is not ours; behind it a way of `fronts.FRONTS`."""

_LOST = (Interrupted, TransportError, RigError, FrontendError)


@dataclass(frozen=True, slots=True)
class GatePlace:
    """A road or a gate. open: the stand there, when it is needed. is_ours: our own terminals."""

    name: str
    open: Callable[[], AbstractContextManager[GateStand]]
    is_ours: bool


def gate_places(
    via: str, operator: Operator, seed: int = 1, profile: str = "student"
) -> list[GatePlace]:
    """The places of a --via option: several with commas, `all` for every road to our own gates.

    Raises Problem.
    """
    return [_place(name, operator, seed, profile) for name in names_of(via)]


def _place(name: str, operator: Operator, seed: int, profile: str) -> GatePlace:
    if name in FIELDS:
        return GatePlace(name, partial(own_gates, name, profile, seed), True)
    front = name.removeprefix(FOREIGN)
    if name.startswith(FOREIGN) and front.partition(":")[0] in FRONTS:
        made = partial(foreign_gates, front, operator, profile)
        return GatePlace(name, made, False)
    raise Problem(
        f"there is no road '{name}' to a gate; choose one of: {', '.join(FIELDS)}, all,"
        f" {', '.join(FOREIGN + one for one in FRONTS)}"
    )


Begun = Callable[[str, Case], object]
"""Hears which case begins, by its id."""


def judge_gates(
    cases: Mapping[str, Case],
    place: GatePlace,
    *,
    told: Told,
    begun: Begun = lambda number, case: None,
) -> Run:
    """All cases at one place. told: hears of each result as it comes. begun: of each beginning.

    Raises Problem, ProfileError and what the road says if it cannot be opened at all.
    """
    results: dict[str, Result] = {}
    scripts: dict[str, str] = {}
    start = perf_counter_ns()
    with place.open() as stand:
        run = Run(place.name, stand.declared, len(cases), is_ours=place.is_ours)
        why = ""
        at = next(iter(cases), "the beginning")
        try:
            for at, case in cases.items():
                begun(at, case)
                result = run_gate_case(case, stand)
                results[at] = shortened(result)
                if result.verdict is Verdict.FAILED:
                    scripts[at] = text_of(at, result, steps_of(result), True)
                told(at, results[at])
        except KeyboardInterrupt:
            why = f"{STOPPED}, at {at}"
        except _LOST as error:
            why = f"{str(error).rstrip('.')}, at {at}"
    took_ns = perf_counter_ns() - start
    return replace(run, results=results, scripts=scripts, incomplete=why, took_ns=took_ns)


def shortened(result: Result) -> Result:
    """A result with the exchanges that tell something: the first, or those up to the failure."""
    said, violation = result.said, result.violation
    left_out = len(said) - MOST_SAID
    if left_out <= 0:
        return result
    note = Said(b"", None, note=f"{left_out} exchanges are left out here")
    if violation is None or violation.at is None:
        return replace(result, said=(*said[:MOST_SAID], note))
    begin = max(0, min(violation.at - MOST_SAID + MOST_SAID // 10, left_out))
    kept = said[begin : begin + MOST_SAID]
    at = violation.at - begin + 1
    return replace(result, said=(note, *kept), violation=replace(violation, at=at))

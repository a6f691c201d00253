"""The suite at several places, one run each; what stops it early is part of what it found."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from time import perf_counter_ns
from typing import Protocol

from bench.conformance.case import Case, Verdict
from bench.conformance.places import Place
from bench.conformance.report import Run
from bench.conformance.runner import Interrupted, Result, run_case
from bench.conformance.script import shrink, steps_of, text_of
from bench.conformance.stand import Stand
from bench.rig.errors import RigError
from emulator.frontends.errors import FrontendError
from reader.transport.base import TransportError

Told = Callable[[str, Result], object]

STOPPED = "it was stopped by Ctrl-C or by a signal"
_LOST = (Interrupted, TransportError, RigError, FrontendError)


class AnyPlace(Protocol):
    """Where a suite is played."""

    @property
    def name(self) -> str:
        """As --via says it."""
        ...

    @property
    def is_ours(self) -> bool:
        """Whether it is the bench's own card or gate."""
        ...


def play(cases: Mapping[str, Case], place: Place, *, is_short: bool, told: Told) -> Run:
    """All cases at one place. told: hears of each result as it comes.

    is_short: scripts of failures are shrunk where cards are made anew.
    Raises Problem, ProfileError and what the road says if it cannot be opened at all.
    """
    playing = _Playing(Run(place.name, None, len(cases), is_ours=place.is_ours), told)
    start = perf_counter_ns()
    with place.open() as stand:
        playing.run = replace(playing.run, profile=stand.declared)
        why = playing.all(cases, stand, is_short and place.is_ours)
    return replace(
        playing.run,
        results=playing.results,
        scripts=playing.scripts,
        incomplete=why,
        took_ns=perf_counter_ns() - start,
    )


@dataclass
class _Playing:
    run: Run
    told: Told
    results: dict[str, Result] = field(default_factory=dict)
    scripts: dict[str, str] = field(default_factory=dict)

    def all(self, cases: Mapping[str, Case], stand: Stand, is_short: bool) -> str:
        """Play them. Returns why it ended early, or nothing."""
        at = ""
        try:
            for at, case in cases.items():
                result = run_case(case, stand)
                self.results[at] = result
                if result.verdict is Verdict.FAILED:
                    steps = shrink(stand, result) if is_short else steps_of(result)
                    self.scripts[at] = text_of(at, result, steps, self.run.is_ours)
                self.told(at, result)
        except KeyboardInterrupt:
            return f"{STOPPED}, at {at}"
        except _LOST as error:
            return f"{str(error).rstrip('.')}, at {at}"
        return ""


def left_out(place: AnyPlace, cases: Mapping[str, Case], error: Exception) -> Run:
    """The run of a place that could not be opened."""
    why = f"{str(error).rstrip('.')}, so no case was played"
    return Run(place.name, None, len(cases), incomplete=why, is_ours=place.is_ours)

"""A recording played again: its reader against a card, or its card to a reader."""

from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import replace
from itertools import groupby
from time import perf_counter_ns
from typing import Final

from apdu.event import Trace
from apdu.sw import SW
from bench.problem import Problem
from bench.trace_formats.assembly import ApduExchange
from bench.trace_formats.layers import exchanges, frames
from bench.tracing.compare import Comparison, Difference, Step, compare_steps, steps_of
from emulator.replay import TYPICAL, ReplayPicc, shown_in
from reader.transport.base import CardLost, Transport


def recorded_card(trace: Trace) -> ReplayPicc:
    """The card of a recording, with how it introduced itself if that is there.

    Raises Problem if no answer was recorded.
    """
    answered = [
        (x.command, x.response)
        for x in exchanges(trace)
        if x.to == "card" and x.response is not None and len(x.response) >= _STATUS_WORD
    ]
    if not answered:
        raise Problem("the recording has no answers of a card to replay")
    return ReplayPicc(answered, shown_in(frames(trace)) or TYPICAL)


_STATUS_WORD: Final = 2  # bytes

_FOREIGN_MACS: Final = (
    "the recorded MACs are right for the recorded card's random numbers alone; our card refuses"
    " them unless it has the same seed"
)

Road = Callable[[], AbstractContextManager[Transport]]
"""The card in a field; entered anew, the field comes up anew."""


def replay_reader(trace: Trace, road: Road) -> Comparison:
    """Send a card what the recorded reader sent, and compare its answers with those recorded.

    The field goes off where it went off in the recording. Raises Problem if there is nothing to
    send, and what the road raises.
    """
    sessions = _sessions(trace)
    if not sessions:
        raise Problem("the recording has no commands to replay")
    differences: list[Difference] = []
    played = 0
    for steps in sessions:
        with road() as link:
            for step in steps:
                assert step.exchange is not None
                ours = replace(step, exchange=_ask(link, step.exchange))
                differences += compare_steps(step, ours)
                played += 1
    has_refused = any(d.b.startswith(f"{SW.MAC_INVALID:04X}") for d in differences)
    return Comparison((played, played), differences, [_FOREIGN_MACS] if has_refused else [])


def _ask(link: Transport, recorded: ApduExchange) -> ApduExchange:
    start_ns = perf_counter_ns()
    try:
        response: bytes | None = link.transmit(recorded.command)
    except CardLost:
        response = None
    except ValueError as error:
        size = len(recorded.command)
        raise Problem(
            f"the recording has a command of {size} bytes, which this road does not carry;"
            " replay it with --via inproc"
        ) from error
    return replace(recorded, response=response, start_ns=start_ns, end_ns=perf_counter_ns())


def _sessions(trace: Trace) -> list[list[Step]]:
    """The card's exchanges between one field and the next."""
    of_card = (s for s in steps_of(trace) if s.exchange is not None and s.exchange.to == "card")
    return [list(steps) for _, steps in groupby(of_card, key=lambda step: step.session)]

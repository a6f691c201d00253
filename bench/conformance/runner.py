"""Playing cases at a stand, one result each."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from time import perf_counter_ns
from typing import Protocol, cast

from apdu.codec import WireError
from bench.conformance.case import Broken, Case, Need, NotApplicable, Verdict
from bench.conformance.lab import Lab, Said
from bench.conformance.stand import BlankStand, Stand
from bench.conformance.words import Words
from reader.transport.base import CardLost, TransportError


@dataclass(frozen=True, slots=True)
class Violation:
    """How a requirement was broken. See `Broken`."""

    expected: Words
    came: str
    clause: str
    at: int | None = None
    where: tuple[int, int] | None = None


@dataclass(frozen=True, slots=True)
class Result:
    """What became of one case. why: of a skipped one. said: the exchanges. took_ns: the case's."""

    case: Case
    verdict: Verdict
    why: Words | None = None
    violation: Violation | None = None
    said: tuple[Said, ...] = ()
    took_ns: int = 0


class Interrupted(Exception):
    """The card or the reader is gone: the suite cannot go on. The message is one sentence."""


class Able(Protocol):
    """A stand, of cards or of gates, as far as needs go."""

    @property
    def abilities(self) -> frozenset[Need]:
        """What cases may ask for."""
        ...


class Heard(Protocol):
    """A lab, of cards or of gates, as far as results go."""

    @property
    def said(self) -> list[Said]:
        """What was said to the card."""
        ...


def missing(case: Case, stand: Able) -> Need | None:
    """The first thing a case needs that the stand does not have."""
    wanted = case.needs | ({Need.FRESH} if case.setup else frozenset())
    return next((need for need in Need if need in wanted and need not in stand.abilities), None)


def run_case(case: Case, stand: Stand, now_ns: Callable[[], int] = perf_counter_ns) -> Result:
    """Play one case. Raises Interrupted when the card or the reader is gone for good."""
    need = missing(case, stand)
    if need is not None:
        return Result(case, Verdict.SKIPPED, why=need.words)
    place(stand, case)
    lab = Lab(stand, now_ns)
    return judged(case, lab, lambda lost: _silence(case, stand, lab, lost), now_ns)


def judged(
    case: Case,
    lab: Heard,
    on_silence: Callable[[CardLost], Violation],
    now_ns: Callable[[], int] = perf_counter_ns,
) -> Result:
    """What a case says of what lies at its stand. on_silence: judges a card that is lost.

    Raises Interrupted.
    """
    start = now_ns()
    why: Words | None = None
    violation: Violation | None = None
    verdict = Verdict.PASSED
    try:
        case.body(lab)
    except NotApplicable as reason:
        verdict, why = Verdict.SKIPPED, reason.words
    except Broken as broken:
        verdict = Verdict.FAILED
        clause = broken.clause or case.clauses[0]
        violation = Violation(broken.expected, broken.came, clause, broken.at, broken.where)
    except WireError as error:
        verdict = Verdict.FAILED
        violation = _malformed(case, lab, error)
    except CardLost as lost:
        verdict = Verdict.FAILED
        violation = on_silence(lost)
    except _STRANGE as error:
        verdict = Verdict.FAILED
        violation = Violation(STRANGE, _sentence(error), case.clauses[0], _last(lab))
    except TransportError as error:
        raise Interrupted(str(error)) from error
    return Result(case, verdict, why, violation, tuple(lab.said), now_ns() - start)


def run_cases(
    cases: Iterable[Case], stand: Stand, now_ns: Callable[[], int] = perf_counter_ns
) -> Iterator[Result]:
    """Play cases in their order. Raises Interrupted; what was yielded before stands."""
    for case in cases:
        yield run_case(case, stand, now_ns)


def place(stand: Stand, case: Case) -> None:
    """Lay down the card a case needs. Raises Interrupted."""
    try:
        if Need.BLANK in case.needs:
            cast(BlankStand, stand).place_blank(case.setup)  # its abilities promise it
        else:
            stand.place(case.setup)
    except TransportError as error:
        raise Interrupted(str(error)) from error


def _malformed(case: Case, lab: Heard, error: WireError) -> Violation:
    """An answer that does not have its command's form: nobody could go on with it."""
    expected = Words(f"an answer of the declared form ({error})", f"符合声明格式的应答（{error}）")
    heard = [at for at, said in enumerate(lab.said) if said.response is not None]
    if not heard:
        raise error  # the case itself made something that cannot be sent
    came = lab.said[heard[-1]].response or b""
    return Violation(expected, came.hex().upper(), case.clauses[0], heard[-1])


def _silence(case: Case, stand: Stand, lab: Lab, lost: CardLost) -> Violation:
    """A card that does not answer but comes back has broken the case; one that left, the suite."""
    try:
        stand.reset()
    except TransportError as error:
        raise Interrupted(str(error)) from lost
    expected = Words("an answer with a status word", "带状态字的应答")
    return Violation(expected, str(lost), case.clauses[0], _last(lab))


STRANGE = Words("an answer of the declared layout, on the way", "途中的应答符合声明的格式")
"""What a case relies on without saying so: the steps that lead to what it is about."""


_STRANGE = (AssertionError, ValueError, LookupError, OverflowError)
"""What working with an answer that is too short, or has numbers no card has, may end in."""


def _last(lab: Heard) -> int | None:
    return len(lab.said) - 1 if lab.said else None


def _sentence(error: Exception) -> str:
    return " ".join(str(error).split()) or type(error).__name__

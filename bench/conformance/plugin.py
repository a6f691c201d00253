"""The suite under pytest, with cases of one's own beside it.

    pytest --pyargs bench.conformance --via pcsc:ACR
    pytest --pyargs bench.conformance test_mine.py --via pcsc:ACR
    pytest -p bench.conformance.plugin test_mine.py --via pcsc:ACR

Nothing of this is there in a run that does not ask for it: `bench.pytest_entry` imports this module
when the command line names the suite, and -p does.
"""

from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from time import perf_counter_ns
from typing import Any, NoReturn

import pytest

import bench.conformance
from bench.conformance.case import Broken, Case, Need, NotApplicable, Verdict
from bench.conformance.keys_file import load_keys
from bench.conformance.lab import Lab, Said
from bench.conformance.own import own_case
from bench.conformance.places import Place, parsed_level, places
from bench.conformance.reader_stand import Leave
from bench.conformance.runner import Interrupted, Result, Violation, run_case
from bench.conformance.script import steps_of, text_of
from bench.conformance.shown import Shown, shown
from bench.conformance.stand import Stand
from bench.conformance.suite import card_cases
from bench.conformance.wanted import wanted_cases
from bench.problem import Problem
from bench.rig.errors import RigError
from emulator.card.profile import ProfileError
from emulator.frontends.errors import FrontendError
from reader.transport.base import TransportError

HOME = Path(bench.conformance.__file__).parent
_NEVER_OPENED = (Problem, ProfileError, TransportError, RigError, FrontendError)


def pytest_addoption(parser: pytest.Parser) -> None:
    """The options of `tapbench conformance card`."""
    group = parser.getgroup("tapbench conformance", "judge a card")
    group.addoption(
        "--via", default="inproc", help="a road to our own card, pcsc:READER or nfc:DEVICE"
    )
    group.addoption("--profile", help="what the card is: a profile's name or a file")
    group.addoption("--keys", metavar="FILE", help="keys of a foreign card; test for our test keys")
    group.addoption("--write", action="store_true", help="let cases change a card of a test issuer")
    group.addoption(
        "--only", metavar="PATTERN", default="", help="cases whose id, key or clause fits"
    )
    group.addoption("--level", default="full", help="basic or full")
    group.addoption("--seed", type=int, default=1, help="random numbers repeat with the seed")


class Field:
    """The stand of a session, opened when the first case needs it."""

    def __init__(self, place: Place) -> None:
        self.place = place
        self._stack = ExitStack()
        self._stand: Stand | None = None

    def stand(self) -> Stand:
        """The stand. Ends the session if it cannot be had."""
        if self._stand is None:
            try:
                self._stand = self._stack.enter_context(self.place.open())
            except _NEVER_OPENED as error:
                pytest.exit(str(error), pytest.ExitCode.USAGE_ERROR)
        return self._stand

    def close(self) -> None:
        """Give the reader back."""
        self._stack.close()


FIELD = pytest.StashKey[Field]()


def pytest_configure(config: pytest.Config) -> None:
    """See what the options mean, before anything is collected. Raises UsageError."""
    try:
        parsed_level(config.getoption("level"))
        keys = config.getoption("keys")
        ring = load_keys(keys) if keys else None
        leave = Leave(config.getoption("profile"), ring, config.getoption("write"))
        found = places(config.getoption("via"), leave, config.getoption("seed"))
    except Problem as error:
        raise pytest.UsageError(str(error)) from None
    if len(found) != 1:
        raise pytest.UsageError("--via names several places; pytest runs the suite at one")
    if not found[0].is_ours and config.getoption("numprocesses", None):
        raise pytest.UsageError("several processes cannot share one card; leave -n out")
    config.addinivalue_line("markers", "needs(*names): what the fixture lab must have, as keys")
    config.stash[FIELD] = Field(found[0])
    if ring is not None:
        config.stash[NOTICES] = ring.notices


NOTICES = pytest.StashKey[tuple[str, ...]]()


def pytest_unconfigure(config: pytest.Config) -> None:
    """Give the reader back."""
    if FIELD in config.stash:
        config.stash[FIELD].close()


def pytest_report_header(config: pytest.Config) -> list[str]:
    """Where it is played, and what the owner of the keys should know."""
    return [f"conformance: via {config.stash[FIELD].place.name}", *config.stash.get(NOTICES, ())]


# Collecting


class Suite(pytest.File):
    """All numbered cases."""

    def collect(self) -> Iterator[pytest.Item]:
        """The cases that the options leave."""
        only, level = (self.config.getoption(name) for name in ("only", "level"))
        try:
            cases = wanted_cases(card_cases(), only, level)
        except Problem as error:
            raise self.CollectError(str(error)) from None
        for number, case in cases.items():
            yield CaseItem.from_parent(self, name=number, case=case)


def pytest_collect_file(file_path: Path, parent: pytest.Collector) -> pytest.Collector | None:
    """The suite's own module stands for all its cases."""
    if file_path == HOME / "suite.py":
        return Suite.from_parent(parent, path=file_path, nodeid=bench.conformance.__name__)
    return None


def pytest_ignore_collect(collection_path: Path) -> bool | None:
    """Of the package nothing else is looked into."""
    inside = HOME in collection_path.parents
    return True if inside and collection_path.name != "suite.py" else None


def pytest_pycollect_makeitem(collector: pytest.Collector, name: str, obj: object) -> Any:  # noqa: ANN401
    """A function with `@case` is a case whatever its name, in the file that defines it."""
    case = own_case(obj)
    if case is None or not isinstance(collector, pytest.Module):
        return None
    if obj.__module__ != collector.obj.__name__:
        return []
    return CaseItem.from_parent(collector, name=name, case=case)


class Judged(Exception):
    """A case that failed."""

    def __init__(self, text: str) -> None:
        super().__init__(text)


class CaseItem(pytest.Item):
    """One case as a test."""

    def __init__(self, *, case: Case, **rest: Any) -> None:  # noqa: ANN401 - pytest's own
        super().__init__(**rest)
        self.case = case

    def runtest(self) -> None:
        """Play it at the session's stand."""
        field = self.config.stash[FIELD]
        result = _played(self.session, self.case, field.stand())
        if result.verdict is Verdict.SKIPPED:
            pytest.skip(str(result.why))
        if result.verdict is Verdict.FAILED:
            raise Judged(_told(self.name, result, field.place.is_ours))

    def repr_failure(self, excinfo: pytest.ExceptionInfo[BaseException], style: Any = None) -> Any:  # noqa: ANN401
        """What was expected and what came instead of a traceback; bugs of a case have theirs."""
        if isinstance(excinfo.value, Judged):
            return str(excinfo.value)
        return super().repr_failure(excinfo, style)

    def reportinfo(self) -> tuple[Path, int | None, str]:
        """Where, and the title."""
        return self.path, None, f"{self.name} {self.case.title}"


def _played(session: pytest.Session, case: Case, stand: Stand) -> Result:
    try:
        return run_case(case, stand)
    except Interrupted as gone:
        _end(session, gone)


def _end(session: pytest.Session, gone: Exception) -> NoReturn:
    """The card or the reader is gone, so nothing that follows can be played."""
    session.shouldstop = f"incomplete: {gone}"
    pytest.fail(f"incomplete: {gone}", pytrace=False)


def _told(number: str, result: Result, is_ours: bool) -> str:
    lines = [str(result.case.title)]
    if result.violation is not None:
        broke = result.violation
        lines += [f"expected  {broke.expected}", f"came      {broke.came}"]
        lines += [f"clause    {broke.clause}"]
    lines += _exchanges(result.said, result.violation, is_ours)
    return "\n".join((*lines, "", text_of(number, result, steps_of(result), is_ours)))


def _exchanges(said: tuple[Said, ...], violation: Violation | None, is_ours: bool) -> list[str]:
    return [line for one in shown(said, violation, is_ours) for line in _lines(one)]


def _lines(one: Shown) -> list[str]:
    mark = "!" if one.broke is not None else " "
    found = [f"{mark} {one.name}  {one.status}".rstrip()]
    if one.command:
        found.append(f"    > {one.command}")
    if one.answer is not None:
        found.append(f"    < {one.answer}")
    return found


# For tests that are plain functions


@pytest.fixture
def lab(request: pytest.FixtureRequest) -> Lab:
    """A card freshly in the field, with everybody it deals with.

    What the test needs of the stand, it says with `@pytest.mark.needs("keys", "write")`.
    """
    stand = request.config.stash[FIELD].stand()
    lacking = next((need for need in _needs(request.node) if need not in stand.abilities), None)
    if lacking is not None:
        pytest.skip(lacking.words.en)
    try:
        stand.place({})
    except TransportError as error:
        _end(request.session, error)
    return Lab(stand, perf_counter_ns)


def _needs(node: pytest.Item) -> list[Need]:
    names = [str(name) for mark in node.iter_markers("needs") for name in mark.args]
    try:
        return [Need[name.upper()] for name in names]
    except KeyError as error:
        there = ", ".join(need.name.lower() for need in Need)
        pytest.fail(f"there is no need {error}; choose of: {there}", pytrace=False)


@pytest.hookimpl(wrapper=True)
def pytest_pyfunc_call(pyfuncitem: pytest.Function) -> Iterator[None]:
    """A requirement that does not hold is told as such, with what was said."""
    made: Any = pyfuncitem.funcargs.get("lab")
    try:
        return (yield)
    except (NotApplicable, Broken) as found:
        ending: Exception = found
    except TransportError as lost:
        if made is None:
            raise
        ending = lost
    if isinstance(ending, NotApplicable):
        pytest.skip(ending.words.en)
    if isinstance(ending, Broken):
        said = () if made is None else _said(pyfuncitem, made, ending)
        pytest.fail("\n".join((str(ending), *said)), pytrace=False)
    _end(pyfuncitem.session, ending)


def _said(item: pytest.Function, made: Lab, broken: Broken) -> list[str]:
    is_ours = item.config.stash[FIELD].place.is_ours
    violation = Violation(broken.expected, broken.came, broken.clause, broken.at, broken.where)
    return _exchanges(tuple(made.said), violation, is_ours)

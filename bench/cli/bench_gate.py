"""`tapbench bench gate`: how many people one gate passes."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import mean
from typing import TYPE_CHECKING, Any

from bench.cli.bench_show import Output
from bench.cli.crowd_made import (
    basis,
    demand_packages,
    ended,
    gear_of,
    habits_of,
    modes_of,
    print_table,
    progress,
    write_page,
)
from bench.cli.crowd_options import CrowdOptions
from bench.files import demand_place
from bench.problem import Problem
from bench.throughput.document import Document
from bench.throughput.page import Grid, Picture
from reader.barrier import NORMALLY_CLOSED, NORMALLY_OPEN
from reader.journal import Journal

if TYPE_CHECKING:
    from bench.throughput.crowd.gate import GateRun
    from bench.throughput.crowd.grid import Cell
    from bench.throughput.crowd.runs import GateResults

CARDS, CARRIERS = "student:50", "plastic"
MODEL_MAY_DIFFER = 0.02
"""How far a model's persons a minute may be from the live ones."""

STOPPED = "stopped before everybody had passed"


@dataclass(frozen=True, slots=True)
class GateOptions:
    """What the command line says. rate, arrivals: instead of `persons` who all wait."""

    crowd: CrowdOptions
    direction: str = "entry"
    station: str = "080013"
    persons: int = 500
    rate: float | None = None
    minutes: float = 30.0
    arrivals: Path | None = None
    modes: tuple[str, ...] = ()
    journal: Path | None = None
    runs: int = 1
    check_model: bool = False
    grid: bool = False

    @property
    def output(self) -> Output:
        """Where the result goes."""
        return self.crowd.output

    def as_json_options(self) -> dict[str, Any]:
        """For the document."""
        own = ("direction", "station", "persons", "rate", "minutes", "runs")
        files = {name: str(getattr(self, name) or "") for name in ("arrivals", "journal")}
        told = {name: getattr(self, name) for name in own} | {"modes": list(self.modes)}
        return self.crowd.as_json() | told | files


def bench_gate(options: GateOptions) -> int:
    """Simulate and show. Returns 1 if a model strays from the live taps, 130 after Ctrl-C."""
    demand_packages()
    options.output.demand()
    _demand_sense(options)
    run = run_of(options)
    if options.grid:
        return _grid(options, run)
    if options.check_model:
        return _check(options, run)
    result = _simulated(options, run)
    return _show(options, result)


def _demand_sense(options: GateOptions) -> None:
    """See that nothing is asked for that would be left out. Raises Problem."""
    if sum((options.check_model, options.grid, options.crowd.is_model)) > 1:
        raise Problem("--model, --check-model and --grid exclude each other; give one of them")
    if options.check_model and options.output.html is not None:
        raise Problem("--check-model makes no page; leave --html out")
    if options.journal is not None and (options.grid or options.runs > 1):
        raise Problem("a journal is one gate's, of one run; leave --journal, or --grid and --runs")
    if options.journal is not None and options.crowd.is_model:
        raise Problem("a model keeps no records; leave --journal or --model out")
    if options.grid and (options.crowd.carriers or options.crowd.barrier):
        raise Problem("--grid goes through carriers and barriers; leave --carriers and --barrier")


def run_of(options: GateOptions) -> "GateRun":
    """What is to be simulated. Raises Problem, and what fixtures raise."""
    from bench.throughput.crowd.arrivals import Poisson, Saturated, read_trace
    from bench.throughput.crowd.gate import GateRun
    from bench.throughput.crowd.people import Pace
    from bench.throughput.crowd.terminals import Post

    post, until_s = Post(options.direction, options.station), None
    arrivals: Any
    if options.rate is not None:
        if options.arrivals is not None:
            raise Problem("--rate and --arrivals exclude each other; give one of them")
        arrivals = Poisson(options.rate, options.minutes, options.crowd.seed)
        until_s = options.minutes * 60
    elif options.arrivals is not None:
        arrivals = read_trace(options.arrivals)
    else:
        arrivals = Saturated(options.persons)
    barrier = NORMALLY_CLOSED if post.is_rail else NORMALLY_OPEN
    return GateRun(
        post,
        gear_of(options.crowd, barrier),
        arrivals,
        habits_of(options.crowd, CARDS, CARRIERS),
        Pace(*options.crowd.pace),
        until_s,
        options.crowd.is_model,
        options.crowd.samples,
        modes_of(options.modes),
    )


def _simulated(options: GateOptions, run: "GateRun") -> "GateResults":
    from bench.throughput.crowd.arrivals import Poisson
    from bench.throughput.crowd.runs import simulate_runs

    one = None if isinstance(run.arrivals, Poisson) else sum(1 for _ in run.arrivals)
    total = None if one is None else one * options.runs
    with _journal(options, run) as journal, progress("passengers", total) as move:
        return simulate_runs(run, options.crowd.seeds(options.runs), lambda _: move(), journal)


@contextmanager
def _journal(options: GateOptions, run: "GateRun") -> Iterator[Journal | None]:
    if options.journal is None:
        yield None
        return
    demand_place(options.journal)  # the PSAM's numbers begin anew with each run
    with Journal(options.journal, b"BENCH001", run.post.device) as journal:
        yield journal


def _document(options: GateOptions, result: "GateResults") -> Document:
    from bench.throughput.crowd.result import APDUS, LOGGED_MS, detail, measures

    found = measures(result.each)
    told = detail(result.tally, result.still, result.took_ns)
    told |= {"cpu_s": result.cpu_s, "field_over_cpu": result.field_ratio}
    told["basis"] = basis(result.run.gear.timing)
    if APDUS in found:
        told["logged_tap"] = {"log_ms": LOGGED_MS, "ratio": found[APDUS].typical / LOGGED_MS}
    return Document(
        "gate",
        options.as_json_options(),
        found,
        told,
        options.crowd.seed,
        incomplete="" if result.is_whole else STOPPED,
    )


def _show(options: GateOptions, result: "GateResults") -> int:
    from bench.throughput.crowd.result import HEADS, cells, gate_parts, parts

    document = _document(options, result)
    title, why = _title(result.run), basis(result.run.gear.timing)
    write_page(
        options.output,
        "How many people a gate passes",
        document,
        lambda: gate_parts(result, f"{title}. {why}"),
    )
    if options.output.as_json:
        print(document.text(), end="")
        return ended(document.incomplete)
    rows = [(name, *cells(measure)) for name, measure in document.measures.items()]
    print_table(title, HEADS, rows)
    split = [(name, f"{ms:.1f}", f"{share:.1%}") for name, ms, share in parts(result.tally)]
    print_table("Which command takes the time", ("what", "ms a tap", "share"), split)
    print(_sentence(result))
    print(why)
    return ended(document.incomplete)


def _title(run: "GateRun") -> str:
    gear = run.gear
    timing = "none" if gear.timing is None else gear.timing.name
    what = "model of live taps" if run.is_model else "live taps"
    barrier = gear.policy.barrier.replace("_", " ")
    return f"{run.post.direction}, {barrier}; {what}, simulated; --timing {timing}"


def _sentence(result: "GateResults") -> str:
    tally = result.tally
    refused = "; ".join(f"{number} {reason}" for reason, number in tally.rejected.most_common())
    incomplete = "" if result.is_whole else f"INCOMPLETE, {STOPPED}: "
    return (
        f"{incomplete}{tally.arrived} came, {tally.passed} passed, {tally.refused} were sent away,"
        f" {result.still} are still there; {tally.taps} taps, {tally.again} of them again."
        f"{f' Sent away: {refused}.' if refused else ''}"
        f" {result.per_minute:.1f} persons a minute; {result.took_ns / 1e9:.0f} s simulated in"
        f" {result.cpu_s:.2f} s of processor time.{_logged(result)}"
    )


def _logged(result: "GateResults") -> str:
    """How the transaction compares with the log that the times are from."""
    from bench.throughput.crowd.result import APDUS, LOGGED_MS, measures

    timing, found = result.run.gear.timing, measures(result.each).get(APDUS)
    if timing is None or timing.name != "measured" or found is None:
        return ""
    return (
        f" A transaction takes {found.typical:.1f} ms; the log's sums to {LOGGED_MS},"
        f" {found.typical / LOGGED_MS - 1:+.1%}."
    )


def _check(options: GateOptions, run: "GateRun") -> int:
    """Live and model, one after the other, with the same people."""
    from bench.throughput.histogram import Measure

    live = _simulated(options, run)
    if not live.is_whole:
        return ended(STOPPED)
    model = _simulated(replace(options, journal=None), replace(run, is_model=True))
    if not model.is_whole:
        return ended(STOPPED)
    if not all(one.per_minute for one in (*live.each, *model.each)):
        raise Problem("nothing to compare: nobody passed")
    found, told = {}, []
    for name, rates in _compared(live, model).items():
        ratios = tuple(after / before for before, after in rates)
        found[f"live {name}"] = Measure("1/min", tuple(before for before, _ in rates), "more")
        found[f"model {name}"] = Measure("1/min", tuple(after for _, after in rates), "more")
        found[f"model over live, {name}"] = Measure("ratio", ratios, "more")
        told.append((name, mean(ratios) - 1))
    is_close = all(abs(off) <= MODEL_MAY_DIFFER for _, off in told)
    if options.output.as_json:
        said = {
            "agrees": is_close,
            "may_differ": MODEL_MAY_DIFFER,
            "basis": basis(run.gear.timing),
        }
        seed = options.crowd.seed
        print(Document("gate check", options.as_json_options(), found, said, seed).text(), end="")
        return 0 if is_close else 1
    for name, off in told:
        live_said, model_said = (found[f"{who} {name}"].typical for who in ("live", "model"))
        print(
            f"live {live_said:.2f}, model {model_said:.2f} {name}: {off:+.2%},"
            f" {'within' if abs(off) <= MODEL_MAY_DIFFER else 'beyond'} {MODEL_MAY_DIFFER:.0%}"
        )
    return 0 if is_close else 1


def _compared(
    live: "GateResults", model: "GateResults"
) -> "Mapping[str, list[tuple[float, float]]]":
    """What both must agree in, run by run: what passes, and what would if somebody waited."""
    from bench.throughput.crowd.result import CAPACITY, PER_MINUTE

    pairs = list(zip(live.each, model.each, strict=True))
    found = {PER_MINUTE: [(a.per_minute, b.per_minute) for a, b in pairs]}
    if not live.each[0].is_saturated:  # then as many pass as come, whatever a tap takes
        found[CAPACITY] = [(a.capacity, b.capacity) for a, b in pairs]
    return found


def _grid(options: GateOptions, run: "GateRun") -> int:
    from bench.throughput.crowd.grid import BARRIERS, CARRIERS, KBITS, grid

    if options.rate is not None or options.arrivals is not None:
        raise Problem("--grid is of gates where somebody always waits; leave --rate and --arrivals")
    if not run.post.is_rail:
        raise Problem("--grid is of gates with a barrier; give --direction entry or exit")
    total = len(KBITS) * len(CARRIERS) * len(BARRIERS) * options.persons * options.runs
    with progress("passengers", total) as move:
        found = list(grid(run, options.persons, options.crowd.seeds(options.runs), move))
    is_whole = all(cell.result.is_whole for cell in found)
    return _show_grid(options, found, is_whole, basis(run.gear.timing))


def _show_grid(options: GateOptions, found: "list[Cell]", is_whole: bool, why: str) -> int:
    from bench.throughput.crowd.grid import HEADS, grid_chart, rows
    from bench.throughput.histogram import Measure

    document = Document(
        "gate grid",
        options.as_json_options(),
        {
            cell.name: Measure(
                "1/min",
                tuple(one.per_minute for one in cell.result.each),
                "more",
                count=cell.result.tally.passed,
            )
            for cell in found
            if cell.result.is_whole
        },
        {"field_ms": {cell.name: cell.field_ms for cell in found}, "basis": why},
        options.crowd.seed,
        incomplete="" if is_whole else STOPPED,
    )
    title = f"Persons a minute at a gate, simulated; --timing {options.crowd.timing}"
    picture = Picture(lambda: grid_chart(found, title), "Where somebody always waits.")
    write_page(
        options.output,
        "How many people a gate passes",
        document,
        lambda: [why, Grid(title, HEADS, rows(found)), picture],
    )
    if options.output.as_json:
        print(document.text(), end="")
    else:
        print_table(title, HEADS, rows(found))
        print(f"{'' if is_whole else f'INCOMPLETE: {STOPPED}. '}{why}")
    return ended(document.incomplete)

"""`tapbench bench station`: a crowd at a station's gates."""

import re
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import fixtures
from bench.cli.crowd_made import (
    basis,
    demand_packages,
    ended,
    gear_of,
    habits_of,
    print_table,
    progress,
    write_page,
)
from bench.cli.crowd_options import CrowdOptions
from bench.clock import SHANGHAI
from bench.problem import Problem
from bench.throughput.document import Document
from fixtures.crowds import Crowd, CrowdError, load_crowd, read_crowd

if TYPE_CHECKING:
    from bench.throughput.crowd.runs import StationResults
    from bench.throughput.crowd.station import Emergency, Outage, StationRun

STOPPED = "stopped before the crowd was through"

_NUMBER = r"(\d+(?:\.\d+)?)"
_FAIL = re.compile(rf"(\d+)@{_NUMBER}\+{_NUMBER}")
_EMERGENCY = re.compile(rf"{_NUMBER}\+{_NUMBER}")


@dataclass(frozen=True, slots=True)
class StationOptions:
    """What the command line says. profile: a crowd's name or file."""

    crowd: CrowdOptions
    profile: str = "morning-peak"
    gates: int = 8
    lines: str | None = None
    scale: float = 1.0
    fail: tuple[str, ...] = ()
    emergency: str | None = None
    runs: int = 1

    def as_json_options(self) -> dict[str, Any]:
        """For the document."""
        own = ("profile", "gates", "lines", "scale", "emergency", "runs")
        told = {name: getattr(self, name) for name in own} | {"fail": list(self.fail)}
        return self.crowd.as_json() | told


def bench_station(options: StationOptions) -> int:
    """Simulate and show. Returns 130 after Ctrl-C."""
    demand_packages()
    options.crowd.output.demand()
    from bench.throughput.crowd.runs import simulate_stations

    run = run_of(options)
    with progress("passengers", None) as move:
        results = simulate_stations(run, options.crowd.seeds(options.runs), move)
    return _show(options, results)


def run_of(options: StationOptions) -> "StationRun":
    """What is to be simulated. Raises Problem, and what fixtures raise."""
    from bench.throughput.crowd.people import Pace
    from bench.throughput.crowd.station import StationRun

    crowd = _crowd(options.profile)
    said = options.crowd
    if said.early is None:
        said = replace(said, early=crowd.early_percent / 100)
    start = datetime.combine(fixtures.STANDING_DAY, crowd.start, SHANGHAI)
    return StationRun(
        crowd,
        replace(gear_of(said), start=start),
        habits_of(said, crowd.cards, crowd.carriers),
        options.gates,
        tuple(line.strip() for line in (options.lines or "").split(",") if line.strip()),
        Pace(*said.pace),
        options.scale,
        tuple(_outage(text) for text in options.fail),
        None if options.emergency is None else _emergency(options.emergency),
        said.is_model,
        said.samples,
    )


def _crowd(name: str) -> Crowd:
    try:
        is_file = name.endswith(".toml") or "/" in name
        return read_crowd(Path(name)) if is_file else load_crowd(name)
    except CrowdError as error:
        raise Problem(str(error)) from None


def _outage(text: str) -> "Outage":
    from bench.throughput.crowd.station import Outage

    found = _FAIL.fullmatch(text)
    if found is None:
        raise Problem(f"'{text}' is no failure; expected GATE@AT+LASTS in minutes, such as 3@20+10")
    return Outage(int(found[1]), float(found[2]), float(found[3]))


def _emergency(text: str) -> "Emergency":
    from bench.throughput.crowd.station import Emergency

    found = _EMERGENCY.fullmatch(text)
    if found is None:
        raise Problem(f"'{text}' is no emergency; expected AT+LASTS in minutes, such as 30+5")
    return Emergency(float(found[1]), float(found[2]))


def _show(options: StationOptions, results: "StationResults") -> int:
    from bench.throughput.crowd.result import HEADS, cells
    from bench.throughput.crowd.station_result import (
        GATE_HEADS,
        gate_rows,
        measures,
        of_run,
        station_detail,
        station_parts,
    )

    incomplete = "" if results.is_whole else STOPPED
    why = basis(results.run.gear.timing)
    document = Document(
        "station",
        options.as_json_options(),
        measures(results.each),
        station_detail(results) | {"basis": why},
        options.crowd.seed,
        incomplete=incomplete,
    )
    title = f"{results.run.crowd.station}: {results.run.crowd.title}"
    output = options.crowd.output
    write_page(output, title, document, lambda: [why, *station_parts(results)])
    if output.as_json:
        print(document.text(), end="")
        return ended(incomplete)
    rows = [(name, *cells(measure)) for name, measure in document.measures.items()]
    print_table(title, HEADS, rows)
    print_table(f"Gates{of_run(results)}", GATE_HEADS, gate_rows(results.each[0]))
    tally = results.tally
    refused = "; ".join(f"{number} {reason}" for reason, number in tally.rejected.most_common())
    print(
        f"{f'INCOMPLETE, {STOPPED}: ' if incomplete else ''}{tally.arrived} came, {tally.passed}"
        f" passed ({tally.released} without a tap), {tally.refused} were sent away,"
        f" {results.still} are still there.{f' Sent away: {refused}.' if refused else ''}"
        f" {results.took_ns / 60e9:.0f} minutes simulated in {results.cpu_s:.1f} s of processor"
        " time."
    )
    print(why)
    return ended(incomplete)

"""`tapbench bench station`: its options. What it does is in `bench.cli.bench_station`."""

from typing import Annotated

import typer

from bench.cli.bench_options import Runs
from bench.cli.crowd_app import takes_crowd
from bench.cli.crowd_options import CrowdOptions


@takes_crowd
def bench_station(
    crowd: CrowdOptions,
    gates: Annotated[int, typer.Option(help="Gates of each line.")] = 8,
    profile: Annotated[
        str, typer.Option(help="A crowd by name, such as morning-peak, or its TOML file.")
    ] = "morning-peak",
    lines: Annotated[
        str | None, typer.Option(help="Lines with commas; all that stop there if left out.")
    ] = None,
    scale: Annotated[float, typer.Option(help="How many times the crowd's people come.")] = 1.0,
    fail: Annotated[
        list[str] | None,
        typer.Option(metavar="GATE@AT+LASTS", help="A gate fails, in minutes; may be repeated."),
    ] = None,
    emergency: Annotated[
        str | None,
        typer.Option(metavar="AT+LASTS", help="All barriers open, in minutes."),
    ] = None,
    runs: Runs = 1,
) -> None:
    """Send a crowd through a station's gates: queues, failures, an emergency. Live taps.

    Several runs have the seeds that follow on --seed; queues and gates are shown of the first.
    """
    from bench.cli.bench_station import StationOptions
    from bench.cli.bench_station import bench_station as command

    failures = tuple(fail or ())
    options = StationOptions(crowd, profile, gates, lines, scale, failures, emergency, runs)
    raise typer.Exit(command(options))

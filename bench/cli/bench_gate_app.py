"""`tapbench bench gate`: its options. What it does is in `bench.cli.bench_gate`."""

from pathlib import Path
from typing import Annotated

import typer

from bench.cli.bench_options import Runs
from bench.cli.crowd_app import takes_crowd
from bench.cli.crowd_options import CrowdOptions


@takes_crowd
def bench_gate(
    crowd: CrowdOptions,
    direction: Annotated[
        str, typer.Option(help="entry or exit; on a bus board, alight or single.")
    ] = "entry",
    station: Annotated[str, typer.Option(help="Name or code of the station.")] = "080013",
    persons: Annotated[
        int, typer.Option(help="How many people; all wait from the beginning.")
    ] = 500,
    rate: Annotated[
        float | None,
        typer.Option(help="Instead of --persons: so many come in a minute, at random (Poisson)."),
    ] = None,
    minutes: Annotated[float, typer.Option(help="With --rate: for how long.")] = 30.0,
    arrivals: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE", help="Instead of --persons: lines of SECONDS[,CARD[,CARRIER]]."
        ),
    ] = None,
    modes: Annotated[
        list[str] | None,
        typer.Option("--mode", help="A mode of the gate, such as offline; may be repeated."),
    ] = None,
    journal: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Keep the gate's records in a journal.")
    ] = None,
    runs: Runs = 1,
    check_model: Annotated[
        bool,
        typer.Option(
            "--check-model", help="Run live and as a model; fail if they differ by more than 2 %."
        ),
    ] = False,
    grid: Annotated[
        bool,
        typer.Option(
            "--grid",
            help="A table at 106 and 424 kbit/s, of plastic and phones, for both barriers.",
        ),
    ] = False,
) -> None:
    """Say how many people a gate passes in a minute: live taps over the air, in virtual time.

    Several runs have the seeds that follow on --seed.
    """
    from bench.cli.bench_gate import GateOptions
    from bench.cli.bench_gate import bench_gate as command

    options = GateOptions(
        crowd,
        direction,
        station,
        persons,
        rate,
        minutes,
        arrivals,
        tuple(modes or ()),
        journal,
        runs,
        check_model,
        grid,
    )
    raise typer.Exit(command(options))

"""`tapbench bench city`: its options."""

from datetime import datetime
from pathlib import Path
from typing import Annotated

import typer

from bench.cli.bench_options import Force, Html
from bench.cli.road_options import Json, Seed


def bench_city(
    trips: Annotated[
        int, typer.Option(min=1, max=1_000_000_000, help="Trips of the day; two taps each.")
    ] = 100_000,
    day: Annotated[
        datetime,
        typer.Option(
            formats=["%Y-%m-%d"],
            metavar="YYYY-MM-DD",
            help="Which day it is.",
            show_default="2026-09-01",
        ),
    ] = datetime(2026, 9, 1),
    workers: Annotated[
        int | None,
        typer.Option(min=1, max=4096, help="Processes; one for each processor if left out."),
    ] = None,
    shard: Annotated[
        int, typer.Option(min=1, max=100_000, help="Trips of a shard: the unit of work.")
    ] = 5000,
    seed: Seed = 1,
    out: Annotated[
        Path | None,
        typer.Option(metavar="DIR", help="Keep results here; the same command goes on with them."),
    ] = None,
    ray: Annotated[
        str | None,
        typer.Option(metavar="ADDRESS", help="Use a Ray cluster: HOST:PORT, or local for our own."),
    ] = None,
    scale_study: Annotated[
        bool,
        typer.Option(
            "--scale-study", help="Measure four sizes up to --trips, and project 10,000,000."
        ),
    ] = False,
    html: Html = None,
    force: Force = False,
    as_json: Json = False,
) -> None:
    """Play a city's day: every trip two real taps, journals, upload and clearing."""
    from bench.cli.bench_city import CityOptions
    from bench.cli.bench_city import bench_city as command
    from bench.cli.bench_show import Output

    asked = CityOptions(
        trips,
        day.date(),
        workers,
        shard,
        seed,
        out,
        ray,
        scale_study,
        Output(as_json, html, force),
    )
    raise typer.Exit(command(asked))

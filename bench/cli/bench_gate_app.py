"""`tapbench bench gate`: its options. What it does is in `bench.cli.bench_gate`."""

from pathlib import Path
from typing import Annotated

import typer

from bench.cli import crowd_options as crowd
from bench.cli.road_options import Json, Seed


def bench_gate(
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
    timing: crowd.Timing = "measured",
    kbit: crowd.Kbit = 106,
    barrier: crowd.Barrier = None,
    cards: crowd.Cards = None,
    carriers: crowd.Carriers = None,
    early: crowd.Early = 0.0,
    hold: crowd.Hold = 0.3,
    noise: crowd.Noise = 0.0,
    phone_wake: crowd.PhoneWake = 100.0,
    phone_secure: crowd.PhoneSecure = 10.0,
    phone_app: crowd.PhoneApp = 25.0,
    gap: crowd.Gap = 0.8,
    gap_spread: crowd.GapSpread = 0.3,
    opens: crowd.Open = 0.3,
    walk: crowd.Walk = 0.7,
    back_out: crowd.BackOut = 2.5,
    retap: crowd.Retap = 1.0,
    tries: crowd.Tries = 3,
    modes: crowd.Modes = None,
    journal: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Keep the gate's records in a journal.")
    ] = None,
    model: crowd.Model = False,
    samples: crowd.Samples = 60,
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
    seed: Seed = 1,
    as_json: Json = False,
    html: crowd.Html = None,
    force: crowd.Force = False,
) -> None:
    """Say how many people a gate passes in a minute: live taps over the air, in virtual time."""
    from bench.cli.bench_gate import GateOptions
    from bench.cli.bench_gate import bench_gate as command

    people = crowd.CrowdOptions(
        timing,
        kbit,
        barrier,
        cards,
        carriers,
        early,
        hold,
        noise,
        (phone_wake, phone_secure, phone_app),
        (gap, gap_spread, opens, walk, back_out, retap, tries),
        tuple(modes or ()),
        seed,
    )
    options = GateOptions(
        people,
        direction,
        station,
        persons,
        rate,
        minutes,
        arrivals,
        journal,
        model,
        samples,
        check_model,
        grid,
        as_json,
        html,
        force,
    )
    raise typer.Exit(command(options))

"""`tapbench bench station`: its options. What it does is in `bench.cli.bench_station`."""

from typing import Annotated

import typer

from bench.cli import crowd_options as crowd
from bench.cli.road_options import Json, Seed


def bench_station(
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
    timing: crowd.Timing = "measured",
    kbit: crowd.Kbit = 106,
    barrier: crowd.Barrier = None,
    cards: crowd.Cards = None,
    carriers: crowd.Carriers = None,
    early: Annotated[
        float | None,
        typer.Option(
            help="Share that takes the card away early, 0 to 1; the crowd's own if left out."
        ),
    ] = None,
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
    model: crowd.Model = False,
    samples: crowd.Samples = 60,
    seed: Seed = 1,
    as_json: Json = False,
    html: crowd.Html = None,
    force: crowd.Force = False,
) -> None:
    """Send a crowd through a station's gates: queues, failures, an emergency. Live taps."""
    from bench.cli.bench_station import StationOptions
    from bench.cli.bench_station import bench_station as command

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
        (),
        seed,
    )
    options = StationOptions(
        people,
        profile,
        gates,
        lines,
        scale,
        tuple(fail or ()),
        emergency,
        model,
        samples,
        as_json,
        html,
        force,
    )
    raise typer.Exit(command(options))

"""`tapbench bench`: the commands that measure, and their options.

A command that needs many options of its own has a module of its own and is registered in `app`.
"""

from pathlib import Path
from typing import Annotated

import typer

from bench.cli.bench_options import Force, Html, MaxRegression, Pin, Runs
from bench.cli.lazy import lazy_group
from bench.cli.road_options import Json, Seed
from bench.problem import Problem

_ELSEWHERE = {
    "city": "bench.cli.bench_city_app:bench_city",
    "gate": "bench.cli.bench_gate_app:bench_gate",
    "station": "bench.cli.bench_station_app:bench_station",
}

bench_app = typer.Typer(
    cls=lazy_group(_ELSEWHERE),
    help="""Measure how fast things are, and simulate how many people pass.

    gate, station and air simulate; all others measure this machine. Exit codes: 0 done, 1 a
    target or bound is missed or the result is wrong, 2 wrong input or something missing,
    130 stopped by Ctrl-C.""",
    no_args_is_help=True,
)


@bench_app.command("tap")
def bench_tap(
    via: Annotated[
        str,
        typer.Option(
            help="inproc, air, udp, pn532, pcsc, several with commas, or all; for a card on a"
            " reader pcsc:READER or nfc:DEVICE."
        ),
    ] = "all",
    count: Annotated[int, typer.Option(min=1, max=1_000_000, help="Taps a run.")] = 300,
    runs: Runs = 5,
    warm_up: Annotated[int, typer.Option(min=0, help="Taps before the first that counts.")] = 20,
    write: Annotated[
        bool,
        typer.Option(
            "--write", help="Tap a test issuer's card on a reader: entries and exits, which cost."
        ),
    ] = False,
    compared: Annotated[
        tuple[Path, Path] | None,
        typer.Option("--compare", metavar="A B", help="Measure nothing, compare two results."),
    ] = None,
    max_regression: MaxRegression = "10%",
    pin: Pin = True,
    seed: Seed = 1,
    as_json: Json = False,
    html: Html = None,
    force: Force = False,
) -> None:
    """Time one APDU and one whole entry tap on each road, command by command, part by part.

    A card on a reader is only read, unless --write is given and its issuer is a test one.
    """
    if compared is not None:
        if html is not None:
            raise Problem("a comparison has no page; leave out --html")
        compare(*compared, max_regression, as_json)
    from bench.cli.bench_show import Output
    from bench.cli.bench_tap import TapBench
    from bench.cli.bench_tap import bench_tap as command

    command(TapBench(via, count, runs, warm_up, pin, seed, write), Output(as_json, html, force))


@bench_app.command()
def compare(
    before: Annotated[Path, typer.Argument(metavar="A.json", help="A result of --json.")],
    after: Annotated[Path, typer.Argument(metavar="B.json", help="A later one.")],
    max_regression: MaxRegression = "10%",
    as_json: Json = False,
) -> None:
    """Say what changed between two results, with what chance explains, and fail if it got worse."""
    from bench.cli.bench_compare import bench_compare as command

    raise typer.Exit(command(before, after, max_regression, as_json))


@bench_app.command("card")
def bench_card(
    count: Annotated[
        int, typer.Option(min=50, max=1_000_000, help="Repetitions a run, of each action.")
    ] = 2000,
    runs: Runs = 5,
    million: Annotated[
        bool, typer.Option("--million", help="Also tap among a million cards; takes 3 GB.")
    ] = False,
    pin: Pin = True,
    as_json: Json = False,
    html: Html = None,
    force: Force = False,
) -> None:
    """Time the card alone: commands, purchases, cryptograms and codec against their floors."""
    from bench.cli.bench_card import CardBench
    from bench.cli.bench_card import bench_card as command
    from bench.cli.bench_show import Output

    command(CardBench(count, runs, pin, million), Output(as_json, html, force))


@bench_app.command("air")
def bench_air(
    timing: Annotated[
        str, typer.Option(help="How long card and PSAM compute: none, measured or budget.")
    ] = "none",
    frames: Annotated[bool, typer.Option("--frames", help="List every frame.")] = False,
    svg: Annotated[
        str | None, typer.Option(metavar="FILE", help="Draw the taps into a file.")
    ] = None,
    as_json: Json = False,
    html: Html = None,
    force: Force = False,
) -> None:
    """Say what an entry tap takes on air at 106, 212, 424 and 848 kbit/s, in simulated time."""
    from bench.cli.bench_air import bench_air as command
    from bench.cli.bench_show import Output

    command(timing, frames, svg, Output(as_json, html, force))


@bench_app.command("memory")
def bench_memory(
    count: Annotated[
        int, typer.Option(min=10, max=2_000_000, help="How many live cards.")
    ] = 10_000,
    as_json: Json = False,
    html: Html = None,
    force: Force = False,
) -> None:
    """Weigh live cards of one profile in one process, as opened and after a tap."""
    from bench.cli.bench_memory import bench_memory as command
    from bench.cli.bench_show import Output

    command(count, Output(as_json, html, force))


@bench_app.command("clearing")
def bench_clearing(
    cards: Annotated[int, typer.Option(min=10, help="Cards; each leaves 25 records.")] = 2000,
    db: Annotated[
        str, typer.Option("--db", metavar="URL", help="A database of its own; a file if left out.")
    ] = "",
    as_json: Json = False,
    html: Html = None,
    force: Force = False,
) -> None:
    """Time clearing on one processor: records of real taps, TAC check and all rules."""
    from bench.cli.bench_clearing import bench_clearing as command
    from bench.cli.bench_show import Output

    raise typer.Exit(command(cards, db, Output(as_json, html, force)))


@bench_app.command("issuer")
def bench_issuer(
    students: Annotated[
        int, typer.Option(min=10, max=100_000, help="Students on the roster when there are many.")
    ] = 100_000,
    cards: Annotated[int, typer.Option(min=1, max=1000, help="Cards opened in a run.")] = 10,
    runs: Runs = 5,
    db: Annotated[
        str, typer.Option("--db", metavar="URL", help="A database of its own; a file if left out.")
    ] = "",
    as_json: Json = False,
    html: Html = None,
    force: Force = False,
) -> None:
    """Time openings and top-ups with cards, with few students and with many."""
    from bench.cli.bench_issuer import bench_issuer as command
    from bench.cli.bench_show import Output

    raise typer.Exit(command(students, cards, runs, db, Output(as_json, html, force)))


@bench_app.command("service")
def bench_service(
    clients: Annotated[int, typer.Option(min=1, max=500, help="Clients at once.")] = 50,
    count: Annotated[int, typer.Option(min=10, help="How often each client asks.")] = 40,
    db: Annotated[
        str, typer.Option("--db", metavar="URL", help="A database of its own; a file if left out.")
    ] = "",
    as_json: Json = False,
    html: Html = None,
    force: Force = False,
) -> None:
    """Time the served office with many clients: pages, top-ups with cards, blacklists."""
    from bench.cli.bench_service import bench_service as command
    from bench.cli.bench_show import Output

    command(clients, count, db, Output(as_json, html, force))


@bench_app.command("journal")
def bench_journal(
    where: Annotated[str, typer.Option("--in", help="Directory on the disk to measure.")] = ".",
    count: Annotated[
        int, typer.Option(min=10, max=100_000, help="Taps a run; two records each.")
    ] = 150,
    runs: Runs = 5,
    as_json: Json = False,
    html: Html = None,
    force: Force = False,
) -> None:
    """Time a record in a gate's journal against a bare write and fsync of as many bytes."""
    from bench.cli.bench_journal import bench_journal as command
    from bench.cli.bench_show import Output

    raise typer.Exit(command(where, count, runs, Output(as_json, html, force)))


@bench_app.command("store")
def bench_store(
    where: Annotated[str, typer.Option("--in", help="Directory on the disk to measure.")] = ".",
    count: Annotated[int, typer.Option(min=10, max=400, help="Commits a run.")] = 300,
    runs: Runs = 5,
    as_json: Json = False,
    html: Html = None,
    force: Force = False,
) -> None:
    """Time a commit to a card file against a bare write and fsync of the same bytes."""
    from bench.cli.bench_show import Output
    from bench.cli.bench_store import bench_store as command

    raise typer.Exit(command(where, count, runs, Output(as_json, html, force)))


@bench_app.command("targets")
def bench_targets(
    only: Annotated[
        str, typer.Option(metavar="T1,T3", help="These targets; all if left out.")
    ] = "",
    scale: Annotated[
        float, typer.Option(min=0.01, max=100.0, help="Repetitions, as a share of the usual.")
    ] = 1.0,
    runs: Runs = 5,
    where: Annotated[str, typer.Option("--in", help="Directory on the disk to measure.")] = ".",
    million: Annotated[
        bool, typer.Option("--million", help="Also tap among a million cards; takes 3 GB.")
    ] = False,
    pin: Pin = True,
    as_json: Json = False,
    html: Html = None,
    force: Force = False,
) -> None:
    """Measure every performance target in one run, and say which are kept."""
    from bench.cli.bench_show import Output
    from bench.cli.bench_targets import bench_targets as command
    from bench.throughput.targets import Effort

    effort = Effort(scale, runs, where, million)
    raise typer.Exit(command(only, effort, pin, Output(as_json, html, force)))


@bench_app.command("ratios")
def bench_ratios(
    out: Annotated[
        Path | None, typer.Option("--out", metavar="FILE", help="Keep the result in a file.")
    ] = None,
    force: Force = False,
    baseline: Annotated[
        Path | None, typer.Option(metavar="FILE", help="An earlier result to compare with.")
    ] = None,
    every: Annotated[
        bool, typer.Option("--every", help="Fail if a ratio cannot be measured here.")
    ] = False,
) -> None:
    """Measure in half a minute what every change is checked with, against a baseline."""
    from bench.cli.bench_ratios import bench_ratios as command

    raise typer.Exit(command(out, force, baseline, every))

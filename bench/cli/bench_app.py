"""`tapbench bench`: the commands that measure, and their options.

A command that needs many options of its own has a module of its own and is registered in `app`.
"""

from typing import Annotated

import typer

from bench.cli.road_options import Json, Via

bench_app = typer.Typer(help="Measure how fast things are.", no_args_is_help=True)


@bench_app.command("tap")
def bench_tap(
    via: Via = "all",
    count: Annotated[int, typer.Option(min=10, help="Taps a run on each road.")] = 300,
    runs: Annotated[int, typer.Option(min=1, help="Runs; the table shows their spread.")] = 5,
    pin: Annotated[bool, typer.Option(help="Keep everything on one processor.")] = True,
    as_json: Json = False,
) -> None:
    """Time one APDU and one whole entry tap on each road."""
    from bench.cli.bench_tap import bench_tap as command

    command(via, count, runs, pin, as_json)


@bench_app.command("air")
def bench_air(
    timing: Annotated[
        str, typer.Option(help="How long card and PSAM compute: none, measured or budget.")
    ] = "none",
    frames: Annotated[bool, typer.Option("--frames", help="List every frame.")] = False,
    svg: Annotated[
        str | None, typer.Option(metavar="FILE", help="Draw the taps into a file.")
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="Overwrite a file that is there.")] = False,
    as_json: Json = False,
) -> None:
    """Say what an entry tap takes on air at 106, 212, 424 and 848 kbit/s, in simulated time."""
    from bench.cli.bench_air import bench_air as command

    command(timing, frames, svg, force, as_json)


@bench_app.command("memory")
def bench_memory(
    count: Annotated[int, typer.Option(min=10, help="How many live cards.")] = 10_000,
    as_json: Json = False,
) -> None:
    """Weigh live cards of one profile in one process, as opened and after a tap."""
    from bench.cli.bench_memory import bench_memory as command

    command(count, as_json)


@bench_app.command("clearing")
def bench_clearing(
    cards: Annotated[int, typer.Option(min=10, help="Cards; each leaves 11 records.")] = 2000,
    db: Annotated[
        str, typer.Option("--db", metavar="URL", help="A database of its own; a file if left out.")
    ] = "",
    as_json: Json = False,
) -> None:
    """Time clearing on one processor: records of real taps, TAC check and all rules."""
    from bench.cli.bench_clearing import bench_clearing as command

    raise typer.Exit(command(cards, db, as_json))


@bench_app.command("issuer")
def bench_issuer(
    students: Annotated[
        int, typer.Option(min=10, max=100_000, help="Students on the roster when there are many.")
    ] = 100_000,
    cards: Annotated[int, typer.Option(min=1, max=1000, help="Cards opened in a run.")] = 10,
    runs: Annotated[int, typer.Option(min=1, max=20, help="Runs; medians are over them.")] = 5,
    db: Annotated[
        str, typer.Option("--db", metavar="URL", help="A database of its own; a file if left out.")
    ] = "",
    as_json: Json = False,
) -> None:
    """Time openings and top-ups with cards, with few students and with many."""
    from bench.cli.bench_issuer import bench_issuer as command

    raise typer.Exit(command(students, cards, runs, db, as_json))


@bench_app.command("service")
def bench_service(
    clients: Annotated[int, typer.Option(min=1, max=500, help="Clients at once.")] = 50,
    count: Annotated[int, typer.Option(min=10, help="How often each client asks.")] = 40,
    db: Annotated[
        str, typer.Option("--db", metavar="URL", help="A database of its own; a file if left out.")
    ] = "",
    as_json: Json = False,
) -> None:
    """Time the served office with many clients: pages, top-ups with cards, blacklists."""
    from bench.cli.bench_service import bench_service as command

    command(clients, count, db, as_json)


@bench_app.command("journal")
def bench_journal(
    where: Annotated[str, typer.Option("--in", help="Directory on the disk to measure.")] = ".",
    count: Annotated[int, typer.Option(min=10, help="Taps a run; two records each.")] = 150,
    runs: Annotated[int, typer.Option(min=1, help="Runs; the table shows their spread.")] = 5,
    as_json: Json = False,
) -> None:
    """Time a record in a gate's journal against a bare write and fsync of as many bytes."""
    from bench.cli.bench_journal import bench_journal as command

    raise typer.Exit(command(where, count, runs, as_json))


@bench_app.command("store")
def bench_store(
    where: Annotated[str, typer.Option("--in", help="Directory on the disk to measure.")] = ".",
    count: Annotated[int, typer.Option(min=10, max=400, help="Commits a run.")] = 300,
    runs: Annotated[int, typer.Option(min=1, help="Runs; the table shows their spread.")] = 5,
    as_json: Json = False,
) -> None:
    """Time a commit to a card file against a bare write and fsync of the same bytes."""
    from bench.cli.bench_store import bench_store as command

    raise typer.Exit(command(where, count, runs, as_json))

"""`tapbench clearing`: its commands and their options."""

from pathlib import Path
from typing import Annotated

import typer

from bench.cli.road_options import Json

clearing_app = typer.Typer(
    help="Clear the records of gates: check, find what is wrong, balance the day.",
    no_args_is_help=True,
)

Db = Annotated[
    str,
    typer.Option(
        "--db", metavar="URL", help="A file, or a URL such as postgresql://user@host/name."
    ),
]


@clearing_app.command()
def run(
    batches: Annotated[
        list[Path] | None,
        typer.Argument(
            metavar="BATCH...",
            help="Batches of stations, or gates' journals; none to examine what is there.",
        ),
    ] = None,
    db: Db = "clearing.db",
    gates: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Register: a line of gate,terminal for each gate."),
    ] = None,
    lost: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Loss reports: lines of serial,YYYY-MM-DDThh:mm:ss."),
    ] = None,
    received: Annotated[
        str, typer.Option(help="When they came, YYYY-MM-DDThh:mm:ss; now if left out.")
    ] = "",
    as_json: Json = False,
) -> None:
    """Take batches, check every record, and apply all rules. Doing it again changes nothing."""
    from bench.cli.clearing import run as command

    raise typer.Exit(command(db, batches or [], (gates, lost), received, as_json))


@clearing_app.command()
def exceptions(
    db: Db = "clearing.db",
    notes: Annotated[bool, typer.Option(help="Show what nobody has to act on, too.")] = True,
    as_json: Json = False,
) -> None:
    """List what was found, with the record and what to do."""
    from bench.cli.clearing import exceptions as command

    raise typer.Exit(command(db, notes, as_json))


@clearing_app.command()
def report(
    db: Db = "clearing.db",
    day: Annotated[str, typer.Option(help="YYYY-MM-DD; every day if left out.")] = "",
    svg: Annotated[
        str | None, typer.Option(metavar="FILE", help="Draw the days into a file.")
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="Overwrite a file that is there.")] = False,
    as_json: Json = False,
) -> None:
    """Balance a day: money off cards, in records, and settled to operators by line."""
    from bench.cli.clearing import report as command

    raise typer.Exit(command(db, day, svg, force, as_json))

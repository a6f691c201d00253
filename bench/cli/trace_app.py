"""The commands on recordings and their options; what each does is in the module of its name."""

from pathlib import Path
from typing import Annotated

import typer

trace_app = typer.Typer(
    help="Recordings: make them, look at them, compare them, play them again.",
    no_args_is_help=True,
)

File = Annotated[Path, typer.Argument(metavar="FILE", help="A recording in any format.")]
Json = Annotated[bool, typer.Option("--json", help="Print JSON for programs.")]
Force = Annotated[bool, typer.Option("--force", help="Overwrite what is there.")]


@trace_app.command("record")
def record(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="Where it goes.")],
    via: Annotated[
        str, typer.Option(help="inproc, udp, pcsc, several with commas, or all.")
    ] = "inproc",
    seed: Annotated[int, typer.Option(min=0, help="Random numbers repeat with the seed.")] = 1,
    format: Annotated[
        str | None, typer.Option("--format", help="The suffix tells it if left out.")
    ] = None,
    force: Force = False,
) -> None:
    """Top up a fresh card, let it in and out, and keep all that was said. See `tapbench tap`."""
    from bench.cli.trace_record import record as command

    raise typer.Exit(command(via, file, seed, format, force))


@trace_app.command("show")
def show(
    file: File,
    layer: Annotated[str, typer.Option(help="rf, isodep, apdu or all.")] = "all",
    tap: Annotated[int | None, typer.Option(min=0, help="One tap alone.")] = None,
    as_json: Json = False,
    svg: Annotated[Path | None, typer.Option(help="Write a picture instead.")] = None,
    html: Annotated[Path | None, typer.Option(help="Write a web page instead.")] = None,
) -> None:
    """Show a recording: frames, blocks, APDUs with their fields, and the money."""
    from bench.cli.trace_show import show as command

    command(file, layer, tap, as_json, svg, html)

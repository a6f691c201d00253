"""`tapbench psam`: its options. What it does is in `bench.cli.psam`."""

from pathlib import Path
from typing import Annotated

import typer

psam_app = typer.Typer(help="The reader's secure module as a card.", no_args_is_help=True)


@psam_app.callback()
def _psam() -> None:
    """The reader's secure module as a card."""


@psam_app.command()
def serve(
    via: Annotated[str, typer.Option(help="pcsc.")],
    terminal: Annotated[
        str | None,
        typer.Option(help="Terminal number, 12 digits; the file's, or the sample entry gate's."),
    ] = None,
    file: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE", help="Where number and unresolved transactions outlive the program."
        ),
    ] = None,
    number: Annotated[
        int | None,
        typer.Option(
            min=1, max=0xFFFFFFFF, help="First transaction number of a PSAM that has none yet."
        ),
    ] = None,
    seed: Annotated[
        int | None, typer.Option(min=0, help="Random numbers repeat with the seed.")
    ] = None,
    reader_name: Annotated[
        str, typer.Option(help="Name of the virtual PC/SC reader.")
    ] = "tapbench",
    port: Annotated[
        int | None,
        typer.Option(
            min=0,
            max=65535,
            help="Port of the vpcd driver: of the PSAM's slot with --system, else of the first.",
        ),
    ] = None,
    system: Annotated[
        bool, typer.Option("--system", help="Use the vpcd of a pcscd that already runs.")
    ] = False,
    trace: Annotated[
        Path | None, typer.Option("--trace", help="Keep a recording in a file; see tapbench trace.")
    ] = None,
) -> None:
    """Put a PSAM into the second slot of a virtual PC/SC reader until Ctrl-C."""
    from bench.cli.psam import PsamOptions
    from bench.cli.psam import serve as command

    command(PsamOptions(via, terminal, file, number, seed, reader_name, port, system, trace))

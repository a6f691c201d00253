"""`tapbench station`: its options. What it does is in `bench.cli.station`."""

from pathlib import Path
from typing import Annotated

import typer

from bench.cli.road_options import Json


def station(
    gates: Annotated[list[Path], typer.Argument(metavar="GATE...", help="The gates' files, TOML.")],
    url: Annotated[str, typer.Option("--url", help="The office, such as http://127.0.0.1:8000.")],
    token: Annotated[
        Path, typer.Option("--token-file", metavar="FILE", help="A file with a gate's token.")
    ],
    outbox: Annotated[
        Path, typer.Option(metavar="DIR", help="Where batches wait; made if needed.")
    ] = Path("outbox"),
    every: Annotated[
        float, typer.Option(min=0.0, help="Again after so many seconds, until Ctrl-C; 0: once.")
    ] = 0.0,
    as_json: Json = False,
) -> None:
    """Bring gates the office's newest blacklist, and the office their records, over HTTP.

    Gates that run take a new blacklist over before the next card. While the office cannot be
    reached, batches wait in the outbox.
    """
    from bench.cli.station import station as command

    raise typer.Exit(command(gates, outbox, url, token, every, as_json))

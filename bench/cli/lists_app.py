"""`tapbench lists`: its commands and their options."""

from pathlib import Path
from typing import Annotated

import typer

from bench.cli.road_options import Json

lists_app = typer.Typer(
    help="White lists, blacklists and their updates, as gates hold them.",
    no_args_is_help=True,
)


@lists_app.command()
def show(
    file: Annotated[
        Path, typer.Argument(metavar="FILE", help="A white list, a blacklist, or an update of one.")
    ],
    as_json: Json = False,
) -> None:
    """Check a file and say what it lists. Long ones are cut; --json has all."""
    from bench.cli.lists import show as command

    command(file, as_json)


@lists_app.command("apply")
def apply_(
    held: Annotated[
        Path, typer.Argument(metavar="LIST", help="A gate's blacklist; made if it is not there.")
    ],
    update: Annotated[
        Path, typer.Argument(metavar="UPDATE", help="A full list, or an update of one version.")
    ],
    as_json: Json = False,
) -> None:
    """Bring a gate's blacklist to the version of an update, or leave it as it is and say why."""
    from bench.cli.lists import apply_update as command

    command(held, update, as_json)

"""The commands under `tapbench card` and their options. What they do is in `bench.cli.card`."""

from typing import Annotated

import typer

from bench.cli.road_options import Json

card_app = typer.Typer(
    help="Make, show, change, copy and compare cards that live in files.", no_args_is_help=True
)

Force = Annotated[bool, typer.Option("--force", help="Overwrite a file that is there.")]
File = Annotated[str, typer.Argument(metavar="FILE", help="The card's file.")]


@card_app.command()
def new(
    file: File,
    profile: Annotated[str, typer.Option(help="Which card.")],
    issued: Annotated[
        str, typer.Option(help="Day it was opened, YYYY-MM-DD or today; else the profile's dates.")
    ] = "",
    balance: Annotated[str, typer.Option(help="Money on it, yuan; else the profile's.")] = "",
    serial: Annotated[str, typer.Option(help="19 digits of its PAN; else the profile's.")] = "",
    dialect: Annotated[
        list[str] | None,
        typer.Option(metavar="SWITCH=VALUE", help="A dialect switch; may be given often."),
    ] = None,
    force: Force = False,
) -> None:
    """Make a card of a profile, personalised with the test keys."""
    from bench.cli.card import NewCard
    from bench.cli.card import new as command

    command(file, NewCard(profile, issued, balance, serial, dialect or []), force)


@card_app.command()
def show(file: File) -> None:
    """Print a card as a tree of directories, files and fields. Keys are check values."""
    from bench.cli.card import show as command

    command(file)


@card_app.command("set")
def change(
    file: File,
    fields: Annotated[
        list[str] | None, typer.Argument(metavar="FIELD=VALUE...", help="What to change.")
    ] = None,
) -> None:
    """Change fields of a card, all or none, in one step.

    Amounts are yuan. Without a field, the fields there are named.
    """
    from bench.cli.card import change as command

    command(file, fields or [])


@card_app.command()
def copy(
    source: Annotated[str, typer.Argument(metavar="FROM", help="The card to copy.")],
    target: Annotated[str, typer.Argument(metavar="TO", help="The new file.")],
    force: Force = False,
) -> None:
    """Copy a card."""
    from bench.cli.card import copy as command

    command(source, target, force)


@card_app.command()
def diff(
    one: Annotated[str, typer.Argument(metavar="A", help="A card.")],
    other: Annotated[str, typer.Argument(metavar="B", help="Another card.")],
) -> None:
    """Say in words what differs between two cards; exit code 1 if anything does."""
    from bench.cli.card import diff as command

    raise typer.Exit(command(one, other))


@card_app.command()
def dump(
    file: File,
    as_hex: Annotated[
        bool, typer.Option("--hex", help="Print files in hexadecimal; the default.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Print everything a card holds but its keys, of which JSON has the check values."""
    from bench.cli.card import dump as command

    command(file, as_hex, as_json)


@card_app.command()
def dialects(as_json: Json = False) -> None:
    """List the switches by which cards differ, with the reason each exists."""
    from bench.cli.card import dialects as command

    command(as_json)

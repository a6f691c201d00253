"""The commands on recordings and their options; what each does is in the module of its name."""

from pathlib import Path
from typing import Annotated

import typer

from bench.cli.road_options import Faults, Json, Noise, Seed, Timing, Via

trace_app = typer.Typer(
    help="Recordings: make them, look at them, compare them, play them again.",
    no_args_is_help=True,
)

File = Annotated[Path, typer.Argument(metavar="FILE", help="A recording in any format.")]
From = Annotated[
    str | None, typer.Option("--from", help="Format of the file; the content tells it if left out.")
]
Force = Annotated[bool, typer.Option("--force", help="Overwrite what is there.")]


@trace_app.command("record")
def record(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="Where it goes.")],
    via: Via = "inproc",
    seed: Seed = 1,
    format: Annotated[
        str | None, typer.Option("--format", help="The suffix tells it if left out.")
    ] = None,
    timing: Timing = "none",
    noise: Noise = 0.0,
    faults: Faults = None,
    force: Force = False,
) -> None:
    """Top up a fresh card, let it in and out, and keep all that was said. See `tapbench tap`."""
    from bench.cli.air_options import AirOptions
    from bench.cli.trace_record import record as command

    raise typer.Exit(command(via, file, seed, format, force, AirOptions(timing, noise, faults)))


@trace_app.command("show")
def show(
    file: File,
    layer: Annotated[str, typer.Option(help="rf, isodep, apdu or all.")] = "all",
    tap: Annotated[int | None, typer.Option(min=0, help="One tap alone.")] = None,
    as_json: Json = False,
    svg: Annotated[Path | None, typer.Option(help="Write a picture instead.")] = None,
    html: Annotated[Path | None, typer.Option(help="Write a web page instead.")] = None,
    force: Force = False,
    read_as: From = None,
) -> None:
    """Show a recording: frames, blocks, APDUs with their fields, and the money."""
    from bench.cli.trace_show import ShowOptions
    from bench.cli.trace_show import show as command

    command(file, ShowOptions(layer, tap, as_json, svg, html, force, read_as))


@trace_app.command("diff")
def diff(
    a: Annotated[Path, typer.Argument(metavar="A", help="A recording in any format.")],
    b: Annotated[Path, typer.Argument(metavar="B", help="Another one.")],
    fresh: Annotated[
        bool, typer.Option("--all", help="Compare what differs in every run too.")
    ] = False,
    as_json: Json = False,
    read_as: From = None,
) -> None:
    """Say in words what differs between two recordings; random numbers and MACs aside."""
    from bench.cli.trace_diff import diff as command

    raise typer.Exit(command(a, b, fresh, as_json, read_as))


@trace_app.command("convert")
def convert(
    source: Annotated[Path, typer.Argument(metavar="IN", help="A recording in any format.")],
    target: Annotated[Path, typer.Argument(metavar="OUT", help="The same in another.")],
    read_as: From = None,
    format: Annotated[
        str | None, typer.Option("--to", help="The suffix tells it if left out.")
    ] = None,
    force: Force = False,
) -> None:
    """Write a recording in another format, and say what that cannot hold."""
    from bench.cli.trace_convert import convert as command

    command(source, target, read_as, format, force)


@trace_app.command("wireshark")
def wireshark(
    to: Annotated[
        Path | None, typer.Option(help="Wireshark's folder of settings; your own if left out.")
    ] = None,
    force: Force = False,
) -> None:
    """Install a Wireshark profile that names the purse's commands."""
    from bench.cli.trace_wireshark import wireshark as command

    command(to, force)


@trace_app.command("replay")
def replay(
    file: File,
    role: Annotated[str, typer.Option("--as", help="reader: ask our card. card: answer a reader.")],
    via: Annotated[str, typer.Option(help="The road to our card, or to the reader.")] = "inproc",
    profile: Annotated[str | None, typer.Option(help="As reader: a new card of it.")] = None,
    card: Annotated[
        str | None, typer.Option(help="As reader: a card file; it keeps what happens.")
    ] = None,
    seed: Annotated[int, typer.Option(min=0, help="As reader: the new card's seed.")] = 1,
    reader_name: Annotated[
        str, typer.Option(help="As card: name of the virtual PC/SC reader.")
    ] = "tapbench",
    port: Annotated[
        int | None, typer.Option(min=0, max=65535, help="As card: see tapbench emulate.")
    ] = None,
    system: Annotated[
        bool, typer.Option("--system", help="As card: use a pcscd that already runs.")
    ] = False,
    device: Annotated[
        str, typer.Option(help="As card, with nfc: nfcpy path of a reader that listens.")
    ] = "usb",
    as_json: Json = False,
    read_as: From = None,
) -> None:
    """Play a recorded reader against our card, or a recorded card to a reader."""
    from bench.cli.trace_replay import ReplayOptions
    from bench.cli.trace_replay import replay as command

    options = ReplayOptions(
        role, via, profile, card, seed, as_json, reader_name, port, system, device, read_as
    )
    raise typer.Exit(command(file, options))

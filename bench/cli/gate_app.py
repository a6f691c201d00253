"""`tapbench gate` and `tapbench desk`: their options. What they do is in `bench.cli.gate`."""

from typing import Annotated

import typer

from bench.cli.gate_options import (
    At,
    Config,
    Direction,
    GateBalance,
    Journal,
    NfcDevice,
    Profiles,
    PsamFileOption,
    PsamReader,
    Reader,
    Station,
)
from bench.cli.road_options import Json, Timing, Trace


def gate(
    via: Annotated[str, typer.Option(help="pcsc, nfc, or inproc and air with cards of its own.")],
    direction: Direction = None,
    station: Station = None,
    config: Config = None,
    line: Annotated[str | None, typer.Option(help="The bus line's number, such as 0x0443.")] = None,
    stop: Annotated[int | None, typer.Option(help="The stop the bus is at.")] = None,
    mode: Annotated[
        list[str] | None, typer.Option(metavar="MODE", help="A mode in force; may be repeated.")
    ] = None,
    journal: Journal = None,
    psam: PsamReader = None,
    psam_file: PsamFileOption = None,
    reader: Reader = None,
    device: NfcDevice = "usb",
    profile: Profiles = None,
    balance: GateBalance = None,
    timing: Timing = "none",
    every: Annotated[
        float, typer.Option(min=0.0, help="With inproc or air: seconds before each card.")
    ] = 0.0,
    cards: Annotated[int, typer.Option(min=0, help="Stop after so many cards; 0: never.")] = 0,
    wait: Annotated[
        float, typer.Option(min=0.1, help="With --cards: seconds to wait for each card.")
    ] = 60.0,
    at: At = "",
    display: Annotated[bool, typer.Option("--display", help="Show a live display.")] = False,
    as_json: Json = False,
    trace: Trace = None,
) -> None:
    """Wait for cards at a gate or on a bus and pass or reject them."""
    from bench.cli.gate import GateOptions, RoadOptions
    from bench.cli.gate import gate as command
    from bench.cli.options import parse_whole

    road = RoadOptions(via, reader, device, tuple(profile or ()), balance, timing, every)
    over = {
        "direction": direction,
        "station": station,
        "line": None if line is None else parse_whole(line),
        "stop": stop,
        "modes": mode,
        "journal": journal,
        "psam_reader": psam,
        "psam": psam_file,
    }
    options = GateOptions(road, config, over, cards, wait, at, as_json, display, trace)
    raise typer.Exit(command(options))


def desk(
    operation: Annotated[
        str, typer.Argument(help="missing-entry, missing-exit, over-time or prove.")
    ],
    via: Annotated[str, typer.Option(help="pcsc, nfc, or inproc and air with a card of its own.")],
    station: Station = None,
    config: Config = None,
    origin: Annotated[
        str | None, typer.Option(help="For missing-entry: where the passenger came in.")
    ] = None,
    entered: Annotated[
        str, typer.Option(help="For missing-entry: when; now if it is not known.")
    ] = "",
    journal: Journal = None,
    psam: PsamReader = None,
    psam_file: PsamFileOption = None,
    reader: Reader = None,
    device: NfcDevice = "usb",
    profile: Profiles = None,
    balance: GateBalance = None,
    wait: Annotated[float, typer.Option(min=0.1, help="Seconds to wait for the card.")] = 60.0,
    at: At = "",
    as_json: Json = False,
    trace: Trace = None,
) -> None:
    """Put right at the staff desk what a gate refuses: one card, one transaction."""
    from bench.cli.gate import DeskOptions, GateOptions, RoadOptions
    from bench.cli.gate import staff as command

    road = RoadOptions(via, reader, device, tuple(profile or ()), balance)
    over = {
        "direction": None if config else "entry",
        "station": station,
        "journal": journal,
        "psam_reader": psam,
        "psam": psam_file,
    }
    options = GateOptions(road, config, over, 1, wait, at, as_json, False, trace)
    raise typer.Exit(command(DeskOptions(operation, options, origin, entered)))

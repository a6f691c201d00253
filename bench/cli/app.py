"""The commands and their options. What a command does is in the module of its name, imported when
the command runs, so that `tapbench --help` stays quick.
"""

import signal
import sys
from typing import Annotated

import typer

from bench.problem import Problem

app = typer.Typer(
    help="A Chinese transit card, the radio and the turnstile on one bench, in software.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
bench_app = typer.Typer(help="Measure how fast things are.", no_args_is_help=True)
app.add_typer(bench_app, name="bench")

Json = Annotated[bool, typer.Option("--json", help="Print JSON for programs.")]
Seed = Annotated[int, typer.Option("--seed", min=0, help="Random numbers repeat with the seed.")]


def run_app(arguments: list[str]) -> int:
    """Run one command line. Returns the exit code; problems are told in one sentence."""
    signal.signal(signal.SIGTERM, _terminate)
    try:
        app(arguments, standalone_mode=True, prog_name="tapbench")
    except SystemExit as end:
        return end.code if isinstance(end.code, int) else 1
    except KeyboardInterrupt:
        return 130
    except BrokenPipeError:
        sys.stderr.close()
        return 1
    except Exception as error:
        if not isinstance(error, _known_problems()):
            raise
        print(f"tapbench: {error}", file=sys.stderr)
        return 2
    return 0


def _terminate(signum: int, frame: object) -> None:
    raise KeyboardInterrupt


def _known_problems() -> tuple[type[Exception], ...]:
    """Errors whose message is one sentence for the user."""
    from bench.rig.pcscd import RigError
    from emulator.card.profile import ProfileError
    from emulator.frontends.errors import FrontendError
    from reader.fare import UnknownStation
    from reader.session import ProtocolError, StatusError
    from reader.transport.base import TransportError

    return (
        Problem,
        RigError,
        ProfileError,
        FrontendError,
        UnknownStation,
        ProtocolError,
        StatusError,
        TransportError,
    )


@app.command()
def tap(
    via: Annotated[
        str, typer.Option(help="inproc, udp, pcsc, several with commas, or all.")
    ] = "inproc",
    seed: Seed = 1,
    as_json: Json = False,
) -> None:
    """Top up a fresh student card, let it in and out, and check every cryptogram."""
    from bench.cli.tap import tap as command

    raise typer.Exit(command(via, seed, as_json))


@app.command()
def emulate(
    via: Annotated[str, typer.Option(help="udp or pcsc.")],
    profile: Annotated[str, typer.Option(help="Which card.")] = "student",
    balance: Annotated[str, typer.Option(help="Money on the card, yuan.")] = "50.00",
    issued: Annotated[
        str, typer.Option(help="Day the card was opened, YYYY-MM-DD; today if left out.")
    ] = "",
    reader_name: Annotated[
        str, typer.Option(help="Name of the virtual PC/SC reader.")
    ] = "tapbench",
    port: Annotated[
        int | None,
        typer.Option(
            min=0, max=65535, help="Port of the UDP air or of the vpcd driver; 0 takes a free one."
        ),
    ] = None,
    system: Annotated[
        bool, typer.Option("--system", help="Use the vpcd of a pcscd that already runs.")
    ] = False,
) -> None:
    """Hold a card in the field of a real or virtual reader until Ctrl-C."""
    from bench.cli.emulate import emulate as command

    command(via, profile, balance, issued, reader_name, port, system)


@app.command()
def gate(
    via: Annotated[str, typer.Option(help="pcsc or nfc.")],
    direction: Annotated[str, typer.Option(help="entry or exit.")],
    station: Annotated[str, typer.Option(help="Name (Chinese or English) or code of the station.")],
    reader: Annotated[str | None, typer.Option(help="Part of the PC/SC reader's name.")] = None,
    device: Annotated[
        str, typer.Option(help="nfcpy device path, such as usb, tty:USB0:pn532 or udp:HOST:PORT.")
    ] = "usb",
    cards: Annotated[int, typer.Option(min=0, help="Stop after so many cards; 0: never.")] = 0,
    wait: Annotated[
        float, typer.Option(min=0.1, help="With --cards: seconds to wait for each card.")
    ] = 60.0,
    at: Annotated[
        str, typer.Option(help="The gate's time, YYYY-MM-DDThh:mm:ss; now if left out.")
    ] = "",
    as_json: Json = False,
) -> None:
    """Wait for cards at a gate and pass or reject them."""
    from bench.cli.gate import GateOptions
    from bench.cli.gate import gate as command

    options = GateOptions(via, direction, station, reader, device, cards, wait, at, as_json)
    raise typer.Exit(command(options))


@app.command()
def explain(
    data: Annotated[list[str], typer.Argument(metavar="HEX...", help="One or more byte strings.")],
    as_json: Json = False,
) -> None:
    """Say what a command, response, ATR, ATS, FCI or record means.

    A byte string that follows a command is read as its answer.
    """
    from bench.cli.explain import explain as command

    command(data, as_json)


@app.command()
def doctor(as_json: Json = False) -> None:
    """Look at Python, packages, PC/SC and readers, and say how to mend what is missing."""
    from bench.cli.doctor import doctor as command

    raise typer.Exit(command(as_json))


@bench_app.command("tap")
def bench_tap(
    via: Annotated[
        str, typer.Option(help="inproc, udp, pcsc, several with commas, or all.")
    ] = "all",
    count: Annotated[int, typer.Option(min=10, help="Taps a run on each road.")] = 300,
    runs: Annotated[int, typer.Option(min=1, help="Runs; the table shows their spread.")] = 5,
    pin: Annotated[bool, typer.Option(help="Keep everything on one processor.")] = True,
    as_json: Json = False,
) -> None:
    """Time one APDU and one whole entry tap on each road."""
    from bench.cli.bench_tap import bench_tap as command

    command(via, count, runs, pin, as_json)

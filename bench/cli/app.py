"""The commands and their options. What a command does is in the module of its name, imported when
the command runs, so that `tapbench --help` stays quick.
"""

import errno
import os
import sys
from contextlib import suppress
from pathlib import Path
from typing import Annotated

import typer

from bench.cli.lazy import lazy_group
from bench.cli.road_options import Faults, Json, Noise, Seed, Timing, Trace, Via
from bench.cli.stopping import stopped
from bench.problem import Problem

_ELSEWHERE = {
    "gate": "bench.cli.gate_app:gate",
    "desk": "bench.cli.gate_app:desk",
    "station": "bench.cli.station_app:station",
    "card": "bench.cli.card_app:card_app",
    "psam": "bench.cli.psam_app:psam_app",
    "lists": "bench.cli.lists_app:lists_app",
    "trace": "bench.cli.trace_app:trace_app",
    "conformance": "bench.cli.conformance_app:conformance_app",
    "bench": "bench.cli.bench_app:bench_app",
    "clearing": "bench.cli.clearing_app:clearing_app",
    "issuer": "bench.cli.issuer_app:issuer_app",
    "phone": "bench.cli.phone_app:phone_app",
    "semester": "bench.cli.semester_app:semester",
}

app = typer.Typer(
    cls=lazy_group(_ELSEWHERE),
    help="A Chinese transit card, the radio and the turnstile on one bench, in software.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,  # Rich's frames around the help cost 90 ms
    context_settings={"max_content_width": 100},
)


def run_app(arguments: list[str]) -> int:
    """Run one command line. Returns the exit code; problems are told in one sentence."""
    command = typer.main.get_command(app)
    try:  # not as Typer runs it, which says nothing of Ctrl-C
        with command.make_context("tapbench", arguments) as context:
            code = command.invoke(context)
    except typer.Exit as end:
        return end.exit_code
    except SystemExit as end:
        return end.code if isinstance(end.code, int) else 1
    except (KeyboardInterrupt, typer.Abort):
        return stopped()
    except BrokenPipeError:
        _forget_output()
        return 1
    except Exception as error:
        said = _sentence(error)
        if said is None:
            raise
        if said:
            print(f"tapbench: {said}", file=sys.stderr)
        _flush_output()
        return 2
    return code if isinstance(code, int) else 0


def _sentence(error: Exception) -> str | None:
    """What the user is told of a problem: "" if all is said already, None for a bug of ours."""
    if type(error).__name__ == "NoArgsIsHelpError":  # Typer's own, of a module that is private
        print(error, file=sys.stderr)
        return ""
    if hasattr(error, "format_message"):  # Typer's: a wrong option or argument
        said = " ".join(error.format_message().split()).removesuffix(".")
        return said and f"{said[0].lower()}{said[1:]}; --help shows what there is"
    if isinstance(error, OSError) and error.errno == errno.ENOSPC:
        return "there is no space left for what it prints"  # files have sentences of their own
    return str(error) if isinstance(error, _known_problems()) else None


def _flush_output() -> None:
    try:
        sys.stdout.flush()
    except OSError:
        _forget_output()


def _forget_output() -> None:
    """Nobody reads standard output any more: the flush at the end must not fail as well."""
    with suppress(OSError, ValueError):  # a stream without a descriptor has nothing to flush
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _known_problems() -> tuple[type[Exception], ...]:
    """Errors whose message is one sentence for the user."""
    from bench.device.settings import SettingsError
    from bench.rig.errors import RigError
    from bench.trace_formats import TraceError
    from emulator.card.cardfile import CardFileError
    from emulator.card.profile import ProfileError
    from emulator.frontends.errors import FrontendError
    from emulator.phone import PhoneError
    from fixtures.network import NetworkError
    from issuer.card_access import CardUnfit
    from issuer.client import ServiceError
    from issuer.documents import DocumentError
    from issuer.errors import DatabaseError, RuleError
    from issuer.payer import PayerAway, PayerError
    from issuer.roster_file import RosterError
    from reader.blacklist import BlacklistError
    from reader.fare import UnknownStation
    from reader.fares.bus import UnknownLine, UnknownStop
    from reader.journal import JournalError
    from reader.outbox import OutboxError
    from reader.policy import PolicyError
    from reader.psam_store import PsamFileError
    from reader.session import ProtocolError, StatusError
    from reader.transport.base import TransportError
    from reader.upload import LineError
    from reader.white_list import WhiteListError

    return (
        Problem,
        RigError,
        SettingsError,
        TraceError,
        ProfileError,
        CardFileError,
        FrontendError,
        PhoneError,
        CardUnfit,
        DatabaseError,
        DocumentError,
        PayerAway,
        PayerError,
        RosterError,
        RuleError,
        ServiceError,
        JournalError,
        LineError,
        OutboxError,
        PsamFileError,
        UnknownStation,
        UnknownLine,
        UnknownStop,
        NetworkError,
        PolicyError,
        ProtocolError,
        StatusError,
        TransportError,
        BlacklistError,
        WhiteListError,
    )


@app.command()
def tap(
    via: Via = "inproc",
    seed: Seed = 1,
    as_json: Json = False,
    timing: Timing = "none",
    noise: Noise = 0.0,
    faults: Faults = None,
    trace: Trace = None,
) -> None:
    """Top up a fresh student card, let it in and out, and check every cryptogram."""
    from bench.cli.air_options import AirOptions
    from bench.cli.tap import tap as command

    raise typer.Exit(command(via, seed, as_json, trace, AirOptions(timing, noise, faults)))


@app.command()
def emulate(
    via: Annotated[str, typer.Option(help="udp, pn532, pcsc or nfc.")],
    card: Annotated[
        str | None, typer.Option(help="A card file; the card keeps what happens to it.")
    ] = None,
    profile: Annotated[
        str | None,
        typer.Option(help="Which card; a student's with 50.00 yuan, opened today, if left out."),
    ] = None,
    balance: Annotated[
        str | None, typer.Option(help="Money on it, yuan; the profile's if left out.")
    ] = None,
    issued: Annotated[
        str | None,
        typer.Option(help="Day it was opened, YYYY-MM-DD; the profile's dates if left out."),
    ] = None,
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
    device: Annotated[
        str, typer.Option(help="With nfc: nfcpy path of a reader that listens, or udp:HOST:PORT.")
    ] = "usb",
    phone: Annotated[
        str | None, typer.Option(help="A phone around the card, such as nfc-off.")
    ] = None,
    timing: Annotated[
        str, typer.Option(help="How long the card computes: none, measured or budget.")
    ] = "none",
    trace: Trace = None,
    script: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Turn the card's knobs: TOML or JSON Lines."),
    ] = None,
) -> None:
    """Hold a card in the field of a real or virtual reader until Ctrl-C."""
    from bench.cli.emulate import EmulateOptions
    from bench.cli.emulate import emulate as command

    command(
        EmulateOptions(
            via,
            card,
            profile,
            balance,
            issued,
            reader_name,
            port,
            system,
            device,
            phone,
            trace,
            timing,
            script,
        )
    )


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

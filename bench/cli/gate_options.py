"""Options that gate and staff desk have in common."""

from pathlib import Path
from typing import Annotated

import typer

Direction = Annotated[
    str | None, typer.Option(help="entry or exit; on a bus board, alight or single.")
]
Station = Annotated[
    str | None, typer.Option(help="Name (Chinese or English) or code of the station.")
]
Config = Annotated[
    Path | None, typer.Option(metavar="FILE", help="The terminal's file, TOML; options win.")
]
Journal = Annotated[
    str | None, typer.Option(metavar="FILE", help="Keep every record in a journal.")
]
PsamReader = Annotated[
    str | None, typer.Option(metavar="READER", help="A PC/SC reader with a PSAM in it.")
]
PsamFileOption = Annotated[
    str | None, typer.Option("--psam-file", metavar="FILE", help="Where a soft PSAM is kept.")
]
Reader = Annotated[str | None, typer.Option(help="Part of the PC/SC reader's name.")]
NfcDevice = Annotated[
    str, typer.Option(help="nfcpy device path, such as usb, tty:USB0:pn532 or udp:HOST:PORT.")
]
Profiles = Annotated[
    list[str] | None,
    typer.Option(metavar="NAME", help="With inproc or air: a card to present; may be repeated."),
]
GateBalance = Annotated[
    str | None, typer.Option(metavar="YUAN", help="With inproc or air: what is on each card.")
]
At = Annotated[
    str,
    typer.Option(
        help="The terminal's time, standing still, YYYY-MM-DDThh:mm:ss; if left out now, and with"
        " inproc or air the profiles' day from 08:00 on."
    ),
]

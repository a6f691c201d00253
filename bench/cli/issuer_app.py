"""`tapbench issuer`: its commands and their options. It is the back office, and its counter."""

from pathlib import Path
from typing import Annotated

import typer

from bench.cli.gate_options import NfcDevice, Reader
from bench.cli.office_options import OFFICE, Now, Office, Token, Url
from bench.cli.road_options import Json

issuer_app = typer.Typer(
    help="The back office: students, tokens, the service, the books.", no_args_is_help=True
)

Db = Annotated[
    str,
    typer.Option(
        "--db", metavar="URL", help="A database such as postgresql://user@host/name instead."
    ),
]


@issuer_app.command()
def init(
    office: Office = OFFICE,
    db: Db = "",
    sample: Annotated[
        bool, typer.Option("--sample", help="Take a roster of invented students over.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Make an office: its database and the key of id documents. Done again, it changes nothing."""
    from bench.cli.issuer import Place
    from bench.cli.issuer import init as command

    command(Place(office, db, "", as_json), sample)


@issuer_app.command()
def roster(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="A school's roster, TOML or CSV.")],
    office: Office = OFFICE,
    db: Db = "",
    as_json: Json = False,
) -> None:
    """Take a school's roster over, whole or not at all (R2 to R4)."""
    from bench.cli.issuer import Place
    from bench.cli.issuer import take_roster as command

    command(Place(office, db, "", as_json), file)


@issuer_app.command()
def student(
    school: Annotated[str, typer.Argument(help="The school's code.")],
    number: Annotated[str, typer.Argument(help="The student's number.")],
    office: Office = OFFICE,
    db: Db = "",
    as_json: Json = False,
) -> None:
    """Say how a student stands, and which cards there are."""
    from bench.cli.issuer import Place
    from bench.cli.issuer import student as command

    command(Place(office, db, "", as_json), school, number)


@issuer_app.command()
def token(
    role: Annotated[str, typer.Argument(help="student, staff or gate.")],
    out: Annotated[Path, typer.Option("--out", metavar="FILE", help="Where the token goes.")],
    login: Annotated[str, typer.Option(help="Whose: a login of the App or of staff.")] = "",
    days: Annotated[int, typer.Option(min=1, max=3660, help="How long it is good.")] = 30,
    office: Office = OFFICE,
    db: Db = "",
    now: Now = "",
    as_json: Json = False,
) -> None:
    """Make a token of the service and put it into a file that its owner alone can read."""
    from bench.cli.issuer import Place
    from bench.cli.issuer import make_token as command

    command(Place(office, db, now, as_json), role, login, days, out)


@issuer_app.command()
def revoke(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="The file with the token.")],
    office: Office = OFFICE,
    db: Db = "",
    now: Now = "",
    as_json: Json = False,
) -> None:
    """Make a token worthless from now on, such as of a phone or an outlet that is no more."""
    from bench.cli.issuer import Place
    from bench.cli.issuer import revoke as command

    command(Place(office, db, now, as_json), file)


@issuer_app.command()
def topup(
    yuan: Annotated[str, typer.Argument(help="How much, yuan, such as 50.")],
    key: Annotated[str, typer.Option("--key", help="The idempotency key; the same after a cut.")],
    phone: Annotated[
        Path | None,
        typer.Option("--phone", metavar="DIR", help="The folder of the phone that is presented."),
    ] = None,
    via: Annotated[
        str, typer.Option(help="inproc or air with --phone; pcsc or nfc, a reader.")
    ] = "inproc",
    reader: Reader = None,
    device: NfcDevice = "usb",
    login: Annotated[str, typer.Option(help="The member of staff.")] = "outlet",
    office: Office = OFFICE,
    db: Db = "",
    url: Url = "",
    token: Token = None,
    now: Now = "",
    as_json: Json = False,
) -> None:
    """Top up for cash, at an outlet, whichever card of the office is presented (R25)."""
    from bench.cli.issuer import Place
    from bench.cli.outlet import Counter, Served
    from bench.cli.outlet import top_up as command

    place, counter = Place(office, db, now, as_json), Counter(via, phone, reader, device)
    command(place, Served(url, token), counter, yuan, key, login)


@issuer_app.command()
def refund(
    serial: Annotated[str, typer.Argument(help="The card's serial, 20 digits.")],
    key: Annotated[str, typer.Option("--key", help="The idempotency key of this refund.")],
    login: Annotated[str, typer.Option(help="The member of staff.")] = "outlet",
    office: Office = OFFICE,
    db: Db = "",
    now: Now = "",
    as_json: Json = False,
) -> None:
    """Refund a card in cash at an outlet: from 200 yuan on, or one that cannot be read (R32)."""
    from bench.cli.issuer import Place
    from bench.cli.issuer import outlet_refund as command

    command(Place(office, db, now, as_json), serial, key, login)


@issuer_app.command("set-free")
def set_free(
    school: Annotated[str, typer.Argument(help="The school's code.")],
    number: Annotated[str, typer.Argument(help="The student number on the roster.")],
    login: Annotated[str, typer.Option(help="The member of staff.")] = "outlet",
    office: Office = OFFICE,
    db: Db = "",
    now: Now = "",
    as_json: Json = False,
) -> None:
    """Free a student who has lost the login: a new account takes the cards over (R5)."""
    from bench.cli.issuer import Place
    from bench.cli.issuer import set_free as command

    command(Place(office, db, now, as_json), school, number, login)


@issuer_app.command("allow-renewal")
def allow_renewal(
    serial: Annotated[str, typer.Argument(help="The card's serial, 20 digits.")],
    login: Annotated[str, typer.Option(help="The member of staff.")] = "outlet",
    office: Office = OFFICE,
    db: Db = "",
    now: Now = "",
    as_json: Json = False,
) -> None:
    """Let a card be renewed again that has refused the MAC twice, once it is known why (R28)."""
    from bench.cli.issuer import Place
    from bench.cli.issuer import allow_renewal as command

    command(Place(office, db, now, as_json), serial, login)


@issuer_app.command()
def settle(office: Office = OFFICE, db: Db = "", now: Now = "", as_json: Json = False) -> None:
    """Settle the balances of lost cards whose time is over (R29)."""
    from bench.cli.issuer import Place
    from bench.cli.issuer import settle as command

    command(Place(office, db, now, as_json))


@issuer_app.command()
def report(office: Office = OFFICE, db: Db = "", as_json: Json = False) -> None:
    """Count cards and students, and show the balances of the ledger."""
    from bench.cli.issuer import Place
    from bench.cli.issuer import report as command

    command(Place(office, db, "", as_json))


@issuer_app.command()
def verify(office: Office = OFFICE, db: Db = "", as_json: Json = False) -> None:
    """Examine the audit log and the ledger; exit code 1 if something is wrong."""
    from bench.cli.issuer import Place
    from bench.cli.issuer import verify as command

    raise typer.Exit(command(Place(office, db, "", as_json)))


@issuer_app.command()
def serve(
    office: Office = OFFICE,
    db: Db = "",
    host: Annotated[str, typer.Option(help="The address; only this machine, if left out.")] = (
        "127.0.0.1"
    ),
    port: Annotated[int, typer.Option(min=0, max=65535, help="0 takes a free one.")] = 8000,
    now: Now = "",
) -> None:
    """Serve phones, outlets and gates over HTTP until Ctrl-C. Its log is JSON, a line a request.

    With --now the service's time begins there and goes on.
    """
    from bench.cli.issuer import Place
    from bench.cli.serve import serve as command

    command(Place(office, db, now, False), host, port)

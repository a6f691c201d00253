"""`tapbench phone`: its commands and their options. It plays a student with a phone."""

from pathlib import Path
from typing import Annotated

import typer

phone_app = typer.Typer(
    help="Play a student: open a card in a phone, top it up, renew, lose and return it.",
    no_args_is_help=True,
)

Folder = Annotated[Path, typer.Option("--phone", metavar="DIR", help="The phone's folder.")]
Office = Annotated[
    Path, typer.Option("--office", metavar="DIR", help="The office's folder, made if needed.")
]
Url = Annotated[str, typer.Option("--url", help="A service such as http://127.0.0.1:8000 instead.")]
Token = Annotated[
    Path | None,
    typer.Option("--token-file", metavar="FILE", help="With --url: a file with the token."),
]
Now = Annotated[
    str, typer.Option("--now", help="The time, such as 2026-09-30T23:59:50+08:00; else the clock.")
]
Key = Annotated[
    str, typer.Option("--key", help="The idempotency key; made, and kept after a cut, if left out.")
]
Json = Annotated[bool, typer.Option("--json", help="Print JSON for programs.")]
Sets = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="FIELD=VALUE", help="A field of the phone; may be repeated."),
]
PHONE, OFFICE = Path("phone"), Path("office")


@phone_app.command()
def new(
    login: Annotated[str, typer.Argument(help="The App's login, such as xiaoming.")],
    phone: Folder = PHONE,
    brand: Annotated[str, typer.Option(help="Huawei, Honor, Xiaomi, Apple or other.")] = "Huawei",
    model: Annotated[str, typer.Option(help="The phone's name.")] = "HUAWEI Mate 50",
    sets: Sets = None,
) -> None:
    """Take a phone that is just as the seed asks, logged in to the App."""
    from bench.cli.phone import new as command

    command(phone, login, brand, model, sets or [])


@phone_app.command("set")
def change(
    fields: Annotated[list[str], typer.Argument(metavar="FIELD=VALUE...")],
    phone: Folder = PHONE,
) -> None:
    """Change a phone, such as is_nfc_on=no or app=6.0.0.0."""
    from bench.cli.phone import change as command

    command(phone, fields)


@phone_app.command()
def prove(
    school: Annotated[str, typer.Option(help="The school's code.")],
    number: Annotated[str, typer.Option(help="The student's number.")],
    name: Annotated[str, typer.Option(help="The student's name.")],
    document: Annotated[str, typer.Option(help="The id document's number.")],
    phone: Folder = PHONE,
    office: Office = OFFICE,
    url: Url = "",
    token: Token = None,
    now: Now = "",
    as_json: Json = False,
) -> None:
    """Prove to 高校服务 who the student is (R5)."""
    from bench.cli.phone import Place
    from bench.cli.phone import prove as command

    who = (school, number, name, document)
    command(Place(phone, office, url, token, now, as_json), who)


@phone_app.command()
def check(
    phone: Folder = PHONE,
    office: Office = OFFICE,
    url: Url = "",
    token: Token = None,
    now: Now = "",
    as_json: Json = False,
) -> None:
    """Say of every rule whether it lets the student open a card; exit code 1 if one fails."""
    from bench.cli.phone import Place
    from bench.cli.phone import check as command

    raise typer.Exit(command(Place(phone, office, url, token, now, as_json)))


@phone_app.command("open")
def open_(
    phone: Folder = PHONE,
    office: Office = OFFICE,
    url: Url = "",
    token: Token = None,
    now: Now = "",
    key: Key = "",
    as_json: Json = False,
) -> None:
    """Open the student's card in the phone (R24)."""
    from bench.cli.phone import Place
    from bench.cli.phone import open_card as command

    command(Place(phone, office, url, token, now, as_json), key)


@phone_app.command()
def topup(
    yuan: Annotated[str, typer.Argument(help="How much, yuan, such as 50.")],
    phone: Folder = PHONE,
    office: Office = OFFICE,
    url: Url = "",
    token: Token = None,
    now: Now = "",
    key: Key = "",
    as_json: Json = False,
) -> None:
    """Top the card up (R25)."""
    from bench.cli.phone import Place
    from bench.cli.phone import top_up as command

    command(Place(phone, office, url, token, now, as_json), yuan, key)


@phone_app.command()
def renew(
    phone: Folder = PHONE,
    office: Office = OFFICE,
    url: Url = "",
    token: Token = None,
    now: Now = "",
    key: Key = "",
    as_json: Json = False,
) -> None:
    """Renew the card to the next 30 September, from 30 July on (R27, R28)."""
    from bench.cli.phone import Place
    from bench.cli.phone import renew as command

    command(Place(phone, office, url, token, now, as_json), key)


@phone_app.command()
def lost(
    phone: Folder = PHONE,
    office: Office = OFFICE,
    url: Url = "",
    token: Token = None,
    now: Now = "",
    key: Key = "",
    serial: Annotated[
        str, typer.Option(help="Which card, its 20 digits; needed only if there may be several.")
    ] = "",
    as_json: Json = False,
) -> None:
    """Report the student's card lost; then a new one may be opened (R29)."""
    from bench.cli.phone import Place
    from bench.cli.phone import report_lost as command

    command(Place(phone, office, url, token, now, as_json), key, serial)


@phone_app.command()
def carry(
    phone: Folder = PHONE,
    office: Office = OFFICE,
    url: Url = "",
    token: Token = None,
    now: Now = "",
    key: Key = "",
    as_json: Json = False,
) -> None:
    """Load what a lost card held onto the new one, once that is settled (R29)."""
    from bench.cli.phone import Place
    from bench.cli.phone import carry as command

    command(Place(phone, office, url, token, now, as_json), key)


@phone_app.command("return")
def return_(
    phone: Folder = PHONE,
    office: Office = OFFICE,
    url: Url = "",
    token: Token = None,
    now: Now = "",
    key: Key = "",
    as_json: Json = False,
) -> None:
    """Return the card: the money comes off it, and it is blocked for good (R33)."""
    from bench.cli.phone import Place
    from bench.cli.phone import give_back as command

    command(Place(phone, office, url, token, now, as_json), key)


@phone_app.command()
def refund(
    phone: Folder = PHONE,
    office: Office = OFFICE,
    url: Url = "",
    token: Token = None,
    now: Now = "",
    key: Key = "",
    as_json: Json = False,
) -> None:
    """Get a returned card's money back, below 200 yuan (R31, R32)."""
    from bench.cli.phone import Place
    from bench.cli.phone import refund as command

    command(Place(phone, office, url, token, now, as_json), key)


@phone_app.command()
def show(
    phone: Folder = PHONE,
    office: Office = OFFICE,
    url: Url = "",
    token: Token = None,
    now: Now = "",
    as_json: Json = False,
) -> None:
    """Show the page 手机一卡通: the card, its balance, its days and its last trips (R20)."""
    from bench.cli.phone import Place
    from bench.cli.phone import show as command

    command(Place(phone, office, url, token, now, as_json))

"""`tapbench phone`: its commands and their options. It plays a student with a phone."""

import inspect
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from bench.cli.office_options import OFFICE, Now, Office, Token, Url
from bench.cli.road_options import Json

if TYPE_CHECKING:
    from bench.cli.phone import Place

phone_app = typer.Typer(
    help="Play a student: open a card in a phone, top it up, renew, lose and return it.",
    no_args_is_help=True,
)

Folder = Annotated[Path, typer.Option("--phone", metavar="DIR", help="The phone's folder.")]
Key = Annotated[
    str, typer.Option("--key", help="The idempotency key; made, and kept after a cut, if left out.")
]
Sets = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="FIELD=VALUE", help="A field of the phone; may be repeated."),
]
PHONE = Path("phone")


def _placed(
    phone: Folder = PHONE,
    office: Office = OFFICE,
    url: Url = "",
    token: Token = None,
    now: Now = "",
    as_json: Json = False,
) -> "Place":
    from bench.cli.phone import Place

    return Place(phone, office, url, token, now, as_json)


def _command(name: str) -> Callable[[Callable[..., None]], None]:
    """A command for a phone at an office: it gets a `Place`, from the options of `_placed`."""

    def add(act: Callable[..., None]) -> None:
        shared = inspect.signature(_placed).parameters
        own = [one for one in inspect.signature(act).parameters.values() if one.name != "place"]

        def command(**told: object) -> None:
            place = _placed(**{one: told.pop(one) for one in shared})  # type: ignore[arg-type]
            act(place, **told)

        asked = [
            one.replace(kind=inspect.Parameter.KEYWORD_ONLY) for one in (*own, *shared.values())
        ]
        command.__signature__ = inspect.Signature(asked)  # type: ignore[attr-defined]
        command.__doc__ = act.__doc__
        phone_app.command(name)(command)

    return add


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


@_command("prove")
def prove(
    place: "Place",
    school: Annotated[str, typer.Option(help="The school's code.")],
    number: Annotated[str, typer.Option(help="The student's number.")],
    name: Annotated[str, typer.Option(help="The student's name.")],
    document: Annotated[str, typer.Option(help="The id document's number.")],
) -> None:
    """Prove to 高校服务 who the student is (R5)."""
    from bench.cli.phone import prove as command

    command(place, (school, number, name, document))


@_command("check")
def check(place: "Place") -> None:
    """Say of every rule whether it lets the student open a card; exit code 1 if one fails."""
    from bench.cli.phone import check as command

    raise typer.Exit(command(place))


@_command("open")
def open_(place: "Place", key: Key = "") -> None:
    """Open the student's card in the phone (R24)."""
    from bench.cli.phone import open_card as command

    command(place, key)


@_command("give-up")
def give_up(place: "Place", key: Key = "") -> None:
    """Give up an opening that was begun and cannot be ended, such as in a broken phone (R24)."""
    from bench.cli.phone import give_up as command

    command(place, key)


@_command("topup")
def topup(
    place: "Place",
    yuan: Annotated[str, typer.Argument(help="How much, yuan, such as 50.")],
    key: Key = "",
) -> None:
    """Top the card up (R25)."""
    from bench.cli.phone import top_up as command

    command(place, yuan, key)


@_command("renew")
def renew(place: "Place", key: Key = "") -> None:
    """Renew the card to the next 30 September, from 30 July on (R27, R28)."""
    from bench.cli.phone import renew as command

    command(place, key)


@_command("lost")
def lost(
    place: "Place",
    key: Key = "",
    serial: Annotated[
        str, typer.Option(help="Which card, its 20 digits; needed only if there may be several.")
    ] = "",
) -> None:
    """Report the student's card lost; then a new one may be opened (R29)."""
    from bench.cli.phone import report_lost as command

    command(place, key, serial)


@_command("carry")
def carry(place: "Place", key: Key = "") -> None:
    """Load what a lost card held onto the new one, once that is settled (R29)."""
    from bench.cli.phone import carry as command

    command(place, key)


@_command("return")
def return_(place: "Place", key: Key = "") -> None:
    """Return the card: the money comes off it, and it is blocked for good (R33)."""
    from bench.cli.phone import give_back as command

    command(place, key)


@_command("refund")
def refund(place: "Place", key: Key = "") -> None:
    """Get a returned card's money back, below 200 yuan (R31, R32)."""
    from bench.cli.phone import refund as command

    command(place, key)


@_command("show")
def show(place: "Place") -> None:
    """Show the page 手机一卡通: the card, its balance, its days and its last trips (R20)."""
    from bench.cli.phone import show as command

    command(place)

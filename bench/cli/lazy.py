"""Commands whose options are read when they are asked for: most starts need one of them."""

from collections.abc import Mapping
from importlib import import_module
from typing import Any

import typer
from typer.core import TyperCommand, TyperGroup


def lazy_group(places: Mapping[str, str]) -> type[TyperGroup]:
    """A class of group that knows where its commands are.

    places: by name, `module:attribute` of a Typer or of a command's function, in the help's order
    after the commands that are there already.
    """

    class Lazy(TyperGroup):
        def list_commands(self, ctx: Any) -> list[str]:  # noqa: ANN401 - Typer keeps its type private
            return [*super().list_commands(ctx), *places]

        def get_command(self, ctx: Any, cmd_name: str) -> Any:  # noqa: ANN401 - private types
            if cmd_name in places and cmd_name not in self.commands:
                self.commands[cmd_name] = _made(cmd_name, places[cmd_name])
            return super().get_command(ctx, cmd_name)

    return Lazy


def _made(name: str, place: str) -> TyperCommand | TyperGroup:
    module, attribute = place.split(":")
    found = getattr(import_module(module), attribute)
    # A group around it gives it the name, and help without frames.
    around = typer.Typer(add_completion=False, rich_markup_mode=None)
    around.callback()(_nothing)
    if isinstance(found, typer.Typer):
        around.add_typer(found, name=name)
    else:
        around.command(name)(found)
    group: Any = typer.main.get_command(around)
    made: TyperCommand | TyperGroup = group.commands[name]
    return made


def _nothing() -> None:
    """Makes a group of an app with a single command."""

"""`tapbench semester`: its options."""

from pathlib import Path
from typing import Annotated

import typer

from bench.cli.road_options import Json


def semester(
    students: Annotated[int, typer.Option(min=1, max=10_000, help="How many students.")] = 200,
    days: Annotated[
        int, typer.Option(min=1, max=1000, help="How many days, from 1 September 2025 on.")
    ] = 400,
    seed: Annotated[int, typer.Option(help="The same seed, the same year.")] = 1,
    out: Annotated[
        Path | None,
        typer.Option(metavar="DIR", help="Keep the office, a picture and the figures here."),
    ] = None,
    as_json: Json = False,
) -> None:
    """Live a school year of students with cards, and balance the books."""
    from bench.cli.semester import semester as command

    raise typer.Exit(command(students, days, seed, out, as_json))

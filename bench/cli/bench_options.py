"""Options that the benchmarks have in common."""

from pathlib import Path
from typing import Annotated

import typer

Runs = Annotated[int, typer.Option(min=1, max=1000, help="Runs; tables show their spread.")]
Pin = Annotated[bool, typer.Option(help="Keep everything on one processor.")]
Html = Annotated[
    Path | None, typer.Option("--html", metavar="FILE", help="Write a page with charts.")
]
Force = Annotated[bool, typer.Option("--force", help="Overwrite a file that is there.")]
MaxRegression = Annotated[
    str, typer.Option(metavar="PERCENT", help="Fail if something got worse by more.")
]

"""Options that `tapbench issuer`, `tapbench phone` and `tapbench station` have in common."""

from pathlib import Path
from typing import Annotated

import typer

OFFICE = Path("office")

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

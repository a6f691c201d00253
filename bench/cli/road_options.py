"""Options that several commands have: the road, the seed, the air, JSON and a recording."""

from pathlib import Path
from typing import Annotated

import typer

Via = Annotated[
    str, typer.Option(help="inproc, air, udp, pn532, pcsc, several with commas, or all.")
]
Seed = Annotated[int, typer.Option("--seed", min=0, help="Random numbers repeat with the seed.")]
Timing = Annotated[
    str, typer.Option(help="With air: how long card and PSAM compute, measured or budget.")
]
Noise = Annotated[
    float, typer.Option(min=0.0, max=1.0, help="With air: the share of frames that suffer.")
]
Faults = Annotated[
    Path | None, typer.Option(metavar="FILE", help="With air: what goes wrong, JSON Lines.")
]
Json = Annotated[bool, typer.Option("--json", help="Print JSON for programs.")]
Trace = Annotated[
    Path | None, typer.Option("--trace", help="Keep a recording in a file; see tapbench trace.")
]

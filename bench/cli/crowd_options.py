"""Options of crowds at gates, and what is made of them."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from importlib.util import find_spec
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TextColumn,
    TimeRemainingColumn,
)
from rich.table import Table

from bench.cli.air_options import find_timing
from bench.problem import Problem
from emulator.radio.timing import RATES_KBIT
from reader.barrier import NORMALLY_CLOSED, NORMALLY_OPEN
from reader.modes import Mode
from reader.policy import Policy

Timing = Annotated[
    str, typer.Option(help="How long card and PSAM compute: none, measured or budget.")
]
Kbit = Annotated[int, typer.Option(help="Bit rate asked for: 106, 212, 424 or 848 kbit/s.")]
Barrier = Annotated[
    str | None, typer.Option(help="normally_closed or normally_open; on a bus there is none.")
]
Cards = Annotated[
    str | None,
    typer.Option(
        metavar="MIX",
        help="Cards by weight, NAME[:YUAN]=WEIGHT with commas; student:50 if left out.",
    ),
]
Carriers = Annotated[
    str | None,
    typer.Option(
        metavar="MIX", help="plastic and phones by weight, such as plastic=4,huawei-ese=6."
    ),
]
Early = Annotated[float, typer.Option(help="Share that takes the card away early and taps again.")]
Hold = Annotated[float, typer.Option(help="Who is early holds the card up to so many seconds.")]
Noise = Annotated[float, typer.Option(help="Share of frames that suffer on air.")]
PhoneWake = Annotated[float, typer.Option(help="Until a phone answers REQA, ms. Assumed.")]
PhoneSecure = Annotated[
    float, typer.Option(help="A secure element's or SIM's more a command, ms. Assumed.")
]
PhoneApp = Annotated[float, typer.Option(help="An app's more a command, ms. Assumed.")]
Gap = Annotated[float, typer.Option(help="From person to person at the reader, s. Assumed.")]
GapSpread = Annotated[float, typer.Option(help="Its standard deviation, as a share. Assumed.")]
Open = Annotated[float, typer.Option("--open", help="Motion of the barrier, s. Assumed.")]
Walk = Annotated[float, typer.Option(help="Through an open barrier, s. Assumed.")]
BackOut = Annotated[float, typer.Option(help="Away from the reader when refused, s. Assumed.")]
Retap = Annotated[float, typer.Option(help="Until a card is held up again, s. Assumed.")]
Tries = Annotated[int, typer.Option(help="Taps after which a passenger gives up.")]
Modes = Annotated[
    list[str] | None, typer.Option("--mode", help="A mode of the gate; may be repeated.")
]
Model = Annotated[
    bool, typer.Option("--model", help="Draw service times of live taps measured beforehand.")
]
Samples = Annotated[int, typer.Option(help="With --model: live passengers of each kind.")]
Html = Annotated[Path | None, typer.Option("--html", metavar="FILE", help="A page with charts.")]
Force = Annotated[bool, typer.Option("--force", help="Overwrite a file that is there.")]


@dataclass(frozen=True, slots=True)
class CrowdOptions:
    """What the command line says of people, cards and readers. See the options above.

    early: None for the share that a crowd's file says.
    """

    timing: str = "measured"
    kbit: int = 106
    barrier: str | None = None
    cards: str | None = None
    carriers: str | None = None
    early: float | None = 0.0
    hold: float = 0.3
    noise: float = 0.0
    phones: tuple[float, float, float] = (100.0, 10.0, 25.0)
    pace: tuple[float, float, float, float, float, float, int] = (
        0.8, 0.3, 0.3, 0.7, 2.5, 1.0, 3,
    )  # fmt: skip
    modes: tuple[str, ...] = ()
    seed: int = 1


def gear_of(options: CrowdOptions, barrier: str = NORMALLY_CLOSED) -> Any:  # noqa: ANN401 - lazy
    """The readers. barrier: where none is asked for. Raises Problem."""
    from bench.throughput.crowd.people import Phones
    from bench.throughput.crowd.taps import Gear

    if options.kbit not in RATES_KBIT:
        known = ", ".join(map(str, RATES_KBIT))
        raise Problem(f"there is no bit rate {options.kbit} kbit/s; choose one of: {known}")
    wanted = options.barrier or barrier
    if wanted not in (NORMALLY_CLOSED, NORMALLY_OPEN):
        raise Problem(
            f"there is no barrier '{wanted}'; choose {NORMALLY_CLOSED} or {NORMALLY_OPEN}"
        )
    return Gear(
        find_timing(options.timing),
        RATES_KBIT.index(options.kbit),
        Phones(*options.phones),
        options.noise,
        replace(Policy(), barrier=wanted),
        options.seed,
    )


def habits_of(options: CrowdOptions, cards: str, carriers: str) -> Any:  # noqa: ANN401 - lazy
    """The passengers. cards, carriers: where none are asked for. Raises Problem."""
    from bench.throughput.crowd.people import Habits, read_cards, read_carriers

    return Habits(
        read_cards(options.cards or cards),
        read_carriers(options.carriers or carriers),
        options.early or 0.0,
        options.hold,
    )


def modes_of(words: tuple[str, ...]) -> frozenset[Mode]:
    """Modes by name. Raises Problem."""
    try:
        return frozenset(Mode(word) for word in words)
    except ValueError:
        known = {mode.value for mode in Mode}
        wrong = next(word for word in words if word not in known)
        raise Problem(
            f"there is no mode '{wrong}'; choose one of: {', '.join(sorted(known))}"
        ) from None


def demand_packages() -> None:
    """See that what crowds need is installed. Raises Problem."""
    for package in ("hdrh", "matplotlib", "simpy"):
        if find_spec(package) is None:
            raise Problem(f"{package} is missing; install it with pip install 'tapbench[bench]'")


@contextmanager
def progress(what: str, total: int | None) -> Iterator[Any]:
    """A bar on standard error where somebody looks. Yields a function that moves it by one."""
    console = Console(stderr=True)
    columns = (TextColumn(what), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(
        *columns, console=console, transient=True, disable=not sys.stderr.isatty()
    ) as bar:
        task = bar.add_task(what, total=total)
        yield lambda: bar.advance(task)


def print_table(title: str, heads: tuple[str, ...], rows: Any) -> None:  # noqa: ANN401 - of cells
    """A table; the first column names the row."""
    table = Table(title=title, title_justify="left")
    for number, head in enumerate(heads):
        table.add_column(head, justify="right" if number else "left")
    for row in rows:
        table.add_row(*row)
    console = Console()
    if not console.is_terminal:
        console.width = 140
    console.print(table)

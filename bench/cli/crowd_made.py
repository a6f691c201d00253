"""What is made of the options of crowds: readers, passengers; and how results are shown."""

import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from importlib.util import find_spec
from typing import TYPE_CHECKING

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TextColumn,
    TimeRemainingColumn,
)

from bench.cli.air_options import find_timing
from bench.cli.bench_show import Output, print_grid
from bench.cli.crowd_options import CrowdOptions
from bench.files import write_whole
from bench.problem import Problem
from bench.throughput.document import Document
from bench.throughput.page import Grid, Picture, page_html
from emulator.radio.timing import RATES_KBIT
from reader.barrier import NORMALLY_CLOSED, NORMALLY_OPEN
from reader.modes import Mode
from reader.policy import Policy

if TYPE_CHECKING:  # they need packages of the extra
    from bench.throughput.crowd.people import Habits
    from bench.throughput.crowd.taps import Gear
    from fixtures.timing import Timing

Parts = Callable[[], Iterable[Grid | Picture | str]]
"""Makes what a page holds, in order: drawing takes a second."""


def gear_of(options: CrowdOptions, barrier: str = NORMALLY_CLOSED) -> "Gear":
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


def habits_of(options: CrowdOptions, cards: str, carriers: str) -> "Habits":
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
def progress(what: str, total: int | None) -> Iterator[Callable[[], None]]:
    """A bar on standard error where somebody looks. Yields a function that moves it by one."""
    console = Console(stderr=True)
    columns = (TextColumn(what), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(
        *columns, console=console, transient=True, disable=not sys.stderr.isatty()
    ) as bar:
        task = bar.add_task(what, total=total)
        yield lambda: bar.advance(task)


def print_table(title: str, heads: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> None:
    """A table; the first column names the row."""
    print_grid(Grid(title, heads, list(rows)))


def write_page(output: Output, title: str, document: Document, parts: Parts) -> None:
    """Write the page that was asked for, if one was. Raises Problem."""
    if output.html is not None:
        write_whole(output.html, page_html(title, document, parts()).encode(), output.force)
        print(f"{output.html} written", file=sys.stderr)


def ended(incomplete: str) -> int:
    """The exit code, after a sentence on standard error if the crowd was not through."""
    if incomplete:
        print(f"tapbench: {incomplete}", file=sys.stderr)
        return 130
    return 0


def basis(timing: "Timing | None") -> str:
    """What the figures are, for whoever quotes them: simulated, and on which assumptions."""
    times = "card and PSAM take no time"
    if timing is not None:
        times = f"times of card and PSAM are {timing.title.replace(':', ',', 1)}"
    return (
        "Simulated, not measured at a gate: real transactions of gate and card over a computed"
        f" air; {times}; walking, barrier and phones are assumed (docs/throughput.md)."
    )

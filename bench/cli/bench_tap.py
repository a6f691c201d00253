"""`tapbench bench tap`: one APDU and one entry tap on each road."""

import json
import platform
import sys
from dataclasses import asdict
from importlib.metadata import PackageNotFoundError, version
from typing import Any, NamedTuple

from rich.console import Console
from rich.progress import Progress
from rich.table import Table

from bench.rig.pcscd import RigError
from bench.roads import choose
from bench.throughput.tap import (
    RecordingCost,
    RoadFigures,
    Shares,
    UdpCost,
    measure,
    one_processor,
    recording_cost,
    shares,
    udp_cost,
)
from emulator.frontends.errors import FrontendError
from reader.transport.base import ReaderFault


def bench_tap(via: str, count: int, runs: int, pin: bool, as_json: bool) -> None:
    """Measure and print. A road this machine lacks is named and left out if others remain."""
    names = choose(via)
    figures: dict[str, RoadFigures] = {}
    with (
        one_processor(pin) as processor,
        Progress(console=Console(stderr=True), transient=True) as progress,
    ):
        task = progress.add_task("measuring", total=len(names) * runs + 1)
        for name in names:
            try:
                figures[name] = measure(name, count, runs, lambda: progress.advance(task))
            except (RigError, FrontendError, ReaderFault) as error:
                if via != "all":
                    raise
                print(f"{name}: left out, {error}", file=sys.stderr)
        all_taps = count * runs
        udp = udp_cost(all_taps) if "udp" in figures else None
        taken = Costs(shares(all_taps), recording_cost(all_taps), udp)
        progress.advance(task)
    if as_json:
        print(json.dumps(_as_json(figures, taken, count, runs, processor), indent=2))
    else:
        _print(figures, taken, count, runs, processor)


class Costs(NamedTuple):
    """Where the time of a tap in process goes, what recording it adds, what the UDP card costs."""

    split: Shares
    recording: RecordingCost
    udp: UdpCost | None


def machine(processor: int | None) -> dict[str, str]:
    """What the figures were taken on. processor: the one everything ran on, None for all."""
    return {
        "python": platform.python_version(),
        "machine": platform.machine(),
        "system": platform.platform(),
        "processors": "all" if processor is None else f"pinned to {processor}",
        "cryptography": version("cryptography"),
        "tapbench": _own_version(),
    }


def _own_version() -> str:
    try:
        return version("tapbench")
    except PackageNotFoundError:
        return "from a checkout"


def _as_json(
    figures: dict[str, RoadFigures],
    taken: Costs,
    count: int,
    runs: int,
    processor: int | None,
) -> dict[str, Any]:
    return {
        "machine": machine(processor),
        "taps_per_run": count,
        "runs": runs,
        "unit": "us",
        "roads": {
            name: asdict(f) | {"taps_per_second": f.taps_per_second} for name, f in figures.items()
        },
        "in_process": asdict(taken.split) | {"rest": taken.split.rest},
        "recording": asdict(taken.recording) | {"share": taken.recording.share},
        "udp": asdict(taken.udp) | {"ratio": taken.udp.ratio} if taken.udp else None,
    }


def _print(
    figures: dict[str, RoadFigures],
    taken: Costs,
    count: int,
    runs: int,
    processor: int | None,
) -> None:
    table = Table(title=f"Entry tap: 10 card APDUs + 2 PSAM; {runs} runs of {count}; microseconds")
    table.add_column("road")
    for head in ("APDU p50", "p90", "medians", "tap p50", "p90", "medians", "taps/s"):
        table.add_column(head, justify="right")
    for name, f in figures.items():
        table.add_row(
            name,
            f"{f.apdu.p50:.1f}",
            f"{f.apdu.p90:.1f}",
            f"{f.apdu.spread[0]:.1f}-{f.apdu.spread[1]:.1f}",
            f"{f.tap.p50:.0f}",
            f"{f.tap.p90:.0f}",
            f"{f.tap.spread[0]:.0f}-{f.tap.spread[1]:.0f}",
            f"{f.taps_per_second:,.0f}",
        )
    console = Console()
    console.print(table)
    split, recording, udp = taken
    parts = (("codec", split.codec), ("cryptograms", split.crypto), ("the rest", split.rest))
    shown = ", ".join(f"{name} {us:.0f} us ({us / split.tap:.0%})" for name, us in parts)
    console.print(f"A tap in process is {split.tap:.0f} us: {shown}.")
    console.print(
        f"recording on: {recording.share:+.0%}, {recording.recorded:.0f} us against "
        f"{recording.without:.0f} us, taps in turn."
    )
    if udp is not None:
        console.print(
            f"One APDU over UDP is {udp.ours:.1f} us, {udp.ratio:.2f} times a canned responder "
            f"behind the same nfcpy ({udp.floor:.1f} us)."
        )
    console.print(", ".join(f"{k} {v}" for k, v in machine(processor).items()), style="dim")

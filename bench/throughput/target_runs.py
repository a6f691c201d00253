"""What measures each target, see `bench.throughput.targets`."""

import os
import resource
import subprocess
import sys
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory

from apdu.trace import explain_exchange
from bench.rig.errors import RigError
from bench.throughput import card as alone
from bench.throughput.card import card_measures
from bench.throughput.codec import codec_measures
from bench.throughput.costs import recording_cost, road_cost, seven_over_pcsc
from bench.throughput.growth import MILLION, SIZES, growth_measures, ratio_name
from bench.throughput.histogram import Measure, Spread
from bench.throughput.repeat import timed
from bench.throughput.seven import BALANCE, READ_15, SELECT_PURSE, SevenTap
from bench.throughput.tap import Plan, time_road
from bench.throughput.targets import Effort, NotMeasured
from bench.throughput.vicc import vicc_read
from emulator.frontends.errors import FrontendError
from reader.transport.base import ReaderFault

Found = Mapping[str, Measure]

_COUNT = 2000
_TAPS = 300
_STARTS = 3


def _card(effort: Effort, *names: str) -> dict[str, Measure]:
    return card_measures(effort.count(_COUNT), effort.runs, names=frozenset(names))


def cryptograms(effort: Effort) -> Found:
    """T1."""
    found = _card(effort, alone.CARD_CRYPTO, alone.FLOOR)
    return {"against the floor": found[alone.CRYPTO_RATIO]}


def codec(effort: Effort) -> Found:
    """T2."""
    found = codec_measures(effort.runs)
    return {
        "one command": found["codec by the table"],
        "against struct by hand": found["codec by the table / by hand"],
    }


def reads(effort: Effort) -> Found:
    """T3."""
    found = _card(effort, alone.READ, alone.GET)
    made = {"READ BINARY": found[alone.READ], "GET BALANCE": found[alone.GET]}
    with suppress(ImportError):  # the table says how to get it
        made["times as fast as vicc"] = _against_vicc(effort)
    return made


def _against_vicc(effort: Effort) -> Measure:
    """In turn, run by run: how many of our reads fit into one of vicc's."""
    seven, theirs = SevenTap(), vicc_read()
    seven.ready()
    process, ratios = seven.card.process, []
    for _ in range(effort.runs):
        slow = median(timed(theirs, effort.count(500)))
        ratios.append(slow / median(timed(lambda: process(READ_15), effort.count(_COUNT))))
    return Measure("ratio", tuple(ratios), "more")


def purchase(effort: Effort) -> Found:
    """T4."""
    return {"one purchase": _card(effort, alone.PURCHASE)[alone.PURCHASE]}


def seven_apdus(effort: Effort) -> Found:
    """T5."""
    found = _card(effort, alone.TAP, alone.TAP_WITH_READER)
    return {
        "card only": found[alone.TAP],
        "with reader cryptograms": found[alone.TAP_WITH_READER],
    }


def whole_tap(effort: Effort) -> Found:
    """T6."""
    _, taps = time_road("inproc", _plan(effort, 500))
    return {"taps": Measure("1/s", tuple(1e6 / run for run in taps.runs), "more", None, taps.count)}


def pcsc_road(effort: Effort) -> Found:
    """T7."""
    with _Road():
        cost = road_cost("pcsc", _plan(effort, _TAPS))
        tap = seven_over_pcsc(_plan(effort, 100))
    return {"APDU against an echo card": cost.ratio, "7-APDU tap": tap}


def udp_road(effort: Effort) -> Found:
    """T8."""
    return {"APDU against an echo responder": road_cost("udp", _plan(effort, 500)).ratio}


def pn532_road(effort: Effort) -> Found:
    """T9."""
    with _Road():
        apdus, _ = time_road("pn532", _plan(effort, 100))
    return {"APDU": apdus}


def store(effort: Effort) -> Found:
    """T10."""
    from bench.throughput.store import MOST, measure

    try:
        found = measure(effort.where, min(MOST, effort.count(200)), effort.runs)
    except OSError as error:
        raise NotMeasured(f"no file can be written in {effort.where}: {error.strerror}") from error
    return {"commit": found.times.ratio}


def clearing(effort: Effort) -> Found:
    """T11: records a second of one processor's work."""
    from bench.throughput.clearing import measure

    rates, growths = [], []
    for _ in range(min(3, effort.runs)):
        with TemporaryDirectory() as folder:
            figures = measure(effort.count(1500), str(Path(folder) / "clearing.db"))
        rates.append(figures.per_cpu_second)
        growths.append(figures.memory[-2] / figures.memory[0])
    return {
        "records": Measure("1/s", tuple(rates), "more"),
        "memory at the end against the first quarter": Measure("ratio", tuple(growths)),
    }


def trace(effort: Effort) -> Found:
    """T14."""
    seven = SevenTap()
    seven.card.power_on()
    fci = seven.card.process(SELECT_PURSE)
    answer = seven.card.process(BALANCE)
    return {
        "SELECT with its FCI": _decoding(effort, SELECT_PURSE, fci),
        "a fixed command": _decoding(effort, BALANCE, answer),
        "tap recorded against not recorded": recording_cost(_plan(effort, 500)).ratio,
    }


def _decoding(effort: Effort, command: bytes, answer: bytes) -> Measure:
    """An exchange, both ways, as fields with names."""
    spread = Spread()
    for _ in range(effort.runs):
        spread.add_run(
            timed(
                lambda: explain_exchange(command, answer),
                effort.count(_COUNT // 2),
            )
        )
    return spread.measure()


def cold_start(effort: Effort) -> Found:
    """T15: processor time of a process, from start to end, with files in the kernel's memory.

    On an idle machine that is the time a person waits: nothing in a start waits for anything else.
    """
    return {
        "tapbench --help": _process(effort, "--help"),
        "tapbench tap": _process(effort, "tap"),
    }


def _process(effort: Effort, *arguments: str) -> Measure:
    """Of a few starts the quickest counts. Modules are compiled already, as they are installed."""
    command = [sys.executable, "-m", "bench", *arguments]
    with TemporaryDirectory(prefix="tb-") as compiled:
        outside = {**os.environ, "PYTHONPYCACHEPREFIX": compiled}
        outside.pop("PYTHONDONTWRITEBYTECODE", None)
        _processor_s(command, outside)  # compiles, and fills the kernel's memory
        runs = tuple(
            min(_processor_s(command, outside) for _ in range(_STARTS)) for _ in range(effort.runs)
        )
    return Measure("s", runs, count=effort.runs * _STARTS)


def _processor_s(command: list[str], outside: Mapping[str, str]) -> float:
    """Seconds of processor time, user's and system's, that a program takes. outside: its world."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run(command, stdout=subprocess.DEVNULL, check=True, env=outside)  # noqa: S603
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def growth(effort: Effort) -> Found:
    """T16."""
    sizes = (*SIZES, MILLION) if effort.million else SIZES
    found = growth_measures(min(2, effort.runs) if effort.million else effort.runs, sizes)
    logs = _card(effort, alone.FULL_LOGS, alone.EMPTY_LOGS)
    made = {
        "among 10,000 against 100 cards": found[ratio_name(SIZES[1])],
        "logs full against new": logs[alone.FULL_RATIO],
    }
    if effort.million:
        made["among 1,000,000 against 100 cards"] = found[ratio_name(MILLION)]
    return made


def _plan(effort: Effort, count: int) -> Plan:
    return Plan(effort.count(count), effort.runs)


class _Road:
    """A road that this machine lacks is not measured."""

    def __enter__(self) -> None:
        return None

    def __exit__(self, kind: object, error: BaseException | None, where: object) -> None:
        if isinstance(error, RigError | FrontendError | ReaderFault):
            raise NotMeasured(str(error)) from error

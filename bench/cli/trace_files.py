"""The files of the trace commands: where a recording goes, and that it may go there."""

import sys
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from signal import SIG_IGN

from apdu.event import Layer, Source, Trace
from bench.cli.stopping import on_stop
from bench.files import demand_place
from bench.problem import Problem
from bench.recording import Recorder
from bench.trace_formats import FORMATS, save
from bench.trace_formats.format import Format
from bench.trace_formats.layers import ENDS, exchanges


def target_format(path: Path, named: str | None) -> Format:
    """The format a file will have. Raises Problem."""
    if named is not None:
        if named not in FORMATS:
            raise Problem(f"'{named}' is no trace format; choose one of: {', '.join(FORMATS)}")
        return FORMATS[named]
    for known in FORMATS.values():
        if path.suffix.lower() in known.suffixes:
            return known
    suffixes = ", ".join(f.suffixes[0] for f in FORMATS.values())
    raise Problem(f"{path} does not tell a trace format by its suffix; use one of {suffixes}")


def demand_free(path: Path, named: str | None = None, force: bool | None = None) -> None:
    """See that a recording can be written, before the work that it records. Raises Problem.

    force: whether the user gave --force; None if the command has no such option.
    """
    target_format(path, named)
    demand_place(path, force)


def beside(path: Path, road: str) -> Path:
    """The file of one of several roads: `tap.jsonl` of udp is `tap-udp.jsonl`."""
    return path.with_name(f"{path.stem}-{road}{path.suffix}")


def road_files(
    roads: list[str], path: Path | None, named: str | None = None, force: bool | None = None
) -> dict[str, Path]:
    """A file for each road, named after the roads if there are several. Raises Problem."""
    if path is None:
        return {}
    files = {road: path if len(roads) == 1 else beside(path, road) for road in roads}
    for file in files.values():
        demand_free(file, named, force)
    return files


def contents(trace: Trace) -> dict[str, int]:
    """How much of what a recording holds, by its name in the singular."""
    peers = Counter(exchange.to for exchange in exchanges(trace))
    layers = Counter(e.layer for e in trace.events if e.source in ENDS)
    sources = Counter(e.source for e in trace.events)
    found = {
        "frame": layers[Layer.RF],
        "block": layers[Layer.ISODEP],
        "exchange": peers["card"],
        "PSAM exchange": peers["psam"],
        "field change": sources[Source.FIELD],
        "stage": sources[Source.STAGE],
        "decision": sources[Source.DECISION],
    }
    return {what: count for what, count in found.items() if count}


def listed(found: dict[str, int]) -> str:
    """`2 frames, 1 stage and 1 decision`."""
    *most, last = [_number(count, what) for what, count in found.items()] or ["nothing"]
    return f"{', '.join(most)} and {last}" if most else last


def _number(count: int, what: str) -> str:
    return f"{count} {what}{'' if count == 1 else 's'}"


def losses(trace: Trace, kept: Trace, target: Format) -> str:
    """What a format leaves out of a recording, in one sentence; empty if nothing."""
    before, after = contents(trace), contents(kept)
    lost = {what: n - after.get(what, 0) for what, n in before.items() if n > after.get(what, 0)}
    said = []
    if lost:
        said.append(f"{listed(lost)} left out")
    if any(e.t_ns for e in trace.events) and not any(e.t_ns for e in kept.events):
        said.append("times left out")
    made = after.get("frame", 0) - before.get("frame", 0) - before.get("block", 0)
    if made > 0:
        said.append(f"{_number(made, 'frame')} made up from APDUs")
    holds = " and ".join(_LAYERS[layer] for layer in Layer if layer in target.holds)
    return f"{target.name} holds {holds} only: {'; '.join(said)}" if said else ""


_LAYERS = {
    Layer.RF: "frames",
    Layer.ISODEP: "blocks",
    Layer.APDU: "APDUs",
    Layer.GATE: "decisions",
}


def keep(trace: Trace, path: Path, named: str | None = None, force: bool = False) -> str:
    """Write a recording. Returns what is in the file, and what is not, in one or two lines.

    Raises Problem, TraceError.
    """
    target = target_format(path, named)
    save(trace, path, target.name, force)
    kept = target.keeps(trace)
    lines = [f"{path}: {listed(contents(kept))}", losses(trace, kept, target)]
    return "\n".join(line for line in lines if line)


@contextmanager
def recorded_to(path: Path, title: str) -> Iterator[Recorder]:
    """A recorder for the length of a block, and its file when the block ends, however it does.

    In the main thread alone, as signals are held off while the file is written.
    Raises Problem, TraceError.
    """
    demand_free(path)
    recorder = Recorder(title)
    try:
        yield recorder
    finally:
        with on_stop(SIG_IGN):
            # Not to standard output: that may be JSON.
            print(keep_rest(recorder.trace(), path), file=sys.stderr)


def keep_rest(trace: Trace, path: Path, named: str | None = None, force: bool = False) -> str:
    """Write what was recorded until the work ended, if anything was. See `keep`."""
    if not trace.events:
        return f"{path}: not written, nothing was recorded"
    return keep(trace, path, named, force)

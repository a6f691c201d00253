"""The files of the trace commands: where a recording goes, and that it may go there."""

from pathlib import Path

from apdu.event import Layer, Source, Trace
from bench.problem import Problem
from bench.trace_formats import FORMATS, save
from bench.trace_formats.format import Format
from bench.tracing.words import counted


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


def demand_free(path: Path, named: str | None = None, force: bool = False) -> None:
    """See that a recording can be written, before the work that it records. Raises Problem."""
    target_format(path, named)
    if not path.parent.is_dir():
        raise Problem(f"{path} cannot be written: there is no folder {path.parent}")
    if path.is_dir():
        raise Problem(f"{path} is a folder; name a file")
    if path.exists() and not force:
        raise Problem(f"{path} exists; name another file")


def beside(path: Path, road: str) -> Path:
    """The file of one of several roads: `tap.jsonl` of udp is `tap-udp.jsonl`."""
    return path.with_name(f"{path.stem}-{road}{path.suffix}")


def contents(trace: Trace) -> dict[str, int]:
    """How much of what a recording holds, by its name in the singular."""
    found = {
        "frame": _count(trace, (Layer.RF,), (Source.PCD, Source.PICC)),
        "block": _count(trace, (Layer.ISODEP,), (Source.PCD, Source.PICC)),
        "command": _count(trace, (Layer.APDU,), (Source.PCD,)),
        "answer": _count(trace, (Layer.APDU,), (Source.PICC,)),
        "field change": _count(trace, tuple(Layer), (Source.FIELD,)),
        "stage": _count(trace, tuple(Layer), (Source.STAGE,)),
        "decision": _count(trace, tuple(Layer), (Source.DECISION,)),
    }
    return {what: count for what, count in found.items() if count}


def _count(trace: Trace, layers: tuple[Layer, ...], sources: tuple[Source, ...]) -> int:
    return sum(e.layer in layers and e.source in sources for e in trace.events)


def listed(found: dict[str, int]) -> str:
    """`2 frames, 1 stage and 1 decision`."""
    *most, last = [counted(count, what) for what, count in found.items()] or ["nothing"]
    return f"{', '.join(most)} and {last}" if most else last


def keep(trace: Trace, path: Path, named: str | None = None, force: bool = False) -> str:
    """Write a recording. Returns a line that says what is in the file. Raises TraceError."""
    save(trace, path, named, force)
    return f"{path}: {listed(contents(trace))}"

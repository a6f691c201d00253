"""Recordings on disk: which format a file has, reading it, and writing one whole or not at all."""

from collections.abc import Iterable
from pathlib import Path

from apdu.event import Trace
from bench.files import write_whole
from bench.problem import Problem
from bench.trace_formats import jsonl, pcap, pcapng, pm3, spy, text
from bench.trace_formats.format import Format, TraceError

_SUREST_FIRST = (
    pcapng.FORMAT,
    pcap.FORMAT,
    jsonl.FORMAT,
    spy.FORMAT,
    text.FORMAT,
    pm3.FORMAT,
)

FORMATS: dict[str, Format] = {f.name: f for f in _SUREST_FIRST}
"""By name, in the order in which they are tried on a file's content: the surest sign first."""


def load(path: str | Path, format: str | None = None) -> Trace:
    """Read a recording, by its content or as the format named. Raises TraceError."""
    try:
        data = Path(path).read_bytes()
    except OSError as error:
        raise TraceError(f"{path} cannot be read: {error.strerror or error}") from None
    known = _named(format) if format else _recognised(path, data)
    try:
        return known.load(data)
    except TraceError as error:
        raise TraceError(f"{path} cannot be read as {known.title}: {error}") from None


def save(trace: Trace, path: str | Path, format: str | None = None, force: bool = False) -> None:
    """Write a recording in the format named, or by the file's suffix. Raises TraceError.

    The file is readable by its owner alone, since balances and card numbers are in it.
    force: whether to overwrite a file that is there.
    """
    target = Path(path)
    known = _named(format) if format else _by_suffix(target)
    if known is None:
        raise TraceError(f"{path} does not tell a format by its suffix; {_choice()}")
    try:
        data = known.dump(trace)
    except TraceError as error:
        raise TraceError(f"{path} cannot be written as {known.title}: {error}") from None
    try:
        write_whole(target, data, force)
    except Problem as problem:
        raise TraceError(str(problem)) from None


def _named(name: str) -> Format:
    if name not in FORMATS:
        raise TraceError(f"'{name}' is no trace format; {_choice()}")
    return FORMATS[name]


def _recognised(path: str | Path, data: bytes) -> Format:
    for known in FORMATS.values():
        if known.sniff(data):
            return known
    known_by_name = _by_suffix(Path(path))
    if known_by_name is None:
        raise TraceError(f"{path} is in no trace format known by its content; {_choice()}")
    return known_by_name


def _by_suffix(path: Path) -> Format | None:
    suffix = path.suffix.lower()
    return next((f for f in FORMATS.values() if suffix in f.suffixes), None)


def _choice() -> str:
    return f"name one of {_listed(FORMATS)}"


def _listed(names: Iterable[str]) -> str:
    *most, last = names
    return f"{', '.join(most)} or {last}" if most else last

"""`tapbench trace convert`: a recording in another format."""

from pathlib import Path

from bench.cli.trace_files import demand_free, keep
from bench.trace_formats import load


def convert(
    source: Path, target: Path, read_as: str | None, named: str | None, force: bool
) -> None:
    """Write it anew, and say what the new format cannot hold. Raises Problem, TraceError."""
    trace = load(source, read_as)
    demand_free(target, named, force)
    print(keep(trace, target, named, force))

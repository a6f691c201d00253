"""The bed a task names: every kind of our card in process, or a stand on any road or reader."""

from collections.abc import Iterator
from contextlib import contextmanager

from bench.conformance.fuzz.bed import Bed, OwnBed, StandBed
from bench.conformance.fuzz.task import Task
from bench.conformance.keys_file import load_keys
from bench.conformance.places import places
from bench.conformance.reader_stand import Leave
from bench.problem import Problem
from emulator.card.profile import ProfileError
from fixtures import profile_names

SERIES = "calibration"
"""Profiles that are one card many times."""


def every_kind() -> tuple[str, ...]:
    """The profiles of our cards that differ in more than their number."""
    return tuple(name for name in profile_names() if not name.startswith(SERIES))


@contextmanager
def bed_at(task: Task) -> Iterator[Bed]:
    """Open it. Raises Problem and what the road says."""
    if task.via == "inproc":
        kinds = (task.profile,) if task.profile else every_kind()
        try:
            yield OwnBed(kinds, task.seed)
        except ProfileError as error:
            raise Problem(str(error)) from None
        return
    ring = load_keys(task.keys) if task.keys else None
    found = places(task.via, Leave(task.profile or None, ring, task.write), task.seed)
    if len(found) != 1:
        raise Problem(f"--via {task.via} names several places; a fuzzer runs at one")
    with found[0].open() as stand:
        yield StandBed(stand)

"""Killed at any moment, the office gives no serial twice and forgets no card it told of."""

import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from random import Random

import pytest
from sqlalchemy import select

from issuer.database import open_database
from issuer.tables import CardRow, Counter
from tests.offices import NOW, Office
from tests.postgres import cluster

KILLS = 8
STUDENTS = 400


@pytest.fixture(params=["sqlite", "postgresql"])
def where(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    if request.param == "sqlite":
        yield str(tmp_path / "office.db")
        return
    with cluster(is_durable=True) as server:
        yield server.database("office")


def told_before_the_kill(where: str, first: int, least: int, after_s: float) -> list[str]:
    """The serials that a process told of until `kill -9`: so many at least."""
    arguments = [sys.executable, "-m", "tests.interop.office_opener", where, str(first), "400"]
    with subprocess.Popen(arguments, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        told = [process.stdout.readline().rstrip("\n") for _ in range(least)]
        time.sleep(after_s)  # any moment is right; which one it is does not matter
        process.kill()
        lines = process.stdout.read().split("\n")
    return told + lines[:-1]


def test_a_killed_office_gives_no_serial_twice(where: str):
    office, source, told = Office(open_database(where), NOW), Random(1), []
    office.fill(STUDENTS)
    for _ in range(KILLS):
        first = len(office.do(lambda s: s.scalars(select(CardRow.id)).all())) + 1
        told += told_before_the_kill(where, first, source.randint(0, 4), source.uniform(0.0, 0.05))
    held = office.do(lambda s: s.scalars(select(CardRow.serial)).all())
    assert len(told) > KILLS
    assert len(set(told)) == len(told)
    assert set(told) <= set(held)
    # A card that was written down and not told of any more is there; its number is taken too.
    assert len(held) - len(told) <= KILLS
    assert office.do(lambda s: s.scalar(select(Counter.last).filter_by(name="serial"))) == len(held)
    office.engine.dispose()

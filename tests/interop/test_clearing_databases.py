"""Clearing on PostgreSQL and on SQLite says the same; a database that is away is one sentence."""

import json
import os
import sqlite3
import stat
import subprocess
import sys
from collections.abc import Callable, Iterator
from datetime import datetime
from pathlib import Path
from random import Random

import pytest

import fixtures
from bench.cli.app import run_app
from issuer.balance import balance_of
from issuer.clearing import Clearing
from issuer.database import DatabaseError, open_database
from issuer.faults import Fault
from reader.batch import Refusal
from tests.books import PLANTS, RECEIVED, TMK, batches_of, clearing_at, honest_day, messages
from tests.gates import psam
from tests.postgres import Cluster, cluster
from tests.taps import open_journal, trip


@pytest.fixture(scope="module")
def server() -> Iterator[Cluster]:
    with cluster() as made:
        yield made


def found_in(clearing: Clearing, parts: list[bytes]) -> tuple[dict[Fault, int], list[object]]:
    for part in parts:
        clearing.receive(part, RECEIVED)
    counts = clearing.examine()
    told = [(e.fault, e.record, e.wanted, e.found) for e in clearing.exceptions()]
    return counts, sorted(told, key=repr)


def all_plants() -> list[bytes]:
    """A day with every fraud and fault in it."""
    batches = batches_of(honest_day())
    for number, plant in enumerate(PLANTS):
        plant.change(batches, Random(1 + number))
    parts = messages(batches)
    for plant in PLANTS:
        parts = plant.after(parts)
    return [*parts, parts[0]]


def test_postgresql_balances_an_honest_day(server: Cluster):
    clearing = clearing_at(server.database("honest"), honest_day())
    counts, _ = found_in(clearing, messages(batches_of(honest_day())))
    assert counts == {}
    assert balance_of(clearing.engine, 20250908).is_balanced
    clearing.engine.dispose()


def test_postgresql_finds_what_sqlite_finds(server: Cluster):
    parts, results, balances = all_plants(), [], []
    for where in (":memory:", server.database("planted")):
        clearing = clearing_at(where, honest_day())
        clearing.blacklist(
            honest_day().journals[b"DESK0001"].records[0].serial, datetime(2025, 9, 8)
        )
        results.append(found_in(clearing, parts))
        balances.append(balance_of(clearing.engine, 20250908))
        clearing.engine.dispose()
    assert results[0] == results[1]
    assert balances[0] == balances[1]
    assert {plant.fault for plant in PLANTS} <= set(results[0][0])


def test_a_server_that_goes_away_is_one_sentence_and_nothing_is_lost(server: Cluster):
    where, parts = server.database("away"), messages(batches_of(honest_day()))
    clearing = clearing_at(where)
    clearing.receive(parts[0], RECEIVED)
    server.stop()
    with pytest.raises(DatabaseError, match="does not answer"):
        clearing.receive(parts[1], RECEIVED)
    with pytest.raises(DatabaseError, match="does not answer"):
        clearing.examine()
    with pytest.raises(DatabaseError, match=r"does not answer .*; is it running\?"):
        open_database(where)
    server.start()
    clearing.receive(parts[1], RECEIVED)
    assert clearing.receive(parts[0], RECEIVED).refusal is Refusal.DUPLICATE
    clearing.engine.dispose()


Told = tuple[int, str, str]
"""Exit code, what was printed, and what was said of problems."""


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str]) -> Callable[..., Told]:
    """The command line, in this process."""

    def command(*arguments: str) -> Told:
        capsys.readouterr()
        code = run_app(["clearing", *arguments])
        said = capsys.readouterr()
        return code, said.out, said.err

    return command


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    day = honest_day()
    for number, part in enumerate(messages(batches_of(day))):
        (tmp_path / f"{number:02}.batch").write_bytes(part)
    register = "".join(f"{g.hex()},{t.hex()}\n" for g, t in day.terminals.items())
    (tmp_path / "gates.csv").write_text(f"# gate,terminal\n\n{register}")
    return tmp_path


def test_the_command_line_clears_a_day(folder: Path, run: Callable[..., Told]):
    db, batches = str(folder / "books.db"), [str(p) for p in sorted(folder.glob("*.batch"))]
    gates = ("--gates", str(folder / "gates.csv"), "--received", "2025-09-08T23:50:00")
    code, out, err = run("run", "--db", db, *gates, *batches)
    assert (code, err) == (0, "")
    assert f"{len(batches)} batches taken" in out
    assert stat.S_IMODE(os.stat(db).st_mode) == 0o600
    code, out, _ = run("report", "--db", db, "--day", "2025-09-08", "--svg", str(folder / "a.svg"))
    assert code == 0
    assert "balanced." in out
    assert (folder / "a.svg").read_text().startswith("<svg")
    (folder / "cut").write_bytes((folder / "01.batch").read_bytes()[:-9])
    code, out, _ = run("run", "--db", db, "--json", batches[0], str(folder / "cut"))
    assert code == 1
    assert '"C17": 1' in out
    code, out, _ = run("exceptions", "--db", db)
    assert code == 1
    assert "批次不完整" in out
    assert "ask the station to send it again" in out


def test_the_command_line_takes_what_is_new_in_a_journal(tmp_path: Path, run: Callable[..., Told]):
    db, path = str(tmp_path / "books.db"), tmp_path / "gate.journal"
    card, sam = fixtures.card("student", balance=5000), psam()
    for total in (2, 4):
        with open_journal(path) as journal:
            trip(card, journal, sam)
        _, out, err = run("run", "--db", db, "--json", str(path))
        assert err == ""
        assert json.loads(out)["batches"] == {"taken": 1, "there already": 0, "refused": 0}
        assert [day["taps"] for day in json.loads(run("report", "--db", db, "--json")[1])] == [
            total
        ]
    # The second ride has the times of the first one.
    codes = [
        json.loads(line)["code"]
        for line in run("exceptions", "--db", db, "--json")[1].split("\n")
        if line
    ]
    assert set(codes) == {Fault.LATE.code, Fault.BACK_DATED.code}
    assert json.loads(run("run", "--db", db, "--json", str(path))[1])["batches"]["taken"] == 0


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["report", "--db", "oracle://x"], "there is no database 'oracle' here"),
        (["report", "--db", "sqlite+nothing://x"], "there is no database 'sqlite+nothing' here"),
        (["report", "--db", "postgresql://u@h:port/x"], "URL cannot be read"),
        (["report", "--db", "/nowhere/x.db"], "there is no database /nowhere/x.db"),
        (["run", "--db", "/nowhere/x.db"], "no database can be kept at /nowhere/x.db"),
        (["report", "--db", "gates.csv"], "is no SQLite database"),
        (["report", "--db", "new.db", "--day", "monday"], "expected a time such as"),
        (["run", "--db", "new.db", "nothing.batch"], "nothing.batch cannot be read"),
        (["run", "--db", "new.db", "--gates", "00.batch", "00.batch"], "cannot be read"),
        (["run", "--db", "new.db", "--lost", "odd.csv", "00.batch"], "expected two values"),
        (["run", "--db", "new.db", "--gates", "odd2.csv", "00.batch"], "16 hexadecimal digits"),
    ],
)
def test_bad_input_is_one_sentence(
    folder: Path,
    monkeypatch: pytest.MonkeyPatch,
    run: Callable[..., Told],
    arguments: list[str],
    sentence: str,
):
    monkeypatch.chdir(folder)
    (folder / "odd.csv").write_text("no comma\n")
    (folder / "odd2.csv").write_text("one,two\n")
    code, _, err = run(*arguments)
    assert code == 2
    assert err.startswith("tapbench: ")
    assert sentence in err
    assert len(err.splitlines()) == 1


def test_a_driver_that_is_missing_is_one_sentence(folder: Path):
    """A place without it is searched first: Python finds no driver there."""
    (folder / "psycopg.py").write_text("raise ModuleNotFoundError('no', name='psycopg')\n")
    said = subprocess.run(
        [sys.executable, "-m", "bench", "clearing", "report", "--db", "postgresql://u@localhost/x"],
        capture_output=True,
        text=True,
        env=os.environ | {"PYTHONPATH": str(folder)},
    )
    assert said.returncode == 2
    assert "pip install 'tapbench[postgres]'" in said.stderr


def test_a_file_that_is_locked_is_one_sentence(folder: Path):
    db = str(folder / "books.db")
    clearing = Clearing(open_database(db, wait_s=0.0), TMK)
    holder = sqlite3.connect(db, isolation_level=None)
    holder.execute("BEGIN EXCLUSIVE")
    with pytest.raises(DatabaseError, match="locked by another program"):
        clearing.receive((folder / "00.batch").read_bytes(), RECEIVED)
    holder.rollback()
    holder.close()
    assert clearing.receive((folder / "00.batch").read_bytes(), RECEIVED).is_kept
    clearing.engine.dispose()

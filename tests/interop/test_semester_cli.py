"""`tapbench semester`, `tapbench bench issuer` and `bench service` as a user runs them."""

import json
import signal
import stat
import threading
import time
from contextlib import ExitStack

import pytest

from bench.cli.bench_issuer import MOST_GROWTH
from bench.throughput import service
from bench.throughput.document import Document, read_document
from bench.throughput.histogram import Measure
from bench.throughput.issuer import IssuerFigures, Speed
from bench.throughput.service import KINDS, MIX
from tests.postgres import cluster

SMALL = ("--students", "3", "--days", "9")


def test_a_semester_is_reported_drawn_and_kept_and_not_overwritten(here, tmp_path):
    year = tmp_path / "year"
    done = here("semester", *SMALL, "--out", year)
    assert done.returncode == 0
    assert done.stdout.startswith("3 students, 9 days, seed 1.\n")
    assert "The books are balanced." in done.stdout
    assert "cards opened" in done.stdout
    kept = {one.name: stat.S_IMODE(one.stat().st_mode) for one in year.iterdir()}
    for name in ("office.db", "semester.svg", "semester.json"):
        assert kept[name] == 0o600
    told = json.loads((year / "semester.json").read_text())
    assert f"Digest {told['digest'][:16]}." in done.stdout
    again = here("semester", *SMALL, "--json")
    assert json.loads(again.stdout) == told
    before = (year / "semester.json").read_bytes()
    refused = here("semester", *SMALL, "--out", year)
    assert (refused.returncode, refused.stdout) == (2, "")
    assert refused.stderr == (
        f"tapbench: {year}/semester.svg is there already; choose another name\n"
    )
    assert (year / "semester.json").read_bytes() == before


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (("--students", "0"), "value for '--students':"),
        (("--days", "1001"), "value for '--days':"),
        (("--out", "/dev/null"), "no folder can be made at /dev/null"),
    ],
)
def test_what_is_no_semester_is_one_sentence(here, options, said):
    done = here("semester", *options)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith("tapbench: ")
    assert said in done.stderr
    assert done.stderr.count("\n") == 1


def test_the_speed_of_the_issuer_is_measured_on_sqlite(here, tmp_path):
    small, page = ("--students", "20", "--cards", "2", "--runs", "2"), tmp_path / "page.html"
    done = here("bench", "issuer", *small, "--json", "--html", page)
    found = result(tmp_path, done)
    assert (found.kind, found.detail["database"]) == ("issuer", "sqlite")
    assert found.detail["many"] > found.detail["few"] >= 10
    opening = found.measures["opening, few students"]
    assert (opening.unit, len(opening.runs), opening.count) == ("ms", 2, 4)
    growth = [found.measures[f"{name}, many / few"].typical for name in ("opening", "top-up")]
    assert done.returncode == (0 if max(growth) <= MOST_GROWTH else 1)
    assert "opening, many / few" in page.read_text()


def test_the_speed_of_the_issuer_is_measured_on_postgresql(here):
    with cluster() as server:
        url = server.database("speed")
        done = here(
            "bench", "issuer", "--cards", "1", "--runs", "1", "--students", "20", "--db", url
        )
    assert "postgresql: 10 students, then 20" in done.stdout
    assert "top-ups a second" in done.stdout


def test_growth_is_how_many_times_longer_it_takes_with_many():
    few = Speed(10, Measure("ms", (90.0, 100.0, 140.0)), Measure("ms", (10.0,)))
    many = Speed(1000, Measure("ms", (150.0,)), Measure("ms", (30.0,)))
    figures = IssuerFigures("sqlite", few, many)
    assert figures.growth == (1.5, 3.0)
    assert figures.measures["top-up, many / few"].typical == 3.0
    assert figures.measures["openings a second, many students"].typical == pytest.approx(1 / 0.15)


def result(folder, done) -> Document:
    """The document that a command printed."""
    path = folder / "result.json"
    path.write_text(done.stdout)
    return read_document(path)


def _demand_service_figures(found: Document, clients: int, count: int) -> None:
    """A small measurement: everything was asked for as often as the mix says."""
    asked = {kind: clients * count * MIX.count(kind) // len(MIX) for kind in KINDS}
    assert {kind: found.measures[kind].count for kind in KINDS} == asked
    for kind in KINDS:
        told = found.measures[kind].spread or {}
        assert 0 < told["p50"] <= told["p90"] <= told["p99"]
    # A page and a blacklist are one request each, a top-up several: a command is answered by each.
    requests, seconds = found.detail["requests"], found.detail["seconds"]
    assert requests > clients * count + 2 * asked["top-up"]
    assert found.measures["requests a second"].typical == pytest.approx(requests / seconds)


@pytest.mark.parametrize("database", ["sqlite", "postgresql"])
def test_the_waits_of_the_services_callers_are_measured(here, tmp_path, database):
    small = ("bench", "service", "--clients", "2", "--count", "10", "--json")
    with ExitStack() as stack:
        if database == "postgresql":
            server = stack.enter_context(cluster())
            small = (*small, "--db", server.database("waits"))
        done = here(*small)
    assert (done.returncode, done.stderr) == (0, "")
    found = result(tmp_path, done)
    assert (found.kind, found.detail["database"]) == ("service", database)
    assert found.options["clients"] == 2
    _demand_service_figures(found, 2, 10)


def test_the_waits_are_a_table_for_people_and_a_page(here, tmp_path):
    page = tmp_path / "page.html"
    asked = ("bench", "service", "--clients", "2", "--count", "10", "--html", page)
    done = here(*asked)
    assert (done.returncode, done.stderr) == (0, f"{page} written\n")
    assert "sqlite, 2 clients at once" in done.stdout
    assert "a second." in done.stdout
    assert "2 clients at once" in page.read_text()
    assert here(*asked).returncode == 2


def test_ctrl_c_ends_what_callers_of_the_service_ask(monkeypatch):
    """As soon as the first has asked for something, of ten thousand times."""
    asked, ask = [], service._Caller.ask

    def strike(caller, kind: str, turn: int) -> None:
        ask(caller, kind, turn)
        asked.append(kind)
        if len(asked) == 1:
            signal.pthread_kill(threading.main_thread().ident, signal.SIGINT)

    monkeypatch.setattr(service._Caller, "ask", strike)
    begun = time.monotonic()
    with pytest.raises(KeyboardInterrupt):
        service.measure(2, 10_000)
    assert time.monotonic() - begun < 20
    assert len(asked) < 1000

"""`tapbench semester`, `tapbench bench issuer` and `bench service` as a user runs them."""

import json
import stat
from contextlib import ExitStack

import pytest

from bench.cli.bench_issuer import MOST_GROWTH
from bench.throughput.issuer import IssuerFigures, Speed
from bench.throughput.service import KINDS, MIX, Waits
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


def test_the_speed_of_the_issuer_is_measured_on_sqlite(here):
    done = here("bench", "issuer", "--students", "20", "--cards", "2", "--runs", "1", "--json")
    told = json.loads(done.stdout)
    assert (told["database"], told["unit"]) == ("sqlite", "ms")
    assert told["many"]["students"] > told["few"]["students"] >= 10
    assert told["few"]["opening_ms"] > 0
    assert done.returncode == (0 if max(told["growth"]) <= MOST_GROWTH else 1)


def test_the_speed_of_the_issuer_is_measured_on_postgresql(here):
    with cluster() as server:
        url = server.database("speed")
        done = here(
            "bench", "issuer", "--cards", "1", "--runs", "1", "--students", "20", "--db", url
        )
    assert done.stdout.startswith("postgresql, 10 students: ")
    assert "top-ups." in done.stdout


def test_growth_is_how_many_times_longer_it_takes_with_many():
    few = Speed(10, 100.0, 10.0, (90.0, 110.0), (9.0, 11.0))
    many = Speed(1000, 150.0, 30.0, (90.0, 110.0), (9.0, 11.0))
    assert IssuerFigures("sqlite", few, many).growth == (1.5, 3.0)


def _demand_service_figures(told: dict, clients: int, count: int) -> None:
    """A small measurement: everything was asked for as often as the mix says."""
    asked = {kind: clients * count * MIX.count(kind) // len(MIX) for kind in KINDS}
    assert {kind: one["count"] for kind, one in told["waits"].items()} == asked
    for one in told["waits"].values():
        assert 0 < one["p50"] <= one["p90"] <= one["p99"]
    # A page and a blacklist are one request each, a top-up several: a command is answered by each.
    assert told["requests"] > clients * count + 2 * asked["top-up"]
    assert told["per_second"] == pytest.approx(told["requests"] / told["seconds"])


@pytest.mark.parametrize("database", ["sqlite", "postgresql"])
def test_the_waits_of_the_services_callers_are_measured(here, database):
    small = ("bench", "service", "--clients", "2", "--count", "10", "--json")
    with ExitStack() as stack:
        if database == "postgresql":
            server = stack.enter_context(cluster())
            small = (*small, "--db", server.database("waits"))
        done = here(*small)
    assert (done.returncode, done.stderr) == (0, "")
    told = json.loads(done.stdout)
    assert (told["database"], told["clients"], told["unit"]) == (database, 2, "ms")
    _demand_service_figures(told, 2, 10)


def test_the_waits_are_a_table_for_people(here):
    done = here("bench", "service", "--clients", "2", "--count", "10")
    assert (done.returncode, done.stderr) == (0, "")
    assert "sqlite, 2 clients at once" in done.stdout
    assert "a second." in done.stdout


def test_a_wait_is_ranked_among_all():
    waits = Waits.of([float(one) for one in range(1, 102)])
    assert (waits.count, waits.p50, waits.p90, waits.p99) == (101, 51.0, 91.0, 100.0)

"""`tapbench semester` and `tapbench bench issuer` as a user runs them."""

import json
import stat

import pytest

from bench.cli.bench_issuer import MOST_GROWTH
from bench.throughput.issuer import IssuerFigures, Speed
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

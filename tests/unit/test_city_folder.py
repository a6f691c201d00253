"""Where a city is kept: found again, and nothing else taken for it."""

import json
import stat
from dataclasses import replace
from datetime import date

import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest

from bench.city.crew import Alone
from bench.city.folder import LOCK, CityFolder
from bench.city.plan import CityPlan, stations
from bench.city.run import run_city
from bench.city.shard import play_shard
from bench.city.table import SCHEMA
from bench.problem import Problem

PLAN = CityPlan(45, date(2026, 9, 1), 1, 15)


@pytest.fixture(scope="module")
def results():
    return [play_shard(PLAN, number) for number in range(PLAN.shards)]


@pytest.fixture
def kept(tmp_path, results):
    """A folder with a whole city."""
    path = tmp_path / "city"
    with CityFolder(path, PLAN) as folder:
        for result in results:
            folder.keep(result)
    return path


def test_what_is_kept_is_found_again(kept, results):
    with CityFolder(kept, PLAN) as folder:
        found = list(folder.kept())
    assert found == [replace(result, columns={}) for result in results]
    assert all(stat.S_IMODE(one.stat().st_mode) == 0o600 for one in kept.iterdir())


def test_only_what_is_missing_is_played(kept, results):
    (kept / "shard-0000001.json").unlink()
    with CityFolder(kept, PLAN) as folder:
        city = run_city(PLAN, Alone(), folder)
    assert (city.is_good, city.played, city.tally.trips) == (True, 15, 45)
    assert city.digest == run_city(PLAN, Alone()).digest
    with CityFolder(kept, PLAN) as folder:
        again = run_city(PLAN, Alone(), folder)
    assert (again.is_good, again.played, again.digest) == (True, 0, city.digest)


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("shard-0000002.json", ""),
        ("shard-0000002.json", '{"digest": "00"}'),
        ("shard-0000002.json", "[]"),
        ("shard-0000002.parquet", "PAR1"),
    ],
)
def test_a_broken_shard_is_played_again(kept, name, text):
    (kept / name).write_text(text)
    with CityFolder(kept, PLAN) as folder:
        assert [one.number for one in folder.kept()] == [0, 1]


def test_a_part_of_the_right_size_with_a_flipped_bit_is_played_again(kept):
    path = kept / "shard-0000001.parquet"
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)
    with CityFolder(kept, PLAN) as folder:
        assert [one.number for one in folder.kept()] == [0, 2]


def test_money_that_somebody_changed_is_played_again(kept):
    path = kept / "shard-0000001.json"
    said = json.loads(path.read_text())
    said["tally"]["money"]["fares"] += 100
    path.write_text(json.dumps(said))
    with CityFolder(kept, PLAN) as folder:
        assert [one.number for one in folder.kept()] == [0, 2]


def test_a_shard_under_another_s_name_is_not_counted_twice(kept):
    for end in ("json", "parquet"):
        (kept / f"shard-0000002.{end}").write_bytes((kept / f"shard-0000001.{end}").read_bytes())
    with CityFolder(kept, PLAN) as folder:
        assert [one.number for one in folder.kept()] == [0, 1]


def test_a_run_that_was_killed_at_its_very_beginning_is_begun_again(tmp_path):
    (tmp_path / ".tapbench-abc").write_text("half a manif")
    with CityFolder(tmp_path, PLAN):
        assert {one.name for one in tmp_path.iterdir()} == {LOCK, "manifest.json"}


def test_drafts_among_other_files_are_left_alone(tmp_path):
    (tmp_path / "letter.txt").write_text("dear")
    (tmp_path / ".tapbench-abc").write_text("somebody's")
    with pytest.raises(Problem, match="is not empty and holds no city"):
        CityFolder(tmp_path, PLAN)
    assert (tmp_path / ".tapbench-abc").exists()


def test_drafts_of_a_killed_run_are_removed(kept):
    (kept / ".tapbench-abc").write_text("half")
    with CityFolder(kept, PLAN):
        assert not (kept / ".tapbench-abc").exists()


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"seed": 2}, "seed 1, and this one has 2"),
        ({"trips": 46}, "trips 45, and this one has 46"),
        ({"day": date(2026, 9, 2)}, "day 2026-09-01, and this one has 2026-09-02"),
        ({"shard_trips": 5}, "shard_trips 15, and this one has 5"),
    ],
)
def test_another_city_is_not_mixed_in(kept, change, said):
    with pytest.raises(Problem, match=said):
        CityFolder(kept, replace(PLAN, **change))


def test_a_city_of_another_version_is_not_gone_on_with(kept):
    manifest = json.loads((kept / "manifest.json").read_text())
    (kept / "manifest.json").write_text(json.dumps(manifest | {"tapbench": "0.0.0"}))
    with pytest.raises(Problem, match=r"holds a city with tapbench 0\.0\.0"):
        CityFolder(kept, PLAN)


def test_a_folder_of_something_else_is_left_alone(tmp_path):
    (tmp_path / "letter.txt").write_text("dear")
    with pytest.raises(Problem, match="is not empty and holds no city"):
        CityFolder(tmp_path, PLAN)
    assert {one.name for one in tmp_path.iterdir()} <= {"letter.txt", LOCK}


@pytest.mark.parametrize("text", ["", "[1]", "\udcff"])
def test_a_spoilt_manifest_is_told_of(kept, text):
    (kept / "manifest.json").write_bytes(text.encode("utf-8", "surrogateescape"))
    with pytest.raises(Problem, match="cannot be read; choose another folder"):
        CityFolder(kept, PLAN)


def test_two_runs_do_not_share_a_folder(kept):
    with CityFolder(kept, PLAN), pytest.raises(Problem, match="in use by another run"):
        CityFolder(kept, PLAN)


def test_a_file_where_the_folder_should_be_is_told_of(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(Problem, match="no folder can be made at"):
        CityFolder(tmp_path / "file", PLAN)


def test_the_table_has_every_trip_with_its_money(kept, results):
    table = pq.read_table([str(one) for one in sorted(kept.glob("*.parquet"))])
    assert table.column_names == [name for name, _, _ in SCHEMA]
    types = [str(field.type) for field in table.schema]
    assert types[3:] == [kind.replace("Asia", "tz=Asia") for _, kind, _ in SCHEMA[3:]]
    assert table.num_rows == PLAN.trips
    assert pc.sum(table["fare_fen"]).as_py() == sum(one.tally.money.fares for one in results)
    row = table.slice(0, 1).to_pylist()[0]
    assert row["entry_station"] in {one.key for one in stations()}
    assert (row["entered_at"].date(), str(row["left_at"].tzinfo)) == (PLAN.day, "Asia/Shanghai")
    assert row["entered_at"] < row["left_at"]

"""`tapbench lists` as a user runs it."""

import json
import os
import stat
import subprocess
import sys
from pathlib import Path

import pytest

import fixtures
from reader.blacklist import Blacklist, BlacklistIncrement
from reader.blacklist_file import BlacklistFile
from reader.blacklist_text import build_update
from tests.interop.test_cli import tapbench
from tests.lists import EIGHT, SEVEN, TO_EIGHT, A, B, C, D


def written(path: Path, update: Blacklist | BlacklistIncrement) -> Path:
    path.write_bytes(build_update(update))
    return path


@pytest.fixture
def run(here):
    """`tapbench lists`, in this process: what it prints."""

    def call(*arguments: object) -> str:
        done = here("lists", *arguments)
        assert (done.returncode, done.stderr) == (0, "")
        return done.stdout

    return call


@pytest.fixture
def refused(here):
    """A command that fails: its one sentence."""

    def call(*arguments: object) -> str:
        done = here("lists", *arguments)
        assert (done.returncode, done.stdout) == (2, "")
        assert done.stderr.startswith("tapbench: ")
        assert done.stderr.count("\n") == 1
        return done.stderr

    return call


def test_a_blacklist_is_made_updated_and_shown(tmp_path):
    held, full = tmp_path / "list", written(tmp_path / "full", SEVEN)
    step = written(tmp_path / "step", TO_EIGHT)
    done = tapbench("lists", "apply", str(held), str(full))
    assert done.returncode == 0, done.stderr
    assert done.stdout == "blacklist version 0 -> 7: 2 added, 0 removed, 2 cards listed.\n"
    assert stat.S_IMODE(os.stat(held).st_mode) == 0o600
    done = tapbench("lists", "apply", str(held), str(step))
    assert done.stdout == "blacklist version 7 -> 8: 1 added, 1 removed, 2 cards listed.\n"
    shown = tapbench("lists", "show", str(held)).stdout
    assert shown == f"blacklist version 8: 2 cards listed.\n  {A.hex()}\n  {C.hex()}\n"
    assert sorted(os.listdir(tmp_path)) == ["full", "list", "step"]


def test_a_repetition_is_told_and_is_no_failure(run, tmp_path):
    held, step = written(tmp_path / "list", EIGHT), written(tmp_path / "step", TO_EIGHT)
    assert run("apply", held, step) == (
        "blacklist version 8 is in force already; nothing changed.\n"
    )
    told = json.loads(run("apply", "--json", held, step))
    assert told == {
        "is_changed": False, "before": 8, "version": 8, "cards": 2, "added": [], "removed": [],
    }  # fmt: skip


def test_what_an_update_changed_is_json_for_programs(run, tmp_path):
    held, step = written(tmp_path / "list", SEVEN), written(tmp_path / "step", TO_EIGHT)
    assert json.loads(run("apply", held, step, "--json")) == {
        "is_changed": True, "before": 7, "version": 8, "cards": 2,
        "added": [C.hex()], "removed": [B.hex()],
    }  # fmt: skip


def test_every_kind_of_file_is_shown(run, tmp_path):
    white = tmp_path / "white"
    white.write_text("issuer IIN\n01011000 31051700\n")
    assert run("show", white) == ("white list: 1 pair of issuer and IIN.\n  01011000  31051700\n")
    assert json.loads(run("show", white, "--json")) == {
        "kind": "white list", "pairs": [{"issuer": "01011000", "iin": "31051700"}],
    }  # fmt: skip
    step = written(tmp_path / "step", TO_EIGHT)
    assert run("show", step) == (
        "update of a blacklist from version 7 to 8: 1 added, 1 removed.\n"
        f"  +{C.hex()}\n  -{B.hex()}\n"
    )
    assert json.loads(run("show", step, "--json")) == {
        "kind": "increment", "from": 7, "version": 8, "added": [C.hex()], "removed": [B.hex()],
    }  # fmt: skip
    full = written(tmp_path / "full", SEVEN)
    assert json.loads(run("show", full, "--json")) == {
        "kind": "blacklist", "version": 7, "serials": [A.hex(), B.hex()],
    }  # fmt: skip


def test_a_long_list_is_cut_on_the_terminal_alone(run, tmp_path):
    cards = frozenset(bytes.fromhex(f"{n:020d}") for n in range(1000))
    path = written(tmp_path / "full", Blacklist(1, cards))
    shown = run("show", path).splitlines()
    assert len(shown) == 22
    assert shown[-1] == "  ... and 980 more; --json has all."
    assert len(json.loads(run("show", path, "--json"))["serials"]) == 1000


def test_a_lost_update_is_told_and_the_list_stays(refused, tmp_path):
    held = written(tmp_path / "list", SEVEN)
    later = written(tmp_path / "later", BlacklistIncrement(8, frozenset({D})))
    assert "send the update from 7 to 8 first, or a full list" in refused("apply", held, later)
    assert BlacklistFile(held).blacklist == SEVEN


def test_bad_files_are_told_in_one_sentence(refused, tmp_path):
    held = written(tmp_path / "list", SEVEN)
    torn = tmp_path / "torn"
    torn.write_bytes(held.read_bytes()[:-1])
    empty = tmp_path / "empty"
    empty.touch()
    assert "cut off or changed" in refused("apply", held, torn)
    assert "move it away" in refused("apply", torn, held)
    assert "cut off or changed" in refused("show", torn)
    assert "found nothing" in refused("apply", held, empty)
    assert "found no pair" in refused("show", empty)
    for path, words in (
        (tmp_path, "directory"),
        (tmp_path / "none", "No such file"),
        ("a" * 300, "too long"),
    ):
        assert words in refused("show", path)
        assert words in refused("apply", held, path)
    assert "directory" in refused("apply", tmp_path, held)
    assert "no full list" in refused("apply", written(tmp_path / "step", TO_EIGHT), held)
    assert BlacklistFile(held).blacklist == SEVEN


def test_a_gate_that_runs_takes_over_what_is_applied_to_its_list(tmp_path):
    held = BlacklistFile(tmp_path / "list")
    held.take(build_update(SEVEN))
    config = tmp_path / "gate.toml"
    config.write_text(
        'direction = "entry"\nstation = "Yongtaizhuang"\nblacklist = "list"\n'
        "[policy]\npassback_s = 0\n"
    )
    words = ["gate", "--via", "inproc", "--config", str(config), "--balance", "50"]
    words += ["--profile", "student"] * 4 + ["--every", "0.5", "--at", "2025-09-08T08:01:42"]
    gate = subprocess.Popen(
        [sys.executable, "-m", "bench", *words],
        stdout=subprocess.PIPE,
        text=True,
    )
    assert gate.stdout is not None
    assert "blacklist version 7" in gate.stdout.readline()
    assert gate.stdout.readline().startswith("PASS")
    student = fixtures.load_profile("student").serial
    held.take(build_update(BlacklistIncrement(7, frozenset({student}))))
    rest, _ = gate.communicate(timeout=30)
    assert "blacklist version 8 is in force.\n" in rest
    assert "(code 33)" in rest.splitlines()[-1]

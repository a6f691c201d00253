"""What a benchmark tells whoever runs it: misses, interruptions, and what its figures are."""

import io
import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from rich.console import Console

from bench.cli.app import run_app
from bench.cli.bench_show import print_grid
from bench.throughput.document import Document
from bench.throughput.page import Grid, page_html
from tests.unit.test_crowd_cli import processor_s

GRID = Grid(
    "Three of a kind",
    ("what", "unit", "p50", "max", "runs", "why"),
    [
        ("time in field", "ms", "1,234.5", "23,456.7", "1,111.1 - 2,222.2", ""),
        ("one of [many] persons a minute", "1/min", "46.7", "", "", "nobody came, or few"),
    ],
)


@pytest.mark.parametrize("width", [20, 40, 60, 80, 100, 140])
def test_a_narrow_terminal_cuts_no_figure(width: int):
    shown = io.StringIO()
    print_grid(GRID, Console(file=shown, width=width, force_terminal=False))
    told = shown.getvalue()
    assert "…" not in told
    assert max(map(len, told.splitlines())) <= width
    for word in " ".join(cell for row in GRID.rows for cell in row).split():
        assert word in told


def computed_s(pid: int) -> float:
    """Of a process, or of one that it started to compute for it."""
    children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    return max(processor_s(int(one)) for one in [pid, *children])


def stopped(*words: str, after_s: float = 2.0) -> subprocess.CompletedProcess[str]:
    """A benchmark that gets Ctrl-C when it has computed for a while."""
    command = [sys.executable, "-m", "bench", "bench", *words]
    run = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    while computed_s(run.pid) < after_s:
        assert run.poll() is None, run.communicate()
        time.sleep(0.1)
    run.send_signal(signal.SIGINT)
    out, err = run.communicate(timeout=60)
    return subprocess.CompletedProcess(command, run.returncode, out, err)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("clearing", "--cards", "20000"), "stopped before it was done"),
        (("tap", "--via", "inproc", "--count", "1000000"), "stopped before it was done"),
        (("gate", "--check-model", "--persons", "100000"), "stopped before everybody had passed"),
        (("city", "--scale-study", "--trips", "900000", "--workers", "1"), "the study was stopped"),
    ],
)
def test_ctrl_c_is_one_sentence_and_code_130(words: tuple[str, ...], said: str):
    done = stopped(*words, "--json")
    assert (done.returncode, done.stdout) == (130, "")
    assert done.stderr.startswith(f"tapbench: {said}")
    assert done.stderr.count("\n") == 1


@pytest.mark.parametrize("command", ["gate", "station"])
def test_a_stopped_crowd_says_so_beside_its_document(command: str):
    long = {"gate": ("--persons", "100000"), "station": ("--scale", "20")}[command]
    done = stopped(command, *long, "--json", after_s=4)
    assert done.returncode == 130
    assert done.stderr == f"tapbench: {json.loads(done.stdout)['incomplete']}\n"


def test_stopped_targets_keep_what_is_done_and_are_marked():
    done = stopped("targets", "--only", "T4,T1,T5", "--scale", "50", "--runs", "50", "--json")
    assert done.returncode == 130
    said = re.fullmatch(r"tapbench: (stopped after [0-2] of 3 targets)\n", done.stderr)
    assert said is not None, done.stderr
    assert json.loads(done.stdout)["incomplete"] == said[1]


def test_code_1_comes_with_the_reason(capsys):
    few = ["bench", "clearing", "--cards", "10", "--json"]  # the start takes most of the time
    assert run_app(few) == 1
    shown = capsys.readouterr()
    assert shown.err == "missed: T11, records\n"
    assert json.loads(shown.out)["kind"] == "clearing"


def test_the_help_of_clearing_counts_a_cards_records(capsys):
    assert run_app(["bench", "clearing", "--help"]) == 0
    said = re.search(r"each leaves (\d+) records", capsys.readouterr().out)
    run_app(["bench", "clearing", "--cards", "10", "--json"])
    records = json.loads(capsys.readouterr().out)["detail"]["records"]
    assert said is not None
    assert records == 10 * int(said[1])


def test_a_days_default_is_a_day(capsys):
    assert run_app(["bench", "city", "--help"]) == 0
    shown = capsys.readouterr().out
    assert "2026-09-01" in shown
    assert "00:00" not in shown


@pytest.mark.parametrize(
    "words",
    [
        ("air", "--html", "-"),
        ("air", "--svg", "-"),
        ("gate", "--persons", "2", "--html", "-"),
        ("gate", "--persons", "2", "--journal", "-"),
        ("ratios", "--out", "-"),
    ],
)
def test_a_dash_is_no_file(capsys, tmp_path: Path, monkeypatch, words: tuple[str, ...]):
    monkeypatch.chdir(tmp_path)
    assert run_app(["bench", *words]) == 2
    assert capsys.readouterr().err == (
        "tapbench: no file can be written at -: give the name of a file\n"
    )
    assert list(tmp_path.iterdir()) == []


def test_no_page_is_written_if_its_picture_cannot_be(capsys, tmp_path: Path):
    picture, page = tmp_path / "air.svg", tmp_path / "air.html"
    picture.write_text("mine")
    assert run_app(["bench", "air", "--svg", str(picture), "--html", str(page)]) == 2
    assert "is there already" in capsys.readouterr().err
    assert (picture.read_text(), page.exists()) == ("mine", False)


def test_targets_want_a_directory_before_they_measure(capsys):
    assert run_app(["bench", "targets", "--only", "T10", "--in", "/nowhere"]) == 2
    shown = capsys.readouterr()
    assert (shown.out, shown.err.count("\n")) == ("", 1)
    assert "--in /nowhere is no directory" in shown.err


CROWDS = {
    "gate": ("gate", "--persons", "3"),
    "grid": ("gate", "--grid", "--persons", "2"),
    "station": ("station", "--profile", "quiet", "--gates", "2", "--model", "--samples", "2"),
}


@pytest.mark.parametrize("words", CROWDS.values(), ids=CROWDS)
@pytest.mark.parametrize("timing", ["measured", "budget", "none"])
def test_simulated_figures_say_that_they_are(capsys, tmp_path: Path, words, timing: str):
    page = tmp_path / "page.html"
    command = ["bench", *words, "--timing", timing]
    assert run_app([*command, "--json", "--html", str(page)]) == 0
    shown = capsys.readouterr()
    basis = json.loads(shown.out)["detail"]["basis"]
    assert shown.err == f"{page} written\n"
    assert basis.startswith("Simulated, not measured at a gate")
    assert ("take no time" in basis) is (timing == "none")
    assert basis.replace("'", "&#x27;") in page.read_text()
    assert run_app(command) == 0
    assert basis in capsys.readouterr().out


def test_the_options_of_a_page_leave_out_what_was_not_given():
    page = page_html("Nothing", Document("gate", {"a": None, "b": [], "c": "", "d": 0}, {}), [])
    assert "<dt>options</dt><dd>d 0</dd>" in page


def test_a_home_that_cannot_be_written_is_no_noise(tmp_path: Path):
    page = tmp_path / "page.html"
    done = subprocess.run(
        [sys.executable, "-m", "bench", "bench", *CROWDS["gate"], "--html", str(page)],
        capture_output=True,
        text=True,
        check=False,
        env={k: v for k, v in os.environ.items() if k != "MPLCONFIGDIR"} | {"HOME": "/proc/no"},
    )
    assert (done.returncode, done.stderr) == (0, f"{page} written\n")

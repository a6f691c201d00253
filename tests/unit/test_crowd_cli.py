"""`bench gate` and `bench station` as people type them."""

import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from bench.cli.app import run_app
from bench.cli.crowd_app import asked
from bench.crowd_docs import COMMAND
from bench.docs import FOLDER
from bench.throughput.crowd.model import SAMPLES
from bench.throughput.crowd.people import Habits, Pace, Phones
from bench.throughput.document import read_document

QUICK = ("--persons", "20")


def told(capsys, *words) -> dict:
    assert run_app(["bench", *words, "--json"]) == 0
    return json.loads(capsys.readouterr().out)


def without_clock(document: dict) -> dict:
    """What a seed decides: everything but the machine, and what the processor took."""
    kept = {name: document[name] for name in ("kind", "options", "seed", "measures", "detail")}
    kept["measures"].pop("simulated time over processor time")
    for name in ("cpu_s", "field_over_cpu"):
        kept["detail"].pop(name, None)
    return kept


def test_a_gate_tells_what_people_ask_of_it(capsys):
    assert run_app(["bench", "gate", *QUICK]) == 0
    out = capsys.readouterr().out
    for words in (
        "persons a minute",
        "time in field",
        "taps over 300 ms",
        "PSAM 70 INIT_SAM_FOR_PURCHASE",
        "20 came, 20 passed, 0 were sent away, 0 are still there",
        "A transaction takes 403.9 ms; the log's sums to 376, +7.4%",
    ):
        assert words in out


def test_json_is_a_document_and_repeats_with_the_seed(capsys, tmp_path):
    words = ("gate", *QUICK, "--cards", "student:50=3,student-expired=1", "--early", "0.2")
    first, again = (told(capsys, *words, "--seed", "5") for _ in range(2))
    assert without_clock(first) == without_clock(again)
    assert first["measures"]["persons a minute"]["unit"] == "1/min"
    assert first["detail"]["arrived"] == first["detail"]["passed"] + sum(
        first["detail"]["rejected"].values()
    )
    (tmp_path / "gate.json").write_text(json.dumps(first))
    assert read_document(tmp_path / "gate.json").kind == "gate"


def test_a_station_repeats_with_the_seed(capsys):
    words = ("station", "--profile", "quiet", "--gates", "2", "--model", "--samples", "3")
    first, again = (told(capsys, *words) for _ in range(2))
    assert without_clock(first) == without_clock(again)
    gates = first["detail"]["gates"]
    assert [gate["kind"] for gate in gates] == ["entry", "exit"]
    assert sum(gate["passed"] for gate in gates) == first["detail"]["passed"]


def test_several_runs_of_a_station_have_the_seeds_that_follow(capsys, tmp_path):
    words = ("station", "--profile", "quiet", "--gates", "2", "--model", "--samples", "3")
    page = tmp_path / "station.html"
    both = told(capsys, *words, "--runs", "2", "--seed", "7", "--html", str(page))
    alone = [told(capsys, *words, "--seed", seed) for seed in ("7", "8")]
    rates = [one["measures"]["persons a minute"]["runs"][0] for one in alone]
    assert both["measures"]["persons a minute"]["runs"] == rates
    assert rates[0] != rates[1]
    for count in ("arrived", "passed", "taps", "still", "simulated_s"):
        assert both["detail"][count] == sum(one["detail"][count] for one in alone), count
    for what in ("gates", "halls"):
        assert both["detail"][what] == [each for one in alone for each in one["detail"][what]]
    assert [gate["seed"] for gate in both["detail"]["gates"]] == [7, 7, 8, 8]
    shown = page.read_text()
    assert "Gates, run of seed 7" in shown
    assert "Queues of" in shown
    assert "run of seed 8" not in shown


def test_a_grid_of_several_runs_tells_the_least_and_the_greatest(capsys):
    words = ("bench", "gate", "--grid", "--persons", "4", "--runs", "3")
    found = told(capsys, *words[1:])
    assert run_app(list(words)) == 0
    shown = capsys.readouterr().out
    for name, measure in found["measures"].items():
        rates = sorted(measure["runs"])
        assert len(rates) == 3, name
        assert f"{rates[1]:.1f} ({rates[0]:.1f} to {rates[2]:.1f})" in shown, name


def test_people_who_come_at_a_rate_may_still_be_there(capsys):
    found = told(capsys, "gate", "--rate", "60", "--minutes", "1", "--seed", "2")["detail"]
    assert found["simulated_s"] == 60
    assert found["still"] == found["arrived"] - found["passed"] > 10


def test_arrivals_come_from_a_file(capsys, tmp_path):
    path = tmp_path / "arrivals.csv"
    path.write_text("# morning\n0\n1.5,student-zero-balance\n90,ordinary:20,huawei-ese\n")
    found = told(capsys, "gate", "--arrivals", str(path))["detail"]
    assert (found["arrived"], found["passed"], found["rejected"]) == (
        3,
        2,
        {"no money on the card, please top up": 1},
    )
    assert found["simulated_s"] > 90


def test_a_page_is_whole_and_needs_nothing_else(capsys, tmp_path):
    for name, words in {
        "gate": ("gate", *QUICK, "--cards", "student:50,student-expired"),
        "station": ("station", "--profile", "quiet", "--gates", "3", "--model", "--samples", "3"),
        "grid": ("gate", "--grid", "--persons", "3"),
    }.items():
        path = tmp_path / f"{name}.html"
        assert run_app(["bench", *words, "--html", str(path)]) == 0
        page = path.read_text()
        assert "Measured on" in page
        assert "Incomplete" not in page
        assert not re.search(r'(src|href)="https?:', page)
        assert "<script" not in page
    capsys.readouterr()
    assert run_app(["bench", "gate", *QUICK, "--html", str(tmp_path / "gate.html")]) == 2
    assert "is there already" in capsys.readouterr().err


def test_the_model_is_checked_against_live_taps(capsys):
    words = ["bench", "gate", "--check-model", "--persons", "150", "--early", "0.1"]
    assert run_app(words) == 0
    assert re.search(
        r"live [\d.]+, model [\d.]+ persons a minute: .*within 2%", capsys.readouterr().out
    )
    found = told(capsys, *words[1:])
    assert found["detail"]["agrees"] is True
    ratio = found["measures"]["model over live, persons a minute"]
    assert ratio["typical"] == pytest.approx(1, abs=0.02)


def test_a_model_where_nobody_waits_is_checked_by_what_would_pass(capsys):
    words = ("gate", "--check-model", "--rate", "10", "--minutes", "5", "--runs", "2")
    found = told(capsys, *words)["measures"]
    assert len(found["model over live, persons a minute if somebody waits"]["runs"]) == 2


def test_runs_can_be_compared(capsys, tmp_path):
    for name, gap in (("before", "0.8"), ("after", "1.6")):
        found = told(capsys, "gate", *QUICK, "--runs", "3", "--gap", gap)
        (tmp_path / name).write_text(json.dumps(found))
        assert len(found["measures"]["time in field"]["runs"]) == 3
        assert found["detail"]["passed"] == 60
    paths = [str(tmp_path / name) for name in ("before", "after")]
    assert run_app(["bench", "compare", *paths]) == 1
    assert "Worse by more than 10%: persons a minute" in capsys.readouterr().out


def test_what_is_left_out_is_what_the_simulation_leaves_out():
    said = asked()
    assert Pace(*said.pace) == Pace()
    assert Phones(*said.phones) == Phones()
    assert (said.hold, said.noise, said.samples) == (Habits().hold, 0, SAMPLES)


def test_the_documented_command_makes_the_documented_table(capsys):
    assert run_app([*COMMAND.split()[1:], "--json"]) == 0
    measures = json.loads(capsys.readouterr().out)["measures"]
    rows = re.findall(
        r"^\| (\d+) \| ([\w-]+) \| \d+ \| ([\d. to()]+) \| ([\d. to()]+) \|$",
        (FOLDER / "throughput.md").read_text("utf-8"),  # that it is fresh is tested elsewhere
        re.MULTILINE,
    )
    assert len(rows) == 12
    for kbit, carrier, opened, closed in rows[:6]:
        for barrier, shown in (("normally_open", opened), ("normally_closed", closed)):
            measure = measures[f"measured {kbit} kbit/s {carrier} {barrier}"]
            rates = (measure["typical"], min(measure["runs"]), max(measure["runs"]))
            assert "{:.1f} ({:.1f} to {:.1f})".format(*rates) == shown


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("gate", "--rate", "0"), "the rate of arrivals, persons a minute, is 0"),
        (("gate", "--rate", "-3"), "the rate of arrivals, persons a minute, is -3"),
        (("gate", "--rate", "nan"), "the rate of arrivals, persons a minute, is nan"),
        (("gate", "--rate", "1e9"), "the rate of arrivals, persons a minute, is 1e+09"),
        (("gate", "--rate", "many"), "invalid value for '--rate'"),
        (("gate", "--rate", "5", "--minutes", "inf"), "the number of minutes is inf"),
        (("gate", "--persons", "0"), "the number of persons is 0"),
        (("gate", "--kbit", "107"), "there is no bit rate 107 kbit/s; choose one of: 106"),
        (("gate", "--barrier", "ajar"), "there is no barrier 'ajar'"),
        (("gate", "--timing", "slow"), "there is no timing 'slow'"),
        (("gate", "--mode", "party"), "there is no mode 'party'"),
        (("gate", "--mode", "closed"), "a gate in mode closed passes nobody"),
        (("gate", "--station", "Nowhere"), "has no station 'Nowhere'"),
        (("gate", "--direction", "up"), "there is no direction 'up'"),
        (("gate", "--cards", "nobody"), "there is no profile 'nobody'"),
        (("gate", "--carriers", "pigeon"), "there is no phone 'pigeon'"),
        (("gate", "--gap", "nan"), "the time 'gap' is nan"),
        (("gate", "--early", "2"), "the share of early removals is 2"),
        (("gate", "--noise", "-1"), "the share of noise is -1"),
        (("gate", "--arrivals", "/nowhere/at/all"), "cannot be read"),
        (("gate", "--arrivals", "x", "--rate", "3"), "--rate and --arrivals exclude each other"),
        (("gate", "--model", "--grid"), "exclude each other"),
        (("gate", "--grid", "--journal", "j"), "a journal is one gate's, of one run"),
        (("gate", "--runs", "2", "--journal", "j"), "a journal is one gate's, of one run"),
        (("gate", "--grid", "--carriers", "plastic"), "--grid goes through carriers and barriers"),
        (("gate", "--runs", "0"), "invalid value for '--runs'"),
        (("gate", "--persons", "9" * 400), "the number of persons is 999999999999..."),
        (("station", "--fail", f"{'9' * 400}@1+1"), "the number of a gate that fails is 999999"),
        (("gate", "--check-model", "--html", "x"), "--check-model makes no page"),
        (("gate", "--grid", "--rate", "3"), "--grid is of gates where somebody always waits"),
        (("gate", "--grid", "--direction", "single"), "--grid is of gates with a barrier"),
        (("gate", "--model", "--journal", "j"), "a model keeps no records"),
        (("gate", "--html", "/nowhere/page.html"), "there is no folder /nowhere"),
        (("station", "--gates", "0"), "the number of gates is 0; expected 1 to 64"),
        (("station", "--profile", "rush"), "there is no crowd 'rush'; choose one of: evening-peak"),
        (("station", "--profile", "/no/crowd.toml"), "cannot be read"),
        (("station", "--lines", "Line 99"), "no line 'Line 99' stops at Xidan"),
        (("station", "--fail", "soon"), "'soon' is no failure; expected GATE@AT+LASTS"),
        (("station", "--fail", "99@1+1"), "the number of a gate that fails is 99"),
        (("station", "--emergency", "now"), "'now' is no emergency; expected AT+LASTS"),
        (("station", "--scale", "nan"), "the scale is nan"),
    ],
)
def test_nonsense_is_refused_in_one_sentence(capsys, words, said):
    assert run_app(["bench", *words]) == 2
    shown = capsys.readouterr()
    assert said in shown.err
    assert shown.err.count("\n") == 1
    assert shown.out == ""


def test_a_journal_that_is_there_is_not_written_to(capsys, tmp_path):
    path = tmp_path / "gate.journal"
    words = ["bench", "gate", "--persons", "3", "--journal", str(path)]
    assert run_app(words) == 0
    before = path.read_bytes()
    assert run_app(words) == 2
    assert "is there already" in capsys.readouterr().err
    assert path.read_bytes() == before


def processor_s(pid: int) -> float:
    """What a process has computed so far; enough of it, and people pass."""
    told = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(told[11]) + int(told[12])) / os.sysconf("SC_CLK_TCK")


@pytest.mark.parametrize("command", ["gate", "station"])
def test_what_is_stopped_is_marked_incomplete(command):
    long = {"gate": ("--persons", "100000"), "station": ("--scale", "20")}[command]
    run = subprocess.Popen(
        [sys.executable, "-m", "bench", "bench", command, *long, "--json"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=os.environ | {"PYTHONUNBUFFERED": "1"},
    )
    while processor_s(run.pid) < 4:
        assert run.poll() is None
        time.sleep(0.2)
    run.send_signal(signal.SIGINT)
    out, err = run.communicate(timeout=60)
    assert run.returncode == 130, err
    document = json.loads(out)
    assert document["incomplete"].startswith("stopped before")
    assert 0 < document["detail"]["passed"] < document["detail"]["arrived"]

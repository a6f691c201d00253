"""The simulated air on the command line: times, noise, given faults."""

import json

import pytest

from bench.trace_formats import load
from tests.interop.test_cli import read_until, running, tapbench

LEAVES = '{"kind": "leaves", "frame": 60}\n'


def test_a_measured_tap_takes_what_the_log_says():
    done = tapbench("tap", "--via", "air", "--timing", "measured", "--json")
    assert done.returncode == 0, done.stderr
    steps = json.loads(done.stdout)["roads"]["air"]["steps"]
    took = {step["name"]: step["us"] / 1000 for step in steps if step["part"] == "exit"}
    for name, ms in (
        ("SELECT", 19.0),
        ("INITIALIZE FOR CAPP PURCHASE", 11.5),
        ("DEBIT FOR PURCHASE", 67.0),
        ("INIT_SAM_FOR_PURCHASE", 121.0),
        ("CREDIT_SAM_FOR_PURCHASE", 72.0),
    ):
        assert took[name] == pytest.approx(ms, abs=0.01), name


def test_noise_repeats_with_the_seed():
    runs = [
        tapbench("tap", "--via", "air", "--noise", "0.1", "--seed", "3", "--json").stdout
        for _ in range(2)
    ]
    assert runs[0] == runs[1]
    assert json.loads(runs[0])["ok"]


def test_a_given_fault_is_recorded_where_it_was(tmp_path):
    faults, recording = tmp_path / "faults.jsonl", tmp_path / "torn.jsonl"
    faults.write_text(LEAVES)
    done = tapbench(
        "trace", "record", "--via", "air", "--faults", str(faults), str(recording), "--seed", "1"
    )
    assert done.returncode == 1, "the tap fails, and the recording is kept"
    assert "The card left the field" in done.stderr
    assert [event.note for event in load(recording).events if "leaves" in event.note] == ["leaves"]


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (("--via", "udp", "--noise", "0.1"), "give --via air"),
        (("--via", "all", "--timing", "budget"), "give --via air"),
        (("--via", "air", "--timing", "slow"), "there is no timing 'slow'; choose one of: none"),
        (("--via", "air", "--noise", "2"), "less than or equal to 1"),
        (("--via", "air", "--faults", "/nowhere/x"), "/nowhere/x cannot be read"),
        (("--via", "air", "--faults", "/dev/null", "--noise", "0.1"), "exclude each other"),
    ],
)
def test_a_wrong_condition_is_told_in_one_sentence(here, options, said):
    done = here("tap", *options)
    assert done.returncode == 2
    assert said in done.stderr
    assert "Traceback" not in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1


def test_a_malformed_list_of_faults_names_its_line(here, tmp_path):
    faults = tmp_path / "faults.jsonl"
    faults.write_text(LEAVES + '{"kind": "melts", "frame": 1}\n')
    done = here("tap", "--via", "air", "--faults", str(faults))
    assert done.returncode == 2
    assert "line 2" in done.stderr


def test_an_emulated_card_may_take_its_time():
    """A gate in another process grants S(WTX) and passes the slow card."""
    with running("emulate", "--via", "udp", "--port", "0", "--timing", "measured") as card:
        seen = read_until(card, r"udp:127.0.0.1:\d+")
        device = seen[seen.index("udp:") :].split()[0]
        options = ("--direction", "entry", "--station", "Xidan", "--cards", "1", "--json")
        done = tapbench("gate", "--via", "nfc", "--device", device, *options)
    shown = json.loads(done.stdout.splitlines()[-1])
    assert shown["verdict"] == "pass", done.stdout
    assert shown["ms"] > 150, "DEBIT alone takes 67 ms"

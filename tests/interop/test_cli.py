"""The command line as a user runs it: a process, its output and its exit code."""

import json
import os
import re
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import nfc
import nfc.clf
import nfc.tag
import pytest

from tests.ending import end
from tests.needs import require_module, require_tool


def tapbench(*arguments: str, **environ: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "bench", *arguments],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        env={**os.environ, **environ},
    )


@contextmanager
def running(*arguments: str) -> Iterator[subprocess.Popen[str]]:
    process = subprocess.Popen(
        [sys.executable, "-m", "bench", *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    try:
        yield process
    finally:
        end(process)


def read_until(process: subprocess.Popen[str], wanted: str) -> str:
    """Output up to a line that matches. Fails if the process ends first."""
    seen = ""
    assert process.stdout is not None
    for line in process.stdout:
        seen += line
        if re.search(wanted, line):
            return seen
    pytest.fail(f"ended with {process.wait()} before {wanted!r}:\n{seen}")


def test_the_main_job_in_process():
    done = tapbench("tap")
    assert done.returncode == 0, done.stderr
    assert "top-up: balance 0.00 -> 50.00 yuan" in done.stdout
    assert "exit: balance 50.00 -> 46.00 yuan" in done.stdout
    assert done.stdout.count("verified") == 3
    assert "INITIALIZE FOR CAPP PURCHASE" in done.stdout
    assert "state 1 (entered)" in done.stdout


def test_the_main_job_is_json_for_programs():
    done = tapbench("tap", "--seed", "7", "--json")
    shown = json.loads(done.stdout)
    assert shown["ok"] is True
    road = shown["roads"]["inproc"]
    assert road["balances_fen"]["exit"] == {"before": 5000, "after": 4600}
    assert len(road["steps"]) == 27
    assert all(tac["verified"] for tac in road["tacs"].values())


def test_a_seed_repeats_the_transcript():
    def transcript(seed: str) -> list[tuple[str, str]]:
        steps = json.loads(tapbench("tap", "--seed", seed, "--json").stdout)["roads"]["inproc"]
        return [(s["command"], s["response"]) for s in steps["steps"]]

    assert transcript("5") == transcript("5")
    assert transcript("5") != transcript("6")


def test_all_roads_show_the_same_bytes():
    require_module("smartcard", "tapbench[pcsc]")
    require_tool("pcscd", "pcscd vsmartcard-vpcd")
    done = tapbench("tap", "--via", "all")
    assert done.returncode == 0, done.stderr
    assert "equal, byte for byte: inproc, air, udp, pn532, pcsc" in done.stdout


def test_a_missing_road_is_named_and_the_others_run(tmp_path):
    """A place for the service's socket whose path is too long: no PC/SC road here."""
    deep = tmp_path / ("x" * 90)
    deep.mkdir()
    done = tapbench("tap", "--via", "all", TMPDIR=str(deep))
    assert "pcsc: left out, " in done.stderr
    assert "equal, byte for byte: inproc, air, udp, pn532." in done.stdout
    assert done.returncode == 1, "a road that was asked for is missing"


def test_the_readme_shows_what_the_command_prints():
    readme = (Path(__file__).parents[2] / "README.md").read_text("utf-8")
    shown = re.findall(r"^exit: .*$", readme, re.MULTILINE)
    printed = tapbench("tap").stdout.splitlines()
    assert len(shown) == 2
    assert set(shown) <= set(printed)


def test_a_pin_on_its_way_to_the_card_is_not_printed():
    with running("emulate", "--via", "udp", "--port", "0") as card:
        device = re.search(r"udp:\S+", read_until(card, "Ctrl-C"))
        assert device
        with closing(nfc.ContactlessFrontend(device[0])) as reader:
            target = reader.sense(nfc.clf.RemoteTarget("106A"))
            tag = nfc.tag.activate(reader, target)
            tag.transceive(bytes.fromhex("0020000003987654"))
        card.send_signal(signal.SIGINT)
        assert "987654" not in card.communicate(timeout=20)[0]


def test_emulate_and_gate_meet_over_the_air():
    with running("emulate", "--via", "udp", "--port", "0") as card:
        said = read_until(card, "Ctrl-C")
        device = re.search(r"udp:\S+", said)
        assert device
        entry = tapbench(*gate_on(device[0], "entry", "Yongtaizhuang"))
        assert entry.returncode == 0, entry.stdout + entry.stderr
        first = json.loads(entry.stdout)
        assert (first["verdict"], first["balance_fen"]) == ("pass", 5000)
        again = json.loads(tapbench(*gate_on(device[0], "entry", "Yongtaizhuang")).stdout)
        assert (again["verdict"], again["reason"]) == ("reject", "ALREADY_ENTERED")
        left = json.loads(tapbench(*gate_on(device[0], "exit", "080019")).stdout)
        assert (left["verdict"], left["fare_fen"], left["balance_fen"]) == ("pass", 400, 4600)


def gate_on(device: str, direction: str, station: str) -> list[str]:
    return [
        "gate", "--via", "nfc", "--device", device, "--direction", direction,
        "--station", station, "--cards", "1", "--wait", "10", "--json",
    ]  # fmt: skip


def test_emulate_and_gate_meet_over_pcsc():
    require_module("smartcard", "tapbench[pcsc]")
    require_tool("pcscd", "pcscd vsmartcard-vpcd")
    with running("emulate", "--via", "pcsc", "--reader-name", "bench reader") as card:
        said = read_until(card, "Ctrl-C")
        comm = re.search(r"PCSCLITE_CSOCK_NAME=(\S+)", said)
        assert comm
        assert "bench reader 00 00" in said
        done = tapbench(
            "gate", "--via", "pcsc", "--reader", "READER 00 00", "--direction", "entry",
            "--station", "永泰庄", "--cards", "1", "--wait", "20",
            PCSCLITE_CSOCK_NAME=comm[1],
        )  # fmt: skip
        assert done.returncode == 0, done.stdout + done.stderr
        assert "PASS; fare 0.00, balance 50.00 yuan" in done.stdout
        card.send_signal(signal.SIGTERM)
        rest = card.communicate(timeout=20)[0]
        assert "DEBIT FOR PURCHASE" in rest
        assert "card removed, balance 50.00 yuan" in rest
        assert card.returncode == 0


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("explain", "zz"), "'zz' is not hexadecimal"),
        (("explain", "805"), "'805' is not hexadecimal"),
        (("explain", ""), "nothing to explain"),
        (("tap", "--via", "tin-cans"), "there is no road 'tin-cans'"),
        (("emulate", "--via", "udp", "--profile", "nobody"), "there is no profile 'nobody'"),
        (("emulate", "--via", "smoke"), "there is no road 'smoke'"),
        (("emulate", "--via", "udp", "--balance", "1.005"), "'1.005' is not an amount"),
        (("emulate", "--via", "udp", "--balance", "9999"), "expected yuan from 0.00 to 1000.00"),
        (("emulate", "--via", "udp", "--issued", "soon"), "'soon' is not a day"),
        (("emulate", "--via", "udp", "--issued", "9999-12-31"), "expected 2000 to 2099"),
        (("emulate", "--via", "udp", "--balance", "1e999999"), "is not an amount"),
        (
            ("gate", "--via", "nfc", "--direction", "entry", "--station", "Xidam"),
            "has no station 'Xidam'; close: Xidan",
        ),
        (
            ("gate", "--via", "nfc", "--direction", "sideways", "--station", "Xidan"),
            "'direction' is 'sideways'; expected one of: entry, exit",
        ),
        (
            ("gate", "--via", "mail", "--direction", "entry", "--station", "Xidan"),
            "there is no road 'mail'",
        ),
        (
            ("gate", "--via", "nfc", "--device", "tty:NOSUCH:pn532", "--direction", "entry",
             "--station", "Xidan"),
            "tty:NOSUCH:pn532",
        ),
        (
            ("gate", "--via", "nfc", "--direction", "exit", "--station", "Xidan", "--at", "noon"),
            "'noon' is not a time",
        ),
    ],
)  # fmt: skip
def test_bad_input_is_one_sentence_and_code_2(here, arguments, said):
    refused(here(*arguments), said)


def refused(done: subprocess.CompletedProcess[str], said: str) -> None:
    assert done.returncode == 2, done.stdout + done.stderr
    assert said in done.stderr
    assert done.stderr.startswith("tapbench: ")
    assert done.stderr.count("\n") == 1
    assert "Traceback" not in done.stderr


def test_no_pc_sc_service_is_one_sentence(tmp_path):
    require_module("smartcard", "tapbench[pcsc]")
    done = tapbench(
        "gate", "--via", "pcsc", "--direction", "entry", "--station", "Xidan",
        PCSCLITE_CSOCK_NAME=str(tmp_path / "nobody"),
    )  # fmt: skip
    refused(done, "no PC/SC service answers")


def test_an_unknown_reader_is_one_sentence_with_those_there_are(pcscd):
    done = tapbench(
        "gate", "--via", "pcsc", "--reader", "Omnikey", "--direction", "entry",
        "--station", "Xidan", PCSCLITE_CSOCK_NAME=str(pcscd.socket_path),
    )  # fmt: skip
    refused(done, "tapbench 00 00")
    assert "Omnikey" in done.stderr


def test_a_taken_vpcd_port_is_one_sentence(pcscd):
    done = tapbench("emulate", "--via", "pcsc", "--port", str(pcscd.port))
    refused(done, str(pcscd.port))


def test_a_taken_udp_port_is_one_sentence():
    with running("emulate", "--via", "udp", "--port", "0") as card:
        said = read_until(card, "Ctrl-C")
        port = re.search(r"udp:\S+:(\d+)", said)
        assert port
        refused(tapbench("emulate", "--via", "udp", "--port", port[1]), port[1])


def test_no_card_in_time_is_one_sentence():
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as silent:
        silent.bind(("127.0.0.1", 0))
        device = f"udp:127.0.0.1:{silent.getsockname()[1]}"
        done = tapbench(
            "gate", "--via", "nfc", "--device", device, "--direction", "entry",
            "--station", "Xidan", "--cards", "1", "--wait", "0.1",
        )  # fmt: skip
    refused(done, f"No card came to {device}")


def test_explain_reads_a_command_and_its_answer():
    done = tapbench("explain", "805C000204", "000013889000")
    assert done.returncode == 0
    assert "GET BALANCE" in done.stdout
    assert "50.00" in done.stdout


def test_explain_is_json_for_programs():
    shown = json.loads(tapbench("explain", "3B80800101", "--json").stdout)
    assert shown[0]["kind"] == "ATR"


def test_help_names_every_command():
    out = tapbench("--help").stdout
    for command in ("tap", "emulate", "gate", "explain", "doctor", "bench"):
        assert command in out


def test_a_tap_does_not_load_the_database():
    """SQLAlchemy takes longer to import than a tap takes: only clearing pays for it."""
    done = subprocess.run(
        [
            sys.executable,
            "-c",
            "import sys, bench.cli.tap, bench.cli.emulate, bench.cli.gate, bench.cli.trace_show; "
            "print([name for name in sys.modules if name.startswith('sqlalchemy')])",
        ],
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout == "[]\n"

"""`tapbench emulate` with knobs: by a script, and by keys at a terminal."""

import fcntl
import json
import os
import pty
import re
import subprocess
import sys
import termios
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.ending import end
from tests.interop.test_cli import gate_on, read_until, running, tapbench
from tests.needs import require_module, require_tool

LOST = '[[knob]]\ntap = 1\ncommand = "DEBIT"\ncut = "after"\n'


def script(folder: Path, text: str) -> str:
    path = folder / "knobs.toml"
    path.write_text(text)
    return str(path)


def at_gate(
    device: str, direction: str = "entry", journal: Path | None = None
) -> dict[str, object]:
    more = [] if journal is None else ["--journal", str(journal)]
    done = tapbench(*gate_on(device, direction, "080013"), *more)
    return dict(json.loads(done.stdout))


def test_a_scripted_card_is_lost_and_recovered(tmp_path: Path):
    options = ("emulate", "--via", "udp", "--port", "0", "--script", script(tmp_path, LOST))
    with running(*options) as card:
        device = re.search(r"udp:\S+", read_until(card, "Ctrl-C"))
        assert device
        journal = tmp_path / "gate.journal"
        assert at_gate(device[0], journal=journal)["verdict"] == "tap again"
        again = at_gate(device[0], journal=journal)
        assert (again["verdict"], again["recovered"]) == ("pass", True)


def test_a_scripted_balance_is_judged_by_a_gate(tmp_path: Path):
    text = "[[knob]]\ntap = 1\nforced_balance = 299\n"
    with running(
        "emulate", "--via", "udp", "--port", "0", "--script", script(tmp_path, text)
    ) as card:
        device = re.search(r"udp:\S+", read_until(card, "Ctrl-C"))
        assert device
        assert at_gate(device[0])["reason"] == "BALANCE_TOO_LOW"
        assert at_gate(device[0])["verdict"] == "pass"


@pytest.mark.needs_pcscd
def test_a_scripted_card_leaves_a_pcsc_reader_and_comes_back(tmp_path: Path):
    require_module("smartcard", "tapbench[pcsc]")
    require_tool("pcscd", "pcscd vsmartcard-vpcd")
    with running("emulate", "--via", "pcsc", "--script", script(tmp_path, LOST)) as card:
        comm = re.search(r"PCSCLITE_CSOCK_NAME=(\S+)", read_until(card, "Ctrl-C"))
        assert comm
        done = tapbench(
            "gate", "--via", "pcsc", "--reader", "tapbench 00 00", "--direction", "entry",
            "--station", "080013", "--cards", "2", "--wait", "20", "--json",
            PCSCLITE_CSOCK_NAME=comm[1],
        )  # fmt: skip
        verdicts = [json.loads(line)["verdict"] for line in done.stdout.splitlines()]
        assert verdicts == ["tap again", "pass"]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("[[knob]]\nfwi = 99\n", "knobs.toml, knob 1: fwi is 99"),
        ("[[knob", "is not TOML"),
        ("", "turns no knob"),
    ],
)
def test_a_script_that_is_wrong_is_one_sentence(tmp_path: Path, text: str, said: str):
    done = tapbench("emulate", "--via", "udp", "--port", "0", "--script", script(tmp_path, text))
    assert done.returncode == 2
    assert said in done.stderr
    assert len(done.stderr.splitlines()) == 1
    assert done.stdout == ""


def test_a_script_is_not_for_a_phone(tmp_path: Path):
    options = ("--phone", "nfc-off", "--script", script(tmp_path, LOST))
    done = tapbench("emulate", "--via", "udp", "--port", "0", *options)
    assert (done.returncode, "leave --phone out" in done.stderr) == (2, True)


def take_terminal() -> None:
    """In the child: standard input is the terminal of a session of its own."""
    os.setsid()
    fcntl.ioctl(0, termios.TIOCSCTTY, 0)


@contextmanager
def at_a_terminal() -> Iterator[tuple[subprocess.Popen[str], int]]:
    """`emulate` whose standard input is a terminal. Yields the process and the keyboard."""
    keyboard, terminal = pty.openpty()
    process = subprocess.Popen(
        [sys.executable, "-m", "bench", "emulate", "--via", "udp", "--port", "0"],
        stdin=terminal,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        preexec_fn=take_terminal,
    )
    os.close(terminal)
    try:
        yield process, keyboard
    finally:
        end(process)
        os.close(keyboard)


def test_keys_turn_knobs_at_a_terminal():
    with at_a_terminal() as (card, keyboard):
        said = read_until(card, "Ctrl-C")
        assert "Keys:" in said
        device = re.search(r"udp:\S+", said)
        assert device
        os.write(keyboard, b"z")
        read_until(card, "on: GET BALANCE answers 0.00")
        assert at_gate(device[0])["reason"] == "ZERO_BALANCE"
        os.write(keyboard, b"o")
        read_until(card, "all knobs are off")
        assert at_gate(device[0])["verdict"] == "pass"


def test_without_a_terminal_no_keys_are_shown():
    with running("emulate", "--via", "udp", "--port", "0") as card:
        assert "Keys:" not in read_until(card, "Ctrl-C")

"""`tapbench gate` and `tapbench desk` on every road: journal, modes, PSAM in a slot, display."""

import json
import os
import pty
import re
import resource
import signal
import struct
import subprocess
import sys
import termios
import time
from datetime import datetime
from fcntl import ioctl
from pathlib import Path
from typing import Any

import pytest

import fixtures
from apdu.commands import DEBIT
from bench.device.build import device
from bench.device.settings import read_settings
from bench.scenario import ENTRY_TERMINAL, EXIT_TERMINAL, sam_keys
from emulator.frontends.udp import UdpFrontend
from emulator.frontends.vpcd import VpcdFrontend
from reader.journal import FRAME, Journal, read_records
from reader.outcome import Verdict
from reader.psam import Psam
from reader.psam_store import PsamFile
from reader.taprecord import CLOCK_BACK, Mark
from reader.transport.base import CardLost
from tests.cards import purse_in
from tests.unmeasured import unmeasured

AT = ("--at", "2025-09-08T08:01:42")
LATE = ("--at", "2025-09-08T12:01:42")
ENTRY = ("gate", "--direction", "entry", "--station", "Yongtaizhuang")
EXIT = ("gate", "--direction", "exit", "--station", "080019")


def told(done: subprocess.CompletedProcess[str]) -> list[dict[str, Any]]:
    return [json.loads(line) for line in done.stdout.splitlines()]


@pytest.mark.parametrize("via", ["inproc", "air"])
def test_cards_of_this_process_are_presented_one_after_another(here, via: str):
    cards = ("student", "student-expired", "ordinary")
    named = [word for name in cards for word in ("--profile", name)]
    done = here(*ENTRY, "--via", via, *named, "--balance", "50", "--json", *AT)
    found = told(done)
    assert [(tap["verdict"], tap["code"], tap["lamp"]) for tap in found] == [
        ("pass", None, "green"),
        ("reject", 32, "red"),
        ("pass", None, "green"),
    ]
    assert found[1]["text_zh"] == "卡片已过有效期，请在App延期"
    assert {name for name, _ in found[0]["stages_ms"]} == {
        "select", "read", "offer", "PSAM", "records", "debit", "PSAM check",
    }  # fmt: skip
    assert sum(ms for _, ms in found[0]["stages_ms"]) <= found[0]["ms"] + 0.01  # rounded
    assert done.returncode == 0


def test_with_cards_of_this_process_it_is_the_profiles_day(here):
    named = (
        "--profile",
        "student",
        "--profile",
        "student-expiring",
        "--profile",
        "student-expired",
    )
    done = here(*ENTRY, "--via", "inproc", *named, "--balance", "50", "--json")
    assert [tap["code"] for tap in told(done)] == [None, None, 32]
    exit_ = here(*EXIT, "--via", "inproc", "--profile", "student-open-trip", "--json")
    assert told(exit_)[0]["fare_fen"] == 400
    desk = here(
        "desk",
        "missing-exit",
        "--station",
        "080019",
        "--via",
        "inproc",
        "--profile",
        "student-open-trip",
    )
    assert desk.returncode == 0, desk.stdout


def test_a_timed_air_takes_the_time_it_says(here):
    done = here(
        *EXIT, "--via", "air", "--timing", "measured", "--profile", "student-open-trip", "--json",
        *AT,
    )  # fmt: skip
    (tap,) = told(done)
    assert (tap["fare_fen"], tap["balance_fen"]) == (400, 4600)
    # The published log's steps (protocol reference 7): a gate is slow, but in time for its limit.
    assert 300 < tap["ms"] < 500
    assert dict(tap["stages_ms"])["PSAM"] == 121.0


def test_a_bus_boards_and_sells(here):
    board = ("gate", "--direction", "board", "--line", "0x0443", "--via", "inproc")
    (tap,) = told(here(*board, "--profile", "student", "--balance", "50", "--json", *AT))
    assert (tap["verdict"], tap["fare_fen"], tap["balance_fen"]) == ("pass", 0, 5000)
    assert here(*board, "--line", "x").stderr.count("is not a whole number") == 1


def test_card_on_one_reader_and_psam_on_another(here, pcscd, tmp_path: Path):
    card, sam = fixtures.card("student", balance=5000), Psam(ENTRY_TERMINAL, sam_keys(), 77)
    journal = tmp_path / "gate.journal"
    with (
        VpcdFrontend(sam, pcscd.ports[1]).running(),
        VpcdFrontend(card, pcscd.ports[0]).running(),
    ):
        done = here(
            *ENTRY, "--via", "pcsc", "--reader", pcscd.reader_names[0],
            "--psam", pcscd.reader_names[1], "--journal", journal, "--cards", "1", "--json", *AT,
        )  # fmt: skip
    (tap,) = told(done)
    assert (tap["verdict"], tap["balance_fen"]) == ("pass", 5000), done.stderr
    (record,) = read_records(journal)
    assert (record.terminal_seq, record.terminal, record.tac.hex().upper()) == (
        77,
        ENTRY_TERMINAL,
        tap["tac"],
    )
    assert not (tmp_path / "gate.journal.psam").exists()


def test_a_journal_lives_on_and_a_clock_that_went_back_is_marked(here, tmp_path: Path):
    journal = tmp_path / "gate.journal"
    for at in ("2025-09-08T08:01:42", "2025-09-08T08:01:41", "2025-09-08T08:01:43"):
        done = here(*ENTRY, "--via", "inproc", "--balance", "9", "--journal", journal, "--at", at)
        assert done.returncode == 0, done.stderr
    records = list(read_records(journal))
    assert [record.sequence for record in records] == [1, 2, 3]
    assert [record.terminal_seq for record in records] == [1, 2, 3]
    assert [bool(record.flags & CLOCK_BACK) for record in records] == [False, True, False]


def test_a_journal_of_another_gate_is_one_sentence(here, tmp_path: Path):
    path = tmp_path / "gate.journal"
    with Journal(path, b"OTHER001", bytes(6)):
        pass
    done = here(*ENTRY, "--via", "inproc", "--journal", path, *AT)
    assert done.returncode == 2
    assert "is of another gate: expected gate and terminal" in done.stderr
    assert done.stderr.count("\n") == 1


@pytest.mark.parametrize("records", [0, 1])
def test_a_full_disk_shuts_the_gate_before_money_moves(tmp_path: Path, records: int):
    """The kernel refuses the write: at the promise of the first tap, or of the second."""
    path = tmp_path / "gate.journal"
    for _ in range(1 + records):
        limit = (1 + 2 * records) * FRAME if _ == records else 1 << 20
        done = subprocess.run(
            [
                sys.executable, "-m", "bench", *ENTRY, "--via", "inproc", "--balance", "50",
                "--journal", path, *AT,
            ],
            capture_output=True,
            text=True,
            timeout=60,
            # Coverage writes a file of its own at the end, larger than this disk.
            env=unmeasured(),
            preexec_fn=lambda limit=limit: resource.setrlimit(
                resource.RLIMIT_FSIZE, (limit, limit)
            ),
        )  # fmt: skip
    assert done.returncode == 2
    assert "takes no record (File too large)" in done.stderr
    assert "free some and start it again" in done.stderr
    assert done.stderr.count("\n") == 1
    assert "PASS" not in done.stdout
    assert [record.mark for record in read_records(path)] == [Mark.TAKEN] * records


@pytest.mark.parametrize("direction", ["entry", "exit"])
def test_in_an_emergency_no_command_leaves_the_gate(here, tmp_path: Path, direction: str):
    trace = tmp_path / "gate.jsonl"
    way = ENTRY if direction == "entry" else EXIT
    named = [w for n in fixtures.profile_names() if "calib" not in n for w in ("--profile", n)]
    done = here(
        *way, "--via", "air", "--mode", "emergency", *named, "--json", "--trace", trace, *AT
    )
    taps = told(done)
    assert len(taps) == len(named) // 2 > 20
    assert {(tap["released"], tap["serial"]) for tap in taps} == {(True, None)}
    assert {tap["reason"] for tap in taps} == {"EMERGENCY" if direction == "entry" else None}
    events = [json.loads(line) for line in trace.read_text("utf-8").splitlines()]
    assert sum(event.get("dir") == "decision" for event in events) == len(taps)
    assert not [event for event in events if event.get("layer") == "apdu"]


def test_in_an_emergency_the_passenger_is_told_once(here):
    done = here(*ENTRY, "--via", "inproc", "--mode", "emergency", *AT)
    assert done.stdout.count("emergency release, do not enter") == 1
    done = here(*EXIT, "--via", "inproc", "--mode", "emergency", *AT)
    assert done.stdout.count("emergency release, please leave") == 1


def test_without_an_emergency_the_same_trace_has_commands(here, tmp_path: Path):
    """The test above can fail."""
    trace = tmp_path / "gate.jsonl"
    here(*ENTRY, "--via", "air", "--balance", "50", "--trace", trace, *AT)
    events = [json.loads(line) for line in trace.read_text("utf-8").splitlines()]
    assert len([event for event in events if event.get("layer") == "apdu"]) >= 20


@pytest.mark.parametrize(
    ("mode", "code"), [("closed", 11), ("fault", 12), ("maintenance", 13), ("offline", None)]
)
def test_a_mode_of_the_command_line_holds(here, mode: str, code: int | None):
    (tap,) = told(here(*ENTRY, "--via", "inproc", "--balance", "9", "--mode", mode, "--json", *AT))
    assert tap["code"] == code


def test_a_desk_closes_a_trip_over_nfcpy_s_air(here, tmp_path: Path):
    card, journal = fixtures.card("student-open-trip"), tmp_path / "desk.journal"
    with UdpFrontend(card, port=0).running() as front:
        host, port = front.address
        done = here(
            "desk", "missing-exit", "--via", "nfc", "--device", f"udp:{host}:{port}",
            "--station", "080019", "--journal", journal, "--json", *AT,
        )  # fmt: skip
        (tap,) = told(done)
        assert (tap["verdict"], tap["fare_fen"], tap["balance_fen"]) == ("pass", 300, 4700)
    assert purse_in(card.image).actual == 4700
    (record,) = read_records(journal)
    assert (record.trip, record.amount) == (0x08, 300)


class Forgetful:
    """A card that leaves before it answers DEBIT."""

    def __init__(self, card: Any) -> None:
        self.card = card

    def transmit(self, command: bytes) -> bytes:
        answer: bytes = self.card.process(command)
        if command[:2] == bytes((DEBIT.cla, DEBIT.ins)):
            raise CardLost("gone")
        return answer


def test_staff_let_a_card_prove_what_the_psam_has_forgotten(here, tmp_path: Path):
    config, journal = tmp_path / "gate.toml", tmp_path / "gate.journal"
    config.write_text(
        f'direction = "exit"\nstation = "080019"\njournal = "gate.journal"\n'
        f'terminal = "{EXIT_TERMINAL.hex()}"\n'
    )
    card, at = fixtures.card("student-open-trip"), datetime.fromisoformat(AT[1])
    with device(read_settings(config), lambda: at) as made:
        assert made.terminal.pass_(Forgetful(card)).verdict is Verdict.TAP_AGAIN
    psam = tmp_path / "gate.journal.psam"
    psam.unlink()
    PsamFile(psam, EXIT_TERMINAL, 100).close()
    card.power_off()
    with UdpFrontend(card, port=0).running() as front:
        road = ("--via", "nfc", "--device", "udp:{}:{}".format(*front.address), *AT)
        refused = here("gate", "--config", config, "--cards", "1", *road)
        assert (refused.returncode, "code 70" in refused.stdout) == (1, True), refused
        proved = here("desk", "prove", "--config", config, "--json", *road)
    (tap,) = told(proved)
    assert (tap["verdict"], tap["balance_fen"], tap["recovered"]) == ("pass", 4600, True)
    (record,) = read_records(journal)
    assert (record.mark, record.amount, record.tac.hex().upper()) == (Mark.TAKEN, 400, tap["tac"])


@pytest.mark.parametrize(
    ("operation", "more", "code", "said"),
    [
        ("missing-entry", ("--origin", "Yongtaizhuang"), 0, "PASS; fare 0.00, balance 50.00 yuan"),
        ("missing-exit", (), 1, "no entry record"),
        ("over-time", (), 1, "no entry record"),
        ("missing-entry", (), 2, "missing-entry needs --origin"),
        ("missing-entry", ("--origin", "Xidam"), 2, "has no station 'Xidam'"),
        ("prove", (), 2, "prove needs --config"),
        ("refund", (), 2, "there is no operation 'refund'; choose missing-entry"),
    ],
)
def test_what_a_desk_does_and_says(here, operation: str, more: tuple[str, ...], code, said: str):
    done = here("desk", operation, "--via", "inproc", "--station", "080019", "--balance", "50",
                *more, *AT)  # fmt: skip
    assert (done.returncode, said in done.stdout + done.stderr) == (code, True), done


def test_who_stayed_too_long_pays_at_the_desk(here):
    inside = ("--via", "inproc", "--profile", "student-open-trip", *LATE)
    assert "code 54" in here(*EXIT, *inside).stdout
    done = here("desk", "over-time", "--station", "080019", *inside)
    assert (done.returncode, "fare 3.00, balance 47.00 yuan" in done.stdout) == (0, True)
    done = here("desk", "over-time", "--station", "080019", *inside[:-2], *AT)
    assert (done.returncode, "nothing to pay" in done.stdout) == (1, True)


@pytest.mark.parametrize(
    ("more", "said"),
    [
        (("--via", "inproc", "--profile", "nobody"), "nobody"),
        (("--via", "nfc", "--profile", "student"), "--profile and --every are for cards of its"),
        (("--via", "inproc", "--timing", "measured"), "--timing is the simulated air's"),
        (("--via", "inproc", "--mode", "sleepy"), "'modes' is ['sleepy']; expected a list"),
        (("--via", "inproc", "--display"), "--display needs a terminal"),
        (("--via", "inproc", "--config", "/nowhere/gate.toml"), "cannot be read"),
        (("--via", "inproc", "--journal", "/nowhere/gate"), "/nowhere/gate"),
        (("--via", "post"), "there is no road 'post' for a gate; choose one of: pcsc, nfc, inproc"),
    ],
)
def test_bad_input_is_one_sentence(here, more: tuple[str, ...], said: str):
    done = here(*ENTRY, *more, *AT)
    assert (done.returncode, said in done.stderr) == (2, True), done
    assert done.stderr.startswith("tapbench: ")
    assert done.stderr.count("\n") == 1


def test_direction_and_station_or_a_file_are_needed(here):
    done = here("gate", "--via", "inproc")
    assert "give --direction and --station, or --config" in done.stderr


def on_a_screen(command: list[str], rows: int, columns: int) -> tuple[str, int]:
    """Run a command with a terminal of its own. Returns what it drew, and its exit code."""
    main, side = pty.openpty()
    ioctl(side, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))
    environment = {**os.environ, "TERM": "xterm-256color"}
    process = subprocess.Popen(command, stdout=side, stderr=side, stdin=side, env=environment)
    os.close(side)
    drawn, deadline = b"", time.monotonic() + 60
    while time.monotonic() < deadline:
        try:
            drawn += os.read(main, 65536)
        except OSError:  # the last one has closed it
            break
    os.close(main)
    return drawn.decode("utf-8", "replace"), process.wait(10)


@pytest.mark.parametrize(("rows", "columns"), [(24, 80), (50, 200)])
def test_the_display_shows_what_passenger_and_tester_need(rows: int, columns: int):
    drawn, code = on_a_screen(
        [
            sys.executable, "-m", "bench", *ENTRY, "--via", "air", "--timing", "measured",
            "--profile", "student", "--profile", "student-expired", "--balance", "50",
            "--display", "--every", "0.3", *AT,
        ],
        rows,
        columns,
    )  # fmt: skip
    text = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]|\s", "", drawn)  # large letters are spaced
    assert code == 1  # the last card is expired
    for wanted in ("Yongtaizhuang", "请通行", "PLEASEPASS", "卡片已过有效期", "32", "300"):
        assert wanted in text, wanted
    assert "0052280099" not in text.replace(" ", "")  # no serial of a card, only its end
    assert (
        drawn.rstrip().endswith("\x1b[?25h") or "\x1b[?1049l" in drawn
    )  # the screen is given back


def test_ctrl_c_ends_a_display_and_gives_the_screen_back():
    main, side = pty.openpty()
    process = subprocess.Popen(
        [
            sys.executable, "-m", "bench", *ENTRY, "--via", "inproc", "--display", "--every", "30",
            *AT,
        ],
        stdout=side,
        stderr=side,
        stdin=side,
        env={**os.environ, "TERM": "xterm-256color"},
    )  # fmt: skip
    os.close(side)
    drawn = b""
    while b"1049h" not in drawn or b"Yongtaizhuang" not in drawn:
        drawn += os.read(main, 65536)
    process.send_signal(signal.SIGINT)
    try:
        while True:
            drawn += os.read(main, 65536)
    except OSError:
        pass
    os.close(main)
    assert process.wait(10) == 0
    assert b"\x1b[?1049l" in drawn

"""The terminal of a virtual PN532, what is told when a port will not do, and the command line."""

import fcntl
import os
import re
import select
import signal
import subprocess
import sys
import termios
import threading
import tty
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

import pytest

from bench.rig.pn532 import VirtualPn532
from bench.scenario import fresh_card
from emulator.radio.air import Air
from emulator.radio.clock import Unpaced
from emulator.radio.pn532.link import ACK
from emulator.radio.station import Station
from reader.transport.base import ReaderFault
from reader.transport.nfc import NfcCoupler
from tests.ending import end
from tests.interop.test_cli import read_until, running, tapbench
from tests.pn532_host import WAKE_UP, frame
from tests.pn532_rig import WAIT_S, coupled, in_field, libnfc, run_libnfc, wait
from tests.unit.pcd import EchoCard

NOBODY = 65534
COMMAND = bytes.fromhex("00B0950000")


# The terminal


def test_the_terminal_is_gone_with_its_block() -> None:
    with in_field() as chip:
        assert Path(chip.path).exists()
    assert not Path(chip.path).exists()
    assert not Path("/dev", chip.nfcpy_path.split(":")[1]).is_symlink()


def test_without_a_name_in_dev_nfcpy_finds_the_chip_on_standard_input(tmp_path: Path) -> None:
    air = Air(Unpaced())
    air.bring(Station(EchoCard()))
    with VirtualPn532(air, devices=tmp_path / "nowhere") as chip:
        assert chip.nfcpy_path == "tty:stdin:pn532"
        assert chip.nfcpy_remark == f" < {chip.path}"
        with coupled(chip) as coupler:
            assert coupler.wait_card(WAIT_S).transmit(COMMAND) == COMMAND + b"\x90\x00"


def test_names_of_killed_programs_are_taken_away(tmp_path: Path) -> None:
    for number in range(100):
        (tmp_path / f"tapbench{number}").symlink_to("/nowhere")
    with (
        VirtualPn532(Air(Unpaced()), devices=tmp_path) as one,
        VirtualPn532(Air(Unpaced()), devices=tmp_path) as other,
    ):
        assert {str(name.readlink()) for name in tmp_path.iterdir()} == {one.path, other.path}
    assert not list(tmp_path.iterdir())


def test_a_name_that_leads_to_a_terminal_of_another_is_taken_over(tmp_path: Path) -> None:
    for number in range(100):
        (tmp_path / f"tapbench{number}").symlink_to("/dev/null")
    with VirtualPn532(Air(Unpaced()), devices=tmp_path) as chip:
        name = tmp_path / f"tapbench{chip.path.rsplit('/', 1)[1]}"
        assert str(name.readlink()) == chip.path


@pytest.mark.needs_tool
def test_a_host_that_never_reads_does_not_stop_the_chip() -> None:
    with in_field(Station(fresh_card(1))) as chip:
        line = os.open(chip.path, os.O_RDWR | os.O_NOCTTY)
        try:
            os.write(line, bytes(10))
            for _ in range(2000):
                os.write(line, bytes.fromhex("0000FF02FED4022A00"))
            termios.tcflush(line, termios.TCIOFLUSH)
        finally:
            os.close(line)
        # The chip first reads what lies on its line; libnfc does not wait long for an answer.
        seen = (run_libnfc(chip, "nfc-list").stdout for _ in range(5))
        assert any("1 ISO14443A" in text for text in seen)


@pytest.mark.needs_tool
@pytest.mark.parametrize(
    "last_words",
    [
        frame(bytes.fromhex("16 00")),  # sleeps, and nothing wakes it
        frame(bytes.fromhex("10 00")) + ACK,  # 9600 baud
        frame(bytes.fromhex("12 40")),  # no preamble and postamble
        frame(bytes(40))[:20],  # half a command
    ],
)
def test_the_next_user_is_understood_whatever_the_last_one_left(last_words: bytes) -> None:
    with in_field(Station(fresh_card(1))) as chip:
        line = os.open(chip.path, os.O_RDWR | os.O_NOCTTY)
        os.write(line, WAKE_UP)
        wait(lambda: not chip.is_free)
        os.write(line, last_words)
        os.close(line)  # at once: the chip may see both as one event
        wait(lambda: chip.is_free)
        assert "1 ISO14443A" in libnfc(chip, "nfc-list")


@pytest.mark.parametrize("is_prompt", [True, False])
def test_a_port_that_is_opened_again_before_the_chip_has_looked_was_free(is_prompt: bool) -> None:
    with in_field() as chip:
        line = os.open(chip.path, os.O_RDWR | os.O_NOCTTY)
        os.write(line, WAKE_UP + frame(bytes.fromhex("12 40")))  # no preamble and postamble
        assert heard(line, 13)[6:] == bytes.fromhex("00FF02FED51318")
        with chip.at_rest():
            os.close(line)
            threading.Event().wait(0.2)  # its thread has heard of it, and waits
            line = os.open(chip.path, os.O_RDWR | os.O_NOCTTY)
            if is_prompt:
                os.write(line, WAKE_UP + frame(b"\x02"))
        if not is_prompt:
            wait(lambda: chip.is_free)
            os.write(line, WAKE_UP + frame(b"\x02"))
        assert heard(line, 19)[6:] == bytes.fromhex("0000FF06FAD50332010607E800")
        assert not chip.is_free
        os.close(line)


def heard(line: int, size: int) -> bytes:
    said = b""
    while len(said) < size and select.select([line], [], [], WAIT_S)[0]:
        said += os.read(line, size - len(said))
    return said


def test_a_chip_that_goes_away_is_told_in_one_sentence() -> None:
    with ExitStack() as stack:
        with in_field(Station(EchoCard())) as chip:
            coupler = stack.enter_context(coupled(chip))
            link = coupler.wait_card(WAIT_S)
        for use in (lambda: link.transmit(COMMAND), link.is_present, lambda: coupler.wait_card(0)):
            with pytest.raises(ReaderFault, match="has gone"):
                use()


@contextmanager
def unprivileged() -> Iterator[None]:
    """As a user whose rights are those of the file's mode."""
    was_root = os.geteuid() == 0
    if was_root:
        os.seteuid(NOBODY)
    try:
        yield
    finally:
        if was_root:
            os.seteuid(0)


def test_a_port_that_may_not_be_opened_is_told_in_one_sentence() -> None:
    with in_field() as chip:
        os.chmod(chip.path, 0)
        with chip.as_nfcpy_device() as device, unprivileged():
            if chip.nfcpy_remark:
                pytest.skip("nfcpy reaches the chip through a descriptor that is open already.")
            with pytest.raises(ReaderFault, match="be the user who started it"):
                NfcCoupler(device)


def test_a_port_that_is_in_use_is_told_in_one_sentence() -> None:
    with in_field() as chip, open(chip.path, "rb+", buffering=0) as line:
        os.chmod(chip.path, 0o666)
        fcntl.ioctl(line, termios.TIOCEXCL)
        with unprivileged(), pytest.raises(ReaderFault, match="is used by another program"):
            NfcCoupler(chip.nfcpy_path)


# The command line


def test_the_card_is_held_for_nfcpy_and_libnfc_until_ctrl_c() -> None:
    with running("emulate", "--via", "pn532") as card:
        text = read_until(card, "Ctrl-C")
        path = re.search(r"virtual PN532 on (\S+);", text)
        device = re.search(r"nfcpy +(tty:\S+:pn532)", text)
        libnfc_device = re.search(r"LIBNFC_DEVICE=(\S+)", text)
        assert path
        assert device
        assert libnfc_device
        terminal = os.open(path[1], os.O_RDWR | os.O_NOCTTY)
        try:
            done = subprocess.run(
                [
                    *(sys.executable, "-m", "bench", "gate", "--via", "nfc", "--direction"),
                    *("entry", "--station", "080013", "--device", device[1], "--cards", "1"),
                ],
                stdin=terminal,
                capture_output=True,
                text=True,
                timeout=60,
                check=False,
            )
        finally:
            os.close(terminal)
        assert done.returncode == 0, done.stderr
        assert "PASS" in done.stdout
        assert "UPDATE CAPP DATA CACHE" in read_until(card, "DEBIT FOR PURCHASE")
        card.send_signal(signal.SIGINT)
        assert "card removed, balance 50.00 yuan" in read_until(card, "removed")


def test_the_card_goes_when_nobody_reads_what_it_says(tmp_path: Path) -> None:
    errors = tmp_path / "errors"
    with ExitStack() as stack:
        card = subprocess.Popen(
            [sys.executable, "-m", "bench", "emulate", "--via", "pn532"],
            stdout=subprocess.PIPE,
            stderr=stack.enter_context(errors.open("w")),
            text=True,
        )
        stack.callback(card.kill)
        path = re.search(r"virtual PN532 on (\S+);", read_until(card, "Ctrl-C"))
        assert path
        assert card.stdout is not None
        card.stdout.close()
        line = os.open(path[1], os.O_RDWR | os.O_NOCTTY)
        stack.callback(os.close, line)
        find, select = frame(bytes.fromhex("4A 01 00")), frame(bytes.fromhex("40 01 00A40000"))
        os.write(line, WAKE_UP + find + select)
        assert card.wait(WAIT_S) == 1
    assert errors.read_text() == ""


@pytest.mark.parametrize(
    ("device", "said"),
    [
        ("tty:nosuchport:pn532", "No NFC reader answers on tty:nosuchport:pn532"),
        ("tty:null:pn532", "No NFC reader answers on tty:null:pn532"),
        ("tty:pts:pn532", "cannot be used"),
    ],
)
def test_a_wrong_port_is_told_in_one_sentence(device: str, said: str) -> None:
    refuse(tapbench(*GATE, "--device", device), said)


GATE = ("gate", "--via", "nfc", "--direction", "entry", "--station", "080013")


def refuse(done: subprocess.CompletedProcess[str], said: str) -> None:
    assert done.returncode == 2, done.stdout + done.stderr
    assert said in done.stderr
    assert "Traceback" not in done.stderr
    assert len(done.stderr.splitlines()) == 1


@contextmanager
def other_end(answer: bytes) -> Iterator[int]:
    """A terminal with something at its other end that always says the same."""
    master, terminal = os.openpty()
    tty.setraw(terminal)

    def talk() -> None:
        with suppress(OSError):
            while os.read(master, 4096):
                os.write(master, answer)

    talker = threading.Thread(target=talk, daemon=True)
    talker.start()
    try:
        yield terminal
    finally:
        os.close(terminal)  # the last one: reading the master fails
        talker.join()
        os.close(master)


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        (b"", "No NFC reader answers"),  # silence
        (b"ok", "is not the reader that its path names"),
        (b"\xff" * 64, "No NFC reader answers"),
    ],
)
def test_a_port_with_something_else_behind_it_is_told_in_one_sentence(
    answer: bytes, said: str
) -> None:
    with other_end(answer) as terminal:
        done = subprocess.run(
            [sys.executable, "-m", "bench", *GATE, "--device", "tty:stdin:pn532"],
            stdin=terminal,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
    refuse(done, said)


HEARD_BY_ANOTHER = """
import signal, sys, threading, time
class Telling:
    def write(self, text):
        sys.__stdout__.write(text)
        if "Ctrl-C" in text:
            threading.Thread(target=send).start()
    def flush(self):
        sys.__stdout__.flush()
def send():
    time.sleep(0.3)
    signal.pthread_kill(threading.get_ident(), signal.SIGINT)
sys.stdout = Telling()
from bench.cli import main
main()
"""
"""`tapbench` that waits when another of its threads gets Ctrl-C, as a kernel may choose."""


def test_the_card_goes_though_another_thread_got_the_signal() -> None:
    done = subprocess.run(
        [sys.executable, "-c", HEARD_BY_ANOTHER, "emulate", "--via", "pn532"],
        capture_output=True,
        text=True,
        timeout=20,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert "card removed, balance 50.00 yuan" in done.stdout


def test_a_service_may_use_a_serial_port_that_hangs_up() -> None:
    """A program without a terminal, as a service is, that reads a card through a chip and ends."""
    done = subprocess.run(
        [sys.executable, "-m", "bench", "tap", "--via", "pn532"],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        start_new_session=True,
    )
    assert (done.returncode, done.stderr) == (0, "")


def test_a_service_that_holds_a_card_is_told_when_its_board_is_pulled_out() -> None:
    air = Air(clock=Unpaced())
    with VirtualPn532(air) as chip, chip.as_nfcpy_device() as device:
        card = subprocess.Popen(
            [sys.executable, "-m", "bench", "emulate", "--via", "nfc", "--device", device],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )
        read_until(card, "Ctrl-C")
    _, errors = end(card, 0)
    assert card.returncode == 2
    assert "replug it" in errors

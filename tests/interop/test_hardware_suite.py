"""The hardware tests, run as a person runs them, against readers that are software."""

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from time import perf_counter_ns

import pytest

import fixtures
from emulator.card.card import Card
from emulator.card.env import SeededEnv
from emulator.card.personalise import personalise
from emulator.frontends.udp import UdpFrontend
from emulator.frontends.vpcd import VpcdFrontend
from emulator.picc import Picc
from reader.transport.decorators import Exchange, Recording
from reader.transport.inprocess import InProcess
from tests.hardware.guard import READING, Guard, Refused
from tests.interop.test_nfc_target import free_port

pytest_plugins = ["pytester"]

ROOT = Path(__file__).parents[2]
DEBIT = bytes.fromhex("805401000F")
COLLECTED = 8 + 3


def hardware_tests(*options: str, **environ: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "pytest", "tests/hardware", "-q", "-pno:cacheprovider", *options],
        cwd=ROOT,
        env={**os.environ, **environ},
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )


@pytest.fixture
def suite(pytester: pytest.Pytester) -> Callable[..., tuple[int, str]]:
    """The same in this process, which is six times as fast: exit code and output."""
    where = ("--rootdir", ROOT, "-c", ROOT / "pyproject.toml", ROOT / "tests/hardware")

    def run(*options: str) -> tuple[int, str]:
        done = pytester.runpytest_inprocess(*where, "-q", "-pno:cacheprovider", *options)
        return int(done.ret), done.stdout.str()

    return run


@contextmanager
def on_the_air(card: Picc) -> Iterator[tuple[str, list[bytes]]]:
    """The card on nfcpy's UDP air: the device path, and every command that reached the card."""
    seen: list[bytes] = []
    front = UdpFrontend(card, port=0, on_exchange=lambda command, _: seen.append(command))
    with front.running():
        host, port = front.address
        yield f"udp:{host}:{port}", seen


def foreign_card() -> Card:
    """A card of the Beijing issuer, with our keys."""
    profile = replace(
        fixtures.load_profile("student").with_balance(5000),
        issuer=bytes.fromhex("01011000FFFFFFFF"),
    )
    return personalise(profile, fixtures.load_roots(), SeededEnv(1))


def writes(commands: list[bytes]) -> list[bytes]:
    return [command for command in commands if command[:2] not in READING]


# The guard


def test_the_guard_lets_a_test_card_be_written_to() -> None:
    guard = Guard(InProcess(fixtures.card("student", balance=5000)), may_write=True)
    assert guard.transmit(DEBIT + bytes(15)) == b"\x69\x01"


def test_the_guard_lets_any_purse_be_read() -> None:
    guard = Guard(InProcess(foreign_card()), may_write=False)
    assert guard.transmit(bytes.fromhex("805C000204")) == b"\x00\x00\x13\x88\x90\x00"


@pytest.mark.parametrize(
    "command", ["8050010200", "805401000F", "00D6950000", "80DC", "0020000003123456", "FF", ""]
)
@pytest.mark.parametrize(
    ("card", "may_write", "why"),
    [
        (foreign_card, True, "only cards of the test issuer 09981001 are written to"),
        (foreign_card, False, "only cards of the test issuer"),
        (lambda: fixtures.card("student"), False, "give --dangerous-write"),
    ],
)
def test_the_guard_stops_what_is_not_reading(card, may_write: bool, why: str, command: str) -> None:
    seen: list[Exchange] = []
    guard = Guard(Recording(InProcess(card()), perf_counter_ns, "card", seen), may_write)
    with pytest.raises(Refused, match=why):
        guard.transmit(bytes.fromhex(command))
    assert not writes([exchange.command for exchange in seen])


class TwoPurses:
    """A card with a second purse, of the Beijing issuer, under a longer name."""

    NAME = bytes.fromhex("A000000632010105") + bytes(8)

    def __init__(self) -> None:
        self.purses = InProcess(fixtures.card("student", balance=5000)), InProcess(foreign_card())
        self.selected = self.purses[0]

    def transmit(self, command: bytes) -> bytes:
        if command[:3] == b"\x00\xa4\x04":
            self.selected = self.purses[self.NAME in command]
            command = command.replace(b"\x10" + self.NAME, b"\x08" + self.NAME[:8])
        return self.selected.transmit(command)


def test_the_guard_looks_at_the_application_that_would_be_written_to() -> None:
    guard = Guard(TwoPurses(), may_write=True)
    guard.demand_writable()
    select = bytes.fromhex("00A4040010") + TwoPurses.NAME + b"\x00"
    assert guard.transmit(select)[-2:] == b"\x90\x00"
    with pytest.raises(Refused, match="a card of issuer 01011000"):
        guard.transmit(DEBIT + bytes(15))
    assert guard.transmit(bytes.fromhex("00A40000023F00"))[-2:] == b"\x90\x00"
    with pytest.raises(Refused, match="no purse is selected"):
        guard.transmit(DEBIT + bytes(15))
    assert guard.transmit(bytes.fromhex("00A4040008A00000063201010500"))[-2:] == b"\x90\x00"
    assert guard.transmit(DEBIT + bytes(15)) == b"\x69\x01"
    assert guard.transmit(bytes.fromhex("00A4040005F000000001")) == b"\x6a\x82"
    with pytest.raises(Refused, match="no purse is selected"):
        guard.demand_writable()


@pytest.mark.parametrize(
    "card",
    [
        lambda: fixtures.phone("android-hce-no-app", card=fixtures.card("student")),
        lambda: fixtures.card("student-blocked"),
    ],
)
def test_the_guard_refuses_a_card_without_a_usable_purse(card) -> None:
    with pytest.raises(Refused, match="has no purse A000000632010105 that can be used"):
        Guard(InProcess(card()), may_write=True)


# The suite


def test_without_a_reader_nothing_is_collected(suite) -> None:
    for options in ((), ("--dangerous-write",), ("--listen", "usb")):
        code, said = suite(*options)
        assert code == pytest.ExitCode.NO_TESTS_COLLECTED, said


def test_the_suite_passes_over_nfcpy_and_writes_to_a_test_card(suite) -> None:
    with on_the_air(fixtures.card("student", balance=5000)) as (device, seen):
        code, said = suite("--device", device, "--dangerous-write")
    assert code == 0, said
    assert f"{COLLECTED} passed" in said
    assert writes(seen)


def test_the_suite_only_reads_unless_told_otherwise(suite) -> None:
    with on_the_air(fixtures.card("student", balance=5000)) as (device, seen):
        code, said = suite("--device", device)
    assert code == 0, said
    assert "8 passed, 3 skipped" in said
    assert seen
    assert not writes(seen)


def test_the_suite_refuses_a_foreign_card_before_any_write(suite) -> None:
    with on_the_air(foreign_card()) as (device, seen):
        code, said = suite("--device", device, "--dangerous-write")
    assert code == 1, said
    assert "8 passed, 3 errors" in said
    assert "a card of issuer 01011000: only cards of the test issuer 09981001" in said
    assert seen
    assert not writes(seen)


def test_the_suite_refuses_a_card_without_the_purse(suite) -> None:
    phone = fixtures.phone("xiaomi-wrong-wallet", card=fixtures.card("student"))
    with on_the_air(phone) as (device, seen):
        code, said = suite("--device", device, "--dangerous-write")
    assert code == 1, said
    assert "has no purse A000000632010105" in said
    assert {command[:2] for command in seen} == {b"\x00\xa4"}


def test_the_suite_puts_our_own_card_on_a_listening_reader(suite) -> None:
    device = f"udp:127.0.0.1:{free_port()}"
    code, said = suite("--device", device, "--listen", device, "--dangerous-write", "-k", "top_up")
    assert code == 0, said
    assert "1 passed" in said


def test_the_suite_passes_over_pc_sc(pcscd) -> None:
    with VpcdFrontend(fixtures.card("student", balance=5000), pcscd.port).running():
        done = hardware_tests(
            "--reader", pcscd.reader_names[0], "--dangerous-write",
            PCSCLITE_CSOCK_NAME=str(pcscd.socket_path),
        )  # fmt: skip
    assert done.returncode == 0, done.stdout
    assert f"{COLLECTED} passed" in done.stdout


@pytest.mark.parametrize(
    ("options", "why"),
    [
        (("--device", "tty:NOSUCH:pn532"), "No NFC reader answers on tty:NOSUCH:pn532"),
        (("--device", "usb", "--listen", "tty:NOSUCH:pn532"), "No NFC reader answers on tty:NOS"),
    ],
)
def test_a_missing_reader_is_told_without_a_traceback(
    suite, options: tuple[str, ...], why: str
) -> None:
    told(suite(*options, "-x"), why)


def test_a_missing_card_is_told_without_a_traceback(suite) -> None:
    device = f"udp:127.0.0.1:{free_port()}"
    told(suite("--device", device, "--wait", "0.1", "-x"), f"No card came to {device}")


def told(done: tuple[int, str], why: str) -> None:
    code, said = done
    assert code == 1, said
    assert why in said
    assert "Traceback" not in said

"""Virtual PN532s for tests, and the unmodified programs that use them."""

import os
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from typing import Any

import nfc
import nfc.clf

from bench.rig.pn532 import VirtualPn532
from emulator.radio.air import Air
from emulator.radio.clock import Unpaced
from emulator.radio.medium import Guest
from reader.transport.nfc import NfcCoupler
from tests.needs import require_tool

WAIT_S = 10.0


@contextmanager
def in_field(*guests: Guest) -> Iterator[VirtualPn532]:
    """A chip with something in its field."""
    air = Air(Unpaced())
    for guest in guests:
        air.bring(guest)
    with VirtualPn532(air) as chip:
        yield chip


@contextmanager
def facing() -> Iterator[tuple[VirtualPn532, VirtualPn532]]:
    """Two chips on one air."""
    air = Air(Unpaced())
    with VirtualPn532(air) as one, VirtualPn532(air) as other:
        yield one, other


@contextmanager
def stock(chip: VirtualPn532) -> Iterator[Any]:
    """nfcpy's own front end with its PN532 driver."""
    with chip.as_nfcpy_device() as device:
        front = nfc.ContactlessFrontend(device)
    with closing(front):
        yield front


@contextmanager
def coupled(chip: VirtualPn532) -> Iterator[NfcCoupler]:
    with chip.as_nfcpy_device() as device:
        coupler = NfcCoupler(device)
    with closing(coupler):
        yield coupler


def environ(chip: VirtualPn532) -> dict[str, str]:
    return {**os.environ, "LC_ALL": "C.UTF-8", "LIBNFC_DEVICE": chip.libnfc_device}


def libnfc(chip: VirtualPn532, *command: str) -> str:
    """What a program of libnfc prints, when it does what it is for."""
    done = run_libnfc(chip, *command)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def run_libnfc(chip: VirtualPn532, *command: str) -> subprocess.CompletedProcess[str]:
    """A program of libnfc, to its end."""
    program = require_tool(command[0], "libnfc-bin libnfc-examples")
    return subprocess.run(
        [program, *command[1:]],
        env=environ(chip),
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )


@contextmanager
def libnfc_running(chip: VirtualPn532, *command: str) -> Iterator[subprocess.Popen[bytes]]:
    program = require_tool(command[0], "libnfc-bin libnfc-examples")
    process = subprocess.Popen(
        [program, *command[1:]],
        env=environ(chip),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    )
    try:
        yield process
    finally:
        if process.poll() is None:
            process.kill()
        process.communicate(timeout=20)


def printed(process: subprocess.Popen[bytes], wanted: str) -> str:
    """Output up to a text, which need not be a line."""
    assert process.stdout is not None
    seen = b""
    while wanted.encode() not in seen:
        piece = os.read(process.stdout.fileno(), 4096)
        assert piece, seen.decode()
        seen += piece
    return seen.decode()


def wait(is_so: Callable[[], bool]) -> None:
    """Until something is so."""
    deadline_s = time.monotonic() + WAIT_S
    while not is_so():
        assert time.monotonic() < deadline_s
        os.sched_yield()

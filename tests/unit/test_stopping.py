"""Ctrl-C and SIGTERM from a program's first line to its last."""

import signal
import subprocess
import sys
from collections.abc import Iterator
from types import SimpleNamespace

import pytest

from bench.cli import stopping

BOTH = [signal.SIGINT, signal.SIGTERM]

WHILE_IMPORTED = """
import signal, sys
number, module = int(sys.argv.pop(1)), sys.argv.pop(1)
class Sender:
    def find_spec(self, name, path=None, target=None):
        if name == module:
            signal.raise_signal(number)
sys.meta_path.insert(0, Sender())
from bench.cli import main
main()
"""
"""`tapbench` that is sent a signal when it looks for a module."""

AT_THE_END = """
import atexit, signal, sys
atexit.register(signal.raise_signal, int(sys.argv.pop(1)))
from bench.cli import main
main()
"""
"""`tapbench` that is sent a signal when all is done."""


def run(program: str, *arguments: object) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-c", program, *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)


@pytest.mark.parametrize("number", BOTH)
@pytest.mark.parametrize(
    "module", ["bench.cli.app", "bench.cli.lazy", "bench.cli.bench_app", "bench.cli.bench_air"]
)
def test_a_signal_while_a_command_is_looked_for_ends_it_with_one_sentence(module, number):
    done = run(WHILE_IMPORTED, int(number), module, "bench", "air")
    assert (done.returncode, done.stdout) == (130, "")
    assert done.stderr == "tapbench: stopped before it was done\n"


@pytest.mark.parametrize("number", BOTH)
def test_a_signal_to_a_program_that_is_about_to_leave_does_not_change_its_code(number):
    done = run(AT_THE_END, int(number), "explain", "9000")
    assert (done.returncode, done.stderr) == (0, "")


IN_A_FINALIZER = """
import signal, sys, time
from bench.cli import main
class Gone:
    def __del__(self):
        signal.raise_signal(signal.SIGTERM)
def run(arguments):
    Gone()
    time.sleep(30)
sys.modules["bench.cli.app"] = type(sys)("app")
sys.modules["bench.cli.app"].run_app = run
main()
"""
"""`tapbench` that is sent a signal while an object is done away with, where Python drops errors."""


def test_a_signal_that_comes_in_a_finalizer_is_not_lost():
    done = run(IN_A_FINALIZER)
    assert (done.returncode, done.stderr) == (130, "tapbench: stopped before it was done\n")


@pytest.fixture
def clock(monkeypatch) -> Iterator[SimpleNamespace]:
    """A clock to set, and signals as the program has them."""
    before = {number: signal.getsignal(number) for number in BOTH}
    monkeypatch.setattr(sys, "unraisablehook", sys.unraisablehook)
    found = SimpleNamespace(now_s=5.0)
    monkeypatch.setattr(stopping, "monotonic", lambda: found.now_s)
    stopping.heed_stops()
    yield found
    for number, handler in before.items():
        signal.signal(number, handler)


def test_a_wish_told_twice_at_once_breaks_in_once(clock):
    for first in BOTH:
        clock.now_s += 60
        with pytest.raises(KeyboardInterrupt):
            signal.raise_signal(first)
        for again in BOTH:
            clock.now_s += 0.4
            signal.raise_signal(again)


def test_who_has_waited_may_break_in_again(clock):
    with pytest.raises(KeyboardInterrupt):
        signal.raise_signal(signal.SIGINT)
    clock.now_s += 1.5
    with pytest.raises(KeyboardInterrupt):
        signal.raise_signal(signal.SIGINT)


def test_who_is_started_deaf_to_ctrl_c_stays_so(monkeypatch):
    before = {number: signal.getsignal(number) for number in BOTH}
    monkeypatch.setattr(sys, "unraisablehook", sys.unraisablehook)
    try:
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        stopping.heed_stops()
        signal.raise_signal(signal.SIGINT)
        with pytest.raises(KeyboardInterrupt):
            signal.raise_signal(signal.SIGTERM)
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def strike(clock: SimpleNamespace, every_s: float, done: list[int]) -> None:
    """Send signals into what puts them off. done: takes those that have not broken into it."""
    with stopping.put_off():
        for number in BOTH:
            clock.now_s += every_s
            signal.raise_signal(number)
            done.append(number)


def test_what_is_put_off_comes_after_it_and_once(clock):
    done: list[int] = []
    with pytest.raises(KeyboardInterrupt):
        strike(clock, 0.0, done)
    assert done == BOTH


def test_who_has_waited_breaks_into_what_is_put_off(clock):
    done: list[int] = []
    with pytest.raises(KeyboardInterrupt):
        strike(clock, 1.5, done)
    assert done == BOTH[:1]

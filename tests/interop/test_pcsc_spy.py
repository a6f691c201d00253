"""pcsc-spy renders our logs, and we read what its library writes under other programs."""

import subprocess
from collections.abc import Callable, Iterator
from glob import glob
from pathlib import Path

import pytest

from apdu.event import Trace
from bench.trace_formats import load, save
from bench.trace_formats.layers import exchanges
from emulator.card.card import Card
from emulator.frontends.vpcd import VpcdFrontend
from reader.transport.pcsc import PcscCoupler
from tests.interop.conftest import NOTICED_S
from tests.kits import BALANCE, READ_EF15, SELECT_PURSE
from tests.needs import require, require_tool
from tests.recordings import said_to, tap_on_air

pytestmark = pytest.mark.needs_tool

_PACKAGE = "libpcsclite-dev"


def rendered(log: Path) -> str:
    """What pcsc-spy prints of a log: calls, and its statistics."""
    program = require_tool("pcsc-spy", _PACKAGE)
    done = subprocess.run([program, "-n", str(log)], capture_output=True, text=True, check=False)
    assert done.returncode == 0
    assert "Traceback" not in done.stderr, done.stderr
    assert "Garbage" not in done.stdout
    return done.stdout


def test_pcsc_spy_renders_a_tap_with_its_statistics(tmp_path):
    tap = tap_on_air()
    save(tap.trace, tmp_path / "tap.spy")
    shown = rendered(tmp_path / "tap.spy")
    for reader in ("tapbench", "tapbench PSAM"):
        assert f" i szReader {reader}\n" in shown
    count = len(said_to(tap)) + len(said_to(tap, "psam"))
    assert shown.count("SCardTransmit\n i hCard") == count
    assert f"({count:3} calls)" in shown
    assert " i  0000 80 5C 00 02 04" in shown
    assert " o  0000 00 00 13 88 90 00" in shown
    assert "Results sorted by total execution time" in shown


@pytest.mark.parametrize("events", [slice(0), slice(0, 1), slice(0, 2)])
def test_pcsc_spy_renders_a_log_of_nothing_or_of_a_lost_answer(tmp_path, events):
    apdus = load(Path(__file__).parent.parent / "traces" / "scriptor.txt").events
    save(Trace(apdus[events]), tmp_path / "short.spy")
    shown = rendered(tmp_path / "short.spy")
    assert "total time: " in shown
    assert ("SCARD_W_REMOVED_CARD" in shown) == (events == slice(0, 1))


@pytest.fixture
def spied(tmp_path: Path) -> dict[str, str]:
    """An environment in which every program's PC/SC calls go into the file `pcsc-spy`.

    Its library stands in libpcsclite's place: preloading it would not catch programs that open
    that library themselves.
    """
    for name, real in (("libpcsclite", "libpcscspy"), ("libpcsclite_nospy", "libpcsclite")):
        found = glob(f"/usr/lib/*/{real}.so.[01]")
        require(bool(found), f"{real}.so is not installed; apt install {_PACKAGE}.")
        (tmp_path / f"{name}.so.1").symlink_to(found[0])
    (tmp_path / "pcsc-spy").touch()
    return {"HOME": str(tmp_path), "LD_LIBRARY_PATH": str(tmp_path)}


@pytest.fixture
def inserted(pcscd, card: Card) -> Iterator[Card]:
    with VpcdFrontend(card, pcscd.port).running():
        with PcscCoupler(pcscd.reader_names[0]) as coupler:
            coupler.wait_card(NOTICED_S)
        yield card


def run_scriptor(run: Callable[..., str], spied: dict[str, str]) -> str:
    typed = "\n".join(command.hex(" ") for command in (SELECT_PURSE, READ_EF15, BALANCE))
    return run(require_tool("scriptor", "pcsc-tools"), typed=typed + "\n", **spied)


def run_opensc(run: Callable[..., str], spied: dict[str, str]) -> str:
    sent = [part for c in (SELECT_PURSE, READ_EF15, BALANCE) for part in ("-s", c.hex())]
    return run(require_tool("opensc-tool", "opensc"), "--card-driver", "default", *sent, **spied)


@pytest.mark.needs_pcscd
@pytest.mark.parametrize("program", [run_scriptor, run_opensc])
def test_a_log_of_a_real_program_is_read(inserted, run, spied, tmp_path, program):
    program(run, spied)
    log = tmp_path / "pcsc-spy"
    trace = load(log)
    assert trace.started is not None
    found = exchanges(trace)
    assert [x.command for x in found] == [SELECT_PURSE, READ_EF15, BALANCE]
    assert {(x.to, x.tap) for x in found} == {("card", 1)}
    assert found[2].response == bytes.fromhex("000013889000")
    assert all(x.end_ns > x.start_ns for x in found)
    save(trace, tmp_path / "again.spy")
    assert load(tmp_path / "again.spy") == trace
    for path in (log, tmp_path / "again.spy"):
        assert "(  3 calls)" in rendered(path)


@pytest.mark.needs_pcscd
def test_what_scriptor_prints_is_what_its_log_says(inserted, run, spied, tmp_path):
    (tmp_path / "printed.txt").write_text(run_scriptor(run, spied))
    printed, logged = (load(tmp_path / name) for name in ("printed.txt", "pcsc-spy"))
    assert [(x.command, x.response) for x in exchanges(printed)] == [
        (x.command, x.response) for x in exchanges(logged)
    ]

"""The PSAM in a slot of its own: the printed bytes over pyscard, and a gate with two readers."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

import pytest

from bench.rig.pcscd import PrivatePcscd
from bench.trace_formats import load
from bench.trace_formats.layers import exchanges
from emulator.frontends.vpcd import VpcdFrontend
from reader.blocking import block_card
from reader.gate import Direction, Gate, Reject, Verdict
from reader.psam import ATR, Psam
from reader.psam_link import RemotePsam
from reader.psam_pcsc import psam_in_slot
from reader.session import run
from reader.transactions import read_card, select_purse
from reader.transport.base import ReaderFault
from reader.transport.pcsc import PcscCoupler
from tests.gates import NOW, TERMINAL, case, passed, psam
from tests.interop.conftest import NOTICED_S
from tests.needs import require_tool
from tests.vectors.ladders import LADDERS, sam_keys

pytestmark = pytest.mark.needs_pcscd

WITH_PSAM = [ladder for ladder in LADDERS.values() if ladder.psam()]


class InSlot:
    """A PSAM whose memory can be changed between ladders, in a slot for all of them."""

    def __init__(self) -> None:
        self.psam = psam()
        self.atr = ATR

    def power_on(self) -> bytes:
        return self.psam.power_on()

    def power_off(self) -> None:
        self.psam.power_off()

    def process(self, command: bytes) -> bytes:
        return self.psam.process(command)


def test_every_ladder_s_psam_answers_as_printed_over_pyscard(pcscd: PrivatePcscd):
    slot, count = InSlot(), 0
    with (
        VpcdFrontend(slot, pcscd.ports[1]).running(),
        PcscCoupler(pcscd.reader_names[1]) as coupler,
    ):
        link = coupler.wait_card(NOTICED_S)
        assert (link.atr, link.is_t0) == (ATR, False)
        for ladder in WITH_PSAM:
            slot.psam = ladder.psam()
            for step in ladder.steps:
                if step["to"] == "psam":
                    response = link.transmit(bytes.fromhex(step["command"]))
                    assert response.hex().upper() == step["response"], step["note"]
                    count += 1
    assert count == sum(s["to"] == "psam" for ladder in WITH_PSAM for s in ladder.steps) >= 12


def test_ladders_are_those_of_the_reference():
    assert {ladder.raw["clause"].split(";")[0].split(",")[0] for ladder in WITH_PSAM} >= {
        f"protocol reference 6.{n}" for n in (1, 2, 3, 7, 8)
    }


@contextmanager
def two_slots(pcscd: PrivatePcscd, card, sam: Psam) -> Iterator[tuple[object, RemotePsam]]:
    """A card on the first virtual reader and a PSAM on the second."""
    with ExitStack() as stack:
        enter = stack.enter_context
        enter(VpcdFrontend(sam, pcscd.ports[1]).running())
        enter(VpcdFrontend(card, pcscd.ports[0]).running())
        remote = enter(psam_in_slot(pcscd.reader_names[1]))
        coupler = enter(PcscCoupler(pcscd.reader_names[0]))
        yield coupler.wait_card(NOTICED_S), remote


@pytest.mark.parametrize("direction", Direction)
def test_a_gate_passes_a_card_on_one_reader_with_a_psam_on_another(pcscd, direction):
    given = case(direction)
    with two_slots(pcscd, given.card(), psam()) as (link, remote):
        gate = Gate(given.gate().config, remote, lambda: NOW)
        outcome = gate.pass_(link)
    assert outcome.verdict is Verdict.PASS
    assert outcome.receipt.terminal == remote.terminal == TERMINAL
    reference = passed(given.gate(), given.card())
    assert (outcome.fare, outcome.receipt.balance) == (reference.fare, reference.receipt.balance)


def test_a_gate_blocks_a_listed_card_over_both_readers(pcscd):
    given = case(Direction.ENTRY)
    card = given.card()
    before = card.purse
    with two_slots(pcscd, card, Psam(TERMINAL, sam_keys())) as (link, remote):
        links = {"card": link, "psam": remote}

        def blocking():
            yield from select_purse()
            yield from block_card((yield from read_card()))

        run(blocking(), links)
        outcome = Gate(given.gate().config, remote, lambda: NOW).pass_(link)
    assert (outcome.verdict, outcome.reason) == (Verdict.REJECT, Reject.BLOCKED)
    assert card.purse == before


def test_an_empty_slot_is_told(pcscd):
    with pytest.raises(ReaderFault, match="no PSAM in tapbench 00 01"), psam_in_slot("00 01", 0.1):
        pass


# The command


@contextmanager
def served(*options: str) -> Iterator[tuple[subprocess.Popen[str], dict[str, str], str]]:
    """`tapbench psam serve` on a private pcscd; yields the process, the way to it, what it said."""
    command = [sys.executable, "-m", "bench", "psam", "serve", "--via", "pcsc", *options]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    said = ""
    try:
        for line in process.stdout:
            said += line
            if line.startswith("Ctrl-C"):
                break
        way = [line for line in said.splitlines() if "PCSCLITE_CSOCK_NAME=" in line]
        assert way, said
        path = way[0].partition("PCSCLITE_CSOCK_NAME=")[2]
        yield process, {**os.environ, "PCSCLITE_CSOCK_NAME": path}, said
    finally:
        process.kill()
        process.wait()
        process.stdout.close()


INIT = "807000002400000000000100000000092025090807301501005228009900000017" + "09981001FFFFFFFF08"
ASK = """
import json, sys
from reader.transport.pcsc import PcscCoupler
with PcscCoupler("00 01") as coupler:
    link = coupler.wait_card(10.0)
    print(json.dumps([link.transmit(bytes.fromhex(c)).hex().upper() for c in sys.argv[1:]]))
"""


def answers(environ: dict[str, str], *commands: str) -> list[str]:
    done = subprocess.run(
        [sys.executable, "-c", ASK, *commands],
        env=environ,
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_the_served_psam_keeps_its_numbers_when_it_is_killed(tmp_path, pcscd):
    file = str(tmp_path / "psam")
    numbers = []
    for _ in range(2):
        with served("--file", file, "--terminal", "300089000340") as (_, environ, _):
            asked = answers(environ, "00A40000023F00", "00B0960006", INIT, INIT)
            assert asked[1] == "3000890003409000"
            numbers += [int(one[:8], 16) for one in asked[2:]]
    assert numbers == [1, 2, 3, 4]


@pytest.mark.needs_tool
def test_an_unmodified_client_talks_to_the_served_psam(pcscd, tmp_path):
    require_tool("opensc-tool", "opensc")
    trace = tmp_path / "psam.jsonl"
    options = ("--seed", "1", "--number", "257", "--trace", str(trace))
    with served(*options) as (process, environ, said):
        assert "PSAM of terminal 300089000195: next number 257, none without MAC2" in said
        assert "in the reader 'tapbench 00 01'" in said
        answers(environ)  # it is powered
        sends = ["00A40000028011", "00B0960006", "00B0970001", INIT]
        done = subprocess.run(
            ["opensc-tool", "--reader", "1", *(part for one in sends for part in ("-s", one))],
            env={**environ, "LC_ALL": "C.UTF-8"},
            capture_output=True,
            text=True,
            timeout=30,
            check=False,
        )
        assert done.stdout.count("Received (SW1=0x90, SW2=0x00)") == len(sends), done.stdout
        assert "30 00 89 00 01 95" in done.stdout
        process.send_signal(signal.SIGINT)
        rest = process.stdout.read()
    assert "INIT_SAM_FOR_PURCHASE" in rest
    assert "PSAM removed, next number 258, 1 without MAC2" in rest
    recorded = exchanges(load(trace))
    assert {one.to for one in recorded} == {"psam"}
    said_to = [one.command.hex().upper() for one in recorded]
    assert [one for one in said_to if one in sends] == sends

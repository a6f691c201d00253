"""The PC/SC road end to end: unmodified clients, pcscd, vpcd, and a card that echoes."""

import json
import os
import re
import select
import shutil
import signal
import socket
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from bench.rig.pcscd import PrivatePcscd, RigError
from emulator.frontends.errors import FrontendError
from emulator.frontends.vpcd import VpcdFrontend, contactless_atr
from reader.transport.base import CardLost, NoCard, ReaderFault
from reader.transport.pcsc import Disposition, PcscCoupler, list_readers
from tests.echo import OK, EchoCard
from tests.interop.conftest import NOTICED_S
from tests.needs import require_tool

pytestmark = pytest.mark.needs_pcscd

ROOT = Path(__file__).resolve().parents[2]
SELECT = bytes.fromhex("00a4040000")
ATR = contactless_atr(b"ECHO")
NOT_FOUND, NO_SUCH_INS = b"\x6a\x82", b"\x6d\x00"


# Unmodified clients


@pytest.fixture
def opensc(run):
    require_tool("opensc-tool", "opensc")
    return lambda *arguments, **how: run("opensc-tool", "--reader", "0", *arguments, **how)


@pytest.mark.needs_tool
@pytest.mark.usefixtures("inserted")
def test_opensc_reads_the_atr(opensc):
    assert opensc("--atr").strip() == ATR.hex(":")


@pytest.mark.needs_tool
@pytest.mark.usefixtures("inserted")
def test_opensc_sends_commands_and_shows_the_answers(opensc, echo):
    shown = opensc("-s", "00A4040000", "-s", "80:50:01:02:02:AB:CD")
    assert shown.count("Received (SW1=0x90, SW2=0x00)") == 2
    assert "80 50 01 02 02 AB CD" in shown
    assert echo.commands[-2:] == [SELECT, bytes.fromhex("8050010202abcd")]


@pytest.mark.needs_tool
@pytest.mark.usefixtures("inserted")
def test_opensc_probes_all_its_drivers_and_finds_none(opensc, echo):
    echo.answer = lambda command: NOT_FOUND if command[1] == 0xA4 else NO_SUCH_INS
    assert opensc("--name").strip() == "Unsupported card"
    assert len(echo.commands) > 10
    assert opensc("--atr").strip() == ATR.hex(":")  # still there


@pytest.mark.needs_tool
@pytest.mark.usefixtures("inserted")
def test_pcsc_scan_takes_the_atr_apart(run, tmp_path):
    require_tool("pcsc_scan", "pcsc-tools")
    # A fresh list keeps it from fetching one; wrong names and ours alone are in it.
    (tmp_path / "smartcard_list.txt").write_text(f"{ATR.hex(' ').upper()}\n\tthe echo card\n")
    shown = run("pcsc_scan", "-t", "1", XDG_CACHE_HOME=str(tmp_path))
    assert "ATR: 3B 84 80 01 45 43 48 4F 04" in shown
    assert re.search(r"TD\(1\) = 80 .*\n-----\n.*TD\(2\) = 01 --> .*Protocol T = 1", shown)
    assert "Historical bytes: 45 43 48 4F" in shown
    assert "TCK = 04 (correct checksum)" in shown
    assert "the echo card" in shown


@pytest.mark.needs_tool
@pytest.mark.usefixtures("inserted")
def test_pcsc_scan_without_analysis_lists_both_slots(run):
    require_tool("pcsc_scan", "pcsc-tools")
    shown = run("pcsc_scan", "-n", "-c")
    first, second = shown.split("Reader 1: tapbench 00 01")
    assert "Reader 0: tapbench 00 00" in first
    assert "Card state: Card inserted" in first
    assert "Card state: Card removed" in second


@pytest.mark.needs_tool
@pytest.mark.usefixtures("inserted")
def test_scriptor_sends_commands_and_resets(run, echo):
    require_tool("scriptor", "pcsc-tools")
    echo.powers.clear()
    shown = run("scriptor", "-p", "T=1", typed="00 A4 04 00 00\nreset\n00 B0 81 00 10\n")
    assert "< 00 A4 04 00 00 90 00 : Normal processing." in shown
    assert f"< OK: {ATR.hex(' ').upper()}" in shown
    assert "< 00 B0 81 00 10 90 00 : Normal processing." in shown
    assert echo.powers.count("on") == 2  # at connect and at reset


@pytest.mark.needs_tool
def test_a_client_pointed_elsewhere_finds_no_reader(opensc):
    shown = opensc("--atr", status=1, PCSCLITE_CSOCK_NAME="/nonexistent/pcscd.comm")
    assert "No smart card readers found" in shown


# Our own coupler


def test_a_command_goes_to_the_card_and_its_answer_comes_back(inserted, coupler):
    card = coupler.wait_card(NOTICED_S)
    assert card.atr == ATR
    assert card.transmit(SELECT) == SELECT + OK


@pytest.mark.parametrize("size", [4, 5, 255, 261])
def test_short_commands_of_every_size_pass(inserted, coupler, size):
    command = bytes(range(256))[:size].ljust(size, b"\xee")
    answered = coupler.wait_card(NOTICED_S).transmit(command)
    assert answered == command + OK


def test_the_longest_short_response_passes(inserted, echo, coupler):
    echo.answer = lambda _: bytes(range(256)) + OK
    assert coupler.wait_card(NOTICED_S).transmit(SELECT) == bytes(range(256)) + OK


@pytest.mark.parametrize("command", [b"", b"\x00", b"\x04", b"\x00\xa4\x04"])
def test_a_command_without_a_whole_header_never_reaches_vpcd(inserted, echo, coupler, command):
    with pytest.raises(ValueError, match="at least 4 bytes"):
        coupler.wait_card(NOTICED_S).transmit(command)
    assert echo.commands == []


def test_no_card_in_time_is_said_so(coupler):
    with pytest.raises(NoCard, match=r"no card came to tapbench 00 00 within 0\.1 s"):
        coupler.wait_card(0.1)


def test_waiting_ends_when_a_card_is_inserted(pcscd, echo, coupler):
    frontend = VpcdFrontend(echo, pcscd.port)
    serving = threading.Thread(target=frontend.serve)
    timer = threading.Timer(0.05, serving.start)
    timer.start()
    card = coupler.wait_card(NOTICED_S)
    assert card.transmit(SELECT) == SELECT + OK
    timer.join()
    frontend.stop()
    serving.join()


def test_a_card_can_leave_and_come_back(pcscd, echo, coupler):
    for _ in range(2):
        with VpcdFrontend(echo, pcscd.port).running():
            assert coupler.wait_card(NOTICED_S).transmit(SELECT) == SELECT + OK
            assert not coupler.wait_gone(0)
        assert coupler.wait_gone(NOTICED_S)


def test_a_card_that_another_followed_while_nobody_looked_has_left(pcscd, coupler):
    name = pcscd.reader_names[0]
    with PcscCoupler(name) as watcher:
        with VpcdFrontend(EchoCard(), pcscd.port).running():
            assert coupler.wait_card(NOTICED_S).transmit(SELECT) == SELECT + OK
            watcher.wait_card(NOTICED_S)
        assert watcher.wait_gone(NOTICED_S)
        with VpcdFrontend(EchoCard(), pcscd.port).running():
            watcher.wait_card(NOTICED_S)
            assert coupler.wait_gone(0)
            assert coupler.wait_card(NOTICED_S).transmit(SELECT) == SELECT + OK
            assert not coupler.wait_gone(0)


def test_a_card_that_left_between_commands_is_lost(inserted, coupler):
    card = coupler.wait_card(NOTICED_S)
    assert card.transmit(SELECT) == SELECT + OK
    inserted.stop()
    with pytest.raises(CardLost, match="the card left tapbench 00 00 before it answered"):
        card.transmit(SELECT)
    with pytest.raises(CardLost):
        card.transmit(SELECT)


def test_a_card_that_leaves_during_a_command_is_lost_after_it_acted(inserted, echo, coupler):
    def leave(command: bytes) -> bytes:
        inserted.stop()
        return OK

    card = coupler.wait_card(NOTICED_S)
    echo.answer = leave
    with pytest.raises(CardLost):
        card.transmit(SELECT)
    assert echo.commands == [SELECT]


def test_after_disconnect_the_card_starts_afresh(inserted, echo, coupler):
    card = coupler.wait_card(NOTICED_S)
    echo.powers.clear()
    card.disconnect(Disposition.RESET)
    card.disconnect()  # let go already
    assert echo.powers == ["off", "on"]
    coupler.wait_card(NOTICED_S)
    coupler.wait_card(NOTICED_S)  # gives up the one before
    assert echo.powers[-2:] == ["off", "on"]


def test_a_reset_by_another_program_loses_the_session(pcscd, inserted, coupler):
    card = coupler.wait_card(NOTICED_S)
    with PcscCoupler(pcscd.reader_names[0]) as other:
        other.wait_card(NOTICED_S).disconnect(Disposition.RESET)
        with pytest.raises(CardLost, match="another program reset the card"):
            card.transmit(SELECT)


def test_a_reader_held_by_another_program_is_a_fault(pcscd, inserted, coupler):
    coupler.wait_card(NOTICED_S)
    with (
        PcscCoupler(pcscd.reader_names[0], is_shared=False) as greedy,
        pytest.raises(ReaderFault, match="another program holds tapbench 00 00 for itself"),
    ):
        greedy.wait_card(NOTICED_S)


def test_nobody_steps_between_the_commands_of_an_exclusive_tap(pcscd, inserted, echo, coupler):
    ours, theirs = bytes.fromhex("80500102"), bytes.fromhex("00b00000")
    with PcscCoupler(pcscd.reader_names[0]) as other_coupler:
        card, other = coupler.wait_card(NOTICED_S), other_coupler.wait_card(NOTICED_S)
        rival = threading.Thread(target=other.transmit, args=(theirs,))
        with card.exclusive():
            rival.start()
            for _ in range(50):
                card.transmit(ours)
        rival.join()
    assert echo.commands == [ours] * 50 + [theirs]


def test_two_cards_can_be_in_the_two_slots(pcscd):
    first, second = EchoCard(), EchoCard(lambda _: NOT_FOUND)
    with (
        VpcdFrontend(first, pcscd.ports[0]).running(),
        VpcdFrontend(second, pcscd.ports[1]).running(),
        PcscCoupler("00 00") as first_coupler,
        PcscCoupler("00 01") as second_coupler,
    ):
        assert first_coupler.wait_card(NOTICED_S).transmit(SELECT) == SELECT + OK
        assert second_coupler.wait_card(NOTICED_S).transmit(SELECT) == NOT_FOUND


@pytest.mark.usefixtures("pcscd")
def test_a_reader_that_is_not_there_is_answered_with_those_that_are():
    assert list_readers() == ("tapbench 00 00", "tapbench 00 01")
    with pytest.raises(ReaderFault, match="no reader matches 'ACR122' of: tapbench 00 00, tapb"):
        PcscCoupler("ACR122")


# The service comes and goes


def test_without_a_service_the_coupler_says_what_to_start(pcscd):
    pcscd.stop()
    with pytest.raises(ReaderFault, match="no PC/SC service answers; start pcscd"):
        PcscCoupler()


def test_the_end_of_pcscd_reaches_both_sides(pcscd, echo, coupler):
    frontend = VpcdFrontend(echo, pcscd.port)
    with pytest.raises(FrontendError, match="closed the connection"), frontend.running():  # noqa: PT012
        [serving] = [t for t in threading.enumerate() if t.name == "vpcd card"]
        card = coupler.wait_card(NOTICED_S)
        pcscd.stop()
        with pytest.raises(ReaderFault, match=r"start (pcscd|it again)"):
            card.transmit(SELECT)
        with pytest.raises(ReaderFault):
            coupler.wait_gone(NOTICED_S)
        serving.join()


def test_two_services_run_side_by_side_in_one_process(pcscd, inserted):
    with PrivatePcscd("other bench") as other:
        assert other.reader_names == ("other bench 00 00", "other bench 00 01")
        assert not set(other.ports) & set(pcscd.ports)
        with other.in_process():
            assert list_readers() == other.reader_names
        assert list_readers() == pcscd.reader_names


@pytest.mark.parametrize("which", [0, 1], ids=["first slot", "second slot"])
@pytest.mark.usefixtures("pcscd")
def test_a_taken_port_is_one_sentence(which):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1] - which
        with pytest.raises(RigError, match=f"port {port} or {port + 1} is taken; name another"):
            PrivatePcscd(port=port).__enter__()


@pytest.mark.usefixtures("pcscd")
def test_a_port_can_be_named():
    with PrivatePcscd() as rig:
        port = rig.port
    with PrivatePcscd(port=port) as rig:
        assert rig.ports == (port, port + 1)


@pytest.mark.parametrize("name", ["", 'say "tap"', "刷卡", "a:b", "x" * 101])
def test_a_name_that_pcscd_cannot_read_is_refused(name):
    with pytest.raises(RigError, match="take 1 to 100 ASCII letters"):
        PrivatePcscd(name)


@pytest.mark.parametrize("lacking", ["pcscd", "driver"])
@pytest.mark.usefixtures("pcscd")
def test_what_is_not_installed_is_named_with_its_package(lacking, monkeypatch):
    if lacking == "pcscd":
        monkeypatch.setattr("bench.rig.pcscd.shutil.which", lambda *_, **__: None)
    else:
        monkeypatch.setattr("bench.rig.pcscd._DRIVER_PATTERNS", ())
    with pytest.raises(RigError, match="not installed; apt install pcscd vsmartcard-vpcd"):
        PrivatePcscd().__enter__()


def test_what_is_sent_to_our_whole_group_does_not_end_the_service(pcscd):
    """Ctrl-C at a terminal is: who puts the card away then must find the service alive."""
    assert os.getpgid(pcscd.pid) == pcscd.pid != os.getpgrp()


def test_nothing_is_left_behind(pcscd):
    with PrivatePcscd() as rig:
        folder, pid = rig.socket_path.parent, rig.pid
        assert folder.stat().st_mode & 0o777 == 0o700
    assert not folder.exists()
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)


_BENCH = """
import json, os, pathlib, sys
from bench.rig import pcscd
user, run = sys.argv[1:]
if user:
    os.setgroups([]), os.setgid(int(user)), os.setuid(int(user))
pcscd._RUN = pathlib.Path(run)
with pcscd.PrivatePcscd("mine") as rig:
    print(json.dumps([rig.pid, rig.reader_names, str(rig.socket_path)]), flush=True)
    sys.stdin.read()
"""
RUN = "/run/pcscd"
NOBODY = "65534" if os.geteuid() == 0 else ""  # only root can become somebody else


@pytest.fixture
def bench_process():
    """Start a process that holds a private pcscd until its standard input ends."""
    started = []

    def start(user: str = "", run: str = RUN) -> tuple[subprocess.Popen[str], int, list[str], Path]:
        process = subprocess.Popen(
            [sys.executable, "-c", _BENCH, user, run],
            cwd=ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        started.append(process)
        pid, names, path = json.loads(process.stdout.readline())
        return process, pid, names, Path(path)

    yield start
    for process in started:
        process.communicate()


@pytest.mark.usefixtures("pcscd")
def test_pcscd_dies_with_a_killed_parent(bench_process):
    process, pid, _, socket_path = bench_process()
    watched = os.pidfd_open(pid)
    try:
        process.send_signal(signal.SIGKILL)
        readable, _, _ = select.select([watched], [], [], 10)
        assert readable
    finally:
        os.close(watched)
        shutil.rmtree(socket_path.parent)  # what a killed process cannot do


@pytest.mark.usefixtures("pcscd")
def test_pcscd_never_runs_as_root(bench_process):
    _, pid, _, _ = bench_process()
    assert Path(f"/proc/{pid}").stat().st_uid != 0


@pytest.mark.needs_tool
@pytest.mark.parametrize("folder", [RUN, "/nonexistent/pcscd"], ids=["with", "without"])
def test_an_ordinary_user_can_run_it_with_and_without_run_pcscd(bench_process, run, folder):
    require_tool("opensc-tool", "opensc")
    namespace = ["unshare", "--user", "--map-root-user", "--mount", "true"]
    if folder != RUN and subprocess.run(namespace, stderr=subprocess.DEVNULL).returncode:
        pytest.skip("this machine does not let ordinary users have mount namespaces.")
    process, _, names, socket_path = bench_process(NOBODY, folder)
    assert names == ["mine 00 00", "mine 00 01"]
    assert "mine 00 01" in run("opensc-tool", "-l", PCSCLITE_CSOCK_NAME=str(socket_path))
    process.communicate()
    assert process.returncode == 0
    assert not socket_path.exists()

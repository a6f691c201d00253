"""Unmodified drivers on a virtual PN532: nfcpy's over its serial port, Debian's libnfc over its."""

import re
import signal
import subprocess
import sys
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path

import nfc
import nfc.clf
import nfc.tag
import pytest

from apdu.commands import AID_PURSE, GET_BALANCE, SELECT
from apdu.records import SelectName
from bench.roads import in_process
from bench.scenario import fresh_card, play
from emulator.card.card import Card
from emulator.frontends.nfc_target import NfcTarget
from emulator.radio.station import Station
from tests.pn532_rig import (
    WAIT_S,
    coupled,
    facing,
    in_field,
    libnfc,
    libnfc_running,
    printed,
    stock,
    wait,
)
from tests.unit.pcd import PHONE, EchoCard

COMMAND = bytes.fromhex("00B0950000")
OTHERS = (
    "Felica (212 kbps)",
    "Felica (424 kbps)",
    "ISO14443B",
    "ISO14443B'",
    "ISO14443B-2 ST SRx",
    "ISO14443B-2 ASK CTx",
    "ISO14443A-3 Jewel",
)


def shown(text: str, name: str) -> str:
    """The bytes on a line of libnfc's output, in hexadecimal."""
    line = re.search(rf"^ *{re.escape(name)}: ([0-9a-f ]+)$", text, re.MULTILINE)
    assert line, text
    return line[1].replace(" ", "")


def assert_shows(text: str, card: Card) -> None:
    """Whether libnfc says of a card what the card says of itself. It shows no TL."""
    itself = card.contactless
    assert shown(text, "ATQA (SENS_RES)") == itself.atqa[::-1].hex()
    assert shown(text, "UID (NFCID3)" if itself.uid[0] == 8 else "UID (NFCID1)") == itself.uid.hex()
    assert shown(text, "SAK (SEL_RES)") == f"{itself.sak:02x}"
    assert shown(text, "ATS") == itself.ats[1:].hex()
    assert text.count("ATQA (SENS_RES)") == 1


# libnfc reads


@pytest.mark.needs_tool
def test_nfc_list_prints_our_card_and_nothing_else() -> None:
    card = fresh_card(1)
    with in_field(Station(card)) as chip:
        text = libnfc(chip, "nfc-list", "-v")
    assert_shows(text, card)
    counts = {name: int(count) for count, name in re.findall(r"^(\d+) (.+) passive", text, re.M)}
    assert counts.pop("ISO14443A") == 1
    assert set(counts) >= set(OTHERS)
    assert not any(counts.values())
    assert "Compliant with ISO/IEC 14443-4" in text


@pytest.mark.needs_tool
def test_nfc_list_of_an_empty_field_finds_nothing_at_all() -> None:
    with in_field() as chip:
        text = libnfc(chip, "nfc-list", "-v")
    counts = [int(count) for count in re.findall(r"^(\d+) .+ passive target", text, re.MULTILINE)]
    assert len(counts) > len(OTHERS)
    assert not any(counts)


@pytest.mark.needs_tool
def test_nfc_list_prints_two_cards() -> None:
    other = replace(PHONE, uid=bytes.fromhex("04112233445566"), atqa=b"\x44\x00")
    with in_field(Station(fresh_card(1)), Station(EchoCard(other))) as chip:
        text = libnfc(chip, "nfc-list")
    assert "2 ISO14443A passive target(s) found" in text
    assert "04  11  22  33  44  55  66" in text


@pytest.mark.needs_tool
def test_nfc_poll_prints_our_card_and_notices_that_it_leaves() -> None:
    card = fresh_card(1)
    station = Station(card)
    with in_field(station) as chip, libnfc_running(chip, "nfc-poll", "-v") as process:
        text = printed(process, "Waiting for card removing...")
        assert_shows(text, card)
        with chip.at_rest():
            chip.air.take_away(station)
        assert "done." in printed(process, "done.")
        assert process.wait(WAIT_S) == 0


@pytest.mark.needs_tool
@pytest.mark.parametrize("option", [(), ("-t",)])
def test_nfc_anticol_does_by_hand_what_the_chip_does(option: tuple[str, ...]) -> None:
    card = fresh_card(1)
    with in_field(Station(card)) as chip:
        text = libnfc(chip, "nfc-anticol", *option)
    assert f" UID: {card.contactless.uid.hex()}" in text
    assert "ATQA: 0004" in text
    assert " SAK: 20" in text
    if option:  # ISO/IEC 14443-3, 6.2.1.1: 1236 after a one, 1172 after a zero
        assert {int(n) for n in re.findall(r"after (\d+) cycles", text)} == {1172, 1236}


@pytest.mark.needs_tool
def test_nfc_scan_device_finds_the_chip() -> None:
    with in_field() as chip:
        assert "chip: PN532 v1.6" in libnfc(chip, "nfc-scan-device", "-v")


@pytest.mark.needs_tool
def test_a_killed_libnfc_does_not_block_the_port() -> None:
    with in_field(Station(fresh_card(1))) as chip:
        with libnfc_running(chip, "nfc-poll") as process:
            printed(process, "removing")
            process.kill()
            process.wait(WAIT_S)
        wait(lambda: chip.is_free)  # sooner, and the next would read what the last one asked for
        with coupled(chip) as coupler:
            coupler.wait_card(WAIT_S)
        assert "1 ISO14443A" in libnfc(chip, "nfc-list")


# nfcpy reads


def test_stock_nfcpy_activates_a_type_4_tag_and_reads_the_balance() -> None:
    with in_field(Station(fresh_card(1))) as chip, stock(chip) as front:
        assert front.device.chipset_name == "PN532v1.6"
        target = front.sense(nfc.clf.RemoteTarget("106A"))
        tag = nfc.tag.activate(front, target)
        assert tag.type == "Type4Tag"
        assert tag.ndef is None
        tag.transceive(SELECT.command(SelectName(AID_PURSE)))
        assert tag.transceive(GET_BALANCE.command(None)) == b"\0\0\0\0\x90\x00"
        assert tag.is_present


def test_a_tag_tool_in_the_style_of_nfcpys_examples_ends_cleanly() -> None:
    tags = []
    with in_field(Station(fresh_card(1))) as chip, stock(chip) as front:
        seen = front.connect(
            rdwr={"on-connect": lambda tag: tags.append((str(tag), tag.dump())), "beep": False}
        )
    assert seen
    assert tags[0][0].startswith("Type4ATag")


def test_nfcpy_finds_no_card_of_another_kind() -> None:
    with in_field(Station(fresh_card(1))) as chip, stock(chip) as front:
        for kind in ("106B", "212F", "424F"):
            assert front.sense(nfc.clf.RemoteTarget(kind)) is None
        peer = nfc.clf.RemoteTarget("106A", atr_req=bytearray.fromhex("D400" + "00" * 14))
        assert front.sense(peer) is None
        assert front.sense(nfc.clf.RemoteTarget("106A")) is not None


def test_nfcpy_finds_a_card_by_its_uid() -> None:
    long = replace(PHONE, uid=bytes.fromhex("04112233445566"), atqa=b"\x44\x00")
    with in_field(Station(fresh_card(1)), Station(EchoCard(long))) as chip, stock(chip) as front:
        target = front.sense(nfc.clf.RemoteTarget("106A", sel_req=long.uid))
        assert bytes(target.sdd_res) == long.uid
        assert front.sense(nfc.clf.RemoteTarget("106A", sel_req=b"\1\2\3\4")) is None


def test_the_card_comes_and_goes_and_the_coupler_notices() -> None:
    station = Station(EchoCard())
    with in_field() as chip, coupled(chip) as coupler:
        with chip.at_rest():
            chip.air.bring(station)
        assert coupler.wait_card(WAIT_S).transmit(COMMAND) == COMMAND + b"\x90\x00"
        assert not coupler.wait_gone(0)
        with chip.at_rest():
            chip.air.take_away(station)
        assert coupler.wait_gone(WAIT_S)


def test_two_taps_in_a_row_are_two_fields() -> None:
    card = EchoCard()
    with in_field(Station(card)) as chip, coupled(chip) as coupler:
        for _ in range(2):
            assert coupler.wait_card(WAIT_S).transmit(COMMAND) == COMMAND + b"\x90\x00"
    assert card.power == ["on", "off"] * 2


@pytest.mark.needs_tool
def test_a_driver_that_was_killed_at_its_own_bit_rate_leaves_a_usable_chip() -> None:
    script = (
        "import sys, nfc; nfc.ContactlessFrontend(sys.argv[1]); print('open', flush=True); "
        "sys.stdin.read()"
    )
    with in_field(Station(fresh_card(1))) as chip:
        if not Path("/dev", chip.nfcpy_path.split(":")[1]).is_symlink():
            pytest.skip("nfcpy reaches the chip through standard input, which this test needs.")
        with subprocess.Popen(
            [sys.executable, "-c", script, chip.nfcpy_path],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        ) as process:
            printed(process, "open")
            process.send_signal(signal.SIGKILL)
            process.wait(WAIT_S)
        assert chip.rate == 921600
        assert "1 ISO14443A" in libnfc(chip, "nfc-list")
        assert chip.rate == 115200


# Two chips


def test_the_whole_job_runs_between_stock_drivers_on_two_chips() -> None:
    with ExitStack() as stack:
        card_side, gate_side = stack.enter_context(facing())
        with card_side.as_nfcpy_device() as device:
            front = NfcTarget(fresh_card(1), device)
        stack.enter_context(front.running())
        coupler = stack.enter_context(coupled(gate_side))
        link = coupler.wait_card(WAIT_S)
        assert link.identity.uid == front.shown.uid
        over_air = play(link, 1)
    assert over_air.is_good
    with in_process(fresh_card(1)) as direct:
        assert over_air.transcript() == play(direct, 1).transcript()


@pytest.mark.needs_tool
def test_libnfc_reads_the_card_that_nfcpy_plays() -> None:
    card = fresh_card(1)
    with ExitStack() as stack:
        card_side, gate_side = stack.enter_context(facing())
        with card_side.as_nfcpy_device() as device:
            front = NfcTarget(card, device)
        stack.enter_context(front.running())
        for _ in range(2):
            assert_shows(libnfc(gate_side, "nfc-list"), card)


@pytest.mark.needs_tool
def test_nfcpy_reads_the_tag_that_libnfc_plays() -> None:
    with ExitStack() as stack:
        card_side, gate_side = stack.enter_context(facing())
        process = stack.enter_context(libnfc_running(card_side, "nfc-emulate-forum-tag4"))
        front = stack.enter_context(stock(gate_side))
        target = None
        for _ in range(1000):  # until the program listens
            target = front.sense(nfc.clf.RemoteTarget("106A"))
            if target is not None:
                break
        tag = nfc.tag.activate(front, target)
        assert [record.resource.uri for record in tag.ndef.records] == ["http://libnfc.org"]
        front.device.mute()
        assert "Target Released" in printed(process, "Target Released")


def test_nfcpy_listens_in_vain_where_no_reader_is() -> None:
    with in_field() as chip, stock(chip) as front:
        card = nfc.clf.LocalTarget("106A")
        card.sens_res, card.sdd_res = bytearray(b"\x04\x00"), bytearray(b"\x08\1\2\3")
        card.sel_res = bytearray(b"\x20")
        assert front.listen(card, 0.1) is None
        felica = nfc.clf.LocalTarget("212F", sensf_res=bytearray(19))
        assert front.listen(felica, 0.1) is None

"""Every program of Debian's libnfc on a virtual PN532: it ends, and the chip is usable after it.

Most are for cards of another kind, and find that ours is none. Those that wait for a reader are
killed. Not here: nfc-relay, which needs two readers in one configuration file.
"""

import os
from contextlib import ExitStack
from pathlib import Path

import pytest

from bench.roads import in_process
from bench.scenario import fresh_card, play
from emulator.radio.station import Station
from tests.needs import require_tool
from tests.pn532_rig import (
    WAIT_S,
    coupled,
    facing,
    in_field,
    libnfc,
    libnfc_running,
    run_libnfc,
    wait,
)

pytestmark = pytest.mark.needs_tool


@pytest.mark.parametrize(
    "command",
    [
        "nfc-anticol -f",
        "nfc-barcode",
        "nfc-dep-initiator",
        "nfc-jewel r {dump}",
        "nfc-list -v",
        "nfc-mfclassic r A u {dump}",
        "nfc-mfclassic R A u {dump}",
        "nfc-mfsetuid",
        "nfc-mfsetuid -f",
        "nfc-mfultralight r {dump}",
        "nfc-read-forum-tag3 -o {dump}",
        "nfc-scan-device -v",
    ],
)
def test_the_chip_is_usable_after_a_program(command: str, tmp_path: Path) -> None:
    with in_field(Station(fresh_card(1))) as chip:
        run_libnfc(chip, *command.format(dump=tmp_path / "dump").split())
        assert "1 ISO14443A" in libnfc(chip, "nfc-list")


@pytest.mark.parametrize(
    "command",
    [
        "nfc-dep-target",
        "nfc-emulate-forum-tag2",
        "nfc-emulate-forum-tag4",
        "nfc-emulate-tag",
        "nfc-emulate-uid",
        "nfc-poll",
    ],
)
def test_the_chip_is_usable_after_a_program_that_was_killed(command: str) -> None:
    with in_field(Station(fresh_card(1))) as chip:
        with libnfc_running(chip, command) as process:
            wait(lambda: not chip.is_free)
            process.kill()
        assert "1 ISO14443A" in libnfc(chip, "nfc-list")


def test_the_whole_job_runs_through_libnfcs_relay_between_two_more_chips(tmp_path: Path) -> None:
    require_tool("nfc-relay-picc", "libnfc-bin")
    there, back = tmp_path / "there", tmp_path / "back"
    os.mkfifo(there)
    os.mkfifo(back)
    relay = 'exec nfc-relay-picc -q "$1" 3<>"$2" 4<>"$3"'
    with ExitStack() as stack:
        card_side = stack.enter_context(in_field(Station(fresh_card(1))))
        relay_side, gate_side = stack.enter_context(facing())
        for chip, *arguments in (
            (card_side, "-i", str(there), str(back)),
            (relay_side, "-t", str(back), str(there)),
        ):
            stack.enter_context(libnfc_running(chip, "sh", "-c", relay, "sh", *arguments))
        coupler = stack.enter_context(coupled(gate_side))
        over_air = play(coupler.wait_card(WAIT_S), 1)
    assert over_air.is_good
    with in_process(fresh_card(1)) as direct:
        assert over_air.transcript() == play(direct, 1).transcript()

"""Unmodified third-party programs read the real card: opensc-tool, pcsc_scan, scriptor, nfcpy."""

import re
from collections.abc import Iterator
from contextlib import closing

import nfc
import nfc.clf
import nfc.tag.tt4
import pytest

from emulator.card.card import Card
from emulator.frontends.udp import UdpFrontend
from emulator.frontends.vpcd import VpcdFrontend
from reader.transport.pcsc import PcscCoupler
from tests.interop.conftest import NOTICED_S
from tests.kits import BALANCE, READ_EF15, SELECT_PURSE
from tests.needs import require_tool

EF15 = "09981001FFFFFFFF02010310522800990000001720250901202609300200"


@pytest.fixture
def inserted(pcscd, card: Card) -> Iterator[Card]:
    with VpcdFrontend(card, pcscd.port).running():
        with PcscCoupler(pcscd.reader_names[0]) as coupler:
            coupler.wait_card(NOTICED_S)
        yield card


def hexed(text: str) -> str:
    return "".join(re.findall(r"\b[0-9A-F]{2}\b", text))


def test_opensc_tool_reads_the_balance(inserted, run):
    tool = require_tool("opensc-tool", "opensc")
    out = run(
        tool,
        "--card-driver",
        "default",
        "-s",
        SELECT_PURSE.hex(),
        "-s",
        READ_EF15.hex(),
        "-s",
        BALANCE.hex(),
    )
    assert out.count("SW1=0x90, SW2=0x00") == 3
    assert EF15 in hexed(out)
    assert "00 00 13 88" in out


def test_opensc_tool_reads_the_atr(inserted, run):
    out = run(require_tool("opensc-tool", "opensc"), "--atr")
    assert "3b:80:80:01:01" in out


def test_opensc_probing_ends_in_unsupported_card_and_harms_nothing(inserted, run):
    before = inserted.image
    out = run(require_tool("opensc-tool", "opensc"), "--name")
    assert "Unsupported card" in out
    assert inserted.image is before
    assert inserted.process(SELECT_PURSE)[-2:] == b"\x90\x00"


def test_scriptor_runs_a_purchase_up_to_the_mac(inserted, run):
    """A bad MAC1 from a stranger is refused, and the money stays."""
    script = "\n".join(
        (
            "00 A4 04 00 08 A0 00 00 06 32 01 01 05 00",
            "80 50 01 02 0B 01 00 00 00 32 30 00 02 00 07 77 0F",
            "80 54 01 00 0F 00 00 00 0B 20 25 09 08 17 30 00 DE AD BE EF 08",
            "80 5C 00 02 04",
            "",
        )
    )
    out = run(require_tool("scriptor", "pcsc-tools"), typed=script)
    assert "93 02" in out
    assert "00 00 13 88 90 00" in out
    assert inserted.purse.actual == 5000


def test_pcsc_scan_takes_the_atr_apart(inserted, run, tmp_path):
    # Its list of known cards would be fetched from elsewhere: an empty one of today stops that.
    cache = tmp_path / ".cache"
    cache.mkdir()
    (cache / "smartcard_list.txt").write_text("# empty\n")
    tool = require_tool("pcsc_scan", "pcsc-tools")
    timeout = require_tool("timeout", "coreutils")
    out = run(
        timeout, "--preserve-status", "-s", "INT", "3", tool, "-n", HOME=str(tmp_path), status=0
    )
    assert "3B 80 80 01 01" in out


def test_nfcpy_reads_the_card_as_its_own_type_4_tag(card: Card):
    with UdpFrontend(card, port=0).running() as front:
        host, port = front.address
        with closing(nfc.ContactlessFrontend(f"udp:{host}:{port}")) as reader:
            target = reader.sense(nfc.clf.RemoteTarget("106A"))
            tag = nfc.tag.activate(reader, target)
            assert isinstance(tag, nfc.tag.tt4.Type4ATag)
            assert bytes(target.sdd_res) == card.contactless.uid
            assert bytes(target.sens_res) == b"\x04\x00"
            assert target.sel_res[0] == 0x20
            assert tag.ndef is None  # its probe of the NDEF application ends cleanly
            tag.send_apdu(0x00, 0xA4, 0x04, 0x00, bytes.fromhex("A000000632010105"), mrl=256)
            assert tag.send_apdu(0x00, 0xB0, 0x95, 0x00, mrl=256).hex().upper() == EF15
            assert tag.send_apdu(0x80, 0x5C, 0x00, 0x02, mrl=4) == b"\x00\x00\x13\x88"
            with pytest.raises(nfc.tag.tt4.Type4TagCommandError) as refused:
                tag.send_apdu(0x00, 0xB0, 0x84, 0x00, mrl=32)
            assert refused.value.errno == 0x6A82

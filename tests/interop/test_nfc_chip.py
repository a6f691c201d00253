"""What a listening chip can show of a card, and readers that are of no use."""

import errno
import os
from contextlib import closing
from typing import Any

import nfc.clf.acr122
import nfc.clf.device
import nfc.clf.rcs956
import pytest

import fixtures
from emulator.frontends.errors import FrontendError
from emulator.frontends.nfc_chip import _why_not, as_shown
from emulator.frontends.nfc_target import NfcTarget, changes
from emulator.frontends.udp import UdpFrontend
from emulator.picc import Contactless
from tests.interop.test_nfc_target import free_port
from tests.unit.pcd import PHONE, EchoCard

# What a chip can show


def test_a_card_of_a_random_uid_at_106_is_shown_as_it_is() -> None:
    card = fixtures.card("student").contactless
    assert as_shown(card) == card
    assert changes(card, as_shown(card)) == ""


def test_what_a_chip_cannot_show_is_told() -> None:
    card = Contactless(b"\x44\x00", 0x6C, bytes.fromhex("04112233445566"), b"\x06\x7c\x77\x80\x02A")
    shown = as_shown(card)
    assert shown == Contactless(
        b"\x04\x00", 0x28, bytes.fromhex("08112233"), b"\x06\x78\x80\x80\x02A"
    )
    assert changes(card, shown) == (
        "This reader cannot show all of the card; seen is UID 08112233 instead of 04112233445566, "
        "ATQA 0400 instead of 4400, SAK 28 instead of 6C, "
        "ATS 067880800241 instead of 067C77800241."
    )


@pytest.mark.parametrize(
    ("ats", "largest", "kept"),
    [
        ("01", 128, "01"),
        ("0208", 128, "0207"),
        ("0208", 256, "0208"),
        ("0205", 256, "0205"),
        ("03 18 F7", 253, "03 17 80"),
        ("03 28 70", 256, "03 28 70"),
    ],
)
def test_an_ats_promises_what_the_chip_can_keep(ats: str, largest: int, kept: str) -> None:
    card = Contactless(b"\x04\x00", 0x20, bytes(4), bytes.fromhex(ats))
    assert as_shown(card, largest).ats == bytes.fromhex(kept)


def test_a_card_without_iso_dep_is_refused() -> None:
    card = EchoCard(Contactless(PHONE.atqa, 0x08, PHONE.uid, PHONE.ats))
    with pytest.raises(FrontendError, match="SAK 08 does not offer ISO-DEP") as caught:
        NfcTarget(card, f"udp:127.0.0.1:{free_port()}")
    assert "\n" not in str(caught.value)


# Readers that are no use


@pytest.mark.parametrize("driver", [nfc.clf.acr122, nfc.clf.rcs956])
def test_a_reader_that_cannot_listen_is_refused(driver: Any, monkeypatch: Any) -> None:
    class Attached(driver.Device):  # type: ignore[misc]
        _chipset_name = _path = ""
        chipset = driver.Chipset

        def __init__(self) -> None:
            pass

        def mute(self) -> None:
            pass

        close = mute

    monkeypatch.setattr(nfc.clf.device, "connect", lambda path: Attached())
    with pytest.raises(FrontendError, match="cannot listen as a card with ISO-DEP") as caught:
        NfcTarget(EchoCard(), "usb:072f:2200")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("path", "why"),
    [
        ("usb:054c:ffff", "No NFC reader answers on usb:054c:ffff"),
        ("tty:NOSUCHPORT:pn532", "No NFC reader answers on tty:NOSUCHPORT:pn532"),
        ("nonsense", "No NFC reader answers on nonsense"),
        ("udp:127.0.0.1:port", "cannot be used: invalid literal"),
        ("udp:127.0.0.1:0", "There is no UDP port 0 to listen on: choose one from 1 to 65535"),
        ("udp:127.0.0.1:65537", "There is no UDP port 65537 to listen on"),
        ("", "No reader is named"),
    ],
)
def test_a_bad_device_path_is_one_sentence(path: str, why: str) -> None:
    with pytest.raises(FrontendError, match=why) as caught:
        NfcTarget(EchoCard(), path)
    assert "\n" not in str(caught.value)


def test_a_taken_udp_port_is_one_sentence() -> None:
    with closing(UdpFrontend(EchoCard(), host="0.0.0.0", port=0)) as front:
        port = front.address[1]
        with pytest.raises(FrontendError, match=f"UDP port {port} is taken by another program"):
            NfcTarget(EchoCard(), f"udp:127.0.0.1:{port}")


@pytest.mark.parametrize(
    ("code", "advice"),
    [
        (errno.ENODEV, "plug it in"),
        (errno.ETIMEDOUT, "plug it in"),
        (errno.EACCES, "udev rule"),
        (errno.EBUSY, "used by another program"),
        (errno.EIO, "replug it"),
        (errno.ENXIO, "cannot be used"),
    ],
)
def test_each_failure_says_what_to_do(code: int, advice: str) -> None:
    assert advice in _why_not("usb", OSError(code, os.strerror(code)))

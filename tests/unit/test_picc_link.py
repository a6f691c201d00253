"""Activation and ISO-DEP over one antenna, and chaining through both (reference 1.3, 1.6, 1.7)."""

import pytest

from apdu.crc import strip_crc
from emulator.radio.activation import State
from tests.unit.pcd import FSD, PHONE, EchoCard, Pcd, SizedCard, linked, with_ats

COMMAND = bytes.fromhex("00B0950000")
ANSWER = COMMAND + b"\x90\x00"


def x(text: str) -> bytes:
    return bytes.fromhex(text)


def test_worked_trace() -> None:
    """Protocol reference 1.7, with the CRCs it shows."""
    fci = x("6F2E840E325041592E5359532E4444463031A51CBF0C1961174F08A000000632010105")

    class Ppse(EchoCard):
        def answer(self, command: bytes) -> bytes:
            return fci

    card = Ppse()
    link = linked(card)
    select_ppse = x("00A404000E325041592E5359532E444446303100")
    assert link.receive(x("26")) == x("0400")
    assert link.receive(x("9320")) == PHONE.uid + x("04")
    assert link.receive(x("9370") + PHONE.uid + x("04")) == x("20")
    rats = strip_crc(x("E0803173"))
    assert rats is not None
    assert link.receive(rats) == strip_crc(x("0578807002A546"))
    first = strip_crc(x("0200A404000E325041592E5359532E444446303100E042"))
    assert first == x("02") + select_ppse
    assert link.receive(first) == x("02") + fci + x("9000")
    assert link.receive(x("0300A4040008A00000063201010500")) == x("03") + fci + x("9000")
    deselect = strip_crc(x("C2E0B4"))
    assert deselect is not None
    assert link.receive(deselect) == deselect
    assert card.seen == [select_ppse, x("00A4040008A00000063201010500")]
    assert link.activation.state is State.HALT


def test_deselect_halts_and_wupa_brings_the_card_back() -> None:
    card = EchoCard()
    link = linked(card)
    pcd = Pcd(link.receive).activate()
    assert pcd.deselect()
    assert link.activation.state is State.HALT
    assert Pcd(link.receive).select() is None  # REQA
    assert Pcd(link.receive).activate(poll=b"\x52").transmit(COMMAND) == ANSWER
    assert card.power == ["on", "off", "on"]


def test_field_off_powers_the_card_off_once() -> None:
    card = EchoCard()
    link = linked(card)
    Pcd(link.receive).activate()
    link.field_off()
    link.field_off()
    assert card.power == ["on", "off"]
    assert link.receive(x("26")) is None


def test_a_card_that_was_only_selected_was_never_on() -> None:
    card = EchoCard()
    link = linked(card)
    Pcd(link.receive).select()
    link.field_off()
    assert card.power == []


def test_an_invalid_rats_returns_the_card_to_idle() -> None:
    link = linked(EchoCard())
    Pcd(link.receive).select()
    assert link.receive(x("E08F")) is None
    assert link.activation.state is State.IDLE


def test_hlta_instead_of_rats_halts() -> None:
    link = linked(EchoCard())
    Pcd(link.receive).select()
    assert link.receive(x("5000")) is None
    assert link.activation.state is State.HALT


def test_polls_and_hlta_mean_nothing_to_a_running_protocol() -> None:
    link = linked(EchoCard())
    pcd = Pcd(link.receive).activate()
    assert [link.receive(x(frame)) for frame in ("26", "52", "5000", "9320")] == [None] * 4
    assert pcd.transmit(COMMAND) == ANSWER


def test_rats_before_select_is_silent() -> None:
    link = linked(EchoCard())
    assert link.receive(x("E080")) is None


# Chaining, reference 1.3 and 1.6


@pytest.mark.parametrize("fsci", range(9))
@pytest.mark.parametrize("fsdi", [0, 1, 2, 5, 8])
@pytest.mark.parametrize("cid", [None, 0, 14])
def test_chaining_both_ways(fsdi: int, fsci: int, cid: int | None) -> None:
    card = SizedCard(with_ats(fsci=fsci))
    link = linked(card)
    pcd = Pcd(link.receive, fsdi=fsdi, cid=cid).activate()
    for size in (0, 1, 9, 10, 11, 12, 13, 14, 26, 133, 253, 254, 256):
        command = bytes(size) + size.to_bytes(2, "big")
        response = pcd.transmit(command)
        assert response == bytes(n & 0xFF for n in range(size)) + b"\x90\x00"
        assert card.seen[-1] == command
    longest = max(len(frame) for frame, _ in pcd.frames)
    assert longest + 2 == FSD[fsci]  # the reader used what the card allows

"""Contracts that any implementation of a seam must keep."""

from collections.abc import Callable

from emulator.picc import Picc
from reader.transport.base import Transport

SELECT_PURSE = bytes.fromhex("00A4040008A00000063201010500")
READ_EF15 = bytes.fromhex("00B0950000")
BALANCE = bytes.fromhex("805C000204")


def check_transport(link: Transport) -> None:
    """A transport to a student's card with 50.00 yuan: everything passes, byte for byte."""
    fci = link.transmit(SELECT_PURSE)
    assert fci[:2] == b"\x6f\x31"
    assert fci[-2:] == b"\x90\x00"
    assert len(fci) == 53
    # With and without Le, four bytes, long data, unknown classes: bytes in, bytes out.
    assert link.transmit(READ_EF15) == link.transmit(READ_EF15[:4]) == fci[-32:]
    assert link.transmit(BALANCE) == b"\x00\x00\x13\x88\x90\x00"
    assert link.transmit(BALANCE[:4]) == b"\x00\x00\x13\x88\x90\x00"
    assert link.transmit(bytes.fromhex("00A40400FF") + bytes(255)) == b"\x67\x00"
    assert link.transmit(b"\xff\xca\x00\x00\x00")[-2:] == b"\x6e\x00"
    record = link.transmit(bytes.fromhex("00B201D400"))
    assert len(record) == 130
    # The longest answers, many times: nothing is left over from the one before.
    for _ in range(20):
        assert link.transmit(bytes.fromhex("00B201D400")) == record
        assert link.transmit(BALANCE) == b"\x00\x00\x13\x88\x90\x00"


def check_picc(make_card: Callable[[], Picc]) -> None:
    """A card in a field: volatile state dies with the field, what is committed stays."""
    card = make_card()
    card.power_on()
    assert card.process(SELECT_PURSE)[-2:] == b"\x90\x00"
    assert card.process(BALANCE)[-2:] == b"\x90\x00"
    card.power_off()
    card.power_on()
    assert card.process(BALANCE)[-2:] == b"\x6a\x82"  # the purse is no longer selected
    for odd in (b"", b"\x00", b"\x00\xa4\x04", bytes(5), bytes(300)):
        assert len(card.process(odd)) >= 2
    other = make_card()
    other.power_on()
    assert other.process(SELECT_PURSE) == card.process(SELECT_PURSE)

"""A card behind framing: what it hears, and what it makes of what is wrong."""

from dataclasses import replace

import pytest

from apdu.frame import HLTA, REQA, SHORT_BITS, WUPA, Frame, odd_parity
from emulator.picc import Contactless
from emulator.radio.activation import State
from emulator.radio.medium import Reply
from emulator.radio.station import Station
from tests.unit.pcd import PHONE, EchoCard, with_ats
from tests.unit.stations import (
    ANTICOLLISION,
    POLL,
    RATS,
    SELECT,
    UID,
    WAKE,
    active,
    ask,
    in_field,
    opened,
    state,
    timed,
)
from tests.unit.talk import x

MS = 1_000_000


# Frames before RATS


def test_activation_frame_by_frame():
    station = in_field()
    assert station.receive(POLL, 0) == Reply(Frame(x("0400")))
    assert station.receive(ANTICOLLISION, 0) == Reply(Frame(UID))
    assert station.receive(SELECT, 0) == Reply(Frame.whole(x("20")))
    assert station.receive(RATS, 0) == Reply(Frame.whole(PHONE.ats))


def test_a_split_byte_carries_the_cards_bits_at_their_places():
    station = in_field()
    station.receive(POLL, 0)
    reply = station.receive(Frame(x("9323") + bytes([UID[0] & 7]), tail=3), 0)
    assert reply == Reply(Frame(bytes([UID[0] & 0xF8]) + UID[1:], head=3))
    reply = station.receive(Frame(x("934C") + UID[:2] + bytes([UID[2] & 0xF]), tail=4), 0)
    assert reply is None
    station.receive(POLL, 0)
    reply = station.receive(Frame(x("9344") + UID[:2] + bytes([UID[2] & 0xF]), tail=4), 0)
    assert reply == Reply(Frame(bytes([UID[2] & 0xF0]) + UID[3:], head=4))


@pytest.mark.parametrize(
    "frame",
    [
        Frame(REQA),  # 8 bits
        Frame(REQA, 6),
        Frame.whole(REQA),  # with a checksum
        Frame(REQA, SHORT_BITS, rate=1),
        Frame(b"\x35", SHORT_BITS),
        Frame(x("2600"), SHORT_BITS),
    ],
)
def test_a_poll_is_seven_bits_and_nothing_else(frame: Frame):
    station = in_field()
    assert station.receive(frame, 0) is None
    assert state(station) is State.IDLE
    assert station.receive(POLL, 0) is not None


@pytest.mark.parametrize(
    "frame",
    [
        Frame(x("9320"), 7),  # the same bytes, a bit short
        Frame(x("932305"), 2),
        Frame(x("932301"), 8),
        Frame(x("93"), 8),
        Frame(x("9320"), parity=bytes([odd_parity(x("93"))[0] ^ 1, 0])),
        Frame(x("9320"), rate=1),
        Frame.whole(x("9320")),
        Frame(x("9370") + UID),  # no checksum
        Frame(SELECT.data[:-1] + bytes([SELECT.data[-1] ^ 1])),
        Frame(SELECT.data, parity=bytes(len(SELECT.data))),
        Frame(SELECT.data, rate=2),
        Frame.whole(x("9370") + UID[:4] + bytes([UID[4] ^ 1])),
        Frame.whole(x("9520")),
        Frame.whole(x("E080")),
        Frame(REQA, SHORT_BITS),
        Frame(WUPA, SHORT_BITS),
        Frame.whole(HLTA),
        Frame(b"\0"),
    ],
)
def test_anything_wrong_in_ready_is_silent_and_falls_back(frame: Frame):
    station = in_field()
    station.receive(POLL, 0)
    assert station.receive(frame, 0) is None
    assert state(station) is State.IDLE
    station = active()
    assert ask(station, Frame.whole(HLTA)) is None
    assert ask(station, WAKE) is not None
    assert station.receive(frame, 0) is None
    assert state(station) is State.HALT


@pytest.mark.parametrize(
    "frame",
    [
        Frame(x("E080")),
        Frame.whole(x("E080"), rate=1),
        Frame(RATS.data, parity=b"\1\0\0\0"),
        Frame.whole(x("E08F")),
        Frame.whole(x("0200B0950000")),
        Frame.whole(x("C2")),
        Frame(HLTA),
        POLL,
        WAKE,
        ANTICOLLISION,
        SELECT,
        Frame(b"\x93"),
    ],
)
def test_anything_wrong_in_active_is_silent_and_falls_back(frame: Frame):
    station = active()
    assert station.receive(frame, 0) is None
    assert state(station) is State.IDLE
    assert not station.link.isodep.is_open
    station = active()
    ask(station, Frame.whole(HLTA))
    for before in (WAKE, ANTICOLLISION, SELECT):
        assert station.receive(before, 0) is not None
    assert station.receive(frame, 0) is None
    assert state(station) is State.HALT


def test_hlta_needs_its_checksum():
    station = active()
    assert ask(station, Frame(HLTA + b"\0\0")) is None
    assert state(station) is State.IDLE
    station = active()
    assert ask(station, Frame(x("500057CD"))) is None
    assert state(station) is State.HALT


# Blocks


@pytest.mark.parametrize(
    "damage",
    [
        lambda frame: Frame(frame.data[:-1]),
        lambda frame: Frame(frame.data[:-1] + bytes([frame.data[-1] ^ 0x80])),
        lambda frame: Frame(frame.data, 7),
        lambda frame: Frame(frame.data, parity=bytes(len(frame.data))),
        lambda frame: Frame(frame.data, rate=1),
        lambda frame: Frame(b"\0"),
    ],
)
def test_a_damaged_block_is_silent_and_changes_nothing(damage):
    card = EchoCard()
    station = opened(card)
    block = Frame.whole(x("0200B0950000"))
    assert station.receive(damage(block), 0) is None
    assert (card.seen, station.link.isodep.is_open) == ([], True)
    assert ask(station, "B2") == ask(opened(), "B2")  # rule 12: not received
    assert station.receive(block, 0) is not None
    assert card.seen == [x("00B0950000")]


def test_a_poll_does_not_disturb_the_protocol():
    station = opened()
    assert station.receive(POLL, 0) is None
    assert station.receive(ANTICOLLISION, 0) is None
    assert timed(station, "0201") == ("02019000", 0)


def test_a_frame_at_the_wrong_rate_is_not_heard():
    station = opened(EchoCard(with_ats(ta=0x77)))
    reply = station.receive(Frame.whole(x("D0110E")), 0)  # 848 from the card, 424 to it
    assert reply == Reply(Frame.whole(x("D0")))  # still at 106
    for rate in (0, 1, 3):
        assert station.receive(Frame.whole(x("0201"), rate=rate), 0) is None
    reply = station.receive(Frame.whole(x("0201"), rate=2), 0)
    assert reply == Reply(Frame.whole(x("02019000"), rate=3))
    reply = station.receive(Frame.whole(x("C2"), rate=2), 0)
    assert reply == Reply(Frame.whole(x("C2"), rate=3))
    # After S(DESELECT) everything is at 106 again.
    assert station.receive(Frame(WUPA, SHORT_BITS, rate=2), 0) is None
    assert station.receive(WAKE, 0) == Reply(Frame(x("0400")))


def test_field_off_forgets_all():
    card = EchoCard(with_ats(ta=0x77))
    station = opened(card, took_ns=100 * MS)
    ask(station, "D01105")
    assert station.receive(Frame.whole(x("0201"), rate=1), 0) is not None
    assert station.link.isodep.is_extending
    station.field_off()
    assert state(station) is State.POWER_OFF
    assert station.receive(POLL, 0) is None
    assert card.power == ["on", "off"]
    station.field_on()
    for frame in (POLL, ANTICOLLISION, SELECT, RATS):
        assert station.receive(frame, 0) is not None
    assert timed(station, "B2") == ("A3", 0)  # nothing is owed from before


def test_a_field_that_is_on_comes_up_once():
    station = opened()
    station.field_on()
    assert timed(station, "0201") == ("02019000", 0)
    station.field_off()
    station.field_off()
    station.field_on()
    assert station.receive(POLL, 0) is not None


def test_each_field_may_show_another_uid():
    uids = iter([x("08000001"), x("08000002")])
    station = Station(EchoCard(), contactless_of=lambda: replace(PHONE, uid=next(uids)))
    for expected in ("08000001", "08000002"):
        station.field_on()
        station.field_on()
        assert station.contactless.uid == x(expected)
        assert station.receive(POLL, 0) is not None
        reply = station.receive(ANTICOLLISION, 0)
        assert reply is not None
        assert reply.frame.data[:4] == x(expected)
        station.field_off()


def test_a_field_may_be_ignored():
    shows: list[Contactless | None] = [None, PHONE, None]
    station = Station(EchoCard(), contactless_of=lambda: shows.pop(0))
    for answers in (False, True, False):
        station.field_on()
        assert (station.receive(POLL, 0) is not None) == answers
        station.field_off()

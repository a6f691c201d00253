"""Frames that are lost, bent, cut, copied and delayed: what reader, card and recording see."""

import pytest

from apdu.frame import REQA, SHORT_BITS, Frame
from emulator.radio.air import UNNOTICED
from emulator.radio.faults import Fault, FaultKind
from emulator.radio.medium import Ask, Heard, Trouble, drive
from emulator.radio.pcd import find
from emulator.radio.station import Station
from emulator.radio.timing import ns
from tests.unit.guests import ANSWER, FIRST_NS, MS, TIMEOUT_NS, Parrot, ask, bench
from tests.unit.pcd import EchoCard
from tests.unit.talk import x

SILENCE = Heard(b"", Trouble.TIMEOUT)
ASKED_NS, ANSWERED_NS, FDT_NS = ns(28 * 128), ns(46 * 128), ns(1172)
ASK_END_NS = FIRST_NS + ASKED_NS
ANSWER_NS = ASK_END_NS + FDT_NS
ANSWER_END_NS = ANSWER_NS + ANSWERED_NS
PCD, PICC = 0, 1  # the numbers of the first two frames


def at(kind: FaultKind, frame: int, **more: int) -> Fault:
    return Fault(kind, frame, **more)


# Lost


def test_a_lost_command_is_heard_by_nobody():
    guest = Parrot()
    b = bench(guest, faults=[at(FaultKind.LOST, PCD)])
    assert b.air.exchange(ask()) == SILENCE
    assert (guest.heard, b.notes()) == ([], ["lost"])
    assert b.now_ns == ASK_END_NS + TIMEOUT_NS
    assert b.air.exchange(ask()) == Heard(ANSWER)


def test_a_lost_answer_was_given():
    guest = Parrot()
    b = bench(guest, faults=[at(FaultKind.LOST, PICC)])
    assert b.air.exchange(ask()) == SILENCE
    assert (len(guest.heard), b.notes()) == (1, ["", "lost"])
    assert b.now_ns == ASK_END_NS + TIMEOUT_NS
    assert b.frames()[1].data == Frame.whole(ANSWER).data, "reported as it was sent"


# Flipped


def test_a_flipped_bit_breaks_the_parity_a_card_sees():
    guest = Parrot()
    b = bench(guest, faults=[at(FaultKind.FLIPPED, PCD, bit=0)])
    b.air.exchange(ask(b"\x01"))
    assert guest.heard[0].data[0] == 0x00
    assert not guest.heard[0].has_right_parity
    assert b.notes() == ["flipped", ""]
    assert b.frames()[0].data == Frame.whole(b"\x01").data


@pytest.mark.parametrize("bit", range(0, 40, 3))
def test_one_flipped_bit_of_an_answer_is_wrong_parity(bit: int):
    b = bench(Parrot(), faults=[at(FaultKind.FLIPPED, PICC, bit=bit)])
    assert b.air.exchange(ask()) == Heard(b"", Trouble.PARITY)
    assert b.notes() == ["", "flipped"]


@pytest.mark.parametrize("bit", [0, 6, 8, 14, 32, 38])
def test_two_flipped_bits_of_a_byte_are_a_wrong_checksum(bit: int):
    b = bench(Parrot(), faults=[at(FaultKind.FLIPPED, PICC, bit=bit, width=2)])
    assert b.air.exchange(ask()) == Heard(b"", Trouble.CRC)


@pytest.mark.parametrize("bit", [7, 15])
def test_two_flipped_bits_across_bytes_are_wrong_parity(bit: int):
    b = bench(Parrot(), faults=[at(FaultKind.FLIPPED, PICC, bit=bit, width=2)])
    assert b.air.exchange(ask()) == Heard(b"", Trouble.PARITY)


def test_without_a_checksum_two_flipped_bits_pass():
    b = bench(Parrot(Frame(x("0400"))), faults=[at(FaultKind.FLIPPED, PICC, bit=3, width=2)])
    assert b.air.exchange(Ask(REQA, TIMEOUT_NS, SHORT_BITS, False, False)) == Heard(x("1C00"))


def test_flips_past_the_end_do_nothing():
    b = bench(Parrot(), faults=[at(FaultKind.FLIPPED, PICC, bit=40, width=3)])
    assert b.air.exchange(ask()) == Heard(ANSWER)


def test_a_flipped_bit_of_a_poll_has_no_parity_to_break():
    b = bench(faults=[at(FaultKind.FLIPPED, PCD, bit=2)])
    station = Station(EchoCard())
    b.air.bring(station)
    assert b.air.exchange(Ask(REQA, TIMEOUT_NS, SHORT_BITS, False, False)) == SILENCE
    assert drive(find(), b.air) is not None


def test_a_flip_in_the_bits_of_a_split_byte_is_found_by_the_check_byte():
    uid = EchoCard().contactless.uid
    b = bench(faults=[at(FaultKind.FLIPPED, 3, bit=0)])
    b.air.bring(Station(EchoCard()))
    poll = Ask(REQA, TIMEOUT_NS, SHORT_BITS, False, False)
    assert b.air.exchange(poll) == Heard(x("0400"))
    split = Ask(x("9324") + bytes([uid[0] & 0x0F]), TIMEOUT_NS, 4, False, False)
    heard = b.air.exchange(split)
    assert heard.data[0] == (uid[0] & 0xF0) ^ 0x10


# Truncated


@pytest.mark.parametrize(
    ("bit", "expected"),
    [
        (0, SILENCE),
        (1, Heard(b"", Trouble.FRAMING)),
        (8, Heard(b"", Trouble.CRC)),
        (12, Heard(b"", Trouble.FRAMING)),
        (16, Heard(b"", Trouble.CRC)),
        (39, Heard(b"", Trouble.FRAMING)),
        (40, Heard(ANSWER)),
        (1000, Heard(ANSWER)),
    ],
)
def test_a_cut_answer_is_noticed_by_its_bits(bit: int, expected: Heard):
    b = bench(Parrot(), faults=[at(FaultKind.TRUNCATED, PICC, bit=bit)])
    assert b.air.exchange(ask()) == expected
    assert b.notes()[1].startswith("truncated")


def test_a_cut_command_arrives_cut():
    guest = Parrot(answer=None)
    b = bench(guest, faults=[at(FaultKind.TRUNCATED, PCD, bit=11)])
    b.air.exchange(ask(b"\xff"))
    second = Frame.whole(b"\xff").data[1]
    assert guest.heard == [Frame(bytes([0xFF, second & 0x07]), tail=3)]


def test_a_damage_that_no_receiver_can_tell_is_noted():
    """A checksum may fit what is left: here one made so."""
    whole = Frame.whole(b"\x02\x01")
    longer = Frame(whole.data + b"\x00")
    b = bench(Parrot(longer), faults=[at(FaultKind.TRUNCATED, PICC, bit=32)])
    assert b.air.exchange(ask()) == Heard(b"\x02\x01")
    assert b.notes()[1] == f"truncated, {UNNOTICED}"


def test_a_frame_may_be_bent_and_cut():
    faults = [at(FaultKind.FLIPPED, PICC, bit=0), at(FaultKind.TRUNCATED, PICC, bit=12)]
    b = bench(Parrot(), faults=faults)
    assert b.air.exchange(ask()).trouble in (Trouble.PARITY, Trouble.FRAMING)
    assert b.notes() == ["", "flipped, truncated"]


# Duplicated


def test_a_copied_command_comes_on_its_heels():
    silent, talking = Parrot(answer=None), Parrot()
    for guest, times in ((silent, 2), (talking, 1)):
        b = bench(guest, faults=[at(FaultKind.DUPLICATED, PCD)])
        b.air.exchange(ask())
        assert len(guest.heard) == times, "a card that answers is deaf to the copy"
        assert b.notes()[0] == "duplicated"


def test_a_copied_answer_is_heard_first_in_the_next_turn():
    guest = Parrot(answer=b"\x01")
    b = bench(guest, faults=[at(FaultKind.DUPLICATED, PICC)])
    assert b.air.exchange(ask()) == Heard(b"\x01")
    guest.answer = b"\x02"
    assert b.air.exchange(ask()) == Heard(b"\x01"), "a late copy"
    assert b.air.exchange(ask()) == Heard(b"\x02")
    assert len(guest.heard) == 3
    assert b.notes() == ["", "duplicated", "", "a copy", "not heard", "", ""]


def test_a_copy_drowns_only_what_begins_while_it_is_on_air():
    guest = Parrot(answer=b"\x01")
    b = bench(guest, faults=[at(FaultKind.DUPLICATED, PICC)])
    b.air.exchange(ask())
    guest.answer, guest.after_ns = b"\x02", 2 * MS
    assert b.air.exchange(ask()) == Heard(b"\x01")
    assert b.air.exchange(ask()) == Heard(b"\x02"), "it began when the reader listened again"
    assert len(guest.heard) == 2


def test_a_copy_is_heard_where_nobody_answers_and_is_copied_no_more():
    guest = Parrot()
    faults = [at(FaultKind.DUPLICATED, PICC), at(FaultKind.DUPLICATED, 3)]
    b = bench(guest, faults=faults)
    b.air.exchange(ask())
    b.air.take_away(guest)
    assert b.air.exchange(ask()) == Heard(ANSWER)
    assert b.air.exchange(ask()) == SILENCE


def test_a_copy_may_be_lost():
    b = bench(Parrot(), faults=[at(FaultKind.DUPLICATED, PICC), at(FaultKind.LOST, 3)])
    b.air.exchange(ask())
    assert b.air.exchange(ask()) == SILENCE


# Delayed


def test_a_delay_within_the_wait_is_only_late():
    b = bench(Parrot(), faults=[at(FaultKind.DELAYED, PICC, ns=MS)])
    assert b.air.exchange(ask()) == Heard(ANSWER)
    assert b.frames()[1].t_ns == ANSWER_NS + MS
    assert b.now_ns == ANSWER_END_NS + MS
    assert b.notes() == ["", "delayed"]


def test_a_delay_beyond_the_wait_is_a_timeout_and_may_be_heard_next():
    guest = Parrot()
    b = bench(guest, faults=[at(FaultKind.DELAYED, PICC, ns=TIMEOUT_NS + MS)])
    assert b.air.exchange(ask(b"\x01")) == SILENCE
    assert b.now_ns == ASK_END_NS + TIMEOUT_NS
    assert b.air.exchange(ask(b"\x02")) == Heard(ANSWER)
    assert [frame.data[0] for frame in guest.heard] == [1], "deaf until its answer is over"
    assert b.notes() == ["", "", "delayed"]


def test_a_delay_into_the_readers_next_frame_is_a_loss():
    b = bench(Parrot(), faults=[at(FaultKind.DELAYED, PICC, ns=TIMEOUT_NS)])
    assert b.air.exchange(ask()) == SILENCE
    assert b.air.exchange(ask()) == SILENCE
    assert b.notes() == ["", "", "not heard"]


def test_a_delayed_answer_has_its_number_once():
    """Its other faults strike when it is heard, and no second draw is made for it."""
    faults = [
        at(FaultKind.DELAYED, PICC, ns=TIMEOUT_NS + MS),
        at(FaultKind.FLIPPED, PICC, bit=1),
        at(FaultKind.LOST, 3),
    ]
    b = bench(Parrot(), faults=faults)
    assert b.air.exchange(ask()) == SILENCE
    assert b.air.exchange(ask()) == Heard(b"", Trouble.PARITY)
    assert b.air.frames == 3
    assert b.air.exchange(ask()) == SILENCE
    assert b.notes() == ["", "", "delayed, flipped", "lost"]


def test_an_earlier_answer_overtakes_a_delayed_one():
    slow, other = Parrot(answer=b"\x01"), Parrot(answer=b"\x02", after_ns=MS)
    b = bench(slow, other, faults=[at(FaultKind.DELAYED, PICC, ns=TIMEOUT_NS)])
    assert b.air.exchange(ask()) == Heard(b"\x02")


def test_delays_of_a_command_do_nothing():
    b = bench(Parrot(), faults=[at(FaultKind.DELAYED, PCD, ns=MS)])
    assert b.air.exchange(ask()) == Heard(ANSWER)
    assert b.frames()[1].t_ns == ANSWER_NS

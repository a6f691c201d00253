"""The air keeps time, and carries frames between a reader and what is in its field."""

from dataclasses import replace

import pytest

from apdu.event import Event, Source
from apdu.frame import REQA, SHORT_BITS, Frame, odd_parity
from emulator.radio.air import Air
from emulator.radio.medium import Ask, Heard, Trouble, drive
from emulator.radio.pcd import PcdIsoDep, find
from emulator.radio.station import Station
from emulator.radio.timing import GUARD_NS, ns
from tests.unit.guests import ANSWER, FIRST_NS, MS, TIMEOUT_NS, Parrot, ask, bench
from tests.unit.pcd import PHONE, EchoCard

SILENCE = Heard(b"", Trouble.TIMEOUT)
FDT = 1172
ASKED = (1 + 9 * 3) * 128  # one byte and a checksum
ANSWERED = (1 + 9 * 5) * 128


def close(periods: int, at_ns: int) -> bool:
    """Whether an instant is this many carrier periods; each rounding may cost a nanosecond."""
    return abs(periods * 1000 / 13.56 - at_ns) < 8


# Time


def test_an_activation_and_one_command_frame_by_frame():
    """Each start and length by hand: bits of 128 periods, FDT of 1172 between all frames."""
    seen: list[Event] = []
    air = Air(observer=seen.append)
    air.bring(Station(EchoCard()))
    air.field_on()
    assert drive(find(), air) is not None
    pcd = PcdIsoDep()
    drive(pcd.activate(), air)
    assert drive(pcd.transmit(bytes(5)), air) == bytes(5) + b"\x90\x00"
    frames = seen[1:]
    bits = [1 + 7, 1 + 18, 1 + 18, 1 + 45, 1 + 81, 1 + 27, 1 + 36, 1 + 63, 1 + 72, 1 + 90]
    assert len(frames) == len(bits)
    at = 0
    for event, count in zip(frames, bits, strict=True):
        assert close(at, event.t_ns - GUARD_NS)
        assert close(count * 128, event.duration_ns)
        at += count * 128 + FDT
    assert close(at - FDT, air.clock.now_ns() - GUARD_NS)


def test_the_first_frame_waits_until_the_cards_have_power():
    b = bench(Parrot())
    assert b.now_ns == 0
    b.air.exchange(ask())
    assert b.frames()[0].t_ns == GUARD_NS
    b.air.field_off()
    b.air.pause(MS)
    at_ns = b.now_ns
    b.air.field_on()
    b.air.field_on()
    b.air.exchange(ask())
    assert b.frames()[-2].t_ns == at_ns + GUARD_NS


def test_silence_lasts_as_long_as_the_reader_listens():
    b = bench(Parrot(answer=None))
    assert b.air.exchange(ask()) == SILENCE
    assert b.now_ns == FIRST_NS + ns(ASKED) + TIMEOUT_NS
    b.air.exchange(ask())  # nothing was heard: the next frame may come at once
    assert b.frames()[1].t_ns == FIRST_NS + ns(ASKED) + TIMEOUT_NS


def test_an_answer_takes_its_time_and_the_next_frame_keeps_its_distance():
    b = bench(Parrot(after_ns=MS))
    assert b.air.exchange(ask()) == Heard(ANSWER)
    end_ns = FIRST_NS + ns(ASKED) + MS + ns(ANSWERED)
    assert b.now_ns == end_ns
    b.air.exchange(ask())
    assert b.frames()[2].t_ns == end_ns + ns(FDT)


def test_a_guest_is_never_faster_than_the_frame_delay_time():
    b = bench(Parrot(after_ns=1))
    b.air.exchange(ask())
    assert b.frames()[1].t_ns == FIRST_NS + ns(ASKED) + ns(FDT)


def test_the_guard_time_after_an_ats_is_kept():
    b = bench(Parrot())
    b.air.exchange(ask())
    end_ns = b.now_ns
    b.air.exchange(Ask(b"\x01", TIMEOUT_NS, rest_ns=5 * MS))
    assert b.frames()[2].t_ns == end_ns + 5 * MS
    b.air.pause(20 * MS)
    at_ns = b.now_ns
    b.air.exchange(Ask(b"\x01", TIMEOUT_NS, rest_ns=5 * MS))  # long over
    assert b.frames()[4].t_ns == at_ns


def test_sfgt_is_kept_by_the_reader_in_the_air():
    contactless = replace(PHONE, ats=bytes.fromhex("0578807502"))
    seen: list[Event] = []
    air = Air(observer=seen.append)
    air.bring(Station(EchoCard(contactless)))
    air.field_on()
    drive(find(), air)
    pcd = PcdIsoDep()
    drive(pcd.activate(), air)
    ats_end_ns = air.clock.now_ns()
    drive(pcd.transmit(b"\x01"), air)
    assert seen[-2].t_ns - ats_end_ns == pytest.approx(4096 * 2**5 * 1000 / 13.56, abs=1)
    end_ns = air.clock.now_ns()
    drive(pcd.transmit(b"\x01"), air)
    assert seen[-2].t_ns - end_ns == ns(FDT)


@pytest.mark.parametrize("rate", [1, 2, 3])
def test_fast_frames_are_shorter_and_answered_a_little_sooner(rate: int):
    guest = Parrot(answer=Frame.whole(ANSWER, rate=rate))
    b = bench(guest)
    assert b.air.exchange(Ask(b"\x01", TIMEOUT_NS, rates=(rate, rate))) == Heard(ANSWER)
    asked, answered = b.frames()
    assert close(28 * (128 >> rate), asked.duration_ns)
    assert close(28 * (128 >> rate) + 1116, answered.t_ns - asked.t_ns)
    assert close(512 + 45 * (128 >> rate), answered.duration_ns)
    assert guest.heard == [Frame.whole(b"\x01", rate=rate)]


def test_each_direction_has_its_rate():
    guest = Parrot(answer=Frame.whole(ANSWER, rate=1))
    b = bench(guest)
    assert b.air.exchange(Ask(b"\x01", TIMEOUT_NS, rates=(2, 1))) == Heard(ANSWER)
    assert guest.heard == [Frame.whole(b"\x01", rate=2)]
    b.air.exchange(Ask(b"\x93\x21\x01", TIMEOUT_NS, 1, False, False, rates=(3, 1)))
    assert guest.heard[1] == Frame(b"\x93\x21\x01", 1, rate=3)


def test_an_answer_at_another_rate_than_the_reader_listens_at_is_noise_to_it():
    b = bench(Parrot(answer=Frame.whole(ANSWER, rate=1)))
    assert b.air.exchange(ask()) == Heard(b"", Trouble.FRAMING)
    b = bench(Parrot())
    assert b.air.exchange(Ask(b"\x01", TIMEOUT_NS, rates=(0, 2))) == Heard(b"", Trouble.FRAMING)


def test_a_pause_lets_time_pass():
    b = bench(Parrot())
    b.air.pause(7 * MS)
    assert b.now_ns == 7 * MS


def test_the_guest_is_told_how_long_the_reader_listens():
    guest = Parrot()
    bench(guest).air.exchange(ask(timeout_ns=12345))
    assert guest.timeouts == [12345]


# Deaf cards and late answers


def test_an_answer_that_begins_with_the_last_moment_of_listening_is_heard():
    assert bench(Parrot(after_ns=TIMEOUT_NS)).air.exchange(ask()) == Heard(ANSWER)
    assert bench(Parrot(after_ns=TIMEOUT_NS + 1)).air.exchange(ask()) == SILENCE


def test_a_late_answer_is_heard_in_the_next_turn():
    late_ns = TIMEOUT_NS + ns(ASKED) + MS
    guest = Parrot(after_ns=late_ns)
    b = bench(guest)
    assert b.air.exchange(ask(b"\x01")) == SILENCE
    assert b.air.exchange(ask(b"\x02")) == Heard(ANSWER)
    assert len(guest.heard) == 1, "a card that computes is deaf"
    first, second, answer = b.frames()
    assert answer.t_ns == first.t_ns + ns(ASKED) + late_ns
    assert answer.t_ns == second.t_ns + ns(ASKED) + MS
    assert b.air.exchange(ask(b"\x03")) == SILENCE
    assert [frame.data[0] for frame in guest.heard] == [1, 3]


def test_an_answer_that_begins_when_the_reader_is_done_sending_is_heard():
    late_ns = TIMEOUT_NS + ns(ASKED)
    for early_ns, expected in ((0, Heard(ANSWER)), (1, SILENCE)):
        b = bench(Parrot(after_ns=late_ns - early_ns))
        b.air.exchange(ask())
        assert b.air.exchange(ask()) == expected


def test_a_late_answer_is_lost_while_the_reader_sends():
    guest = Parrot(after_ns=TIMEOUT_NS + ns(ASKED) // 2)
    b = bench(guest)
    assert b.air.exchange(ask(b"\x01")) == SILENCE
    assert b.air.exchange(ask(b"\x02")) == SILENCE
    assert len(guest.heard) == 1, "it sent while the reader did"
    assert [(e.source, e.note) for e in b.frames()] == [
        (Source.PCD, ""),
        (Source.PCD, ""),
        (Source.PICC, "not heard"),
    ]
    guest.after_ns = 0
    assert b.air.exchange(ask(b"\x03")) == Heard(ANSWER)


def test_a_late_answer_between_two_turns_is_lost():
    guest = Parrot(after_ns=TIMEOUT_NS + MS)
    b = bench(guest)
    assert b.air.exchange(ask(b"\x01")) == SILENCE
    b.air.pause(10 * MS)
    guest.after_ns = 0
    assert b.air.exchange(ask(b"\x02")) == Heard(ANSWER)
    assert [frame.data[0] for frame in guest.heard] == [1, 2]
    times = [event.t_ns for event in b.frames()]
    assert times == sorted(times)
    assert b.frames()[1].note == "not heard"


def test_a_card_hears_again_when_its_answer_is_over():
    guest = Parrot(after_ns=TIMEOUT_NS + 1)
    b = bench(guest)
    b.air.exchange(ask(b"\x01"))
    b.air.pause(ns(ANSWERED) + 1)
    b.air.exchange(ask(b"\x02"))
    assert len(guest.heard) == 2


# Two cards


def test_equal_answers_are_one_answer():
    b = bench(Parrot(), Parrot())
    assert b.air.exchange(ask()) == Heard(ANSWER)
    assert b.notes() == ["", ""]


def test_answers_that_differ_collide_at_the_first_bit_that_does():
    b = bench(Parrot(answer=b"\x05\x01"), Parrot(answer=b"\x05\x09"))
    assert b.air.exchange(ask()) == Heard(b"\x05\x01", Trouble.COLLISION, 11)
    assert b.notes() == ["", "collision after 11 bits"]


def test_answers_that_collide_at_another_rate_are_noise():
    fast = Parrot(answer=Frame.whole(b"\x05", rate=1))
    b = bench(fast, Parrot(answer=b"\x06"))
    assert b.air.exchange(ask()).trouble is Trouble.FRAMING


def test_a_longer_answer_collides_where_the_shorter_ends():
    short, long = Frame(b"\x05"), Frame(b"\x05\x06")
    b = bench(Parrot(answer=short), Parrot(answer=long))
    heard = b.air.exchange(Ask(b"\x01", TIMEOUT_NS, adds_crc=False, wants_crc=False))
    assert heard == Heard(b"\x05", Trouble.COLLISION, 8)


def test_a_collision_in_a_split_byte_keeps_the_bits_at_their_places():
    one, other = Frame(b"\x30\x01", head=4), Frame(b"\x70\x01", head=4)
    b = bench(Parrot(answer=one), Parrot(answer=other))
    heard = b.air.exchange(Ask(b"\x93\x24\x0f", TIMEOUT_NS, 4, False, False))
    assert heard == Heard(b"\x30", Trouble.COLLISION, 2)


def test_the_answer_that_begins_first_is_heard_and_the_other_may_be_in_the_next_turn():
    slow, quick = Parrot(answer=b"\x02", after_ns=2 * MS), Parrot(answer=b"\x01")
    b = bench(slow, quick)
    assert b.air.exchange(ask(b"\x0a")) == Heard(b"\x01")
    quick.answer = None
    assert b.air.exchange(ask(b"\x0b")) == Heard(b"\x02")
    assert [len(guest.heard) for guest in (slow, quick)] == [1, 2]


def test_answers_that_overlap_lose_the_later_one():
    slow, quick = Parrot(answer=b"\x02", after_ns=ns(FDT) + 1000), Parrot(answer=b"\x01")
    b = bench(slow, quick)
    assert b.air.exchange(ask()) == Heard(b"\x01")
    quick.answer = slow.answer = None
    assert b.air.exchange(ask()) == SILENCE
    assert b.notes() == ["", "", "not heard", ""]


# What a reader makes of one frame


@pytest.mark.parametrize(
    ("frame", "expected"),
    [
        (Frame.whole(ANSWER), Heard(ANSWER)),
        (Frame(ANSWER), Heard(b"", Trouble.CRC)),
        (Frame(b"\x01\x02"), Heard(b"", Trouble.CRC)),
        (Frame(ANSWER, tail=4), Heard(b"", Trouble.FRAMING)),
        (Frame(ANSWER, parity=bytes([0, 0, 0])), Heard(b"", Trouble.PARITY)),
        (Frame(b"\x0a", tail=4), Heard(b"", Trouble.FRAMING)),  # 4 bits, a MIFARE acknowledgement
    ],
)
def test_a_reader_checks_parity_bytes_and_checksum(frame: Frame, expected: Heard):
    assert bench(Parrot(answer=frame)).air.exchange(ask()) == expected


def test_a_reader_that_wants_no_checksum_gets_all_bytes():
    b = bench(Parrot(answer=Frame(b"\x04\x00")))
    assert b.air.exchange(Ask(REQA, TIMEOUT_NS, SHORT_BITS, False, False)) == Heard(b"\x04\x00")
    b = bench(Parrot(answer=Frame(b"\x30\x01", head=4, parity=bytes(2))))
    ask_split = Ask(b"\x93\x24\x0f", TIMEOUT_NS, 4, False, False)
    # The parity behind the split byte covers bits that the card did not send.
    assert odd_parity(b"\x01") == b"\x00"
    assert b.air.exchange(ask_split) == Heard(b"\x30\x01")

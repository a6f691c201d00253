"""A field and who is in it: coming and going, what is reported, and the other clocks."""

import time

from apdu.event import Layer, Source
from apdu.frame import REQA, SHORT_BITS, Frame
from emulator.radio.air import Air
from emulator.radio.clock import Unpaced, VirtualClock, WallClock
from emulator.radio.faults import Fault, FaultKind
from emulator.radio.medium import Ask, Heard, Reply, Trouble, drive
from emulator.radio.pcd import PcdIsoDep, find
from emulator.radio.station import Station
from emulator.radio.timing import GUARD_NS, ns
from tests.unit.guests import ANSWER, MS, TIMEOUT_NS, Parrot, ask, bench
from tests.unit.pcd import EchoCard, with_ats

SILENCE = Heard(b"", Trouble.TIMEOUT)
ASKED = (1 + 9 * 3) * 128  # one byte and a checksum
ANSWERED = (1 + 9 * 5) * 128


# Coming and going, reporting


def test_events_say_what_was_on_air():
    b = bench(Parrot(answer=Frame(b"\x04\x00")))
    b.air.exchange(Ask(REQA, TIMEOUT_NS, SHORT_BITS, False, False))
    b.air.field_off()
    on, asked, answered, off = b.seen
    assert (on.source, on.layer, on.data) == (Source.FIELD, Layer.RF, b"\x01")
    assert (asked.source, asked.data, asked.tail, asked.has_crc) == (Source.PCD, REQA, 7, False)
    assert (answered.data, answered.tail, answered.has_crc) == (b"\x04\x00", 8, False)
    assert (off.source, off.data, off.t_ns) == (Source.FIELD, b"\x00", b.now_ns)
    b = bench(Parrot())
    b.air.exchange(ask())
    assert [event.has_crc for event in b.frames()] == [True, True]
    assert b.frames()[1].data == Frame.whole(ANSWER).data


def test_guests_come_and_go():
    guest = Parrot()
    b = bench()
    assert b.air.exchange(ask()) == SILENCE
    b.air.bring(guest)
    assert guest.powers == ["on"]
    assert b.air.exchange(ask()) == Heard(ANSWER)
    b.air.take_away(guest)
    b.air.take_away(guest)
    assert guest.powers == ["on", "off"]
    assert b.air.exchange(ask()) == SILENCE
    b.air.field_off()
    b.air.bring(guest)
    assert guest.powers == ["on", "off"]
    b.air.field_on()
    assert guest.powers == ["on", "off", "on"]


def test_a_guest_that_goes_while_it_hears_keeps_nothing_from_the_others():
    class Shy(Parrot):
        def receive(self, frame: Frame, timeout_ns: int) -> Reply | None:
            b.air.take_away(self)
            return super().receive(frame, timeout_ns)

    other = Parrot()
    b = bench(Shy(), other)
    assert b.air.exchange(ask()) == Heard(ANSWER)
    assert len(other.heard) == 1


def test_what_is_taken_away_takes_its_late_answer_along():
    guest = Parrot(after_ns=TIMEOUT_NS + MS)
    b = bench(guest)
    b.air.exchange(ask())
    b.air.take_away(guest)
    assert b.air.exchange(ask()) == SILENCE


def test_nothing_is_heard_in_a_field_that_is_off():
    guest = Parrot()
    b = bench(guest)
    b.air.field_off()
    b.air.field_off()
    assert b.air.exchange(ask()) == SILENCE
    assert (guest.heard, b.frames()) == ([], [])
    assert [event.data for event in b.seen] == [b"\x01", b"\x00"]


def test_the_field_going_off_forgets_late_answers_copies_and_busy_cards():
    late = Parrot(after_ns=TIMEOUT_NS + 3 * MS)
    b = bench(late)
    b.air.exchange(ask())
    b.air.field_off()
    b.air.field_on()
    assert b.air.exchange(ask()) == SILENCE
    assert len(late.heard) == 2
    b = bench(Parrot(), faults=[Fault(FaultKind.DUPLICATED, 1)])
    b.air.exchange(ask())
    b.air.field_off()
    b.air.field_on()
    b.air.exchange(ask())
    assert "a copy" not in b.notes()


def test_a_reader_that_never_stops_asking_counts_its_frames():
    b = bench(Parrot())
    for _ in range(5):
        b.air.exchange(ask())
    assert b.air.frames == len(b.frames()) == 10


# Other clocks


def test_on_an_unpaced_clock_nothing_takes_time_and_nothing_is_late():
    faults = [Fault(FaultKind.DELAYED, 1, ns=10**12)]
    b = bench(Parrot(after_ns=3600 * 10**9), faults=faults, clock=Unpaced())
    assert b.air.exchange(ask()) == Heard(ANSWER)
    assert b.air.exchange(Ask(b"\x01", TIMEOUT_NS, rest_ns=10**12)) == Heard(ANSWER)
    assert {event.duration_ns for event in b.frames()} == {0}
    b.air.pause(3600 * 10**9)
    assert b.now_ns < 60 * 10**9


class Standing(VirtualClock):
    """Time that does not pass and is not waited for."""

    is_timed = False

    def wait_until(self, instant_ns: int) -> None: ...


def test_without_time_a_copy_still_drowns_one_answer_and_no_more():
    guest = Parrot()
    b = bench(guest, faults=[Fault(FaultKind.DUPLICATED, 1)], clock=Standing())
    assert [b.air.exchange(ask()) for _ in range(3)] == [Heard(ANSWER)] * 3
    assert len(guest.heard) == 3
    assert b.notes() == ["", "duplicated", "", "a copy", "not heard", "", ""]


def test_a_card_that_computes_for_a_minute_takes_no_time_unpaced():
    class Minute:
        def time_ns(self, command: bytes) -> int:
            return 60 * 10**9

    air = Air(Unpaced())
    air.bring(Station(EchoCard(with_ats(fwi=14)), Minute()))
    air.field_on()
    drive(find(), air)
    pcd = PcdIsoDep()
    drive(pcd.activate(), air)
    assert drive(pcd.transmit(b"\x01"), air) == b"\x01\x90\x00"


def test_on_the_wall_clock_a_tap_takes_as_long_as_it_says():
    before_ns = time.monotonic_ns()
    b = bench(Parrot(after_ns=2 * MS), clock=WallClock())
    assert b.air.exchange(ask(timeout_ns=50 * MS)) == Heard(ANSWER)
    took_ns = time.monotonic_ns() - before_ns
    assert took_ns >= GUARD_NS + ns(ASKED) + 2 * MS + ns(ANSWERED)

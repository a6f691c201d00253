"""Cards that leave, return and join, and a field too weak: at a frame and at an instant."""

from random import Random

import pytest

from apdu.blocks import S_WTX
from apdu.event import Event, Source
from emulator.radio.air import Air
from emulator.radio.faults import Fault, FaultKind, Noise, Script
from emulator.radio.medium import Heard, Trouble, drive
from emulator.radio.pcd import LinkDead, PcdIsoDep, find
from emulator.radio.station import COMMIT_SHARE, Station
from emulator.radio.timing import ns
from tests.unit.guests import ANSWER, FIRST_NS, MS, Parrot, ask, bench
from tests.unit.pcd import EchoCard, with_ats

SILENCE = Heard(b"", Trouble.TIMEOUT)
ASKED_NS, ANSWERED_NS, FDT_NS = ns(28 * 128), ns(46 * 128), ns(1172)
ASK_END_NS = FIRST_NS + ASKED_NS
ANSWER_NS = ASK_END_NS + FDT_NS
ANSWER_END_NS = ANSWER_NS + ANSWERED_NS
PCD, PICC = 0, 1  # the numbers of the first two frames


def at(kind: FaultKind, frame: int, **more: int) -> Fault:
    return Fault(kind, frame, **more)


def when(kind: FaultKind, at_ns: int) -> Fault:
    return Fault(kind, at_ns=at_ns)


# Leaving and coming back


def test_a_card_that_leaves_within_a_command_hears_nothing_of_it():
    guest = Parrot()
    b = bench(guest, faults=[at(FaultKind.LEAVES, PCD, bit=20)])
    assert b.air.exchange(ask()) == SILENCE
    assert b.air.exchange(ask()) == SILENCE
    assert (guest.heard, guest.powers) == ([], ["on", "off"])
    assert b.notes() == ["leaves", ""]


@pytest.mark.parametrize(
    ("bit", "expected"),
    [(0, SILENCE), (5, Heard(b"", Trouble.FRAMING)), (24, Heard(b"", Trouble.CRC))],
)
def test_a_card_that_leaves_within_its_answer_has_heard_the_command(bit: int, expected: Heard):
    guest = Parrot()
    b = bench(guest, faults=[at(FaultKind.LEAVES, PICC, bit=bit)])
    assert b.air.exchange(ask()) == expected
    assert b.air.exchange(ask()) == SILENCE
    assert (len(guest.heard), guest.powers) == (1, ["on", "off"])
    assert b.notes() == ["", "leaves", ""]


def test_a_card_returns_before_the_frame_and_hears_it():
    guest = Parrot()
    faults = [at(FaultKind.LEAVES, PCD), at(FaultKind.RETURNS, 3)]
    b = bench(guest, faults=faults)
    heard = [b.air.exchange(ask()) for _ in range(4)]
    assert heard == [SILENCE] * 3 + [Heard(ANSWER)]
    assert guest.powers == ["on", "off", "on"]


def test_a_card_that_is_away_is_not_there_in_a_new_field():
    guest = Parrot()
    b = bench(guest, faults=[at(FaultKind.LEAVES, PCD), at(FaultKind.RETURNS, 2)])
    b.air.exchange(ask())
    b.air.field_off()
    b.air.field_on()
    assert b.air.exchange(ask()) == SILENCE
    b.air.field_off()
    b.air.field_on()
    assert b.air.exchange(ask()) == Heard(ANSWER)


@pytest.mark.parametrize("instant_ns", [0, FIRST_NS, FIRST_NS + 1, ASK_END_NS - 1, ASK_END_NS])
def test_a_card_that_leaves_by_the_end_of_a_command_has_not_heard_it(instant_ns: int):
    guest = Parrot()
    b = bench(guest, faults=[when(FaultKind.LEAVES, instant_ns)])
    assert b.air.exchange(ask()) == SILENCE
    assert guest.heard == []


@pytest.mark.parametrize("instant_ns", [ASK_END_NS + 1, ANSWER_NS - 1, ANSWER_NS])
def test_a_card_that_leaves_before_its_answer_begins_sends_nothing(instant_ns: int):
    guest = Parrot()
    b = bench(guest, faults=[when(FaultKind.LEAVES, instant_ns)])
    assert b.air.exchange(ask()) == SILENCE
    assert (len(guest.heard), guest.powers) == (1, ["on", "off"])
    assert guest.leaves == [instant_ns - ASK_END_NS]
    assert b.notes() == [""], "no answer was on air"
    assert b.air.frames == 1


@pytest.mark.parametrize("bits", [1, 7, 8, 20, 39])
def test_a_card_that_leaves_at_an_instant_of_its_answer_cuts_it_there(bits: int):
    # The start bit and the parity bits are spread over the data bits.
    instant_ns = ANSWER_NS + ANSWERED_NS * bits // 40 + 1
    guest = Parrot()
    b = bench(guest, faults=[when(FaultKind.LEAVES, instant_ns)])
    expected = Trouble.FRAMING if bits % 8 else Trouble.CRC
    assert b.air.exchange(ask()) == Heard(b"", expected)
    assert guest.powers == ["on", "off"]
    assert b.notes() == ["", "leaves"]


def test_a_card_that_leaves_after_its_answer_was_whole():
    guest = Parrot()
    b = bench(guest, faults=[when(FaultKind.LEAVES, ANSWER_END_NS)])
    assert b.air.exchange(ask()) == Heard(ANSWER)
    assert guest.powers == ["on", "off"]
    assert b.notes() == ["", ""]


def test_a_card_comes_and_goes_by_the_clock_while_the_reader_pauses():
    guest = Parrot()
    faults = [
        when(FaultKind.LEAVES, 20 * MS),
        when(FaultKind.RETURNS, 30 * MS),
        when(FaultKind.LEAVES, 40 * MS),
    ]
    b = bench(guest, faults=faults)
    assert b.air.exchange(ask()) == Heard(ANSWER)
    b.air.pause(18 * MS)
    assert b.air.exchange(ask()) == SILENCE
    b.air.pause(8 * MS)
    assert b.air.exchange(ask()) == Heard(ANSWER)
    b.air.pause(20 * MS)
    assert guest.powers == ["on", "off", "on", "off"]


@pytest.mark.parametrize("left_ns", [FIRST_NS - MS, FIRST_NS + 1])
def test_a_card_that_comes_back_within_a_command_hears_the_next_one_only(left_ns: int):
    guest = Parrot()
    faults = [when(FaultKind.LEAVES, left_ns), when(FaultKind.RETURNS, ASK_END_NS - 1)]
    b = bench(guest, faults=faults)
    assert b.air.exchange(ask(b"\x01")) == SILENCE
    assert b.air.exchange(ask(b"\x02")) == Heard(ANSWER)
    assert [frame.data[:1] for frame in guest.heard] == [b"\x02"]
    assert guest.powers == ["on", "off", "on"]


def test_the_card_is_told_how_long_it_stays():
    guest = Parrot()
    b = bench(guest, faults=[when(FaultKind.LEAVES, 50 * MS)])
    b.air.exchange(ask())
    assert guest.leaves == [50 * MS - ASK_END_NS]
    b = bench(guest, faults=[at(FaultKind.LEAVES, 7)])
    b.air.exchange(ask())
    assert guest.leaves[-1] is None


# Weak


@pytest.mark.parametrize("count", [1, 2, 3])
def test_a_weak_field_powers_the_card_down_for_some_frames(count: int):
    guest = Parrot()
    b = bench(guest, faults=[at(FaultKind.WEAK, 2, count=count)])
    heard = [b.air.exchange(ask()) for _ in range(count + 2)]
    assert heard == [Heard(ANSWER), *[SILENCE] * count, Heard(ANSWER)]
    assert guest.powers == ["on", "off", "on"]
    assert b.notes() == ["", "", *["weak"] * count, "", ""]


def test_a_field_that_is_weak_in_an_answer_ends_it():
    guest = Parrot()
    b = bench(guest, faults=[at(FaultKind.WEAK, PICC)])
    assert b.air.exchange(ask()) == SILENCE
    assert (len(guest.heard), guest.powers) == (1, ["on", "off"])
    assert b.air.exchange(ask()) == Heard(ANSWER)
    assert guest.powers == ["on", "off", "on"]
    assert b.notes() == ["", "weak", "", ""]


def test_the_longer_of_two_weak_spells_counts():
    guest = Parrot()
    b = bench(guest, faults=[at(FaultKind.WEAK, 0, count=4), at(FaultKind.WEAK, 1, count=1)])
    assert [b.air.exchange(ask()) for _ in range(5)] == [*[SILENCE] * 4, Heard(ANSWER)]


def test_a_card_does_not_return_into_a_weak_field():
    guest = Parrot()
    faults = [at(FaultKind.LEAVES, 0), at(FaultKind.WEAK, 1, count=3), at(FaultKind.RETURNS, 2)]
    b = bench(guest, faults=faults)
    assert [b.air.exchange(ask()) for _ in range(5)] == [*[SILENCE] * 4, Heard(ANSWER)]


def test_a_card_that_is_away_does_not_come_with_the_strength_of_the_field():
    faults = [at(FaultKind.LEAVES, 0), at(FaultKind.WEAK, 1, count=2), at(FaultKind.RETURNS, 4)]
    guest = Parrot()
    b = bench(guest, faults=faults)
    assert [b.air.exchange(ask()) for _ in range(5)] == [*[SILENCE] * 4, Heard(ANSWER)]
    assert guest.powers == ["on", "off", "on"]


# A second card


@pytest.mark.parametrize("fault", [at(FaultKind.JOINS, 2), when(FaultKind.JOINS, 7 * MS)])
def test_a_second_card_joins(fault: Fault):
    stranger = Parrot(answer=b"\x0a\x0b\x1c")
    b = bench(Parrot(), faults=[fault], stranger=stranger)
    assert b.air.exchange(ask()) == Heard(ANSWER)
    assert stranger.powers == []
    b.air.pause(2 * MS)
    heard = b.air.exchange(ask())
    assert (heard.trouble, heard.collision) == (Trouble.COLLISION, 20)
    assert stranger.powers == ["on"]


def test_a_second_card_that_joins_within_a_command_hears_the_next_one_only():
    stranger = Parrot(answer=b"\x0a\x0b\x1c")
    fault = when(FaultKind.JOINS, ASK_END_NS - 1)
    b = bench(Parrot(), faults=[fault], stranger=stranger)
    assert b.air.exchange(ask()) == Heard(ANSWER)
    assert b.air.exchange(ask()).trouble is Trouble.COLLISION
    assert len(stranger.heard) == 1


def test_nobody_joins_where_there_is_no_stranger():
    b = bench(Parrot(), faults=[at(FaultKind.JOINS, 0)])
    assert b.air.exchange(ask()) == Heard(ANSWER)


# Our card and reader in it


def linked(
    faults: list[Fault], card: EchoCard, service: object = None
) -> tuple[Air, PcdIsoDep, list[Event]]:
    """ISO-DEP opened; its first block is frame 8."""
    seen: list[Event] = []
    air = Air(faults=Script(faults), observer=seen.append)
    air.bring(Station(card, service))  # type: ignore[arg-type]
    air.field_on()
    assert drive(find(), air) is not None
    pcd = PcdIsoDep()
    assert drive(pcd.activate(), air) is not None
    assert air.frames == 8
    return air, pcd, seen


@pytest.mark.parametrize("kind", [FaultKind.LOST, FaultKind.TRUNCATED, FaultKind.FLIPPED])
@pytest.mark.parametrize("frame", [8, 9])
def test_one_damaged_frame_costs_a_timeout_and_nothing_else(kind: FaultKind, frame: int):
    card = EchoCard()
    air, pcd, _ = linked([at(kind, frame, bit=9)], card)
    assert drive(pcd.transmit(b"\x01"), air) == b"\x01\x90\x00"
    assert drive(pcd.transmit(b"\x02"), air) == b"\x02\x90\x00"
    assert card.seen == [b"\x01", b"\x02"]


class Takes50:
    def time_ns(self, command: bytes) -> int:
        return 50 * MS


@pytest.mark.parametrize("share", [0.1, 0.5, COMMIT_SHARE - 0.01, COMMIT_SHARE + 0.01, 0.95])
def test_a_command_happens_or_not_by_when_the_card_leaves(share: float):
    clean, pcd, seen = linked([], EchoCard(with_ats(fwi=9)), Takes50())
    drive(pcd.transmit(b"\x01"), clean)
    end_ns = seen[-2].t_ns + seen[-2].duration_ns
    card = EchoCard(with_ats(fwi=9))
    leaves = when(FaultKind.LEAVES, end_ns + int(50 * MS * share))
    air, pcd, _ = linked([leaves], card, Takes50())
    with pytest.raises(LinkDead):
        drive(pcd.transmit(b"\x01"), air)
    assert card.seen == ([b"\x01"] if share > COMMIT_SHARE else [])
    assert card.power[-1] == "off"


def test_a_card_that_is_gone_before_it_has_written_asks_for_time_until_then():
    """It does not fall silent, nor say again what it said before."""
    card = EchoCard()
    air, pcd, seen = linked([], card, Takes50())
    drive(pcd.transmit(b"\x01"), air)
    before = len(seen)
    air.faults = Script([when(FaultKind.LEAVES, air.clock.now_ns() + 39 * MS)])
    with pytest.raises(LinkDead):
        drive(pcd.transmit(b"\x02"), air)
    said = [event.data[0] for event in seen[before:] if event.source is Source.PICC]
    assert said == [S_WTX]
    assert card.seen == [b"\x01"]
    assert card.power == ["on", "off"]


def test_noise_replays_from_what_happened_event_for_event():
    """Every kind of fault, drawn; the same list played gives the same recording."""
    for seed in range(20):
        noise = Noise(seed, 0.15, tuple(FaultKind), most_ns=60 * MS)
        first = noisy_run(noise, seed)
        again = noisy_run(Script(noise.happened), seed)
        assert first == again
        assert any(event.note for event in first)


def noisy_run(faults: Noise | Script, seed: int) -> list[Event]:
    rng, seen = Random(seed), []
    air = Air(faults=faults, observer=seen.append, stranger=Station(EchoCard()))
    air.bring(Station(EchoCard(with_ats(fsci=2)), Takes50() if seed % 2 else None))
    for _ in range(6):
        air.field_off()
        air.field_on()
        if drive(find(), air) is None:
            continue
        pcd = PcdIsoDep(seed % 9)
        if drive(pcd.activate(), air) is None:
            continue
        for size in (1, 29, 60):
            try:
                drive(pcd.transmit(rng.randbytes(size)), air)
            except LinkDead:
                break
    return seen


def test_times_in_a_recording_never_go_back():
    for seed in range(10):
        noise = Noise(seed, 0.2, tuple(FaultKind), most_ns=60 * MS)
        times = [event.t_ns for event in noisy_run(noise, seed)]
        assert times == sorted(times)


def test_every_numbered_frame_is_in_the_recording():
    for seed in range(10):
        kinds = (FaultKind.LOST, FaultKind.FLIPPED, FaultKind.TRUNCATED, FaultKind.DUPLICATED)
        noise = Noise(seed, 0.2, kinds)
        air = Air(faults=noise, observer=(seen := []).append)
        air.bring(Station(EchoCard()))
        air.field_on()
        pcd = PcdIsoDep()
        if drive(find(), air) and drive(pcd.activate(), air):
            drive(pcd.is_present(), air)
        frames = [e for e in seen if e.source is not Source.FIELD and "not heard" not in e.note]
        assert len(frames) == air.frames

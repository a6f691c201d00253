"""The gate's coupler on the simulated air: finding, losing and leaving cards."""

from dataclasses import replace

import pytest

import fixtures
from apdu.event import Event, Source
from bench.rig.air import AirCoupler, SlowPsam, in_the_air
from emulator.card.card import Card
from emulator.radio.air import Air
from emulator.radio.clock import Unpaced
from emulator.radio.faults import Fault, FaultKind, Script
from emulator.radio.medium import drive
from emulator.radio.pcd import find
from emulator.radio.station import Station
from emulator.radio.timing import GUARD_NS
from reader.transport.base import CardLost, NoCard
from reader.transport.inprocess import InProcess
from tests.kits import check_transport
from tests.unit.guests import MS
from tests.unit.pcd import PHONE, EchoCard, with_ats


def air_with(
    *cards: EchoCard, faults: list[Fault] | None = None, seen: list[Event] | None = None
) -> Air:
    air = Air(faults=Script(faults or []), observer=None if seen is None else seen.append)
    for card in cards:
        air.bring(Station(card))
    return air


@pytest.mark.parametrize("rate", range(4))
@pytest.mark.parametrize(("fsdi", "cid"), [(8, None), (0, None), (0, 5), (2, 0)])
def test_the_contract_is_kept_at_every_rate_and_frame_size(
    card: Card, rate: int, fsdi: int, cid: int | None
):
    card.contactless = replace(card.contactless, ats=bytes.fromhex("0570777002"))
    air = Air()
    air.bring(Station(card))
    coupler = AirCoupler(air, fsdi, cid, rate)
    link = coupler.wait_card(1.0)
    check_transport(link)
    assert link.isodep.rates == (rate, rate)
    coupler.close()


def test_a_card_says_how_it_introduced_itself():
    link = AirCoupler(air_with(EchoCard())).wait_card(1.0)
    assert (link.card.uid, link.card.sak, link.card.atqa) == (PHONE.uid, 0x20, PHONE.atqa)


def test_no_card_in_time_is_said_with_the_time():
    air = air_with()
    with pytest.raises(NoCard, match=r"within 0\.5 s"):
        AirCoupler(air).wait_card(0.5)
    assert 500 * MS <= air.clock.now_ns() < 600 * MS
    with pytest.raises(NoCard):
        AirCoupler(air).wait_card(0)


def test_a_card_that_comes_later_is_found():
    faults = [
        Fault(FaultKind.LEAVES, at_ns=0),
        Fault(FaultKind.RETURNS, at_ns=300 * MS),
    ]
    air = air_with(EchoCard(), faults=faults)
    link = AirCoupler(air).wait_card(1.0)
    assert 300 * MS < air.clock.now_ns() < 350 * MS
    assert link.transmit(b"\x01") == b"\x01\x90\x00"


def test_a_card_whose_ats_is_lost_is_found_by_the_next_search():
    card = EchoCard()
    air = air_with(card, faults=[Fault(FaultKind.LOST, 7)])
    assert AirCoupler(air).wait_card(1.0).transmit(b"\x01") == b"\x01\x90\x00"
    assert card.power == ["on", "off", "on"]


def test_an_empty_air_without_pace_is_searched_in_real_time():
    with pytest.raises(NoCard):
        AirCoupler(Air(Unpaced())).wait_card(0.001)


def test_a_card_without_iso_dep_is_no_card():
    memory_card = EchoCard(replace(PHONE, sak=0x08))
    with pytest.raises(NoCard):
        AirCoupler(air_with(memory_card)).wait_card(0.2)
    assert memory_card.power == []


def test_a_lost_card_is_a_transport_error_from_then_on():
    card = EchoCard()
    air, guest = Air(), Station(card)
    air.bring(guest)
    link = AirCoupler(air).wait_card(1.0)
    assert link.transmit(b"\x01") == b"\x01\x90\x00"
    air.take_away(guest)
    with pytest.raises(CardLost, match="fell silent"):
        link.transmit(b"\x02")
    air.bring(guest)
    with pytest.raises(CardLost, match="activated"):
        link.transmit(b"\x03")
    assert card.seen == [b"\x01"]


def test_a_card_lost_after_its_answer_was_due_is_found_anew():
    card = EchoCard()
    air = air_with(card, faults=[Fault(FaultKind.LEAVES, 9), Fault(FaultKind.RETURNS, 12)])
    coupler = AirCoupler(air)
    with pytest.raises(CardLost):
        coupler.wait_card(1.0).transmit(b"\x01")
    assert coupler.wait_card(1.0).transmit(b"\x02") == b"\x02\x90\x00"
    assert card.seen == [b"\x01", b"\x02"]
    assert card.power == ["on", "off", "on"]


def test_an_answer_without_a_status_word_is_a_lost_card():
    class Mute(EchoCard):
        def process(self, command: bytes) -> bytes:
            return b"\x90"

    with pytest.raises(CardLost, match="status word"):
        AirCoupler(air_with(Mute())).wait_card(1.0).transmit(b"\x01")


def test_an_empty_command_is_refused():
    with pytest.raises(ValueError, match="empty command"):
        AirCoupler(air_with(EchoCard())).wait_card(1.0).transmit(b"")


def test_wait_gone_waits_for_the_card_to_leave():
    air, guest = Air(), Station(EchoCard())
    air.bring(guest)
    coupler = AirCoupler(air)
    assert coupler.wait_gone(0.1) is True, "there was none"
    link = coupler.wait_card(1.0)
    assert link.is_present()
    before_ns = air.clock.now_ns()
    assert coupler.wait_gone(0.3) is False
    assert air.clock.now_ns() - before_ns >= 300 * MS
    assert link.transmit(b"\x01") == b"\x01\x90\x00"
    air.take_away(guest)
    assert coupler.wait_gone(1.0) is True
    assert not link.is_present()


def test_closing_deselects_the_card_and_switches_the_field_off():
    seen: list[Event] = []
    card = EchoCard()
    air = air_with(card, seen=seen)
    coupler = AirCoupler(air)
    coupler.wait_card(1.0)
    coupler.close()
    coupler.close()
    frames = [event for event in seen if event.source is not Source.FIELD]
    assert [event.data[0] for event in frames[-2:]] == [0xC2, 0xC2]
    assert seen[-1].data == b"\x00"
    assert card.power == ["on", "off"]


def test_the_field_goes_off_between_two_searches():
    seen: list[Event] = []
    air = air_with(EchoCard(), seen=seen)
    coupler = AirCoupler(air)
    coupler.wait_card(1.0)
    first_ns = air.clock.now_ns()
    coupler.wait_card(1.0)
    fields = [event for event in seen if event.source is Source.FIELD]
    assert [event.data[0] for event in fields] == [1, 0, 1]
    polls = [event.t_ns for event in seen if event.data == b"\x26"]
    assert polls[1] - first_ns >= GUARD_NS


# PPS


def test_a_rate_the_card_does_not_offer_is_not_asked_for():
    seen: list[Event] = []
    air = air_with(EchoCard(with_ats(ta=0x91)), seen=seen)
    link = AirCoupler(air, rate=2).wait_card(1.0)
    assert link.isodep.rates == (0, 0)
    assert all(event.data[0] != 0xD0 for event in seen)


@pytest.mark.parametrize("frame", [8, 9])
def test_a_lost_pps_leaves_no_doubt_about_the_rate(frame: int):
    """A lost request: 106 kbit/s. A lost answer: the card has changed, so it is found anew."""
    seen: list[Event] = []
    card = EchoCard(with_ats(ta=0x77))
    air = air_with(card, faults=[Fault(FaultKind.LOST, frame)], seen=seen)
    link = AirCoupler(air, rate=3).wait_card(1.0)
    assert link.isodep.rates == ((0, 0) if frame == 8 else (3, 3))
    assert link.transmit(b"\x01") == b"\x01\x90\x00"
    assert sum(event.data == b"\x26" for event in seen) == (1 if frame == 8 else 2)


# The whole road


def test_the_air_road_deselects_at_its_end():
    card = EchoCard()
    with in_the_air(card) as link:
        assert link.transmit(b"\x01") == b"\x01\x90\x00"
    assert card.power == ["on", "off"]


def test_the_air_road_may_be_unpaced_or_have_another_guest():
    card = EchoCard()
    station = Station(card)
    with in_the_air(card, Air(Unpaced()), station) as link:
        assert link.transmit(bytes(300)) == bytes(300) + b"\x90\x00"
    assert station.link.activation.is_selected is False


def test_a_second_card_in_the_field_is_left_alone():
    one = EchoCard(replace(PHONE, uid=bytes.fromhex("08000001")))
    other = EchoCard(replace(PHONE, uid=bytes.fromhex("08000002")))
    air = air_with(one, other)
    link = AirCoupler(air).wait_card(1.0)
    assert link.transmit(b"\x01") == b"\x01\x90\x00"
    assert sorted([one.seen, other.seen]) == [[], [b"\x01"]]
    assert drive(find(), air) is not None, "the other waits, idle"


def test_a_slow_psam_takes_the_airs_time():
    class Times:
        def time_ns(self, command: bytes) -> int:
            return command[0] * MS

    air = Air()
    psam = SlowPsam(InProcess(fixtures.card("student")), air, Times())
    assert psam.transmit(b"\x05\x00\x00\x00")[-2:] == b"\x6e\x00"
    psam.transmit(b"\x07\x00\x00\x00")
    assert (air.clock.now_ns(), psam.took_ns) == (12 * MS, 12 * MS)
